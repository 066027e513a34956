/* Counts sessions, carriers and requests of each user and bastion. */
#include "control/usage.h"

#include "control/table.h"
#include <stdio.h>
#include <stdlib.h>

typedef struct use {
    char *key; /* "u", "a" or "c" object id, or "b" bastion id, in lower case */
    unsigned ssh;
    unsigned rdp;
    unsigned carriers;
    uint64_t spent; /* of the bucket, in 1/60000 of a request */
    uint64_t updated_ms;
    UT_hash_handle hh;
} use;

struct cpn_usage {
    use *all;
};

cpn_usage *
cpn_usage_new(void)
{
    return cpn_xcalloc(1, sizeof(cpn_usage));
}

static void
use_drop(cpn_usage *u, use *e)
{
    HASH_DELETE(hh, u->all, e);
    free(e->key);
    free(e);
}

void
cpn_usage_free(cpn_usage *u)
{
    use *e, *next;

    if (!u)
        return;
    HASH_ITER (hh, u->all, e, next)
        use_drop(u, e);
    free(u);
}

static use *
use_get(cpn_usage *u, char kind, cpn_view id, bool make)
{
    char key[CPN_ID_MAX + 2];
    size_t n = CPN_MIN(id.n, (size_t)CPN_ID_MAX);
    use *e = NULL;

    key[0] = kind;
    for (size_t i = 0; i < n; i++)
        key[i + 1] = (char)(id.p[i] >= 'A' && id.p[i] <= 'Z' ? id.p[i] + 32 : id.p[i]);
    key[n + 1] = '\0';
    HASH_FIND_STR(u->all, key, e);
    if (e || !make)
        return e;
    e = cpn_xcalloc(1, sizeof(*e));
    e->key = cpn_xstrdup(key);
    HASH_ADD_KEYPTR(hh, u->all, e->key, strlen(e->key), e);
    return e;
}

void
cpn_usage_facts(cpn_usage *u, cpn_facts *facts)
{
    const use *bastion = use_get(u, 'b', facts->bastion_id, false);
    const use *user =
        facts->who ? use_get(u, 'u', cpn_view_str(facts->who->object_id), false) : NULL;

    facts->bastion_ssh_sessions = bastion ? bastion->ssh : 0;
    facts->bastion_rdp_sessions = bastion ? bastion->rdp : 0;
    facts->user_sessions = user ? user->ssh + user->rdp : 0;
}

static void
add(unsigned *n, int change)
{
    if (change > 0)
        *n += (unsigned)change;
    else
        *n -= CPN_MIN(*n, (unsigned)-change);
}

void
cpn_usage_session(cpn_usage *u, const char *object_id, const char *bastion_id,
                  cpn_protocol counts_as, int change)
{
    use *user = use_get(u, 'u', cpn_view_str(object_id), true);
    use *bastion = use_get(u, 'b', cpn_view_str(bastion_id), true);
    bool rdp = counts_as == CPN_PROTOCOL_RDP;

    add(rdp ? &user->rdp : &user->ssh, change);
    add(rdp ? &bastion->rdp : &bastion->ssh, change);
}

cpn_rc
cpn_usage_carrier_take(cpn_usage *u, const char *object_id, unsigned max)
{
    use *user = use_get(u, 'u', cpn_view_str(object_id), true);

    if (user->carriers >= max)
        return CPN_LIMIT;
    user->carriers++;
    return CPN_OK;
}

void
cpn_usage_carrier_give(cpn_usage *u, const char *object_id)
{
    use *user = use_get(u, 'u', cpn_view_str(object_id), false);

    if (user)
        add(&user->carriers, -1);
}

static cpn_rc
spend(use *e, unsigned per_minute, uint64_t now_ms)
{
    uint64_t passed = CPN_MIN(now_ms - e->updated_ms, 60000u);
    uint64_t regained = passed * per_minute;

    e->spent -= CPN_MIN(e->spent, regained);
    e->updated_ms = now_ms;
    if (e->spent + 60000 > (uint64_t)per_minute * 60000)
        return CPN_LIMIT;
    e->spent += 60000;
    return CPN_OK;
}

cpn_rc
cpn_usage_rate(cpn_usage *u, const char *object_id, unsigned per_minute, uint64_t now_ms)
{
    return spend(use_get(u, 'u', cpn_view_str(object_id), true), per_minute, now_ms);
}

cpn_rc
cpn_usage_announced(cpn_usage *u, const char *object_id, unsigned per_minute, uint64_t now_ms)
{
    return spend(use_get(u, 'a', cpn_view_str(object_id), true), per_minute, now_ms);
}

cpn_rc
cpn_usage_certificate(cpn_usage *u, const char *object_id, unsigned per_minute, uint64_t now_ms)
{
    return spend(use_get(u, 'c', cpn_view_str(object_id), true), per_minute, now_ms);
}

void
cpn_usage_sweep(cpn_usage *u, uint64_t now_ms)
{
    use *e, *next;

    HASH_ITER (hh, u->all, e, next) {
        if (!e->ssh && !e->rdp && !e->carriers && now_ms - e->updated_ms > 60000)
            use_drop(u, e);
    }
}

size_t
cpn_usage_count(const cpn_usage *u)
{
    return HASH_COUNT(u->all);
}
