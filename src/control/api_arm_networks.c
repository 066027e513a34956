/* Networks with their subnets, and interfaces, as Azure's clients read them.
 *
 * A network here is one whole: it shows two subnets, "default", in which its interfaces are, and
 * "AzureBastionSubnet", in which its bastions are; each has all of its prefixes. */
#include <stdio.h>
#include <strings.h>

#include "control/arm_types.h"
#include "control/reply.h"

#define NETWORK CPN_ARM_GROUP "/providers/Microsoft.Network/"

static const char *const subnets[] = { "default", "AzureBastionSubnet" };

static json_t *
subnet_shape(const char *network, const json_t *body, const char *name)
{
    json_t *prefixes = json_object_get(body, "addressPrefixes");
    json_t *j = json_pack("{s:s++,s:s,s:s,s:{s:s,s:O}}", "id", network, "/subnets/", name, "name",
                          name, "type", "Microsoft.Network/virtualNetworks/subnets", "properties",
                          "provisioningState", "Succeeded", "addressPrefixes", prefixes);

    /* Older clients read the singular. */
    json_object_set(json_object_get(j, "properties"), "addressPrefix", json_array_get(prefixes, 0));
    return j;
}

static json_t *
peering_shape(const char *network, const char *other)
{
    return json_pack("{s:s++,s:s,s:s,s:{s:s,s:s,s:{s:s}}}", "id", network,
                     "/virtualNetworkPeerings/", cpn_arm_name(other), "name", cpn_arm_name(other),
                     "type", "Microsoft.Network/virtualNetworks/virtualNetworkPeerings",
                     "properties", "provisioningState", "Succeeded", "peeringState", "Connected",
                     "remoteVirtualNetwork", "id", other);
}

static json_t *
network_shape(const cpn_control *c, const char *id, const json_t *body)
{
    json_t *item = cpn_arm_envelope(c, &cpn_arm_network, id, body);
    json_t *inside = json_array(), *peerings = json_array();
    const cpn_network *n = cpn_snapshot_network(c->snapshot, cpn_view_str(id));
    char etag[CPN_ARM_ETAG_SIZE];

    for (size_t i = 0; i < CPN_COUNT(subnets); i++)
        json_array_append_new(inside, subnet_shape(id, body, subnets[i]));
    /* A peering that the other network declares is one of this one, too. */
    for (unsigned i = 0; n && i < n->peers_n; i++)
        json_array_append_new(peerings, peering_shape(id, n->peers[i]->id));
    cpn_arm_etag(body, etag);
    json_object_set_new(item, "etag", json_string(etag));
    json_object_set_new(item, "properties",
                        json_pack("{s:s,s:{s:O},s:o,s:o}", "provisioningState", "Succeeded",
                                  "addressSpace", "addressPrefixes",
                                  json_object_get(body, "addressPrefixes"), "subnets", inside,
                                  "virtualNetworkPeerings", peerings));
    return item;
}

static json_t *
ip_configuration(const char *nic, const json_t *body)
{
    const char *addr = cpn_json_string(body, "privateIPAddress");

    return json_pack("[{s:s+,s:s,s:s,s:{s:s,s:s,s:s,s:s,s:b,s:{s:s+}}}]", "id", nic,
                     "/ipConfigurations/ipconfig1", "name", "ipconfig1", "type",
                     "Microsoft.Network/networkInterfaces/ipConfigurations", "properties",
                     "provisioningState", "Succeeded", "privateIPAddress", addr,
                     "privateIPAllocationMethod", "Static", "privateIPAddressVersion",
                     strchr(addr, ':') ? "IPv6" : "IPv4", "primary", 1, "subnet", "id",
                     cpn_json_string(body, "virtualNetwork"), "/subnets/default");
}

static json_t *
nic_shape(const cpn_control *c, const char *id, const json_t *body)
{
    json_t *item = cpn_arm_envelope(c, &cpn_arm_nic, id, body);
    const cpn_nic *nic = cpn_snapshot_nic(c->snapshot, cpn_view_str(id));
    json_t *properties = json_pack("{s:s,s:o}", "provisioningState", "Succeeded",
                                   "ipConfigurations", ip_configuration(id, body));
    char etag[CPN_ARM_ETAG_SIZE];

    if (nic && nic->machine) {
        json_object_set_new(properties, "virtualMachine",
                            json_pack("{s:s}", "id", nic->machine->id));
        json_object_set_new(properties, "primary", json_boolean(nic->machine->nic == nic));
    }
    cpn_arm_etag(body, etag);
    json_object_set_new(item, "etag", json_string(etag));
    json_object_set_new(item, "properties", properties);
    return item;
}

const cpn_arm_type cpn_arm_network = { CPN_KIND_NETWORK, "Microsoft.Network", "virtualNetworks",
                                       true, network_shape };
const cpn_arm_type cpn_arm_nic = { CPN_KIND_NIC, "Microsoft.Network", "networkInterfaces", true,
                                   nic_shape };

static void
network_get(cpn_call *call)
{
    cpn_arm_get(call, &cpn_arm_network);
}

static void
network_list(cpn_call *call)
{
    cpn_arm_list(call, &cpn_arm_network);
}

static void
nic_get(cpn_call *call)
{
    cpn_arm_get(call, &cpn_arm_nic);
}

static void
nic_list(cpn_call *call)
{
    cpn_arm_list(call, &cpn_arm_nic);
}

/* The network that the path's subnet or list of subnets lies in. NULL: none. */
static const json_t *
subnets_network(const cpn_call *call, const char **id)
{
    const char *subnet = cpn_call_param(call, "subnet");
    cpn_view network = cpn_view_str(call->params.scope);

    if (subnet[0])
        network.n -= strlen("/subnets/") + strlen(subnet);

    *id = cpn_snapshot_id(call->c->snapshot, CPN_KIND_NETWORK, network);
    return cpn_snapshot_document(call->c->snapshot, CPN_KIND_NETWORK, network);
}

static void
subnet_get(cpn_call *call)
{
    const char *name = cpn_call_param(call, "subnet"), *id;
    const json_t *body = subnets_network(call, &id);

    for (size_t i = 0; body && i < CPN_COUNT(subnets); i++) {
        if (strcasecmp(name, subnets[i]) == 0) {
            cpn_reply_json(call, 200, subnet_shape(id, body, subnets[i]));
            return;
        }
    }
    cpn_arm_not_found(call);
}

static void
subnet_list(cpn_call *call)
{
    const char *id;
    const json_t *body = subnets_network(call, &id);
    json_t *value;

    if (!body) {
        cpn_arm_not_found(call);
        return;
    }
    value = json_array();
    for (size_t i = 0; i < CPN_COUNT(subnets); i++)
        json_array_append_new(value, subnet_shape(id, body, subnets[i]));
    cpn_reply_json(call, 200, json_pack("{s:o}", "value", value));
}

#define GET(path, from, action, handle)                                                            \
    {                                                                                              \
        "GET", path, from, action, CPN_BODY_NONE, 0, NULL, CPN_ERRORS_ARM, handle                  \
    }

const cpn_route cpn_routes_arm_networks[] = {
    GET(NETWORK "virtualNetworks/{name}", CPN_SCOPE_PATH, "Microsoft.Network/virtualNetworks/read",
        network_get),
    GET(NETWORK "virtualNetworks", CPN_SCOPE_EACH, "Microsoft.Network/virtualNetworks/read",
        network_list),
    GET(CPN_ARM_SUB "/providers/Microsoft.Network/virtualNetworks", CPN_SCOPE_EACH,
        "Microsoft.Network/virtualNetworks/read", network_list),
    GET(NETWORK "virtualNetworks/{name}/subnets", CPN_SCOPE_PATH,
        "Microsoft.Network/virtualNetworks/subnets/read", subnet_list),
    GET(NETWORK "virtualNetworks/{name}/subnets/{subnet}", CPN_SCOPE_PATH,
        "Microsoft.Network/virtualNetworks/subnets/read", subnet_get),
    GET(NETWORK "networkInterfaces/{name}", CPN_SCOPE_PATH,
        "Microsoft.Network/networkInterfaces/read", nic_get),
    GET(NETWORK "networkInterfaces", CPN_SCOPE_EACH, "Microsoft.Network/networkInterfaces/read",
        nic_list),
    GET(CPN_ARM_SUB "/providers/Microsoft.Network/networkInterfaces", CPN_SCOPE_EACH,
        "Microsoft.Network/networkInterfaces/read", nic_list),
    /* No machine has one; `az vm list -d` and `list-ip-addresses` ask all the same. */
    GET(NETWORK "publicIPAddresses", CPN_SCOPE_EACH, "Microsoft.Network/publicIPAddresses/read",
        cpn_arm_list_none),
    GET(CPN_ARM_SUB "/providers/Microsoft.Network/publicIPAddresses", CPN_SCOPE_EACH,
        "Microsoft.Network/publicIPAddresses/read", cpn_arm_list_none),
    { 0 },
};
