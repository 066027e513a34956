/* Users and service principals: made here, with a credential that nobody ever reads back. */
#include <stdio.h>
#include <stdlib.h>

#include "codec/b64url.h"
#include "control/accounts.h"
#include "control/named.h"
#include "control/penalties.h"
#include "control/publish.h"
#include "control/reply.h"
#include "control/trail.h"

#define WRITE_ACTION "Microsoft.Authorization/principals/write"

typedef struct account {
    cpn_change change;
    cpn_call *call;
    char *phc;
    char object_id[CPN_UUID_TEXT];
    char app_id[CPN_UUID_TEXT]; /* of a service principal */
    char name[321];
    char secret[CPN_B64_SIZE(32)]; /* of a service principal: shown once */
    int status;
} account;

static void
account_free(account *a)
{
    free(a->phc);
    explicit_bzero(a, sizeof(*a));
    free(a);
}

static account *
account_new(cpn_call *call, cpn_rc (*build)(void *, cpn_change *, cpn_err *),
            void (*done)(void *, cpn_rc, const json_t *, const cpn_err *), const char *name)
{
    account *a = cpn_xcalloc(1, sizeof(*a));

    a->call = call;
    a->change = (cpn_change){ .build = build, .done = done, .owner = a, .call = call };
    snprintf(a->name, sizeof(a->name), "%s", name);
    return a;
}

/* The hash is there: now the change. */
static void
account_hashed(void *owner, cpn_rc rc, const char *phc)
{
    account *a = owner;

    if (rc == CPN_OK) {
        a->phc = cpn_xstrdup(phc);
        rc = cpn_publish_ask(a->call->c, &a->change);
        if (rc == CPN_OK)
            return;
    }
    cpn_reply_rc(a->call, rc, NULL, NULL);
    account_free(a);
}

static void
account_hash(account *a, const cpn_secret *secret)
{
    cpn_rc rc = cpn_credential_hash(a->call->c->identity, secret, account_hashed, a);

    if (rc != CPN_OK)
        account_hashed(a, rc, NULL);
}

/* True: it failed and is answered. */
static bool
account_failed(account *a, cpn_rc rc, const json_t *problems, const cpn_err *err)
{
    const char *said = json_string_value(json_array_get(problems, 0));

    if (rc == CPN_OK)
        return false;
    cpn_reply_rc(a->call, rc, said ? said : err ? err->msg : NULL, err);
    account_free(a);
    return true;
}

/* ---- POST /v1/users ---- */

static cpn_rc
user_build(void *owner, cpn_change *change, cpn_err *err)
{
    account *a = owner;
    const char *shown = cpn_json_string(a->call->json, "displayName");
    cpn_rc rc;

    if ((rc = cpn_account_put(change, a->object_id, a->name, shown[0] ? shown : a->name, err)) !=
            CPN_OK ||
        (rc = cpn_account_credential(change, a->object_id, a->phc, err)) != CPN_OK)
        return rc;
    cpn_call_note(a->call, "target", a->name);
    cpn_trail_call_in(change->batch, a->call, 201);
    return CPN_OK;
}

static void
user_done(void *owner, cpn_rc rc, const json_t *problems, const cpn_err *err)
{
    account *a = owner;
    cpn_call *call = a->call;
    const json_t *body;

    if (account_failed(a, rc, problems, err))
        return;
    body = cpn_snapshot_document(call->c->snapshot, CPN_KIND_PRINCIPAL, cpn_view_str(a->object_id));
    cpn_reply_json(
        call, 201,
        json_pack("{s:s,s:s,s:O}", "kind", CPN_KIND_PRINCIPAL, "id", a->object_id, "body", body));
    account_free(a);
}

static void
user_add(cpn_call *call)
{
    static const char *const names[] = { "name", "displayName", "password", NULL };
    CPN_AUTO(cpn_secret_wipe) cpn_secret password = { 0 };
    const char *name = "", *shown = "";
    cpn_err err = { 0 };
    account *a;

    if (cpn_json_only(call->json, "", names, &err) != CPN_OK ||
        cpn_json_get_str(call->json, "", "name", 320, &name, &err) != CPN_OK ||
        cpn_json_opt_str(call->json, "", "displayName", 256, &shown, &err) != CPN_OK ||
        cpn_account_password(call->json, "password", &password, &err) != CPN_OK) {
        cpn_reply_rc(call, CPN_INVALID, err.msg, NULL);
        return;
    }
    a = account_new(call, user_build, user_done, name);
    cpn_account_id(name, a->object_id);
    account_hash(a, &password);
}

/* ---- POST /v1/service-principals ---- */

static cpn_rc
service_build(void *owner, cpn_change *change, cpn_err *err)
{
    account *a = owner;
    CPN_AUTO(cpn_json_auto)
    json_t *body = json_pack("{s:s,s:s,s:s,s:b}", "type", "ServicePrincipal", "name", a->name,
                             "appId", a->app_id, "enabled", 1);
    cpn_rc rc;

    if (cpn_snapshot_principal(change->base, cpn_view_str(a->object_id)))
        return cpn_fail(err, CPN_EXISTS, "this name is taken");
    if ((rc = cpn_change_put(change, CPN_KIND_PRINCIPAL, a->object_id, body, err)) != CPN_OK ||
        (rc = cpn_account_credential(change, a->object_id, a->phc, err)) != CPN_OK)
        return rc;
    cpn_call_note(a->call, "target", a->name);
    cpn_trail_call_in(change->batch, a->call, 201);
    return CPN_OK;
}

static void
service_done(void *owner, cpn_rc rc, const json_t *problems, const cpn_err *err)
{
    account *a = owner;

    if (account_failed(a, rc, problems, err))
        return;
    cpn_reply_json(a->call, 201,
                   json_pack("{s:s,s:s,s:s}", "objectId", a->object_id, "appId", a->app_id,
                             "secret", a->secret));
    account_free(a);
}

static void
service_add(cpn_call *call)
{
    static const char *const names[] = { "name", NULL };
    CPN_AUTO(cpn_secret_wipe) cpn_secret secret = { 0 };
    const char *name = "";
    uint8_t raw[32];
    cpn_err err = { 0 };
    cpn_uuid id;
    account *a;

    if (cpn_json_only(call->json, "", names, &err) != CPN_OK ||
        cpn_json_get_str(call->json, "", "name", 256, &name, &err) != CPN_OK) {
        cpn_reply_rc(call, CPN_INVALID, err.msg, NULL);
        return;
    }
    a = account_new(call, service_build, service_done, name);
    cpn_account_id(name, a->object_id);
    cpn_uuid_new(&id);
    cpn_uuid_text(&id, a->app_id);
    cpn_random(raw, sizeof(raw));
    raw[0] &= 0x7f; /* its text begins with a letter: "-p -x" is no password to az */
    if (!cpn_b64url_encode((cpn_view){ raw, sizeof(raw) }, a->secret, sizeof(a->secret)) ||
        cpn_secret_set(&secret, cpn_view_str(a->secret)) != CPN_OK)
        abort();
    explicit_bzero(raw, sizeof(raw));
    account_hash(a, &secret);
}

/* ---- POST /v1/users/password ---- */

static cpn_rc
password_build(void *owner, cpn_change *change, cpn_err *err)
{
    account *a = owner;
    cpn_rc rc = cpn_account_credential(change, a->object_id, a->phc, err);

    if (rc != CPN_OK)
        return rc;
    cpn_call_note(a->call, "target", a->name);
    cpn_trail_call_in(change->batch, a->call, 204);
    return CPN_OK;
}

static void
password_done(void *owner, cpn_rc rc, const json_t *problems, const cpn_err *err)
{
    account *a = owner;

    if (account_failed(a, rc, problems, err))
        return;
    cpn_reply_json(a->call, 204, NULL);
    account_free(a);
}

static void
password_hash(account *a)
{
    CPN_AUTO(cpn_secret_wipe) cpn_secret password = { 0 };
    cpn_err err = { 0 };

    if (cpn_account_password(a->call->json, "password", &password, &err) != CPN_OK) {
        cpn_reply_rc(a->call, CPN_INVALID, err.msg, NULL);
        account_free(a);
        return;
    }
    account_hash(a, &password);
}

/* The old password was checked. */
static void
password_checked(void *owner, cpn_rc rc, const char *phc)
{
    account *a = owner;

    (void)phc;
    if (rc == CPN_OK) {
        password_hash(a);
        return;
    }
    if (rc == CPN_DENIED) {
        cpn_penalty_wrong(a->call->c, &a->call->peer, a->name);
        cpn_reply_error(a->call, 403, "wrong_password", "the old password is not right", NULL);
    } else if (rc == CPN_AGAIN) {
        cpn_reply_wait(a->call, cpn_penalty_wait(a->call->c->penalties, &a->call->peer, a->name));
    } else {
        cpn_reply_rc(a->call, rc, NULL, NULL);
    }
    account_free(a);
}

static bool
may_try(void *owner)
{
    const account *a = owner;

    return !cpn_penalty_wait(a->call->c->penalties, &a->call->peer, a->name);
}

/* One's own: the old one is asked for. */
static void
password_own(account *a)
{
    CPN_AUTO(cpn_secret_wipe) cpn_secret old = { 0 };
    cpn_call *call = a->call;
    const char *text = cpn_json_string(call->json, "old");
    unsigned wait = cpn_penalty_wait(call->c->penalties, &call->peer, a->name);
    cpn_rc rc;

    if (wait) {
        cpn_reply_wait(call, wait);
        account_free(a);
        return;
    }
    rc = cpn_secret_set(&old, cpn_view_str(text));
    if (rc == CPN_OK)
        rc = cpn_credential_check(call->c->identity,
                                  cpn_account_phc(call->c->snapshot, a->object_id), &old, may_try,
                                  password_checked, a);
    if (rc != CPN_OK)
        password_checked(a, rc, NULL);
}

static void
password_change(cpn_call *call)
{
    static const char *const names[] = { "name", "old", "password", NULL };
    const cpn_principal *who = cpn_call_who(call), *whose = who;
    CPN_AUTO(cpn_secret_wipe) cpn_secret fresh = { 0 };
    const char *name = "", *old = "";
    cpn_err err = { 0 };
    account *a;

    if (cpn_json_only(call->json, "", names, &err) != CPN_OK ||
        cpn_account_password(call->json, "password", &fresh, &err) != CPN_OK ||
        cpn_json_opt_str(call->json, "", "name", 320, &name, &err) != CPN_OK ||
        cpn_json_opt_str(call->json, "", "old", CPN_PASSWORD_MAX, &old, &err) != CPN_OK) {
        cpn_reply_rc(call, CPN_INVALID, err.msg, NULL);
        return;
    }
    if (name[0] && cpn_named_principal(call->c->snapshot, name, &whose) != CPN_OK) {
        cpn_reply_rc(call, CPN_NOT_FOUND, "there is no such user", NULL);
        return;
    }
    if (whose->kind == CPN_PRINCIPAL_GROUP) {
        cpn_reply_rc(call, CPN_INVALID, "a group has no password", NULL);
        return;
    }
    a = account_new(call, password_build, password_done, whose->name);
    snprintf(a->object_id, sizeof(a->object_id), "%s", whose->object_id);
    if (whose == who)
        password_own(a);
    else
        password_hash(a);
}

const cpn_route cpn_routes_users[] = {
    { "POST", "/v1/users", CPN_SCOPE_ROOT, WRITE_ACTION, CPN_BODY_JSON, CPN_BODY_USUAL, "user.add",
      CPN_ERRORS_API, user_add },
    { "POST", "/v1/service-principals", CPN_SCOPE_ROOT, WRITE_ACTION, CPN_BODY_JSON, CPN_BODY_USUAL,
      "service_principal.add", CPN_ERRORS_API, service_add },
    { "POST", "/v1/users/password", CPN_SCOPE_SELF_NAME, WRITE_ACTION, CPN_BODY_JSON,
      CPN_BODY_USUAL, "user.password", CPN_ERRORS_API, password_change },
    { 0 },
};
