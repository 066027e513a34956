/* Relay buffers of one loop: charged while in use, a few kept warm between uses. */
#include "net/pool.h"

#include <stdlib.h>

struct cpn_pool {
    cpn_quota *quota;
    struct {
        cpn_block *head;
        unsigned n;
    } cached[2];
};

static unsigned
kind_of(size_t size)
{
    return size > CPN_BLOCK_SMALL;
}

cpn_rc
cpn_pool_new(cpn_pool **out, cpn_quota *quota, cpn_err *err)
{
    cpn_pool *pool = calloc(1, sizeof(*pool));

    if (!pool)
        return cpn_fail(err, CPN_E_NOMEM, "relay buffers");
    pool->quota = quota;
    *out = pool;
    return CPN_OK;
}

void
cpn_pool_free(cpn_pool *pool)
{
    if (!pool)
        return;
    for (unsigned k = 0; k < CPN_COUNT(pool->cached); k++) {
        for (cpn_block *b = pool->cached[k].head, *next; b; b = next) {
            next = b->next;
            free(b);
        }
    }
    free(pool);
}

cpn_block *
cpn_pool_take(cpn_pool *pool, size_t size)
{
    unsigned k = kind_of(size);
    size_t whole = k ? CPN_BLOCK_LARGE : CPN_BLOCK_SMALL;
    cpn_block *b = pool->cached[k].head;

    if (b) {
        pool->cached[k].head = b->next;
        pool->cached[k].n--;
    } else if (!(b = aligned_alloc(64, sizeof(*b) + whole))) {
        return NULL;
    }
    b->next = NULL;
    b->size = whole;
    b->at = b->n = 0;
    pool->quota->used += whole;
    return b;
}

void
cpn_pool_give(cpn_pool *pool, cpn_block **b)
{
    cpn_block *gone = *b;
    unsigned k;

    if (!gone)
        return;
    *b = NULL;
    cpn_quota_give(pool->quota, gone->size);
    k = kind_of(gone->size);
    if (pool->cached[k].n == CPN_POOL_CACHED) {
        free(gone);
        return;
    }
    gone->next = pool->cached[k].head;
    pool->cached[k].head = gone;
    pool->cached[k].n++;
}

bool
cpn_pool_tight(const cpn_pool *pool)
{
    return pool->quota->used > pool->quota->max / 4 * 3;
}

bool
cpn_pool_full(const cpn_pool *pool)
{
    return pool->quota->used >= pool->quota->max;
}
