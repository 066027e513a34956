/* client/tunnel.h -- the tunnel: inlets whose every connection becomes a stream of one shared
 * carrier to the gateway.
 *
 * The carrier is made at the start and again for the next local connection after it died. A stream
 * that the gateway refuses is answered in the words of the local program's own protocol; on stderr
 * the same refusal is told once. */
#ifndef CPN_CLIENT_TUNNEL_H
#define CPN_CLIENT_TUNNEL_H

#include "client/inlet.h"

typedef struct cpn_tunnel cpn_tunnel;

/* Serve until a signal (SIGINT, SIGTERM, SIGHUP) or until timeout_s have passed (0: for ever); the
 * gateway is told that the streams are over. api and inlets are borrowed. */
cpn_rc cpn_tunnel_run(cpn_api *api, cpn_inlet *inlets, unsigned n, unsigned timeout_s,
                      cpn_err *err) CPN_MUST_CHECK;

#endif
