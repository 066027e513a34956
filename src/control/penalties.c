/* Remembers who tried wrong secrets, in a table of fixed size. */
#include "control/penalties.h"

#include "control/table.h"
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "codec/digest.h"

#define KEY_BYTES 16 /* of a SHA-256: names have no bound of their own */
#define TOKEN_MS 1000

/* Kept in the order of use: uthash's own list, oldest first. */
typedef struct penalty {
    uint8_t key[KEY_BYTES];
    uint64_t until_ms;
    UT_hash_handle hh;
} penalty;

struct cpn_penalties {
    penalty *all;
    size_t max;
    uint64_t secret_ms;
    uint64_t threshold_ms;
    uint64_t cap_ms;
};

void
cpn_penalties_reload(cpn_penalties *p, const cpn_config *set)
{
    p->secret_ms = set->penalty_wrong_secret;
    p->threshold_ms = set->penalty_threshold;
    p->cap_ms = set->penalty_max;
}

cpn_penalties *
cpn_penalties_new(const cpn_config *set)
{
    cpn_penalties *p = cpn_xcalloc(1, sizeof(*p));

    p->max = set->penalty_sources;
    cpn_penalties_reload(p, set);
    return p;
}

void
cpn_penalties_free(cpn_penalties *p)
{
    penalty *e, *next;

    if (!p)
        return;
    HASH_ITER (hh, p->all, e, next) {
        HASH_DELETE(hh, p->all, e);
        free(e);
    }
    free(p);
}

size_t
cpn_penalties_count(const cpn_penalties *p)
{
    return HASH_COUNT(p->all);
}

static penalty *
entry_find(const cpn_penalties *p, cpn_view key)
{
    uint8_t hash[CPN_SHA256_BYTES];
    penalty *e = NULL;

    cpn_sha256(key, hash);
    HASH_FIND(hh, p->all, hash, KEY_BYTES, e);
    return e;
}

void
cpn_penalty_add(cpn_penalties *p, cpn_view key, uint64_t ms, uint64_t now_ms)
{
    uint8_t hash[CPN_SHA256_BYTES];
    penalty *e = entry_find(p, key);

    if (e) {
        HASH_DELETE(hh, p->all, e); /* added again below: the newest last */
    } else if (HASH_COUNT(p->all) >= p->max) {
        e = p->all;
        HASH_DELETE(hh, p->all, e);
        memset(e, 0, sizeof(*e));
    } else {
        e = cpn_xcalloc(1, sizeof(*e));
    }
    cpn_sha256(key, hash);
    memcpy(e->key, hash, KEY_BYTES);
    e->until_ms = CPN_MIN(CPN_MAX(e->until_ms, now_ms) + ms, now_ms + p->cap_ms);
    HASH_ADD(hh, p->all, key, KEY_BYTES, e);
}

unsigned
cpn_penalty_left(cpn_penalties *p, cpn_view key, uint64_t now_ms)
{
    penalty *e = entry_find(p, key);

    if (!e)
        return 0;
    if (e->until_ms <= now_ms) {
        HASH_DELETE(hh, p->all, e);
        free(e);
        return 0;
    }
    if (e->until_ms - now_ms < p->threshold_ms)
        return 0;
    return (unsigned)((e->until_ms - now_ms - p->threshold_ms) / 1000 + 1);
}

/* "s" and the bytes of the prefix that counts as one source. */
static cpn_view
source_key(const cpn_addr *a, uint8_t out[17])
{
    size_t n = cpn_addr_is_v4(a) ? 16 : 7;

    out[0] = 's';
    memcpy(out + 1, a->b, n);
    return (cpn_view){ out, n + 1 };
}

static cpn_view
name_key(const char *name, char out[258])
{
    int n = snprintf(out, 258, "n%.256s", name);

    for (int i = 1; i < n; i++)
        if (out[i] >= 'A' && out[i] <= 'Z')
            out[i] = (char)(out[i] + 32);
    return cpn_view_str(out);
}

void
cpn_penalty_source(cpn_penalties *p, const cpn_addr *source, cpn_penalty_kind kind)
{
    uint8_t key[17];

    cpn_penalty_add(p, source_key(source, key), kind == CPN_PENALTY_TOKEN ? TOKEN_MS : p->secret_ms,
                    cpn_mono_ms());
}

void
cpn_penalty_name(cpn_penalties *p, const char *name)
{
    char key[258];

    cpn_penalty_add(p, name_key(name, key), p->secret_ms / 5, cpn_mono_ms());
}

unsigned
cpn_penalty_wait(cpn_penalties *p, const cpn_addr *source, const char *name)
{
    uint64_t now = cpn_mono_ms();
    uint8_t key[17];
    char text[258];
    unsigned by_source = cpn_penalty_left(p, source_key(source, key), now);
    unsigned by_name = name ? cpn_penalty_left(p, name_key(name, text), now) : 0;

    return CPN_MAX(by_source, by_name);
}

unsigned
cpn_penalty_token(cpn_penalties *p, const cpn_addr *source, cpn_reason why, const char *where)
{
    char peer[CPN_ADDR_TEXT];
    unsigned wait;

    if (why == CPN_WHY_TOKEN_INVALID)
        cpn_penalty_source(p, source, CPN_PENALTY_TOKEN);
    wait = cpn_penalty_wait(p, source, NULL);
    if (!wait)
        cpn_log(CPN_LOG_INFO, "token.refused", CPN_KV("peer", cpn_addr_text(source, peer)),
                CPN_KV("where", where), CPN_KV("why", cpn_reason_word(why)));
    return wait;
}
