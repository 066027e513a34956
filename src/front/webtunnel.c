/* Upgrades of the Azure door. */
#include "front/webtunnel.h"

#include <unistd.h>

#include "base/log.h"
#include "front/answer.h"
#include "front/denied.h"
#include "front/relay.h"

static const cpn_reason why_of[] = {
    [CPN_RAW_NONE] = CPN_WHY_INTERNAL,
    [CPN_RAW_CLOSED_CLIENT] = CPN_WHY_CLOSED,
    [CPN_RAW_CLOSED_TARGET] = CPN_WHY_CLOSED,
    [CPN_RAW_RESET_CLIENT] = CPN_WHY_RESET_CLIENT,
    [CPN_RAW_RESET_TARGET] = CPN_WHY_RESET_TARGET,
    [CPN_RAW_DEAD] = CPN_WHY_CLIENT_GONE,
    [CPN_RAW_PROTOCOL] = CPN_WHY_PROTOCOL_ERROR,
    [CPN_RAW_ENDED] = CPN_WHY_CLOSED,
};

void
cpn_webtunnel_ask(cpn_conn *c, const cpn_http_head *head, const cpn_route *r)
{
    cpn_msg m = { .type = CPN_MSG_UPGRADE,
                  .UPGRADE = { .conn = c->number,
                               .peer = c->peer,
                               .peer_port = c->port,
                               .ticket = r->ticket,
                               .node = r->node } };

    m.UPGRADE.own_client = cpn_view_is(cpn_http_header(head, "caponier-client"), "1");
    m.UPGRADE.user_agent = cpn_http_header(head, "user-agent");
    m.UPGRADE.user_agent.n = CPN_MIN(m.UPGRADE.user_agent.n, 512);
    if (!cpn_view_copy(r->key, c->ws_key, sizeof(c->ws_key))) {
        cpn_answer_refuse(c, 400, "the WebSocket upgrade request is not well formed");
    } else if (c->front->draining) {
        cpn_answer_refuse(c, 503, cpn_reason_sentence(CPN_WHY_SHUTDOWN));
    } else if (cpn_front_full(c->front)) {
        c->front->count.streams_refused++;
        cpn_answer_refuse(c, 503, cpn_reason_sentence(CPN_WHY_BUSY));
    } else if (cpn_link_ask(c->front, &m) != CPN_OK) {
        cpn_answer_refuse(c, 503, cpn_reason_sentence(CPN_WHY_CONTROL_AWAY));
    } else {
        c->asked = true;
        cpn_conn_advance(c, CPN_STAGE_UPGRADE);
        /* The answer comes after the dial. */
        cpn_conn_deadline(c, (uint64_t)c->front->set.dial_ms + CPN_CONN_ASK_MS);
    }
}

cpn_rc
cpn_webtunnel_switch(cpn_conn *c)
{
    cpn_buf b = { .max = 1024 };
    cpn_rc rc = cpn_ws_response_put(&b, cpn_view_str(c->ws_key), NULL, (cpn_view){ NULL, 0 });

    if (rc == CPN_OK)
        rc = cpn_tls_write(c->tls, b.p, b.n);
    cpn_buf_fini(&b);
    return rc == CPN_OK ? CPN_OK : CPN_E_SYS;
}

static void
on_end(void *owner, cpn_rawrelay *raw, const cpn_raw_end *end)
{
    cpn_relay *r = owner;
    cpn_conn *c = r->conn;

    cpn_rawrelay_free(raw);
    r->raw = NULL;
    cpn_relay_ended(r, (unsigned)end->why < CPN_COUNT(why_of) ? why_of[end->why] : CPN_WHY_INTERNAL,
                    end->up, end->down);
    cpn_conn_advance(c, CPN_STAGE_CLOSED);
}

static void
on_spent(void *owner)
{
    cpn_relay_spent(owner);
}

void
cpn_webtunnel_opened(cpn_conn *c, const cpn_msg_OPENED *m, CPN_TAKES int fd)
{
    CPN_AUTO(cpn_auto_fd) int owned = fd;
    cpn_relay *r = cpn_relay_new(c, CPN_WEBTUNNEL_STREAM);
    cpn_raw_opts opts = {
        .role = CPN_WS_SERVER, .on_end = on_end, .on_spent = on_spent, .owner = r
    };
    cpn_err err = { 0 };
    cpn_rc rc;

    cpn_relay_opened(r, m);
    opts.slot = r->slot;
    if (m->first_bytes)
        opts.judge = cpn_relay_judge(r);
    c->asked = false;
    cpn_conn_grant(c);
    cpn_conn_advance(c, CPN_STAGE_RELAY);
    rc = cpn_webtunnel_switch(c);
    if (rc == CPN_OK)
        rc = cpn_rawrelay_new(&r->raw, c->front->loop, cpn_steal(&c->tls), &opts, &err);
    if (rc == CPN_OK) {
        cpn_rawrelay_allow(r->raw, &r->allowed);
        cpn_rawrelay_attach(r->raw, cpn_steal_fd(&owned));
        return;
    }
    cpn_log(CPN_LOG_WARN, "relay.failed", CPN_KI("conn", c->number), CPN_KE(&err));
    cpn_conn_advance(c, CPN_STAGE_CLOSED);
}

void
cpn_webtunnel_refused(cpn_conn *c, const cpn_msg_REFUSED *m)
{
    c->asked = false;
    if (m->denied_session && cpn_denied_start(c, m->sentence))
        return;
    cpn_answer_json(c, m->status >= 400 ? m->status : 403, m->answer);
}
