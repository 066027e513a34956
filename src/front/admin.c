/* Health, readiness, and what can be counted without control. */
#include "front/admin.h"

#include <stdio.h>

#include "front/answer.h"
#include "front/api.h"

static void
own_metrics(cpn_conn *c)
{
    const cpn_front *f = c->front;
    const cpn_front_counters *n = &f->count;
    const struct {
        const char *name;
        unsigned long long value;
    } rows[] = {
        { "caponier_control_up", 0 },
        { "caponier_front_accepted_total", n->accepted },
        { "caponier_front_preauth_refused_total", n->preauth_refused },
        { "caponier_front_tls_failed_total", n->tls_failed },
        { "caponier_front_http_refused_total", n->http_refused },
        { "caponier_front_streams_total", n->streams },
        { "caponier_front_streams_refused_total", n->streams_refused },
        { "caponier_front_connections", HASH_COUNT(f->conns) },
        { "caponier_front_relay_memory_bytes", f->memory.used },
    };
    cpn_buf b = { .max = 4096 };
    cpn_rc rc = CPN_OK;

    for (size_t i = 0; i < CPN_COUNT(rows) && rc == CPN_OK; i++)
        rc = cpn_buf_printf(&b, "%s{front=\"%u\"} %llu\n", rows[i].name, f->number, rows[i].value);
    cpn_answer_text(c, 200, cpn_buf_view(&b));
    cpn_buf_fini(&b);
}

void
cpn_admin_answer(cpn_conn *c, const cpn_http_head *head, const cpn_route *r)
{
    const cpn_front *f = c->front;

    if (r->kind == CPN_ROUTE_HEALTH)
        cpn_answer_text(c, 200, CPN_VIEW_LIT("ok\n"));
    else if (r->kind == CPN_ROUTE_METRICS && cpn_link_up(f))
        cpn_api_start(c, head, r);
    else if (r->kind == CPN_ROUTE_METRICS)
        own_metrics(c);
    else if (f->draining)
        cpn_answer_text(c, 503, CPN_VIEW_LIT("draining\n"));
    else if (!cpn_link_up(f))
        cpn_answer_text(c, 503, CPN_VIEW_LIT("control is away\n"));
    else
        cpn_answer_text(c, 200, CPN_VIEW_LIT("ready\n"));
}
