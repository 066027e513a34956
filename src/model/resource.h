/* model/resource.h -- the nouns of policy, as the snapshot holds them. Ids are ARM ids, kept in
 * lower case for comparing and as written for showing. */
#ifndef CPN_MODEL_RESOURCE_H
#define CPN_MODEL_RESOURCE_H

#include "model/addr.h"

#define CPN_ID_MAX 1024
#define CPN_NAME_MAX 80
#define CPN_GROUP_NAME_MAX 90        /* characters */
#define CPN_GROUP_NAME_BYTES_MAX 256 /* a segment of a path */

/* Kinds of stored documents. */
#define CPN_KIND_SUBSCRIPTION "subscription"
#define CPN_KIND_GROUP "resourceGroup"
#define CPN_KIND_NETWORK "virtualNetwork"
#define CPN_KIND_MACHINE "virtualMachine" /* also scale-set instances, by their id */
#define CPN_KIND_NIC "networkInterface"
#define CPN_KIND_SCALE_SET "virtualMachineScaleSet"
#define CPN_KIND_BASTION "bastionHost"
#define CPN_KIND_PRINCIPAL "principal"   /* users, service principals, groups */
#define CPN_KIND_CREDENTIAL "credential" /* argon2id of a principal, sign-ins; never listed */
#define CPN_KIND_ASSIGNMENT "roleAssignment"
#define CPN_KIND_ROLE "roleDefinition"

typedef struct cpn_network {
    const char *id;
    const char *id_lower;
    const char *name;
    cpn_prefix *prefixes;
    unsigned prefixes_n;
    const struct cpn_network **peers; /* resolved at seal */
    unsigned peers_n;
} cpn_network;

typedef struct cpn_nic {
    const char *id;
    const char *id_lower;
    const char *name;
    cpn_addr addr;
    const cpn_network *network;
    const struct cpn_machine *machine; /* NULL: of no machine */
} cpn_nic;

typedef struct cpn_machine {
    const char *id;
    const char *id_lower;
    const char *name;
    const cpn_nic *nic;   /* the one that holds its private address */
    const char *host_key; /* registered SSH host keys, one a line; "" when none */
} cpn_machine;

typedef enum cpn_sku {
    CPN_SKU_NONE,
    CPN_SKU_BASIC,
    CPN_SKU_STANDARD,
    CPN_SKU_PREMIUM,
    CPN_SKU_DEVELOPER,
    CPN_SKU_QUICKCONNECT
} cpn_sku;

typedef struct cpn_bastion {
    const char *id;
    const char *id_lower;
    const char *name;
    const cpn_network *network;
    cpn_sku sku;
    unsigned scale_units; /* 2..50 */
    bool enable_tunneling;
    bool enable_ip_connect;
    bool any_protocol;
    uint16_t *ports; /* ports_n 0: those of SSH and RDP; any by resource */
    unsigned ports_n;
} cpn_bastion;

typedef enum cpn_principal_kind {
    CPN_PRINCIPAL_NONE,
    CPN_PRINCIPAL_USER,
    CPN_PRINCIPAL_SERVICE,
    CPN_PRINCIPAL_GROUP
} cpn_principal_kind;

typedef struct cpn_principal {
    cpn_principal_kind kind;
    const char *object_id; /* GUID, lower case */
    const char *name;      /* sign-in name of a user, display name otherwise */
    const char *app_id;    /* GUID of a service principal, else "" */
    bool enabled;
    unsigned sessions_max;   /* 0: the gateway's setting */
    bool external;           /* a provider elsewhere proves it, never a secret kept here */
    uint64_t sign_ins_since; /* policy epoch: sign-ins and tokens of an earlier one have ended */
} cpn_principal;

/* A parsed ARM id. Views borrow. */
typedef struct cpn_resource_id {
    cpn_view subscription;
    cpn_view group;
    cpn_view provider; /* "Microsoft.Compute" */
    cpn_view type;     /* "virtualMachines", or "virtualMachineScaleSets/virtualMachines" as written
                          between names: first type */
    cpn_view name;
    cpn_view subtype; /* "virtualMachines" of a scale-set instance, else empty */
    cpn_view subname;
} cpn_resource_id;

/* The name of a resource group: [A-Za-z0-9._()-] and letters of any script (codec/letters.h), at
 * most CPN_GROUP_NAME_MAX characters, not only dots. */
bool cpn_is_group_name(cpn_view v);
/* /subscriptions/S[/resourceGroups/G[/providers/P/T/N[/T2/N2]]]; G is a group's name, the other
 * names are [A-Za-z0-9._()-]{1,80}; at most CPN_ID_MAX bytes, no trailing slash. Only ASCII letters
 * compare without case. CPN_INVALID with a sentence. */
cpn_rc cpn_resource_id_parse(cpn_resource_id *out, cpn_view text, cpn_err *err) CPN_MUST_CHECK;
/* Reached by the Azure door's own way for its SKU, one session at a time. */
bool cpn_bastion_is_small(const cpn_bastion *b);
bool cpn_network_holds(const cpn_network *n, const cpn_addr *a);
bool cpn_network_has_peer(const cpn_network *n, const cpn_network *peer);
/* Is inner the scope outer, or within it? At the boundary of a segment, without case: "/groups/lab"
 * holds "/groups/lab" and "/groups/lab/x", not "/groups/lab2"; "/" holds everything. */
bool cpn_scope_holds(cpn_view outer, cpn_view inner);

#endif
