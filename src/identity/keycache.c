/* Keeps a provider's keys, and says when to ask for them again. */
#include "identity/keycache.h"

const cpn_jwks *
cpn_keycache_get(const cpn_keycache *c, uint64_t now_ms)
{
    return c->keys && now_ms < c->fresh_until_ms + CPN_KEYS_STALE_MS ? c->keys : NULL;
}

bool
cpn_keycache_due(const cpn_keycache *c, uint64_t now_ms)
{
    return !c->keys || now_ms >= c->fresh_until_ms;
}

bool
cpn_keycache_unknown(cpn_keycache *c, uint64_t now_ms)
{
    if (c->refetched_ms && now_ms - c->refetched_ms < CPN_KEYS_REFETCH_MS)
        return false;
    c->refetched_ms = now_ms ? now_ms : 1;
    return true;
}

static cpn_view
trimmed(cpn_view v)
{
    while (v.n && (v.p[0] == ' ' || v.p[0] == '\t'))
        v = cpn_view_skip(v, 1);
    while (v.n && (v.p[v.n - 1] == ' ' || v.p[v.n - 1] == '\t'))
        v.n--;
    return v;
}

/* max-age of a Cache-Control value (RFC 9111 5.2), within our bounds. */
static uint64_t
fresh_ms(cpn_view cache_control)
{
    uint64_t ms = CPN_KEYS_FRESH_DEFAULT_MS, s;
    cpn_view rest = cache_control, word;
    bool more = rest.n > 0;

    while (more) {
        more = cpn_view_cut(rest, ',', &word, &rest);
        word = trimmed(word);
        if (cpn_view_is_nocase(word, "no-store") || cpn_view_is_nocase(word, "no-cache"))
            return CPN_KEYS_FRESH_MIN_MS;
        if (cpn_view_starts_nocase(word, "max-age="))
            ms = cpn_view_u64(cpn_view_skip(word, 8), CPN_KEYS_FRESH_MAX_MS / 1000, &s)
                     ? s * 1000
                     : CPN_KEYS_FRESH_DEFAULT_MS;
    }
    return CPN_MAX(ms, CPN_KEYS_FRESH_MIN_MS);
}

void
cpn_keycache_put(cpn_keycache *c, cpn_jwks *keys, cpn_view cache_control, uint64_t now_ms)
{
    cpn_jwks_free(c->keys);
    c->keys = keys;
    c->fresh_until_ms = now_ms + fresh_ms(cache_control);
}

void
cpn_keycache_fini(cpn_keycache *c)
{
    cpn_jwks_free(c->keys);
    *c = (cpn_keycache){ .keys = NULL };
}
