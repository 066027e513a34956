/* Machines, scale sets and their instances, as Azure's clients read them. */
#include <stdio.h>

#include "control/arm_types.h"
#include "control/reply.h"

#define COMPUTE CPN_ARM_GROUP "/providers/Microsoft.Compute/"
#define INSTANCES COMPUTE "virtualMachineScaleSets/{set}/virtualMachines"
#define INSTANCE_READ "Microsoft.Compute/virtualMachineScaleSets/virtualMachines/read"

/* The first interface holds the address that sessions go to. */
static json_t *
network_profile(const json_t *body)
{
    json_t *list = json_array(), *nic;
    size_t i;

    json_array_foreach(json_object_get(body, "networkInterfaces"), i, nic) json_array_append_new(
        list, json_pack("{s:O,s:{s:b}}", "id", nic, "properties", "primary", i == 0));
    return json_pack("{s:o}", "networkInterfaces", list);
}

static json_t *
machine_shape(const cpn_control *c, const char *id, const json_t *body)
{
    json_t *item = cpn_arm_envelope(c, &cpn_arm_machine, id, body);

    json_object_set_new(item, "properties",
                        json_pack("{s:s,s:o}", "provisioningState", "Succeeded", "networkProfile",
                                  network_profile(body)));
    return item;
}

static json_t *
instance_shape(const cpn_control *c, const char *id, const json_t *body)
{
    json_t *item = cpn_arm_envelope(c, &cpn_arm_instance, id, body);

    json_object_set_new(item, "instanceId", json_string(cpn_arm_name(id)));
    json_object_set_new(item, "properties",
                        json_pack("{s:s,s:o}", "provisioningState", "Succeeded", "networkProfile",
                                  network_profile(body)));
    return item;
}

static json_t *
scale_set_shape(const cpn_control *c, const char *id, const json_t *body)
{
    json_t *item = cpn_arm_envelope(c, &cpn_arm_scale_set, id, body);

    json_object_set_new(item, "properties", json_pack("{s:s}", "provisioningState", "Succeeded"));
    return item;
}

const cpn_arm_type cpn_arm_machine = { CPN_KIND_MACHINE, "Microsoft.Compute", "virtualMachines",
                                       true, machine_shape };
const cpn_arm_type cpn_arm_scale_set = { CPN_KIND_SCALE_SET, "Microsoft.Compute",
                                         "virtualMachineScaleSets", true, scale_set_shape };
const cpn_arm_type cpn_arm_instance = { CPN_KIND_MACHINE, "Microsoft.Compute",
                                        "virtualMachineScaleSets/virtualMachines", false,
                                        instance_shape };

/* `az vm show -d` reads a machine's power state out of it, which nobody here knows. */
static json_t *
viewed_shape(const cpn_control *c, const char *id, const json_t *body)
{
    json_t *item = machine_shape(c, id, body);

    json_object_set_new(json_object_get(item, "properties"), "instanceView",
                        json_pack("{s:[]}", "statuses"));
    return item;
}

static void
machine_get(cpn_call *call)
{
    static const cpn_arm_type viewed = { CPN_KIND_MACHINE, "Microsoft.Compute", "virtualMachines",
                                         true, viewed_shape };
    bool view = cpn_view_is_nocase(cpn_form_get(&call->query, "$expand"), "instanceView");

    cpn_arm_get(call, view ? &viewed : &cpn_arm_machine);
}

/* `az vm list --vmss`: no machine of ours is part of a scale set, they have instances. */
#define IN_SCALE_SET "'virtualMachineScaleSet/id' eq '"

static void
machine_list(cpn_call *call)
{
    if (cpn_view_starts_nocase(cpn_form_get(&call->query, "$filter"), IN_SCALE_SET))
        cpn_arm_list_none(call);
    else
        cpn_arm_list(call, &cpn_arm_machine);
}

static void
scale_set_get(cpn_call *call)
{
    cpn_arm_get(call, &cpn_arm_scale_set);
}

static void
scale_set_list(cpn_call *call)
{
    cpn_arm_list(call, &cpn_arm_scale_set);
}

static void
instance_get(cpn_call *call)
{
    cpn_arm_get(call, &cpn_arm_instance);
}

static void
instance_list(cpn_call *call)
{
    cpn_arm_list_below(call, &cpn_arm_instance);
}

/* The interfaces of an instance that the caller may read. */
static void
instance_nics(cpn_call *call)
{
    const cpn_snapshot *s = call->c->snapshot;
    const json_t *body =
        cpn_snapshot_document(s, CPN_KIND_MACHINE, cpn_view_str(call->params.scope));
    json_t *value, *nic;
    size_t i;

    if (!body) {
        cpn_arm_not_found(call);
        return;
    }
    value = json_array();
    json_array_foreach(json_object_get(body, "networkInterfaces"), i, nic)
    {
        cpn_view id = cpn_view_str(json_string_value(nic));

        if (cpn_may(s, cpn_call_who(call), "Microsoft.Network/networkInterfaces/read", id))
            json_array_append_new(value,
                                  cpn_arm_nic.shape(call->c, cpn_snapshot_id(s, CPN_KIND_NIC, id),
                                                    cpn_snapshot_document(s, CPN_KIND_NIC, id)));
    }
    cpn_reply_json(call, 200, json_pack("{s:o}", "value", value));
}

#define GET(path, from, action, handle)                                                            \
    {                                                                                              \
        "GET", path, from, action, CPN_BODY_NONE, 0, NULL, CPN_ERRORS_ARM, handle                  \
    }

const cpn_route cpn_routes_arm_compute[] = {
    GET(COMPUTE "virtualMachines/{name}", CPN_SCOPE_PATH, "Microsoft.Compute/virtualMachines/read",
        machine_get),
    GET(COMPUTE "virtualMachines", CPN_SCOPE_EACH, "Microsoft.Compute/virtualMachines/read",
        machine_list),
    GET(CPN_ARM_SUB "/providers/Microsoft.Compute/virtualMachines", CPN_SCOPE_EACH,
        "Microsoft.Compute/virtualMachines/read", machine_list),
    GET(COMPUTE "virtualMachineScaleSets/{set}", CPN_SCOPE_PATH,
        "Microsoft.Compute/virtualMachineScaleSets/read", scale_set_get),
    GET(COMPUTE "virtualMachineScaleSets", CPN_SCOPE_EACH,
        "Microsoft.Compute/virtualMachineScaleSets/read", scale_set_list),
    GET(CPN_ARM_SUB "/providers/Microsoft.Compute/virtualMachineScaleSets", CPN_SCOPE_EACH,
        "Microsoft.Compute/virtualMachineScaleSets/read", scale_set_list),
    GET(INSTANCES, CPN_SCOPE_EACH, INSTANCE_READ, instance_list),
    GET(INSTANCES "/{instance}", CPN_SCOPE_PATH, INSTANCE_READ, instance_get),
    GET(INSTANCES "/{instance}/networkInterfaces", CPN_SCOPE_PATH, INSTANCE_READ, instance_nics),
    { 0 },
};
