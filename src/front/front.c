/* The front's process: what it starts with, its settings, its heartbeat, its end. */
#include "front/front.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "front/conn.h"
#include "front/relay.h"
#include "front/tunnel.h"
#include "net/sandbox_front.h"

#define BEAT_MS 1000
/* Until SETUP says otherwise. */
#define MEMORY_DEFAULT (256u << 20)
#define FULL_SAID_MS 5000

/* ---- settings ---- */

void
cpn_front_on_setup(cpn_front *f, const cpn_msg_SETUP *m)
{
    cpn_tls_ctx *tls = NULL;
    cpn_err err = { 0 };
    unsigned options = 0;

    if (m->tls12)
        options |= CPN_TLS_12;
    if (m->openssl_aes)
        options |= CPN_TLS_OPENSSL_AES;
    if (cpn_tls_ctx_server(&tls, m->cert_pem, m->key_pem, options, &err) != CPN_OK) {
        cpn_log(CPN_LOG_ERROR, "setup.tls", CPN_KE(&err));
        return;
    }
    cpn_tls_ctx_free(f->tls);
    f->tls = tls;
    f->set = (cpn_front_set){ .az_clients = m->az_clients != 0,
                              .tls_ms = m->tls_ms,
                              .head_ms = m->head_ms,
                              .body_ms = m->body_ms,
                              .first_bytes_ms = m->first_bytes_ms,
                              .dial_ms = m->dial_ms,
                              .body_max = m->body_max };
    if (!cpn_view_copy(m->host, f->set.host, sizeof(f->set.host)))
        f->set.host[0] = '\0';
    f->slots.max = m->preauth_max;
    f->slots.source_max = m->preauth_source_max;
    f->memory.max = (size_t)m->relay_memory;
    f->denied.max = m->denied_max;
    cpn_loop_stall(f->loop, m->stall_ms);
    cpn_log_set_level(m->log_level);
    if (f->accept && !f->draining)
        cpn_accept_run(f->accept, true);
    cpn_link_serve(f);
    cpn_log(CPN_LOG_INFO, "front.serving", CPN_KV("host", f->set.host));
}

/* ---- relay_memory ---- */

bool
cpn_front_full(cpn_front *f)
{
    uint64_t now = cpn_mono_ms();

    if (!cpn_pool_full(cpn_loop_pool(f->loop)))
        return false;
    if (!f->full_said_ms || now - f->full_said_ms >= FULL_SAID_MS) {
        f->full_said_ms = now;
        cpn_log(CPN_LOG_WARN, "relay_memory.full", CPN_KI("bytes", f->memory.used),
                CPN_KI("refused", f->count.streams_refused + 1));
    }
    return true;
}

/* ---- the heartbeat ---- */

static void
tell_counters(cpn_front *f)
{
    const cpn_front_counters *n = &f->count;
    cpn_msg m = { .type = CPN_MSG_COUNTERS,
                  .COUNTERS = { .accepted = n->accepted,
                                .preauth_refused = n->preauth_refused,
                                .tls_failed = n->tls_failed,
                                .http_refused = n->http_refused,
                                .relay_memory_used = f->memory.used,
                                .connections = HASH_COUNT(f->conns),
                                .log_refused = cpn_log_refused() } };

    if (memcmp(&f->told, &m.COUNTERS, sizeof(f->told)) != 0 && cpn_link_ask(f, &m) == CPN_OK)
        f->told = m.COUNTERS;
}

static void
beat(uv_timer_t *timer)
{
    cpn_front *f = timer->data;

    if (f->tally)
        cpn_tally_set(&f->tally->heartbeat_ms, cpn_mono_ms());
    tell_counters(f);
}

/* ---- the end ---- */

static void
say_goodbye(cpn_conn *c)
{
    cpn_relay *r, *next;
    char json[CPN_REASON_JSON];

    for (r = c->relays; r; r = next) {
        next = r->next;
        if (r->raw)
            cpn_relay_stop_for(r, CPN_WHY_SHUTDOWN);
        else if (r->why == CPN_WHY_NONE)
            r->why = CPN_WHY_SHUTDOWN;
    }
    if (c->carrier)
        cpn_carrier_close(c->carrier, CPN_WS_CLOSE_AWAY, cpn_reason_sentence(CPN_WHY_SHUTDOWN),
                          cpn_reason_json(CPN_WHY_SHUTDOWN, json));
}

static void
drain_over(cpn_deadline *d)
{
    cpn_front *f = cpn_container_of(d, cpn_front, drained);
    cpn_conn *c, *next;

    if (f->leaving) {
        uv_stop(f->uv);
        return;
    }
    f->leaving = true;
    cpn_deadline_set(f->deadlines, &f->drained, CPN_FRONT_LEAVE_MS);
    HASH_ITER (hh, f->conns, c, next)
        say_goodbye(c);
}

void
cpn_front_conn_gone(cpn_front *f)
{
    if (f->draining && f->live == 0)
        uv_stop(f->uv);
}

void
cpn_front_on_drain(cpn_front *f, uint32_t ms)
{
    cpn_conn *c, *next;

    if (f->draining)
        return;
    f->draining = true;
    cpn_log(CPN_LOG_INFO, "front.drain", CPN_KI("ms", ms), CPN_KI("connections", f->live));
    if (f->accept)
        cpn_accept_run(f->accept, false);
    f->drained.fn = drain_over;
    cpn_deadline_set(f->deadlines, &f->drained,
                     ms > 2 * CPN_FRONT_LEAVE_MS ? ms - CPN_FRONT_LEAVE_MS : ms / 2);
    HASH_ITER (hh, f->conns, c, next) {
        if (c->stage == CPN_STAGE_HTTP && cpn_conn_silent(c) && !c->admin)
            cpn_conn_advance(c, CPN_STAGE_CLOSED);
        else if (c->stage == CPN_STAGE_RELAY)
            cpn_tunnel_drain(c);
    }
    cpn_front_conn_gone(f);
}

/* ---- the parts ---- */

cpn_rc
cpn_front_init(cpn_front *f, uv_loop_t *uv, cpn_tally *tally, cpn_err *err)
{
    cpn_rc rc;

    f->uv = uv;
    f->tally = tally;
    f->memory.max = MEMORY_DEFAULT;
    f->answers.max = CPN_FRONT_ANSWERS_MAX;
    f->admin_slots = (cpn_slots){ .max = CPN_FRONT_ADMIN_MAX, .source_max = CPN_FRONT_ADMIN_MAX };
    if ((rc = cpn_loop_new(&f->loop, uv, &f->memory, err)) < 0)
        return rc;
    f->deadlines = cpn_deadlines_new(f->loop);
    uv_timer_init(uv, &f->beat);
    f->beat.data = f;
    uv_timer_start(&f->beat, beat, 0, BEAT_MS);
    return CPN_OK;
}

void
cpn_front_fini(cpn_front *f)
{
    cpn_conn *c, *next;

    HASH_ITER (hh, f->conns, c, next)
        cpn_conn_advance(c, CPN_STAGE_CLOSED);
    cpn_accept_free(cpn_steal(&f->accept));
    cpn_link_say_last(f);
    cpn_link_fini(f);
    cpn_deadline_clear(&f->drained);
    cpn_deadlines_free(cpn_steal(&f->deadlines));
    uv_close((uv_handle_t *)&f->beat, NULL);
    cpn_tls_ctx_free(cpn_steal(&f->tls));
    for (int i = 0; i < 4; i++)
        uv_run(f->uv, UV_RUN_NOWAIT);
    cpn_loop_free(cpn_steal(&f->loop));
    uv_run(f->uv, UV_RUN_NOWAIT);
}

/* ---- the process ---- */

static void
news_message(void *owner, const cpn_msg *m, int fd)
{
    CPN_AUTO(cpn_auto_fd) int owned = fd;

    if (m->type == CPN_MSG_NEW_CHANNEL)
        cpn_link_adopt(owner, cpn_steal_fd(&owned));
}

/* Keeper has gone, and with it every target socket's other owner. */
static void
news_broken(void *owner, const cpn_err *err)
{
    cpn_front *f = owner;

    cpn_log(CPN_LOG_WARN, "keeper.gone", CPN_KV("error", err ? err->msg : "it closed"));
    cpn_link_fini(f); /* what ends now is no client's doing: the next control writes why */
    uv_stop(f->uv);
}

static const cpn_channel_handler news_handler = { news_message, news_broken };

static cpn_rc
start(cpn_front *f, uv_loop_t *uv, const cpn_role_args *args, cpn_channel **news, cpn_err *err)
{
    cpn_tally *tally = NULL;
    cpn_rc rc;

    f->number = args->number;
    if ((rc = cpn_tally_map(&tally, args->tally, err)) < 0)
        return cpn_ctx(err, rc, "the shared page");
    close(args->tally);
    if ((rc = cpn_front_init(f, uv, tally, err)) < 0)
        return rc;
    if ((rc = cpn_accept_new(&f->accept, f, args->listen, args->listens, args->admin, args->admins,
                             err)) < 0)
        return rc;
    if ((rc = cpn_channel_new(news, uv, args->news, CPN_ROLE_FRONT, CPN_ROLE_KEEPER, &news_handler,
                              f, err)) < 0)
        return cpn_ctx(err, rc, "keeper's news");
    if ((rc = cpn_sandbox_front(err)) < 0)
        return cpn_ctx(err, rc, "the sandbox");
    cpn_link_adopt(f, args->channel);
    return CPN_OK;
}

int
cpn_front_main(const cpn_role_args *args)
{
    static cpn_front f;
    static uv_loop_t uv;
    cpn_channel *news = NULL;
    cpn_err err = { 0 };

    /* These are keeper's to act on. */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    if (uv_loop_init(&uv) != 0)
        return 1;
    if (start(&f, &uv, args, &news, &err) < 0) {
        cpn_log(CPN_LOG_ERROR, "front.failed", CPN_KE(&err));
        return 1;
    }
    uv_run(&uv, UV_RUN_DEFAULT);
    f.draining = true;
    cpn_channel_free(news);
    cpn_front_fini(&f);
    uv_loop_close(&uv);
    return 0;
}
