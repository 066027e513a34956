/* What a carrier sends: control frames first, then small streams, then bulk in turn. */
#include "net/carrier_priv.h"

#define SLOTS (CPN_TLS_GATHER / CPN_TLS_RECORD)
/* Reads shrink to this when relay memory is tight, and to one record at the cap. */
#define TIGHT_READ 65536u

void
cpn_carrier_wake(cpn_carrier *c, bool urgent)
{
    if (!c->dead)
        cpn_loop_later(c->loop, &c->pump, urgent ? CPN_LATER_FIRST : CPN_LATER_BULK);
}

void
cpn_carrier_control(cpn_carrier *c, cpn_tunnel_type type, uint32_t stream, uint64_t value,
                    cpn_view body)
{
    cpn_tunnel_frame f = { .type = type, .stream = stream, .value = value, .body = body };
    CPN_AUTO(cpn_buf_fini) cpn_buf frame = { .max = CPN_TUNNEL_MESSAGE_MAX };
    uint8_t head[CPN_TUNNEL_HEAD];
    cpn_view v = { head, sizeof(head) };

    if (c->dead || c->closing || c->finished)
        return;
    if (body.n == 0) {
        cpn_tunnel_head(head, type, stream, value);
    } else {
        if (cpn_tunnel_put(&frame, &f, NULL) != CPN_OK)
            return;
        v = cpn_buf_view(&frame);
    }
    if (cpn_wslink_put(&c->ws, CPN_WS_BINARY, v) != CPN_OK) {
        cpn_carrier_finish(c, CPN_CARRIER_LOST, "the peer takes no bytes");
        return;
    }
    cpn_carrier_wake(c, true);
}

static void
ready_push(cpn_ready_list *list, cpn_stream *s)
{
    s->ready_next = NULL;
    if (list->tail)
        list->tail->ready_next = s;
    else
        list->head = s;
    list->tail = s;
    list->n++;
}

static cpn_stream *
ready_pop(cpn_ready_list *list)
{
    cpn_stream *s = list->head;

    if (!s)
        return NULL;
    list->head = s->ready_next;
    if (!list->head)
        list->tail = NULL;
    list->n--;
    s->ready_next = NULL;
    s->ready = false;
    return s;
}

static bool
list_drop(cpn_ready_list *list, cpn_stream *s)
{
    cpn_stream *before = NULL;

    for (cpn_stream *at = list->head; at; before = at, at = at->ready_next) {
        if (at != s)
            continue;
        *(before ? &before->ready_next : &list->head) = s->ready_next;
        if (list->tail == s)
            list->tail = before;
        list->n--;
        return true;
    }
    return false;
}

void
cpn_stream_forget_ready(cpn_stream *s)
{
    if (!s->ready)
        return;
    s->ready = false;
    if (!list_drop(&s->carrier->small, s))
        list_drop(&s->carrier->bulk, s);
}

/* Is there something to read, and may it be sent? FIN needs no credit, but EOF is only seen by
 * reading, so without credit one is not looked for. */
static bool
servable(const cpn_stream *s)
{
    return s->state == CPN_STREAM_LIVE && !s->flow.fin_sent && cpn_leg_may_take(s->leg) &&
           cpn_flow_may_send(&s->flow, 1) > 0;
}

static void
make_ready(cpn_stream *s)
{
    cpn_carrier *c = s->carrier;

    s->ready = true;
    ready_push(cpn_leg_interactive(s->leg) ? &c->small : &c->bulk, s);
}

void
cpn_stream_wake(cpn_stream *s)
{
    cpn_carrier *c = s->carrier;

    if (s->ready || !servable(s))
        return;
    make_ready(s);
    cpn_carrier_wake(c, cpn_leg_interactive(s->leg));
}

void
cpn_stream_delivered(cpn_stream *s, size_t n)
{
    cpn_carrier *c = s->carrier;
    cpn_flow_pace pace = { .room = !cpn_pool_tight(cpn_loop_pool(c->loop)),
                           .now_ms = cpn_loop_now_ms(c->loop),
                           .rtt_ms = c->rtt_ms,
                           .known = c->known_window };
    uint64_t value;

    if (s->state == CPN_STREAM_OVER)
        return;
    if (n > 0)
        cpn_flow_delivered(&s->flow, n);
    if (s->state != CPN_STREAM_LIVE)
        return;
    if (cpn_flow_grant(&s->flow, &pace, &value))
        cpn_carrier_control(c, CPN_TUNNEL_CREDIT, s->id, value, (cpn_view){ 0 });
    c->known_window = CPN_MAX(c->known_window, s->flow.window);
    if (cpn_flow_ack(&s->flow, &value))
        cpn_carrier_control(c, CPN_TUNNEL_ACK, s->id, value, (cpn_view){ 0 });
    cpn_stream_maybe_done(s);
}

/* Frame and encrypt n bytes that were read into slots of `fit` bytes each. */
static bool
send_slots(cpn_stream *s, uint8_t *area, size_t front, size_t fit, size_t n)
{
    cpn_carrier *c = s->carrier;

    for (uint8_t *slot = area; n > 0; slot += CPN_TLS_RECORD) {
        size_t part = CPN_MIN(n, fit), total;
        uint8_t *message = slot + front - CPN_TUNNEL_HEAD, *at;

        cpn_tunnel_head(message, CPN_TUNNEL_DATA, s->id, s->flow.sent);
        cpn_flow_sent(&s->flow, part);
        at = cpn_wslink_frame(&c->ws, message, CPN_TUNNEL_HEAD + part, &total);
        switch (cpn_tls_write(c->ws.tls, at, total)) {
        case CPN_OK:
            break;
        case CPN_EOF:
            return false; /* its end will be told */
        default:
            cpn_carrier_finish(c, CPN_CARRIER_LOST, "the output overflowed");
            return false;
        }
        n -= part;
        c->pacing.sent += part;
    }
    return true;
}

/* Once a round trip of bulk. */
static void
pace(cpn_carrier *c)
{
    uint64_t now = cpn_loop_now_ms(c->loop), rate;
    cpn_pacing_path path;

    if (!cpn_pacing_due(&c->pacing, now))
        return;
    path = cpn_pacing_ask(cpn_tls_fd(c->ws.tls));
    if ((rate = cpn_pacing_sample(&c->pacing, &path, now)) > 0)
        cpn_pacing_hold(cpn_tls_fd(c->ws.tls), rate);
}

/* Read once from the stream's socket and send that. */
static void
serve(cpn_stream *s, size_t room)
{
    cpn_carrier *c = s->carrier;
    size_t front = CPN_WSLINK_HEAD(c->opts.role) + CPN_TUNNEL_HEAD, fit = CPN_TLS_RECORD - front;
    uint8_t *area = cpn_tls_area(c->ws.tls);
    struct iovec iov[SLOTS];
    int slots = (int)CPN_MIN(room / CPN_TLS_RECORD + (room < CPN_TLS_RECORD), SLOTS);
    size_t most = cpn_flow_may_send(&s->flow, (uint64_t)slots * fit);
    ssize_t got;

    if (!area) {
        cpn_carrier_finish(c, CPN_CARRIER_LOST, "out of memory");
        return;
    }
    if (cpn_pool_full(cpn_loop_pool(c->loop)))
        most = CPN_MIN(most, fit);
    else if (cpn_pool_tight(cpn_loop_pool(c->loop)))
        most = CPN_MIN(most, TIGHT_READ);
    for (int i = 0; i < slots; i++)
        iov[i] = (struct iovec){ area + (size_t)i * CPN_TLS_RECORD + front, fit };
    got = cpn_leg_take(s->leg, iov, slots, most);
    if (s->state != CPN_STREAM_LIVE || got < 0)
        return;
    if (got == 0) {
        cpn_flow_sent_fin(&s->flow);
        cpn_carrier_control(c, CPN_TUNNEL_FIN, s->id, s->flow.sent, (cpn_view){ 0 });
        cpn_stream_maybe_done(s);
        return;
    }
    send_slots(s, area, front, fit, (size_t)got);
}

/* Serve one list while there is room: each stream once, those that have more again in the next
 * turn, behind the ones that were not served. */
static void
serve_list(cpn_carrier *c, cpn_ready_list *list)
{
    size_t room;

    for (unsigned left = list->n; left > 0 && list->head && !c->finished; left--) {
        cpn_stream *s;

        if ((room = cpn_tls_room(c->ws.tls)) == 0)
            return;
        s = ready_pop(list);
        if (servable(s))
            serve(s, room);
        if (servable(s))
            make_ready(s);
    }
}

void
cpn_carrier_pump(cpn_later *l)
{
    cpn_carrier *c = cpn_container_of(l, cpn_carrier, pump);

    if (c->dead || c->finished)
        return;
    if (cpn_wslink_push(&c->ws)) {
        serve_list(c, &c->small);
        serve_list(c, &c->bulk);
        cpn_wslink_push(&c->ws); /* FIN of what was just read */
    }
    if (c->dead || c->finished)
        return;
    cpn_tls_flush(c->ws.tls);
    pace(c);
    if ((c->small.head || c->bulk.head) && cpn_tls_room(c->ws.tls) > 0)
        cpn_carrier_wake(c, false);
}
