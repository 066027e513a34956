/* Signs in by the browser of this machine: an authorization code with PKCE (RFC 7636) comes back on
 * a loopback port (RFC 8252). */
#include <stdio.h>
#include <string.h>

#include "client/browser.h"
#include "client/callback.h"
#include "client/login.h"
#include "client/printable.h"
#include "codec/b64url.h"
#include "codec/digest.h"
#include "codec/form.h"

#define URL_MAX 4096

typedef struct attempt {
    cpn_callback back;
    char verifier[CPN_B64_SIZE(32)];
    char redirect[64];
} attempt;

static cpn_rc
attempt_begin(attempt *t, cpn_err *err)
{
    uint8_t secret[32];
    cpn_rc rc = cpn_callback_open(&t->back, err);

    if (rc != CPN_OK)
        return cpn_fail(err, CPN_NOT_FOUND,
                        "the browser's answer cannot be taken here safely, since this system does "
                        "not say whose local connections are whose, or gives no port");
    cpn_random(secret, sizeof(secret));
    if (!cpn_b64url_encode((cpn_view){ secret, sizeof(secret) }, t->verifier, sizeof(t->verifier)))
        rc = cpn_fail(err, CPN_E_NOMEM, "the verifier");
    explicit_bzero(secret, sizeof(secret));
    snprintf(t->redirect, sizeof(t->redirect), "http://127.0.0.1:%u/", t->back.inlet.port);
    return rc;
}

static void
attempt_end(attempt *t)
{
    cpn_callback_close(&t->back);
    explicit_bzero(t->verifier, sizeof(t->verifier));
}

/* The page that the browser opens. Others may read it in the list of processes: it holds the
 * verifier's hash, and a state that only helps who may call the port. */
static cpn_rc
make_url(const cpn_api *a, const attempt *t, cpn_buf *url, cpn_err *err)
{
    cpn_buf query = { .max = URL_MAX };
    uint8_t digest[CPN_SHA256_BYTES];
    char challenge[CPN_B64_SIZE(sizeof(digest))];
    cpn_rc rc = cpn_form_put(&query, "client_id", CPN_VIEW_LIT(CPN_LOGIN_CLIENT));

    cpn_sha256(cpn_view_str(t->verifier), digest);
    if (!cpn_b64url_encode((cpn_view){ digest, sizeof(digest) }, challenge, sizeof(challenge)))
        rc = CPN_E_NOMEM;
    if (rc == CPN_OK)
        rc = cpn_form_put(&query, "response_type", CPN_VIEW_LIT("code"));
    if (rc == CPN_OK)
        rc = cpn_form_put(&query, "redirect_uri", cpn_view_str(t->redirect));
    if (rc == CPN_OK)
        rc = cpn_form_put(&query, "code_challenge", cpn_view_str(challenge));
    if (rc == CPN_OK)
        rc = cpn_form_put(&query, "code_challenge_method", CPN_VIEW_LIT("S256"));
    if (rc == CPN_OK)
        rc = cpn_form_put(&query, "state", cpn_view_str(t->back.state));
    if (rc == CPN_OK)
        rc = cpn_login_scope(a, false, &query);
    if (rc == CPN_OK)
        rc = cpn_buf_printf(url, "%s/adfs/oauth2/authorize?%.*s", a->origin,
                            CPN_VIEW_ARG(cpn_buf_view(&query)));
    if (rc == CPN_OK)
        rc = cpn_buf_append(url, (cpn_view){ (const uint8_t *)"", 1 });
    cpn_buf_fini(&query);
    return rc == CPN_OK ? rc : cpn_fail(err, CPN_E_NOMEM, "the page's address");
}

static cpn_rc
redeem(cpn_api *a, const attempt *t, const cpn_callback_answer *got, cpn_err *err)
{
    cpn_buf form = { .max = URL_MAX };
    cpn_rc rc;

    if (got->error[0])
        return cpn_fail(err, CPN_UNAUTHENTICATED, "sign-in refused: %s",
                        got->said[0] ? got->said : got->error);
    rc = cpn_form_put(&form, "grant_type", CPN_VIEW_LIT("authorization_code"));
    if (rc == CPN_OK)
        rc = cpn_form_put(&form, "client_id", CPN_VIEW_LIT(CPN_LOGIN_CLIENT));
    if (rc == CPN_OK)
        rc = cpn_form_put(&form, "code", cpn_secret_view(&got->code));
    if (rc == CPN_OK)
        rc = cpn_form_put(&form, "redirect_uri", cpn_view_str(t->redirect));
    if (rc == CPN_OK)
        rc = cpn_form_put(&form, "code_verifier", cpn_view_str(t->verifier));
    if (rc != CPN_OK) {
        cpn_buf_fini(&form);
        return cpn_fail(err, CPN_E_PROTO, "the browser's answer is too long");
    }
    rc = cpn_login_redeem(a, &form, err);
    /* Only a missing browser is a reason for another way. */
    return rc == CPN_NOT_FOUND ? cpn_ctx(err, CPN_E_PROTO, "the gateway, after sign-in") : rc;
}

static cpn_rc
open_and_wait(const cpn_api *a, const char *program, attempt *t, cpn_callback_answer *got,
              cpn_err *err)
{
    cpn_buf url = { .max = URL_MAX };
    pid_t browser = 0;
    cpn_rc rc = make_url(a, t, &url, err);

    if (rc == CPN_OK)
        rc = cpn_browser_start(program, (const char *)url.p, &browser, err);
    if (rc == CPN_OK) {
        cpn_say_plain("Sign in with the browser that opens now. If none does, open this page on "
                      "this machine:");
        cpn_say_plain("%s", (const char *)url.p);
        rc = cpn_callback_wait(&t->back, browser, got, err);
    }
    cpn_buf_fini(&url);
    return rc;
}

cpn_rc
cpn_login_browser(cpn_api *a, cpn_err *err)
{
    cpn_callback_answer got = { 0 };
    attempt t = { .back = CPN_CALLBACK_NONE };
    char program[CPN_PROGRAM_PATH];
    cpn_rc rc = cpn_browser_find(program, err);

    if (rc == CPN_OK)
        rc = attempt_begin(&t, err);
    if (rc == CPN_OK)
        rc = open_and_wait(a, program, &t, &got, err);
    if (rc == CPN_OK)
        rc = redeem(a, &t, &got, err);
    attempt_end(&t);
    explicit_bzero(&got, sizeof(got));
    return rc;
}
