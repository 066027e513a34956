/* A leg's way from the socket: into the caller's slots, first bytes held until they are judged. */
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "net/leg_priv.h"

/* A read below this is taken for a person's doing. */
#define SMALL_READ 4096

/* Read first bytes into the held block and ask. True: the way is open. */
static bool
judge_down(cpn_leg *leg)
{
    cpn_view first = { NULL, 0 };
    cpn_verdict v;
    ssize_t got;
    bool last;

    if (!leg->held && !(leg->held = cpn_pool_take(cpn_loop_pool(leg->loop), CPN_BLOCK_SMALL))) {
        cpn_leg_fail(leg, ENOMEM);
        return false;
    }
    got = recv(leg->fd, leg->held->p + leg->held->n, CPN_JUDGE_HELD_MAX - leg->held->n, 0);
    leg->maybe = false;
    leg->parked = false;
    if (got < 0) {
        if (leg->held->n == 0)
            cpn_pool_give(cpn_loop_pool(leg->loop), &leg->held);
        if (errno != EAGAIN && errno != EINTR)
            cpn_leg_fail(leg, errno);
        cpn_leg_watch(leg);
        return false;
    }
    leg->held->n += (size_t)got;
    leg->eof = got == 0;
    first = (cpn_view){ leg->held->p, leg->held->n };
    last = leg->eof || first.n >= CPN_JUDGE_HELD_MAX;
    v = leg->judge.down(leg->judge.arg, first, last);
    if (v == CPN_VERDICT_PASS)
        leg->down_open = true;
    else if (v == CPN_VERDICT_NO || last)
        leg->refused = leg->parked = true;
    cpn_leg_watch(leg);
    return leg->down_open && !leg->refused;
}

static size_t
take_held(cpn_leg *leg, const struct iovec *iov, int n, size_t most)
{
    cpn_block *b = leg->held;
    size_t done = 0;

    for (int i = 0; i < n && b->n > 0 && done < most; i++) {
        size_t part = CPN_MIN(CPN_MIN(iov[i].iov_len, b->n), most - done);

        memcpy(iov[i].iov_base, b->p + b->at, part);
        b->at += part;
        b->n -= part;
        done += part;
    }
    if (b->n == 0)
        cpn_pool_give(cpn_loop_pool(leg->loop), &leg->held);
    return done;
}

/* readv of at most `most` bytes; at 0 what a read of one would return. */
static ssize_t
read_some(cpn_leg *leg, const struct iovec *iov, int n, size_t most)
{
    struct iovec part[CPN_LEG_PARTS_MAX];
    int used = cpn_leg_cut(part, iov, n, most);
    uint8_t next;

    if (most == 0) /* is there more, or is this the end? */
        return recv(leg->fd, &next, 1, MSG_PEEK);
    if (used == 1)
        return recv(leg->fd, part[0].iov_base, part[0].iov_len, 0);
    return readv(leg->fd, part, used);
}

/* Everything was read. What could not be written makes it no orderly end. */
static ssize_t
ended(cpn_leg *leg)
{
    leg->eof = true;
    if (!leg->write_error)
        return 0;
    cpn_leg_fail(leg, leg->write_error);
    return -1;
}

ssize_t
cpn_leg_take(cpn_leg *leg, const struct iovec *iov, int n, size_t most)
{
    ssize_t got;

    if (leg->fd < 0 || leg->failed || leg->refused || leg->dead || leg->out_still || leg->end_held)
        return -1;
    most = CPN_MIN(most, leg->out_max - leg->out);
    if (!leg->down_open && !judge_down(leg))
        return -1;
    if (leg->held && leg->held->n == 0)
        cpn_pool_give(cpn_loop_pool(leg->loop), &leg->held);
    if (leg->held && most > 0) {
        got = (ssize_t)take_held(leg, iov, n, most);
        cpn_leg_count(leg, 0, (size_t)got);
        return got;
    }
    if (leg->eof && !leg->held)
        return ended(leg);
    got = leg->held ? 1 : read_some(leg, iov, n, most);
    if (most == 0 && got > 0) {
        cpn_leg_stand_still(leg, &leg->out_still);
        return -1;
    }
    if (got < 0 && errno != EAGAIN && errno != EINTR) {
        cpn_leg_fail(leg, errno);
        return -1;
    }
    if (got == 0 && (cpn_leg_holds_end(leg) || ended(leg) != 0))
        return -1;
    if (got < (ssize_t)CPN_MAX(most, 1u)) {
        leg->maybe = got == 0;
        leg->parked = false;
        cpn_leg_watch(leg);
    }
    if (got > 0) {
        /* Little both ways, twice: neither the odd end of bulk nor what a copy says back. */
        if (got < SMALL_READ && leg->last_take < SMALL_READ && leg->last_put < SMALL_READ)
            cpn_loop_typed(leg->loop);
        leg->last_take = (size_t)got;
        cpn_leg_count(leg, 0, (size_t)got);
    }
    return got;
}

bool
cpn_leg_shut_here(const cpn_leg *leg)
{
    struct tcp_info info;
    socklen_t n = sizeof(info);

    return leg->fd >= 0 && !leg->shut &&
           getsockopt(leg->fd, IPPROTO_TCP, TCP_INFO, &info, &n) == 0 &&
           info.tcpi_state != TCP_ESTABLISHED && info.tcpi_state != TCP_CLOSE_WAIT;
}

bool
cpn_leg_may_take(const cpn_leg *leg)
{
    return leg->fd >= 0 && !leg->failed && !leg->refused && !leg->dead && !leg->out_still &&
           !leg->end_held && (leg->maybe || leg->eof || (leg->held && leg->down_open));
}

bool
cpn_leg_interactive(const cpn_leg *leg)
{
    return leg->last_take < SMALL_READ;
}

void
cpn_leg_inherit(cpn_leg *leg, size_t n)
{
    cpn_leg_count(leg, 0, n);
}
