/* An API call that asks whether a connection may be: for knowing, or because it is about to be
 * made. */
#include "control/asked.h"

#include "control/usage.h"

json_t *
cpn_asked_json(const cpn_asked *a)
{
    json_t *j = cpn_verdict_json(&a->verdict);

    if (a->decision[0] && a->verdict.why)
        json_object_set_new(j, "decisionId", json_string(a->decision));
    return j;
}

/* Each other target that is refused is a record of its own: only as many as OPEN could make. Who
 * announces and then opens spends one of each. */
static bool
too_often(const cpn_call *call, cpn_verdict *v)
{
    cpn_control *c = call->c;

    if (cpn_usage_announced(c->sessions->usage, call->claims.object_id,
                            (unsigned)c->set.tickets_per_minute, cpn_mono_ms()) == CPN_OK)
        return false;
    v->why = v->missing[0].why = CPN_WHY_LIMIT_RATE;
    v->missing_n = 1;
    return true;
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
    } else if (too_often(call, &a.verdict) || cpn_ask(call->c, &a, false) != CPN_OK) {
        call->c->count.refused[a.verdict.why]++;
    }
    return cpn_asked_json(&a);
}
