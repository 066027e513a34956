/* control/signin_core.h -- what the files of the browser's sign-in share. Internal to them. */
#ifndef CPN_CONTROL_SIGNIN_CORE_H
#define CPN_CONTROL_SIGNIN_CORE_H

#include "control/page.h"
#include "control/signin.h"

struct cpn_signin {
    cpn_flows *flows;
    const cpn_signin_way *way;
};

/* The browser of this call by the hash of its cookie; false: it has none. */
bool cpn_signin_browser(const cpn_call *call, uint8_t out[32]);
/* The same, and a browser without a cookie gets one with the answer. */
void cpn_signin_browser_make(cpn_call *call, uint8_t out[32]);
/* The source, the program and the hour of a request that begins a flow. */
void cpn_signin_ask(const cpn_call *call, cpn_flow_ask *out);
/* Printable UTF-8 of at most size - 1 bytes; absent: "". */
bool cpn_signin_copy(cpn_view v, char *out, size_t size);
/* The page that asks for a user code. sentence: over it, or NULL. */
void cpn_signin_code_page(CPN_TAKES cpn_call *call, int status, const char *typed,
                          const char *sentence);
/* The page that says who asks, and asks who is there. */
void cpn_signin_person_page(CPN_TAKES cpn_call *call, const cpn_flow *flow, int status,
                            const char *sentence);
/* The page that says who asks and for whom: Approve or Deny. */
void cpn_signin_consent_page(CPN_TAKES cpn_call *call, const cpn_flow *flow);
/* Back to the program that waits for the answer: code, or error with a description. */
void cpn_signin_back(CPN_TAKES cpn_call *call, const cpn_flow_ask *ask, const char *code,
                     const char *error, const char *description);
/* For the audit record: who asked, from where. */
void cpn_signin_note(cpn_call *call, const cpn_flow *flow);

#endif
