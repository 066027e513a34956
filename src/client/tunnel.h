/* client/tunnel.h -- the tunnel: a listener on 127.0.0.1 whose every connection becomes a stream of
 * one shared carrier to the gateway.
 *
 * The carrier is made at the start and again for the next local connection after it died. A stream
 * that the gateway refuses is answered in the words of the local program's own protocol; on stderr
 * the same refusal is told once. */
#ifndef CPN_CLIENT_TUNNEL_H
#define CPN_CLIENT_TUNNEL_H

#include "client/target.h"

typedef struct cpn_tunnel cpn_tunnel;

/* A listening socket on 127.0.0.1; *port 0 becomes the one that the kernel picked. CPN_E_SYS with a
 * sentence: in use, not allowed. */
cpn_rc cpn_tunnel_listen(unsigned *port, int *out, cpn_err *err) CPN_MUST_CHECK;

/* Serve until a signal (SIGINT, SIGTERM, SIGHUP) or until timeout_s have passed (0: for ever); the
 * gateway is told that the streams are over. api and target are borrowed, listen_fd is consumed. */
cpn_rc cpn_tunnel_run(cpn_api *api, const cpn_target *target, CPN_TAKES int listen_fd,
                      unsigned timeout_s, cpn_err *err) CPN_MUST_CHECK;

#endif
