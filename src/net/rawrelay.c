/* The Azure door's relay: WebSocket payload bytes to a socket and back. */
#include "net/rawrelay.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/leg.h"
#include "net/wslink.h"

#define PING_MS 20000
#define PING_MISSES 3
#define CLOSE_MS 2000
/* How long the word why a socket was shut may take after it. */
#define WORD_MS 1000
/* How long a target may take to accept what a client that has left said last. */
#define TAIL_MS 30000
#define BATCH 32
/* A frame of at most 64 KiB with its header fills whole records. */
#define SLOT 65536u
#define SLOTS (CPN_TLS_GATHER / SLOT)
#define SAY_MAX 16384u

struct cpn_rawrelay {
    cpn_loop *loop;
    cpn_wslink ws;
    cpn_raw_opts opts;
    cpn_leg *leg;
    cpn_later pump;
    cpn_later notify;
    cpn_later reap;
    uv_timer_t timer;
    unsigned misses;
    uint64_t close_by; /* when a client must have taken what stands before our close frame */
    bool paused;       /* we do not read, so silence says nothing */
    bool client_done;  /* close frame or end of TCP: nothing more comes from it */
    bool awaiting;     /* the target's socket was shut here: whoever did it is about to say why */
    bool closing;      /* our close frame is queued */
    bool finished;
    bool told;
    bool dead;
    cpn_raw_why why;
};

static void
wake(cpn_rawrelay *r, bool urgent)
{
    if (!r->dead)
        cpn_loop_later(r->loop, &r->pump, urgent ? CPN_LATER_FIRST : CPN_LATER_BULK);
}

static void
finish(cpn_rawrelay *r, cpn_raw_why why)
{
    if (r->finished || r->dead)
        return;
    r->finished = true;
    if (r->why == CPN_RAW_NONE)
        r->why = why;
    uv_timer_stop(&r->timer);
    cpn_loop_later(r->loop, &r->notify, CPN_LATER_BULK);
}

static void
on_tail_deadline(uv_timer_t *timer)
{
    finish(timer->data, CPN_RAW_CLOSED_CLIENT);
}

/* The close frame had its time for an answer. What a machine said before it closed has the time of
 * any stall. */
static void
on_close_deadline(uv_timer_t *timer)
{
    cpn_rawrelay *r = timer->data;

    if (r->why != CPN_RAW_CLOSED_TARGET || cpn_wslink_untaken(&r->ws) == 0 ||
        cpn_loop_now_ms(r->loop) >= r->close_by)
        finish(r, CPN_RAW_CLOSED_CLIENT);
}

/* Queue our close frame; the end comes with theirs, or soon. */
static void
say_close(cpn_rawrelay *r, cpn_raw_why why, unsigned code, const char *reason)
{
    if (r->closing || r->finished || r->dead)
        return;
    r->closing = true;
    if (r->why == CPN_RAW_NONE)
        r->why = why;
    cpn_wslink_close(&r->ws, code, reason);
    r->close_by = cpn_loop_now_ms(r->loop) + cpn_loop_stall_ms(r->loop);
    uv_timer_start(&r->timer, on_close_deadline, r->opts.close_ms, r->opts.close_ms);
    wake(r, true);
}

static void
on_word_deadline(uv_timer_t *timer)
{
    say_close(timer->data, CPN_RAW_CLOSED_TARGET, CPN_WS_CLOSE_NORMAL, "");
}

/* Keeper shuts the sockets of a cut while its words may still queue for us: many at once take a
 * while, and no client is to hear that its machine closed the connection. */
static bool
await_word(cpn_rawrelay *r)
{
    if (r->closing || r->finished || r->dead || !cpn_leg_shut_here(r->leg))
        return false;
    if (!r->awaiting)
        uv_timer_start(&r->timer, on_word_deadline, WORD_MS, 0);
    r->awaiting = true;
    return true;
}

/* --- client to target ----------------------------------------------------------------------- */

/* Nothing more comes from the client: the end, as soon as the target has taken what is kept. */
static void
client_done(cpn_rawrelay *r)
{
    if (r->finished || r->dead)
        return;
    if (r->why == CPN_RAW_NONE)
        r->why = CPN_RAW_CLOSED_CLIENT;
    if (!r->client_done) {
        r->client_done = true;
        cpn_leg_put_end(r->leg);
    }
    if (r->dead || r->finished)
        return;
    if (cpn_leg_kept(r->leg) == 0 || !cpn_leg_attached(r->leg))
        finish(r, CPN_RAW_CLOSED_CLIENT);
    else
        uv_timer_start(&r->timer, on_tail_deadline, TAIL_MS, 0);
}

/* Stop reading the client while its target is full, or while too much waits for judgement. */
static void
hold_back(cpn_rawrelay *r)
{
    r->paused = cpn_leg_full(r->leg);
    cpn_tls_pause(r->ws.tls, r->paused);
}

static void
violated(cpn_rawrelay *r, unsigned code, const char *text)
{
    cpn_wslink_close(&r->ws, code, text);
    r->why = CPN_RAW_NONE;
    finish(r, CPN_RAW_PROTOCOL);
}

/* Read pieces until the bytes or the batch are used up. CPN_AGAIN: more bytes are needed. */
static cpn_rc
read_batch(cpn_rawrelay *r, uint8_t *p, size_t n, size_t *at)
{
    struct iovec iov[BATCH];
    int pieces = 0;
    bool closed = false;
    unsigned code = CPN_WS_CLOSE_PROTO;
    cpn_err err = { 0 };
    cpn_rc rc = CPN_OK;

    while (*at < n && pieces < BATCH && rc == CPN_OK && !closed) {
        cpn_ws_piece piece;
        size_t used;

        rc =
            cpn_wslink_next(&r->ws, p + *at, n - *at, false, INT64_MAX, &piece, &used, &code, &err);
        *at += used;
        if (rc == CPN_OK && piece.n > 0 && !piece.pong)
            iov[pieces++] = (struct iovec){ piece.p, piece.n };
        closed = rc == CPN_OK && piece.close;
    }
    if (pieces > 0)
        cpn_leg_put(r->leg, iov, pieces);
    if (r->dead || r->finished)
        return CPN_OK;
    if (closed) {
        cpn_wslink_close(&r->ws, CPN_WS_CLOSE_NORMAL, "");
        client_done(r);
    } else if (rc != CPN_OK && rc != CPN_AGAIN) {
        violated(r, code, err.msg);
    }
    return rc;
}

static size_t
on_bytes(void *owner, cpn_tls *t, uint8_t *p, size_t n)
{
    cpn_rawrelay *r = owner;
    size_t at = 0;

    (void)t;
    r->misses = 0;
    while (at < n && !r->dead && !r->finished && !r->ws.close_got)
        if (read_batch(r, p, n, &at) != CPN_OK)
            break;
    if (r->dead || r->finished || r->ws.close_got)
        return n;
    if (r->ws.waiting.n > 0)
        wake(r, true);
    hold_back(r);
    return at;
}

static void
on_tls_end(void *owner, cpn_tls *t, cpn_tls_end why, const cpn_err *err)
{
    cpn_rawrelay *r = owner;

    (void)t;
    (void)err;
    if (r->closing)
        finish(r, r->why);
    else if (r->ws.in_frame)
        finish(r, CPN_RAW_RESET_CLIENT);
    else if (why == CPN_TLS_END_CLOSED || why == CPN_TLS_END_TRUNCATED)
        client_done(r);
    else
        finish(r, CPN_RAW_RESET_CLIENT);
}

/* --- target to client ----------------------------------------------------------------------- */

/* Read once from the target, into frames. */
static void
serve(cpn_rawrelay *r, size_t room)
{
    size_t front = CPN_WSLINK_HEAD(r->opts.role), fit = SLOT - front;
    uint8_t *area = cpn_tls_area(r->ws.tls);
    cpn_pool *pool = cpn_loop_pool(r->loop);
    struct iovec iov[SLOTS];
    int slots = (int)CPN_MIN(room / SLOT + 1, SLOTS);
    size_t most = CPN_MIN(CPN_MAX(room, CPN_TLS_RECORD), (size_t)slots * fit);
    ssize_t got;

    if (!area) {
        finish(r, CPN_RAW_RESET_CLIENT);
        return;
    }
    if (cpn_pool_full(pool))
        most = CPN_TLS_RECORD / 2;
    else if (cpn_pool_tight(pool))
        most = CPN_MIN(most, fit);
    for (int i = 0; i < slots; i++)
        iov[i] = (struct iovec){ area + (size_t)i * SLOT + front, fit };
    got = cpn_leg_take(r->leg, iov, slots, most);
    if (got == 0 && !r->dead && !await_word(r))
        say_close(r, CPN_RAW_CLOSED_TARGET, CPN_WS_CLOSE_NORMAL, "");
    for (uint8_t *slot = area; got > 0; slot += SLOT) {
        size_t part = CPN_MIN((size_t)got, fit), total;
        uint8_t *at = cpn_wslink_frame(&r->ws, slot + front, part, &total);
        cpn_rc rc = cpn_tls_write(r->ws.tls, at, total);

        if (rc == CPN_EOF)
            return; /* its end will be told */
        if (rc != CPN_OK) {
            finish(r, CPN_RAW_RESET_CLIENT);
            return;
        }
        got -= (ssize_t)part;
    }
}

static void
pump(cpn_later *l)
{
    cpn_rawrelay *r = cpn_container_of(l, cpn_rawrelay, pump);
    size_t room;

    if (r->dead || r->finished)
        return;
    if (r->client_done && cpn_leg_kept(r->leg) == 0) { /* its target broke over what was kept */
        finish(r, r->why);
        return;
    }
    hold_back(r);
    if (cpn_wslink_push(&r->ws) && !r->closing && !r->awaiting && cpn_leg_may_take(r->leg) &&
        (room = cpn_tls_room(r->ws.tls)) > 0)
        serve(r, room);
    if (r->dead || r->finished)
        return;
    cpn_tls_flush(r->ws.tls);
    if (!r->closing && !r->awaiting && cpn_leg_may_take(r->leg) && cpn_tls_room(r->ws.tls) > 0)
        wake(r, false);
}

static void
on_room(void *owner, cpn_tls *t)
{
    (void)t;
    wake(owner, false);
}

static const cpn_tls_events tls_events = {
    .on_bytes = on_bytes,
    .on_room = on_room,
    .on_end = on_tls_end,
};

static void
on_leg_readable(void *owner)
{
    cpn_rawrelay *r = owner;

    wake(r, cpn_leg_interactive(r->leg));
}

static void
on_leg_written(void *owner, size_t n)
{
    cpn_rawrelay *r = owner;

    (void)n;
    if (r->finished || r->dead)
        return;
    if (r->client_done)
        client_done(r);
    else
        hold_back(r);
}

static void
on_leg_failed(void *owner, int error)
{
    cpn_rawrelay *r = owner;

    if (r->client_done)
        finish(r, CPN_RAW_RESET_TARGET);
    else if (error != EPIPE || !await_word(r))
        say_close(r, CPN_RAW_RESET_TARGET, CPN_WS_CLOSE_INTERNAL,
                  "the machine broke the connection");
    if (!r->finished && !r->dead)
        hold_back(r);
}

static void
on_leg_spent(void *owner)
{
    cpn_rawrelay *r = owner;

    if (r->opts.on_spent)
        r->opts.on_spent(r->opts.owner);
}

static const cpn_leg_events leg_events = {
    .on_readable = on_leg_readable,
    .on_written = on_leg_written,
    .on_failed = on_leg_failed,
    .on_spent = on_leg_spent,
};

/* --- life ----------------------------------------------------------------------------------- */

static void
notify(cpn_later *l)
{
    cpn_rawrelay *r = cpn_container_of(l, cpn_rawrelay, notify);
    cpn_raw_end end = { .why = r->why, .up = cpn_leg_up(r->leg), .down = cpn_leg_down(r->leg) };

    if (r->dead || r->told)
        return;
    r->told = true;
    cpn_tls_pause(r->ws.tls, true);
    r->opts.on_end(r->opts.owner, r, &end);
}

static void
on_tick(uv_timer_t *timer)
{
    cpn_rawrelay *r = timer->data;

    if (r->paused)
        r->misses = 0;
    if (r->misses++ >= PING_MISSES) {
        finish(r, CPN_RAW_DEAD);
        return;
    }
    if (cpn_wslink_put(&r->ws, CPN_WS_PING, CPN_VIEW_LIT("cpn")) != CPN_OK)
        finish(r, CPN_RAW_DEAD);
    wake(r, true);
}

static void
relay_closed(uv_handle_t *h)
{
    free(h->data);
}

static void
relay_reap(cpn_later *l)
{
    cpn_rawrelay *r = cpn_container_of(l, cpn_rawrelay, reap);

    uv_close((uv_handle_t *)&r->timer, relay_closed);
}

cpn_rc
cpn_rawrelay_new(cpn_rawrelay **out, cpn_loop *loop, CPN_TAKES cpn_tls *t, const cpn_raw_opts *opts,
                 cpn_err *err)
{
    cpn_rawrelay *r = calloc(1, sizeof(*r));

    if (!r || !(r->leg = cpn_leg_new(loop, opts->role == CPN_WS_SERVER, &leg_events, r))) {
        free(r);
        cpn_tls_free(t);
        return cpn_fail(err, CPN_E_NOMEM, "relay");
    }
    r->loop = loop;
    r->opts = *opts;
    if (!r->opts.ping_ms)
        r->opts.ping_ms = PING_MS;
    if (!r->opts.close_ms)
        r->opts.close_ms = CLOSE_MS;
    r->pump.fn = pump;
    r->notify.fn = notify;
    r->reap.fn = relay_reap;
    if (opts->judge.up || opts->judge.down)
        cpn_leg_hold(r->leg, &opts->judge);
    cpn_leg_tally(r->leg, opts->slot);
    uv_timer_init(cpn_loop_uv(loop), &r->timer);
    r->timer.data = r;
    uv_timer_start(&r->timer, on_tick, r->opts.ping_ms, r->opts.ping_ms);
    cpn_wslink_init(&r->ws, loop, t, opts->role);
    cpn_tls_set_owner(t, &tls_events, r);
    *out = r;
    return CPN_OK;
}

void
cpn_rawrelay_free(cpn_rawrelay *r)
{
    if (!r || r->dead)
        return;
    r->dead = true;
    cpn_leg_free(r->leg, r->why == CPN_RAW_RESET_CLIENT);
    uv_timer_stop(&r->timer);
    cpn_loop_not_later(r->loop, &r->pump);
    cpn_loop_not_later(r->loop, &r->notify);
    cpn_wslink_fini(&r->ws);
    cpn_loop_later(r->loop, &r->reap, CPN_LATER_FREE);
}

void
cpn_rawrelay_attach(cpn_rawrelay *r, CPN_TAKES int fd)
{
    if (r->finished || r->dead || r->closing) {
        shutdown(fd, SHUT_RDWR);
        close(fd);
        return;
    }
    cpn_leg_attach(r->leg, fd);
    if (r->dead || r->finished)
        return;
    hold_back(r);
    wake(r, true);
}

void
cpn_rawrelay_say(cpn_rawrelay *r, cpn_view v)
{
    v.n = CPN_MIN(v.n, SAY_MAX);
    if (r->finished || r->dead || r->closing || v.n == 0)
        return;
    if (cpn_wslink_put(&r->ws, CPN_WS_BINARY, v) != CPN_OK)
        finish(r, CPN_RAW_DEAD);
    wake(r, true);
}

void
cpn_rawrelay_close(cpn_rawrelay *r, unsigned code, const char *reason)
{
    if (r->finished || r->dead)
        return;
    cpn_leg_put_end(r->leg);
    if (r->finished || r->dead)
        return;
    hold_back(r); /* the client's close may stand behind what its target did not take */
    say_close(r, CPN_RAW_ENDED, code, reason);
}

void
cpn_rawrelay_allow(cpn_rawrelay *r, const cpn_byte_limits *most)
{
    cpn_leg_allow(r->leg, most);
}

bool
cpn_rawrelay_wants(const cpn_rawrelay *r, bool up)
{
    return cpn_leg_wants(r->leg, up);
}

uint64_t
cpn_rawrelay_up(const cpn_rawrelay *r)
{
    return cpn_leg_up(r->leg);
}

uint64_t
cpn_rawrelay_down(const cpn_rawrelay *r)
{
    return cpn_leg_down(r->leg);
}
