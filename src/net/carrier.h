/* net/carrier.h -- the engine of caponier.v1 (codec/tunnel.h), the same for both ends: one TLS and
 * WebSocket connection that carries many streams, each relayed to a local socket.
 *
 * The opener (client) calls cpn_carrier_open with its local socket. The acceptor (gateway) gets
 * on_open, and later attaches the target's socket or refuses. From then on bytes flow by
 * themselves, each way with its own end: EOF of the socket becomes FIN, FIN becomes
 * shutdown(SHUT_WR) once everything before it is written, both make CPN_STREAM_CLOSED.
 *
 * Output is pulled: when the TLS output has room, control frames go first, then streams whose last
 * read was small, then bulk ones in turn, at most 256 KiB a stream and turn. Input goes straight
 * from the decrypted record to the socket; only what the socket does not take is kept, within the
 * window that was granted.
 *
 * on_open and on_opened come while input is read, the ends at the end of a loop turn; all of them,
 * and judges, may call anything here, cpn_carrier_free included. Sockets given to a carrier are
 * connected stream sockets (TCP or Unix), made non-blocking here. A message may come in WebSocket
 * fragments; ours never does.
 * A stream pointer is valid until its on_stream_end returns, or until cpn_carrier_free. */
#ifndef CPN_NET_CARRIER_H
#define CPN_NET_CARRIER_H

#include "codec/flow.h"
#include "codec/ws.h"
#include "model/session.h"
#include "net/judge.h"
#include "net/tls.h"

typedef struct cpn_carrier cpn_carrier;
typedef struct cpn_stream cpn_stream;

/* Why a stream ended. */
typedef enum cpn_stream_why {
    CPN_STREAM_NONE = 0,
    CPN_STREAM_CLOSED,        /* both directions ended in order */
    CPN_STREAM_REFUSED,       /* opener: the answer was no; text is its JSON */
    CPN_STREAM_RESET_PEER,    /* the other end sent RESET; text is its JSON, may be empty */
    CPN_STREAM_RESET_LOCAL,   /* cpn_stream_reset or cpn_stream_refuse was called */
    CPN_STREAM_SOCKET_FAILED, /* our socket broke; RESET {"code":"reset_…"} was sent */
    CPN_STREAM_CARRIER_LOST,  /* the carrier ended first */
    CPN_STREAM_PROTOCOL       /* so it did, because the peer broke the protocol */
} cpn_stream_why;

/* Why a carrier ended. */
typedef enum cpn_carrier_why {
    CPN_CARRIER_NONE = 0,
    CPN_CARRIER_CLOSED,  /* WebSocket close from either side; code says which kind */
    CPN_CARRIER_LOST,    /* TLS or TCP ended without one */
    CPN_CARRIER_DEAD,    /* pings went unanswered */
    CPN_CARRIER_PROTOCOL /* the peer broke the protocol and was told 1002, 1003 or 1009 */
} cpn_carrier_why;

/* First bytes of a program are kept for another carrier up to this length: those of SSH and RDP are
 * shorter, and as many as a carrier has streams fit into what it may have waiting. */
#define CPN_CARRIER_AGAIN_MAX 512

typedef struct cpn_stream_end {
    cpn_stream_why why;
    cpn_view text; /* reason JSON of REFUSED or RESET, as the peer sent it: not trusted */
    /* Opener, REFUSED: first is all that was read from fd, so that another carrier can be asked. */
    bool again;
    cpn_view first;
    uint64_t up;   /* bytes opener -> acceptor that this end moved */
    uint64_t down; /* bytes acceptor -> opener */
} cpn_stream_end;

typedef struct cpn_carrier_events {
    /* Acceptor: a stream is asked for. Attach or refuse now or later. NULL: every OPEN is a
     * protocol violation. first: bytes that came along, kept by the stream for the target. */
    void (*on_open)(void *owner, cpn_stream *s, cpn_view target, cpn_view first);
    /* Opener: the answer was yes; json may be empty. May be NULL. */
    void (*on_opened)(void *owner, cpn_stream *s, cpn_view json);
    void (*on_stream_end)(void *owner, cpn_stream *s, const cpn_stream_end *end);
    /* After the on_stream_end of every stream. Free the carrier here or later. code: close code of
     * the peer, or CPN_WS_CLOSE_NONE. text: one sentence. */
    void (*on_end)(void *owner, cpn_carrier_why why, unsigned code, const char *text);
    /* The stream stands still at its limit and has more (cpn_stream_wants). From inside its work:
     * only note it. NULL: nobody sets limits. */
    void (*on_spent)(void *owner, cpn_stream *s);
} cpn_carrier_events;

typedef struct cpn_carrier_opts {
    cpn_ws_role role;                 /* CPN_WS_SERVER: acceptor; CPN_WS_CLIENT: opener */
    unsigned ping_ms;                 /* 0: 20000 */
    unsigned close_ms;                /* for the answer to our close frame; 0: 2000 */
    const cpn_carrier_events *events; /* static */
    void *owner;
} cpn_carrier_opts;

/* Take over a connection right after the 101; bytes that its former owner left unconsumed are read
 * first. t is consumed whatever the result. */
cpn_rc cpn_carrier_new(cpn_carrier **out, cpn_loop *loop, CPN_TAKES cpn_tls *t,
                       const cpn_carrier_opts *opts, cpn_err *err) CPN_MUST_CHECK;
/* Drop everything at once: sockets are shut, no callback comes. NULL is fine. */
void cpn_carrier_free(cpn_carrier *c);
/* Say goodbye: RESET of every stream with the reason JSON (may be empty), close frame with code
 * and sentence; on_end follows after close_ms at the latest, or, where no stream was left to reset,
 * when the peer has taken what they sent (within a stall, loop.h). */
void cpn_carrier_close(cpn_carrier *c, unsigned code, const char *reason, cpn_view reset_json);
/* Close with 1000 when the last stream has ended. The opener opens no more; the acceptor still gets
 * on_open, since it knows why it will refuse. */
void cpn_carrier_drain(cpn_carrier *c);

unsigned cpn_carrier_streams(const cpn_carrier *c);
/* Does it still open streams? Not from the moment that it drains, closes or has ended, although
 * on_end comes only at the end of the turn. */
bool cpn_carrier_opens(const cpn_carrier *c);
/* Round-trip time of the last ping in ms, or -1. */
int cpn_carrier_rtt_ms(const cpn_carrier *c);
cpn_tls *cpn_carrier_tls(cpn_carrier *c);

/* Opener: ask for a stream and relay fd over it. */
typedef struct cpn_carrier_ask {
    cpn_view target; /* the JSON text */
    /* What was read from fd for another carrier, which refused (cpn_stream_end), at most
     * CPN_CARRIER_AGAIN_MAX. Empty: bytes that are readable on fd in this turn travel with the
     * request. */
    cpn_view first;
    void *user;
} cpn_carrier_ask;
/* fd is consumed whatever the result. CPN_LIMIT: CPN_SESSION_STREAMS_MAX. CPN_UNAVAILABLE: the
 * carrier is draining or ended. */
cpn_rc cpn_carrier_open(cpn_carrier *c, cpn_stream **out, const cpn_carrier_ask *ask,
                        CPN_TAKES int fd, cpn_err *err) CPN_MUST_CHECK;

/* Acceptor: yes, relay to fd (non-blocking TCP); json <= CPN_TUNNEL_OPENED_MAX, may be empty. fd is
 * consumed. If the stream ended meanwhile, fd is only shut. */
void cpn_stream_attach(cpn_stream *s, CPN_TAKES int fd, cpn_view json);
/* Acceptor: no. json 1..CPN_TUNNEL_REASON_MAX. Ends the stream. */
void cpn_stream_refuse(cpn_stream *s, cpn_view json);
/* Either: break it off; json may be empty. The socket is reset, the peer is told. */
void cpn_stream_reset(cpn_stream *s, cpn_view json);
/* Acceptor, before attach: hold the first bytes of each direction until they are judged
 * (net/judge.h). Bytes that came with OPEN are judged too. */
void cpn_stream_hold(cpn_stream *s, const cpn_judge *judge);

/* As cpn_leg_allow and cpn_leg_wants (net/leg.h). */
void cpn_stream_allow(cpn_stream *s, const cpn_byte_limits *most);
bool cpn_stream_wants(const cpn_stream *s, bool up);

/* Count into shared memory from now on (up and down continue from what was moved). NULL: stop. */
void cpn_stream_tally(cpn_stream *s, cpn_tally_slot *slot);
cpn_carrier *cpn_stream_carrier(const cpn_stream *s);
void *cpn_stream_user(const cpn_stream *s);
void cpn_stream_set_user(cpn_stream *s, void *user);
uint64_t cpn_stream_up(const cpn_stream *s);
uint64_t cpn_stream_down(const cpn_stream *s);

#endif
