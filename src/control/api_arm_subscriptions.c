/* Tenants, subscriptions and resource groups: what `az login` and `az account` ask first. */
#include <stdio.h>

#include "control/arm_types.h"
#include "control/reply.h"

#define SUBSCRIPTION_READ "Microsoft.Resources/subscriptions/read"
#define GROUP_READ "Microsoft.Resources/subscriptions/resourceGroups/read"

/* ---- tenants ---- */

static void
tenant_list(cpn_call *call)
{
    const char *tenant = cpn_identity_tenant(call->c->identity);

    cpn_reply_json(call, 200,
                   json_pack("{s:[{s:s+,s:s,s:s,s:s,s:s,s:s,s:[s]}]}", "value", "id", "/tenants/",
                             tenant, "tenantId", tenant, "tenantCategory", "Home", "tenantType",
                             "AAD", "displayName", call->c->host, "defaultDomain", call->c->host,
                             "domains", call->c->host));
}

/* ---- subscriptions ---- */

static json_t *
subscription_shape(const cpn_control *c, const char *id, const json_t *body)
{
    const char *shown = cpn_json_string(body, "displayName");

    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:[],s:{s:s,s:s,s:s}}", "id", id, "subscriptionId",
                     cpn_arm_name(id), "tenantId", cpn_identity_tenant(c->identity), "displayName",
                     shown[0] ? shown : cpn_arm_name(id), "state", "Enabled", "authorizationSource",
                     "RoleBased", "managedByTenants", "subscriptionPolicies", "locationPlacementId",
                     "Public_2014-09-01", "quotaId", "PayAsYouGo_2014-09-01", "spendingLimit",
                     "Off");
}

/* Whoever has any role on anything in a subscription sees that it exists: without one in the list
 * Azure's clients do not sign in. */
static bool
sees(const cpn_call *call, const char *id)
{
    return cpn_may_within(call->c->snapshot, cpn_call_who(call), cpn_view_str(id));
}

static bool
subscription_one(void *owner, const char *id, const json_t *body)
{
    cpn_arm_page *p = owner;
    cpn_arm_place at = sees(p->call, id) ? cpn_arm_page_at(p, id) : CPN_ARM_EARLIER;

    if (at == CPN_ARM_HERE)
        cpn_arm_page_put(p, id, subscription_shape(p->call->c, id, body));
    return at != CPN_ARM_FULL;
}

static void
subscription_list(cpn_call *call)
{
    cpn_arm_page p;

    if (!cpn_arm_page_begin(&p, call))
        return;
    cpn_snapshot_each(call->c->snapshot, CPN_KIND_SUBSCRIPTION, NULL, subscription_one, &p);
    cpn_arm_page_end(&p);
}

static void
subscription_get(cpn_call *call)
{
    const cpn_snapshot *s = call->c->snapshot;
    cpn_view id = cpn_view_str(call->params.scope);
    const json_t *body = cpn_snapshot_document(s, CPN_KIND_SUBSCRIPTION, id);

    if (!sees(call, call->params.scope))
        cpn_arm_forbidden(call, SUBSCRIPTION_READ, call->params.scope);
    else if (!body)
        cpn_arm_not_found(call);
    else
        cpn_reply_json(
            call, 200,
            subscription_shape(call->c, cpn_snapshot_id(s, CPN_KIND_SUBSCRIPTION, id), body));
}

/* ---- resource groups ---- */

static json_t *
group_shape(const cpn_control *c, const char *id, const json_t *body)
{
    char where[CPN_ARM_LOCATION_SIZE];
    json_t *tags = json_object_get(body, "tags");
    json_t *j = json_pack("{s:s,s:s,s:s,s:s,s:{s:s}}", "id", id, "name", cpn_arm_name(id), "type",
                          "Microsoft.Resources/resourceGroups", "location",
                          cpn_arm_location(c->snapshot, id, body, where), "properties",
                          "provisioningState", "Succeeded");

    if (tags)
        json_object_set(j, "tags", tags);
    return j;
}

static const cpn_arm_type group_type = { CPN_KIND_GROUP, "Microsoft.Resources", "resourceGroups",
                                         false, group_shape };

static void
group_get(cpn_call *call)
{
    cpn_arm_get(call, &group_type);
}

/* `az group exists` wants 204 or 404. */
static void
group_exists(cpn_call *call)
{
    if (cpn_snapshot_document(call->c->snapshot, CPN_KIND_GROUP, cpn_view_str(call->params.scope)))
        cpn_reply_json(call, 204, NULL);
    else
        cpn_arm_not_found(call);
}

static void
group_list(cpn_call *call)
{
    cpn_arm_list_tagged(call, &group_type);
}

#define GET(path, from, action, handle)                                                            \
    {                                                                                              \
        "GET", path, from, action, CPN_BODY_NONE, 0, NULL, CPN_ERRORS_ARM, handle                  \
    }

const cpn_route cpn_routes_arm_subscriptions[] = {
    GET("/tenants", CPN_SCOPE_SIGNED_IN, NULL, tenant_list),
    GET("/subscriptions", CPN_SCOPE_EACH, SUBSCRIPTION_READ, subscription_list),
    GET(CPN_ARM_SUB, CPN_SCOPE_EACH, SUBSCRIPTION_READ, subscription_get),
    GET(CPN_ARM_SUB "/resourceGroups", CPN_SCOPE_EACH, GROUP_READ, group_list),
    GET(CPN_ARM_GROUP, CPN_SCOPE_PATH, GROUP_READ, group_get),
    { "HEAD", CPN_ARM_GROUP, CPN_SCOPE_PATH, GROUP_READ, CPN_BODY_NONE, 0, NULL, CPN_ERRORS_ARM,
      group_exists },
    { 0 },
};
