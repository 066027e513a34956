/* identity/identity.h -- who is calling. Tokens in, principals out; tokens for principals.
 *
 * Local provider: users and service principals with argon2id credentials, ES256 access tokens
 * (iss = {public_url}/adfs, aud = public_url, sub/oid = object id, tid, idtyp, appid, upn, iat,
 * nbf, exp, ver 1.0, policy_epoch), JWKS, discovery, refresh tokens (opaque, 256 bits, stored as
 * SHA-256, rotated). The allow-list of algorithms (RS256 PS256 ES256 ES384 EdDSA) is for external
 * providers; for our own tokens only ES256 with our key counts. */
#ifndef CPN_IDENTITY_IDENTITY_H
#define CPN_IDENTITY_IDENTITY_H

#include <jansson.h>
#include <uv.h>

#include "base/secret.h"
#include "codec/proof.h"
#include "model/reason.h"
#include "store/store.h"

struct cpn_principal;
typedef struct cpn_identity cpn_identity;

typedef struct cpn_identity_options {
    const char *public_url; /* https://…; a slash at its end is dropped */
    int64_t access_token_ttl_s;
    int64_t refresh_token_ttl_s;
    const char *state_dir; /* signing key file: STATE/token-key.pem, 0600, made at first start */
    uint32_t password_memory_kib; /* argon2id's for new passwords; 8 at least */
} cpn_identity_options;

/* Opens or makes the signing key and the tenant id. Blocking; start-up only. */
cpn_rc cpn_identity_open(cpn_identity **out, uv_loop_t *loop, cpn_store *store,
                         const cpn_identity_options *o, cpn_err *err) CPN_MUST_CHECK;
/* Of tokens issued from now on. Seconds, both over 0. */
void cpn_identity_lifetimes(cpn_identity *i, int64_t access_token_s, int64_t refresh_token_s);
/* Credential jobs that still wait or run end without their done being called. */
void cpn_identity_free(cpn_identity *i);
const char *cpn_identity_tenant(const cpn_identity *i); /* GUID text */
const char *cpn_identity_issuer(const cpn_identity *i);

/* What a good token says. Borrowed strings live until the next call. */
typedef struct cpn_claims {
    char object_id[40];
    char token_id[40]; /* jti, for the audit */
    int64_t expires_s;
    bool service;
    cpn_thumb key; /* cnf.jkt (RFC 9449 6): only with a proof of this key is the token good */
    uint64_t
        epoch; /* of policy, when its owner was proved: the caller asks whether it counts still */
} cpn_claims;

/* Verify an access token. Remembers SHA-256(token) → claims until expiry (bounded), so that a
 * signature is checked once; cpn_identity_forget_all on an epoch change. CPN_UNAUTHENTICATED with
 * *why (TOKEN_INVALID or TOKEN_EXPIRED). */
cpn_rc cpn_identity_verify(cpn_identity *i, cpn_view token, int64_t now_s, cpn_claims *out,
                           cpn_reason *why, cpn_err *err) CPN_MUST_CHECK;
void cpn_identity_forget_all(cpn_identity *i);

typedef struct cpn_token_facts {
    uint64_t epoch; /* of policy, when its owner was proved */
    cpn_thumb key;  /* that it is good with, token_type is DPoP then; not set: none */
} cpn_token_facts;

/* Sign an access token for a user or service principal; adds to out {access_token, token_type,
 * expires_in, expires_on (digits in a string, as managed identities have it), resource}. */
cpn_rc cpn_identity_issue(cpn_identity *i, const struct cpn_principal *who,
                          const cpn_token_facts *facts, int64_t now_s, json_t *out,
                          cpn_err *err) CPN_MUST_CHECK;
/* id_token and client_info for users, as MSAL reads them. */
typedef struct cpn_id_facts {
    const char *client_id; /* whom the id_token is for */
    const char *nonce;     /* of its authorization request; "": none */
} cpn_id_facts;

cpn_rc cpn_identity_issue_id(cpn_identity *i, const struct cpn_principal *who,
                             const cpn_id_facts *facts, int64_t now_s, json_t *out,
                             cpn_err *err) CPN_MUST_CHECK;

/* Credentials. Hash and check run on a worker thread (argon2id, password_memory, t=3); at most 2 at
 * once, 64 waiting (CPN_LIMIT). done on the loop: CPN_OK, CPN_DENIED. The hash is PHC text. */
typedef void cpn_credential_done(void *owner, cpn_rc rc, const char *phc);
cpn_rc cpn_credential_hash(cpn_identity *i, const cpn_secret *secret, cpn_credential_done *done,
                           void *owner) CPN_MUST_CHECK;
/* Asked on the loop when a check's turn has come: may it still be tried? Of many attempts that were
 * let in together the first wrong ones so keep out the rest. */
typedef bool cpn_credential_may(void *owner);
/* At the start, of each hash that the store keeps: all checks do as much work as the dearest. */
void cpn_credential_kept(cpn_identity *i, const char *phc);
/* phc NULL: an unknown user; the same work is done and CPN_DENIED comes back. may NULL: always;
 * when it says no, done comes with CPN_AGAIN, and nobody learns whether the secret was right. */
cpn_rc cpn_credential_check(cpn_identity *i, const char *phc, const cpn_secret *secret,
                            cpn_credential_may *may, cpn_credential_done *done,
                            void *owner) CPN_MUST_CHECK;

/* Public documents. New references. tenant NULL: the authority {public_url}/adfs; else that of
 * {public_url}/{tenant} with its /oauth2/v2.0 endpoints. The issuer is one, the tokens': /adfs. */
json_t *cpn_identity_discovery(const cpn_identity *i, const char *tenant);
/* Is it this authority's: its GUID, "organizations" or "common"? Without case. */
bool cpn_identity_is_tenant(const cpn_identity *i, const char *tenant);
json_t *cpn_identity_jwks(const cpn_identity *i);

/* The one-time code of the first administrator: made when there is none, printed to the terminal
 * if there is one, else written to STATE/enrolment-code (0600). Valid until used. */
cpn_rc cpn_enrolment_begin(cpn_identity *i, int tty_fd, cpn_err *err) CPN_MUST_CHECK;
/* Constant-time, without case, dashes and spaces; O counts as 0, I and L as 1. At most 10 wrong
 * tries, then a new code is made (and announced again). False when none is open. */
bool cpn_enrolment_check(cpn_identity *i, cpn_view code);
void cpn_enrolment_end(cpn_identity *i);

#endif
