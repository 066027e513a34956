/* Carriers of caponier.v1 at the gateway's end. */
#include "front/tunnel.h"

#include <unistd.h>
#include <utlist.h>

#include "base/log.h"
#include "front/answer.h"
#include "front/relay.h"

#define BOUND_LINE CPN_TUNNEL_BINDING_FIELD ": exporter\r\n"
#define UNBOUND_LINE CPN_TUNNEL_BINDING_FIELD ": none\r\n"

static void
refuse_for(cpn_stream *s, cpn_reason why)
{
    char json[CPN_REASON_JSON];

    cpn_stream_refuse(s, cpn_reason_json(why, json));
}

/* An OPEN that was reset is still control's to answer. */
static bool
too_many(cpn_conn *c)
{
    return cpn_front_full(c->front) || c->opens == CPN_SESSION_STREAMS_MAX ||
           cpn_link_busy(c->front);
}

static void
on_open(void *owner, cpn_stream *s, cpn_view target, cpn_view first)
{
    cpn_conn *c = owner;
    cpn_front *f = c->front;
    cpn_relay *r;
    cpn_msg m = { .type = CPN_MSG_OPEN, .OPEN = { .conn = c->number, .target = target } };
    cpn_reason why = CPN_WHY_NONE;

    (void)first;
    if (f->draining)
        why = CPN_WHY_SHUTDOWN;
    else if (!cpn_link_up(f) || c->epoch != f->link.epoch)
        why = CPN_WHY_CONTROL_AWAY;
    else if (too_many(c))
        why = CPN_WHY_BUSY;
    m.OPEN.stream = ++f->last_stream ? f->last_stream : ++f->last_stream;
    if (why == CPN_WHY_NONE && cpn_link_ask(f, &m) != CPN_OK)
        why = CPN_WHY_CONTROL_AWAY;
    if (why != CPN_WHY_NONE) {
        f->count.streams_refused++;
        refuse_for(s, why);
        return;
    }
    c->opens++;
    r = cpn_relay_new(c, m.OPEN.stream);
    r->stream = s;
    cpn_stream_set_user(s, r);
}

static const cpn_reason why_of[] = {
    [CPN_STREAM_NONE] = CPN_WHY_INTERNAL,
    [CPN_STREAM_CLOSED] = CPN_WHY_CLOSED,
    [CPN_STREAM_REFUSED] = CPN_WHY_INTERNAL,
    [CPN_STREAM_RESET_PEER] = CPN_WHY_RESET_CLIENT,
    [CPN_STREAM_RESET_LOCAL] = CPN_WHY_INTERNAL,
    [CPN_STREAM_SOCKET_FAILED] = CPN_WHY_RESET_TARGET,
    [CPN_STREAM_CARRIER_LOST] = CPN_WHY_CLIENT_GONE,
    [CPN_STREAM_PROTOCOL] = CPN_WHY_PROTOCOL_ERROR,
};

static void
on_stream_end(void *owner, cpn_stream *s, const cpn_stream_end *end)
{
    cpn_relay *r = cpn_stream_user(s);

    (void)owner;
    if (!r)
        return;
    cpn_stream_set_user(s, NULL);
    r->stream = NULL;
    cpn_relay_ended(r, (unsigned)end->why < CPN_COUNT(why_of) ? why_of[end->why] : CPN_WHY_INTERNAL,
                    end->up, end->down);
}

static void
on_spent(void *owner, cpn_stream *s)
{
    (void)owner;
    if (cpn_stream_user(s))
        cpn_relay_spent(cpn_stream_user(s));
}

static void
on_end(void *owner, cpn_carrier_why why, unsigned code, const char *text)
{
    cpn_conn *c = owner;

    cpn_log(CPN_LOG_DEBUG, "carrier.end", CPN_KI("conn", c->number), CPN_KI("why", why),
            CPN_KI("code", code), CPN_KV("text", text));
    cpn_conn_advance(c, CPN_STAGE_CLOSED);
}

static const cpn_carrier_events events = {
    .on_open = on_open, .on_stream_end = on_stream_end, .on_spent = on_spent, .on_end = on_end
};

void
cpn_tunnel_ask(cpn_conn *c, const cpn_http_head *head, const cpn_route *r)
{
    cpn_msg m = { .type = CPN_MSG_CARRIER,
                  .CARRIER = { .conn = c->number,
                               .peer = c->peer,
                               .peer_port = c->port,
                               .bearer = r->bearer,
                               .proof = r->proof } };
    uint8_t exporter[32];

    m.CARRIER.exporter = cpn_conn_exporter(c, r->proof, exporter);
    m.CARRIER.user_agent = cpn_http_header(head, "user-agent");
    m.CARRIER.user_agent.n = CPN_MIN(m.CARRIER.user_agent.n, 512);
    if (!cpn_view_copy(r->key, c->ws_key, sizeof(c->ws_key))) {
        cpn_answer_refuse(c, 400, "the WebSocket upgrade request is not well formed");
        return;
    }
    if (c->front->draining || cpn_link_ask(c->front, &m) != CPN_OK) {
        cpn_answer_refuse(c, 503, cpn_reason_sentence(CPN_WHY_CONTROL_AWAY));
        return;
    }
    c->asked = true;
    cpn_conn_advance(c, CPN_STAGE_CARRIER);
}

void
cpn_tunnel_granted(cpn_conn *c, bool bound)
{
    cpn_buf b = { .max = 1024 };
    cpn_carrier_opts opts = { .role = CPN_WS_SERVER, .events = &events, .owner = c };
    cpn_err err = { 0 };
    cpn_rc rc;

    if (c->stage != CPN_STAGE_CARRIER)
        return;
    cpn_conn_grant(c);
    c->epoch = c->front->link.epoch;
    cpn_conn_advance(c, CPN_STAGE_RELAY);
    rc = cpn_ws_response_put(&b, cpn_view_str(c->ws_key), CPN_TUNNEL_SUBPROTOCOL,
                             bound ? CPN_VIEW_LIT(BOUND_LINE) : CPN_VIEW_LIT(UNBOUND_LINE));
    if (rc == CPN_OK)
        rc = cpn_tls_write(c->tls, b.p, b.n);
    cpn_buf_fini(&b);
    if (rc == CPN_OK)
        rc = cpn_carrier_new(&c->carrier, c->front->loop, cpn_steal(&c->tls), &opts, &err);
    if (rc == CPN_OK)
        return;
    cpn_log(CPN_LOG_WARN, "carrier.failed", CPN_KI("conn", c->number), CPN_KE(&err));
    cpn_conn_advance(c, CPN_STAGE_CLOSED);
}

void
cpn_tunnel_opened(cpn_relay *r, const cpn_msg_OPENED *m, CPN_TAKES int fd)
{
    cpn_relay_opened(r, m);
    cpn_stream_tally(r->stream, r->slot);
    cpn_stream_allow(r->stream, &r->allowed);
    if (m->first_bytes) {
        cpn_judge judge = cpn_relay_judge(r);

        cpn_stream_hold(r->stream, &judge);
    }
    cpn_stream_attach(r->stream, fd, m->answer);
}

void
cpn_tunnel_refused(cpn_relay *r, const cpn_msg_REFUSED *m)
{
    cpn_stream *s = r->stream;

    r->conn->front->count.streams_refused++;
    if (m->answer.n > 0)
        cpn_stream_refuse(s, m->answer);
    else
        refuse_for(s, (cpn_reason)m->why);
}

void
cpn_tunnel_lost(cpn_conn *c)
{
    cpn_relay *r, *next;

    DL_FOREACH_SAFE (c->relays, r, next)
        if (!r->opened && r->stream)
            refuse_for(r->stream, CPN_WHY_CONTROL_AWAY);
    c->opens = 0;
    cpn_tunnel_drain(c);
}

void
cpn_tunnel_drain(cpn_conn *c)
{
    if (c->carrier)
        cpn_carrier_drain(c->carrier);
}
