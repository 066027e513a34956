/* WebSocket frames over a TLS connection. */
#include "net/wslink.h"

/* One write of waiting frames fits into the margin that cpn_tls_write grants. */
#define PUSH_STEP 8192u

void
cpn_wslink_init(cpn_wslink *l, cpn_loop *loop, CPN_TAKES cpn_tls *tls, cpn_ws_role role)
{
    *l = (cpn_wslink){ .tls = tls, .loop = loop, .role = role };
    l->waiting.max = CPN_WSLINK_WAITING_MAX;
    l->close_code = CPN_WS_CLOSE_NONE;
}

void
cpn_wslink_fini(cpn_wslink *l)
{
    cpn_tls_free(cpn_steal(&l->tls));
    cpn_buf_fini(&l->waiting);
    l->waiting_at = 0;
}

static unsigned
close_code_for(cpn_rc rc)
{
    return rc == CPN_LIMIT ? CPN_WS_CLOSE_BIG : CPN_WS_CLOSE_PROTO;
}

/* A complete control frame: answer it, or show it. */
static cpn_rc
control_frame(cpn_wslink *l, cpn_ws_piece *out, cpn_err *err)
{
    cpn_view payload = { out->p, out->n }, reason;
    cpn_rc rc = CPN_OK;

    if (l->head.op == CPN_WS_CLOSE) {
        rc = cpn_ws_close_parse(payload, &l->close_code, &reason, err);
        l->close_got = true;
        out->close = true;
    } else if (l->head.op == CPN_WS_PONG) {
        out->pong = true;
    } else if (!l->close_sent) {
        rc = cpn_wslink_put(l, CPN_WS_PONG, payload);
        if (rc == CPN_LIMIT)
            rc = cpn_fail(err, CPN_E_PROTO, "pings without end, and nothing is read");
    }
    if (!out->pong)
        out->n = 0;
    return rc;
}

static cpn_rc
start_frame(cpn_wslink *l, cpn_view in, uint64_t max, unsigned *code, cpn_err *err)
{
    cpn_rc rc = cpn_ws_head_parse(in, l->role, max, &l->head, err);

    if (rc == CPN_AGAIN)
        return rc;
    if (rc == CPN_OK)
        rc = cpn_ws_step(&l->message, &l->head, max, err);
    if (rc == CPN_OK && l->head.op == CPN_WS_TEXT) {
        *code = CPN_WS_CLOSE_KIND;
        return cpn_fail(err, CPN_E_PROTO, "a text message");
    }
    if (rc != CPN_OK) {
        *code = close_code_for(rc);
        return rc;
    }
    l->in_frame = true;
    l->head_got = 0;
    return CPN_OK;
}

cpn_rc
cpn_wslink_next(cpn_wslink *l, uint8_t *p, size_t n, bool whole, uint64_t max, cpn_ws_piece *out,
                size_t *used, unsigned *code, cpn_err *err)
{
    bool control;
    size_t take;
    cpn_rc rc;

    *used = 0;
    *out = (cpn_ws_piece){ .p = p };
    if (!l->in_frame) {
        if ((rc = start_frame(l, (cpn_view){ p, n }, max, code, err)) != CPN_OK)
            return rc;
        *used = l->head.used;
        p += *used;
        n -= *used;
    }
    control = l->head.op >= CPN_WS_CLOSE;
    take = (size_t)CPN_MIN(l->head.n - l->head_got, (uint64_t)n);
    /* A frame to be seen whole stays unread until it is here; its header was consumed. */
    if ((whole || control) && take < l->head.n)
        return CPN_AGAIN;
    if (take == 0 && l->head_got < l->head.n)
        return CPN_AGAIN;
    if (l->head.masked)
        cpn_ws_mask(p, take, l->head.key, l->head_got);
    l->head_got += take;
    *used += take;
    l->in_frame = l->head_got < l->head.n;
    out->p = p;
    out->n = take;
    if (control) {
        if ((rc = control_frame(l, out, err)) != CPN_OK)
            *code = close_code_for(rc);
        return rc;
    }
    out->end = !l->in_frame && l->head.fin;
    return CPN_OK;
}

uint8_t *
cpn_wslink_frame(cpn_wslink *l, uint8_t *p, size_t n, size_t *total)
{
    bool masked = l->role == CPN_WS_CLIENT;
    uint8_t key[4], head[CPN_WS_HEAD_MAX];
    size_t head_n;

    if (masked) {
        cpn_loop_mask_key(l->loop, key);
        cpn_ws_mask(p, n, key, 0);
    }
    head_n = cpn_ws_head_write(head, CPN_WS_BINARY, true, n, masked ? key : NULL);
    memcpy(p - head_n, head, head_n);
    *total = head_n + n;
    return p - head_n;
}

cpn_rc
cpn_wslink_put(cpn_wslink *l, cpn_ws_op op, cpn_view payload)
{
    bool masked = l->role == CPN_WS_CLIENT;
    uint8_t key[4] = { 0 }, head[CPN_WS_HEAD_MAX], *at;
    size_t head_n;
    cpn_rc rc;

    if (masked)
        cpn_loop_mask_key(l->loop, key);
    head_n = cpn_ws_head_write(head, op, true, payload.n, masked ? key : NULL);
    if ((rc = cpn_buf_reserve(&l->waiting, head_n + payload.n, &at)) != CPN_OK)
        return rc;
    memcpy(at, head, head_n);
    if (payload.n)
        memcpy(at + head_n, payload.p, payload.n);
    if (masked)
        cpn_ws_mask(at + head_n, payload.n, key, 0);
    l->waiting.n += head_n + payload.n;
    return CPN_OK;
}

bool
cpn_wslink_push(cpn_wslink *l)
{
    while (l->waiting_at < l->waiting.n) {
        size_t n = CPN_MIN(l->waiting.n - l->waiting_at, PUSH_STEP);
        cpn_rc rc = cpn_tls_write(l->tls, l->waiting.p + l->waiting_at, n);

        if (rc == CPN_EOF)
            break; /* the end will be told; nothing can be sent any more */
        if (rc != CPN_OK)
            return false;
        l->waiting_at += n;
    }
    if (l->waiting.n > 0) {
        cpn_buf_fini(&l->waiting);
        l->waiting_at = 0;
    }
    if (l->close_sent)
        cpn_tls_shutdown(l->tls);
    return true;
}

size_t
cpn_wslink_untaken(const cpn_wslink *l)
{
    return l->waiting.n - l->waiting_at + cpn_tls_untaken(l->tls);
}

void
cpn_wslink_close(cpn_wslink *l, unsigned code, const char *reason)
{
    uint8_t payload[CPN_WS_CONTROL_MAX];
    size_t n;

    if (l->close_sent)
        return;
    l->close_sent = true;
    n = cpn_ws_close_write(payload, code, cpn_view_str(reason));
    (void)!cpn_wslink_put(l, CPN_WS_CLOSE, (cpn_view){ payload, n });
    cpn_wslink_push(l);
}
