/* control/arm_ops.h -- long-running operations of the ARM subset, as Azure's clients poll them.
 *
 *     POST/PUT/PATCH/DELETE → 200/201/202 with Azure-AsyncOperation or Location
 *     GET .../providers/Microsoft.Network/locations/L/operations/ID        → {"status":"Succeeded"}
 *     GET .../providers/Microsoft.Network/locations/L/operationResults/ID  → the result, or 204
 *
 * What is answered here is done when it is answered, so that an operation never runs. It is seen by
 * the principal that started it, and by nobody else, for CPN_ARM_OPS_KEEP_MS.
 *
 * That of a change is a row of the store, written with the change: it is there if and only if the
 * change is, also when control was started anew in between. One that has a result is kept in
 * memory, at most CPN_ARM_OPS_EACH of one principal and CPN_ARM_OPS_MAX in all: a principal's own
 * oldest gives way first, so that nobody's operations push out another's before there are 32 such
 * principals. */
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

/* The caller's new operation, into the batch of its change; id names it ... */
void cpn_arm_op_put(cpn_batch *b, const cpn_call *call, char id[CPN_UUID_TEXT]);
/* ... and the ways to it, with Retry-After, into the answer, once the change is published. where:
 * an ARM location (""  is "local"). */
void cpn_arm_op_tell(cpn_call *call, const char *where, cpn_arm_op_ways ways, const char *id);
/* An operation with a result, which operationResults shows: Location into the answer. */
void cpn_arm_op_result(cpn_call *call, const char *where, CPN_TAKES json_t *result);

#endif
