/* WebSocket frames: headers, masking, the rules between frames, close payloads. */
#include "codec/ws.h"

#include <endian.h>
#include <inttypes.h>

#include "codec/chars.h"

static bool
op_is_control(cpn_ws_op op)
{
    return op >= CPN_WS_CLOSE;
}

static bool
op_is_known(unsigned op)
{
    return op <= CPN_WS_BINARY || (op >= CPN_WS_CLOSE && op <= CPN_WS_PONG);
}

/* What the first two bytes show. */
static cpn_rc
start_check(const uint8_t b[2], cpn_ws_role role, cpn_err *err)
{
    unsigned op = b[0] & 15u;

    if (b[0] & 0x70)
        return cpn_fail(err, CPN_E_PROTO, "websocket: reserved bits set without an extension");
    if (!op_is_known(op))
        return cpn_fail(err, CPN_E_PROTO, "websocket: reserved opcode %u", op);
    if (role == CPN_WS_NO_ROLE || (role == CPN_WS_SERVER) != ((b[1] & 0x80) != 0))
        return cpn_fail(err, CPN_E_PROTO, "websocket: frame is %smasked",
                        b[1] & 0x80 ? "" : "not ");
    if (op_is_control((cpn_ws_op)op) && (!(b[0] & 0x80) || (b[1] & 0x7f) > CPN_WS_CONTROL_MAX))
        return cpn_fail(err, CPN_E_PROTO, "websocket: control frame is fragmented or too long");
    if (op == CPN_WS_CLOSE && (b[1] & 0x7f) == 1)
        return cpn_fail(err, CPN_E_PROTO, "websocket: close frame of one byte");
    return CPN_OK;
}

/* The payload length from the bytes behind the first two. CPN_AGAIN: short. */
static cpn_rc
length_parse(cpn_view in, uint64_t *n, size_t *used, cpn_err *err)
{
    unsigned small = in.p[1] & 0x7fu;
    uint16_t be16;
    uint64_t be64;

    *used = small < 126 ? 2 : small == 126 ? 4 : 10;
    if (in.n < *used)
        return CPN_AGAIN;
    *n = small;
    if (small == 126) {
        memcpy(&be16, in.p + 2, sizeof(be16));
        *n = be16toh(be16);
    } else if (small == 127) {
        memcpy(&be64, in.p + 2, sizeof(be64));
        *n = be64toh(be64);
    }
    if ((small == 126 && *n < 126) || (small == 127 && *n < 65536))
        return cpn_fail(err, CPN_E_PROTO, "websocket: length %" PRIu64 " is not minimal", *n);
    if (*n >> 63)
        return cpn_fail(err, CPN_E_PROTO, "websocket: length over 63 bits");
    return CPN_OK;
}

cpn_rc
cpn_ws_head_parse(cpn_view in, cpn_ws_role role, uint64_t max, cpn_ws_head *out, cpn_err *err)
{
    cpn_ws_head h = { 0 };
    cpn_rc rc;

    *out = h;
    if (in.n < 2)
        return CPN_AGAIN;
    if ((rc = start_check(in.p, role, err)) != CPN_OK)
        return rc;
    if ((rc = length_parse(in, &h.n, &h.used, err)) != CPN_OK)
        return rc;
    h.op = (cpn_ws_op)(in.p[0] & 15);
    h.fin = (in.p[0] & 0x80) != 0;
    h.masked = (in.p[1] & 0x80) != 0;
    if (!op_is_control(h.op) && h.n > max)
        return cpn_fail(err, CPN_LIMIT, "websocket: frame of %" PRIu64 " bytes", h.n);
    if (h.masked) {
        if (in.n - h.used < sizeof(h.key))
            return CPN_AGAIN;
        memcpy(h.key, in.p + h.used, sizeof(h.key));
        h.used += sizeof(h.key);
    }
    *out = h;
    return CPN_OK;
}

/* Four vectors a turn, as wide as the processor has them: byte by byte this would cost as much as
 * the cipher. */
typedef uint64_t lane __attribute__((vector_size(32), aligned(1), may_alias));

#if defined(__x86_64__)
__attribute__((target_clones("avx2", "default")))
#endif
static void
xor_lanes(uint8_t *p, size_t blocks, uint64_t key)
{
    lane k = { key, key, key, key }, *v = (lane *)p;

    for (lane *end = v + 4 * blocks; v < end; v += 4) {
        v[0] ^= k;
        v[1] ^= k;
        v[2] ^= k;
        v[3] ^= k;
    }
}

void
cpn_ws_mask(uint8_t *p, size_t n, const uint8_t key[4], uint64_t offset)
{
    uint8_t turned[8];
    uint64_t key8, word;
    size_t at = n - n % (4 * sizeof(lane));

    for (size_t i = 0; i < sizeof(turned); i++)
        turned[i] = key[(offset + i) & 3];
    memcpy(&key8, turned, sizeof(key8));
    xor_lanes(p, at / (4 * sizeof(lane)), key8);
    for (; n - at >= sizeof(word); at += sizeof(word)) {
        memcpy(&word, p + at, sizeof(word));
        word ^= key8;
        memcpy(p + at, &word, sizeof(word));
    }
    for (; at < n; at++)
        p[at] ^= turned[at & 7];
}

cpn_rc
cpn_ws_step(cpn_ws_message *m, const cpn_ws_head *h, uint64_t max, cpn_err *err)
{
    uint64_t before = m->inside ? m->n : 0;

    if (m->closed)
        return cpn_fail(err, CPN_E_PROTO, "websocket: frame after close");
    if (op_is_control(h->op)) {
        m->closed = h->op == CPN_WS_CLOSE;
        return CPN_OK;
    }
    if (m->inside != (h->op == CPN_WS_CONTINUATION))
        return cpn_fail(err, CPN_E_PROTO,
                        m->inside ? "websocket: new message inside a message"
                                  : "websocket: continuation without a start");
    if (m->inside && m->fragments >= CPN_WS_FRAGMENTS_MAX)
        return cpn_fail(err, CPN_E_PROTO, "websocket: message of over %d fragments",
                        CPN_WS_FRAGMENTS_MAX);
    if (before > max || h->n > max - before)
        return cpn_fail(err, CPN_LIMIT, "websocket: message of over %" PRIu64 " bytes", max);
    m->fragments = m->inside ? m->fragments + 1 : 1;
    m->n = before + h->n;
    if (!m->inside)
        m->op = h->op;
    m->inside = !h->fin;
    return CPN_OK;
}

size_t
cpn_ws_head_size(uint64_t n, bool masked)
{
    return (size_t)(n < 126 ? 2 : n < 65536 ? 4 : 10) + (masked ? 4 : 0);
}

size_t
cpn_ws_head_write(uint8_t out[CPN_WS_HEAD_MAX], cpn_ws_op op, bool fin, uint64_t n,
                  const uint8_t key[4])
{
    size_t used = cpn_ws_head_size(n, false);
    uint8_t mask = key ? 0x80 : 0;
    uint16_t be16 = htobe16((uint16_t)n);
    uint64_t be64 = htobe64(n);

    out[0] = (uint8_t)((fin ? 0x80 : 0) | (int)op);
    if (used == 2) {
        out[1] = (uint8_t)(mask | n);
    } else if (used == 4) {
        out[1] = mask | 126;
        memcpy(out + 2, &be16, sizeof(be16));
    } else {
        out[1] = mask | 127;
        memcpy(out + 2, &be64, sizeof(be64));
    }
    if (key) {
        memcpy(out + used, key, 4);
        used += 4;
    }
    return used;
}

/* RFC 6455 7.4 and the IANA registry; 1004 to 1006 and 1015 are never on the wire. */
static bool
close_code_valid(unsigned code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

cpn_rc
cpn_ws_close_parse(cpn_view payload, unsigned *code, cpn_view *reason, cpn_err *err)
{
    *code = CPN_WS_CLOSE_NONE;
    *reason = cpn_view_skip(payload, 2);
    if (payload.n == 0)
        return CPN_OK;
    if (payload.n == 1 || payload.n > CPN_WS_CONTROL_MAX)
        return cpn_fail(err, CPN_E_PROTO, "websocket: close payload of %zu bytes", payload.n);
    *code = (unsigned)payload.p[0] << 8 | payload.p[1];
    if (!close_code_valid(*code))
        return cpn_fail(err, CPN_E_PROTO, "websocket: close code %u", *code);
    if (!cpn_is_utf8(*reason))
        return cpn_fail(err, CPN_E_PROTO, "websocket: close reason is not UTF-8");
    return CPN_OK;
}

size_t
cpn_ws_close_write(uint8_t out[CPN_WS_CONTROL_MAX], unsigned code, cpn_view reason)
{
    size_t n = CPN_MIN(reason.n, CPN_WS_CONTROL_MAX - 2);

    if (code == CPN_WS_CLOSE_NONE)
        return 0;
    if (!close_code_valid(code))
        code = CPN_WS_CLOSE_INTERNAL;
    while (n < reason.n && n > 0 && (reason.p[n] & 0xc0) == 0x80)
        n--;
    if (!cpn_is_utf8((cpn_view){ reason.p, n }))
        n = 0;
    out[0] = (uint8_t)(code >> 8);
    out[1] = (uint8_t)code;
    if (n)
        memcpy(out + 2, reason.p, n);
    return n + 2;
}
