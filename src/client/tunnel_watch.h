/* client/tunnel_watch.h -- what happens in a tunnel, counted and told; private to tunnel*.c. */
#ifndef CPN_CLIENT_TUNNEL_WATCH_H
#define CPN_CLIENT_TUNNEL_WATCH_H

#include <uv.h>

#include "client/meter.h"
#include "client/tunnel.h"
#include "net/carrier.h"

typedef struct cpn_local cpn_local;

/* Sessions and bytes. A session is a stream that the gateway has opened. */
typedef struct cpn_tunnel_counts {
    unsigned sessions; /* open now */
    uint64_t sessions_total;
    uint64_t up, down;
} cpn_tunnel_counts;

/* The live line; all zero: there is none. */
typedef struct cpn_tunnel_line {
    bool on;
    bool shown;
    bool dirty;           /* it was erased for a message */
    uv_timer_t tick;      /* runs only while something changes */
    uv_prepare_t prepare; /* sees a change when the loop is awake anyway */
    unsigned quiet;       /* ticks without a change */
    cpn_meter meter;
    cpn_tunnel_counts drawn;
} cpn_tunnel_line;

/* ---- tunnel_watch.c ---- */
/* The gateway has opened the stream of l; json is its answer. */
void cpn_tunnel_session_opened(cpn_tunnel *t, cpn_local *l, cpn_view json);
/* The stream of l is over (end NULL: since the tunnel is). Any number of times. */
void cpn_tunnel_session_over(cpn_tunnel *t, cpn_local *l, const cpn_stream_end *end);
/* Every stream of t is over. */
void cpn_tunnel_sessions_over(cpn_tunnel *t);
/* Now, running streams included. */
cpn_tunnel_counts cpn_tunnel_count(const cpn_tunnel *t);
/* A carrier ended, or was made. */
void cpn_tunnel_carrier_lost(cpn_tunnel *t, const char *why);
void cpn_tunnel_carrier_made(cpn_tunnel *t);

/* ---- tunnel_events.c ---- */
/* Each does nothing unless the plan wants events. They never wait: what standard output does not
 * take at once is skipped, counted, and told by the event `skipped`. */
void cpn_event_session_opened(cpn_tunnel *t, const cpn_local *l);
void cpn_event_session_closed(cpn_tunnel *t, const cpn_local *l, const cpn_stream_end *end);
void cpn_event_refused(cpn_tunnel *t, const cpn_target *target, cpn_view json);
void cpn_event_carrier(cpn_tunnel *t, const char *event, const char *message);
void cpn_event_stopped(cpn_tunnel *t);

/* ---- tunnel_line.c ---- */
void cpn_tunnel_line_start(cpn_tunnel *t);
void cpn_tunnel_line_stop(cpn_tunnel *t);

#endif
