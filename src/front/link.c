/* Messages of control find their connection; words that must arrive wait for the next control. */
#include "front/link.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "front/answer.h"
#include "front/api.h"
#include "front/relay.h"
#include "front/tunnel.h"
#include "front/webtunnel.h"

/* A front that leaves may take so long to tell how its streams ended. */
#define LAST_WORDS_MS 1000

/* ---- towards control ---- */

bool
cpn_link_up(const cpn_front *f)
{
    return f->link.channel && f->link.setup;
}

bool
cpn_link_busy(const cpn_front *f)
{
    return f->link.channel && cpn_channel_parked(f->link.channel) > CPN_IPC_PARKED_HIGH;
}

cpn_rc
cpn_link_ask(cpn_front *f, const cpn_msg *msg)
{
    if (!cpn_link_up(f) || cpn_channel_send(f->link.channel, msg, -1) != CPN_OK)
        return CPN_UNAVAILABLE;
    return CPN_OK;
}

static void
keep(cpn_front *f, const cpn_msg *msg)
{
    cpn_link *l = &f->link;

    if (l->waiting >= CPN_LINK_OUTBOX_MAX) {
        cpn_log(CPN_LOG_ERROR, "link.full", CPN_KI("waiting", l->waiting));
        exit(1); /* control would never learn of an end: it learns of ours */
    }
    if (l->waiting == l->outbox_size) {
        l->outbox_size = CPN_MAX(l->outbox_size * 2, 64u);
        l->outbox = cpn_xrealloc(l->outbox, l->outbox_size, sizeof(*l->outbox));
    }
    l->outbox[l->waiting++] = *msg;
}

void
cpn_link_tell(cpn_front *f, const cpn_msg *msg)
{
    /* A control that has gone has forgotten its connections; one that is slow has not. */
    bool lasting = msg->type == CPN_MSG_ENDED || msg->type == CPN_MSG_SPOKE ||
                   (msg->type == CPN_MSG_GONE && f->link.channel);
    cpn_rc rc = CPN_UNAVAILABLE;

    if (f->link.channel && f->link.waiting == 0)
        rc = cpn_channel_send(f->link.channel, msg, -1);
    if (rc != CPN_OK && lasting)
        keep(f, msg);
}

static void
tell_what_waited(cpn_front *f)
{
    cpn_link *l = &f->link;
    size_t told = 0;

    while (l->channel && told < l->waiting &&
           cpn_channel_send(l->channel, &l->outbox[told], -1) == CPN_OK)
        told++;
    l->waiting -= told;
    if (l->waiting > 0 && told > 0)
        memmove(l->outbox, l->outbox + told, l->waiting * sizeof(*l->outbox));
    if (l->waiting > 0)
        return;
    free(cpn_steal(&l->outbox));
    l->outbox_size = 0;
}

static void
drained(void *owner)
{
    cpn_front *f = owner;
    cpn_conn *c, *next;

    tell_what_waited(f);
    HASH_ITER (hh, f->conns, c, next) {
        if (!c->held)
            continue;
        c->held = false;
        cpn_conn_pause(c, false);
    }
}

/* ---- from control ---- */

/* The stream has gone while control was thinking, but control counts it as open. */
static void
nobody_there(cpn_front *f, const cpn_msg_OPENED *m)
{
    cpn_msg ended = { .type = CPN_MSG_ENDED, .ENDED = { .id = m->id, .why = CPN_WHY_CLIENT_GONE } };

    cpn_link_tell(f, &ended);
}

static void
answered(cpn_conn *c)
{
    if (c->opens > 0)
        c->opens--;
}

static void
on_opened(cpn_front *f, const cpn_msg_OPENED *m, CPN_TAKES int fd)
{
    CPN_AUTO(cpn_auto_fd) int owned = fd;
    cpn_conn *c = cpn_conn_by_number(f, m->conn);
    cpn_relay *r = NULL;

    if (c && c->stage == CPN_STAGE_UPGRADE && m->stream == CPN_WEBTUNNEL_STREAM) {
        cpn_webtunnel_opened(c, m, cpn_steal_fd(&owned));
        return;
    }
    if (c && c->stage == CPN_STAGE_RELAY) {
        r = cpn_relay_by_number(c, m->stream);
        answered(c);
    }
    if (!r || r->opened || !r->stream)
        nobody_there(f, m);
    else
        cpn_tunnel_opened(r, m, cpn_steal_fd(&owned));
}

static void
on_refused(cpn_front *f, const cpn_msg_REFUSED *m)
{
    cpn_conn *c = cpn_conn_by_number(f, m->conn);
    cpn_relay *r;

    if (!c)
        return;
    if (c->stage == CPN_STAGE_UPGRADE) {
        cpn_webtunnel_refused(c, m);
    } else if (c->stage == CPN_STAGE_CARRIER) {
        c->asked = false;
        cpn_answer_json(c, m->status >= 400 ? m->status : 403, m->answer);
    } else if (c->stage == CPN_STAGE_RELAY) {
        answered(c);
        r = cpn_relay_by_number(c, m->stream);
        if (r && !r->opened && r->stream)
            cpn_tunnel_refused(r, m);
    }
}

static void
message(void *owner, const cpn_msg *m, int fd)
{
    CPN_AUTO(cpn_auto_fd) int owned = fd;
    cpn_front *f = owner;
    cpn_conn *c;

    switch (m->type) {
    case CPN_MSG_SETUP:
        cpn_front_on_setup(f, &m->SETUP);
        return;
    case CPN_MSG_REPLY:
        if ((c = cpn_conn_by_number(f, m->REPLY.conn)))
            cpn_api_reply(c, &m->REPLY);
        return;
    case CPN_MSG_REPLY_BODY:
        if ((c = cpn_conn_by_number(f, m->REPLY_BODY.conn)))
            cpn_api_reply_body(c, &m->REPLY_BODY);
        return;
    case CPN_MSG_CARRIER_OK:
        if ((c = cpn_conn_by_number(f, m->CARRIER_OK.conn)))
            cpn_tunnel_granted(c, m->CARRIER_OK.bound == 1);
        return;
    case CPN_MSG_OPENED:
        on_opened(f, &m->OPENED, cpn_steal_fd(&owned));
        return;
    case CPN_MSG_REFUSED:
        on_refused(f, &m->REFUSED);
        return;
    case CPN_MSG_CUT:
        cpn_relays_cut(f, &m->CUT);
        return;
    case CPN_MSG_ALLOW:
        cpn_relays_allow(f, &m->ALLOW);
        return;
    case CPN_MSG_DRAIN:
        cpn_front_on_drain(f, m->DRAIN.ms);
        return;
    default:
        return;
    }
}

/* ---- control comes and goes ---- */

static void
conn_lost(cpn_conn *c)
{
    c->asked = false;
    c->held = false;
    switch (c->stage) {
    case CPN_STAGE_API:
        cpn_api_lost(c);
        return;
    case CPN_STAGE_CARRIER:
    case CPN_STAGE_UPGRADE:
        cpn_answer_refuse(c, 503, cpn_reason_sentence(CPN_WHY_CONTROL_AWAY));
        return;
    case CPN_STAGE_RELAY:
        cpn_tunnel_lost(c);
        return;
    default:
        return;
    }
}

static void
lose(cpn_front *f)
{
    cpn_channel *channel = cpn_steal(&f->link.channel);
    cpn_conn *c, *next;

    if (!channel)
        return;
    f->link.setup = false;
    cpn_channel_free(channel);
    HASH_ITER (hh, f->conns, c, next)
        conn_lost(c);
}

static void
broken(void *owner, const cpn_err *err)
{
    cpn_log(err ? CPN_LOG_ERROR : CPN_LOG_WARN, "control.away",
            CPN_KV("error", err ? err->msg : "it closed"));
    /* Control is there, but a message of it is lost, and nobody would give us another channel. Of
     * our end keeper and control learn, and start anew. */
    if (err)
        exit(1);
    lose(owner);
}

static const cpn_channel_handler handler = { message, broken };

void
cpn_link_adopt(cpn_front *f, CPN_TAKES int fd)
{
    cpn_err err = { 0 };

    lose(f);
    if (cpn_channel_new(&f->link.channel, f->uv, fd, CPN_ROLE_FRONT, CPN_ROLE_CONTROL, &handler, f,
                        &err) < 0) {
        cpn_log(CPN_LOG_ERROR, "control.channel", CPN_KE(&err));
        exit(1); /* nobody would give us another one */
    }
    f->link.epoch++;
    cpn_channel_on_drain(f->link.channel, drained);
    tell_what_waited(f);
}

/* Requests that waited for a control (conn.h). */
static void
go_on(cpn_front *f)
{
    cpn_conn *c, *next;

    HASH_ITER (hh, f->conns, c, next) {
        if (!c->waits)
            continue;
        c->waits = false;
        cpn_conn_pause(c, false);
    }
}

void
cpn_link_serve(cpn_front *f)
{
    cpn_msg ready = { .type = CPN_MSG_READY };

    if (f->link.setup || !f->link.channel)
        return;
    f->link.setup = true;
    memset(&f->told, 0xff, sizeof(f->told));              /* this control has heard no counters */
    (void)!cpn_channel_send(f->link.channel, &ready, -1); /* it has gone: its successor asks */
    go_on(f);
}

void
cpn_link_say_last(cpn_front *f)
{
    uint64_t until = cpn_mono_ms() + LAST_WORDS_MS;

    tell_what_waited(f);
    while (f->link.channel && cpn_channel_parked(f->link.channel) > 0 && cpn_mono_ms() < until)
        uv_run(f->uv, UV_RUN_ONCE);
}

void
cpn_link_fini(cpn_front *f)
{
    cpn_channel_free(cpn_steal(&f->link.channel));
    free(cpn_steal(&f->link.outbox));
    f->link.waiting = f->link.outbox_size = 0;
}
