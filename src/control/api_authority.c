/* The authority's documents, and where device codes and authorization requests begin: under /adfs,
 * and under /{tenant} with /oauth2/v2.0 for newer clients. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "codec/b64url.h"
#include "control/penalties.h"
#include "control/reply.h"
#include "control/signin_core.h"

/* ---- documents ---- */

static void
discovery_show(cpn_call *call)
{
    cpn_reply_json(call, 200, cpn_identity_discovery(call->c->identity, NULL));
}

static void
tenant_discovery_show(cpn_call *call)
{
    if (cpn_signin_tenant(call))
        cpn_reply_json(call, 200,
                       cpn_identity_discovery(call->c->identity, cpn_call_param(call, "tenant")));
}

static void
keys_show(cpn_call *call)
{
    cpn_reply_json(call, 200, cpn_identity_jwks(call->c->identity));
}

static void
tenant_keys_show(cpn_call *call)
{
    if (cpn_signin_tenant(call))
        keys_show(call);
}

/* ---- what both beginnings check ---- */

/* NULL: fine. Else RFC 6749's word, and *sentence. */
static const char *
client_wrong(const cpn_form *form, cpn_flow_ask *ask, const char **sentence)
{
    cpn_view id = cpn_form_get(form, "client_id");

    if (id.n == 0 || !cpn_signin_copy(id, ask->client_id, sizeof(ask->client_id))) {
        *sentence = "client_id is missing or too long";
        return "invalid_request";
    }
    return NULL;
}

static const char *
scope_wrong(const cpn_form *form, cpn_flow_ask *ask, const char **sentence)
{
    if (cpn_signin_copy(cpn_form_get(form, "scope"), ask->scope, sizeof(ask->scope)))
        return NULL;
    *sentence = "the scope is not printable text of <= 1024 bytes";
    return "invalid_scope";
}

static void
oauth_error(cpn_call *call, int status, const char *error, const char *sentence)
{
    cpn_call_note(call, "reason", error);
    cpn_reply_json(call, status,
                   json_pack("{s:s,s:s}", "error", error, "error_description", sentence));
}

/* ---- device codes ---- */

static void
device_answer(cpn_call *call, const cpn_flow *flow, const char *device_code)
{
    const char *base = call->c->set.public_url;
    size_t n = strlen(base);
    json_t *body, *uri;

    while (n && base[n - 1] == '/')
        n--;
    uri = json_sprintf("%.*s/device", (int)n, base);
    body = json_pack("{s:s,s:s,s:O,s:o,s:i,s:i,s:o}", "device_code", device_code, "user_code",
                     flow->user_code, "verification_uri", uri, "verification_uri_complete",
                     json_sprintf("%s?user_code=%s", json_string_value(uri), flow->user_code),
                     "expires_in", CPN_FLOW_DEVICE_S, "interval", CPN_FLOW_INTERVAL_S, "message",
                     json_sprintf("To sign in, use a web browser to open the page %s and enter the "
                                  "code %s to authenticate.",
                                  json_string_value(uri), flow->user_code));
    json_decref(uri);
    cpn_signin_note(call, flow);
    cpn_reply_json(call, 200, body);
}

static void
device_begin(cpn_call *call)
{
    char device_code[CPN_FLOW_SECRET];
    cpn_flow_ask ask = { .device = true };
    const char *error, *sentence = NULL;
    cpn_flow *flow = NULL;
    cpn_rc rc;

    if ((error = client_wrong(&call->form, &ask, &sentence)) != NULL ||
        (error = scope_wrong(&call->form, &ask, &sentence)) != NULL) {
        oauth_error(call, 400, error, sentence);
        return;
    }
    cpn_signin_ask(call, &ask);
    rc = cpn_flow_device(call->c->signin->flows, &ask, cpn_mono_ms(), device_code, &flow);
    if (rc == CPN_DENIED)
        cpn_reply_wait(call, 60);
    else if (rc != CPN_OK)
        cpn_reply_error(call, 503, "limit", "too many sign-ins wait already; try again later",
                        NULL);
    else
        device_answer(call, flow, device_code);
    explicit_bzero(device_code, sizeof(device_code));
}

static void
tenant_device_begin(cpn_call *call)
{
    if (cpn_signin_tenant(call))
        device_begin(call);
}

/* ---- authorization requests ---- */

/* RFC 7636 4.3; plain is not taken (4.2: S256 is mandatory to implement). */
static bool
challenge_read(const cpn_form *q, cpn_flow_ask *ask)
{
    size_t n = 0;

    return cpn_view_is(cpn_form_get(q, "code_challenge_method"), "S256") &&
           cpn_b64url_decode(cpn_form_get(q, "code_challenge"), ask->challenge,
                             sizeof(ask->challenge), &n) == CPN_OK &&
           n == sizeof(ask->challenge);
}

/* What is told to the program itself: RFC 6749 4.1.2.1, OpenID Connect Core 3.1.2.6. */
static const char *
request_wrong(const cpn_form *q, cpn_flow_ask *ask, const char **sentence)
{
    cpn_view mode = cpn_form_get(q, "response_mode");

    ask->form_post = cpn_view_is(mode, "form_post");
    if (!cpn_view_is(cpn_form_get(q, "response_type"), "code")) {
        *sentence = "response_type must be code";
        return "unsupported_response_type";
    }
    if (!challenge_read(q, ask)) {
        *sentence = "PKCE is required: code_challenge with code_challenge_method=S256";
        return "invalid_request";
    }
    if (mode.n && !ask->form_post && !cpn_view_is(mode, "query")) {
        *sentence = "response_mode must be query or form_post";
        return "invalid_request";
    }
    if (!cpn_signin_copy(cpn_form_get(q, "nonce"), ask->nonce, sizeof(ask->nonce))) {
        *sentence = "nonce is too long";
        return "invalid_request";
    }
    if (cpn_view_is(cpn_form_get(q, "prompt"), "none")) {
        *sentence = "a person must be asked, each time";
        return "login_required";
    }
    return scope_wrong(q, ask, sentence);
}

/* What must not be told to an address that the request names: a page says it. */
static const char *
address_wrong(const cpn_call *call, cpn_flow_ask *ask, const char **sentence)
{
    cpn_view uri = cpn_form_get(&call->query, "redirect_uri");
    char origin[CPN_URL_ORIGIN_SIZE];

    if (client_wrong(&call->query, ask, sentence) != NULL)
        return *sentence;
    if (cpn_loopback_check(uri, origin, NULL) != CPN_OK ||
        !cpn_view_copy(uri, ask->redirect_uri, sizeof(ask->redirect_uri)))
        return "redirect_uri must be http://127.0.0.1, http://localhost or http://[::1] with a "
               "port "
               "and a plain path: only programs on your own machine are answered";
    if (!cpn_signin_copy(cpn_form_get(&call->query, "state"), ask->state, sizeof(ask->state)))
        return "state is longer than 512 bytes or not printable";
    return NULL;
}

static void
authorize(cpn_call *call)
{
    cpn_flow_ask ask = { .device = false };
    const char *error, *sentence = NULL;
    uint8_t browser[32];
    cpn_flow *flow = NULL;
    cpn_rc rc;

    if ((error = address_wrong(call, &ask, &sentence)) != NULL) {
        cpn_page_say(call, 400, "This request cannot be answered", error);
        return;
    }
    if ((error = request_wrong(&call->query, &ask, &sentence)) != NULL) {
        cpn_signin_back(call, &ask, NULL, error, sentence);
        return;
    }
    cpn_signin_browser_make(call, browser);
    cpn_signin_ask(call, &ask);
    rc = cpn_flow_authorize(call->c->signin->flows, &ask, browser, cpn_mono_ms(), &flow);
    if (rc == CPN_OK)
        cpn_signin_person_page(call, flow, 200, NULL);
    else if (rc == CPN_DENIED)
        cpn_reply_wait(call, 60);
    else
        cpn_reply_error(call, 503, "limit", "too many sign-ins wait already; try again later",
                        NULL);
}

static void
tenant_authorize(cpn_call *call)
{
    if (cpn_signin_tenant(call))
        authorize(call);
}

#define DOCUMENT CPN_SCOPE_ANYONE, NULL, CPN_BODY_NONE, 0, NULL, CPN_ERRORS_OAUTH
#define PAGE CPN_SCOPE_ANYONE, NULL, CPN_BODY_NONE, 0, NULL, CPN_ERRORS_PAGE
#define FORM CPN_SCOPE_ANYONE, NULL, CPN_BODY_FORM, CPN_BODY_USUAL, "login.device", CPN_ERRORS_OAUTH

const cpn_route cpn_routes_authority[] = {
    { "GET", "/adfs/.well-known/openid-configuration", DOCUMENT, discovery_show },
    { "GET", "/adfs/{tenant}/.well-known/openid-configuration", DOCUMENT, discovery_show },
    { "GET", "/adfs/discovery/keys", DOCUMENT, keys_show },
    { "POST", "/adfs/oauth2/devicecode", FORM, device_begin },
    { "GET", "/adfs/oauth2/authorize", PAGE, authorize },
    { "GET", "/{tenant}/.well-known/openid-configuration", DOCUMENT, tenant_discovery_show },
    { "GET", "/{tenant}/v2.0/.well-known/openid-configuration", DOCUMENT, tenant_discovery_show },
    { "GET", "/{tenant}/discovery/v2.0/keys", DOCUMENT, tenant_keys_show },
    { "POST", "/{tenant}/oauth2/v2.0/devicecode", FORM, tenant_device_begin },
    { "GET", "/{tenant}/oauth2/v2.0/authorize", PAGE, tenant_authorize },
    { 0 },
};
