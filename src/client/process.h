/* client/process.h -- another process of this user's, to end with. */
#ifndef CPN_CLIENT_PROCESS_H
#define CPN_CLIENT_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

/* A pidfd of the process: readable when it has ended. CPN_INVALID: there is none, it has ended, or
 * it is another user's. CPN_E_SYS. */
cpn_rc cpn_process_open(pid_t pid, int *out, cpn_err *err) CPN_MUST_CHECK;

#endif
