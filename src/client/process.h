/* client/process.h -- another process of this user's, to end with; and not to be ended just now. */
#ifndef CPN_CLIENT_PROCESS_H
#define CPN_CLIENT_PROCESS_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

/* A pidfd of the process: readable when it has ended. CPN_INVALID: there is none, it has ended, or
 * it is another user's. CPN_E_SYS. */
cpn_rc cpn_process_open(pid_t pid, int *out, cpn_err *err) CPN_MUST_CHECK;

/* From here to the release this process is not ended by a key, a terminal that closes or a polite
 * kill: a refresh token that is used up on the way must not be what the file keeps. */
sigset_t cpn_process_hold(void);
void cpn_process_release(const sigset_t *before);

#endif
