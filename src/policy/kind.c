/* The table of document kinds. */
#include "policy/kind.h"

#include "codec/chars.h"

#define INSTANCE_READ "Microsoft.Compute/virtualMachineScaleSets/virtualMachines/read"

static const struct {
    const char *name;
    const char *read;
    const char *provider; /* NULL: the id is not of the form P/T/N */
    const char *type;
} kinds[CPN_K_N] = {
    [CPN_K_SUBSCRIPTION] = { CPN_KIND_SUBSCRIPTION, "Microsoft.Resources/subscriptions/read", NULL,
                             NULL },
    [CPN_K_GROUP] = { CPN_KIND_GROUP, "Microsoft.Resources/subscriptions/resourceGroups/read", NULL,
                      NULL },
    [CPN_K_NETWORK] = { CPN_KIND_NETWORK, "Microsoft.Network/virtualNetworks/read",
                        "Microsoft.Network", "virtualNetworks" },
    [CPN_K_NIC] = { CPN_KIND_NIC, "Microsoft.Network/networkInterfaces/read", "Microsoft.Network",
                    "networkInterfaces" },
    [CPN_K_SCALE_SET] = { CPN_KIND_SCALE_SET, "Microsoft.Compute/virtualMachineScaleSets/read",
                          "Microsoft.Compute", "virtualMachineScaleSets" },
    [CPN_K_MACHINE] = { CPN_KIND_MACHINE, "Microsoft.Compute/virtualMachines/read",
                        "Microsoft.Compute", "virtualMachines" },
    [CPN_K_BASTION] = { CPN_KIND_BASTION, "Microsoft.Network/bastionHosts/read",
                        "Microsoft.Network", "bastionHosts" },
    [CPN_K_PRINCIPAL] = { CPN_KIND_PRINCIPAL, "Caponier.Directory/principals/read", NULL, NULL },
    [CPN_K_CREDENTIAL] = { CPN_KIND_CREDENTIAL, NULL, NULL, NULL },
    [CPN_K_ROLE] = { CPN_KIND_ROLE, "Microsoft.Authorization/roleDefinitions/read", NULL, NULL },
    [CPN_K_ASSIGNMENT] = { CPN_KIND_ASSIGNMENT, "Microsoft.Authorization/roleAssignments/read",
                           NULL, NULL },
};

cpn_kind
cpn_kind_from_name(const char *name)
{
    cpn_kind k = 0;

    while (k < CPN_K_N && strcmp(kinds[k].name, name) != 0)
        k++;
    return k;
}

const char *
cpn_kind_name(cpn_kind kind)
{
    return kinds[kind].name;
}

const char *
cpn_kind_read_action(cpn_kind kind, const char *id_lower)
{
    if (kind == CPN_K_MACHINE && strstr(id_lower, "/microsoft.compute/virtualmachinescalesets/"))
        return INSTANCE_READ;
    return kinds[kind].read;
}

cpn_kind
cpn_kind_of(const cpn_resource_id *id)
{
    if (id->subscription.n == 0)
        return CPN_K_N;
    if (id->group.n == 0)
        return CPN_K_SUBSCRIPTION;
    if (id->provider.n == 0)
        return CPN_K_GROUP;
    if (id->subtype.n != 0)
        return cpn_view_is_nocase(id->provider, "Microsoft.Compute") &&
                       cpn_view_is_nocase(id->type, "virtualMachineScaleSets") &&
                       cpn_view_is_nocase(id->subtype, "virtualMachines")
                   ? CPN_K_MACHINE
                   : CPN_K_N;
    for (cpn_kind k = 0; k < CPN_K_N; k++)
        if (kinds[k].provider && cpn_view_is_nocase(id->provider, kinds[k].provider) &&
            cpn_view_is_nocase(id->type, kinds[k].type))
            return k;
    return CPN_K_N;
}

bool
cpn_is_guid(cpn_view v)
{
    if (v.n != 36)
        return false;
    for (size_t i = 0; i < v.n; i++) {
        uint8_t c = v.p[i] | 0x20;

        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (v.p[i] != '-')
                return false;
        } else if (!cpn_is_digit(v.p[i]) && !(c >= 'a' && c <= 'f')) {
            return false;
        }
    }
    return true;
}
