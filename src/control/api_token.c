/* The OAuth authority under /adfs: discovery, keys, the token endpoint. */
#include <stdio.h>
#include <stdlib.h>

#include "control/accounts.h"
#include "control/penalties.h"
#include "control/reply.h"
#include "control/sshcert.h"
#include "identity/oauth.h"

static void
discovery_show(cpn_call *call)
{
    cpn_reply_json(call, 200, cpn_identity_discovery(call->c->identity));
}

static void
keys_show(cpn_call *call)
{
    cpn_reply_json(call, 200, cpn_identity_jwks(call->c->identity));
}

/* ---- what the endpoint asks of policy ---- */

static const cpn_principal *
by_name(void *owner, cpn_view name)
{
    return cpn_snapshot_principal_by_name(((cpn_control *)owner)->snapshot, name);
}

static const cpn_principal *
by_id(void *owner, cpn_view object_id)
{
    return cpn_snapshot_principal(((cpn_control *)owner)->snapshot, object_id);
}

static const char *
credential(void *owner, const cpn_principal *who)
{
    return cpn_account_phc(((cpn_control *)owner)->snapshot, who->object_id);
}

static void
token_done(void *owner, int status, const json_t *body, const cpn_oauth_outcome *o)
{
    cpn_call *call = owner;
    cpn_control *c = call->c;
    const char *name;
    json_t *value;

    if (o->wrong_secret) {
        cpn_penalty_source(c->penalties, &call->peer, CPN_PENALTY_SECRET);
        if (o->name[0])
            cpn_penalty_name(c->penalties, o->name);
        c->count.penalties++;
    }
    cpn_call_note(call, "grant", o->grant);
    cpn_call_note(call, "userEmail", o->name);
    cpn_call_note(call, "objectId", o->object_id);
    cpn_call_note(call, "reason", o->reason);
    json_object_foreach((json_t *)o->notes, name, value)
        cpn_call_note(call, name, json_string_value(value));
    cpn_reply_json(call, status, json_deep_copy(body));
}

static void
token_issue(cpn_call *call)
{
    cpn_control *c = call->c;
    cpn_oauth oauth = { .identity = c->identity,
                        .by_name = by_name,
                        .by_id = by_id,
                        .credential = credential,
                        .certify = c->ssh_ca ? cpn_sshcert_certify : NULL,
                        .owner = c };
    cpn_view name = cpn_form_get(&call->form, "username");
    char text[257];
    unsigned wait;

    if (!name.p)
        name = cpn_form_get(&call->form, "client_id");
    (void)cpn_view_copy(name, text, sizeof(text));
    wait = cpn_penalty_wait(c->penalties, &call->peer, text[0] ? text : NULL);
    if (wait) {
        cpn_reply_wait(call, wait);
        return;
    }
    cpn_oauth_token(&oauth, &call->form, token_done, call);
}

const cpn_route cpn_routes_token[] = {
    { "GET", "/adfs/.well-known/openid-configuration", CPN_SCOPE_ANYONE, NULL, CPN_BODY_NONE, 0,
      NULL, CPN_ERRORS_API, discovery_show },
    { "GET", "/adfs/{tenant}/.well-known/openid-configuration", CPN_SCOPE_ANYONE, NULL,
      CPN_BODY_NONE, 0, NULL, CPN_ERRORS_API, discovery_show },
    { "GET", "/adfs/discovery/keys", CPN_SCOPE_ANYONE, NULL, CPN_BODY_NONE, 0, NULL, CPN_ERRORS_API,
      keys_show },
    { "POST", "/adfs/oauth2/token", CPN_SCOPE_ANYONE, NULL, CPN_BODY_FORM, CPN_BODY_USUAL,
      "login.token", CPN_ERRORS_OAUTH, token_issue },
    { 0 },
};
