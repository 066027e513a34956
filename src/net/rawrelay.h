/* net/rawrelay.h -- the Azure door's relay: one WebSocket of plain bytes to one socket.
 *
 * Binary frames both ways. Ours carry 1..64 KiB, never an empty one; theirs may be fragmented as
 * far as codec/ws.h allows.
 * EOF of the target: what is left goes out, then close 1000. The client's close frame or end of
 * TCP: what is left goes to the target, then shutdown(SHUT_WR), then the end. An end in the
 * middle of a frame is a broken connection. */
#ifndef CPN_NET_RAWRELAY_H
#define CPN_NET_RAWRELAY_H

#include "codec/ws.h"
#include "model/session.h"
#include "net/judge.h"
#include "net/tls.h"

typedef struct cpn_rawrelay cpn_rawrelay;

typedef enum cpn_raw_why {
    CPN_RAW_NONE = 0,
    CPN_RAW_CLOSED_CLIENT, /* close frame, or TCP ended */
    CPN_RAW_CLOSED_TARGET, /* EOF of the target */
    CPN_RAW_RESET_CLIENT,  /* the client's connection broke */
    CPN_RAW_RESET_TARGET,  /* the target's connection broke */
    CPN_RAW_DEAD,          /* pings went unanswered */
    CPN_RAW_PROTOCOL,      /* the client broke the WebSocket rules */
    CPN_RAW_ENDED          /* cpn_rawrelay_close was called */
} cpn_raw_why;

typedef struct cpn_raw_end {
    cpn_raw_why why;
    uint64_t up;
    uint64_t down;
} cpn_raw_end;

typedef struct cpn_raw_opts {
    cpn_ws_role role;     /* CPN_WS_SERVER; the client role serves tests and benchmarks */
    unsigned ping_ms;     /* WebSocket pings; 0: 20000; three unanswered: dead */
    unsigned close_ms;    /* for the answer to our close frame; 0: 2000. Where the target closed, as
                           * often as something before it is not taken yet (within a stall) */
    cpn_judge judge;      /* zero: nothing is judged */
    cpn_tally_slot *slot; /* NULL: not counted in shared memory */
    /* As cpn_carrier_events.on_spent. */
    void (*on_spent)(void *owner);
    /* Called once, at the end of a turn; free the relay there or later. */
    void (*on_end)(void *owner, cpn_rawrelay *r, const cpn_raw_end *end);
    void *owner;
} cpn_raw_opts;

/* Take over a connection right after the 101. Without a target yet the client's first bytes are
 * held (at most CPN_JUDGE_HELD_MAX, then reading stops) and judged. t is consumed. */
cpn_rc cpn_rawrelay_new(cpn_rawrelay **out, cpn_loop *loop, CPN_TAKES cpn_tls *t,
                        const cpn_raw_opts *opts, cpn_err *err) CPN_MUST_CHECK;
/* Drop everything at once, without callback. NULL is fine. */
void cpn_rawrelay_free(cpn_rawrelay *r);

/* Give it the target's socket; consumed. */
void cpn_rawrelay_attach(cpn_rawrelay *r, CPN_TAKES int fd);
/* Send bytes of our own to the client (a refusal in SSH's words), at most 16 KiB. */
void cpn_rawrelay_say(cpn_rawrelay *r, cpn_view v);
/* Close the WebSocket with this code and sentence; on_end follows with the client's close, or
 * after close_ms. A target is shut in order. */
void cpn_rawrelay_close(cpn_rawrelay *r, unsigned code, const char *reason);

/* As cpn_leg_allow and cpn_leg_wants (net/leg.h). */
void cpn_rawrelay_allow(cpn_rawrelay *r, const cpn_byte_limits *most);
bool cpn_rawrelay_wants(const cpn_rawrelay *r, bool up);

uint64_t cpn_rawrelay_up(const cpn_rawrelay *r);
uint64_t cpn_rawrelay_down(const cpn_rawrelay *r);

#endif
