/* What a carrier receives: frames of the peer, straight to the streams' sockets. */
#include "base/clock.h"
#include "net/carrier_priv.h"

static cpn_stream *
stream_of(cpn_carrier *c, uint32_t id)
{
    cpn_stream *s;

    HASH_FIND(hh, c->streams, &id, sizeof(id), s);
    return s;
}

/* Write what the batch gathered. */
static void
flush_batch(cpn_carrier *c)
{
    cpn_stream *s = c->batch->stream;
    int n = c->batch->n;

    c->batch->n = 0;
    c->batch->stream = NULL;
    if (n == 0 || s->state == CPN_STREAM_OVER)
        return;
    cpn_stream_delivered(s, cpn_leg_put(s->leg, c->batch->iov, n));
}

static cpn_rc
on_data(cpn_carrier *c, cpn_stream *s, const cpn_tunnel_frame *f, cpn_err *err)
{
    cpn_rc rc = cpn_flow_on_data(&s->flow, f->value, f->body.n, err);

    if (rc != CPN_OK)
        return rc;
    if (c->batch->n == CPN_CARRIER_BATCH || (c->batch->stream && c->batch->stream != s))
        flush_batch(c);
    c->batch->stream = s;
    c->batch->iov[c->batch->n++] = (struct iovec){ (void *)f->body.p, f->body.n };
    return CPN_OK;
}

static cpn_rc
on_open_frame(cpn_carrier *c, const cpn_tunnel_frame *f, cpn_err *err)
{
    static const char full[] = "{\"code\":\"limit_streams\"}";
    struct iovec first = { (void *)f->first.p, f->first.n };
    cpn_stream *s;
    cpn_rc rc;

    if (!c->opts.events->on_open || c->opts.role != CPN_WS_SERVER || f->stream <= c->last_id)
        return cpn_fail(err, CPN_E_PROTO, "OPEN of a stream that cannot be opened");
    c->last_id = f->stream;
    if (c->closing) /* it crossed with our close frame, which answers it */
        return CPN_OK;
    if (HASH_COUNT(c->streams) >= CPN_SESSION_STREAMS_MAX || !(s = cpn_carrier_add(c, f->stream))) {
        cpn_carrier_control(c, CPN_TUNNEL_REFUSED, f->stream, 0, cpn_view_str(full));
        return CPN_OK;
    }
    if ((rc = cpn_flow_on_credit(&s->flow, f->value, err)) != CPN_OK ||
        (f->first.n > 0 && (rc = cpn_flow_on_data(&s->flow, 0, f->first.n, err)) != CPN_OK)) {
        cpn_carrier_forget(s);
        return rc;
    }
    if (f->first.n > 0)
        cpn_leg_put(s->leg, &first, 1);
    c->opts.events->on_open(c->opts.owner, s, f->target, f->first);
    return CPN_OK;
}

static cpn_rc
on_answer(cpn_carrier *c, cpn_stream *s, const cpn_tunnel_frame *f, cpn_err *err)
{
    cpn_rc rc;

    if (c->opts.role != CPN_WS_CLIENT || s->state != CPN_STREAM_ASKED)
        return cpn_fail(err, CPN_E_PROTO, "an answer to nothing");
    if (f->type == CPN_TUNNEL_REFUSED) {
        cpn_stream_over(s, CPN_STREAM_REFUSED, f->body);
        return CPN_OK;
    }
    if ((rc = cpn_flow_on_credit(&s->flow, f->value, err)) != CPN_OK)
        return rc;
    s->state = CPN_STREAM_LIVE;
    cpn_buf_fini(&s->first);
    if (c->opts.events->on_opened)
        c->opts.events->on_opened(c->opts.owner, s, f->body);
    if (!c->dead && s->state == CPN_STREAM_LIVE) {
        cpn_stream_wake(s);
        cpn_stream_delivered(s, 0);
    }
    return CPN_OK;
}

static cpn_rc
on_fin(cpn_stream *s, const cpn_tunnel_frame *f, cpn_err *err)
{
    cpn_rc rc = cpn_flow_on_fin(&s->flow, f->value, err);

    if (rc != CPN_OK)
        return rc;
    cpn_stream_delivered(s, cpn_leg_put_end(s->leg));
    return CPN_OK;
}

static void
on_pong(cpn_carrier *c, uint64_t nonce)
{
    if (c->ping_ns == 0 || nonce != c->ping_nonce)
        return;
    c->rtt_ms = (int)CPN_MIN((cpn_mono_ns() - c->ping_ns) / CPN_NS_PER_MS, 60000u);
    c->ping_ns = 0;
    c->misses = 0;
}

static cpn_rc
on_stream_frame(cpn_carrier *c, const cpn_tunnel_frame *f, cpn_err *err)
{
    cpn_stream *s = stream_of(c, f->stream);
    cpn_rc rc = CPN_OK;

    if (!s) {
        /* Frames may cross with our RESET or REFUSED; of a stream that never was they may not. */
        if (f->stream > c->last_id)
            return cpn_fail(err, CPN_E_PROTO, "a frame of a stream that was never opened");
        return CPN_OK;
    }
    switch (f->type) {
    case CPN_TUNNEL_DATA:
        return on_data(c, s, f, err);
    case CPN_TUNNEL_OPENED:
    case CPN_TUNNEL_REFUSED:
        return on_answer(c, s, f, err);
    case CPN_TUNNEL_FIN:
        return on_fin(s, f, err);
    case CPN_TUNNEL_RESET:
        cpn_stream_over(s, CPN_STREAM_RESET_PEER, f->body);
        return CPN_OK;
    case CPN_TUNNEL_CREDIT:
        if ((rc = cpn_flow_on_credit(&s->flow, f->value, err)) == CPN_OK)
            cpn_stream_wake(s);
        return rc;
    case CPN_TUNNEL_ACK:
        return cpn_flow_on_ack(&s->flow, f->value, err);
    default:
        return cpn_fail(err, CPN_E_PROTO, "a frame of unknown type");
    }
}

static cpn_rc
on_message(cpn_carrier *c, cpn_view message, cpn_err *err)
{
    cpn_tunnel_frame f;
    cpn_rc rc = cpn_tunnel_parse(message, &f, err);

    if (rc != CPN_OK)
        return rc;
    if (f.type != CPN_TUNNEL_DATA)
        flush_batch(c);
    if (c->dead || c->finished)
        return CPN_OK;
    switch (f.type) {
    case CPN_TUNNEL_PING:
        cpn_carrier_control(c, CPN_TUNNEL_PONG, 0, f.value, (cpn_view){ 0 });
        return CPN_OK;
    case CPN_TUNNEL_PONG:
        on_pong(c, f.value);
        return CPN_OK;
    case CPN_TUNNEL_OPEN:
        return on_open_frame(c, &f, err);
    default:
        return on_stream_frame(c, &f, err);
    }
}

/* A piece of a message; nearly always it is the whole one. */
static cpn_rc
on_piece(cpn_carrier *c, const cpn_ws_piece *piece, cpn_err *err)
{
    cpn_view v = { piece->p, piece->n };
    cpn_rc rc;

    if (piece->end && c->assembly.n == 0)
        return on_message(c, v, err);
    flush_batch(c);
    c->assembly.max = CPN_TUNNEL_MESSAGE_MAX;
    if (cpn_buf_append(&c->assembly, v) != CPN_OK)
        return cpn_fail(err, CPN_E_PROTO, "a message that is too long");
    if (!piece->end)
        return CPN_OK;
    rc = on_message(c, cpn_buf_view(&c->assembly), err);
    if (!c->dead)
        flush_batch(c); /* its bytes live in the assembly */
    cpn_buf_fini(&c->assembly);
    return rc;
}

static void
on_close_frame(cpn_carrier *c)
{
    cpn_wslink_close(
        &c->ws, c->ws.close_code == CPN_WS_CLOSE_NONE ? CPN_WS_CLOSE_NORMAL : c->ws.close_code, "");
    cpn_carrier_finish(c, CPN_CARRIER_CLOSED, "closed with code %u", c->ws.close_code);
}

/* Read one piece and act on it. CPN_AGAIN: more bytes are needed. */
static cpn_rc
step(cpn_carrier *c, uint8_t *p, size_t n, size_t *used)
{
    cpn_ws_piece piece;
    unsigned code = CPN_WS_CLOSE_PROTO;
    cpn_err err = { 0 };
    cpn_rc rc =
        cpn_wslink_next(&c->ws, p, n, true, CPN_TUNNEL_MESSAGE_MAX, &piece, used, &code, &err);

    if (rc == CPN_AGAIN)
        return rc;
    if (rc == CPN_OK && piece.close) {
        flush_batch(c);
        if (!c->dead && !c->finished)
            on_close_frame(c);
        return CPN_OK;
    }
    if (rc == CPN_OK && c->ws.waiting.n > 0)
        cpn_carrier_wake(c, true);
    if (rc == CPN_OK && !piece.pong && (piece.n > 0 || piece.end))
        rc = on_piece(c, &piece, &err);
    if (rc != CPN_OK && !c->dead)
        cpn_carrier_violated(c, code, err.msg);
    return CPN_OK;
}

static size_t
kept(const cpn_carrier *c)
{
    size_t n = 0;

    for (const cpn_stream *s = c->streams; s; s = s->hh.next)
        n += cpn_leg_kept(s->leg);
    return n;
}

void
cpn_carrier_hold_back(cpn_carrier *c)
{
    bool full = cpn_pool_full(cpn_loop_pool(c->loop));

    if (c->opts.role != CPN_WS_SERVER || c->finished || c->dead || (!full && !c->held_back))
        return;
    c->held_back = full && kept(c) > CPN_FLOW_WINDOW_MIN;
    cpn_tls_pause(c->ws.tls, c->held_back);
}

size_t
cpn_carrier_on_bytes(void *owner, cpn_tls *t, uint8_t *p, size_t n)
{
    cpn_carrier *c = owner;
    cpn_carrier_batch batch;
    size_t at = 0, used;

    (void)t;
    batch.n = 0;
    batch.stream = NULL;
    c->batch = &batch;
    c->misses = 0;
    while (at < n && !c->dead && !c->finished) {
        cpn_rc rc = step(c, p + at, n - at, &used);

        at += used;
        if (rc == CPN_AGAIN)
            break;
    }
    if (!c->dead && !c->finished)
        flush_batch(c);
    else
        at = n;
    c->batch = NULL;
    cpn_carrier_hold_back(c);
    return at;
}
