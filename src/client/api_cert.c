/* Gets an SSH certificate from the gateway's token endpoint. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "client/process.h"
#include "client/sshid.h"
#include "codec/b64url.h"
#include "codec/form.h"

#define LINUX_SCOPE "https://pas.windows.net/CheckMyAccess/Linux/.default offline_access openid"
#define LIFE_MAX_S 86400

static cpn_rc
put_key(cpn_buf *form, const uint8_t public_key[32])
{
    char x[CPN_B64_SIZE(32)], cnf[128];

    if (!cpn_b64url_encode((cpn_view){ public_key, 32 }, x, sizeof(x)))
        return CPN_E_NOMEM;
    snprintf(cnf, sizeof(cnf), "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"%s\"}", x);
    return cpn_form_put(form, "req_cnf", cpn_view_str(cnf));
}

static cpn_rc
make_form(const cpn_api *a, const uint8_t public_key[32], const char *target, cpn_buf *form,
          cpn_err *err)
{
    const struct {
        const char *name;
        cpn_view value;
    } fields[] = {
        { "grant_type", CPN_VIEW_LIT("refresh_token") },
        { "refresh_token", cpn_secret_view(&a->ctx.refresh_token) },
        { "client_id", CPN_VIEW_LIT("caponier") },
        { "scope", CPN_VIEW_LIT(LINUX_SCOPE) },
        { "token_type", CPN_VIEW_LIT("ssh-cert") },
        { "key_id", CPN_VIEW_LIT("caponier") },
        { "target", cpn_view_str(target) },
    };
    cpn_rc rc = put_key(form, public_key);

    for (size_t i = 0; i < CPN_COUNT(fields) && rc == CPN_OK; i++)
        rc = cpn_form_put(form, fields[i].name, fields[i].value);
    if (rc == CPN_OK)
        return CPN_OK;
    cpn_buf_fini(form);
    return cpn_fail(err, CPN_E_NOMEM, "the certificate request");
}

static cpn_rc
take_certificate(const json_t *answer, cpn_sshid_cert *out, cpn_err *err)
{
    const char *body = json_string_value(json_object_get(answer, "access_token"));
    const char *type = json_string_value(json_object_get(answer, "token_type"));
    json_int_t life = json_integer_value(json_object_get(answer, "expires_in"));

    if (!body || !type || strcmp(type, "ssh-cert") != 0 || life <= 0 || life > LIFE_MAX_S ||
        cpn_b64_decode(cpn_view_str(body), out->blob, sizeof(out->blob), &out->n) != CPN_OK)
        return cpn_fail(err, CPN_E_PROTO, "the gateway gave no SSH certificate");
    out->ends_ns = cpn_boot_ns() + (uint64_t)life * CPN_NS_PER_S;
    return CPN_OK;
}

/* The refresh token that was sent is used up. */
static cpn_rc
keep_refresh(cpn_api *a, const json_t *answer, cpn_err *err)
{
    const char *refresh = json_string_value(json_object_get(answer, "refresh_token"));

    if (!refresh)
        return CPN_OK;
    if (cpn_secret_set(&a->ctx.refresh_token, cpn_view_str(refresh)) != CPN_OK)
        return cpn_fail(err, CPN_E_PROTO, "the gateway's refresh token is too long");
    return cpn_api_keep(a, err);
}

static cpn_rc
ask(cpn_api *a, const uint8_t public_key[32], const char *target, cpn_sshid_cert *out, cpn_err *err)
{
    CPN_AUTO(cpn_process_release) CPN_UNUSED sigset_t before = cpn_process_hold();
    cpn_buf form = { .max = 2 * CPN_SECRET_MAX };
    json_auto_t *answer = NULL;
    cpn_rc rc;

    if (!a->ctx.refresh_token.n)
        return cpn_fail(err, CPN_UNAUTHENTICATED,
                        "identity sign-in needs a person's sign-in, run 'caponier login': "
                        "the secret of a service principal is not kept");
    rc = make_form(a, public_key, target, &form, err);
    if (rc == CPN_OK)
        rc = cpn_api_oauth(a, CPN_API_TOKEN_PATH, &form, &answer, err);
    if (rc == CPN_UNAUTHENTICATED)
        return cpn_ctx(err, rc, "no certificate (run 'caponier login')");
    if (rc == CPN_OK)
        rc = keep_refresh(a, answer, err);
    return rc == CPN_OK ? take_certificate(answer, out, err) : rc;
}

cpn_rc
cpn_api_certificate(cpn_api *a, const uint8_t public_key[32], const char *target,
                    cpn_sshid_cert *out, cpn_err *err)
{
    CPN_AUTO(cpn_auto_fd) int lock = -1;
    cpn_rc rc = cpn_api_lock(a, &lock, err);

    *out = (cpn_sshid_cert){ 0 };
    if (rc == CPN_NOT_FOUND)
        return cpn_fail(err, CPN_UNAUTHENTICATED, "not signed in at %s; run 'caponier login'",
                        a->origin);
    return rc == CPN_OK ? ask(a, public_key, target, out, err) : rc;
}
