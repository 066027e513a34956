/* The token endpoints: OAuth's under both authorities, revocation, and the managed identity's. */
#include <stdio.h>
#include <stdlib.h>

#include "codec/b64url.h"
#include "control/accounts.h"
#include "control/held.h"
#include "control/oidc.h"
#include "control/penalties.h"
#include "control/reply.h"
#include "control/signin.h"
#include "control/sshcert.h"
#include "control/trail.h"
#include "identity/oauth.h"

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

/* A service with the name that the provider has for it. */
static void
elsewhere(void *owner, const cpn_principal *who, const cpn_secret *secret, cpn_credential_may *may,
          cpn_credential_done *done, void *done_owner)
{
    cpn_control *c = owner;
    const json_t *body =
        cpn_snapshot_document(c->snapshot, CPN_KIND_PRINCIPAL, cpn_view_str(who->object_id));
    const json_t *external = json_object_get(body, "external");

    if (strcmp(cpn_json_string(external, "issuer"), c->set.oidc_issuer) == 0)
        cpn_oidc_client_check(c->oidc, cpn_json_string(external, "subject"), secret, may, done,
                              done_owner);
    else
        done(done_owner, CPN_DENIED, NULL); /* of a provider that was configured once */
}

static bool
may_try(void *owner, const char *name)
{
    const cpn_call *call = owner;

    return !cpn_penalty_wait(call->c->penalties, &call->peer, name);
}

/* As cpn_reply_wait says it. */
static void
wait_add(cpn_call *call, const char *name)
{
    unsigned wait = cpn_penalty_wait(call->c->penalties, &call->peer, name[0] ? name : NULL);
    char text[16];

    snprintf(text, sizeof(text), "%u", CPN_MAX(wait, 1u));
    cpn_call_header(call, "Retry-After", text);
}

/* Tokens that wait for their record. */
typedef struct issued {
    cpn_call *call;
    json_t *body;
} issued;

static void
recorded(void *owner, cpn_rc rc, const cpn_err *err)
{
    issued i = *(issued *)owner;

    free(owner);
    if (rc == CPN_OK) {
        i.call->c->count.commits++;
        cpn_reply_json(i.call, 200, i.body);
        return;
    }
    i.call->c->count.commits_failed++;
    i.call->audited = false;
    json_decref(i.body);
    if (rc == CPN_LIMIT)
        cpn_reply_reason(i.call, CPN_WHY_STORE_FULL);
    else
        cpn_reply_rc(i.call, rc, NULL, err);
}

/* Nobody gets a token whose record cannot be written. */
static void
answer_when_recorded(cpn_call *call, CPN_TAKES json_t *body)
{
    issued *i = cpn_xcalloc(1, sizeof(*i));
    cpn_batch *b = cpn_batch_new();
    cpn_rc rc;

    *i = (issued){ call, body };
    cpn_trail_call_in(b, call, 200);
    if ((rc = cpn_store_commit(call->c->store, b, recorded, i)) != CPN_OK)
        recorded(i, rc, NULL);
}

static void
token_done(void *owner, int status, const json_t *body, const cpn_oauth_outcome *o)
{
    cpn_call *call = owner;
    const char *name;
    json_t *value;

    if (o->wrong_secret)
        cpn_penalty_wrong(call->c, &call->peer, o->name);
    /* A device that polls every 5 s is no event. */
    call->audited = o->waiting;
    cpn_call_note(call, "grant", o->grant);
    cpn_call_note(call, "userEmail", o->name);
    cpn_call_note(call, "objectId", o->object_id);
    cpn_call_note(call, "reason", o->reason);
    json_object_foreach((json_t *)o->notes, name, value)
        cpn_call_note(call, name, json_string_value(value));
    if (status == 401)
        cpn_call_header(call, "WWW-Authenticate", "Basic realm=\"caponier\"");
    if (status == 429)
        wait_add(call, o->name);
    if (status == 503)
        cpn_call_header(call, "Retry-After", "1");
    cpn_call_header(call, "Pragma", "no-cache"); /* RFC 6749 5.1 */
    if (o->ok)
        answer_when_recorded(call, json_deep_copy(body));
    else
        cpn_reply_json(call, status, json_deep_copy(body));
}

/* Whose secret the form tries. Beside a refresh token or a code the client id is a program's, which
 * many people share: its penalty would keep all of them out. */
static cpn_view
tried_name(const cpn_form *form)
{
    cpn_view grant = cpn_form_get(form, "grant_type");

    if (cpn_view_is(grant, "password"))
        return cpn_form_get(form, "username");
    if (cpn_view_is(grant, "client_credentials"))
        return cpn_form_get(form, "client_id");
    return (cpn_view){ NULL, 0 };
}

static void
issue(cpn_call *call, const cpn_form *form)
{
    cpn_control *c = call->c;
    cpn_oauth oauth = { .identity = c->identity,
                        .by_name = by_name,
                        .by_id = by_id,
                        .credential = credential,
                        .may_try = may_try,
                        .elsewhere = c->oidc ? elsewhere : NULL,
                        .password_hint = c->oidc ? c->oidc->password_hint : NULL,
                        .no_passwords = !c->set.oidc_local_passwords,
                        .epoch = cpn_snapshot_epoch(c->snapshot),
                        .certify = c->ssh_ca ? cpn_sshcert_certify : NULL,
                        .owner = c,
                        .flows = cpn_signin_flows(c) };
    char text[257];
    unsigned wait;
    cpn_err err = { 0 };

    (void)cpn_view_copy(tried_name(form), text, sizeof(text));
    wait = cpn_penalty_wait(c->penalties, &call->peer, text[0] ? text : NULL);
    if (wait) {
        cpn_reply_wait(call, wait);
        return;
    }
    if (cpn_held_token(call, &oauth.key, &err) != CPN_OK) {
        cpn_call_note(call, "reason", "key_proof");
        cpn_reply_error(call, 400, "invalid_dpop_proof", err.msg, NULL);
        return;
    }
    cpn_oauth_token(&oauth, form, token_done, call);
}

/* ---- services that prove themselves in a field of the head ---- */

static void
form_add(cpn_form *form, const char *name, cpn_view value)
{
    if (form->fields < CPN_FORM_MAX)
        form->field[form->fields++] = (cpn_form_field){ cpn_view_str(name), value };
}

/* "appId:secret" into the form, which borrows it. */
static bool
service_add(cpn_form *form, cpn_view text)
{
    cpn_view id, secret, said = cpn_form_get(form, "client_id");

    if (!cpn_view_cut(text, ':', &id, &secret) || id.n == 0 || secret.n == 0)
        return false;
    /* RFC 6749 2.3: one way to prove itself, and one client. */
    if (cpn_form_get(form, "client_secret").p || (said.p && !cpn_view_eq(said, id)))
        return false;
    if (!said.p)
        form_add(form, "client_id", id);
    form_add(form, "client_secret", secret);
    return true;
}

/* Of "Basic BASE64" (RFC 7617), into out. */
static bool
basic_read(const char *field, uint8_t *out, size_t size, cpn_view *text)
{
    cpn_view scheme, coded;
    size_t n = 0;

    if (!cpn_view_cut(cpn_view_str(field), ' ', &scheme, &coded) ||
        cpn_b64_decode(coded, out, size, &n) != CPN_OK)
        return false;
    *text = (cpn_view){ out, n };
    return true;
}

static void
token_issue(cpn_call *call)
{
    uint8_t plain[CPN_B64_BYTES(sizeof(call->basic))];
    cpn_view text = { 0 };

    if (call->basic[0] && (!basic_read(call->basic, plain, sizeof(plain), &text) ||
                           !service_add(&call->form, text))) {
        cpn_reply_error(call, 400, "bad_request",
                        "the Authorization field is not well formed, or the form names a client or "
                        "a secret beside it",
                        NULL);
    } else {
        issue(call, &call->form); /* the form is borrowed until this returns, plain with it */
    }
    explicit_bzero(plain, sizeof(plain));
}

static void
tenant_token_issue(cpn_call *call)
{
    if (cpn_signin_tenant(call))
        token_issue(call);
}

/* ---- revocation ---- */

static void
revoked(void *owner, int status, const json_t *body, const cpn_oauth_outcome *o)
{
    cpn_call *call = owner;

    /* Nothing ended: no event. */
    call->audited = !o->ok;
    cpn_call_note(call, "objectId", o->object_id);
    cpn_reply_json(call, status, json_deep_copy(body));
}

static void
token_revoke(cpn_call *call)
{
    cpn_oauth_revoke(call->c->identity, &call->form, revoked, call);
}

static void
tenant_token_revoke(cpn_call *call)
{
    if (cpn_signin_tenant(call))
        token_revoke(call);
}

/* ---- managed identity ---- */

/* The gateway cannot know a machine that shows nothing, so the machine shows the secret of its
 * service principal: in X-IDENTITY-HEADER or secret (IDENTITY_HEADER, MSI_SECRET), or by the user
 * information of MSI_ENDPOINT's URL, which arrives as Basic; that needs Metadata: true, too, since
 * browsers can be made to send it. */
static void
identity_issue(cpn_call *call)
{
    uint8_t plain[CPN_B64_BYTES(sizeof(call->basic))];
    cpn_form form = { .fields = 0 };
    cpn_view text = cpn_view_str(call->identity_header);

    if (!text.n && (!call->metadata || !call->basic[0] ||
                    !basic_read(call->basic, plain, sizeof(plain), &text)))
        text.n = 0;
    if (text.n == 0 || !service_add(&form, text)) {
        cpn_call_note(call, "reason", "no_secret");
        cpn_call_header(call, "WWW-Authenticate", "Basic realm=\"caponier\"");
        cpn_reply_error(call, 401, "unauthenticated",
                        "a service principal's appId:secret is needed in X-IDENTITY-HEADER, or by "
                        "Basic with Metadata: true",
                        NULL);
    } else if (cpn_form_get(&call->form, "resource").n == 0 &&
               cpn_form_get(&call->query, "resource").n == 0) {
        cpn_reply_error(call, 400, "bad_request", "resource is missing", NULL);
    } else {
        form_add(&form, "grant_type", CPN_VIEW_LIT("client_credentials"));
        issue(call, &form);
    }
    explicit_bzero(plain, sizeof(plain));
}

#define MSI "/adfs/oauth2/msi"

const cpn_route cpn_routes_token[] = {
    { "POST", "/adfs/oauth2/token", CPN_SCOPE_ANYONE, NULL, CPN_BODY_FORM, CPN_BODY_USUAL,
      "login.token", CPN_ERRORS_OAUTH, token_issue },
    { "POST", "/{tenant}/oauth2/v2.0/token", CPN_SCOPE_ANYONE, NULL, CPN_BODY_FORM, CPN_BODY_USUAL,
      "login.token", CPN_ERRORS_OAUTH, tenant_token_issue },
    { "POST", "/adfs/oauth2/revoke", CPN_SCOPE_ANYONE, NULL, CPN_BODY_FORM, CPN_BODY_USUAL,
      "logout", CPN_ERRORS_OAUTH, token_revoke },
    { "POST", "/{tenant}/oauth2/v2.0/revoke", CPN_SCOPE_ANYONE, NULL, CPN_BODY_FORM, CPN_BODY_USUAL,
      "logout", CPN_ERRORS_OAUTH, tenant_token_revoke },
    { "GET", MSI, CPN_SCOPE_ANYONE, NULL, CPN_BODY_NONE, 0, "login.identity", CPN_ERRORS_OAUTH,
      identity_issue },
    { "GET", MSI "/", CPN_SCOPE_ANYONE, NULL, CPN_BODY_NONE, 0, "login.identity", CPN_ERRORS_OAUTH,
      identity_issue },
    { "POST", MSI, CPN_SCOPE_ANYONE, NULL, CPN_BODY_FORM, CPN_BODY_USUAL, "login.identity",
      CPN_ERRORS_OAUTH, identity_issue },
    { 0 },
};
