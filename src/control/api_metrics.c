/* GET /metrics, /healthz, /readyz on admin_listen: Prometheus text format 0.0.4, and two words. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/log.h"
#include "control/reply.h"
#include "control/sessions.h"

#define METRICS_MAX (256u << 10)

static void
head(cpn_buf *out, const char *name, const char *type, const char *help)
{
    (void)!cpn_buf_printf(out, "# HELP caponier_%s %s\n# TYPE caponier_%s %s\n", name, help, name,
                          type);
}

static void
one(cpn_buf *out, const char *name, const char *type, const char *help, uint64_t value)
{
    head(out, name, type, help);
    (void)!cpn_buf_printf(out, "caponier_%s %" PRIu64 "\n", name, value);
}

static void
sessions_put(const cpn_control *c, cpn_buf *out)
{
    uint64_t live[3] = { 0 }, up = c->count.up, down = c->count.down;
    cpn_session *s, *next;

    HASH_ITER (hh, c->sessions->by_id, s, next) {
        uint64_t u, d;

        if (s->ended || s->row == CPN_ROW_NONE)
            continue;
        live[s->door]++;
        cpn_session_bytes(c, s, &u, &d);
        up += u;
        down += d;
    }
    head(out, "sessions", "gauge", "Sessions that live now.");
    (void)!cpn_buf_printf(out, "caponier_sessions{door=\"own\"} %" PRIu64 "\n", live[CPN_DOOR_OWN]);
    (void)!cpn_buf_printf(out, "caponier_sessions{door=\"azure\"} %" PRIu64 "\n",
                          live[CPN_DOOR_AZURE]);
    one(out, "streams", "gauge", "TCP connections to machines, opening ones included.",
        HASH_COUNT(c->sessions->streams));
    head(out, "bytes_total", "counter", "Bytes relayed, by direction.");
    (void)!cpn_buf_printf(out, "caponier_bytes_total{direction=\"up\"} %" PRIu64 "\n", up);
    (void)!cpn_buf_printf(out, "caponier_bytes_total{direction=\"down\"} %" PRIu64 "\n", down);
}

static void
refusals_put(const cpn_counters *n, cpn_buf *out)
{
    head(out, "refusals_total", "counter", "Refused connect requests, by reason.");
    for (int why = CPN_WHY_NONE + 1; why < CPN_WHY_N; why++) {
        if (n->refused[why])
            (void)!cpn_buf_printf(out, "caponier_refusals_total{reason=\"%s\"} %" PRIu64 "\n",
                                  cpn_reason_word((cpn_reason)why), n->refused[why]);
    }
    head(out, "http_requests_total", "counter", "Answered API requests, by class of status.");
    for (unsigned i = 2; i < CPN_COUNT(n->answers); i++)
        (void)!cpn_buf_printf(out, "caponier_http_requests_total{class=\"%uxx\"} %" PRIu64 "\n", i,
                              n->answers[i]);
}

static void
fronts_put(const cpn_control *c, cpn_buf *out)
{
    cpn_front *f, *next;

    one(out, "fronts", "gauge", "Front processes that control knows.", HASH_COUNT(c->fronts));
    head(out, "front_connections", "gauge", "Connections of a front.");
    HASH_ITER (hh, c->fronts, f, next)
        (void)!cpn_buf_printf(out, "caponier_front_connections{front=\"%u\"} %u\n", f->id,
                              f->counters.connections);
    head(out, "front_relay_memory_bytes", "gauge", "Relay buffers of a front.");
    HASH_ITER (hh, c->fronts, f, next)
        (void)!cpn_buf_printf(out, "caponier_front_relay_memory_bytes{front=\"%u\"} %" PRIu64 "\n",
                              f->id, f->counters.relay_memory_used);
    head(out, "front_accepted", "gauge", "Connections a front accepted since its start.");
    HASH_ITER (hh, c->fronts, f, next)
        (void)!cpn_buf_printf(out, "caponier_front_accepted{front=\"%u\"} %" PRIu64 "\n", f->id,
                              f->counters.accepted);
    head(out, "front_refused_before_sign_in", "gauge",
         "Connections a front closed at a limit, in TLS or in HTTP, since its start.");
    HASH_ITER (hh, c->fronts, f, next)
        (void)!cpn_buf_printf(
            out, "caponier_front_refused_before_sign_in{front=\"%u\"} %" PRIu64 "\n", f->id,
            f->counters.preauth_refused + f->counters.tls_failed + f->counters.http_refused);
}

static void
rest_put(const cpn_control *c, cpn_buf *out)
{
    const cpn_counters *n = &c->count;
    cpn_store_counts store = { 0 };

    cpn_store_counted(c->store, &store);
    one(out, "opens_total", "counter", "Connect requests.", n->opens);
    one(out, "dials_total", "counter", "Dials asked of keeper.", n->dials);
    one(out, "dials_failed_total", "counter", "Dials that did not connect.", n->dials_failed);
    one(out, "sessions_started_total", "counter", "Sessions with a durable row.",
        n->sessions_started);
    one(out, "sessions_ended_total", "counter", "Sessions that ended.", n->sessions_ended);
    one(out, "store_transactions_total", "counter", "Durable transactions.", store.transactions);
    one(out, "store_batches_total", "counter", "Batches in them.", store.batches);
    one(out, "store_failures_total", "counter", "Transactions that failed, a full disk included.",
        store.failed + store.full);
    one(out, "store_waiting", "gauge", "Operations that the store has not answered yet.",
        store.waiting);
    one(out, "fronts_killed_total", "counter", "Fronts that were killed for hanging or lying.",
        n->fronts_killed);
    one(out, "wrong_secrets_total", "counter", "Wrong passwords and codes.", n->penalties);
    one(out, "policy_epoch", "gauge", "Epoch of the policy in force.",
        cpn_snapshot_epoch(c->snapshot));
    one(out, "log_lines_refused_total", "counter", "Log lines that the sink refused.",
        cpn_log_refused());
    head(out, "revoke_to_kill_seconds", "summary",
         "From the request that ends a session to its sockets shut.");
    (void)!cpn_buf_printf(out, "caponier_revoke_to_kill_seconds_sum %.3f\n",
                          (double)n->cut_ms_sum / 1000);
    (void)!cpn_buf_printf(out, "caponier_revoke_to_kill_seconds_count %" PRIu64 "\n", n->cuts);
    head(out, "revoke_to_kill_max_seconds", "gauge", "The longest of them since start.");
    (void)!cpn_buf_printf(out, "caponier_revoke_to_kill_max_seconds %.3f\n",
                          (double)n->cut_ms_max / 1000);
}

static void
metrics_show(cpn_call *call)
{
    cpn_buf out = { .max = METRICS_MAX };
    uint8_t *end;

    sessions_put(call->c, &out);
    refusals_put(&call->c->count, &out);
    fronts_put(call->c, &out);
    rest_put(call->c, &out);
    if (cpn_buf_reserve(&out, 1, &end) == CPN_OK) {
        *end = '\0';
        cpn_reply_text(call, "text/plain; version=0.0.4", (const char *)out.p);
    } else {
        cpn_reply_rc(call, CPN_E_NOMEM, NULL, NULL);
    }
    cpn_buf_fini(&out);
}

static void
health_show(cpn_call *call)
{
    cpn_reply_text(call, "text/plain", "ok\n");
}

static void
ready_show(cpn_call *call)
{
    if (call->c->draining)
        cpn_reply_rc(call, CPN_UNAVAILABLE, "draining", NULL);
    else
        cpn_reply_text(call, "text/plain", "ready\n");
}

const cpn_route cpn_routes_metrics[] = {
    { "GET", "/metrics", CPN_SCOPE_OPERATOR, NULL, CPN_BODY_NONE, 0, NULL, CPN_ERRORS_TEXT,
      metrics_show },
    { "GET", "/healthz", CPN_SCOPE_OPERATOR, NULL, CPN_BODY_NONE, 0, NULL, CPN_ERRORS_TEXT,
      health_show },
    { "GET", "/readyz", CPN_SCOPE_OPERATOR, NULL, CPN_BODY_NONE, 0, NULL, CPN_ERRORS_TEXT,
      ready_show },
    { 0 },
};
