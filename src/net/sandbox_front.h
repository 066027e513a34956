/* net/sandbox_front.h -- what a process that meets the internet can still do.
 *
 * After the call it can use what it holds, take connections from its listening sockets, and receive
 * descriptors from control. It can open, connect, bind, execute and start nothing: any other system
 * call kills the process (SIGSYS), and so do memory that is both writable and executable, sending
 * with MSG_FASTOPEN (which would connect), and socket options that are not on a short list.
 * Besides: no new privileges, no core file, not dumpable, no new processes, no file writes (unless
 * standard error is a file, as under a test), no descriptors' growth.
 *
 * Everything that opens files by itself must have been used before: this initialises OpenSSL and
 * the time zone. Builds with -Dleakcheck=true have no filter; those with sanitizers allow what the
 * sanitizers need, which is much. */
#ifndef CPN_NET_SANDBOX_FRONT_H
#define CPN_NET_SANDBOX_FRONT_H

#include "base/err.h"

/* CPN_E_SYS: the process must not go on. */
cpn_rc cpn_sandbox_front(cpn_err *err) CPN_MUST_CHECK;

#endif
