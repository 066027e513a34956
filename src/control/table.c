/* Hashes keys of tables, seeded: who chooses keys cannot choose their buckets. */
#include "control/table.h"

#include <stdint.h>

#include "base/secret.h"

unsigned
cpn_table_hash(const void *key, size_t n)
{
    static uint64_t seed;
    const uint8_t *p = key;
    uint64_t h;

    if (!seed)
        cpn_random(&seed, sizeof(seed));
    seed |= 1;
    h = seed;
    for (size_t i = 0; i < n; i++) {
        h = (h ^ p[i]) * 0x9e3779b97f4a7c15ull;
        h ^= h >> 29;
    }
    h = (h ^ (seed >> 7)) * 0xbf58476d1ce4e5b9ull;
    return (unsigned)(h >> 32);
}
