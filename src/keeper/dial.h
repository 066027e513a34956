/* keeper/dial.h -- connecting to a target: fence, connect, deadline, and a look at who answered. */
#ifndef CPN_KEEPER_DIAL_H
#define CPN_KEEPER_DIAL_H

#include <uv.h>

#include "ipc/messages.h"
#include "keeper/fence.h"
#include "model/reason.h"

typedef struct cpn_dialer cpn_dialer;

/* The end of a dial. fd belongs to the callee, -1 unless why is CPN_WHY_NONE. */
typedef void cpn_dial_done(void *owner, const cpn_uuid *session, uint64_t stream, cpn_reason why,
                           const char *detail, int fd);

/* Borrows loop and fence, which must outlive it. */
cpn_dialer *cpn_dialer_new(uv_loop_t *loop, const cpn_fence *fence, cpn_dial_done *done,
                           void *owner);
/* Dials under way at once, and the longest that any may take. */
void cpn_dialer_limits(cpn_dialer *d, size_t max, uint32_t timeout_ms);
/* done is called exactly once, perhaps before this returns. */
void cpn_dialer_dial(cpn_dialer *d, const cpn_msg_DIAL *to);
/* Give up the dials of a session (every stream when `stream` is NULL); done says CPN_WHY_CLOSED. */
void cpn_dialer_abort(cpn_dialer *d, const cpn_uuid *session, const uint64_t *stream);
/* Give up all; done is not called. */
void cpn_dialer_abort_all(cpn_dialer *d);
/* Gives up all and frees at the end of the turn. NULL is fine. */
void cpn_dialer_free(cpn_dialer *d);

/* What an errno of connect() means. */
cpn_reason cpn_dial_reason(int e);

#endif
