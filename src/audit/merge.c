/* Counts refusals that come again; windows end in the order in which they began. */
#include "audit/merge.h"

#include <stdlib.h>

#include "codec/digest.h"

/* The key is a digest: any of its bytes are a hash. */
#define HASH_FUNCTION(keyptr, keylen, hashv) memcpy(&(hashv), (keyptr), sizeof(hashv))
#include <uthash.h>

typedef struct window {
    uint8_t key[CPN_SHA256_BYTES];
    uint64_t since_ms;
    unsigned again;
    json_t *record;
    UT_hash_handle hh;
} window;

struct cpn_merge {
    window *all; /* oldest first */
};

cpn_merge *
cpn_merge_new(void)
{
    return cpn_xcalloc(1, sizeof(cpn_merge));
}

static void
drop(cpn_merge *m, window *w)
{
    HASH_DEL(m->all, w);
    json_decref(w->record);
    free(w);
}

void
cpn_merge_free(cpn_merge *m)
{
    if (!m)
        return;
    while (m->all)
        drop(m, m->all);
    free(m);
}

static bool
over(const window *w, uint64_t now_ms)
{
    return now_ms - w->since_ms >= CPN_MERGE_MS;
}

bool
cpn_merge_add(cpn_merge *m, cpn_view key, const json_t *record, uint64_t now_ms)
{
    uint8_t digest[CPN_SHA256_BYTES];
    window *w;

    cpn_sha256(key, digest);
    while (m->all && over(m->all, now_ms) && m->all->again == 0)
        drop(m, m->all);
    HASH_FIND(hh, m->all, digest, sizeof(digest), w);
    if (w && (!over(w, now_ms) || w->again)) {
        w->again++; /* a window that is over but not yet fetched still counts */
        return false;
    }
    if (w)
        drop(m, w);
    if (HASH_COUNT(m->all) >= CPN_MERGE_MAX)
        return true;
    w = cpn_xcalloc(1, sizeof(*w));
    memcpy(w->key, digest, sizeof(digest));
    w->since_ms = now_ms;
    w->record = json_deep_copy(record);
    HASH_ADD(hh, m->all, key, sizeof(w->key), w);
    return true;
}

json_t *
cpn_merge_next(cpn_merge *m, uint64_t now_ms, bool closing)
{
    json_t *record;

    while (m->all && (closing || over(m->all, now_ms))) {
        window *w = m->all;

        record = w->again ? json_incref(w->record) : NULL;
        if (record)
            json_object_set_new(record, "count", json_integer(w->again));
        drop(m, w);
        if (record)
            return record;
    }
    return NULL;
}

uint64_t
cpn_merge_due_ms(const cpn_merge *m)
{
    return m->all ? m->all->since_ms + CPN_MERGE_MS : 0;
}
