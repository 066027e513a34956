/* client/tunnel_impl.h -- what the files of the tunnel share; private to tunnel*.c.
 *
 *     tunnel.c          the inlets, signals, start and end
 *     tunnel_carrier.c  the connections to the gateway: made when needed, lost, made again
 *     tunnel_renew.c    the token for them, renewed aside
 *     tunnel_local.c    one local connection: first bytes, its stream, its last words
 *     tunnel_roam.c     another network, or a machine that slept: carriers that lead nowhere
 *     tunnel_say.c      refusals and cuts as sentences
 *     tunnel_child.c    an inlet for as long as one program runs
 *     tunnel_watch.c    sessions and bytes, counted
 *     tunnel_events.c   the same as lines of JSON for a program
 *     tunnel_line.c     the same as one line on a terminal
 *     tunnel_until.c    ends for want of sessions, or with another process
 *     tunnel_ctlsock.c     answers `tunnel list` and `tunnel stop`
 *     tunnel_stdio.c    one stream to standard input and output instead of inlets */
#ifndef CPN_CLIENT_TUNNEL_IMPL_H
#define CPN_CLIENT_TUNNEL_IMPL_H

#include <uv.h>

#include "client/stdio.h"
#include "client/tunnel.h"
#include "client/tunnel_watch.h"
#include "codec/firstbytes.h"
#include "model/uuid.h"
#include "net/carrier.h"
#include "net/httpc.h"

#define CPN_TUNNEL_MEMORY ((size_t)256 << 20)
/* Further ones when all are full or their token has ended: a shell an hour, left open, two days. */
#define CPN_CARRIERS_MAX (CPN_CARRIERS_WANTED_MAX + 48)
#define CPN_LOCALS_MAX 4096     /* local connections at once, where descriptors suffice */
#define CPN_LOCAL_FIRST_MS 200  /* for the first bytes, which tell the protocol */
#define CPN_LOCAL_LAST_MS 2000  /* for the program to read our last words */
#define CPN_LOCAL_WAIT_MS 15000 /* for a carrier, while the gateway is away */
#define CPN_SAID_MAX 32         /* refusals that are remembered as told */
#define CPN_LAST_WORDS 1024

/* A place for a carrier; carrier is NULL while there is none. */
typedef struct cpn_tunnel_link {
    cpn_tunnel *tunnel;
    cpn_carrier *carrier;
    int64_t expires_s; /* of the token it was made with, Unix time */
    uint64_t made_ms;
} cpn_tunnel_link;
/* One inlet while it is served. */
typedef struct cpn_tunnel_inlet {
    cpn_tunnel *tunnel;
    const cpn_inlet *inlet;
    char *open_json; /* the target as OPEN carries it */
    uv_poll_t accept;
} cpn_tunnel_inlet;

typedef struct cpn_ctlsock_guest cpn_ctlsock_guest;

struct cpn_tunnel {
    cpn_api *api;
    const cpn_tunnel_plan *plan;
    const char *ended_by;     /* a word of the event `stopped`; NULL: not yet */
    cpn_tunnel_counts counts; /* up and down: of ended streams */
    bool lost;                /* a carrier was, and none has been made since */
    uint64_t events_skipped;  /* since the last one that was written */
    cpn_tunnel_line line;
    int idle_fd; /* a timer; -1: none */
    uv_poll_t idle;
    uv_poll_t other; /* the process that we end with */
    uv_poll_t ctlsock;
    cpn_ctlsock_guest *guests;
    unsigned guests_n;
    cpn_tunnel_inlet inlets[CPN_INLETS_MAX];
    unsigned inlets_n;
    uv_loop_t uv;
    cpn_loop *loop;
    cpn_quota memory;
    uv_signal_t signal[3];
    uv_timer_t timeout;
    uv_timer_t retry;
    uv_timer_t goodbye;
    uv_poll_t roam;
    int roam_fd;       /* changes of this machine's addresses; -1: not watched */
    int64_t asleep_ns; /* in all, when last looked */
    cpn_tunnel_link links[CPN_CARRIERS_MAX];
    cpn_httpc *connecting;
    cpn_httpc_line warm; /* what the calls before left for the first carrier */
    unsigned failures;   /* in a row */
    uv_process_t renewer;
    bool enough;       /* the gateway lets us have no more carriers, until one ends */
    bool renewing;     /* it runs */
    bool renewal_over; /* it has ended, well or not, since the last attempt to connect */
    bool renewed;      /* a 401 asked for another token, and none was accepted since */
    cpn_local *locals;
    unsigned locals_n, locals_max; /* further ones wait in the backlog */
    char *said[CPN_SAID_MAX];
    unsigned said_n;
    bool stopping;
    cpn_stdio *stdio; /* NULL: inlets are served */
    bool failed;      /* the stream of stdio did not end in order */
};

typedef enum cpn_local_state {
    CPN_LOCAL_FIRST,  /* waits for its first bytes */
    CPN_LOCAL_WAITS,  /* waits for a carrier */
    CPN_LOCAL_STREAM, /* relayed */
    CPN_LOCAL_LAST,   /* was told why not; waits for the program to end */
    CPN_LOCAL_GONE
} cpn_local_state;

struct cpn_local {
    cpn_tunnel *tunnel;
    const cpn_tunnel_inlet *inlet;
    cpn_local_state state;
    cpn_speech speech;
    uint64_t since_ms;
    int fd;     /* the carrier's, once it is a stream: -1 then */
    int own_fd; /* a duplicate, for looking and for last words */
    uv_poll_t poll;
    uv_timer_t timer;
    unsigned handles;   /* not yet closed */
    cpn_stream *stream; /* NULL: none yet, or no more */
    cpn_buf first;      /* what a refused stream had read, for the next one */
    bool again;         /* it is asked for on another carrier */
    bool opened;        /* and it is a session */
    char session[CPN_UUID_TEXT];
    uint64_t opened_ms;
    cpn_local *next;
};

/* ---- tunnel.c ---- */
/* Loop, signals, timers; then inlets may be added. t is zero but for api. */
cpn_rc cpn_tunnel_begin(cpn_tunnel *t, cpn_err *err) CPN_MUST_CHECK;
cpn_rc cpn_tunnel_serve(cpn_tunnel *t, const cpn_inlet *inlet, cpn_err *err) CPN_MUST_CHECK;
/* Say goodbye and leave the loop; a second time: at once. why: the word for the event `stopped`. */
void cpn_tunnel_stop(cpn_tunnel *t, const char *why);
void cpn_tunnel_finish(cpn_tunnel *t);

/* ---- tunnel_local.c ---- */
/* One end of a socket pair of ours: a stream at once. Consumes fd; false: no memory. */
bool cpn_local_join(const cpn_tunnel_inlet *in, CPN_TAKES int fd);
/* A connection that came in; refused unless its peer may. Consumes fd. */
void cpn_local_new(const cpn_tunnel_inlet *in, CPN_TAKES int fd);
/* Open the streams of those that wait, as far as the carriers have room. */
void cpn_locals_open(cpn_tunnel *t);
/* There will be none: tell all that wait why not. older_ms: only those that have waited so long. */
void cpn_locals_fail(cpn_tunnel *t, const char *sentence, uint64_t older_ms);
bool cpn_locals_wait(const cpn_tunnel *t);
void cpn_locals_drop(cpn_tunnel *t);
void cpn_local_stream_end(cpn_tunnel *t, cpn_local *l, const cpn_stream_end *end,
                          bool stale_carrier);
void cpn_tunnel_accept(cpn_tunnel *t, bool on);

/* ---- tunnel_carrier.c ---- */
/* Serve the locals that wait; then make a carrier, if there are fewer than the plan wants or
 * somebody still waits, and none is being made. */
void cpn_tunnel_advance(cpn_tunnel *t);
/* The carrier with the fewest streams, if it takes one more; NULL: none does now. */
cpn_carrier *cpn_tunnel_room(cpn_tunnel *t);
/* New streams take another carrier; those that run stay, since the way may come back. */
void cpn_tunnel_distrust(cpn_tunnel_link *k);
unsigned cpn_tunnel_carriers(const cpn_tunnel *t);
void cpn_tunnel_retry(uv_timer_t *timer);
/* How long to wait before the next try, after so many failures. */
uint64_t cpn_tunnel_retry_ms(unsigned failures);

/* ---- tunnel_renew.c ---- */
/* Is the token being renewed? It is begun when it is time; advance is called again at its end. */
bool cpn_tunnel_renews(cpn_tunnel *t);

/* ---- tunnel_roam.c ---- */
/* Drain each carrier whose own address this machine loses from now on. Started by
 * cpn_tunnel_begin; stop when no handle is left on the loop. */
void cpn_tunnel_roam_start(cpn_tunnel *t);
void cpn_tunnel_roam_stop(cpn_tunnel *t);
/* Before a new stream: drain all carriers when the machine has slept since the last time. */
void cpn_tunnel_roam_look(cpn_tunnel *t);

/* ---- tunnel_say.c ---- */
/* Is it this word of model/reason.def? */
bool cpn_reason_is(cpn_view json, const char *word);
/* One sentence from a reason of the gateway, roles and scopes included. */
void cpn_reason_sentence_of(cpn_view json, char out[CPN_LAST_WORDS]);
/* On stderr, once for the same refusal of the same target. */
void cpn_tunnel_say_refused(cpn_tunnel *t, const cpn_target *target, cpn_view json);
/* On stderr: why a running stream was ended by the gateway; nothing for ordinary ends. */
void cpn_tunnel_say_reset(const cpn_target *target, cpn_view json);
/* The reason, whether it stands alone or inside an error of the API. New reference, may be NULL. */
json_t *cpn_reason_parse(cpn_view json);
/* On stderr, once for the same sentence. */
void cpn_tunnel_say_once(cpn_tunnel *t, const char *sentence);

/* ---- tunnel_until.c ---- */
cpn_rc cpn_tunnel_until_start(cpn_tunnel *t, cpn_err *err) CPN_MUST_CHECK;
/* The first session was opened (true), or the last one ended. */
void cpn_tunnel_until_busy(cpn_tunnel *t, bool busy);
void cpn_tunnel_until_stop(cpn_tunnel *t);

/* ---- tunnel_ctlsock.c ---- */
cpn_rc cpn_tunnel_ctlsock_start(cpn_tunnel *t, cpn_err *err) CPN_MUST_CHECK;
void cpn_tunnel_ctlsock_stop(cpn_tunnel *t);

#endif
