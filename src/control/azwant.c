/* What the Azure CLI's requests say in several places: who asks, and for which machine. */
#include "control/azwant.h"

#include <stdio.h>
#include <strings.h>

#include "control/penalties.h"
#include "control/reply.h"

#define HOST_TYPE "bh-hostConnect"

/* The address of ".../Microsoft.Network/bh-hostConnect/{ip}", which "hostname" must repeat. */
static cpn_rc
address_read(const cpn_resource_id *id, cpn_view host, cpn_want *want, cpn_err *err)
{
    cpn_addr in_id, in_host;

    if (cpn_addr_parse(&in_id, id->name, err) != CPN_OK)
        return cpn_fail(err, CPN_INVALID, "resourceId: expected a numeric address at its end");
    if (host.p && (cpn_addr_parse(&in_host, host, err) != CPN_OK || !cpn_addr_eq(&in_id, &in_host)))
        return cpn_fail(err, CPN_INVALID, "hostname: expected the address of resourceId");
    cpn_addr_text(&in_id, want->target_ip);
    return CPN_OK;
}

/* bh-hostConnect ids end in an address, which the rules for names may not allow (IPv6). */
static bool
host_connect(cpn_view text, cpn_resource_id *id)
{
    static const char infix[] = "/providers/Microsoft.Network/" HOST_TYPE "/";
    char copy[CPN_ID_MAX + 1];
    const char *at;
    cpn_err err = { 0 };

    if (!cpn_view_copy(text, copy, sizeof(copy)) || !(at = strcasestr(copy, infix)))
        return false;
    if (cpn_resource_id_parse(id, (cpn_view){ text.p, (size_t)(at - copy) }, &err) != CPN_OK)
        return false;
    id->name = cpn_view_skip(text, (size_t)(at - copy) + sizeof(infix) - 1);
    return id->group.n > 0;
}

cpn_rc
cpn_az_want(cpn_want *want, cpn_view id, cpn_view host, uint16_t port, cpn_resource_id *hint,
            bool *hinted, cpn_err *err)
{
    memset(want, 0, sizeof(*want));
    want->port = port;
    want->azure = true;
    *hinted = host_connect(id, hint);
    if (*hinted)
        return address_read(hint, host, want, err);
    if (cpn_resource_id_parse(hint, id, err) != CPN_OK || hint->name.n == 0 ||
        !cpn_view_copy(id, want->target_id, sizeof(want->target_id)))
        return cpn_fail(err, CPN_INVALID, "resourceId: expected a machine's resource id");
    return CPN_OK;
}

bool
cpn_az_identify(cpn_call *call, cpn_view token)
{
    cpn_control *c = call->c;
    cpn_reason why = CPN_WHY_TOKEN_INVALID;
    cpn_err err = { 0 };
    cpn_rc rc = CPN_UNAUTHENTICATED;

    if (token.n)
        rc = cpn_identity_verify(c->identity, token, cpn_wall_s(), &call->claims, &why, &err);
    /* This door has no field for a proof, and az's tokens have no key. */
    if (rc == CPN_OK && call->claims.key.set) {
        cpn_reply_reason(call, CPN_WHY_KEY_PROOF);
        return false;
    }
    call->signed_in = rc == CPN_OK;
    if (rc < 0) {
        cpn_reply_rc(call, rc, NULL, &err);
        return false;
    }
    if (rc != CPN_OK) {
        unsigned wait = cpn_penalty_token(c->penalties, &call->peer, why, call->route->path);

        if (wait)
            cpn_reply_wait(call, wait);
        else
            cpn_reply_reason(call, why);
        return false;
    }
    return cpn_call_account_ok(call);
}
