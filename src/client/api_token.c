/* Gets access tokens from the gateway and renews them. */
#include "client/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "client/printable.h"
#include "client/privfile.h"
#include "client/process.h"
#include "codec/form.h"
#include "codec/httpdate.h"

#define LOGIN_SIZE (CPN_URL_ORIGIN_SIZE + 32)
#define REVOKE_PATH "/adfs/oauth2/revoke"
#define REVOKE_MS 5000 /* signing out must not wait for a gateway that is away */
#define LOCK_NAME "renew.lock"

bool
cpn_api_clock(cpn_api *a, const cpn_httpc_reply *reply)
{
    int64_t theirs, ahead;

    if (!a->ctx.key.set ||
        cpn_httpdate_read(cpn_http_header(&reply->head, "date"), &theirs) != CPN_OK)
        return false;
    ahead = cpn_wall_s() - theirs;
    if (llabs(ahead - a->ctx.key.ahead_s) <= CPN_PROOF_WINDOW_S / 2)
        return false;
    a->ctx.key.ahead_s = ahead;
    return true;
}

static cpn_rc
keep_tokens(cpn_api *a, const json_t *answer, cpn_err *err)
{
    const char *access = json_string_value(json_object_get(answer, "access_token"));
    const char *refresh = json_string_value(json_object_get(answer, "refresh_token"));
    const char *type = json_string_value(json_object_get(answer, "token_type"));
    const json_t *in = json_object_get(answer, "expires_in");
    json_int_t seconds =
        json_is_string(in) ? strtoll(json_string_value(in), NULL, 10) : json_integer_value(in);

    if (!access || !access[0] || seconds <= 0 || seconds > 366 * 86400 ||
        cpn_secret_set(&a->ctx.access_token, cpn_view_str(access)) != CPN_OK)
        return cpn_fail(err, CPN_E_PROTO, "the gateway gave no access token");
    a->ctx.expires_s = cpn_wall_s() + seconds;
    /* A gateway that knows nothing of keys. */
    if (!type || strcasecmp(type, "DPoP") != 0)
        cpn_proof_key_wipe(&a->ctx.key);
    if (refresh && cpn_secret_set(&a->ctx.refresh_token, cpn_view_str(refresh)) != CPN_OK)
        return cpn_fail(err, CPN_E_PROTO, "the gateway's refresh token is too long");
    return CPN_OK;
}

/* What a refusal of an OAuth endpoint means; RFC 8628 3.5 for the two that are none. */
static cpn_rc
oauth_refused(int status, const json_t *got, cpn_err *err)
{
    const char *why = json_string_value(json_object_get(got, "error_description"));
    const char *word = json_string_value(json_object_get(got, "error"));

    if (word && strcmp(word, "authorization_pending") == 0)
        return CPN_AGAIN;
    if (status >= 500)
        return cpn_fail(err, CPN_UNAVAILABLE, "the gateway cannot sign anybody in now (status %d)",
                        status);
    if (status == 429 || (word && strcmp(word, "slow_down") == 0))
        return cpn_fail(err, CPN_LIMIT, "%s", why ? why : "too many attempts; wait a little");
    if (status == 404)
        return cpn_fail(err, CPN_NOT_FOUND, "the gateway does not offer this");
    if (word && strcmp(word, "unauthorized_client") == 0)
        return cpn_fail(err, CPN_DENIED, "%s", why ? why : "the gateway refuses this");
    return cpn_fail(err, CPN_UNAUTHENTICATED, "sign-in refused: %s",
                    why    ? why
                    : word ? word
                           : "the gateway does not say why");
}

static cpn_rc
post_form(const cpn_httpc_req *req, cpn_httpc_reply *reply, json_t **got, cpn_err *err)
{
    cpn_rc rc = cpn_httpc_call(req, reply, err);

    if (rc == CPN_OK && reply->body.n > 0)
        *got = json_loadb((const char *)reply->body.p, reply->body.n, 0, NULL);
    return rc;
}

/* Any other refusal would be asked for twice: another wrong password, another early poll. */
static bool
proof_refused(const cpn_httpc_reply *reply, const json_t *got)
{
    const char *word = json_string_value(json_object_get(got, "error"));

    return reply->status == 400 && word && strcmp(word, "invalid_dpop_proof") == 0;
}

cpn_rc
cpn_api_oauth(cpn_api *a, const char *path, cpn_buf *form, json_t **answer, cpn_err *err)
{
    cpn_httpc_req req = { .gateway = &a->url,
                          .ctx = a->tls,
                          .method = "POST",
                          .target = path,
                          .timeout_ms = strcmp(path, REVOKE_PATH) == 0 ? REVOKE_MS : 0,
                          .content_type = "application/x-www-form-urlencoded",
                          .body = cpn_buf_view(form) };
    cpn_httpc_reply reply = { 0 };
    json_auto_t *got = NULL;
    cpn_rc rc;

    if (strcmp(path, CPN_API_TOKEN_PATH) == 0)
        req.key = &a->ctx.key;
    rc = post_form(&req, &reply, &got, err);
    if (rc == CPN_OK && req.key && proof_refused(&reply, got) && cpn_api_clock(a, &reply)) {
        cpn_httpc_reply_fini(&reply);
        reply = (cpn_httpc_reply){ 0 };
        json_decref(cpn_steal(&got));
        rc = post_form(&req, &reply, &got, err);
    }
    cpn_buf_fini(form);
    if (rc != CPN_OK)
        cpn_api_hint_trust(a, err);
    if (rc == CPN_OK && reply.status != 200)
        rc = oauth_refused(reply.status, got, err);
    if (rc == CPN_OK && answer)
        *answer = cpn_steal(&got);
    cpn_httpc_reply_fini(&reply);
    return rc;
}

cpn_rc
cpn_api_token(cpn_api *a, cpn_buf *form, cpn_err *err)
{
    json_auto_t *got = NULL;
    cpn_rc rc = cpn_api_oauth(a, CPN_API_TOKEN_PATH, form, &got, err);

    return rc == CPN_OK ? keep_tokens(a, got, err) : rc;
}

/* By itself login goes where the environment or the last sign-in leads. */
static const char *
login_to(const cpn_api *a, char out[LOGIN_SIZE])
{
    bool named = cpn_args_has(&a->cli->args, "gateway");

    snprintf(out, LOGIN_SIZE, "caponier login%s%s", named ? " --gateway " : "",
             named ? a->origin : "");
    return out;
}

static cpn_rc
sign_in_first(const cpn_api *a, cpn_err *err)
{
    const char *account = cpn_args_get(&a->cli->args, "account");
    char login[LOGIN_SIZE];

    return cpn_fail(err, CPN_UNAUTHENTICATED, "%s%snot signed in at %s; run '%s'",
                    account ? account : "", account ? " is " : "", a->origin, login_to(a, login));
}

static cpn_rc
sign_in_again(const cpn_api *a, cpn_err *err)
{
    char login[LOGIN_SIZE];

    return cpn_fail(err, CPN_UNAUTHENTICATED, "the sign-in at %s has ended; run '%s'", a->origin,
                    login_to(a, login));
}

static bool
fresh(const cpn_context *c)
{
    return c->access_token.n > 0 && c->expires_s - cpn_wall_s() > CPN_TOKEN_SPARE_S;
}

cpn_rc
cpn_api_keep(cpn_api *a, cpn_err *err)
{
    cpn_rc rc = cpn_contexts_put(a->dir, &a->ctx, false, err);

    if (rc != CPN_OK && rc != CPN_NOT_FOUND)
        cpn_say("the renewed sign-in cannot be kept, so the next command may ask for a new one: %s",
                err->msg);
    err->msg[0] = '\0';
    return CPN_OK;
}

static cpn_rc
refresh(cpn_api *a, cpn_err *err)
{
    CPN_AUTO(cpn_process_release) CPN_UNUSED sigset_t before = cpn_process_hold();
    cpn_buf form = { .max = 2 * CPN_SECRET_MAX };
    cpn_rc rc = cpn_form_put(&form, "grant_type", CPN_VIEW_LIT("refresh_token"));

    if (rc == CPN_OK)
        rc = cpn_form_put(&form, "refresh_token", cpn_secret_view(&a->ctx.refresh_token));
    if (rc == CPN_OK)
        rc = cpn_form_put(&form, "client_id", CPN_VIEW_LIT("caponier"));
    if (rc != CPN_OK) {
        cpn_buf_fini(&form);
        return cpn_fail(err, CPN_E_NOMEM, "the token request");
    }
    rc = cpn_api_token(a, &form, err);
    if (rc == CPN_UNAUTHENTICATED)
        return sign_in_again(a, err);
    return rc == CPN_OK ? cpn_api_keep(a, err) : rc;
}

static cpn_rc
take_lock(const cpn_api *a, bool make, int *lock, cpn_err *err)
{
    CPN_AUTO(cpn_auto_fd) int dir = -1;
    cpn_rc rc = cpn_privdir_open(a->dir, make, &dir, err);

    return rc == CPN_OK ? cpn_privfile_lock(dir, LOCK_NAME, lock, err) : rc;
}

/* What stands in the file; how far the clock is off does not stand there. */
static void
take_over(cpn_api *a, cpn_context *now)
{
    now->key.ahead_s = a->ctx.key.ahead_s;
    cpn_context_fini(&a->ctx);
    a->ctx = *now;
    explicit_bzero(now, sizeof(*now));
}

cpn_rc
cpn_api_lock(cpn_api *a, int *lock, cpn_err *err)
{
    cpn_context now = { 0 };
    cpn_rc rc = take_lock(a, false, lock, err);

    if (rc == CPN_OK)
        rc = cpn_contexts_get(a->dir, a->origin, a->ctx.user, &now, err);
    if (rc != CPN_OK)
        return rc;
    take_over(a, &now);
    return CPN_OK;
}

cpn_rc
cpn_api_store(cpn_api *a, cpn_err *err)
{
    CPN_AUTO(cpn_auto_fd) int lock = -1;
    cpn_rc rc = take_lock(a, true, &lock, err);

    return rc == CPN_OK ? cpn_contexts_put(a->dir, &a->ctx, true, err) : rc;
}

static cpn_rc
renew_locked(cpn_api *a, bool always, cpn_err *err)
{
    CPN_AUTO(cpn_auto_fd) int lock = -1;
    CPN_AUTO(cpn_secret_wipe) cpn_secret before = a->ctx.access_token;
    bool changed;
    cpn_rc rc = cpn_api_lock(a, &lock, err);

    if (rc != CPN_OK)
        return rc == CPN_NOT_FOUND ? sign_in_first(a, err) : rc;
    changed = !cpn_ct_eq(cpn_secret_view(&a->ctx.access_token), cpn_secret_view(&before));
    if (fresh(&a->ctx) && (changed || !always))
        return CPN_OK;
    return a->ctx.refresh_token.n ? refresh(a, err) : sign_in_again(a, err);
}

static cpn_rc
tell_gateway(cpn_api *a, cpn_err *err)
{
    cpn_buf form = { .max = 4 * CPN_SECRET_MAX };
    cpn_rc rc = cpn_form_put(&form, "token", cpn_secret_view(&a->ctx.refresh_token));

    if (rc == CPN_OK)
        rc = cpn_form_put(&form, "client_id", CPN_VIEW_LIT("caponier"));
    if (rc == CPN_OK)
        return cpn_api_oauth(a, REVOKE_PATH, &form, NULL, err);
    cpn_buf_fini(&form);
    return cpn_fail(err, CPN_E_NOMEM, "the request");
}

void
cpn_api_disown(cpn_api *a)
{
    cpn_err ignored = { 0 };

    if (a->ctx.refresh_token.n)
        (void)!tell_gateway(a, &ignored);
    cpn_secret_wipe(&a->ctx.refresh_token);
}

cpn_rc
cpn_api_sign_out(cpn_api *a, cpn_err *err)
{
    CPN_AUTO(cpn_auto_fd) int lock = -1;
    cpn_err why = { 0 };
    cpn_rc rc;

    if (!a->ctx.gateway)
        return sign_in_first(a, err);
    rc = cpn_api_lock(a, &lock, err);
    if (rc == CPN_OK)
        rc = cpn_contexts_forget(a->dir, a->origin, a->ctx.user, err);
    if (rc == CPN_NOT_FOUND)
        return sign_in_first(a, err);
    if (rc == CPN_OK && a->ctx.refresh_token.n && tell_gateway(a, &why) != CPN_OK)
        cpn_say("%s could not be told, so a copy of the sign-in would be good until it ends: %s",
                a->origin, why.msg);
    return rc;
}

cpn_rc
cpn_api_renew(cpn_api *a, bool always, cpn_err *err)
{
    cpn_rc rc;

    if (!a->ctx.gateway)
        return sign_in_first(a, err);
    if (fresh(&a->ctx) && !always)
        return CPN_OK;
    /* A service principal has no refresh token: what it holds is good until it ends. */
    if (a->ctx.refresh_token.n == 0)
        return !always && a->ctx.expires_s > cpn_wall_s() ? CPN_OK : sign_in_again(a, err);
    rc = renew_locked(a, always, err);
    /* The old one serves while the gateway cannot give a new one. */
    if (rc == CPN_UNAVAILABLE && !always && a->ctx.expires_s > cpn_wall_s())
        return CPN_OK;
    return rc;
}

bool
cpn_api_stale(const cpn_api *a)
{
    return a->ctx.gateway && a->ctx.refresh_token.n > 0 && !fresh(&a->ctx);
}

void
cpn_api_reload(cpn_api *a)
{
    cpn_context now = { 0 };

    if (!a->ctx.user || cpn_contexts_get(a->dir, a->origin, a->ctx.user, &now, NULL) != CPN_OK)
        return;
    if (now.expires_s > a->ctx.expires_s) {
        take_over(a, &now);
    } else {
        cpn_context_fini(&now);
    }
}
