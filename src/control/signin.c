/* The browser's sign-in, step by step; what proves a person is somebody else's. */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/clock.h"
#include "codec/b64url.h"
#include "codec/chars.h"
#include "codec/digest.h"
#include "control/accounts.h"
#include "control/reply.h"
#include "control/signin_core.h"

#define COOKIE "__Host-caponier"
#define COOKIE_S 3600

cpn_signin *
cpn_signin_new(const cpn_config *set)
{
    cpn_signin *s = cpn_xcalloc(1, sizeof(*s));

    s->flows = cpn_flows_new((unsigned)set->signin_max, (unsigned)set->signin_source_max);
    return s;
}

void
cpn_signin_free(cpn_signin *s)
{
    if (!s)
        return;
    cpn_flows_free(s->flows);
    free(s);
}

void
cpn_signin_reload(cpn_signin *s, const cpn_config *set)
{
    cpn_flows_bounds(s->flows, (unsigned)set->signin_max, (unsigned)set->signin_source_max);
}

bool
cpn_signin_tenant(cpn_call *call)
{
    const char *tenant = cpn_call_param(call, "tenant");

    /* Or the domain that /tenants shows. */
    if (cpn_identity_is_tenant(call->c->identity, tenant) || strcasecmp(tenant, call->c->host) == 0)
        return true;
    cpn_reply_error(call, 404, "not_found", "there is no such tenant here", NULL);
    return false;
}

cpn_flows *
cpn_signin_flows(cpn_control *c)
{
    return c->signin->flows;
}

void
cpn_signin_use(cpn_control *c, const cpn_signin_way *way)
{
    c->signin->way = way;
}

/* ---- which browser ---- */

bool
cpn_signin_browser(const cpn_call *call, uint8_t out[32])
{
    cpn_sha256(cpn_view_str(call->browser), out);
    return call->browser[0] != '\0';
}

void
cpn_signin_browser_make(cpn_call *call, uint8_t out[32])
{
    uint8_t secret[32];
    char text[CPN_B64_SIZE(sizeof(secret))], line[160];

    if (!call->browser[0]) {
        cpn_random(secret, sizeof(secret));
        if (!cpn_b64url_encode((cpn_view){ secret, sizeof(secret) }, text, sizeof(text)) ||
            !cpn_view_copy(cpn_view_str(text), call->browser, sizeof(call->browser)))
            abort(); /* the sizes are right */
        explicit_bzero(secret, sizeof(secret));
        explicit_bzero(text, sizeof(text));
    }
    snprintf(line, sizeof(line), COOKIE "=%s; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=%d",
             call->browser, COOKIE_S);
    cpn_call_header(call, "Set-Cookie", line);
    explicit_bzero(line, sizeof(line));
    (void)cpn_signin_browser(call, out);
}

/* ---- who asks ---- */

bool
cpn_signin_copy(cpn_view v, char *out, size_t size)
{
    out[0] = '\0';
    return cpn_is_plain(v) && cpn_view_copy(v, out, size);
}

void
cpn_signin_ask(const cpn_call *call, cpn_flow_ask *out)
{
    out->source = call->peer;
    out->port = call->peer_port;
    out->wall_ms = cpn_wall_ms();
    (void)cpn_view_copy(cpn_view_str(call->user_agent), out->user_agent, sizeof(out->user_agent));
}

void
cpn_signin_note(cpn_call *call, const cpn_flow *flow)
{
    char from[CPN_ADDR_TEXT];

    cpn_call_note(call, "flow", flow->ask.device ? "device_code" : "authorization_code");
    cpn_call_note(call, "clientId", flow->ask.client_id);
    cpn_call_note(call, "requestedFrom", cpn_addr_text(&flow->ask.source, from));
    if (flow->state < CPN_FLOW_PROVED)
        return;
    cpn_call_note(call, "userEmail", flow->name);
    cpn_call_note(call, "objectId", flow->object_id);
}

/* ---- the steps ---- */

cpn_flow *
cpn_signin_flow(const cpn_call *call, cpn_view id)
{
    uint8_t browser[32];

    if (!cpn_signin_browser(call, browser))
        return NULL;
    return cpn_flow_find(call->c->signin->flows, id, browser, CPN_FLOW_CLAIMED, cpn_mono_ms());
}

/* Not said where it begins: strangers would learn there which ids are services. */
static bool
is_service(const cpn_call *call, const char *client_id)
{
    const cpn_principal *who =
        cpn_snapshot_principal_by_name(call->c->snapshot, cpn_view_str(client_id));

    return who && who->kind == CPN_PRINCIPAL_SERVICE;
}

void
cpn_signin_proved(CPN_TAKES cpn_call *call, cpn_flow *flow, const char *object_id, uint64_t epoch)
{
    const cpn_principal *who = NULL;

    if (cpn_account_refusal(call->c->snapshot, object_id, epoch, &who) ||
        who->kind != CPN_PRINCIPAL_USER) {
        cpn_call_note(call, "reason", "disabled");
        cpn_signin_refused(call, flow, 403, "you have no account here, or it is disabled");
        return;
    }
    if (is_service(call, flow->ask.client_id)) {
        cpn_call_note(call, "reason", "service_client");
        cpn_signin_refused(call, flow, 403,
                           "a service principal signs in with its secret, not with a person");
        return;
    }
    cpn_flow_proved(flow, who->object_id, who->name, epoch);
    cpn_signin_note(call, flow);
    cpn_signin_consent_page(call, flow);
}

void
cpn_signin_refused(CPN_TAKES cpn_call *call, const cpn_flow *flow, int status, const char *sentence)
{
    cpn_signin_note(call, flow);
    cpn_signin_person_page(call, flow, status, sentence);
}

void
cpn_signin_lost(CPN_TAKES cpn_call *call)
{
    cpn_call_note(call, "reason", "no_such_flow");
    cpn_page_say(call, 400, "This sign-in is over",
                 "It has ended, has taken too long, or was begun in another browser, or this one "
                 "keeps no cookies. Begin again from the program that wants to sign in.");
}

void
cpn_signin_away(CPN_TAKES cpn_call *call, const char *url)
{
    cpn_call_header(call, "Location", url);
    cpn_call_header(call, "Referrer-Policy", "no-referrer");
    cpn_reply_page(call, 302, CPN_VIEW_LIT(""));
}
