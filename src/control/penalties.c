/* Remembers who tried wrong secrets: sources in a table of fixed size, names in a sketch. */
#include "control/penalties.h"

#include "control/sketch.h"
#include "control/table.h"
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"

#define TOKEN_MS 1000
#define NAME_MAX_BYTES 256

/* Kept in the order of use: uthash's own list, oldest first. */
typedef struct penalty {
    cpn_addr of; /* a source */
    uint64_t until_ms;
    UT_hash_handle hh;
} penalty;

struct cpn_penalties {
    penalty *sources;
    size_t sources_max;
    cpn_sketch *names;
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

    p->sources_max = set->penalty_sources;
    p->names = cpn_sketch_new();
    cpn_penalties_reload(p, set);
    return p;
}

void
cpn_penalties_free(cpn_penalties *p)
{
    penalty *e, *next;

    if (!p)
        return;
    HASH_ITER (hh, p->sources, e, next) {
        HASH_DELETE(hh, p->sources, e);
        free(e);
    }
    cpn_sketch_free(p->names);
    free(p);
}

size_t
cpn_penalties_sources(const cpn_penalties *p)
{
    return HASH_COUNT(p->sources);
}

/* From when a penalty ends to how long is to be waited. */
static unsigned
seconds_left(const cpn_penalties *p, uint64_t until_ms, uint64_t now_ms)
{
    if (until_ms <= now_ms || until_ms - now_ms < p->threshold_ms)
        return 0;
    return (unsigned)((until_ms - now_ms - p->threshold_ms) / 1000 + 1);
}

/* ---- sources ---- */

static penalty *
entry_find(const cpn_penalties *p, const cpn_addr *a)
{
    cpn_addr key = cpn_addr_source(a);
    penalty *e = NULL;

    HASH_FIND(hh, p->sources, &key, sizeof(key), e);
    return e;
}

void
cpn_penalty_source_at(cpn_penalties *p, const cpn_addr *a, cpn_penalty_kind kind, uint64_t now_ms)
{
    uint64_t ms = kind == CPN_PENALTY_TOKEN ? TOKEN_MS : p->secret_ms;
    penalty *e = entry_find(p, a);

    if (e) {
        HASH_DELETE(hh, p->sources, e); /* added again below: the newest last */
    } else if (HASH_COUNT(p->sources) >= p->sources_max) {
        e = p->sources;
        HASH_DELETE(hh, p->sources, e);
        memset(e, 0, sizeof(*e));
    } else {
        e = cpn_xcalloc(1, sizeof(*e));
    }
    e->of = cpn_addr_source(a);
    e->until_ms = CPN_MIN(CPN_MAX(e->until_ms, now_ms) + ms, now_ms + p->cap_ms);
    HASH_ADD(hh, p->sources, of, sizeof(e->of), e);
}

static unsigned
source_left(cpn_penalties *p, const cpn_addr *a, uint64_t now_ms)
{
    penalty *e = entry_find(p, a);

    if (e && e->until_ms <= now_ms) {
        HASH_DELETE(hh, p->sources, e);
        free(e);
        return 0;
    }
    return e ? seconds_left(p, e->until_ms, now_ms) : 0;
}

/* ---- names ---- */

/* As policy compares them: without case. */
static cpn_view
name_key(const char *name, char out[NAME_MAX_BYTES + 1])
{
    int n = snprintf(out, NAME_MAX_BYTES + 1, "%.*s", NAME_MAX_BYTES, name);

    for (int i = 0; i < n; i++)
        if (out[i] >= 'A' && out[i] <= 'Z')
            out[i] = (char)(out[i] + 32);
    return cpn_view_str(out);
}

void
cpn_penalty_name_at(cpn_penalties *p, const char *name, uint64_t now_ms)
{
    char key[NAME_MAX_BYTES + 1];

    cpn_sketch_add(p->names, name_key(name, key), p->secret_ms / CPN_PENALTY_NAME_PART, p->cap_ms,
                   now_ms);
}

static unsigned
name_left(const cpn_penalties *p, const char *name, uint64_t now_ms)
{
    char key[NAME_MAX_BYTES + 1];

    return seconds_left(p, cpn_sketch_until(p->names, name_key(name, key)), now_ms);
}

/* ---- both ---- */

unsigned
cpn_penalty_wait_at(cpn_penalties *p, const cpn_addr *source, const char *name, uint64_t now_ms)
{
    unsigned by_source = source_left(p, source, now_ms);
    unsigned by_name = name ? name_left(p, name, now_ms) : 0;

    return CPN_MAX(by_source, by_name);
}

void
cpn_penalty_source(cpn_penalties *p, const cpn_addr *source, cpn_penalty_kind kind)
{
    cpn_penalty_source_at(p, source, kind, cpn_mono_ms());
}

void
cpn_penalty_name(cpn_penalties *p, const char *name)
{
    cpn_penalty_name_at(p, name, cpn_mono_ms());
}

void
cpn_penalty_wrong(cpn_control *c, const cpn_addr *source, const char *name)
{
    cpn_penalty_source(c->penalties, source, CPN_PENALTY_SECRET);
    if (name && name[0])
        cpn_penalty_name(c->penalties, name);
    c->count.penalties++;
}

unsigned
cpn_penalty_wait(cpn_penalties *p, const cpn_addr *source, const char *name)
{
    return cpn_penalty_wait_at(p, source, name, cpn_mono_ms());
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
