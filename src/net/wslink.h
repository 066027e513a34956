/* net/wslink.h -- WebSocket frames over a TLS connection, both roles: what the carrier and the raw
 * relay have in common. Internal to net/.
 *
 * Answers pings, keeps small frames until the output takes them, writes headers in front of
 * payloads that are in place. */
#ifndef CPN_NET_WSLINK_H
#define CPN_NET_WSLINK_H

#include "base/buf.h"
#include "codec/ws.h"
#include "net/tls.h"

/* Small frames that wait because the peer takes nothing; beyond, the link counts as stalled. */
#define CPN_WSLINK_WAITING_MAX 262144u
/* Room to leave in front of a payload that is in place. */
#define CPN_WSLINK_HEAD(role) ((role) == CPN_WS_CLIENT ? 8u : 4u)

typedef struct cpn_wslink {
    cpn_tls *tls;
    cpn_loop *loop;
    cpn_ws_role role;
    cpn_ws_message message;
    cpn_ws_head head;  /* of the frame that is being read */
    uint64_t head_got; /* payload bytes of it seen so far */
    bool in_frame;
    bool close_sent;
    bool close_got;
    unsigned close_code; /* of the peer */
    cpn_buf waiting;
    size_t waiting_at;
} cpn_wslink;

typedef struct cpn_ws_piece {
    uint8_t *p; /* unmasked payload */
    size_t n;
    bool end;   /* the message is complete with this piece */
    bool close; /* a close frame: nothing follows */
    bool pong;  /* the payload is a pong's */
} cpn_ws_piece;

/* Takes the connection. */
void cpn_wslink_init(cpn_wslink *l, cpn_loop *loop, CPN_TAKES cpn_tls *tls, cpn_ws_role role);
void cpn_wslink_fini(cpn_wslink *l);

/* Read the next piece from p[0..n): *used bytes are consumed. whole: only hand out complete frames.
 * max: payload of a message. A returned piece may be empty (a ping was answered): call again while
 * bytes are left. CPN_AGAIN: more bytes are needed. CPN_E_PROTO, CPN_LIMIT: *code is what to close
 * with, err says why. */
cpn_rc cpn_wslink_next(cpn_wslink *l, uint8_t *p, size_t n, bool whole, uint64_t max,
                       cpn_ws_piece *out, size_t *used, unsigned *code,
                       cpn_err *err) CPN_MUST_CHECK;

/* Put a header in front of n payload bytes that stand at p with room before them, mask them if the
 * role wants it; returns where the frame starts, *total its length. */
uint8_t *cpn_wslink_frame(cpn_wslink *l, uint8_t *p, size_t n, size_t *total);
/* Queue a small frame (copied); CPN_LIMIT: too much is waiting. It leaves with the next flush. */
cpn_rc cpn_wslink_put(cpn_wslink *l, cpn_ws_op op, cpn_view payload) CPN_MUST_CHECK;
/* Hand what waits to TLS, as far as there is room. True: nothing waits any more. */
bool cpn_wslink_push(cpn_wslink *l);
/* Bytes of ours that the peer has not taken yet. */
size_t cpn_wslink_untaken(const cpn_wslink *l);
/* Queue a close frame (once); TLS is shut down behind it as soon as a push has sent it. */
void cpn_wslink_close(cpn_wslink *l, unsigned code, const char *reason);

#endif
