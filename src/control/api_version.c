/* GET /v1/version: what this is. Says nothing about the build. */
#include "control/reply.h"

static void
version_show(cpn_call *call)
{
    cpn_reply_json(call, 200,
                   json_pack("{s:s,s:s,s:s,s:b}", "name", "caponier", "version", CPN_VERSION, "api",
                             "v1", "fenceAllowLoopback", call->c->set.fence_allow_loopback));
}

const cpn_route cpn_routes_version[] = {
    { "GET", "/v1/version", CPN_SCOPE_ANYONE, NULL, CPN_BODY_NONE, 0, NULL, CPN_ERRORS_API,
      version_show },
    { 0 },
};
