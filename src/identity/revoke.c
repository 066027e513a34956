/* The revocation endpoint: a refresh token ends, and all that came from the same sign-in. */
#include <stdlib.h>

#include "base/clock.h"
#include "codec/json.h"
#include "identity/identity_core.h"
#include "identity/oauth.h"
#include "identity/refresh.h"

typedef struct call {
    cpn_identity *identity;
    char client_id[CPN_CLIENT_ID_MAX + 1];
    cpn_refresh_grant grant;
    cpn_oauth_done *done;
    void *owner;
} call;

static void
finish(call *c, int status, bool ended)
{
    CPN_AUTO(cpn_json_auto)
    json_t *body = status == 200
                       ? json_object()
                       : json_pack("{s:s,s:s}", "error", "temporarily_unavailable",
                                   "error_description", "the gateway is busy; try again shortly");
    cpn_oauth_outcome outcome = { .ok = ended,
                                  .grant = "refresh_token",
                                  .name = "",
                                  .object_id = ended ? c->grant.object_id : "",
                                  .reason = ended           ? "ok"
                                            : status == 200 ? "unknown"
                                                            : "busy" };

    c->done(c->owner, status, body, &outcome);
    free(c);
}

static void
committed(void *owner, cpn_rc rc, const cpn_err *err)
{
    (void)err;
    finish(owner, rc == CPN_OK ? 200 : 503, rc == CPN_OK);
}

static void
found(void *owner, cpn_rc rc, const cpn_refresh_grant *grant)
{
    call *c = owner;
    cpn_batch *b;

    /* RFC 7009 2.2: an unknown token is as good as revoked. Another client's is its own (2.1), and
     * says no more than an unknown one. */
    if (rc != CPN_OK || strcmp(grant->client_id, c->client_id) != 0) {
        finish(c, rc == CPN_OK || rc == CPN_NOT_FOUND ? 200 : 503, false);
        return;
    }
    c->grant = *grant;
    b = cpn_batch_new();
    cpn_refresh_revoke(b, grant->family, cpn_wall_ms());
    if (cpn_store_commit(c->identity->store, b, committed, c) != CPN_OK)
        finish(c, 503, false);
}

static void
refuse(const char *error, const char *sentence, cpn_oauth_done *done, void *owner)
{
    CPN_AUTO(cpn_json_auto)
    json_t *body = json_pack("{s:s,s:s}", "error", error, "error_description", sentence);

    done(owner, 400, body,
         &(cpn_oauth_outcome){
             .grant = "refresh_token", .name = "", .object_id = "", .reason = "bad_request" });
}

void
cpn_oauth_revoke(cpn_identity *i, const cpn_form *form, cpn_oauth_done *done, void *owner)
{
    cpn_view token = cpn_form_get(form, "token"), id = cpn_form_get(form, "client_id"), head, rest;
    cpn_refresh_ask ask = { .store = i->store,
                            .now_ms = cpn_wall_ms(),
                            .ttl_ms = i->refresh_token_ttl_s * 1000,
                            .done = found,
                            .look = true };
    call *c;
    cpn_rc rc;

    if (token.n == 0 || id.n == 0 || id.n > CPN_CLIENT_ID_MAX) {
        refuse("invalid_request", "token or client_id is missing or too long", done, owner);
        return;
    }
    if (cpn_view_cut(token, '.', &head, &rest)) {
        refuse("unsupported_token_type", "an access token ends by itself, soon", done, owner);
        return;
    }
    c = cpn_xcalloc(1, sizeof(*c));
    c->identity = i;
    c->done = done;
    c->owner = owner;
    if (!cpn_view_copy(id, c->client_id, sizeof(c->client_id)))
        abort(); /* the length was looked at */
    ask.owner = c;
    rc = cpn_refresh_redeem(&ask, token);
    if (rc != CPN_OK)
        finish(c, rc == CPN_NOT_FOUND ? 200 : 503, false);
}
