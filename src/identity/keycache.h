/* identity/keycache.h -- when to fetch a provider's keys again, and how long old ones serve. Pure:
 * the caller fetches, and gives the time (monotonic, ms).
 *
 * A set is fresh for what its Cache-Control says, within CPN_KEYS_FRESH_MIN_MS and
 * CPN_KEYS_FRESH_MAX_MS. After that it is fetched again; while the provider does not answer, the
 * last good one serves for CPN_KEYS_STALE_MS more. A token that names an unknown key causes one
 * fetch, and at most one a minute whatever tokens say: made-up kids cost the provider nothing. */
#ifndef CPN_IDENTITY_KEYCACHE_H
#define CPN_IDENTITY_KEYCACHE_H

#include "identity/jwks.h"

#define CPN_KEYS_FRESH_MIN_MS 60000ull
#define CPN_KEYS_FRESH_DEFAULT_MS 3600000ull
#define CPN_KEYS_FRESH_MAX_MS 86400000ull
#define CPN_KEYS_STALE_MS 3600000ull
#define CPN_KEYS_REFETCH_MS 60000ull

typedef struct cpn_keycache {
    cpn_jwks *keys; /* NULL: none yet */
    uint64_t fresh_until_ms;
    uint64_t refetched_ms; /* the last fetch for an unknown kid; 0: never */
} cpn_keycache;

/* Keys that may still be used; NULL: none. */
const cpn_jwks *cpn_keycache_get(const cpn_keycache *c, uint64_t now_ms);
/* They are missing or no longer fresh. */
bool cpn_keycache_due(const cpn_keycache *c, uint64_t now_ms);
/* A token named an unknown key: true, at most once a minute, when it is worth a fetch. */
bool cpn_keycache_unknown(cpn_keycache *c, uint64_t now_ms);
/* A fetch brought these. cache_control: the header's value; empty: none. */
void cpn_keycache_put(cpn_keycache *c, CPN_TAKES cpn_jwks *keys, cpn_view cache_control,
                      uint64_t now_ms);
void cpn_keycache_fini(cpn_keycache *c);

#endif
