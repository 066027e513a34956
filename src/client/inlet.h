/* client/inlet.h -- where local programs come in: a listening socket, who may use it, and the
 * machine behind it.
 *
 * A TCP inlet on a loopback address serves the user's own programs and root's (client/peer.h), so
 * it is refused where those cannot be told apart. On any other address nobody can be told apart;
 * such an inlet is open to all who reach it, and the rule must say so. A Unix socket has mode 0600
 * from its first moment and its peers are asked all the same. */
#ifndef CPN_CLIENT_INLET_H
#define CPN_CLIENT_INLET_H

#include <sys/un.h>

#include "client/peer.h"
#include "client/target.h"

#define CPN_INLETS_MAX 32 /* of one process */

/* Start from CPN_INLET_NONE; release with cpn_inlet_close. */
typedef struct cpn_inlet {
    int fd;
    cpn_target target;
    cpn_peer_rule peers;
    cpn_addr address;
    unsigned port; /* 0: a Unix socket */
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    dev_t device; /* of the socket that was made at path */
    ino_t inode;
} cpn_inlet;

#define CPN_INLET_NONE ((cpn_inlet){ .fd = -1 })

/* Listen; port 0 becomes the one that the kernel picked. CPN_INVALID: the address is not loopback
 * and the rule is not for everybody, or the reverse. CPN_E_SYS with a sentence: in use, not
 * allowed, not of this machine, or peers cannot be known. */
cpn_rc cpn_inlet_tcp(cpn_inlet *in, const cpn_addr *address, unsigned port,
                     cpn_err *err) CPN_MUST_CHECK;
/* Listen on a path. A socket of ours that nobody serves any more is replaced; anything else that is
 * there stays and is an error. CPN_INVALID: the path; CPN_E_SYS. */
cpn_rc cpn_inlet_unix(cpn_inlet *in, const char *path, cpn_err *err) CPN_MUST_CHECK;
/* Where it listens: "127.0.0.1:50022", "[::1]:50022", or the path. */
#define CPN_INLET_TEXT 128
const char *cpn_inlet_text(const cpn_inlet *in, char out[CPN_INLET_TEXT]);
/* Close, and remove the path if it is still the socket that was made. */
void cpn_inlet_close(cpn_inlet *in);

#endif
