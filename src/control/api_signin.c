/* The pages of the browser's sign-in: the code, the person by name and password, the decision. */
#include <stdio.h>
#include <stdlib.h>

#include "control/accounts.h"
#include "control/penalties.h"
#include "control/reply.h"
#include "control/signin_core.h"

/* ---- the code ---- */

static void
device_show(cpn_call *call)
{
    char typed[33] = "", code[CPN_USER_CODE];
    uint8_t browser[32];

    cpn_signin_browser_make(call, browser);
    (void)cpn_call_query(call, "user_code", typed, sizeof(typed));
    cpn_signin_code_page(call, 200, cpn_user_code_read(cpn_view_str(typed), code) ? code : "",
                         NULL);
}

static void
device_enter(cpn_call *call)
{
    cpn_control *c = call->c;
    char code[CPN_USER_CODE];
    uint8_t browser[32];
    cpn_flow *flow = NULL;
    unsigned wait = cpn_penalty_wait(c->penalties, &call->peer, NULL);
    cpn_rc rc;

    if (wait) {
        cpn_reply_wait(call, wait);
        return;
    }
    if (!cpn_signin_browser(call, browser)) {
        cpn_signin_lost(call);
        return;
    }
    if (!cpn_user_code_read(cpn_form_get(&call->form, "user_code"), code)) {
        cpn_call_note(call, "reason", "bad_request");
        cpn_signin_code_page(call, 400, "", "A code has eight letters, like BCDF-GHJK.");
        return;
    }
    rc = cpn_flow_claim(c->signin->flows, code, browser, cpn_mono_ms(), &flow);
    if (rc == CPN_NOT_FOUND) {
        cpn_penalty_wrong(c, &call->peer, NULL);
        cpn_call_note(call, "reason", "wrong_code");
        cpn_signin_code_page(call, 400, "",
                             "There is no such code, or it is over, or another browser has it.");
        return;
    }
    call->audited = rc == CPN_EXISTS; /* who types a code a thousand times makes one record */
    cpn_signin_note(call, flow);
    cpn_signin_person_page(call, flow, 200, NULL);
}

/* ---- the person, by name and password ---- */

typedef struct password_check {
    cpn_call *call;
    char flow[CPN_FLOW_ID];
    char object_id[40]; /* "": nobody of that name */
    uint64_t epoch;     /* of policy, whose password is checked */
    char name[257];
} password_check;

static void
wrong_password(cpn_call *call, const cpn_flow *flow, const password_check *p)
{
    cpn_call_note(call, "reason", p->object_id[0] ? "wrong_secret" : "unknown");
    cpn_signin_refused(call, flow, 403, "the user name or password is wrong");
}

static bool
password_may(void *owner)
{
    const password_check *p = owner;

    return !cpn_penalty_wait(p->call->c->penalties, &p->call->peer, p->name);
}

static void
password_checked(void *owner, cpn_rc rc, const char *phc)
{
    password_check p = *(password_check *)owner;
    cpn_call *call = p.call;
    cpn_flow *flow = cpn_signin_flow(call, cpn_view_str(p.flow));

    (void)phc;
    free(owner);
    if (rc == CPN_DENIED) /* whatever has become of the flow */
        cpn_penalty_wrong(call->c, &call->peer, p.name);
    if (!flow)
        cpn_signin_lost(call);
    else if (rc == CPN_OK)
        cpn_signin_proved(call, flow, p.object_id, p.epoch);
    else if (rc == CPN_DENIED)
        wrong_password(call, flow, &p);
    else if (rc == CPN_AGAIN)
        cpn_reply_wait(call, cpn_penalty_wait(call->c->penalties, &call->peer, p.name));
    else
        cpn_signin_refused(call, flow, 503, "the gateway is busy; try again shortly");
}

static void
password_check_start(cpn_call *call, const cpn_flow *flow, const char *name)
{
    const cpn_snapshot *s = call->c->snapshot;
    const cpn_principal *who = cpn_snapshot_principal_by_name(s, cpn_view_str(name));
    CPN_AUTO(cpn_secret_wipe) cpn_secret secret = { .n = 0 };
    password_check *p = cpn_xcalloc(1, sizeof(*p));
    const char *phc = NULL;
    cpn_rc rc;

    p->call = call;
    p->epoch = cpn_snapshot_epoch(s);
    memcpy(p->flow, flow->id, sizeof(p->flow));
    snprintf(p->name, sizeof(p->name), "%s", name);
    cpn_call_note(call, "userEmail", name);
    if (who && who->kind == CPN_PRINCIPAL_USER && who->enabled &&
        cpn_view_copy(cpn_view_str(who->object_id), p->object_id, sizeof(p->object_id)))
        phc = cpn_account_phc(s, who->object_id);
    rc = cpn_secret_set(&secret, cpn_form_get(&call->form, "password"));
    if (rc == CPN_OK)
        rc = cpn_credential_check(call->c->identity, phc, &secret, password_may, password_checked,
                                  p);
    if (rc != CPN_OK) {
        free(p);
        cpn_signin_refused(call, flow, 503, "the gateway is busy; try again shortly");
    }
}

static void
password_enter(cpn_call *call)
{
    const cpn_signin_way *way = call->c->signin->way;
    const cpn_flow *flow = cpn_signin_flow(call, cpn_form_get(&call->form, "flow"));
    cpn_view secret = cpn_form_get(&call->form, "password");
    char name[257];
    unsigned wait;

    if (!flow) {
        cpn_signin_lost(call);
        return;
    }
    if (way && !way->password_too) {
        cpn_signin_refused(call, flow, 403, "passwords are not taken here");
        return;
    }
    if (!cpn_signin_copy(cpn_form_get(&call->form, "username"), name, sizeof(name)) || !name[0] ||
        secret.n == 0 || secret.n > CPN_PASSWORD_MAX) {
        cpn_call_note(call, "reason", "bad_request");
        cpn_signin_refused(call, flow, 400, "enter a user name and a password");
        return;
    }
    if ((wait = cpn_penalty_wait(call->c->penalties, &call->peer, name)) != 0) {
        cpn_reply_wait(call, wait);
        return;
    }
    password_check_start(call, flow, name);
}

/* ---- the person, by a provider elsewhere ---- */

static void
leave(cpn_call *call)
{
    const cpn_signin_way *way = call->c->signin->way;
    cpn_flow *flow = cpn_signin_flow(call, cpn_form_get(&call->query, "flow"));

    if (!flow)
        cpn_signin_lost(call);
    else if (!way)
        cpn_signin_refused(call, flow, 400, "people sign in here by name and password");
    else
        way->leave(way->owner, call, flow);
}

/* ---- the decision ---- */

static void
decide(cpn_call *call)
{
    cpn_view said = cpn_form_get(&call->form, "decision");
    bool approve = cpn_view_is(said, "approve");
    char code[CPN_FLOW_SECRET];
    uint8_t browser[32];
    cpn_flow *flow = NULL;

    if (cpn_signin_browser(call, browser))
        flow = cpn_flow_find(call->c->signin->flows, cpn_form_get(&call->form, "flow"), browser,
                             CPN_FLOW_PROVED, cpn_mono_ms());
    if (!flow) {
        cpn_signin_lost(call);
        return;
    }
    cpn_signin_note(call, flow);
    if (!approve && !cpn_view_is(said, "deny")) {
        cpn_call_note(call, "reason", "bad_request");
        cpn_signin_consent_page(call, flow);
        return;
    }
    cpn_call_note(call, "decision", approve ? "approved" : "denied");
    cpn_flow_decide(flow, approve, cpn_mono_ms(), code);
    if (!flow->ask.device)
        cpn_signin_back(call, &flow->ask, code, approve ? NULL : "access_denied",
                        approve ? NULL : "the person said no");
    else if (approve)
        cpn_page_say(call, 200, "You have signed in",
                     "Go back to your program. You may close this window.");
    else
        cpn_page_say(call, 200, "You said no",
                     "The program hears that. You may close this window.");
    explicit_bzero(code, sizeof(code));
}

const cpn_route cpn_routes_signin[] = {
    { "GET", "/device", CPN_SCOPE_ANYONE, NULL, CPN_BODY_NONE, 0, NULL, CPN_ERRORS_PAGE,
      device_show },
    { "POST", "/device", CPN_SCOPE_ANYONE, NULL, CPN_BODY_FORM, CPN_BODY_USUAL, "login.code",
      CPN_ERRORS_PAGE, device_enter },
    { "POST", "/signin/password", CPN_SCOPE_ANYONE, NULL, CPN_BODY_FORM, CPN_BODY_USUAL,
      "login.person", CPN_ERRORS_PAGE, password_enter },
    { "GET", "/signin/leave", CPN_SCOPE_ANYONE, NULL, CPN_BODY_NONE, 0, NULL, CPN_ERRORS_PAGE,
      leave },
    { "POST", "/signin/decide", CPN_SCOPE_ANYONE, NULL, CPN_BODY_FORM, CPN_BODY_USUAL,
      "login.decision", CPN_ERRORS_PAGE, decide },
    { 0 },
};
