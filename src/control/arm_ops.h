/* control/arm_ops.h -- long-running operations of the ARM subset, as Azure's clients poll them.
 *
 *     POST/PUT/DELETE → 200/201/202 with Azure-AsyncOperation (and Location)
 *     GET .../providers/Microsoft.Network/locations/L/operations/ID        → {"status":"Succeeded"}
 *     GET .../providers/Microsoft.Network/locations/L/operationResults/ID  → the result; 202 before
 *
 * An operation is seen by the principal that started it, and by nobody else. Kept in memory, at
 * most CPN_ARM_OPS_EACH of one principal and CPN_ARM_OPS_MAX in all: a principal's own oldest gives
 * way first, so that nobody's operations push out another's before there are 32 such principals.
 * After CPN_ARM_OPS_KEEP_MS, or when control was started anew, it is not found any more. */
#ifndef CPN_CONTROL_ARM_OPS_H
#define CPN_CONTROL_ARM_OPS_H

#include "control/arm.h"
#include "model/uuid.h"

#define CPN_ARM_OPS_MAX 4096
#define CPN_ARM_OPS_EACH 128
#define CPN_ARM_OPS_KEEP_MS 3600000

cpn_arm_ops *cpn_arm_ops_new(void);
void cpn_arm_ops_free(cpn_arm_ops *ops);

/* What leads to an operation: its state (Azure-AsyncOperation), its result (Location). az shows the
 * result only where it is not told of the state. */
typedef enum cpn_arm_op_ways {
    CPN_ARM_OP_STATE = 1,
    CPN_ARM_OP_RESULT,
    CPN_ARM_OP_BOTH
} cpn_arm_op_ways;

/* A new operation of the caller's, running. Adds the ways to it and Retry-After to the call's
 * answer, which follows. id names the operation for what comes later. where: an ARM location (""
 * is "local"). */
void cpn_arm_op_start(cpn_call *call, const char *where, cpn_arm_op_ways ways,
                      char id[CPN_UUID_TEXT]);
/* It is done. result (taken, may be NULL) is what operationResults shows: with it 200, without 204.
 * No such operation any more: nothing. */
void cpn_arm_op_done(cpn_control *c, const char *id, CPN_TAKES json_t *result);
void cpn_arm_op_failed(cpn_control *c, const char *id, const char *code, const char *message);

#endif
