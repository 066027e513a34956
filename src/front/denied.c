/* Says no in SSH's or RDP's own words. */
#include "front/denied.h"

#include <stdlib.h>

#include "base/log.h"
#include "codec/firstbytes.h"
#include "front/webtunnel.h"
#include "net/rawrelay.h"

#define REFUSAL_MAX 4096

struct cpn_denied {
    cpn_conn *conn;
    cpn_rawrelay *raw;
    cpn_speech speech;
    bool closing;
    cpn_later telling;
    char sentence[401];
};

static void
tell(cpn_later *l)
{
    cpn_denied *d = cpn_container_of(l, cpn_denied, telling);
    cpn_buf b = { .max = REFUSAL_MAX };
    cpn_rc rc = CPN_INVALID;

    if (d->closing || !d->raw)
        return;
    d->closing = true;
    if (d->speech == CPN_SPEECH_SSH)
        rc = cpn_first_refuse_ssh(&b, d->sentence);
    else if (d->speech == CPN_SPEECH_RDP)
        rc = cpn_first_refuse_rdp(&b);
    if (rc == CPN_OK)
        cpn_rawrelay_say(d->raw, cpn_buf_view(&b));
    cpn_buf_fini(&b);
    cpn_conn_deadline(d->conn, CPN_DENIED_CLOSE_MS);
    cpn_rawrelay_close(d->raw, CPN_WS_CLOSE_POLICY, d->sentence);
}

static cpn_verdict
judge_up(void *arg, cpn_view first, bool last)
{
    cpn_denied *d = arg;

    if (cpn_first_client(first, &d->speech) == CPN_FIRST_MORE && !last)
        return CPN_VERDICT_MORE;
    cpn_loop_later(d->conn->front->loop, &d->telling, CPN_LATER_FIRST);
    return CPN_VERDICT_NO;
}

static void
on_end(void *owner, cpn_rawrelay *raw, const cpn_raw_end *end)
{
    cpn_denied *d = owner;

    (void)raw;
    (void)end;
    cpn_conn_advance(d->conn, CPN_STAGE_CLOSED);
}

bool
cpn_denied_start(cpn_conn *c, cpn_view sentence)
{
    cpn_front *f = c->front;
    cpn_denied *d;
    cpn_raw_opts opts = { .role = CPN_WS_SERVER, .on_end = on_end };
    cpn_err err = { 0 };
    cpn_rc rc;

    if (cpn_quota_take(&f->denied, 1) != CPN_OK)
        return false;
    d = cpn_xcalloc(1, sizeof(*d));
    d->conn = c;
    d->telling.fn = tell;
    if (!cpn_view_copy(sentence, d->sentence, sizeof(d->sentence)))
        d->sentence[0] = '\0';
    c->denied = d;
    opts.owner = d;
    opts.judge = (cpn_judge){ .up = judge_up, .arg = d };
    cpn_conn_advance(c, CPN_STAGE_DENIED);
    rc = cpn_webtunnel_switch(c);
    if (rc == CPN_OK)
        rc = cpn_rawrelay_new(&d->raw, f->loop, cpn_steal(&c->tls), &opts, &err);
    if (rc != CPN_OK) {
        cpn_log(CPN_LOG_WARN, "denied.failed", CPN_KE(&err));
        cpn_conn_advance(c, CPN_STAGE_CLOSED);
    }
    return true;
}

void
cpn_denied_expired(cpn_conn *c)
{
    if (!c->denied || c->denied->closing) {
        cpn_conn_advance(c, CPN_STAGE_CLOSED);
        return;
    }
    tell(&c->denied->telling);
}

void
cpn_denied_free(cpn_denied *d)
{
    if (!d)
        return;
    cpn_loop_not_later(d->conn->front->loop, &d->telling);
    cpn_rawrelay_free(cpn_steal(&d->raw));
    cpn_quota_give(&d->conn->front->denied, 1);
    free(d);
}
