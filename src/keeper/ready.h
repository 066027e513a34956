/* keeper/ready.h -- telling the outside that the gateway serves: a descriptor of --ready-fd, and
 * the service manager's NOTIFY_SOCKET (sd_notify(3), spoken by hand). */
#ifndef CPN_KEEPER_READY_H
#define CPN_KEEPER_READY_H

#include "base/err.h"

/* Writes "READY=1\nLISTEN=addr:port\n…ADMIN=addr:port\n" to fd and closes it; -1 is fine. The texts
 * are "addr:port\n" lines. */
void cpn_ready_write(CPN_TAKES int fd, const char *listen, const char *admin);
/* "READY=1" or "STOPPING=1" to NOTIFY_SOCKET, if there is one. */
void cpn_ready_notify(const char *state);

#endif
