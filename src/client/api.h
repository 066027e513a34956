/* client/api.h -- calls to the gateway's API (docs/api.md), signed in or not.
 *
 * Every call is one HTTPS request and blocks until its answer. Codes of a refused call are those of
 * the HTTP status (401 CPN_UNAUTHENTICATED, 403 CPN_DENIED, 404 CPN_NOT_FOUND, 409 CPN_EXISTS,
 * 400 CPN_INVALID, 429 CPN_LIMIT, 503 CPN_UNAVAILABLE), err has the gateway's sentence, and what
 * it says beside (missing roles) is kept in cli->problem. */
#ifndef CPN_CLIENT_API_H
#define CPN_CLIENT_API_H

#include "client/cli.h"
#include "client/contexts.h"
#include "codec/url.h"
#include "net/httpc.h"

#define CPN_API_ANSWER_MAX ((size_t)64 << 20) /* bytes of one answer */
#define CPN_API_PAGES_MAX 200                 /* pages of one list */
#define CPN_API_TOKEN_PATH "/adfs/oauth2/token"
#define CPN_TOKEN_SPARE_S 300 /* a token with less left is renewed first */

typedef struct cpn_api {
    cpn_cli *cli;
    char dir[4096]; /* of the sign-ins; empty when the environment names none */
    cpn_url url;
    char origin[CPN_URL_ORIGIN_SIZE];
    cpn_context ctx; /* ctx.gateway is NULL when the account, or nobody, is signed in there */
    cpn_tls_ctx *tls;
    char *ca;             /* the one file that tls trusts; NULL: what this machine does. Owned */
    cpn_httpc_line *line; /* calls share it; NULL: each has a connection of its own. Borrowed */
    unsigned timeout_ms;  /* of one call; 0: what cpn_httpc_call takes */
} cpn_api;

/* Which gateway, and trust in it; the sign-in is loaded when there is one. No network yet.
 * CPN_INVALID: no gateway is named anywhere, or client.yaml cannot be read. Zero-initialise;
 * release with cpn_api_fini. */
cpn_rc cpn_api_init(cpn_api *a, cpn_cli *cli, cpn_err *err) CPN_MUST_CHECK;
/* The same for a stored sign-in, whatever options and environment say. CPN_NOT_FOUND. */
cpn_rc cpn_api_stored(cpn_api *a, cpn_cli *cli, const char *gateway, const char *account,
                      cpn_err *err) CPN_MUST_CHECK;
void cpn_api_fini(cpn_api *a);
/* cpn_api_init, and an access token that is good for a while; a refresh token is used when needed.
 * CPN_UNAUTHENTICATED: sign in first. */
cpn_rc cpn_api_open(cpn_api *a, cpn_cli *cli, cpn_err *err) CPN_MUST_CHECK;
/* Open, let the command do its work, release: the whole of most commands. */
typedef cpn_rc cpn_api_work(cpn_api *a, cpn_err *err);
cpn_rc cpn_api_with(cpn_cli *cli, cpn_api_work *work, cpn_err *err) CPN_MUST_CHECK;

/* body is borrowed, NULL: none. *answer is a new reference, NULL when the answer is empty; NULL
 * answer: not wanted. */
cpn_rc cpn_api_call(cpn_api *a, const char *method, const char *target, const json_t *body,
                    json_t **answer, cpn_err *err) CPN_MUST_CHECK;
/* GET every page of a list; *answer is {"value":[…]} of all of them. */
cpn_rc cpn_api_list(cpn_api *a, const char *target, json_t **answer, cpn_err *err) CPN_MUST_CHECK;
/* GET the documents of a kind; name NULL: all that the caller may see. */
cpn_rc cpn_api_documents(cpn_api *a, const char *kind, const char *name, json_t **answer,
                         cpn_err *err) CPN_MUST_CHECK;

/* POST a form to an OAuth endpoint; form is wiped. *answer as in cpn_api_call, of any JSON type.
 * CPN_UNAUTHENTICATED: refused; CPN_AGAIN: authorization_pending, without a sentence; CPN_LIMIT:
 * slow_down; CPN_NOT_FOUND: there is no such endpoint; CPN_DENIED: unauthorized_client. */
cpn_rc cpn_api_oauth(cpn_api *a, const char *path, cpn_buf *form, json_t **answer,
                     cpn_err *err) CPN_MUST_CHECK;
/* Have err, if a call failed since this machine does not trust the gateway's certificate, say how a
 * CA of the gateway's own is trusted. Who has named a CA already is not told to take another. */
void cpn_api_hint_trust(const cpn_api *a, cpn_err *err);
/* Forget the sign-in, and tell the gateway, so that nobody can use a copy of its refresh token; a
 * gateway that cannot be told costs a warning. CPN_UNAUTHENTICATED: there is none. */
cpn_rc cpn_api_sign_out(cpn_api *a, cpn_err *err) CPN_MUST_CHECK;
/* End, at the gateway, a sign-in just made that is not kept. */
void cpn_api_disown(cpn_api *a);
/* cpn_api_oauth at the token endpoint; keeps what comes back in a->ctx. */
cpn_rc cpn_api_token(cpn_api *a, cpn_buf *form, cpn_err *err) CPN_MUST_CHECK;
/* One process at a time, since a refresh token works once; and what another one has got meanwhile
 * is as good: a->ctx is read again. *lock ends it when closed. CPN_NOT_FOUND: signed out meanwhile.
 */
cpn_rc cpn_api_lock(cpn_api *a, int *lock, cpn_err *err) CPN_MUST_CHECK;
/* Keep a->ctx, a sign-in just made, as the current one. A renewal of the one before that is under
 * way comes first, and cannot replace it. */
cpn_rc cpn_api_store(cpn_api *a, cpn_err *err) CPN_MUST_CHECK;
/* Keep a->ctx with its new refresh token; err is not NULL. What we hold is good even if it cannot
 * be kept, so that is a warning. */
cpn_rc cpn_api_keep(cpn_api *a, cpn_err *err) CPN_MUST_CHECK;
/* After a refusal of a request that proved the key: true when this machine's clock is off from the
 * gateway's by what made the proof look old or early. From now on proofs allow for it, and the
 * request is worth another try. */
bool cpn_api_clock(cpn_api *a, const cpn_httpc_reply *reply);
/* Is less than CPN_TOKEN_SPARE_S left, and a refresh token there? */
bool cpn_api_stale(const cpn_api *a);
/* Take over what another process has renewed. */
void cpn_api_reload(cpn_api *a);
/* Renew the access token when less than CPN_TOKEN_SPARE_S is left, or always. */
cpn_rc cpn_api_renew(cpn_api *a, bool always, cpn_err *err) CPN_MUST_CHECK;

#endif
