/* Remembers verified tokens in a table of fixed size. */
#include "identity/memo.h"

#include <stdlib.h>

typedef struct entry {
    uint8_t key[32];
    cpn_claims claims; /* expires_s 0: free */
} entry;

struct cpn_memo {
    uint8_t oldest[CPN_MEMO_SETS];
    entry set[CPN_MEMO_SETS][CPN_MEMO_WAYS];
};

cpn_memo *
cpn_memo_new(void)
{
    return cpn_xcalloc(1, sizeof(cpn_memo));
}

void
cpn_memo_free(cpn_memo *m)
{
    free(m);
}

static unsigned
set_of(const uint8_t key[32])
{
    return ((unsigned)key[0] << 8 | key[1]) % CPN_MEMO_SETS;
}

bool
cpn_memo_get(const cpn_memo *m, const uint8_t key[32], cpn_claims *out)
{
    const entry *set = m->set[set_of(key)];

    for (unsigned i = 0; i < CPN_MEMO_WAYS; i++) {
        if (set[i].claims.expires_s && memcmp(set[i].key, key, 32) == 0) {
            *out = set[i].claims;
            return true;
        }
    }
    return false;
}

void
cpn_memo_put(cpn_memo *m, const uint8_t key[32], const cpn_claims *claims, int64_t now_s)
{
    unsigned s = set_of(key), way = m->oldest[s];

    for (unsigned i = 0; i < CPN_MEMO_WAYS; i++)
        if (m->set[s][i].claims.expires_s < now_s)
            way = i;
    memcpy(m->set[s][way].key, key, 32);
    m->set[s][way].claims = *claims;
    m->oldest[s] = (uint8_t)((way + 1) % CPN_MEMO_WAYS);
}

void
cpn_memo_clear(cpn_memo *m)
{
    memset(m, 0, sizeof(*m));
}
