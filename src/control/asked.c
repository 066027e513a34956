/* An API call that asks whether a connection may be: for knowing, or because it is about to be
 * made. */
#include "control/asked.h"

json_t *
cpn_asked_json(const cpn_asked *a)
{
    json_t *j = cpn_verdict_json(&a->verdict);

    if (a->decision[0] && a->verdict.why)
        json_object_set_new(j, "decisionId", json_string(a->decision));
    return j;
}

json_t *
cpn_call_decision(cpn_call *call, const cpn_want *want, bool connect)
{
    cpn_asked a = { .who = cpn_call_who(call),
                    .want = *want,
                    .door = CPN_DOOR_OWN,
                    .peer = call->peer,
                    .peer_port = call->peer_port,
                    .user_agent = call->user_agent };
    cpn_facts facts;

    if (!connect) {
        facts = cpn_want_facts(want, a.who);
        (void)!cpn_decide(call->c->snapshot, &facts, &a.verdict);
    } else if (cpn_ask(call->c, &a, false) != CPN_OK) {
        call->c->count.refused[a.verdict.why]++;
    }
    return cpn_asked_json(&a);
}
