/* identity/claims.h -- claims of a token by type and value: a wrong type is never coerced, it is a
 * refusal. For tokens of ours and of providers, after their signature was checked. Pure. */
#ifndef CPN_IDENTITY_CLAIMS_H
#define CPN_IDENTITY_CLAIMS_H

#include <jansson.h>
#include <stdbool.h>

/* How far the clocks of an issuer and of this machine may differ. */
#define CPN_CLAIMS_SKEW_S 60

/* The claim is exactly this string. */
bool cpn_claim_is(const json_t *claims, const char *name, const char *want);
/* A claim that is a time: a positive integer. */
bool cpn_claim_time(const json_t *claims, const char *name, int64_t *out);
/* aud is this and nothing else: one string, or a list of just that string. */
bool cpn_claim_audience(const json_t *claims, const char *want);

#endif
