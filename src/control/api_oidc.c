/* A person's browser goes to the provider, and comes back with a code: GET /signin/callback. */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "codec/b64url.h"
#include "codec/digest.h"
#include "control/external.h"
#include "control/oidc.h"
#include "control/reply.h"
#include "control/signin.h"

#define STATE_MAX (CPN_FLOW_ID + CPN_OIDC_VERIFIER)
#define SENTENCE_MAX 512

/* A browser on its way; its flow is looked up again after every wait. */
typedef struct trip {
    cpn_oidc *o;
    cpn_call *call;
    char flow[CPN_FLOW_ID];
    char subject[CPN_SUBJECT_MAX + 1];
} trip;

static trip *
trip_new(cpn_oidc *o, cpn_call *call, const cpn_flow *flow)
{
    trip *t = cpn_xcalloc(1, sizeof(*t));

    t->o = o;
    t->call = call;
    memcpy(t->flow, flow->id, sizeof(t->flow));
    return t;
}

/* The trip ends: freed, and its flow returned; NULL: it is over, and the call is answered. */
static cpn_flow *
trip_end(trip *t, cpn_oidc **o, cpn_call **call)
{
    cpn_flow *flow = cpn_signin_flow(t->call, cpn_view_str(t->flow));

    *o = t->o;
    *call = t->call;
    free(t);
    if (!flow)
        cpn_signin_lost(*call);
    return flow;
}

static void
refuse(cpn_call *call, const cpn_flow *flow, int status, const char *reason, const char *sentence)
{
    cpn_call_note(call, "reason", reason);
    cpn_signin_refused(call, flow, status, sentence);
}

static void
refuse_away(const cpn_oidc *o, cpn_call *call, const cpn_flow *flow)
{
    char text[SENTENCE_MAX];

    snprintf(
        text, sizeof(text),
        "%s does not answer the gateway now. Try again shortly; who is signed in already stays "
        "signed in.",
        o->c->set.oidc_label);
    refuse(call, flow, 503, "provider_away", text);
}

/* ---- away ---- */

static void
random_text(char out[CPN_OIDC_VERIFIER])
{
    uint8_t bytes[32];

    cpn_random(bytes, sizeof(bytes));
    if (!cpn_b64url_encode((cpn_view){ bytes, sizeof(bytes) }, out, CPN_OIDC_VERIFIER))
        abort(); /* the sizes are right */
    explicit_bzero(bytes, sizeof(bytes));
}

static cpn_rc
put(cpn_buf *url, const char *name, const char *value)
{
    cpn_rc rc = cpn_buf_printf(url, "&%s=", name);

    return rc == CPN_OK ? cpn_percent_put(url, cpn_view_str(value)) : rc;
}

/* What the browser is sent to; external keeps what must come back. */
static cpn_rc
compose(const cpn_oidc *o, const cpn_discovery *d, const cpn_flow *flow, json_t *external,
        cpn_buf *url)
{
    const cpn_config *set = &o->c->set;
    const char *verifier = cpn_json_string(external, "verifier");
    char challenge[CPN_OIDC_VERIFIER], state[STATE_MAX + 2];
    uint8_t digest[CPN_SHA256_BYTES];
    cpn_rc rc;

    cpn_sha256(cpn_view_str(verifier), digest);
    if (!cpn_b64url_encode((cpn_view){ digest, sizeof(digest) }, challenge, sizeof(challenge)))
        abort();
    snprintf(state, sizeof(state), "%s.%s", flow->id, cpn_json_string(external, "state"));
    if ((rc = cpn_buf_printf(url, "%s%cresponse_type=code", d->authorization_endpoint,
                             strchr(d->authorization_endpoint, '?') ? '&' : '?')) ||
        (rc = put(url, "client_id", set->oidc_client_id)) ||
        (rc = put(url, "redirect_uri", o->redirect_uri)) ||
        (rc = put(url, "scope", set->oidc_scopes)) || (rc = put(url, "state", state)) ||
        (rc = put(url, "nonce", cpn_json_string(external, "nonce"))) ||
        (rc = put(url, "code_challenge", challenge)) ||
        (rc = put(url, "code_challenge_method", "S256")))
        return rc;
    return cpn_buf_append(url, (cpn_view){ (const uint8_t *)"", 1 });
}

static void
described(void *owner, cpn_rc rc, const cpn_discovery *d, const cpn_jwks *keys)
{
    CPN_AUTO(cpn_buf_fini) cpn_buf url = { .max = 4096 };
    char state[CPN_OIDC_VERIFIER], nonce[CPN_OIDC_VERIFIER], verifier[CPN_OIDC_VERIFIER];
    cpn_oidc *o;
    cpn_call *call;
    cpn_flow *flow = trip_end(owner, &o, &call);

    (void)keys;
    if (!flow)
        return;
    if (rc != CPN_OK) {
        refuse_away(o, call, flow);
        return;
    }
    random_text(state);
    random_text(nonce);
    random_text(verifier);
    json_decref(flow->external); /* an earlier way out of the same browser ends here */
    flow->external =
        json_pack("{s:s,s:s,s:s}", "state", state, "nonce", nonce, "verifier", verifier);
    explicit_bzero(verifier, sizeof(verifier));
    if (compose(o, d, flow, flow->external, &url) == CPN_OK)
        cpn_signin_away(call, (const char *)url.p);
    else
        refuse(call, flow, 503, "provider_url", "the provider's address is too long");
}

static void
leave(void *owner, CPN_TAKES cpn_call *call, cpn_flow *flow)
{
    cpn_oidc *o = owner;

    cpn_oidc_prepare(o, CPN_OIDC_DESCRIPTION, described, trip_new(o, call, flow));
}

/* ---- back ---- */

static void
entered(void *owner, cpn_rc rc, const char *object_id, const cpn_err *err)
{
    char text[SENTENCE_MAX], subject[CPN_SUBJECT_MAX + 1];
    cpn_oidc *o;
    cpn_call *call;
    cpn_flow *flow;

    memcpy(subject, ((trip *)owner)->subject, sizeof(subject));
    flow = trip_end(owner, &o, &call);
    if (!flow)
        return;
    cpn_call_note(call, "externalSubject", subject);
    if (rc == CPN_OK) {
        cpn_signin_proved(call, flow, object_id, cpn_snapshot_epoch(call->c->snapshot));
    } else if (rc == CPN_NOT_FOUND) {
        snprintf(text, sizeof(text),
                 "%s knows you, but this gateway does not. Give its administrator this name of "
                 "yours: %s",
                 o->c->set.oidc_label, subject);
        refuse(call, flow, 403, "unknown", text);
    } else {
        cpn_log(CPN_LOG_ERROR, "provider.person_failed", CPN_KV("subject", subject),
                CPN_KV("error", err ? err->msg : cpn_rc_word(rc)));
        refuse(call, flow, 503, "failed", "the gateway could not take you in; its log says why");
    }
}

static void
redeemed(void *owner, cpn_rc rc, const cpn_idtoken *who, const cpn_err *err)
{
    trip *t = owner;
    cpn_oidc *o;
    cpn_call *call;
    cpn_flow *flow;

    if (rc == CPN_OK) {
        memcpy(t->subject, who->subject, sizeof(t->subject));
        cpn_external_enter(t->call, who, entered, t);
        return;
    }
    cpn_log(CPN_LOG_WARN, "provider.refused", CPN_KE(err));
    if (!(flow = trip_end(t, &o, &call)))
        return;
    if (rc == CPN_UNAUTHENTICATED)
        refuse(call, flow, 403, "provider_token",
               "what the provider said of you was not accepted; the gateway's log says why");
    else
        refuse_away(o, call, flow);
}

/* RFC 9207: whose answer is this? */
static bool
issuer_is_ours(const cpn_oidc *o, const cpn_call *call)
{
    cpn_view iss = cpn_form_get(&call->query, "iss");

    return iss.p ? cpn_view_is(iss, o->c->set.oidc_issuer) : !o->described.names_issuer;
}

/* The browser's own flow of that state, whose memory of the provider is taken: one use. */
static cpn_flow *
flow_of_state(const cpn_call *call, json_t **external)
{
    cpn_view state = cpn_form_get(&call->query, "state"), id, rest;
    cpn_flow *flow = NULL;

    if (cpn_view_cut(state, '.', &id, &rest))
        flow = cpn_signin_flow(call, id);
    if (!flow || !flow->external ||
        !cpn_ct_eq(rest, cpn_view_str(cpn_json_string(flow->external, "state"))))
        return NULL;
    *external = cpn_steal(&flow->external);
    return flow;
}

static void
refuse_error(const cpn_oidc *o, cpn_call *call, const cpn_flow *flow)
{
    bool denied = cpn_view_is(cpn_form_get(&call->query, "error"), "access_denied");
    char text[SENTENCE_MAX];

    snprintf(text, sizeof(text), "%s %s", o->c->set.oidc_label,
             denied ? "did not let you in, or you said no there."
                    : "reported an error; its administrator can find out which.");
    refuse(call, flow, 403, denied ? "provider_denied" : "provider_error", text);
}

static void
callback(cpn_call *call)
{
    CPN_AUTO(cpn_json_auto) json_t *external = NULL;
    cpn_oidc *o = call->c->oidc;
    char code[CPN_OIDC_CODE_MAX + 1] = "";
    cpn_flow *flow = o ? flow_of_state(call, &external) : NULL;

    if (!flow) {
        cpn_signin_lost(call);
    } else if (!issuer_is_ours(o, call)) {
        refuse(call, flow, 400, "provider_mixed_up",
               "the answer came from another provider than the one you were sent to");
    } else if (cpn_form_get(&call->query, "error").p) {
        refuse_error(o, call, flow);
    } else if (!cpn_view_copy(cpn_form_get(&call->query, "code"), code, sizeof(code)) || !code[0]) {
        refuse(call, flow, 400, "bad_request", "the provider's answer holds no code");
    } else {
        cpn_oidc_redeem(o, code, cpn_json_string(external, "verifier"),
                        cpn_json_string(external, "nonce"), redeemed, trip_new(o, call, flow));
    }
    explicit_bzero(code, sizeof(code));
}

void
cpn_oidc_offer(cpn_oidc *o)
{
    o->way = (cpn_signin_way){ .label = o->label,
                               .password_too = o->c->set.oidc_local_passwords,
                               .leave = leave,
                               .owner = o };
    snprintf(o->label, sizeof(o->label), "Sign in with %s", o->c->set.oidc_label);
    cpn_signin_use(o->c, &o->way);
}

const cpn_route cpn_routes_oidc[] = {
    { "GET", "/signin/callback", CPN_SCOPE_ANYONE, NULL, CPN_BODY_NONE, 0, "login.provider",
      CPN_ERRORS_PAGE, callback },
    { 0 },
};
