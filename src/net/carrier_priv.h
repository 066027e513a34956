/* net/carrier_priv.h -- the inside of a carrier, shared by carrier.c (its life and its streams),
 * carrier_in.c (frames in) and carrier_out.c (frames out). Nobody else includes this. */
#ifndef CPN_NET_CARRIER_PRIV_H
#define CPN_NET_CARRIER_PRIV_H

#include <stdlib.h>

/* Stream ids are consecutive: they are their own best hash. */
#define HASH_FUNCTION(key, n, out) ((out) = *(const uint32_t *)(const void *)(key))
/* Most carriers hold a stream or two; the table grows by itself. */
#define HASH_INITIAL_NUM_BUCKETS 4U
#define HASH_INITIAL_NUM_BUCKETS_LOG2 2U
#include <uthash.h>

#include "codec/tunnel.h"
#include "net/carrier.h"
#include "net/leg.h"
#include "net/pacing.h"
#include "net/wslink.h"

typedef enum cpn_stream_state {
    CPN_STREAM_NEW = 0, /* the peer does not know of it yet */
    CPN_STREAM_ASKED,   /* OPEN sent or received, no answer yet */
    CPN_STREAM_LIVE,
    CPN_STREAM_OVER /* its end waits to be told */
} cpn_stream_state;

struct cpn_stream {
    cpn_carrier *carrier;
    uint32_t id;
    cpn_stream_state state;
    cpn_flow flow;
    cpn_leg *leg;
    void *user;
    cpn_stream *ready_next; /* waiting to be served */
    bool ready;
    cpn_stream *over_next;
    cpn_stream_why why;
    cpn_buf text;
    cpn_buf first; /* what OPEN carried, until it is answered: nobody has heard it */
    bool again;    /* that is all of it */
    UT_hash_handle hh;
};

typedef struct cpn_ready_list {
    cpn_stream *head;
    cpn_stream *tail;
    unsigned n;
} cpn_ready_list;

/* Payload pieces of one stream that one decrypted batch brought. */
#define CPN_CARRIER_BATCH 32

typedef struct cpn_carrier_batch {
    cpn_stream *stream;
    struct iovec iov[CPN_CARRIER_BATCH];
    int n;
} cpn_carrier_batch;

struct cpn_carrier {
    cpn_loop *loop;
    cpn_wslink ws;
    cpn_carrier_opts opts;
    cpn_stream *streams; /* hash by id; live and asked ones */
    cpn_stream *over;    /* ends to tell */
    cpn_ready_list small;
    cpn_ready_list bulk;
    cpn_later pump;
    cpn_later notify;
    cpn_later reap;
    uv_timer_t timer;
    uint32_t last_id;
    cpn_buf assembly;         /* a message that came in fragments */
    cpn_carrier_batch *batch; /* while bytes are being read */
    uint64_t ping_nonce;
    uint64_t ping_ns;
    unsigned misses;
    int rtt_ms;
    cpn_pacing pacing;
    uint64_t close_by;     /* when the peer must have taken what stands before our close frame */
    uint64_t known_window; /* the largest that a stream has grown to: what the path needs */
    bool draining;
    bool held_back; /* the peer may send nothing: the loop's memory is full of what it sent */
    bool closing;   /* our close frame is out; waiting for theirs */
    bool finished;  /* on_end is due or was called */
    bool told;
    bool dead;
    cpn_carrier_why why;
    char text[96];
};

/* carrier.c */
void cpn_carrier_finish(cpn_carrier *c, cpn_carrier_why why, const char *fmt, ...) CPN_PRINTF(3, 4);
/* Violation: tell the peer, end everything. */
void cpn_carrier_violated(cpn_carrier *c, unsigned code, const char *text);
cpn_stream *cpn_carrier_add(cpn_carrier *c, uint32_t id);
/* Drop a stream that no owner has seen. */
void cpn_carrier_forget(cpn_stream *s);
void cpn_stream_over(cpn_stream *s, cpn_stream_why why, cpn_view text);
/* Both directions ended? Then it is over. */
void cpn_stream_maybe_done(cpn_stream *s);

/* carrier_in.c */
size_t cpn_carrier_on_bytes(void *owner, cpn_tls *t, uint8_t *p, size_t n);
/* Credit cannot be taken back. So where relay_memory is full, a gateway reads nothing more of a
 * carrier for which it keeps more than CPN_FLOW_WINDOW_MIN, until its targets have taken it, or
 * memory is free again (looked at with each ping). What is kept for a carrier is so bounded by that
 * and one intake, however many windows have been granted. */
void cpn_carrier_hold_back(cpn_carrier *c);

/* carrier_out.c */
/* Queue a control frame; a peer that takes nothing for too long ends the carrier. */
void cpn_carrier_control(cpn_carrier *c, cpn_tunnel_type type, uint32_t stream, uint64_t value,
                         cpn_view body);
void cpn_carrier_wake(cpn_carrier *c, bool urgent);
/* Serve the stream when there is room, if it has something and may send. */
void cpn_stream_wake(cpn_stream *s);
void cpn_stream_forget_ready(cpn_stream *s);
/* n more bytes are written to the local socket: what does the peer need to know? */
void cpn_stream_delivered(cpn_stream *s, size_t n);
void cpn_carrier_pump(cpn_later *l);

#endif
