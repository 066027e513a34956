/* identity/memo.h -- tokens already verified: SHA-256 of the token → what it says.
 *
 * A fixed table of sets; a full set gives up an expired entry, else the one longest in it. Only
 * tokens with a good signature get in, so nobody else can push entries out. */
#ifndef CPN_IDENTITY_MEMO_H
#define CPN_IDENTITY_MEMO_H

#include "identity/identity.h"

#define CPN_MEMO_SETS 4096
#define CPN_MEMO_WAYS 4

typedef struct cpn_memo cpn_memo;

cpn_memo *cpn_memo_new(void);
void cpn_memo_free(cpn_memo *m);
bool cpn_memo_get(const cpn_memo *m, const uint8_t key[32], cpn_claims *out);
void cpn_memo_put(cpn_memo *m, const uint8_t key[32], const cpn_claims *claims, int64_t now_s);
void cpn_memo_clear(cpn_memo *m);

#endif
