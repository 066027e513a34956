/* Tickets in memory: a hash table in the order of issue, swept from its old end. */
#include "store/tickets.h"

#include <stdlib.h>
#include <uv.h>

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
    uv_mutex_t lock;
    ticket *all;
    size_t max;
    uint64_t swept_ms; /* the last full sweep */
};

cpn_tickets *
cpn_tickets_new(size_t max)
{
    cpn_tickets *t = cpn_xcalloc(1, sizeof(*t));

    t->max = max;
    if (uv_mutex_init(&t->lock) != 0)
        abort(); /* glibc's never fails */
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
    uv_mutex_destroy(&t->lock);
    free(t);
}

size_t
cpn_tickets_count(cpn_tickets *t)
{
    size_t n;

    uv_mutex_lock(&t->lock);
    n = HASH_COUNT(t->all);
    uv_mutex_unlock(&t->lock);
    return n;
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

static cpn_rc
put(cpn_tickets *t, const uint8_t key[32], cpn_view body, int64_t ttl_ms, uint64_t now_ms)
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

cpn_rc
cpn_tickets_put(cpn_tickets *t, const uint8_t key[32], cpn_view body, int64_t ttl_ms,
                uint64_t now_ms)
{
    cpn_rc rc;

    uv_mutex_lock(&t->lock);
    rc = put(t, key, body, ttl_ms, now_ms);
    uv_mutex_unlock(&t->lock);
    return rc;
}

void
cpn_tickets_drop(cpn_tickets *t, const uint8_t key[32])
{
    ticket *k;

    uv_mutex_lock(&t->lock);
    if ((k = find(t, key)))
        forget(t, k);
    uv_mutex_unlock(&t->lock);
}

static cpn_rc
take(cpn_tickets *t, const uint8_t key[32], uint64_t now_ms, cpn_buf *out)
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

cpn_rc
cpn_tickets_take(cpn_tickets *t, const uint8_t key[32], uint64_t now_ms, cpn_buf *out)
{
    cpn_rc rc;

    uv_mutex_lock(&t->lock);
    rc = take(t, key, now_ms, out);
    uv_mutex_unlock(&t->lock);
    return rc;
}
