/* client/ctlsock.h -- the control socket by which a running tunnel is found: `tunnel list` and
 * `tunnel stop`.
 *
 * It is named CPN_CTLSOCK_PREFIX and the tunnel's id, lies in a folder of client/rundir.h, has mode
 * 0600, and asks each peer's uid all the same. A peer sends one word; "status" is answered by a
 * line of JSON, "stop" by the same, and the tunnel ends. No file says which tunnels run: one that
 * does not answer is none. */
#ifndef CPN_CLIENT_CTLSOCK_H
#define CPN_CLIENT_CTLSOCK_H

#include "client/inlet.h"

#define CPN_CTLSOCK_PREFIX "tunnel-"
#define CPN_CTLSOCK_ID 7          /* six hexadecimal digits */
#define CPN_CTLSOCK_WORD 16       /* bytes of what is asked */
#define CPN_CTLSOCK_ANSWER 262144 /* bytes of what is answered */
#define CPN_CTLSOCK_STATUS "status\n"
#define CPN_CTLSOCK_STOP "stop\n"

/* Start from CPN_CTLSOCK_NONE; release with cpn_ctlsock_close. */
typedef struct cpn_ctlsock {
    char id[CPN_CTLSOCK_ID];
    int dirfd;
    cpn_inlet inlet;
    int64_t since_ms; /* wall clock */
} cpn_ctlsock;

#define CPN_CTLSOCK_NONE ((cpn_ctlsock){ .dirfd = -1, .inlet = { .fd = -1 } })

/* CPN_E_CONF, CPN_E_SYS, CPN_NOT_FOUND: there is no folder for it, or not one to be trusted. */
cpn_rc cpn_ctlsock_open(cpn_ctlsock *c, cpn_err *err) CPN_MUST_CHECK;
void cpn_ctlsock_close(cpn_ctlsock *c);
/* Is it the name of a control socket? *id points into it. */
bool cpn_ctlsock_is(const char *name, const char **id);
/* The path of a name in a folder that is open: of any length, and the folder cannot be exchanged.
 */
void cpn_ctlsock_path(int dirfd, const char *name, char out[CPN_INLET_TEXT]);

#endif
