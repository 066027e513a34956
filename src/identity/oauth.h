/* identity/oauth.h -- the token and the revocation endpoint without HTTP (RFC 6749 4.1.3, 4.3, 4.4,
 * 5, 6; 7636; 8628): a form in, a status and a JSON object out.
 *
 * Grants: password, client_credentials, refresh_token, and what a person approved in a browser:
 * authorization_code, device_code (also by its URN; the code as device_code or code). Any scope is
 * granted, since a token says only who somebody is; offline_access adds a refresh token, openid an
 * id_token. With token_type ssh-cert the access token is an SSH certificate instead. A refresh
 * token is used up only by its own client, with its key, and for a certificate only when there is
 * one: a missing role must not sign anybody out. Unknown users, disabled ones and wrong passwords
 * cost the same and read the same. Who is signed out (a principal's sign_ins_since) while a request
 * is under way gets no token, and no refresh token of before is good any more. A request that
 * proved a key (identity/holder.h) gets tokens that are good with that key only; a refresh token
 * with a key needs the proof again, and passes the key on. Who may try how often is the caller's to
 * decide: each outcome says whether a secret was wrong. */
#ifndef CPN_IDENTITY_OAUTH_H
#define CPN_IDENTITY_OAUTH_H

#include "codec/form.h"
#include "identity/identity.h"
#include "identity/sshask.h"

struct cpn_principal;

/* What became of the wish for an SSH certificate. Borrowed for the call. */
typedef struct cpn_oauth_cert {
    /* CPN_OK; CPN_DENIED: sentence says what is missing; CPN_AGAIN: who asked asks too often, as
     * sentence says; CPN_LIMIT, CPN_UNAVAILABLE: not now; else it failed. */
    cpn_rc rc;
    const char *sentence;
    const char *body; /* base64 */
    int64_t expires_in;
    json_t *notes; /* strings for the audit record, or NULL */
} cpn_oauth_cert;

typedef void cpn_oauth_certified(void *call, const cpn_oauth_cert *cert);

/* What the endpoint asks of policy. Pointers need to live only until the loop turns. */
typedef struct cpn_oauth {
    cpn_identity *identity;
    /* A user's sign-in name or a service principal's appId; NULL: unknown. */
    const struct cpn_principal *(*by_name)(void *owner, cpn_view name);
    const struct cpn_principal *(*by_id)(void *owner, cpn_view object_id);
    /* Its argon2id text; NULL: it has none. */
    const char *(*credential)(void *owner, const struct cpn_principal *who);
    /* Asked when the turn of a password or client secret comes, with the owner of done and the name
     * as sent: may it still be tried? Else 429. NULL: always. */
    bool (*may_try)(void *call, const char *name);
    /* The secret of a service that a provider elsewhere proves, checked there; may and done as of
     * cpn_credential_check, maybe before it returns. NULL: there is no provider. */
    void (*elsewhere)(void *owner, const struct cpn_principal *who, const cpn_secret *secret,
                      cpn_credential_may *may, cpn_credential_done *done, void *done_owner);
    /* What a refused password is answered; NULL: that it is wrong. Lives as long as owner. */
    const char *password_hint;
    bool no_passwords; /* none is taken, right or wrong */
    /* Decide and sign; certified once, maybe before this returns. NULL: there are none. */
    void (*certify)(void *owner, const struct cpn_principal *who, const cpn_ssh_ask *ask,
                    cpn_oauth_certified *certified, void *call);
    uint64_t epoch;          /* of policy, now: by what it says then, secrets are right */
    cpn_thumb key;           /* that this request proved; the tokens are good with it only */
    void *owner;             /* outlives every open call */
    struct cpn_flows *flows; /* NULL: nobody signs in by a browser */
} cpn_oauth;

/* For the audit record (login.ok, login.failed) and for penalties. Lives for the call of done. */
typedef struct cpn_oauth_outcome {
    bool ok;
    bool wrong_secret; /* count it against its source */
    bool waiting;      /* authorization_pending, slow_down: no outcome yet */
    const char *grant; /* "password", "client_credentials", "refresh_token", "device_code", … */
    const char *name;  /* as sent (user name or client id): untrusted, printable, <= 256 bytes */
    const char *object_id; /* "" unless known */
    const char *reason;    /* the log's word: "wrong_secret", "unknown", "disabled", "busy", … */
    const json_t *notes;   /* what a certificate says, for the audit record; or NULL */
} cpn_oauth_outcome;

/* status 200, 400, 401, 429 or 503; body borrowed: tokens, or {"error","error_description"}. The
 * answer needs Cache-Control: no-store. */
typedef void cpn_oauth_done(void *owner, int status, const json_t *body,
                            const cpn_oauth_outcome *outcome);

/* The form is borrowed until this returns. done is called once, maybe before it returns. */
void cpn_oauth_token(const cpn_oauth *o, const cpn_form *form, cpn_oauth_done *done, void *owner);

/* RFC 7009: token is a refresh token; it and all of its family end. 200 also for one that is not
 * known or of another client (outcome->ok is false then); 400 for an access token; 503. */
void cpn_oauth_revoke(cpn_identity *i, const cpn_form *form, cpn_oauth_done *done, void *owner);

#endif
