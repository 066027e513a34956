/* policy/snapshot_impl.h -- the inside of a snapshot. Internal to src/policy.
 *
 * Documents are shared between snapshots; nodes are not: a node is one document's place in one
 * snapshot, with pointers to its neighbours there. Nodes of a kind stand in an array in id order.
 */
#ifndef CPN_POLICY_SNAPSHOT_IMPL_H
#define CPN_POLICY_SNAPSHOT_IMPL_H

#include "policy/doc.h"
#include "policy/hash.h"
#include "policy/snapshot.h"

typedef struct cpn_node cpn_node;

/* A run of pointers in one of the snapshot's arrays. */
typedef struct cpn_run {
    const cpn_node **at;
    unsigned n;
} cpn_run;

struct cpn_node {
    UT_hash_handle hh; /* in by_id[kind] */
    cpn_doc *doc;      /* counted */
    union {
        cpn_network network;
        cpn_nic nic;
        cpn_machine machine;
        cpn_bastion bastion;
        struct {
            cpn_principal is;
            cpn_run assignments; /* its own */
            cpn_run groups;      /* that it is a member of */
        } principal;
        const cpn_role_def *role; /* of a definition or of an assignment */
    } as;
};

/* An interface by address within its network. */
typedef struct cpn_addr_key {
    const cpn_network *network;
    cpn_addr addr;
} cpn_addr_key;

typedef struct cpn_addr_slot {
    UT_hash_handle hh;
    cpn_addr_key key;
    const cpn_nic *nic;
} cpn_addr_slot;

/* A sign-in name, application id, role name or role GUID; keys are lower case and borrowed. */
typedef struct cpn_name_slot {
    UT_hash_handle hh;
    const char *key;
    const void *is; /* cpn_node of a principal, or cpn_role_def */
} cpn_name_slot;

struct cpn_snapshot {
    unsigned refs;
    uint64_t epoch;
    unsigned resources_max;
    bool allow_loopback;
    cpn_node *nodes[CPN_K_N];
    unsigned n[CPN_K_N];
    cpn_node *by_id[CPN_K_N];
    const cpn_network **peers; /* the runs of all networks */
    const cpn_node **assignments;
    const cpn_node **groups;
    cpn_addr_slot *addr_slots, *by_addr;
    cpn_name_slot *sign_in_slots, *by_sign_in;
    cpn_name_slot *role_slots, *by_role;
    cpn_name_slot *external_slots, *by_external; /* exact: a provider's names have a case */
};

/* One put (doc) or delete (NULL). */
typedef struct cpn_change {
    UT_hash_handle hh;
    char *id_lower;
    cpn_doc *doc;
} cpn_change;

struct cpn_snapshot_edit {
    cpn_snapshot *base; /* counted; NULL: empty */
    unsigned resources_max;
    bool allow_loopback;
    unsigned changes_n;
    cpn_change *changes[CPN_K_N]; /* hash tables */
};

/* What seal finds wrong: sentences, the first CPN_PROBLEMS_MAX of them. */
typedef struct cpn_problems {
    json_t *list; /* NULL: none */
    unsigned n;   /* also those that are not listed */
} cpn_problems;

void cpn_problem(cpn_problems *p, const char *fmt, ...) CPN_PRINTF(2, 3);

/* NULL: none of that id. */
cpn_node *cpn_node_find(const cpn_snapshot *s, cpn_kind kind, const cpn_ref *ref);
cpn_node *cpn_node_find_view(const cpn_snapshot *s, cpn_kind kind, cpn_view id);
const cpn_nic *cpn_nic_at(const cpn_snapshot *s, const cpn_network *network, const cpn_addr *addr);

/* The steps of seal. They fill pointers that exist and report those that do not. */
void cpn_seal_networks(cpn_snapshot *s, cpn_problems *p);
void cpn_seal_nics(cpn_snapshot *s, cpn_problems *p);
void cpn_seal_machines(cpn_snapshot *s, cpn_problems *p);
void cpn_seal_bastions(cpn_snapshot *s, cpn_problems *p);
/* Before the principals: who is known under which name elsewhere. */
void cpn_seal_external(cpn_snapshot *s, cpn_problems *p);
/* The group that a value of the groups claim stands for; NULL: none. */
const cpn_node *cpn_external_group(const cpn_snapshot *s, const char *value);
void cpn_seal_principals(cpn_snapshot *s, cpn_problems *p);
void cpn_seal_roles(cpn_snapshot *s, cpn_problems *p);
void cpn_seal_assignments(cpn_snapshot *s, cpn_problems *p);

#endif
