/* keeper/listen.h -- the listening sockets: bound here, or passed by systemd, by --listen-fd. */
#ifndef CPN_KEEPER_LISTEN_H
#define CPN_KEEPER_LISTEN_H

#include "ipc/role.h"

#define CPN_LISTEN_BACKLOG 4096

typedef struct cpn_listener_set {
    int fd[CPN_LISTEN_MAX];
    size_t n;
} cpn_listener_set;

/* Bind each "addr:port\n" line. CPN_E_SYS: the sentence names the address. */
cpn_rc cpn_listen_bind(cpn_listener_set *out, cpn_view lines, cpn_err *err) CPN_MUST_CHECK;
/* Take sockets that somebody else bound: TCP over IPv4 or IPv6, else CPN_E_CONF. One that does not
 * listen yet is made to. */
cpn_rc cpn_listen_adopt(cpn_listener_set *out, const int *fds, size_t n,
                        cpn_err *err) CPN_MUST_CHECK;
/* Where it really listens. CPN_E_SYS. */
cpn_rc cpn_listen_address(int fd, cpn_addr *addr, uint16_t *port, cpn_err *err) CPN_MUST_CHECK;
/* "addr:port\n" lines of the set; what does not fit is left out. */
void cpn_listen_text(const cpn_listener_set *set, char *out, size_t size);
void cpn_listen_close(cpn_listener_set *set);

#endif
