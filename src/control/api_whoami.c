/* GET /v1/whoami: the caller, as the gateway knows them. */
#include "control/reply.h"

static void
whoami_show(cpn_call *call)
{
    const cpn_principal *who = cpn_call_who(call);
    char expires[CPN_TIME_SIZE];

    cpn_reply_json(call, 200,
                   json_pack("{s:s,s:s,s:s,s:s,s:s}", "objectId", who->object_id, "name", who->name,
                             "type",
                             who->kind == CPN_PRINCIPAL_SERVICE ? "ServicePrincipal" : "User",
                             "tenantId", cpn_identity_tenant(call->c->identity), "expiresOn",
                             cpn_time_rfc3339(call->claims.expires_s * 1000, expires)));
}

const cpn_route cpn_routes_whoami[] = {
    { "GET", "/v1/whoami", CPN_SCOPE_SIGNED_IN, NULL, CPN_BODY_NONE, 0, NULL, CPN_ERRORS_API,
      whoami_show },
    { 0 },
};
