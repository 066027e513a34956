/* Remembers who tried wrong secrets, in two tables of fixed size. */
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
    penalty *of[CPN_PENALTY_OF_N];
    size_t max; /* of each */
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
    for (int of = 0; of < CPN_PENALTY_OF_N; of++) {
        HASH_ITER (hh, p->of[of], e, next) {
            HASH_DELETE(hh, p->of[of], e);
            free(e);
        }
    }
    free(p);
}

size_t
cpn_penalties_count(const cpn_penalties *p, cpn_penalty_of of)
{
    return HASH_COUNT(p->of[of]);
}

static penalty *
entry_find(const cpn_penalties *p, cpn_penalty_of of, cpn_view key)
{
    uint8_t hash[CPN_SHA256_BYTES];
    penalty *e = NULL;

    cpn_sha256(key, hash);
    HASH_FIND(hh, p->of[of], hash, KEY_BYTES, e);
    return e;
}

void
cpn_penalty_add(cpn_penalties *p, cpn_penalty_of of, cpn_view key, uint64_t ms, uint64_t now_ms)
{
    uint8_t hash[CPN_SHA256_BYTES];
    penalty *e = entry_find(p, of, key);

    if (e) {
        HASH_DELETE(hh, p->of[of], e); /* added again below: the newest last */
    } else if (HASH_COUNT(p->of[of]) >= p->max) {
        e = p->of[of];
        HASH_DELETE(hh, p->of[of], e);
        memset(e, 0, sizeof(*e));
    } else {
        e = cpn_xcalloc(1, sizeof(*e));
    }
    cpn_sha256(key, hash);
    memcpy(e->key, hash, KEY_BYTES);
    e->until_ms = CPN_MIN(CPN_MAX(e->until_ms, now_ms) + ms, now_ms + p->cap_ms);
    HASH_ADD(hh, p->of[of], key, KEY_BYTES, e);
}

unsigned
cpn_penalty_left(cpn_penalties *p, cpn_penalty_of of, cpn_view key, uint64_t now_ms)
{
    penalty *e = entry_find(p, of, key);

    if (!e)
        return 0;
    if (e->until_ms <= now_ms) {
        HASH_DELETE(hh, p->of[of], e);
        free(e);
        return 0;
    }
    if (e->until_ms - now_ms < p->threshold_ms)
        return 0;
    return (unsigned)((e->until_ms - now_ms - p->threshold_ms) / 1000 + 1);
}

/* The bytes of the prefix that counts as one source. */
static cpn_view
source_key(const cpn_addr *a)
{
    return (cpn_view){ a->b, cpn_addr_is_v4(a) ? 16 : 7 };
}

static cpn_view
name_key(const char *name, char out[257])
{
    int n = snprintf(out, 257, "%.256s", name);

    for (int i = 0; i < n; i++)
        if (out[i] >= 'A' && out[i] <= 'Z')
            out[i] = (char)(out[i] + 32);
    return cpn_view_str(out);
}

void
cpn_penalty_source(cpn_penalties *p, const cpn_addr *source, cpn_penalty_kind kind)
{
    cpn_penalty_add(p, CPN_PENALTY_OF_SOURCE, source_key(source),
                    kind == CPN_PENALTY_TOKEN ? TOKEN_MS : p->secret_ms, cpn_mono_ms());
}

void
cpn_penalty_name(cpn_penalties *p, const char *name)
{
    char key[257];

    cpn_penalty_add(p, CPN_PENALTY_OF_NAME, name_key(name, key), p->secret_ms / 5, cpn_mono_ms());
}

unsigned
cpn_penalty_wait(cpn_penalties *p, const cpn_addr *source, const char *name)
{
    uint64_t now = cpn_mono_ms();
    char key[257];
    unsigned by_source = cpn_penalty_left(p, CPN_PENALTY_OF_SOURCE, source_key(source), now);
    unsigned by_name =
        name ? cpn_penalty_left(p, CPN_PENALTY_OF_NAME, name_key(name, key), now) : 0;

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
