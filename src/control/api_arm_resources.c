/* Lists of all resources, and the providers: which types there are and which api-version to ask
 * them with, as `az resource` wants to know. */
#include <stdio.h>
#include <strings.h>

#include "control/arm_types.h"
#include "control/reply.h"

/* What the types of a provider are read with here; its own newest that Azure documents. */
static const struct {
    const char *namespace;
    const char *versions[4];
} providers[] = {
    { "Microsoft.Network", { "2024-01-01", "2023-11-01", "2022-01-01", "2021-08-01" } },
    { "Microsoft.Compute", { "2024-03-01", "2023-09-01", "2022-11-01", "2021-07-01" } },
    { "Microsoft.Resources", { "2022-09-01", "2021-04-01", "2020-10-01", "2019-11-01" } },
    { "Microsoft.Authorization", { "2022-04-01", "2020-10-01", "2018-01-01", "2015-07-01" } },
};

/* Types that are not kinds of resources of their own here. */
static const struct {
    const char *namespace, *name;
} others[] = {
    { "Microsoft.Network", "virtualNetworks/subnets" },
    { "Microsoft.Network", "locations/operations" },
    { "Microsoft.Network", "locations/operationResults" },
    { "Microsoft.Resources", "tenants" },
    { "Microsoft.Resources", "subscriptions" },
    { "Microsoft.Resources", "resourceGroups" },
    { "Microsoft.Resources", "subscriptions/resourceGroups" },
    { "Microsoft.Authorization", "roleAssignments" },
    { "Microsoft.Authorization", "roleDefinitions" },
};

static void
resource_list(cpn_call *call)
{
    cpn_arm_list_all(call);
}

static void
type_add(json_t *types, const char *name, size_t provider)
{
    json_t *versions = json_array();

    for (size_t i = 0; i < CPN_COUNT(providers[provider].versions); i++)
        json_array_append_new(versions, json_string(providers[provider].versions[i]));
    json_array_append_new(types,
                          json_pack("{s:s,s:[s],s:o,s:s}", "resourceType", name, "locations",
                                    "local", "apiVersions", versions, "capabilities", "None"));
}

static json_t *
provider_shape(const char *subscription, size_t i)
{
    const char *namespace = providers[i].namespace;
    json_t *types = json_array();

    for (const cpn_arm_type *const *t = cpn_arm_types; *t; t++)
        if (strcmp((*t)->namespace, namespace) == 0)
            type_add(types, (*t)->name, i);
    for (size_t k = 0; k < CPN_COUNT(others); k++)
        if (strcmp(others[k].namespace, namespace) == 0)
            type_add(types, others[k].name, i);
    return json_pack("{s:s++,s:s,s:s,s:s,s:o}", "id", subscription, "/providers/", namespace,
                     "namespace", namespace, "registrationState", "Registered",
                     "registrationPolicy", "RegistrationFree", "resourceTypes", types);
}

/* "/subscriptions/S" of the path. */
static const char *
subscription_id(const cpn_call *call, char out[CPN_ID_MAX + 1])
{
    snprintf(out, CPN_ID_MAX + 1, "/subscriptions/%s", cpn_call_param(call, "subscription"));
    return out;
}

/* What the gateway can is no secret of a subscription; asking for one that is not there is
 * answered alike. */
static void
provider_list(cpn_call *call)
{
    char id[CPN_ID_MAX + 1];
    json_t *value = json_array();

    subscription_id(call, id);
    for (size_t i = 0; i < CPN_COUNT(providers); i++)
        json_array_append_new(value, provider_shape(id, i));
    cpn_reply_json(call, 200, json_pack("{s:o}", "value", value));
}

static void
provider_get(cpn_call *call)
{
    const char *asked = cpn_call_param(call, "namespace");
    char id[CPN_ID_MAX + 1];

    for (size_t i = 0; i < CPN_COUNT(providers); i++) {
        if (strcasecmp(asked, providers[i].namespace) == 0) {
            cpn_reply_json(call, 200, provider_shape(subscription_id(call, id), i));
            return;
        }
    }
    cpn_arm_error(call, 404, "InvalidResourceNamespace", "The resource namespace '%s' is invalid.",
                  asked);
}

#define GET(path, from, action, handle)                                                            \
    {                                                                                              \
        "GET", path, from, action, CPN_BODY_NONE, 0, NULL, CPN_ERRORS_ARM, handle                  \
    }

const cpn_route cpn_routes_arm_resources[] = {
    GET(CPN_ARM_SUB "/resources", CPN_SCOPE_EACH, "*/read", resource_list),
    GET(CPN_ARM_GROUP "/resources", CPN_SCOPE_EACH, "*/read", resource_list),
    GET(CPN_ARM_SUB "/providers", CPN_SCOPE_SIGNED_IN, NULL, provider_list),
    GET(CPN_ARM_SUB "/providers/{namespace}", CPN_SCOPE_SIGNED_IN, NULL, provider_get),
    { 0 },
};
