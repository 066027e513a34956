/* The stages of a connection, its one writer, and what leaves it. */
#include "front/conn.h"

#include <stdlib.h>
#include <unistd.h>
#include <utlist.h>

#include "base/log.h"
#include "front/answer.h"
#include "front/api.h"
#include "front/denied.h"
#include "front/http.h"
#include "front/plain.h"
#include "front/relay.h"
#include "net/carrier.h"

static void http_enter(cpn_conn *c);
static void linger_enter(cpn_conn *c);
static void closed_enter(cpn_conn *c);

#define TO(s) (1u << CPN_STAGE_##s)
static const struct {
    const char *name;
    void (*enter)(cpn_conn *c);
    uint32_t ms; /* deadline; 0: none, or what SETUP says */
    unsigned next;
} stages[CPN_STAGE_N] = {
    [CPN_STAGE_CLOSED] = { "closed", closed_enter, 0, 0 },
    [CPN_STAGE_TLS] = { "tls", NULL, 0, TO(HTTP) | TO(CLOSED) },
    [CPN_STAGE_HTTP] = { "http", http_enter, 0,
                         TO(API) | TO(CARRIER) | TO(UPGRADE) | TO(LINGER) | TO(CLOSED) },
    [CPN_STAGE_API] = { "api", NULL, CPN_CONN_REPLY_MS, TO(HTTP) | TO(LINGER) | TO(CLOSED) },
    [CPN_STAGE_CARRIER] = { "carrier", NULL, CPN_CONN_ASK_MS, TO(RELAY) | TO(LINGER) | TO(CLOSED) },
    [CPN_STAGE_UPGRADE] = { "upgrade", NULL, CPN_CONN_ASK_MS,
                            TO(RELAY) | TO(DENIED) | TO(LINGER) | TO(CLOSED) },
    [CPN_STAGE_DENIED] = { "denied", NULL, CPN_DENIED_WAIT_MS, TO(CLOSED) },
    [CPN_STAGE_RELAY] = { "relay", NULL, 0, TO(CLOSED) },
    [CPN_STAGE_LINGER] = { "linger", linger_enter, CPN_CONN_LINGER_MS, TO(CLOSED) },
};

bool
cpn_stage_may(cpn_stage stage, cpn_stage next)
{
    return (unsigned)stage < CPN_STAGE_N && (unsigned)next < CPN_STAGE_N &&
           (stages[stage].next & (1u << next)) != 0;
}

const char *
cpn_stage_name(cpn_stage stage)
{
    return (unsigned)stage < CPN_STAGE_N ? stages[stage].name : "?";
}

static uint32_t
stage_ms(const cpn_conn *c, cpn_stage stage)
{
    if (stage == CPN_STAGE_TLS)
        return c->front->set.tls_ms;
    if (stage == CPN_STAGE_HTTP)
        return c->front->set.head_ms ? c->front->set.head_ms : CPN_CONN_LINGER_MS;
    return stages[stage].ms;
}

void
cpn_conn_deadline(cpn_conn *c, uint64_t ms)
{
    cpn_deadline_set(c->front->deadlines, &c->deadline, ms);
}

void
cpn_conn_advance(cpn_conn *c, cpn_stage next)
{
    uint32_t ms = stage_ms(c, next);

    if (!cpn_stage_may(c->stage, next) || (next == CPN_STAGE_RELAY && !c->granted))
        abort();
    c->stage = next;
    if (ms > 0)
        cpn_conn_deadline(c, ms);
    else
        cpn_deadline_clear(&c->deadline);
    if (stages[next].enter)
        stages[next].enter(c);
    /* c may be on its way out: nothing after this line. */
}

/* Bytes of answers that the kernel has not taken. */
static size_t
unsent(const cpn_conn *c)
{
    return c->out.n - c->out_at + (c->tls ? cpn_tls_unsent(c->tls) : 0);
}

/* A slow client gets its whole answer, as long as it takes some of it each time. */
static void
linger_expired(cpn_conn *c)
{
    size_t left = unsent(c);

    if (left == 0 || left >= c->unsent || ++c->lingers >= CPN_CONN_LINGERS_MAX) {
        cpn_conn_advance(c, CPN_STAGE_CLOSED);
        return;
    }
    c->unsent = left;
    cpn_conn_deadline(c, CPN_CONN_LINGER_MS);
}

static void
expired(cpn_deadline *d)
{
    cpn_conn *c = cpn_container_of(d, cpn_conn, deadline);

    switch (c->stage) {
    case CPN_STAGE_HTTP:
        if (c->waits)
            cpn_answer_refuse(c, 503, cpn_reason_sentence(CPN_WHY_CONTROL_AWAY));
        else if (c->scanned > 0)
            cpn_answer_refuse(c, 408, "the request did not arrive in time");
        else
            cpn_conn_advance(c, CPN_STAGE_CLOSED);
        return;
    case CPN_STAGE_API:
        cpn_api_expired(c);
        return;
    case CPN_STAGE_CARRIER:
    case CPN_STAGE_UPGRADE:
        cpn_answer_refuse(c, 503, cpn_reason_sentence(CPN_WHY_BUSY));
        return;
    case CPN_STAGE_DENIED:
        cpn_denied_expired(c);
        return;
    case CPN_STAGE_LINGER:
        linger_expired(c);
        return;
    default:
        cpn_conn_advance(c, CPN_STAGE_CLOSED);
    }
}

static void
http_enter(cpn_conn *c)
{
    c->scanned = 0;
    c->waits = false;
    c->errors = CPN_ERRORS_API;
    c->api = (cpn_api){ 0 };
    cpn_conn_pause(c, false);
}

/* Reading goes on, into nothing: closing over unread bytes would reset what is being sent. */
static void
linger_enter(cpn_conn *c)
{
    if (c->asked) {
        cpn_msg m = { .type = CPN_MSG_GONE, .GONE = { .conn = c->number } };

        c->asked = false;
        cpn_link_tell(c->front, &m);
    }
    c->held = c->waits = false;
    c->unsent = unsent(c);
    cpn_conn_pause(c, false);
    cpn_conn_on_room(c);
}

static void
out_drop(cpn_conn *c)
{
    cpn_quota_give(&c->front->answers, c->out.n);
    cpn_buf_fini(&c->out);
    c->out_at = 0;
}

static void
slot_give(cpn_conn *c)
{
    if (!c->slot)
        return;
    DL_DELETE(c->front->waiting, c);
    cpn_slot_give(c->slots, &c->slot);
}

cpn_view
cpn_conn_exporter(const cpn_conn *c, cpn_view proof, uint8_t out[32])
{
    if (proof.n == 0 || !c->tls || !cpn_tls_exporter(c->tls, out))
        return (cpn_view){ NULL, 0 };
    return (cpn_view){ out, 32 };
}

bool
cpn_conn_silent(const cpn_conn *c)
{
    return c->scanned == 0 && !c->waits;
}

/* How little is lost when it goes before control has said yes to it, least first. What control is
 * at work on stays. */
typedef enum worth { SILENT, UNFINISHED, WORTH_N } worth;

static worth
worth_of(const cpn_conn *c)
{
    switch (c->stage) {
    case CPN_STAGE_TLS:
        return SILENT;
    case CPN_STAGE_HTTP:
        return cpn_conn_silent(c) ? SILENT : UNFINISHED;
    case CPN_STAGE_LINGER:
        return UNFINISHED;
    case CPN_STAGE_API:
        return c->api.body_left > 0 || c->api.replied ? UNFINISHED : WORTH_N;
    default:
        return WORTH_N;
    }
}

bool
cpn_conn_make_room(cpn_front *f, const cpn_addr *peer)
{
    const cpn_slot_source *from = cpn_slot_greediest(&f->slots, peer);
    cpn_conn *c, *goes = NULL;

    if (!from)
        return false;
    DL_FOREACH (f->waiting, c) {
        if (c->slot == from && worth_of(c) < (goes ? worth_of(goes) : WORTH_N))
            goes = c;
    }
    if (!goes)
        return false;
    f->count.preauth_refused++;
    cpn_conn_advance(goes, CPN_STAGE_CLOSED);
    return true;
}

static void
conn_free(cpn_later *l)
{
    free(cpn_container_of(l, cpn_conn, freeing));
}

static void
closed_enter(cpn_conn *c)
{
    cpn_front *f = c->front;
    cpn_msg gone = { .type = CPN_MSG_GONE, .GONE = { .conn = c->number } };

    cpn_relays_lost(c);
    cpn_denied_free(cpn_steal(&c->denied));
    cpn_carrier_free(cpn_steal(&c->carrier));
    cpn_tls_free(cpn_steal(&c->tls));
    cpn_plain_free(cpn_steal(&c->plain));
    slot_give(c);
    out_drop(c);
    if (c->asked)
        cpn_link_tell(f, &gone);
    HASH_DEL(f->conns, c);
    f->live -= !c->admin;
    cpn_loop_later(f->loop, &c->freeing, CPN_LATER_FREE);
    cpn_front_conn_gone(f);
}

/* ---- the transport ---- */

static void
tls_ready(void *owner, cpn_tls *t)
{
    (void)t;
    cpn_conn_advance(owner, CPN_STAGE_HTTP);
}

static size_t
tls_bytes(void *owner, cpn_tls *t, uint8_t *p, size_t n)
{
    (void)t;
    return cpn_conn_on_bytes(owner, p, n);
}

static void
tls_room(void *owner, cpn_tls *t)
{
    (void)t;
    cpn_conn_on_room(owner);
}

static void
tls_end(void *owner, cpn_tls *t, cpn_tls_end why, const cpn_err *err)
{
    cpn_conn *c = owner;

    (void)t;
    (void)why;
    if (c->stage == CPN_STAGE_TLS)
        c->front->count.tls_failed++;
    cpn_conn_on_end(c, err ? err->msg : "");
}

static const cpn_tls_events tls_events = { tls_ready, tls_bytes, tls_room, tls_end };

static size_t
bytes_in_stage(cpn_conn *c, uint8_t *p, size_t n)
{
    switch (c->stage) {
    case CPN_STAGE_HTTP:
        return cpn_http_bytes(c, p, n);
    case CPN_STAGE_API:
        return cpn_api_bytes(c, p, n);
    case CPN_STAGE_CARRIER:
    case CPN_STAGE_UPGRADE:
        cpn_answer_refuse(c, 400, "bytes follow the upgrade request before its answer");
        return n;
    default:
        return n;
    }
}

size_t
cpn_conn_on_bytes(cpn_conn *c, uint8_t *p, size_t n)
{
    size_t used = 0, k = 1;

    while (k > 0 && used < n && !c->paused) {
        k = bytes_in_stage(c, p + used, n - used);
        used += k;
    }
    return used;
}

static size_t
write_some(cpn_conn *c, const uint8_t *p, size_t n)
{
    size_t k;

    if (c->plain)
        return cpn_plain_write(c->plain, p, n);
    k = c->tls ? CPN_MIN(cpn_tls_room(c->tls), n) : 0;
    return k > 0 && cpn_tls_write(c->tls, p, k) == CPN_OK ? k : 0;
}

static void
pump(cpn_conn *c)
{
    size_t k = 1;

    while (k > 0 && c->out_at < c->out.n) {
        k = write_some(c, c->out.p + c->out_at, c->out.n - c->out_at);
        c->out_at += k;
    }
    if (c->out.n > 0 && c->out_at == c->out.n)
        out_drop(c);
}

bool
cpn_conn_sent(const cpn_conn *c)
{
    return c->out.n == 0;
}

cpn_rc
cpn_conn_send(cpn_conn *c, cpn_view v)
{
    cpn_rc rc;

    if (cpn_quota_take(&c->front->answers, v.n) != CPN_OK)
        return CPN_LIMIT;
    if ((rc = cpn_buf_append(&c->out, v)) != CPN_OK) {
        cpn_quota_give(&c->front->answers, v.n);
        return CPN_LIMIT;
    }
    pump(c);
    return CPN_OK;
}

void
cpn_conn_on_room(cpn_conn *c)
{
    pump(c);
    if (!cpn_conn_sent(c))
        return;
    if (c->stage == CPN_STAGE_API) {
        cpn_api_sent(c);
        return;
    }
    if (c->stage != CPN_STAGE_LINGER)
        return;
    if (c->plain)
        cpn_plain_shutdown(c->plain);
    else if (c->tls)
        cpn_tls_shutdown(c->tls);
}

void
cpn_conn_on_end(cpn_conn *c, const char *why)
{
    cpn_log(CPN_LOG_DEBUG, "conn.end", CPN_KI("conn", c->number),
            CPN_KV("stage", cpn_stage_name(c->stage)), CPN_KV("why", why));
    if (c->stage != CPN_STAGE_CLOSED)
        cpn_conn_advance(c, CPN_STAGE_CLOSED);
}

void
cpn_conn_pause(cpn_conn *c, bool paused)
{
    if (c->paused == paused)
        return;
    c->paused = paused;
    if (c->plain)
        cpn_plain_pause(c->plain, paused);
    else if (c->tls)
        cpn_tls_pause(c->tls, paused);
}

void
cpn_conn_grant(cpn_conn *c)
{
    c->granted = true;
    slot_give(c);
}

/* ---- the start ---- */

cpn_conn *
cpn_conn_by_number(cpn_front *f, uint32_t number)
{
    cpn_conn *c = NULL;

    HASH_FIND(hh, f->conns, &number, sizeof(number), c);
    return c;
}

static uint32_t
next_number(cpn_front *f)
{
    do
        f->last_conn++;
    while (f->last_conn == 0 || cpn_conn_by_number(f, f->last_conn));
    return f->last_conn;
}

static cpn_rc
transport_new(cpn_conn *c, CPN_TAKES int fd, cpn_err *err)
{
    cpn_front *f = c->front;
    cpn_tls_opts opts = {
        .ctx = f->tls, .handshake_ms = f->set.tls_ms, .events = &tls_events, .owner = c
    };

    if (c->admin)
        return cpn_plain_new(&c->plain, f->loop, fd, c, err);
    return cpn_tls_new(&c->tls, f->loop, fd, &opts, err);
}

void
cpn_conn_start(cpn_front *f, CPN_TAKES int fd, const cpn_addr *peer, uint16_t port,
               CPN_TAKES cpn_slot_source *slot, bool admin)
{
    cpn_conn *c = cpn_xcalloc(1, sizeof(*c));
    cpn_err err = { 0 };

    c->front = f;
    c->stage = admin ? CPN_STAGE_HTTP : CPN_STAGE_TLS;
    c->number = next_number(f);
    c->admin = admin;
    c->peer = *peer;
    c->port = port;
    c->slots = admin ? &f->admin_slots : &f->slots;
    c->slot = slot;
    if (slot)
        DL_APPEND(f->waiting, c);
    f->live += !admin;
    c->out.max = CPN_FRONT_ANSWER_MAX;
    c->deadline.fn = expired;
    c->freeing.fn = conn_free;
    HASH_ADD(hh, f->conns, number, sizeof(c->number), c);
    cpn_conn_deadline(c, stage_ms(c, c->stage));
    if (transport_new(c, fd, &err) < 0) {
        cpn_log(CPN_LOG_WARN, "conn.failed", CPN_KE(&err));
        cpn_conn_advance(c, CPN_STAGE_CLOSED);
    }
}
