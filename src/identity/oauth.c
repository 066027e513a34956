/* The grants of the token endpoint. */
#include "identity/oauth.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "codec/chars.h"
#include "codec/json.h"
#include "identity/flows.h"
#include "identity/identity_core.h"
#include "identity/refresh.h"
#include "model/resource.h"

#define NAME_MAX_BYTES 256
#define SECRET_MAX_BYTES 1024
#define SCOPE_MAX_BYTES 1024
#define DEVICE_URN "urn:ietf:params:oauth:grant-type:device_code"

typedef enum grant_kind {
    GRANT_NONE,
    GRANT_PASSWORD,
    GRANT_CLIENT,
    GRANT_REFRESH,
    GRANT_CODE,
    GRANT_DEVICE
} grant_kind;

static const char *const grant_names[] = { [GRANT_NONE] = "",
                                           [GRANT_PASSWORD] = "password",
                                           [GRANT_CLIENT] = "client_credentials",
                                           [GRANT_REFRESH] = "refresh_token",
                                           [GRANT_CODE] = "authorization_code",
                                           [GRANT_DEVICE] = "device_code" };

typedef struct call {
    cpn_oauth o;
    grant_kind grant;
    char name[NAME_MAX_BYTES + 1];
    char client_id[CPN_CLIENT_ID_MAX + 1];
    char scope[SCOPE_MAX_BYTES + 1];
    char object_id[40];
    char nonce[CPN_FLOW_NONCE_MAX + 1];
    cpn_refresh_grant refresh;
    char token[CPN_REFRESH_TEXT];
    cpn_ssh_ask ssh;
    char kept[CPN_REFRESH_TEXT]; /* the refresh token that came, until it is used up */
    json_t *notes;
    json_t *answer;
    cpn_oauth_done *done;
    void *owner;
} call;

/* ---- answers ---- */

static void
finish(call *c, int status, json_t *body, const cpn_oauth_outcome *outcome)
{
    c->done(c->owner, status, body, outcome);
    json_decref(body);
    json_decref(c->answer);
    json_decref(c->notes);
    explicit_bzero(c->token, sizeof(c->token));
    explicit_bzero(c->kept, sizeof(c->kept));
    free(c);
}

/* One way to say no: what the peer reads and what the log reads. */
typedef struct refusal {
    int status;
    const char *error;
    const char *description;
    const char *reason;
    bool wrong_secret;
    bool waiting;
} refusal;

static const refusal busy = { 503,
                              "temporarily_unavailable",
                              "the gateway is at one of its limits; try again shortly",
                              "busy",
                              false,
                              false };
static const refusal failed = {
    503, "temporarily_unavailable", "the gateway failed; its log says why", "failed", false, false
};

static const refusal too_many = { .status = 429,
                                  .error = "temporarily_unavailable",
                                  .description = "too many attempts; try again later",
                                  .reason = "too_many_requests" };
static const refusal away = { .status = 503,
                              .error = "temporarily_unavailable",
                              .description = "the identity provider does not answer now; try again "
                                             "shortly",
                              .reason = "provider_away" };

static void
refuse(call *c, const refusal *r)
{
    cpn_oauth_outcome outcome = { .wrong_secret = r->wrong_secret,
                                  .waiting = r->waiting,
                                  .grant = grant_names[c->grant],
                                  .name = c->name,
                                  .object_id = c->object_id,
                                  .reason = r->reason,
                                  .notes = c->notes };

    finish(c, r->status,
           json_pack("{s:s,s:s}", "error", r->error, "error_description", r->description),
           &outcome);
}

static void
refuse_request(call *c, const char *error, const char *description)
{
    refusal r = { 400, error, description, "bad_request", false, false };

    refuse(c, &r);
}

/* The credential or the refresh token is no good; one sentence for each grant, whatever the cause.
 * A refresh token is no guess: 256 bits are not guessed, and those of many people behind one
 * address run out in the same night. */
static void
refuse_secret(call *c, const char *reason)
{
    static const refusal each[] = {
        [GRANT_PASSWORD] = { 400, "invalid_grant", "the user name or password is wrong", NULL, true,
                             false },
        [GRANT_CLIENT] = { 401, "invalid_client", "the client id or secret is wrong", NULL, true,
                           false },
        [GRANT_REFRESH] = { 400, "invalid_grant",
                            "the refresh token is unknown, used up or expired; sign in again", NULL,
                            false, false },
        [GRANT_CODE] = { 400, "invalid_grant",
                         "the code is unknown, used or expired, or was issued to another client, "
                         "redirect URI or verifier; sign in again",
                         NULL, true, false },
        [GRANT_DEVICE] = { 400, "invalid_grant",
                           "the device code is unknown, or was used already; sign in again", NULL,
                           true, false },
    };
    refusal r = each[c->grant];

    r.reason = reason;
    if (c->grant == GRANT_PASSWORD && c->o.password_hint)
        r.description = c->o.password_hint;
    refuse(c, &r);
}

static void
refuse_rc(call *c, cpn_rc rc)
{
    if (rc == CPN_NOT_FOUND)
        refuse_secret(c, "unknown");
    else
        refuse(c, rc == CPN_LIMIT         ? &busy
                  : rc == CPN_AGAIN       ? &too_many
                  : rc == CPN_UNAVAILABLE ? &away
                                          : &failed);
}

/* ---- the form ---- */

static bool
copy_plain(cpn_view v, char *out, size_t size)
{
    out[0] = '\0';
    return cpn_is_plain(v) && cpn_view_copy(v, out, size);
}

static bool
read_form(call *c, const cpn_form *form)
{
    cpn_view grant = cpn_form_get(form, "grant_type");
    cpn_view id = cpn_form_get(form, "client_id"), scope = cpn_form_get(form, "scope");

    for (size_t i = 1; i < CPN_COUNT(grant_names); i++)
        if (cpn_view_is(grant, grant_names[i]))
            c->grant = (grant_kind)i;
    if (cpn_view_is(grant, DEVICE_URN))
        c->grant = GRANT_DEVICE;
    if (c->grant >= GRANT_CODE && !c->o.flows)
        c->grant = GRANT_NONE;
    if (!grant.p || grant.n == 0)
        refuse_request(c, "invalid_request", "grant_type is missing");
    else if (c->grant == GRANT_NONE)
        refuse_request(c, "unsupported_grant_type",
                       "grants are password, client_credentials, refresh_token, "
                       "authorization_code and device_code");
    else if (id.n == 0 || !copy_plain(id, c->client_id, sizeof(c->client_id)))
        refuse_request(c, "invalid_request", "client_id is missing or too long");
    else if (!copy_plain(scope, c->scope, sizeof(c->scope)))
        refuse_request(c, "invalid_scope", "the scope is not printable text of <= 1024 bytes");
    else
        return true;
    return false;
}

/* What the form says about an SSH certificate. */
static bool
read_ssh(call *c, const cpn_form *form)
{
    const char *error;
    cpn_err err = { 0 };

    if (cpn_ssh_ask_read(&c->ssh, form, cpn_view_str(c->scope), &error, &err) != CPN_OK)
        refuse_request(c, error, err.msg);
    else if (c->ssh.wanted && !c->o.certify)
        refuse_request(c, "invalid_request", "this gateway issues no SSH certificates");
    else
        return true;
    return false;
}

/* ---- issuing ---- */

static void
answered(call *c)
{
    cpn_oauth_outcome outcome = { .ok = true,
                                  .grant = grant_names[c->grant],
                                  .name = c->name,
                                  .object_id = c->object_id,
                                  .reason = "ok",
                                  .notes = c->notes };

    if (c->token[0] && json_object_set_new(c->answer, "refresh_token", json_string(c->token)) < 0) {
        refuse(c, &failed);
        return;
    }
    finish(c, 200, cpn_steal(&c->answer), &outcome);
}

static void
refresh_kept(void *owner, cpn_rc rc, const cpn_err *err)
{
    (void)err;
    if (rc == CPN_OK)
        answered(owner);
    else
        refuse_rc(owner, rc == CPN_LIMIT ? rc : CPN_E_STORE);
}

static void
keep_refresh(call *c)
{
    cpn_identity *i = c->o.identity;
    cpn_batch *b = cpn_batch_new();
    cpn_rc rc;

    if (!c->refresh.rotated) {
        memcpy(c->refresh.object_id, c->object_id, sizeof(c->refresh.object_id));
        memcpy(c->refresh.client_id, c->client_id, sizeof(c->refresh.client_id));
        c->refresh.key = c->o.key;
    }
    cpn_refresh_issue(b, &c->refresh, cpn_wall_ms(), i->refresh_token_ttl_s * 1000, c->token);
    if ((rc = cpn_store_commit(i->store, b, refresh_kept, c)) != CPN_OK)
        refuse_rc(c, rc);
}

static void certify(call *c, const cpn_principal *who);

/* The secret was right. Policy is asked again, since the loop has turned since. */
static void
issue(call *c)
{
    const cpn_principal *who = c->o.by_id(c->o.owner, cpn_view_str(c->object_id));
    bool user = who && who->kind == CPN_PRINCIPAL_USER;
    cpn_token_facts facts = { .epoch = c->refresh.epoch };
    int64_t now = cpn_wall_s();
    cpn_rc rc = CPN_OK;

    if (!who || !who->enabled || c->refresh.epoch < who->sign_ins_since) {
        refuse_secret(c, !who || !who->enabled ? "disabled" : "signed_out");
        return;
    }
    if (c->ssh.wanted && !c->answer) {
        certify(c, who);
        return;
    }
    if (!c->answer) {
        c->answer = json_object();
        facts.key = c->refresh.rotated ? c->refresh.key : c->o.key;
        rc = cpn_identity_issue(c->o.identity, who, &facts, now, c->answer, NULL);
    }
    if (rc == CPN_OK && c->scope[0] &&
        json_object_set_new(c->answer, "scope", json_string(c->scope)) < 0)
        rc = CPN_E_NOMEM;
    if (rc == CPN_OK && user && (c->grant == GRANT_REFRESH || cpn_words_have(c->scope, "openid")))
        rc = cpn_identity_issue_id(c->o.identity, who, &(cpn_id_facts){ c->client_id, c->nonce },
                                   now, c->answer, NULL);
    if (rc != CPN_OK)
        refuse_rc(c, rc);
    else if (user && (c->grant == GRANT_REFRESH || cpn_words_have(c->scope, "offline_access")))
        keep_refresh(c);
    else
        answered(c);
}

/* ---- SSH certificates ---- */

static void refresh_redeemed(void *owner, cpn_rc rc, const cpn_refresh_grant *grant);

static void
redeem(call *c, bool look)
{
    cpn_identity *i = c->o.identity;
    cpn_refresh_ask ask = { .store = i->store,
                            .now_ms = cpn_wall_ms(),
                            .ttl_ms = i->refresh_token_ttl_s * 1000,
                            .done = refresh_redeemed,
                            .owner = c,
                            .look = look };
    cpn_rc rc = cpn_refresh_redeem(&ask, cpn_view_str(c->kept));

    if (rc != CPN_OK)
        refuse_rc(c, rc);
    else if (!look)
        explicit_bzero(c->kept, sizeof(c->kept));
}

/* A role is missing: not invalid_grant, upon which clients forget their refresh token. */
static void
refuse_certificate(call *c, const cpn_oauth_cert *cert)
{
    refusal r = { 400, "unauthorized_client", cert->sentence, "role_missing", false, false };

    refusal often = too_many;

    often.description = cert->sentence;
    if (cert->rc == CPN_DENIED)
        refuse(c, &r);
    else if (cert->rc == CPN_AGAIN)
        refuse(c, &often);
    else
        refuse(c, cert->rc == CPN_LIMIT || cert->rc == CPN_UNAVAILABLE ? &busy : &failed);
}

static void
certified(void *owner, const cpn_oauth_cert *cert)
{
    call *c = owner;

    c->notes = json_incref(cert->notes);
    if (cert->rc != CPN_OK) {
        refuse_certificate(c, cert);
        return;
    }
    c->answer = json_pack("{s:s,s:s,s:I}", "token_type", "ssh-cert", "access_token", cert->body,
                          "expires_in", (json_int_t)cert->expires_in);
    if (!c->answer) {
        refuse(c, &failed);
    } else if (c->kept[0]) {
        redeem(c, false);
    } else {
        issue(c);
    }
}

static void
certify(call *c, const cpn_principal *who)
{
    c->o.certify(c->o.owner, who, &c->ssh, certified, c);
}

/* ---- the grants ---- */

static void
credential_checked(void *owner, cpn_rc rc, const char *phc)
{
    call *c = owner;

    (void)phc;
    if (rc == CPN_OK)
        issue(c);
    else if (rc == CPN_DENIED)
        refuse_secret(c, c->object_id[0] ? "wrong_secret" : "unknown");
    else
        refuse_rc(c, rc);
}

static bool
may_still(void *owner)
{
    const call *c = owner;

    return !c->o.may_try || c->o.may_try(c->owner, c->name);
}

static void
check_secret(call *c, cpn_principal_kind kind, cpn_view secret)
{
    const cpn_principal *who = c->o.by_name(c->o.owner, cpn_view_str(c->name));
    CPN_AUTO(cpn_secret_wipe) cpn_secret copy = { .n = 0 };
    const char *phc = NULL;
    cpn_rc rc;

    if (who && who->kind == kind &&
        cpn_view_copy(cpn_view_str(who->object_id), c->object_id, sizeof(c->object_id)) &&
        who->enabled)
        phc = c->o.credential(c->o.owner, who);
    rc = cpn_secret_set(&copy, secret);
    if (rc == CPN_OK && c->object_id[0] && who->enabled && who->external && c->o.elsewhere &&
        kind == CPN_PRINCIPAL_SERVICE) {
        c->o.elsewhere(c->o.owner, who, &copy, may_still, credential_checked, c);
        return;
    }
    if (rc == CPN_OK)
        rc = cpn_credential_check(c->o.identity, phc, &copy, may_still, credential_checked, c);
    if (rc != CPN_OK)
        refuse_rc(c, rc);
}

static void
grant_secret(call *c, const cpn_form *form, bool user)
{
    cpn_view name = cpn_form_get(form, user ? "username" : "client_id");
    cpn_view secret = cpn_form_get(form, user ? "password" : "client_secret");

    if (user && c->o.no_passwords)
        refuse_request(c, "unsupported_grant_type", c->o.password_hint);
    else if (name.n == 0 || !copy_plain(name, c->name, sizeof(c->name)))
        refuse_request(c, "invalid_request",
                       user ? "username is missing or too long"
                            : "client_id is missing or too long");
    else if (!user && secret.n == 0 && cpn_form_get(form, "client_assertion").n > 0)
        refuse_request(c, "invalid_client",
                       "a service proves itself by client_secret here; certificates and federated "
                       "tokens are not taken");
    else if (secret.n == 0 || secret.n > SECRET_MAX_BYTES)
        refuse_request(c, "invalid_request",
                       user ? "password is missing or too long"
                            : "client_secret is missing or too long");
    else
        check_secret(c, user ? CPN_PRINCIPAL_USER : CPN_PRINCIPAL_SERVICE, secret);
}

/* First it is only looked at: whoever it does not belong to uses nothing up. */
static void
refresh_redeemed(void *owner, cpn_rc rc, const cpn_refresh_grant *grant)
{
    call *c = owner;

    if (rc != CPN_OK) {
        refuse_rc(c, rc);
        return;
    }
    c->refresh = *grant;
    memcpy(c->object_id, grant->object_id, sizeof(c->object_id));
    if (strcmp(grant->client_id, c->client_id) != 0)
        refuse_secret(c, "other_client");
    else if (grant->key.set && !cpn_thumb_eq(&grant->key, &c->o.key))
        refuse_secret(c, "other_key");
    else if (c->kept[0] && !c->ssh.wanted)
        redeem(c, false);
    else
        issue(c);
}

static void
grant_refresh(call *c, const cpn_form *form)
{
    cpn_view token = cpn_form_get(form, "refresh_token");

    if (token.n == 0)
        refuse_request(c, "invalid_request", "refresh_token is missing");
    else if (!cpn_view_copy(token, c->kept, sizeof(c->kept)))
        refuse_secret(c, "unknown");
    else
        redeem(c, true);
}

/* ---- what a person approved in a browser ---- */

static void
revoke_given(call *c, const cpn_flow *flow)
{
    cpn_identity *i = c->o.identity;
    cpn_batch *b = cpn_batch_new();

    cpn_refresh_revoke(b, flow->family, cpn_wall_ms());
    if (cpn_store_commit(i->store, b, NULL, NULL) != CPN_OK)
        cpn_log(CPN_LOG_ERROR, "signin.revoke_failed", CPN_KV("family", flow->family));
    else
        cpn_log(CPN_LOG_WARN, "signin.code_reused", CPN_KV("client", c->client_id));
}

static void
given(call *c, cpn_flow *flow)
{
    cpn_uuid family;

    c->refresh.epoch = flow->epoch;
    cpn_uuid_new(&family);
    cpn_uuid_text(&family, c->refresh.family);
    cpn_flow_gave(flow, c->refresh.family);
    memcpy(c->object_id, flow->object_id, sizeof(c->object_id));
    memcpy(c->nonce, flow->ask.nonce, sizeof(c->nonce));
    memcpy(c->scope, flow->ask.scope, sizeof(c->scope)); /* RFC 6749 4.1.3: what was asked then */
    memcpy(c->name, flow->name, sizeof(c->name));
    issue(c);
}

static void
flow_answered(call *c, cpn_flow_answer answer, cpn_flow *flow)
{
    /* RFC 8628 3.5 */
    static const refusal no[] = {
        [CPN_FLOW_PENDING] = { 400, "authorization_pending", "nobody has approved it yet",
                               "pending", false, true },
        [CPN_FLOW_SLOWER] = { 400, "slow_down", "ask less often: wait 5 seconds more", "slow_down",
                              false, true },
        [CPN_FLOW_EXPIRED] = { 400, "expired_token", "the code has expired; sign in again",
                               "expired", false, false },
        [CPN_FLOW_REFUSED] = { 400, "access_denied", "the person said no", "denied", false, false },
    };

    if (answer == CPN_FLOW_GIVEN) {
        given(c, flow);
    } else if (answer == CPN_FLOW_REUSED || answer == CPN_FLOW_BAD) {
        if (answer == CPN_FLOW_REUSED)
            revoke_given(c, flow);
        refuse_secret(c, answer == CPN_FLOW_REUSED ? "reused" : "unknown");
    } else {
        refuse(c, &no[answer]);
    }
}

static void
grant_flow(call *c, const cpn_form *form)
{
    cpn_view code = cpn_form_get(form, "code");
    cpn_flow_proof proof = { code, cpn_form_get(form, "redirect_uri"),
                             cpn_form_get(form, "code_verifier"), c->client_id };
    uint64_t now = cpn_mono_ms();
    cpn_flow *flow = NULL;
    cpn_flow_answer answer;

    if (c->grant == GRANT_DEVICE && cpn_form_get(form, "device_code").p)
        code = cpn_form_get(form, "device_code");
    if (code.n == 0) {
        refuse_request(c, "invalid_request",
                       c->grant == GRANT_CODE ? "code is missing" : "device_code is missing");
        return;
    }
    answer = c->grant == GRANT_DEVICE ? cpn_flow_poll(c->o.flows, code, c->client_id, now, &flow)
                                      : cpn_flow_redeem(c->o.flows, &proof, now, &flow);
    flow_answered(c, answer, flow);
}

void
cpn_oauth_token(const cpn_oauth *o, const cpn_form *form, cpn_oauth_done *done, void *owner)
{
    call *c = cpn_xcalloc(1, sizeof(*c));

    c->o = *o;
    c->refresh.epoch = o->epoch;
    c->done = done;
    c->owner = owner;
    if (!read_form(c, form) || !read_ssh(c, form))
        return;
    if (c->grant >= GRANT_CODE)
        grant_flow(c, form);
    else if (c->grant == GRANT_REFRESH)
        grant_refresh(c, form);
    else
        grant_secret(c, form, c->grant == GRANT_PASSWORD);
}
