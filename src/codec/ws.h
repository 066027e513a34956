/* codec/ws.h -- WebSocket frames (RFC 6455 section 5) for both roles, without extensions.
 *
 * A reader loops: cpn_ws_head_parse at a frame's start, cpn_ws_step for the rules between frames,
 * then up to head.n payload bytes in any pieces, each unmasked in place by cpn_ws_mask with the
 * running offset. Control payloads are at most 125 bytes; wait for the whole of one. */
#ifndef CPN_CODEC_WS_H
#define CPN_CODEC_WS_H

#include "base/err.h"
#include "base/view.h"

#define CPN_WS_HEAD_MAX 14
#define CPN_WS_CONTROL_MAX 125
/* Frames of one message; a peer cannot drip empty fragments for ever. */
#define CPN_WS_FRAGMENTS_MAX 4096

/* Who we are. A server's peer masks, a client's peer does not. */
typedef enum cpn_ws_role {
    CPN_WS_NO_ROLE = 0, /* refuses every frame */
    CPN_WS_SERVER,
    CPN_WS_CLIENT
} cpn_ws_role;

typedef enum cpn_ws_op {
    CPN_WS_CONTINUATION = 0,
    CPN_WS_TEXT = 1, /* parsed; neither of our protocols uses it: answer with close 1003 */
    CPN_WS_BINARY = 2,
    CPN_WS_CLOSE = 8,
    CPN_WS_PING = 9,
    CPN_WS_PONG = 10
} cpn_ws_op;

typedef struct cpn_ws_head {
    cpn_ws_op op;
    bool fin;
    bool masked;
    uint8_t key[4];
    uint64_t n;  /* payload bytes */
    size_t used; /* bytes of the header itself, 2..14 */
} cpn_ws_head;

/* Read a header from the start of `in`. CPN_AGAIN: short, nothing wrong so far. CPN_LIMIT: a data
 * frame's payload is over max (answer close 1009). CPN_E_PROTO: reserved bits or opcode, wrong
 * masking for the role, length not minimal or over 63 bits, bad control frame (close 1002). */
cpn_rc cpn_ws_head_parse(cpn_view in, cpn_ws_role role, uint64_t max, cpn_ws_head *out,
                         cpn_err *err) CPN_MUST_CHECK;

/* XOR n bytes in place. offset: how many payload bytes of this frame came before. Masks and
 * unmasks; vectorised. */
void cpn_ws_mask(uint8_t *p, size_t n, const uint8_t key[4], uint64_t offset);

/* Between frames; zero-initialise. */
typedef struct cpn_ws_message {
    bool inside;  /* a fragmented message is open */
    bool closed;  /* a close frame was seen */
    cpn_ws_op op; /* TEXT or BINARY of the current or last message */
    uint64_t n;   /* bytes announced for it so far */
    uint32_t fragments;
} cpn_ws_message;

/* Account for a frame just parsed. CPN_E_PROTO: continuation without a start, a new message inside
 * one, anything after close, too many fragments. CPN_LIMIT: the message is over max. Control frames
 * leave op and n alone. After a data frame with fin the message is complete. */
cpn_rc cpn_ws_step(cpn_ws_message *m, const cpn_ws_head *h, uint64_t max,
                   cpn_err *err) CPN_MUST_CHECK;

/* Write a header; returns its length. key NULL: server, unmasked. Otherwise the client's four
 * random bytes, and the payload must be masked with them. */
size_t cpn_ws_head_write(uint8_t out[CPN_WS_HEAD_MAX], cpn_ws_op op, bool fin, uint64_t n,
                         const uint8_t key[4]);
/* The header's length for that payload. */
size_t cpn_ws_head_size(uint64_t n, bool masked);

#define CPN_WS_CLOSE_NONE 1005 /* the peer gave no code; never sent */
#define CPN_WS_CLOSE_NORMAL 1000
#define CPN_WS_CLOSE_AWAY 1001
#define CPN_WS_CLOSE_PROTO 1002
#define CPN_WS_CLOSE_KIND 1003
#define CPN_WS_CLOSE_POLICY 1008
#define CPN_WS_CLOSE_BIG 1009
#define CPN_WS_CLOSE_INTERNAL 1011

/* Read the (unmasked) payload of a close frame. An empty one: CPN_WS_CLOSE_NONE, empty reason.
 * CPN_E_PROTO: one byte, a code that must not be on the wire, a reason that is not UTF-8. */
cpn_rc cpn_ws_close_parse(cpn_view payload, unsigned *code, cpn_view *reason,
                          cpn_err *err) CPN_MUST_CHECK;
/* Write a close payload and return its length: reason is cut to 123 bytes at a character. An
 * invalid code becomes CPN_WS_CLOSE_INTERNAL; CPN_WS_CLOSE_NONE writes nothing. */
size_t cpn_ws_close_write(uint8_t out[CPN_WS_CONTROL_MAX], unsigned code, cpn_view reason);

#endif
