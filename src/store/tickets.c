/* Tickets in memory: a hash table in the order of issue, swept from its old end. */
#include "store/tickets.h"

#include <stdlib.h>

/* The key is a digest of our own random bytes: any of its bytes are a hash. */
#define HASH_FUNCTION(keyptr, keylen, hashv) memcpy(&(hashv), (keyptr), sizeof(hashv))
#include <uthash.h>

typedef struct ticket {
    uint8_t key[32];
    uint64_t deadline_ms;
    UT_hash_handle hh;
    size_t body_n;
    uint8_t body[];
} ticket;

struct cpn_tickets {
    ticket *all;
    size_t max;
    uint64_t swept_ms; /* the last full sweep */
};

cpn_tickets *
cpn_tickets_new(size_t max)
{
    cpn_tickets *t = cpn_xcalloc(1, sizeof(*t));

    t->max = max;
    return t;
}

static void
forget(cpn_tickets *t, ticket *k)
{
    HASH_DEL(t->all, k);
    explicit_bzero(k->body, k->body_n);
    free(k);
}

void
cpn_tickets_free(cpn_tickets *t)
{
    if (!t)
        return;
    while (t->all)
        forget(t, t->all);
    free(t);
}

size_t
cpn_tickets_count(const cpn_tickets *t)
{
    return HASH_COUNT(t->all);
}

static ticket *
find(const cpn_tickets *t, const uint8_t key[32])
{
    ticket *k;

    HASH_FIND(hh, t->all, key, 32, k);
    return k;
}

/* The old end first, which is nearly always enough; all of it at most once a second when full. */
static void
sweep(cpn_tickets *t, uint64_t now_ms)
{
    ticket *k, *next;

    for (k = t->all; k && k->deadline_ms <= now_ms; k = next) {
        next = k->hh.next;
        forget(t, k);
    }
    if (HASH_COUNT(t->all) < t->max || now_ms - t->swept_ms < 1000)
        return;
    t->swept_ms = now_ms;
    HASH_ITER (hh, t->all, k, next) {
        if (k->deadline_ms <= now_ms)
            forget(t, k);
    }
}

cpn_rc
cpn_tickets_put(cpn_tickets *t, const uint8_t key[32], cpn_view body, int64_t ttl_ms,
                uint64_t now_ms)
{
    ticket *k;

    if (body.n > CPN_TICKET_BODY_MAX)
        return CPN_LIMIT;
    sweep(t, now_ms);
    if (find(t, key))
        return CPN_EXISTS;
    if (ttl_ms <= 0)
        return CPN_OK;
    if (HASH_COUNT(t->all) >= t->max)
        return CPN_LIMIT;
    k = cpn_xcalloc(1, sizeof(*k) + body.n);
    memcpy(k->key, key, sizeof(k->key));
    k->deadline_ms = now_ms + (uint64_t)CPN_MIN(ttl_ms, CPN_TICKET_TTL_MAX_MS);
    k->body_n = body.n;
    if (body.n)
        memcpy(k->body, body.p, body.n);
    HASH_ADD(hh, t->all, key, sizeof(k->key), k);
    return CPN_OK;
}

void
cpn_tickets_drop(cpn_tickets *t, const uint8_t key[32])
{
    ticket *k = find(t, key);

    if (k)
        forget(t, k);
}

cpn_rc
cpn_tickets_take(cpn_tickets *t, const uint8_t key[32], uint64_t now_ms, cpn_buf *out)
{
    ticket *k = find(t, key);
    cpn_rc rc = CPN_NOT_FOUND;

    if (!k)
        return rc;
    if (now_ms < k->deadline_ms)
        rc = cpn_buf_append(out, (cpn_view){ k->body, k->body_n });
    forget(t, k);
    return rc;
}
