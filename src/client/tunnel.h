/* client/tunnel.h -- the tunnel: inlets whose every connection becomes a stream of one shared
 * carrier to the gateway.
 *
 * The carrier is made at the start and again for the next local connection after it died; so are
 * further ones where the plan wants them, and a stream takes the one that has the fewest. A stream
 * that the gateway refuses is answered in the words of the local program's own protocol; on stderr
 * the same refusal is told once. */
#ifndef CPN_CLIENT_TUNNEL_H
#define CPN_CLIENT_TUNNEL_H

#include "client/ctlsock.h"

#define CPN_CARRIERS_WANTED_MAX 64

typedef struct cpn_tunnel cpn_tunnel;

/* How a tunnel ends by itself, and what it tells meanwhile. */
typedef struct cpn_tunnel_plan {
    unsigned timeout_s;         /* end after so long; 0: never */
    unsigned idle_s;            /* end when no session has been open for so long; 0: never */
    unsigned carriers;          /* to have, if the gateway lets us; 0: one */
    int exit_with;              /* a pidfd: end when that process does; -1: none */
    bool events;                /* JSON on stdout, a line each (client/tunnel_events.c) */
    bool line;                  /* a live line on stderr, if that is a terminal */
    const cpn_ctlsock *ctlsock; /* answers `tunnel list` and `tunnel stop`; NULL: not listed */
} cpn_tunnel_plan;

/* From now on the signals that end a tunnel wait for cpn_tunnel_run. */
void cpn_tunnel_hold_signals(void);
/* Serve until a signal (SIGINT, SIGTERM, SIGHUP) or until the plan says so; the gateway is told
 * that the streams are over. Everything is borrowed. */
cpn_rc cpn_tunnel_run(cpn_api *api, const cpn_inlet *inlets, unsigned n,
                      const cpn_tunnel_plan *plan, cpn_err *err) CPN_MUST_CHECK;

/* How a program ended. */
typedef struct cpn_tunnel_ran {
    int status;     /* its exit status; below 0: the signal that ended it, negated */
    bool connected; /* it had a session at least once */
} cpn_tunnel_ran;

/* Serve one inlet as long as the program argv[0] (an absolute path) runs, with our own standard
 * input, output and error. When a signal ends us, it is ended too. CPN_E_SYS: it cannot be
 * started. */
cpn_rc cpn_tunnel_with(cpn_api *api, cpn_inlet *inlet, char *const argv[], cpn_tunnel_ran *out,
                       cpn_err *err) CPN_MUST_CHECK;

/* The calls that come before the stream; they and the carrier share one connection, as far as the
 * gateway lets them. */
typedef cpn_rc cpn_tunnel_first(cpn_api *api, cpn_inlet *inlet, void *owner, cpn_err *err);

/* Call first, then relay one stream between `in` and `out` (pipes, terminals, files, sockets) and
 * the target of an inlet that listens nowhere, until both ends are done or a signal comes.
 * CPN_E_SYS without a sentence: it ended otherwise, and stderr was told why. */
cpn_rc cpn_tunnel_stdio(cpn_api *api, cpn_inlet *inlet, cpn_tunnel_first *first, void *owner,
                        const int ends[2], cpn_err *err) CPN_MUST_CHECK;

#endif
