/* control/oidc.h -- the OpenID Connect provider that proves who people are, and services.
 *
 *     oidc.c          its description and keys: fetched, kept, fetched again
 *     oidc_token.c    what its token endpoint is asked: a code's ID token, a service's secret
 *     external.c      from (issuer, subject) to a principal of ours
 *     api_oidc.c      the browser: away to it, and back at /signin/callback
 *
 * Everything is asked of the one configured issuer, over net/fetch.h. What was good is kept when it
 * does not answer: keys as identity/keycache.h says, its description for a day at most. Nothing of
 * it is asked for a token of ours, so that people who are signed in do not notice when it is down.
 */
#ifndef CPN_CONTROL_OIDC_H
#define CPN_CONTROL_OIDC_H

#include "control/signin.h"
#include "identity/discovery.h"
#include "identity/idtoken.h"
#include "identity/keycache.h"
#include "net/fetch.h"

#define CPN_OIDC_WAITING_MAX 256
#define CPN_OIDC_TRIALS_MAX 4            /* secrets of services asked about at a time */
#define CPN_OIDC_TRIALS_WAITING 64       /* and so many wait for their turn */
#define CPN_OIDC_DESCRIBED_MS 3600000ull /* then the description is fetched again */
#define CPN_OIDC_CODE_MAX 2048
#define CPN_OIDC_VERIFIER 45 /* CPN_B64_SIZE of 32 random bytes */

/* CPN_OK without a provider in the settings: *out is NULL. Reads the client's secret; asks nobody
 * yet. CPN_E_CONF with a sentence. */
cpn_rc cpn_oidc_new(cpn_oidc **out, cpn_control *c, cpn_err *err) CPN_MUST_CHECK;
/* What waits is dropped without its done. NULL is fine. */
void cpn_oidc_free(cpn_oidc *o);

/* CPN_OK: description (and keys, when asked for) may be used until the loop turns. CPN_UNAVAILABLE:
 * it never answered well, or too long ago. */
typedef void cpn_oidc_ready(void *owner, cpn_rc rc, const cpn_discovery *d, const cpn_jwks *keys);
typedef enum cpn_oidc_need {
    CPN_OIDC_DESCRIPTION,
    CPN_OIDC_KEYS,
    CPN_OIDC_NEW_KEYS /* fetched now: a token named an unknown one */
} cpn_oidc_need;
/* done comes once, maybe before this returns. */
void cpn_oidc_prepare(cpn_oidc *o, cpn_oidc_need need, cpn_oidc_ready *done, void *owner);

/* An authorization code for the person's ID token. CPN_OK; CPN_UNAUTHENTICATED: the provider
 * refused the code, or its token was refused here; CPN_UNAVAILABLE; err is for the log. */
typedef void cpn_oidc_person(void *owner, cpn_rc rc, const cpn_idtoken *who, const cpn_err *err);
void cpn_oidc_redeem(cpn_oidc *o, const char *code, const char *verifier, const char *nonce,
                     cpn_oidc_person *done, void *owner);

/* Is this the secret of that client of the provider? may and done as of cpn_credential_check:
 * CPN_OK, CPN_DENIED, CPN_AGAIN, CPN_LIMIT, CPN_UNAVAILABLE; may come before this returns. */
void cpn_oidc_client_check(cpn_oidc *o, const char *client_id, const cpn_secret *secret,
                           cpn_credential_may *may, cpn_credential_done *done, void *owner);
/* Those that wait are forgotten; cpn_oidc_free only. */
void cpn_oidc_trials_free(cpn_oidc *o);

/* Offer it on the sign-in page (signin.h). Once, when control is whole. */
void cpn_oidc_offer(cpn_oidc *o);

/* For the files above. */
struct cpn_oidc {
    cpn_control *c;
    cpn_fetcher *fetcher;
    cpn_secret secret; /* n 0: a public client */
    char redirect_uri[CPN_CONFIG_TEXT + 32];
    char label[CPN_CONFIG_TEXT + 16]; /* of the link on the sign-in page */
    char password_hint[CPN_CONFIG_TEXT + 128];
    cpn_signin_way way;
    cpn_discovery described;
    uint64_t described_ms; /* 0: never */
    cpn_keycache keys;
    struct cpn_oidc_waiter *waiting;
    unsigned waiting_n;
    struct cpn_oidc_trial *trials; /* not begun, the next first */
    unsigned trials_n, trials_running;
    bool fetching, want_keys, tried_description, tried_keys;
};

/* POST to the token endpoint as client (id, secret); form is taken over and gets what the client
 * needs to prove itself. CPN_LIMIT. */
cpn_rc cpn_oidc_post(cpn_oidc *o, const char *client_id, cpn_view secret, CPN_TAKES cpn_buf *form,
                     cpn_fetch_done *done, void *owner) CPN_MUST_CHECK;

#endif
