/* client/detach.h -- going on in the background, once it is known that all is well.
 *
 *     begin   the process splits; the parent waits
 *     …       the child works, with the caller's terminal, output and errors
 *     done    the child lets go of them; the parent exits with 0
 *
 * When the child ends before `done`, the parent exits with the child's status. Of the caller's
 * descriptors the child keeps 0 to 2 until `done`, and one that was asked for. */
#ifndef CPN_CLIENT_DETACH_H
#define CPN_CLIENT_DETACH_H

#include "base/err.h"

/* Returns in the child only. Before any thread, and before anything is opened. keep: a descriptor
 * from 3 on that stays, -1: none. *channel goes to cpn_detach_done. */
cpn_rc cpn_detach_begin(int keep, int *channel, cpn_err *err) CPN_MUST_CHECK;
/* A session of its own; standard input and output are /dev/null. stderr is the caller's business,
 * before. CPN_E_SYS: nobody waits any more; the child should end. */
cpn_rc cpn_detach_done(int channel, cpn_err *err) CPN_MUST_CHECK;

#endif
