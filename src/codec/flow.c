/* The arithmetic of one stream's offsets, credit and acknowledgements. */
#include "codec/flow.h"

#include <inttypes.h>
#include <string.h>

void
cpn_flow_init(cpn_flow *f, uint64_t window_max)
{
    memset(f, 0, sizeof(*f));
    f->window = CPN_FLOW_WINDOW_MIN;
    f->window_max = CPN_MAX(window_max, CPN_FLOW_WINDOW_MIN);
    f->recv_limit = f->window;
}

uint64_t
cpn_flow_may_send(const cpn_flow *f, uint64_t n)
{
    if (f->fin_sent || f->send_limit <= f->sent)
        return 0;
    return CPN_MIN(n, f->send_limit - f->sent);
}

void
cpn_flow_sent(cpn_flow *f, uint64_t n)
{
    f->sent += cpn_flow_may_send(f, n);
}

void
cpn_flow_sent_first(cpn_flow *f, uint64_t n)
{
    f->sent = CPN_MIN(n, CPN_TUNNEL_FIRST_MAX);
}

void
cpn_flow_sent_fin(cpn_flow *f)
{
    f->fin_sent = true;
}

cpn_rc
cpn_flow_on_data(cpn_flow *f, uint64_t offset, uint64_t n, cpn_err *err)
{
    if (f->fin_received)
        return cpn_fail(err, CPN_E_PROTO, "stream: data after FIN");
    if (offset != f->received)
        return cpn_fail(err, CPN_E_PROTO, "stream: %s: data at %" PRIu64 ", expected %" PRIu64,
                        offset > f->received ? "gap" : "overlap", offset, f->received);
    if (n > f->recv_limit - f->received)
        return cpn_fail(err, CPN_E_PROTO,
                        "stream: %" PRIu64 " bytes at %" PRIu64 ", granted to %" PRIu64, n, offset,
                        f->recv_limit);
    f->received += n;
    return CPN_OK;
}

cpn_rc
cpn_flow_on_fin(cpn_flow *f, uint64_t offset, cpn_err *err)
{
    if (f->fin_received)
        return cpn_fail(err, CPN_E_PROTO, "stream: a second FIN");
    if (offset != f->received)
        return cpn_fail(err, CPN_E_PROTO, "stream: FIN at %" PRIu64 ", received %" PRIu64, offset,
                        f->received);
    f->fin_received = true;
    return CPN_OK;
}

cpn_rc
cpn_flow_on_credit(cpn_flow *f, uint64_t limit, cpn_err *err)
{
    if (limit > CPN_TUNNEL_OFFSET_MAX)
        return cpn_fail(err, CPN_E_PROTO, "stream: credit over 2^63");
    f->send_limit = CPN_MAX(f->send_limit, limit);
    return CPN_OK;
}

cpn_rc
cpn_flow_on_ack(cpn_flow *f, uint64_t offset, cpn_err *err)
{
    if (offset > f->sent)
        return cpn_fail(err, CPN_E_PROTO, "stream: ACK of %" PRIu64 ", sent %" PRIu64, offset,
                        f->sent);
    f->acked = CPN_MAX(f->acked, offset);
    return CPN_OK;
}

void
cpn_flow_delivered(cpn_flow *f, uint64_t n)
{
    f->delivered += CPN_MIN(n, f->received - f->delivered);
}

/* What every path gets, if its destination takes the bytes. */
static uint64_t
known(const cpn_flow_pace *pace)
{
    return CPN_MAX(pace->known, CPN_FLOW_WINDOW_NEAR);
}

/* Was the time since the last judgement less than two round trips? */
static bool
quick(const cpn_flow *f, const cpn_flow_pace *pace)
{
    return pace->rtt_ms > 0 && pace->now_ms - f->judged_ms < 2 * (uint64_t)pace->rtt_ms;
}

static void
judge(cpn_flow *f, const cpn_flow_pace *pace, bool limits)
{
    f->limits = limits;
    f->judged_at = f->delivered;
    f->judged_ms = pace->now_ms;
}

/* By as many bytes as go by, smoothly: a window that opened at once would let a burst out that the
 * path has no queue for. */
static void
window_adapt(cpn_flow *f, const cpn_flow_pace *pace)
{
    uint64_t went_by = f->delivered - f->adapted_at, most = known(pace);

    if (!pace->room) {
        f->window = CPN_FLOW_WINDOW_MIN;
        judge(f, pace, false);
    } else if (f->window < most) {
        f->window = CPN_MIN(f->window + 4 * went_by, CPN_MIN(most, f->window_max));
        judge(f, pace, false);
    } else {
        if (f->delivered - f->judged_at >= f->window / 2)
            judge(f, pace, quick(f, pace));
        if (f->limits && quick(f, pace))
            f->window = CPN_MIN(f->window + went_by, f->window_max);
    }
    f->adapted_at = f->delivered;
}

/* What is left over of a window when no credit is due yet is lost to the peer: little of it. */
static uint64_t
credit_step(const cpn_flow *f)
{
    return CPN_MIN(f->window / 4, CPN_FLOW_WINDOW_NEAR);
}

bool
cpn_flow_grant(cpn_flow *f, const cpn_flow_pace *pace, uint64_t *credit)
{
    uint64_t limit;

    if (f->fin_received)
        return false;
    window_adapt(f, pace);
    if (f->window > CPN_TUNNEL_OFFSET_MAX - f->delivered)
        return false;
    limit = f->delivered + f->window;
    if (limit < f->recv_limit || limit - f->recv_limit < credit_step(f))
        return false;
    f->recv_limit = *credit = limit;
    return true;
}

bool
cpn_flow_ack(cpn_flow *f, uint64_t *ack)
{
    uint64_t owed = f->delivered - f->ack_told;
    bool all = f->fin_received && f->delivered == f->received;

    if (owed == 0 || (!all && owed < f->window / 4))
        return false;
    f->ack_told = *ack = f->delivered;
    return true;
}

bool
cpn_flow_done(const cpn_flow *f)
{
    return f->fin_sent && f->fin_received && f->delivered == f->received;
}
