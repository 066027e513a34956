/* The life of a carrier and of its streams: opening, answering, ends, pings. */
#include "net/carrier.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/secret.h"
#include "net/carrier_priv.h"

#define PING_MS 20000
#define PING_MISSES 3u
#define CLOSE_MS 2000
#define FIRST_WAITING_MAX 32768u

static const cpn_leg_events leg_events;

/* --- streams -------------------------------------------------------------------------------- */

cpn_stream *
cpn_carrier_add(cpn_carrier *c, uint32_t id)
{
    cpn_stream *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->carrier = c;
    s->id = id;
    s->state = CPN_STREAM_ASKED;
    s->leg = cpn_leg_new(c->loop, c->opts.role == CPN_WS_SERVER, &leg_events, s);
    if (!s->leg) {
        free(s);
        return NULL;
    }
    s->text.max = CPN_TUNNEL_REASON_MAX;
    cpn_flow_init(&s->flow, CPN_FLOW_WINDOW_MAX);
    HASH_ADD(hh, c->streams, id, sizeof(s->id), s);
    return s;
}

void
cpn_stream_over(cpn_stream *s, cpn_stream_why why, cpn_view text)
{
    cpn_carrier *c = s->carrier;

    if (s->state == CPN_STREAM_OVER)
        return;
    cpn_stream_forget_ready(s);
    HASH_DEL(c->streams, s);
    s->state = CPN_STREAM_OVER;
    s->why = why;
    (void)!cpn_buf_append(&s->text, text);
    s->over_next = c->over;
    c->over = s;
    cpn_loop_later(c->loop, &c->notify, CPN_LATER_BULK);
}

static void
stream_free(cpn_stream *s)
{
    cpn_leg_free(s->leg, s->why != CPN_STREAM_CLOSED);
    cpn_buf_fini(&s->text);
    cpn_buf_fini(&s->first);
    free(s);
}

void
cpn_carrier_forget(cpn_stream *s)
{
    cpn_stream_forget_ready(s);
    HASH_DEL(s->carrier->streams, s);
    s->why = CPN_STREAM_SOCKET_FAILED;
    stream_free(s);
}

void
cpn_stream_maybe_done(cpn_stream *s)
{
    if (s->state == CPN_STREAM_LIVE && cpn_flow_done(&s->flow))
        cpn_stream_over(s, CPN_STREAM_CLOSED, (cpn_view){ 0 });
}

static void
on_leg_readable(void *owner)
{
    cpn_stream_wake(owner);
}

static void
on_leg_written(void *owner, size_t n)
{
    cpn_stream *s = owner;

    cpn_stream_delivered(s, n);
    cpn_carrier_hold_back(s->carrier);
}

static void
on_leg_failed(void *owner, int error)
{
    cpn_stream *s = owner;
    cpn_view why = s->carrier->opts.role == CPN_WS_SERVER
                       ? CPN_VIEW_LIT("{\"code\":\"reset_target\"}")
                       : CPN_VIEW_LIT("{\"code\":\"reset_client\"}");

    (void)error;
    if (s->state == CPN_STREAM_NEW)
        s->why = CPN_STREAM_SOCKET_FAILED;
    if (s->state == CPN_STREAM_NEW || s->state == CPN_STREAM_OVER)
        return;
    cpn_carrier_control(s->carrier, CPN_TUNNEL_RESET, s->id, 0, why);
    cpn_stream_over(s, CPN_STREAM_SOCKET_FAILED, why);
}

static void
on_leg_spent(void *owner)
{
    cpn_stream *s = owner;

    if (s->carrier->opts.events->on_spent)
        s->carrier->opts.events->on_spent(s->carrier->opts.owner, s);
}

static const cpn_leg_events leg_events = {
    .on_readable = on_leg_readable,
    .on_written = on_leg_written,
    .on_failed = on_leg_failed,
    .on_spent = on_leg_spent,
};

void
cpn_stream_attach(cpn_stream *s, CPN_TAKES int fd, cpn_view json)
{
    size_t put;

    if (s->state != CPN_STREAM_ASKED || s->carrier->opts.role != CPN_WS_SERVER) {
        shutdown(fd, SHUT_RDWR);
        close(fd);
        return;
    }
    json.n = CPN_MIN(json.n, CPN_TUNNEL_OPENED_MAX);
    s->state = CPN_STREAM_LIVE;
    cpn_carrier_control(s->carrier, CPN_TUNNEL_OPENED, s->id, s->flow.recv_limit, json);
    put = cpn_leg_attach(s->leg, fd);
    cpn_stream_delivered(s, put);
    cpn_stream_wake(s);
}

void
cpn_stream_refuse(cpn_stream *s, cpn_view json)
{
    if (s->state != CPN_STREAM_ASKED)
        return;
    if (json.n == 0)
        json = CPN_VIEW_LIT("{}");
    json.n = CPN_MIN(json.n, CPN_TUNNEL_REASON_MAX);
    cpn_carrier_control(s->carrier, CPN_TUNNEL_REFUSED, s->id, 0, json);
    cpn_stream_over(s, CPN_STREAM_RESET_LOCAL, json);
}

void
cpn_stream_reset(cpn_stream *s, cpn_view json)
{
    if (s->state == CPN_STREAM_OVER)
        return;
    json.n = CPN_MIN(json.n, CPN_TUNNEL_REASON_MAX);
    cpn_carrier_control(s->carrier, CPN_TUNNEL_RESET, s->id, 0, json);
    cpn_stream_over(s, CPN_STREAM_RESET_LOCAL, json);
}

void
cpn_stream_hold(cpn_stream *s, const cpn_judge *judge)
{
    cpn_leg_hold(s->leg, judge);
}

void
cpn_stream_allow(cpn_stream *s, const cpn_byte_limits *most)
{
    cpn_leg_allow(s->leg, most);
}

bool
cpn_stream_wants(const cpn_stream *s, bool up)
{
    return cpn_leg_wants(s->leg, up);
}

void
cpn_stream_tally(cpn_stream *s, cpn_tally_slot *slot)
{
    cpn_leg_tally(s->leg, slot);
}

cpn_carrier *
cpn_stream_carrier(const cpn_stream *s)
{
    return s->carrier;
}

void *
cpn_stream_user(const cpn_stream *s)
{
    return s->user;
}

void
cpn_stream_set_user(cpn_stream *s, void *user)
{
    s->user = user;
}

uint64_t
cpn_stream_up(const cpn_stream *s)
{
    return cpn_leg_up(s->leg);
}

uint64_t
cpn_stream_down(const cpn_stream *s)
{
    return cpn_leg_down(s->leg);
}

/* OPEN's first bytes save a round trip; where many streams open at once they wait for their turn
 * instead, so that the OPENs themselves always find room. What another carrier has refused is in
 * ask. */
static ssize_t
first_bytes(cpn_stream *s, const cpn_carrier_ask *ask, uint8_t area[CPN_TUNNEL_FIRST_MAX])
{
    struct iovec iov = { area, CPN_TUNNEL_FIRST_MAX };
    size_t again = CPN_MIN(ask->first.n, CPN_CARRIER_AGAIN_MAX);

    if (again > 0) {
        memcpy(area, ask->first.p, again);
        cpn_leg_inherit(s->leg, again);
        return (ssize_t)again;
    }
    if (s->carrier->ws.waiting.n > FIRST_WAITING_MAX)
        return 0;
    return cpn_leg_take(s->leg, &iov, 1, CPN_TUNNEL_FIRST_MAX);
}

/* What nobody has heard yet; as long as it is short, another carrier can be asked with it. */
static void
keep_first(cpn_stream *s, cpn_view first)
{
    s->first.max = CPN_CARRIER_AGAIN_MAX;
    s->again = first.n <= CPN_CARRIER_AGAIN_MAX && cpn_buf_append(&s->first, first) == CPN_OK;
}

/* Send OPEN with what is readable at this moment. */
static cpn_rc
send_open(cpn_stream *s, const cpn_carrier_ask *ask, cpn_err *err)
{
    cpn_carrier *c = s->carrier;
    CPN_AUTO(cpn_buf_fini) cpn_buf frame = { .max = CPN_TUNNEL_MESSAGE_MAX };
    uint8_t area[CPN_TUNNEL_FIRST_MAX];
    ssize_t got = first_bytes(s, ask, area);
    cpn_tunnel_frame f = { .type = CPN_TUNNEL_OPEN,
                           .stream = s->id,
                           .value = s->flow.recv_limit,
                           .target = ask->target,
                           .first = { area, got > 0 ? (size_t)got : 0 } };
    cpn_rc rc;

    if (s->why != CPN_STREAM_NONE)
        return cpn_fail(err, CPN_E_SYS, "the local connection broke at once");
    if ((rc = cpn_tunnel_put_open(&frame, &f, err)) != CPN_OK)
        return rc;
    if (cpn_wslink_put(&c->ws, CPN_WS_BINARY, cpn_buf_view(&frame)) != CPN_OK)
        return cpn_fail(err, CPN_UNAVAILABLE, "the gateway takes no bytes");
    s->state = CPN_STREAM_ASKED;
    keep_first(s, f.first);
    cpn_flow_sent_first(&s->flow, f.first.n);
    cpn_carrier_wake(c, true);
    return CPN_OK;
}

bool
cpn_carrier_opens(const cpn_carrier *c)
{
    return !c->dead && !c->finished && !c->closing && !c->draining &&
           c->opts.role == CPN_WS_CLIENT && c->last_id != UINT32_MAX;
}

cpn_rc
cpn_carrier_open(cpn_carrier *c, cpn_stream **out, const cpn_carrier_ask *ask, CPN_TAKES int fd,
                 cpn_err *err)
{
    CPN_AUTO(cpn_auto_fd) int owned = fd;
    cpn_stream *s;
    cpn_rc rc;

    if (!cpn_carrier_opens(c))
        return cpn_fail(err, CPN_UNAVAILABLE, "the connection to the gateway is closing");
    if (HASH_COUNT(c->streams) >= CPN_SESSION_STREAMS_MAX)
        return cpn_fail(err, CPN_LIMIT, "%u streams are open already", CPN_SESSION_STREAMS_MAX);
    if (!(s = cpn_carrier_add(c, ++c->last_id)))
        return cpn_fail(err, CPN_E_NOMEM, "stream");
    s->user = ask->user;
    s->state = CPN_STREAM_NEW;
    cpn_leg_attach(s->leg, cpn_steal_fd(&owned));
    if ((rc = send_open(s, ask, err)) != CPN_OK) {
        cpn_carrier_forget(s);
        return rc;
    }
    *out = s;
    return CPN_OK;
}

/* --- ends ----------------------------------------------------------------------------------- */

static void
tell_streams(cpn_carrier *c)
{
    while (c->over && !c->dead) {
        cpn_stream *s = c->over;
        cpn_stream_end end = { .why = s->why,
                               .text = cpn_buf_view(&s->text),
                               .again = s->again,
                               .first = cpn_buf_view(&s->first),
                               .up = cpn_leg_up(s->leg),
                               .down = cpn_leg_down(s->leg) };

        c->over = s->over_next;
        c->opts.events->on_stream_end(c->opts.owner, s, &end);
        stream_free(s);
    }
}

static void
notify(cpn_later *l)
{
    cpn_carrier *c = cpn_container_of(l, cpn_carrier, notify);

    tell_streams(c);
    if (c->dead)
        return;
    if (c->draining && !c->closing && !c->finished && !c->streams)
        cpn_carrier_close(c, CPN_WS_CLOSE_NORMAL, "", (cpn_view){ 0 });
    if (!c->finished || c->told)
        return;
    c->told = true;
    c->opts.events->on_end(c->opts.owner, c->why, c->ws.close_code, c->text);
}

static void
end_all_streams(cpn_carrier *c, cpn_stream_why why, cpn_view text)
{
    cpn_stream *s, *next;

    HASH_ITER (hh, c->streams, s, next)
        cpn_stream_over(s, why, text);
}

void
cpn_carrier_finish(cpn_carrier *c, cpn_carrier_why why, const char *fmt, ...)
{
    va_list ap;

    if (c->finished || c->dead)
        return;
    c->finished = true;
    c->why = why;
    va_start(ap, fmt);
    vsnprintf(c->text, sizeof(c->text), fmt, ap);
    va_end(ap);
    uv_timer_stop(&c->timer);
    end_all_streams(c, why == CPN_CARRIER_PROTOCOL ? CPN_STREAM_PROTOCOL : CPN_STREAM_CARRIER_LOST,
                    (cpn_view){ 0 });
    cpn_loop_later(c->loop, &c->notify, CPN_LATER_BULK);
}

void
cpn_carrier_violated(cpn_carrier *c, unsigned code, const char *text)
{
    cpn_wslink_close(&c->ws, code, text);
    cpn_carrier_finish(c, CPN_CARRIER_PROTOCOL, "%s", text);
}

static void
on_close_deadline(uv_timer_t *timer)
{
    cpn_carrier *c = timer->data;

    if (cpn_loop_now_ms(c->loop) >= c->close_by || cpn_wslink_untaken(&c->ws) == 0)
        cpn_carrier_finish(c, CPN_CARRIER_CLOSED, "closed; the peer did not answer");
}

void
cpn_carrier_close(cpn_carrier *c, unsigned code, const char *reason, cpn_view reset_json)
{
    cpn_stream *s, *next;

    if (c->closing || c->finished || c->dead)
        return;
    /* Where every stream has ended by itself its last bytes have the time of any stall. */
    c->close_by = cpn_loop_now_ms(c->loop) + (c->streams ? 0 : cpn_loop_stall_ms(c->loop));
    HASH_ITER (hh, c->streams, s, next)
        cpn_stream_reset(s, reset_json);
    c->closing = true;
    cpn_wslink_close(&c->ws, code, reason);
    uv_timer_start(&c->timer, on_close_deadline, c->opts.close_ms, c->opts.close_ms);
    cpn_carrier_wake(c, true);
}

void
cpn_carrier_drain(cpn_carrier *c)
{
    c->draining = true;
    cpn_loop_later(c->loop, &c->notify, CPN_LATER_BULK);
}

/* --- the connection ------------------------------------------------------------------------- */

static void
on_room(void *owner, cpn_tls *t)
{
    (void)t;
    cpn_carrier_wake(owner, false);
}

static void
on_tls_end(void *owner, cpn_tls *t, cpn_tls_end why, const cpn_err *err)
{
    cpn_carrier *c = owner;

    (void)t;
    (void)why;
    if (c->closing)
        cpn_carrier_finish(c, CPN_CARRIER_CLOSED, "closed");
    else
        cpn_carrier_finish(c, CPN_CARRIER_LOST, "%s", err->msg);
}

static const cpn_tls_events tls_events = {
    .on_bytes = cpn_carrier_on_bytes,
    .on_room = on_room,
    .on_end = on_tls_end,
};

/* At the start, so that the round trip is known before bulk gets in its way, and with what this
 * turn sends anyway; then every ping_ms. Any byte of the peer resets the misses: what it is busy
 * sending may delay a pong.
 */
static void
ping(cpn_carrier *c)
{
    cpn_carrier_hold_back(c);
    if (c->ping_ns != 0 && ++c->misses >= PING_MISSES) {
        cpn_carrier_finish(c, CPN_CARRIER_DEAD, "%u pings went unanswered%s", PING_MISSES,
                           c->held_back ? ": relay_memory is full of what nobody takes" : "");
        return;
    }
    if (c->ping_ns == 0) {
        cpn_random(&c->ping_nonce, sizeof(c->ping_nonce));
        c->ping_ns = cpn_mono_ns();
    }
    cpn_carrier_control(c, CPN_TUNNEL_PING, 0, c->ping_nonce, (cpn_view){ 0 });
}

static void
on_tick(uv_timer_t *timer)
{
    ping(timer->data);
}

static void
carrier_closed(uv_handle_t *h)
{
    free(h->data);
}

static void
carrier_reap(cpn_later *l)
{
    cpn_carrier *c = cpn_container_of(l, cpn_carrier, reap);

    while (c->over) {
        cpn_stream *s = c->over;

        c->over = s->over_next;
        cpn_buf_fini(&s->text);
        cpn_buf_fini(&s->first);
        free(s);
    }
    cpn_buf_fini(&c->assembly);
    uv_close((uv_handle_t *)&c->timer, carrier_closed);
}

cpn_rc
cpn_carrier_new(cpn_carrier **out, cpn_loop *loop, CPN_TAKES cpn_tls *t,
                const cpn_carrier_opts *opts, cpn_err *err)
{
    cpn_carrier *c = calloc(1, sizeof(*c));

    if (!c) {
        cpn_tls_free(t);
        return cpn_fail(err, CPN_E_NOMEM, "carrier");
    }
    c->loop = loop;
    c->opts = *opts;
    c->rtt_ms = -1;
    if (!c->opts.ping_ms)
        c->opts.ping_ms = PING_MS;
    if (!c->opts.close_ms)
        c->opts.close_ms = CLOSE_MS;
    c->pump.fn = cpn_carrier_pump;
    c->notify.fn = notify;
    c->reap.fn = carrier_reap;
    uv_timer_init(cpn_loop_uv(loop), &c->timer);
    c->timer.data = c;
    uv_timer_start(&c->timer, on_tick, c->opts.ping_ms, c->opts.ping_ms);
    cpn_wslink_init(&c->ws, loop, t, opts->role);
    cpn_tls_set_owner(t, &tls_events, c);
    *out = c;
    ping(c);
    return CPN_OK;
}

void
cpn_carrier_free(cpn_carrier *c)
{
    if (!c || c->dead)
        return;
    end_all_streams(c, CPN_STREAM_CARRIER_LOST, (cpn_view){ 0 });
    c->dead = true;
    for (cpn_stream *s = c->over; s; s = s->over_next)
        cpn_leg_free(s->leg, s->why != CPN_STREAM_CLOSED);
    cpn_loop_not_later(c->loop, &c->pump);
    cpn_loop_not_later(c->loop, &c->notify);
    uv_timer_stop(&c->timer);
    cpn_wslink_fini(&c->ws);
    cpn_loop_later(c->loop, &c->reap, CPN_LATER_FREE);
}

unsigned
cpn_carrier_streams(const cpn_carrier *c)
{
    return HASH_COUNT(c->streams);
}

int
cpn_carrier_rtt_ms(const cpn_carrier *c)
{
    return c->rtt_ms;
}

cpn_tls *
cpn_carrier_tls(cpn_carrier *c)
{
    return c->ws.tls;
}
