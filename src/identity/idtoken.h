/* identity/idtoken.h -- the ID token of a provider (OpenID Connect Core 1.0, 2 and 3.1.3.7): its
 * signature and every claim that is relied on. Pure; the time is given.
 *
 * Who somebody is, is (iss, sub) and nothing else: e-mail is never read, the name is for display.
 * iss and aud are compared byte by byte; aud is us alone; azp, when there, is us; the nonce is the
 * one sent; times are integers within CPN_CLAIMS_SKEW_S; at_hash, when there, is that of the access
 * token that came along. sub is 1 to 255 printable ASCII bytes. Groups are a list of strings, or
 * one string; one of another type or too many are a refusal, never a shorter list, since a group
 * may also forbid. */
#ifndef CPN_IDENTITY_IDTOKEN_H
#define CPN_IDENTITY_IDTOKEN_H

#include "identity/jwks.h"

#define CPN_SUBJECT_MAX 255
#define CPN_SHOWN_NAME_MAX 256
#define CPN_EXTERNAL_GROUPS_MAX 512
#define CPN_EXTERNAL_GROUP_BYTES 256

/* What must be so. Borrowed for the call. */
typedef struct cpn_idtoken_rules {
    const char *issuer;
    const char *client_id;
    const char *nonce;      /* "" or NULL refuses every token */
    cpn_view access_token;  /* empty: none came along */
    const char *name_claim; /* "" : none */
    const char *groups_claim;
    int64_t now_s;
} cpn_idtoken_rules;

typedef struct cpn_idtoken {
    char subject[CPN_SUBJECT_MAX + 1];
    char name[CPN_SHOWN_NAME_MAX + 1]; /* untrusted text for display; "" when there is none */
    json_t *groups;                    /* array of strings; empty when the claim is absent */
    int64_t expires_s;
} cpn_idtoken;

/* CPN_NOT_FOUND: no key of the set fits its header (fetch the set again and come back).
 * CPN_UNAUTHENTICATED: err says why, for the log. */
cpn_rc cpn_idtoken_verify(cpn_idtoken *out, cpn_view token, const cpn_jwks *keys,
                          const cpn_idtoken_rules *rules, cpn_err *err) CPN_MUST_CHECK;
/* Also the cleanup function: CPN_AUTO(cpn_idtoken_fini) cpn_idtoken t = { 0 }; */
void cpn_idtoken_fini(cpn_idtoken *t);

#endif
