/* What every sign-in does, and the one by password or secret. */
#include "client/login.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "client/prompt.h"
#include "client/rows.h"
#include "codec/chars.h"
#include "codec/form.h"

cpn_rc
cpn_login_password(const cpn_cli *cli, const char *what, bool is_new, cpn_secret *out, cpn_err *err)
{
    CPN_AUTO(cpn_secret_wipe) cpn_secret again = { 0 };
    const char *file = cpn_args_get(&cli->args, "password-file");
    cpn_rc rc;

    if (file && cpn_args_has(&cli->args, "password-stdin"))
        return cpn_fail(err, CPN_INVALID,
                        "--password-stdin and --password-file exclude each other");
    if (file)
        return cpn_secret_from_file(file, out, err);
    if (cpn_args_has(&cli->args, "password-stdin"))
        return cpn_secret_from_stdin(out, err);
    rc = cpn_ask_secret(what, "--password-stdin or --password-file", out, err);
    if (rc != CPN_OK || !is_new)
        return rc;
    rc = cpn_ask_secret("the same again", "--password-stdin", &again, err);
    if (rc == CPN_OK && !cpn_ct_eq(cpn_secret_view(out), cpn_secret_view(&again)))
        rc = cpn_fail(err, CPN_INVALID, "the two passwords differ");
    return rc;
}

cpn_rc
cpn_login_scope(const cpn_api *a, bool service, cpn_buf *form)
{
    cpn_buf scope = { .max = 512 };
    cpn_rc rc =
        cpn_buf_printf(&scope, "%s/.default%s", a->origin, service ? "" : " offline_access");

    if (rc == CPN_OK)
        rc = cpn_form_put(form, "scope", cpn_buf_view(&scope));
    cpn_buf_fini(&scope);
    return rc;
}

static cpn_rc
make_form(const cpn_api *a, const char *name, bool service, const cpn_secret *password,
          cpn_buf *form)
{
    cpn_rc rc =
        cpn_form_put(form, "grant_type", cpn_view_str(service ? "client_credentials" : "password"));

    if (rc == CPN_OK)
        rc = cpn_form_put(form, "client_id", cpn_view_str(service ? name : CPN_LOGIN_CLIENT));
    if (rc == CPN_OK && !service)
        rc = cpn_form_put(form, "username", cpn_view_str(name));
    if (rc == CPN_OK)
        rc = cpn_form_put(form, service ? "client_secret" : "password", cpn_secret_view(password));
    return rc == CPN_OK ? cpn_login_scope(a, service, form) : rc;
}

/* The path as it stays right when the next command starts elsewhere. */
static cpn_rc
keep_ca(cpn_api *a, cpn_err *err)
{
    const char *ca = cpn_args_get(&a->cli->args, "ca");
    char *full;

    if (!ca)
        return CPN_OK;
    full = realpath(ca, NULL);
    if (!full)
        return cpn_fail(err, CPN_INVALID, "--ca: %s cannot be read", ca);
    if (!cpn_is_utf8(cpn_view_str(full))) {
        free(full);
        return cpn_fail(err, CPN_INVALID, "--ca: the path is not UTF-8, so it cannot be kept");
    }
    free(a->ctx.ca);
    a->ctx.ca = full;
    return CPN_OK;
}

static cpn_rc
keep_identity(cpn_api *a, cpn_err *err)
{
    json_auto_t *who = NULL;
    cpn_rc rc = cpn_api_call(a, "GET", "/v1/whoami", NULL, &who, err);
    const char *name = json_string_value(json_object_get(who, "name"));
    const char *id = json_string_value(json_object_get(who, "objectId"));
    const char *type = json_string_value(json_object_get(who, "type"));
    const char *account = cpn_args_get(&a->cli->args, "account");

    if (rc != CPN_OK)
        return rc;
    if (!name || !id || strlen(name) >= CPN_USER_NAME_SIZE || strlen(id) >= CPN_USER_NAME_SIZE ||
        (type && strlen(type) >= CPN_USER_NAME_SIZE))
        return cpn_fail(err, CPN_E_PROTO, "the gateway does not say who signed in");
    if (account && strcasecmp(account, name) != 0)
        return cpn_fail(err, CPN_DENIED, "it was %s who signed in, not %s; nothing is kept", name,
                        account);
    if (a->ctx.user && strcasecmp(a->ctx.user, name) != 0) { /* somebody else's choice */
        free(a->ctx.subscription);
        a->ctx.subscription = NULL;
    }
    free(a->ctx.user);
    free(a->ctx.object_id);
    free(a->ctx.type);
    a->ctx.user = cpn_xstrdup(name);
    a->ctx.object_id = cpn_xstrdup(id);
    a->ctx.type = type ? cpn_xstrdup(type) : NULL;
    return CPN_OK;
}

/* With one subscription there is nothing to choose. */
static void
choose_subscription(cpn_api *a)
{
    json_auto_t *all = NULL;
    cpn_err ignored = { 0 };
    const char *id;

    if (a->ctx.subscription || cpn_rows_subscriptions(a, &all, &ignored) != CPN_OK)
        return;
    id = json_string_value(json_object_get(json_array_get(all, 0), "subscriptionId"));
    if (json_array_size(all) == 1 && id)
        a->ctx.subscription = cpn_xstrdup(id);
}

/* The tokens are there. */
static cpn_rc
keep(cpn_api *a, cpn_err *err)
{
    cpn_rc rc = keep_ca(a, err);

    if (rc == CPN_OK)
        rc = keep_identity(a, err);
    if (rc != CPN_OK)
        return rc;
    choose_subscription(a);
    a->ctx.gateway = cpn_xstrdup(a->origin);
    if (!a->dir[0])
        return cpn_contexts_dir(a->dir, sizeof(a->dir), err);
    return cpn_api_store(a, err);
}

void
cpn_login_begin(cpn_api *a)
{
    free(a->ctx.gateway); /* nothing is renewed meanwhile */
    a->ctx.gateway = NULL;
    cpn_secret_wipe(&a->ctx.access_token);
    cpn_secret_wipe(&a->ctx.refresh_token);
    cpn_proof_key_make(&a->ctx.key);
}

cpn_rc
cpn_login_keep(cpn_api *a, cpn_err *err)
{
    cpn_rc rc = keep(a, err);

    if (rc != CPN_OK)
        cpn_api_disown(a);
    return rc;
}

cpn_rc
cpn_login_redeem(cpn_api *a, cpn_buf *form, cpn_err *err)
{
    cpn_rc rc = cpn_api_token(a, form, err);

    return rc == CPN_OK ? cpn_login_keep(a, err) : rc;
}

cpn_rc
cpn_login_grant(cpn_api *a, const char *name, bool service, const cpn_secret *password,
                cpn_err *err)
{
    cpn_buf form = { .max = 4 * CPN_SECRET_MAX };

    if (make_form(a, name, service, password, &form) != CPN_OK) {
        cpn_buf_fini(&form);
        return cpn_fail(err, CPN_INVALID, "the name or the password is too long");
    }
    return cpn_login_redeem(a, &form, err);
}
