/* control/trail.h -- the audit record of everything that control does, from the objects it does it
 * with. A record goes with the change it speaks of, in the same batch; what changes nothing (a
 * refusal, a failed call) is committed on its own.
 *
 * Within 5 s are one record with a count: refusals of the same user, target and reason; failed
 * calls of the same source, event and reason by somebody who is not signed in; calls of the same
 * user, event and reason that failed or only read. */
#ifndef CPN_CONTROL_TRAIL_H
#define CPN_CONTROL_TRAIL_H

#include "control/call.h"
#include "control/sessions.h"

cpn_trail *cpn_trail_new(void);
void cpn_trail_free(cpn_trail *t);

/* A call with its row's event, into the batch of the change (then call->audited is set) ... */
void cpn_trail_call_in(cpn_batch *b, cpn_call *call, int status);
/* ... or by itself. */
void cpn_trail_call(cpn_call *call, int status);
/* What the same change did besides: another event, with a target (an id) of its own. */
void cpn_trail_call_along(cpn_batch *b, const cpn_call *call, const char *event, int status,
                          const char *target);
/* "session.start", "session.end"; ends carry bytes, duration and reason. */
void cpn_trail_session(cpn_control *c, cpn_batch *b, const cpn_session *s, const char *event);
/* "gateway.start", "gateway.stop", "gateway.reload", "gateway.clock". */
void cpn_trail_gateway(cpn_control *c, const char *event, const char *message);

/* A connect request that was refused. decision names it in the answer, too. */
typedef struct cpn_trail_refusal {
    const cpn_principal *who;
    const char *object_id; /* when who is not there any more; NULL, too: a stranger */
    const char *bastion;
    const char *target;
    uint16_t port;
    cpn_door door;
    const cpn_addr *peer;
    uint16_t peer_port;
    const char *user_agent;
    cpn_reason why;
    const char *message;
    const char *decision;
    const char *binding; /* of the carrier; NULL: there is none */
} cpn_trail_refusal;

void cpn_trail_refused(cpn_control *c, const cpn_trail_refusal *r);
/* Write the merged refusals whose 5 s are over; all of them when closing. */
void cpn_trail_flush(cpn_control *c, uint64_t now_ms, bool all);

#endif
