/* Keeps what a socket did not take, and gives it up as it goes. */
#include "net/backlog.h"

bool
cpn_backlog_put(cpn_backlog *b, cpn_pool *pool, const uint8_t *p, size_t n)
{
    while (n > 0) {
        cpn_block *last = b->tail;
        size_t fit;

        if (!last || cpn_block_room(last) == 0) {
            last = cpn_pool_take(pool, CPN_BLOCK_SMALL);
            if (!last)
                return false;
            *(b->tail ? &b->tail->next : &b->head) = last;
            b->tail = last;
        }
        fit = CPN_MIN(n, cpn_block_room(last));
        memcpy(last->p + last->at + last->n, p, fit);
        last->n += fit;
        b->n += fit;
        p += fit;
        n -= fit;
    }
    return true;
}

int
cpn_backlog_parts(const cpn_backlog *b, struct iovec *iov, int most)
{
    int n = 0;

    for (cpn_block *at = b->head; at && n < most; at = at->next)
        iov[n++] = (struct iovec){ at->p + at->at, at->n };
    return n;
}

void
cpn_backlog_drop(cpn_backlog *b, cpn_pool *pool, size_t n)
{
    b->n -= n;
    while (n > 0) {
        cpn_block *first = b->head;
        size_t part = CPN_MIN(n, first->n);

        first->at += part;
        first->n -= part;
        n -= part;
        if (first->n > 0)
            break;
        b->head = first->next;
        if (!b->head)
            b->tail = NULL;
        cpn_pool_give(pool, &first);
    }
}

void
cpn_backlog_clear(cpn_backlog *b, cpn_pool *pool)
{
    while (b->head) {
        cpn_block *first = b->head;

        b->head = first->next;
        cpn_pool_give(pool, &first);
    }
    b->tail = NULL;
    b->n = 0;
}
