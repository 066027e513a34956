/* codec/tunnel.h -- frames of caponier.v1, one per WebSocket binary message.
 *
 *      0       1       2       4               8                               16
 *     | type  | flags | zero  | stream        | value                         | body ...
 *
 * Big endian; flags and the two bytes behind them are 0; stream 0 is the carrier itself. The body
 * reaches to the end of the message. Offsets are absolute, count from 0 in each direction of a
 * stream and stay below 2^63; only the nonce of PING and PONG uses all 64 bits.
 *
 *     type       stream  value                         body, bytes
 *     1 OPEN     >0      sender's receive limit        u16 n, n bytes target (1..2048), first bytes
 *     2 OPENED   >0      sender's receive limit        0..1024, JSON
 *     3 REFUSED  >0      0                             1..4096, JSON
 *     4 DATA     >0      offset of the first byte      1..65536
 *     5 FIN      >0      offset behind the last byte   -
 *     6 RESET    >0      0                             0..4096, JSON
 *     7 CREDIT   >0      offset the peer may send to   -
 *     8 ACK      >0      bytes written to the target   -
 *     9 PING     0       nonce                         -
 *    10 PONG     0       nonce                         -
 *
 * OPEN's first bytes (0..16384) are the stream's bytes from offset 0. */
#ifndef CPN_CODEC_TUNNEL_H
#define CPN_CODEC_TUNNEL_H

#include "base/buf.h"

#define CPN_TUNNEL_SUBPROTOCOL "caponier.v1"
/* Of the 101: "exporter" or "none". Whoever opens the TLS on the way can write it, too: it is for
 * people, nothing is decided by it. */
#define CPN_TUNNEL_BINDING_FIELD "Caponier-Binding"
#define CPN_TUNNEL_HEAD 16
#define CPN_TUNNEL_TARGET_MAX 2048
#define CPN_TUNNEL_FIRST_MAX 16384
#define CPN_TUNNEL_DATA_MAX 65536
#define CPN_TUNNEL_OPENED_MAX 1024
#define CPN_TUNNEL_REASON_MAX 4096
#define CPN_TUNNEL_OFFSET_MAX 0x7fffffffffffffffull
/* The longest message; a WebSocket reader needs no more. */
#define CPN_TUNNEL_MESSAGE_MAX (CPN_TUNNEL_HEAD + CPN_TUNNEL_DATA_MAX)

typedef enum cpn_tunnel_type {
    CPN_TUNNEL_NONE = 0,
    CPN_TUNNEL_OPEN = 1,
    CPN_TUNNEL_OPENED = 2,
    CPN_TUNNEL_REFUSED = 3,
    CPN_TUNNEL_DATA = 4,
    CPN_TUNNEL_FIN = 5,
    CPN_TUNNEL_RESET = 6,
    CPN_TUNNEL_CREDIT = 7,
    CPN_TUNNEL_ACK = 8,
    CPN_TUNNEL_PING = 9,
    CPN_TUNNEL_PONG = 10
} cpn_tunnel_type;

/* Views point into the parsed message. */
typedef struct cpn_tunnel_frame {
    cpn_tunnel_type type;
    uint32_t stream;
    uint64_t value;
    cpn_view body;   /* everything behind the head */
    cpn_view target; /* OPEN only */
    cpn_view first;  /* OPEN only */
} cpn_tunnel_frame;

/* Read one whole message. CPN_E_PROTO: anything that the table above does not allow. */
cpn_rc cpn_tunnel_parse(cpn_view message, cpn_tunnel_frame *out, cpn_err *err) CPN_MUST_CHECK;

/* Write the 16 bytes that go in front of a body; checks nothing. For the relay, which has the
 * body in place already. */
void cpn_tunnel_head(uint8_t out[CPN_TUNNEL_HEAD], cpn_tunnel_type type, uint32_t stream,
                     uint64_t value);
/* Append a whole frame that is not OPEN. CPN_E_PROTO: the peer would refuse it; CPN_LIMIT,
 * CPN_E_NOMEM: no room. Nothing is appended then. */
cpn_rc cpn_tunnel_put(cpn_buf *out, const cpn_tunnel_frame *f, cpn_err *err) CPN_MUST_CHECK;
/* Append OPEN from f->stream, value, target and first. Errors as above. */
cpn_rc cpn_tunnel_put_open(cpn_buf *out, const cpn_tunnel_frame *f, cpn_err *err) CPN_MUST_CHECK;

#endif
