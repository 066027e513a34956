/* client/tunlog.h -- where a tunnel in the background says what others say on stderr: tunnels.log
 * in the state folder (client/rundir.h), 0600, one for all tunnels of this user.
 *
 * Each line has the time and the tunnel's id in front. Beyond CPN_TUNLOG_BYTES the file becomes
 * tunnels.log.1, in place of the one before, so that both together stay below twice that. */
#ifndef CPN_CLIENT_TUNLOG_H
#define CPN_CLIENT_TUNLOG_H

#include "base/err.h"

#define CPN_TUNLOG_BYTES 131072

/* Open it for lines about the tunnel `id` (copied). CPN_E_CONF: not to be trusted; CPN_NOT_FOUND:
 * the environment names no folder. */
cpn_rc cpn_tunlog_open(const char *id, cpn_err *err) CPN_MUST_CHECK;
/* From now on stderr is the log. */
cpn_rc cpn_tunlog_take_stderr(cpn_err *err) CPN_MUST_CHECK;

#endif
