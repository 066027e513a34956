/* POST /v1/can-i: the answer that a connect request would get, for oneself or (Owner) another. */
#include <stdio.h>

#include "control/asked.h"
#include "control/named.h"
#include "control/reply.h"

/* {"bastion","targetResourceId" or "targetIpAddress","port","user"?,"connect"?} into a want. */
static cpn_rc
want_read(const cpn_call *call, cpn_want *want, bool *connect, cpn_err *err)
{
    static const char *const names[] = {
        "bastion", "targetResourceId", "targetIpAddress", "port", "user", "connect", NULL
    };
    const cpn_principal *who = cpn_call_who(call);
    const char *bastion = "", *id = "", *ip = "";
    int64_t port = 22;
    cpn_rc rc;

    memset(want, 0, sizeof(*want));
    if ((rc = cpn_json_only(call->json, "", names, err)) != CPN_OK ||
        (rc = cpn_json_get_str(call->json, "", "bastion", CPN_ID_MAX, &bastion, err)) != CPN_OK ||
        (rc = cpn_json_opt_str(call->json, "", "targetResourceId", CPN_ID_MAX, &id, err)) !=
            CPN_OK ||
        (rc = cpn_json_opt_str(call->json, "", "targetIpAddress", CPN_ADDR_TEXT - 1, &ip, err)) !=
            CPN_OK ||
        (rc = cpn_json_opt_int(call->json, "", "port", (cpn_json_range){ 1, 65535 }, &port, err)) !=
            CPN_OK ||
        (rc = cpn_json_opt_bool(call->json, "", "connect", connect, err)) != CPN_OK)
        return rc;
    if (!id[0] == !ip[0])
        return cpn_fail(err, CPN_INVALID, "expected either targetResourceId or targetIpAddress");
    /* A name that is not found stays as it is: the decision then says that there is no such thing.
     */
    if (cpn_named_resource(call->c->snapshot, who, CPN_KIND_BASTION, bastion, want->bastion,
                           NULL) != CPN_OK)
        snprintf(want->bastion, sizeof(want->bastion), "%s", bastion);
    if (id[0] && cpn_named_resource(call->c->snapshot, who, CPN_KIND_MACHINE, id, want->target_id,
                                    NULL) != CPN_OK)
        snprintf(want->target_id, sizeof(want->target_id), "%s", id);
    snprintf(want->target_ip, sizeof(want->target_ip), "%s", ip);
    want->port = (uint16_t)port;
    return CPN_OK;
}

static void
can_i_ask(cpn_call *call)
{
    const cpn_principal *who = cpn_call_who(call);
    const char *user = json_string_value(json_object_get(call->json, "user"));
    bool connect = false;
    cpn_err err = { 0 };
    cpn_verdict verdict;
    cpn_facts facts;
    cpn_want want;

    call->only_read = true;
    if (want_read(call, &want, &connect, &err) != CPN_OK) {
        cpn_reply_rc(call, CPN_INVALID, err.msg, NULL);
        return;
    }
    if (user && connect) {
        cpn_reply_rc(call, CPN_INVALID, "connect is for oneself, not for another user", NULL);
        return;
    }
    if (user && cpn_named_principal(call->c->snapshot, user, &who) != CPN_OK) {
        cpn_reply_rc(call, CPN_NOT_FOUND, "there is no such user", NULL);
        return;
    }
    cpn_call_note(call, "targetResourceId", want.target_id[0] ? want.target_id : want.target_ip);
    if (!user) {
        cpn_reply_json(call, 200, cpn_call_decision(call, &want, connect));
        return;
    }
    facts = cpn_want_facts(&want, who);
    facts.tell_all = who != cpn_call_who(call);
    (void)!cpn_decide(call->c->snapshot, &facts, &verdict);
    cpn_reply_json(call, 200, cpn_verdict_json(&verdict));
}

const cpn_route cpn_routes_can_i[] = {
    { "POST", "/v1/can-i", CPN_SCOPE_SELF_USER, "Microsoft.Authorization/permissions/write",
      CPN_BODY_JSON, CPN_BODY_USUAL, "policy.asked", CPN_ERRORS_API, can_i_ask },
    { 0 },
};
