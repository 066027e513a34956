/* control/arm_roles.h -- what the rows of roles share in the ARM subset. */
#ifndef CPN_CONTROL_ARM_ROLES_H
#define CPN_CONTROL_ARM_ROLES_H

#include "codec/odata.h"
#include "control/call.h"

/* The id of a role's definition as it is shown to who asks about a scope: below the scope's
 * subscription, as Azure's are, or at the root. The Azure CLI compares these texts, so definitions
 * and assignments spell them alike. */
void cpn_arm_role_id(const cpn_role_def *role, const char *scope, char out[CPN_ID_MAX + 1]);

/* The scope in the path; "/" for the rows without one. */
const char *cpn_arm_path_scope(const cpn_call *call);

/* $filter of the request; none has no clauses. False: answered, 400. */
bool cpn_arm_filter(CPN_TAKES cpn_call *call, cpn_odata *out);

#endif
