/* GET /metadata/endpoints: what `az cloud register` and its newer kin ask of a private cloud. */
#include <stdio.h>

#include "control/arm.h"
#include "control/reply.h"

/* From this version on it is a list of clouds. */
#define LIST_SINCE "2018-05-01"
#define CLOUD_NAME "Caponier"

static json_t *
cloud(const char *base, const char *tenant)
{
    return json_pack("{s:s,s:s,s:{s:o,s:[s],s:s,s:s},s:s,s:s,s:s,s:s,s:s,s:s,s:{}}", "name",
                     CLOUD_NAME, "portal", base, "authentication", "loginEndpoint",
                     json_sprintf("%s/adfs", base), "audiences", base, "tenant", tenant,
                     "identityProvider", "ADFS", "resourceManager", base, "gallery", base, "graph",
                     base, "graphAudience", base, "microsoftGraphResourceId", base, "media", base,
                     "suffixes");
}

static json_t *
endpoints(const char *base)
{
    return json_pack("{s:s,s:s,s:s,s:{s:o,s:[s]}}", "galleryEndpoint", base, "graphEndpoint", base,
                     "portalEndpoint", base, "authentication", "loginEndpoint",
                     json_sprintf("%s/adfs", base), "audiences", base);
}

static void
metadata_show(cpn_call *call)
{
    char version[CPN_ARM_VERSION_SIZE], base[CPN_URL_ORIGIN_SIZE];

    snprintf(base, sizeof(base), "https://%s", call->c->host);
    if (strncmp(cpn_arm_version(call, version), LIST_SINCE, strlen(LIST_SINCE)) < 0)
        cpn_reply_json(call, 200, endpoints(base));
    else
        cpn_reply_json(call, 200,
                       json_pack("[o]", cloud(base, cpn_identity_tenant(call->c->identity))));
}

const cpn_route cpn_routes_metadata[] = {
    { "GET", "/metadata/endpoints", CPN_SCOPE_ANYONE, NULL, CPN_BODY_NONE, 0, NULL, CPN_ERRORS_ARM,
      metadata_show },
    { 0 },
};
