/* client/running.h -- the tunnels of this user that run now, asked one by one (client/ctlsock.h).
 */
#ifndef CPN_CLIENT_RUNNING_H
#define CPN_CLIENT_RUNNING_H

#include <jansson.h>

#include "base/err.h"

#define CPN_RUNNING_MAX 256     /* tunnels that are asked */
#define CPN_RUNNING_ASK_MS 1000 /* for one to answer */
#define CPN_RUNNING_END_MS 5000 /* for one to end */

/* An array of what each says of itself. Sockets that nobody serves are removed, unless they may be
 * another machine's; a tunnel that does not answer is told on stderr. CPN_E_CONF: a folder that is
 * not to be trusted. */
cpn_rc cpn_running_list(json_t **out, cpn_err *err) CPN_MUST_CHECK;
/* End the one with this id, NULL: every one, and wait until it is gone; *out as above, of those
 * that have ended. CPN_NOT_FOUND: there is none with this id. CPN_UNAVAILABLE: one did not end. */
cpn_rc cpn_running_stop(const char *id, json_t **out, cpn_err *err) CPN_MUST_CHECK;

#endif
