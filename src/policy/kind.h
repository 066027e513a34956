/* policy/kind.h -- the kinds of documents in one table: name, form of the id, action that reads
 * one. Internal to src/policy. */
#ifndef CPN_POLICY_KIND_H
#define CPN_POLICY_KIND_H

#include "model/resource.h"

typedef enum cpn_kind {
    CPN_K_SUBSCRIPTION,
    CPN_K_GROUP,
    CPN_K_NETWORK,
    CPN_K_NIC,
    CPN_K_SCALE_SET,
    CPN_K_MACHINE,
    CPN_K_BASTION,
    CPN_K_PRINCIPAL,
    CPN_K_CREDENTIAL,
    CPN_K_ROLE,
    CPN_K_ASSIGNMENT,
    CPN_K_N
} cpn_kind;

/* The last kind, in the order above, that is an ARM resource and may be a scope. */
#define CPN_K_LAST_RESOURCE CPN_K_BASTION

/* CPN_K_N for an unknown name. Exact spelling. */
cpn_kind cpn_kind_from_name(const char *name);
const char *cpn_kind_name(cpn_kind kind);
/* What one must be allowed to do to see a document; NULL: nobody sees one. The two forms of a
 * machine have two actions: the lower-case id tells which. */
const char *cpn_kind_read_action(cpn_kind kind, const char *id_lower);

/* The kind that a parsed id is of, by its provider and types (without case); CPN_K_N for others. */
cpn_kind cpn_kind_of(const cpn_resource_id *id);

/* 8-4-4-4-12 hexadecimal digits. */
bool cpn_is_guid(cpn_view v);

#define CPN_ASSIGNMENT_INFIX "/providers/microsoft.authorization/roleassignments/"
#define CPN_ROLE_PREFIX "/providers/microsoft.authorization/roledefinitions/"

#endif
