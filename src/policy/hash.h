/* policy/hash.h -- uthash with a hash of our own: its default falls through switch labels in a way
 * that clang refuses. Keys come from administrators only, so the hash needs no secret. Internal to
 * src/policy. */
#ifndef CPN_POLICY_HASH_H
#define CPN_POLICY_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* FNV-1a, then a final mix since tables use the low bits. */
static inline unsigned
cpn_hash_bytes(const void *key, size_t n)
{
    const uint8_t *p = key;
    uint32_t h = 2166136261u;

    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 16777619u;
    h ^= h >> 16;
    h *= 0x85ebca6bu;
    h ^= h >> 13;
    return h;
}

#define HASH_FUNCTION(keyptr, keylen, hashv) ((hashv) = cpn_hash_bytes((keyptr), (keylen)))
#define uthash_fatal(msg) abort()
#include <uthash.h>

#endif
