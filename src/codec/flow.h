/* codec/flow.h -- what one stream of caponier.v1 may send, has received and still owes its peer.
 *
 * Pure arithmetic over absolute offsets. ACK (written to the destination socket) and CREDIT (may
 * still be sent) are separate. How the two ends use it:
 *
 *     opener    init; OPEN with value = recv_limit; sent_first(n) for the first bytes;
 *               OPENED: on_credit(value)
 *     acceptor  init; OPEN: on_credit(value), on_data(0, n) when it has first bytes;
 *               OPENED with value = recv_limit
 *     both      before DATA may_send, then sent; on DATA on_data; once written, delivered;
 *               then ask grant and ack what to tell the peer
 *
 * Every CPN_E_PROTO is the peer's fault and leaves the state as it was. */
#ifndef CPN_CODEC_FLOW_H
#define CPN_CODEC_FLOW_H

#include <stdbool.h>

#include "base/err.h"
#include "codec/tunnel.h"

#define CPN_FLOW_WINDOW_MIN 65536u
#define CPN_FLOW_WINDOW_NEAR 1048576u /* enough for a near gateway: bursts stay small */
#define CPN_FLOW_WINDOW_MAX 16777216u /* default of the max parameter: 1 Gbit/s at 100 ms */

typedef struct cpn_flow {
    /* Sending: acked <= sent <= send_limit (but for OPEN's first bytes). */
    uint64_t sent;
    uint64_t send_limit;
    uint64_t acked;
    /* Receiving: delivered <= received <= recv_limit. */
    uint64_t received;
    uint64_t recv_limit;
    uint64_t delivered;
    uint64_t ack_told;   /* the last ACK we sent */
    uint64_t adapted_at; /* delivered when the window was last looked at */
    uint64_t judged_at;  /* delivered when it was last judged */
    uint64_t judged_ms;  /* the clock then */
    bool limits;         /* the judgement: the window, not the path, is what limits */
    uint64_t window;
    uint64_t window_max;
    bool fin_sent;
    bool fin_received;
} cpn_flow;

/* window_max below CPN_FLOW_WINDOW_MIN counts as that. */
void cpn_flow_init(cpn_flow *f, uint64_t window_max);

/* How many of n bytes may go out now; 0 after FIN. */
uint64_t cpn_flow_may_send(const cpn_flow *f, uint64_t n);
/* n bytes went out as DATA; at most what may_send allowed. */
void cpn_flow_sent(cpn_flow *f, uint64_t n);
/* n <= CPN_TUNNEL_FIRST_MAX bytes went out inside OPEN, before any credit. */
void cpn_flow_sent_first(cpn_flow *f, uint64_t n);
/* FIN went out; its value is f->sent. */
void cpn_flow_sent_fin(cpn_flow *f);

/* Gap, overlap, over the limit, or after FIN: CPN_E_PROTO. */
cpn_rc cpn_flow_on_data(cpn_flow *f, uint64_t offset, uint64_t n, cpn_err *err) CPN_MUST_CHECK;
/* Not at what was received, or a second one: CPN_E_PROTO. */
cpn_rc cpn_flow_on_fin(cpn_flow *f, uint64_t offset, cpn_err *err) CPN_MUST_CHECK;
/* CREDIT, or the value of OPEN and OPENED. Going backwards is ignored; over 2^63: CPN_E_PROTO. */
cpn_rc cpn_flow_on_credit(cpn_flow *f, uint64_t limit, cpn_err *err) CPN_MUST_CHECK;
/* Beyond what was sent: CPN_E_PROTO. Going backwards is ignored. */
cpn_rc cpn_flow_on_ack(cpn_flow *f, uint64_t offset, cpn_err *err) CPN_MUST_CHECK;

/* n more bytes were written to the destination socket; at most received - delivered. */
void cpn_flow_delivered(cpn_flow *f, uint64_t n);
/* What the window goes by. */
typedef struct cpn_flow_pace {
    bool room;       /* the caller has memory for more */
    uint64_t now_ms; /* a monotonic clock */
    int rtt_ms;      /* round trip of the carrier; 0 or less: near, or unknown */
    uint64_t known;  /* the window that another stream of this path has grown to; 0: none has */
} cpn_flow_pace;

/* Is a CREDIT due (a quarter of the window can be granted, or CPN_FLOW_WINDOW_NEAR)? Then *credit
 * is its value and recv_limit has moved. The window grows by four bytes for each that is delivered,
 * up to CPN_FLOW_WINDOW_NEAR or what is known; from there by one for each, as long as half of it is
 * delivered in less than two round trips, since then the window, not the path, is what limits.
 * Without room it falls back to the minimum for what is granted from now on. Never after FIN was
 * received. docs/adr/0009-windows.md says why. */
bool cpn_flow_grant(cpn_flow *f, const cpn_flow_pace *pace, uint64_t *credit);
/* Is an ACK due (a quarter of the window, or everything after FIN)? Then *ack is its value. */
bool cpn_flow_ack(cpn_flow *f, uint64_t *ack);
/* Both directions have ended and everything received was delivered. */
bool cpn_flow_done(const cpn_flow *f);

#endif
