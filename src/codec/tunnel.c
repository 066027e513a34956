/* Reading and writing caponier.v1 frames by one table of what each type allows. */
#include "codec/tunnel.h"

#include <endian.h>

typedef enum rule_value { VALUE_ZERO, VALUE_OFFSET, VALUE_ANY } rule_value;

static const struct rule {
    const char *name; /* NULL: no such type */
    bool carrier;     /* stream must be 0; else it must not */
    rule_value value;
    size_t min, max; /* body bytes */
} rules[] = {
    [CPN_TUNNEL_OPEN] = { "OPEN", false, VALUE_OFFSET, 3,
                          2 + CPN_TUNNEL_TARGET_MAX + CPN_TUNNEL_FIRST_MAX },
    [CPN_TUNNEL_OPENED] = { "OPENED", false, VALUE_OFFSET, 0, CPN_TUNNEL_OPENED_MAX },
    [CPN_TUNNEL_REFUSED] = { "REFUSED", false, VALUE_ZERO, 1, CPN_TUNNEL_REASON_MAX },
    [CPN_TUNNEL_DATA] = { "DATA", false, VALUE_OFFSET, 1, CPN_TUNNEL_DATA_MAX },
    [CPN_TUNNEL_FIN] = { "FIN", false, VALUE_OFFSET, 0, 0 },
    [CPN_TUNNEL_RESET] = { "RESET", false, VALUE_ZERO, 0, CPN_TUNNEL_REASON_MAX },
    [CPN_TUNNEL_CREDIT] = { "CREDIT", false, VALUE_OFFSET, 0, 0 },
    [CPN_TUNNEL_ACK] = { "ACK", false, VALUE_OFFSET, 0, 0 },
    [CPN_TUNNEL_PING] = { "PING", true, VALUE_ANY, 0, 0 },
    [CPN_TUNNEL_PONG] = { "PONG", true, VALUE_ANY, 0, 0 },
};

static const struct rule *
rule_of(unsigned type)
{
    return type < CPN_COUNT(rules) && rules[type].name ? &rules[type] : NULL;
}

/* What reader and writer both hold a frame to. */
static cpn_rc
frame_check(const cpn_tunnel_frame *f, size_t body, cpn_err *err)
{
    const struct rule *r = rule_of(f->type);

    if (!r)
        return cpn_fail(err, CPN_E_PROTO, "tunnel: frame of unknown type %u", (unsigned)f->type);
    if (r->carrier != (f->stream == 0))
        return cpn_fail(err, CPN_E_PROTO, "tunnel: %s on stream %u", r->name, f->stream);
    if (r->value == VALUE_ZERO && f->value != 0)
        return cpn_fail(err, CPN_E_PROTO, "tunnel: %s with a value", r->name);
    if (body < r->min || body > r->max)
        return cpn_fail(err, CPN_E_PROTO, "tunnel: %s with a body of %zu bytes (%zu to %zu)",
                        r->name, body, r->min, r->max);
    if (r->value == VALUE_OFFSET && f->value > CPN_TUNNEL_OFFSET_MAX)
        return cpn_fail(err, CPN_E_PROTO, "tunnel: %s with an offset over 2^63", r->name);
    if (f->type == CPN_TUNNEL_DATA && body > CPN_TUNNEL_OFFSET_MAX - f->value)
        return cpn_fail(err, CPN_E_PROTO, "tunnel: DATA that ends over 2^63");
    return CPN_OK;
}

static cpn_rc
open_check(size_t target, size_t first, cpn_err *err)
{
    if (target == 0 || target > CPN_TUNNEL_TARGET_MAX)
        return cpn_fail(err, CPN_E_PROTO, "tunnel: OPEN with a target of %zu bytes (1 to %d)",
                        target, CPN_TUNNEL_TARGET_MAX);
    if (first > CPN_TUNNEL_FIRST_MAX)
        return cpn_fail(err, CPN_E_PROTO, "tunnel: OPEN with %zu first bytes (at most %d)", first,
                        CPN_TUNNEL_FIRST_MAX);
    return CPN_OK;
}

static cpn_rc
open_split(cpn_tunnel_frame *f, cpn_err *err)
{
    cpn_view rest = cpn_view_skip(f->body, 2);
    size_t n = (size_t)f->body.p[0] << 8 | f->body.p[1];

    if (n > rest.n)
        return cpn_fail(err, CPN_E_PROTO, "tunnel: OPEN with a target of %zu bytes in %zu", n,
                        rest.n);
    f->target = (cpn_view){ rest.p, n };
    f->first = cpn_view_skip(rest, n);
    return open_check(f->target.n, f->first.n, err);
}

cpn_rc
cpn_tunnel_parse(cpn_view message, cpn_tunnel_frame *out, cpn_err *err)
{
    cpn_tunnel_frame f = { 0 };
    uint32_t stream;
    uint64_t value;
    cpn_rc rc;

    *out = f;
    if (message.n < CPN_TUNNEL_HEAD)
        return cpn_fail(err, CPN_E_PROTO, "tunnel: message of %zu bytes", message.n);
    if (message.p[1] != 0 || message.p[2] != 0 || message.p[3] != 0)
        return cpn_fail(err, CPN_E_PROTO, "tunnel: flags or reserved bits set");
    memcpy(&stream, message.p + 4, sizeof(stream));
    memcpy(&value, message.p + 8, sizeof(value));
    f.type = (cpn_tunnel_type)message.p[0];
    f.stream = be32toh(stream);
    f.value = be64toh(value);
    f.body = cpn_view_skip(message, CPN_TUNNEL_HEAD);
    if ((rc = frame_check(&f, f.body.n, err)) != CPN_OK)
        return rc;
    if (f.type == CPN_TUNNEL_OPEN && (rc = open_split(&f, err)) != CPN_OK)
        return rc;
    *out = f;
    return CPN_OK;
}

void
cpn_tunnel_head(uint8_t out[CPN_TUNNEL_HEAD], cpn_tunnel_type type, uint32_t stream, uint64_t value)
{
    uint32_t be_stream = htobe32(stream);
    uint64_t be_value = htobe64(value);

    out[0] = (uint8_t)type;
    out[1] = out[2] = out[3] = 0;
    memcpy(out + 4, &be_stream, sizeof(be_stream));
    memcpy(out + 8, &be_value, sizeof(be_value));
}

cpn_rc
cpn_tunnel_put(cpn_buf *out, const cpn_tunnel_frame *f, cpn_err *err)
{
    uint8_t *at;
    cpn_rc rc;

    if (f->type == CPN_TUNNEL_OPEN)
        return cpn_fail(err, CPN_E_PROTO, "tunnel: OPEN has its own writer");
    if ((rc = frame_check(f, f->body.n, err)) != CPN_OK)
        return rc;
    if ((rc = cpn_buf_reserve(out, CPN_TUNNEL_HEAD + f->body.n, &at)) != CPN_OK)
        return cpn_fail(err, rc, "tunnel: no room for a frame");
    cpn_tunnel_head(at, f->type, f->stream, f->value);
    if (f->body.n)
        memcpy(at + CPN_TUNNEL_HEAD, f->body.p, f->body.n);
    out->n += CPN_TUNNEL_HEAD + f->body.n;
    return CPN_OK;
}

cpn_rc
cpn_tunnel_put_open(cpn_buf *out, const cpn_tunnel_frame *f, cpn_err *err)
{
    cpn_tunnel_frame open = { .type = CPN_TUNNEL_OPEN, .stream = f->stream, .value = f->value };
    size_t head = CPN_TUNNEL_HEAD + 2;
    uint8_t *at;
    cpn_rc rc;

    if ((rc = open_check(f->target.n, f->first.n, err)) != CPN_OK)
        return rc;
    if ((rc = frame_check(&open, 2 + f->target.n + f->first.n, err)) != CPN_OK)
        return rc;
    if ((rc = cpn_buf_reserve(out, head + f->target.n + f->first.n, &at)) != CPN_OK)
        return cpn_fail(err, rc, "tunnel: no room for a frame");
    cpn_tunnel_head(at, CPN_TUNNEL_OPEN, f->stream, f->value);
    at[CPN_TUNNEL_HEAD] = (uint8_t)(f->target.n >> 8);
    at[CPN_TUNNEL_HEAD + 1] = (uint8_t)f->target.n;
    memcpy(at + head, f->target.p, f->target.n);
    if (f->first.n)
        memcpy(at + head + f->target.n, f->first.p, f->first.n);
    out->n += head + f->target.n + f->first.n;
    return CPN_OK;
}
