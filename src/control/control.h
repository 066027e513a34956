/* control/control.h -- the role that decides: settings, identity, policy, store, sessions, audit
 * and every API handler. It has no internet socket: what it knows of the outside are fixed-size
 * messages of the fronts, what it does outside are messages to keeper.
 *
 *     core.h        what its files share          fronts.h     the other ends of the data path
 *     call.h        a request being assembled     api.h        route table, dispatcher
 *     reply.h       the one way to answer         publish.h    the one way to change policy
 *     sessions.h    live sessions and streams     open.h       OPEN, UPGRADE, DIALED
 *     cut.h         ending them                   azdoor.h     the Azure door's tickets
 *     penalties.h   what wrong secrets cost       trail.h      the audit records of all of these
 *     tls.h         the certificate               api_*.c      one file a resource */
#ifndef CPN_CONTROL_CONTROL_H
#define CPN_CONTROL_CONTROL_H

#include "ipc/role.h"

/* The whole life of a control process; returns its exit status: 0 told to stop, 1 failed, 2 the
 * settings are wrong (the sentence is on stderr and in the log). */
int cpn_control_main(const cpn_role_args *args);

#endif
