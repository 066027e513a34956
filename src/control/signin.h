/* control/signin.h -- a person signs in with a browser: for a device code, or for a program that
 * waits on a loopback port.
 *
 *     POST /device, or GET …/authorize ──▶ the page that says who asks
 *        ├─ name and password: POST /signin/password                         (api_signin.c)
 *        └─ a provider: GET /signin/leave → 302 away … GET /signin/callback  (whoever registers it)
 *     ──▶ cpn_signin_proved ──▶ Approve or Deny: POST /signin/decide ──▶ done
 *
 * A flow belongs to one browser by its cookie (__Host-caponier, HttpOnly, Secure, SameSite=Lax): no
 * other browser can go on with it. Flows live in identity/flows.h; a pointer to one is good until
 * the loop turns, so work that waits keeps its id and looks it up again. Every page shows who
 * asked, from where, with what, when.
 *
 * A provider in the middle: registers a cpn_signin_way; `leave` makes its own state, nonce and PKCE
 * verifier, keeps them in flow->external, and sends the browser off with cpn_signin_away. The state
 * parameter should be "<flow id>.<random>": the callback cuts the id off, asks cpn_signin_flow
 * (which also proves the browser) and compares the rest in constant time. */
#ifndef CPN_CONTROL_SIGNIN_H
#define CPN_CONTROL_SIGNIN_H

#include "control/call.h"
#include "identity/flows.h"

/* A provider elsewhere that proves who people are. */
typedef struct cpn_signin_way {
    const char *label; /* of its link: "Sign in with Example"; plain text */
    bool password_too; /* local names and passwords are asked for as well */
    /* GET /signin/leave: answer the call (maybe later) with cpn_signin_away or _refused. */
    void (*leave)(void *owner, CPN_TAKES cpn_call *call, cpn_flow *flow);
    void *owner;
} cpn_signin_way;

cpn_signin *cpn_signin_new(const cpn_config *set);
void cpn_signin_free(cpn_signin *s);
void cpn_signin_reload(cpn_signin *s, const cpn_config *set);
/* Is the {tenant} of the path ours? If not, the call is answered with 404. */
bool cpn_signin_tenant(cpn_call *call);
/* For the token endpoint. */
cpn_flows *cpn_signin_flows(cpn_control *c);

/* way is borrowed until control ends; NULL: local names and passwords only, as at the start. */
void cpn_signin_use(cpn_control *c, const cpn_signin_way *way);

/* The flow of that id which waits for its person to be proved, if this call's browser owns it.
 * NULL: unknown, expired, ended, or another browser's; answer with cpn_signin_lost. */
cpn_flow *cpn_signin_flow(const cpn_call *call, cpn_view id);

/* Each of these answers the call, once. */
/* By the policy of that epoch the person is this user: show Approve and Deny. Any other principal
 * is refused, and who was disabled or signed out since. */
void cpn_signin_proved(CPN_TAKES cpn_call *call, cpn_flow *flow, const char *object_id,
                       uint64_t epoch);
/* Not proved (400, 403, 429 or 503): the sentence over the page that says who asks; the flow stays,
 * and the person may try again. */
void cpn_signin_refused(CPN_TAKES cpn_call *call, const cpn_flow *flow, int status,
                        const char *sentence);
/* There is no such flow here: begin again. */
void cpn_signin_lost(CPN_TAKES cpn_call *call);
/* 302 to an https URL of a provider. */
void cpn_signin_away(CPN_TAKES cpn_call *call, const char *url);

#endif
