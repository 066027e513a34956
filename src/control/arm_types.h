/* control/arm_types.h -- the types of resources that the ARM subset shows, and lists of them.
 *
 * A type is a kind of document with its Azure name and its Azure shape. Shapes are pure: a snapshot
 * and a document in, JSON out. */
#ifndef CPN_CONTROL_ARM_TYPES_H
#define CPN_CONTROL_ARM_TYPES_H

#include "control/arm.h"

typedef struct cpn_arm_type {
    const char *kind;      /* of the document */
    const char *namespace; /* "Microsoft.Network" */
    const char *name;      /* "bastionHosts", "virtualMachineScaleSets/virtualMachines" */
    bool top;              /* stands in lists of all resources */
    json_t *(*shape)(const cpn_control *c, const char *id, const json_t *body);
} cpn_arm_type;

extern const cpn_arm_type cpn_arm_bastion, cpn_arm_network, cpn_arm_nic, cpn_arm_machine,
    cpn_arm_scale_set, cpn_arm_instance;
/* All of them; NULL-terminated. */
extern const cpn_arm_type *const cpn_arm_types[];

/* Is the document's id of this type? A machine's is of one of two. */
bool cpn_arm_type_is(const cpn_arm_type *t, const char *id);

/* {"id","name","type","location","tags"?}: what every resource has. */
json_t *cpn_arm_envelope(const cpn_control *c, const cpn_arm_type *t, const char *id,
                         const json_t *body);

/* Each answers. GET of the resource in the path, with its ETag. */
void cpn_arm_get(CPN_TAKES cpn_call *call, const cpn_arm_type *t);
/* What the caller may read of a type in the path's group or subscription. */
void cpn_arm_list(CPN_TAKES cpn_call *call, const cpn_arm_type *t);
/* ... of a type that this gateway has none of. */
void cpn_arm_list_none(CPN_TAKES cpn_call *call);
/* ... whose tags fit $filter. */
void cpn_arm_list_tagged(CPN_TAKES cpn_call *call, const cpn_arm_type *t);
/* ... of a type below the path's resource. */
void cpn_arm_list_below(CPN_TAKES cpn_call *call, const cpn_arm_type *t);
/* All types at once, as a list of resources has them: the envelope; $filter applies. */
void cpn_arm_list_all(CPN_TAKES cpn_call *call);

#endif
