/* A leg's way towards the socket: written at once as far as it takes it, the rest kept. */
#include "net/leg_priv.h"

/* The other end has gone. What it said before is still there to be read, and may say why; the end
 * of that is the failure. */
static void
write_failed(cpn_leg *leg, int error)
{
    if (leg->eof || (error != ECONNRESET && error != EPIPE)) {
        cpn_leg_fail(leg, error);
        return;
    }
    leg->write_error = error;
    cpn_backlog_clear(&leg->kept, cpn_loop_pool(leg->loop));
    leg->maybe = true;
    leg->events->on_readable(leg->owner);
}

/* What the socket takes of iov now, within the limit; 0 also when it broke. */
static size_t
write_some(cpn_leg *leg, const struct iovec *iov, int n)
{
    struct iovec part[CPN_LEG_PARTS_MAX];
    struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n };
    ssize_t put;

    if (leg->in_max != CPN_NO_LIMIT) {
        msg.msg_iov = part;
        msg.msg_iovlen = (size_t)cpn_leg_cut(part, iov, n, leg->in_max - leg->in);
    }
    if (msg.msg_iovlen == 0) {
        cpn_leg_stand_still(leg, &leg->in_still);
        return 0;
    }
    put = sendmsg(leg->fd, &msg, MSG_NOSIGNAL);
    if (put < 0 && errno != EAGAIN && errno != EINTR)
        write_failed(leg, errno);
    if (put <= 0)
        return 0;
    cpn_leg_count(leg, (size_t)put, 0);
    return (size_t)put;
}

static size_t
write_kept(cpn_leg *leg)
{
    struct iovec iov[16];
    int n = cpn_backlog_parts(&leg->kept, iov, (int)CPN_COUNT(iov));
    size_t put;

    if (n == 0)
        return 0;
    put = write_some(leg, iov, n);
    if (!leg->failed)
        cpn_backlog_drop(&leg->kept, cpn_loop_pool(leg->loop), put);
    return put;
}

static void
shut_when_written(cpn_leg *leg)
{
    if (!leg->end_put || leg->shut || leg->fd < 0 || leg->kept.n > 0 || !leg->up_open ||
        leg->failed || leg->refused || leg->write_error)
        return;
    leg->shut = true;
    shutdown(leg->fd, SHUT_WR);
}

/* Ask whether what is kept may go on; nothing of it was written before. */
static void
judge_up(cpn_leg *leg)
{
    cpn_view first = { NULL, 0 };
    bool last;
    cpn_verdict v;

    if (leg->up_open || leg->refused || (!leg->kept.head && !leg->end_put))
        return;
    if (leg->kept.head)
        first = (cpn_view){ leg->kept.head->p + leg->kept.head->at, leg->kept.head->n };
    last = first.n >= CPN_JUDGE_HELD_MAX || leg->end_put;
    first.n = CPN_MIN(first.n, CPN_JUDGE_HELD_MAX);
    v = leg->judge.up(leg->judge.arg, first, last);
    if (v == CPN_VERDICT_PASS)
        leg->up_open = true;
    else if (v == CPN_VERDICT_NO || last)
        leg->refused = true;
}

size_t
cpn_leg_move_in(cpn_leg *leg)
{
    size_t put = 0;

    judge_up(leg);
    if (leg->dead || leg->failed)
        return 0;
    if (leg->fd >= 0 && leg->up_open && !leg->refused && !leg->end_held && leg->kept.n > 0)
        put = write_kept(leg);
    if (leg->dead)
        return put;
    shut_when_written(leg);
    cpn_leg_watch(leg);
    return put;
}

size_t
cpn_leg_put(cpn_leg *leg, struct iovec *iov, int n)
{
    size_t put = 0, skip;

    leg->last_put = 0;
    for (int i = 0; i < n; i++)
        leg->last_put += iov[i].iov_len;
    if (leg->failed || leg->refused || leg->dead || leg->write_error || leg->end_put)
        return 0;
    if (leg->fd >= 0 && leg->up_open && leg->kept.n == 0 && !leg->end_held)
        put = write_some(leg, iov, n);
    skip = put;
    for (int i = 0; i < n && !leg->failed && !leg->write_error; i++) {
        size_t part = CPN_MIN(skip, iov[i].iov_len);

        skip -= part;
        if (!cpn_backlog_put(&leg->kept, cpn_loop_pool(leg->loop),
                             (uint8_t *)iov[i].iov_base + part, iov[i].iov_len - part))
            cpn_leg_fail(leg, ENOMEM);
    }
    if (!leg->up_open)
        return cpn_leg_move_in(leg);
    cpn_leg_watch(leg);
    return put;
}

size_t
cpn_leg_put_end(cpn_leg *leg)
{
    leg->end_put = true;
    return cpn_leg_move_in(leg);
}

size_t
cpn_leg_kept(const cpn_leg *leg)
{
    return leg->kept.n;
}

bool
cpn_leg_full(const cpn_leg *leg)
{
    if (leg->refused || leg->end_put)
        return false;
    return leg->kept.n > (leg->fd >= 0 && leg->up_open ? 0 : CPN_JUDGE_HELD_MAX);
}
