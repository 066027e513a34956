/* The socket side of one relayed session. */
#include "net/leg.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/backlog.h"
#include "net/tls.h"

/* A read below this is taken for a person's doing. */
#define SMALL_READ 4096

struct cpn_leg {
    cpn_loop *loop;
    int fd;
    uv_poll_t poll;
    int polled;
    const cpn_leg_events *events;
    void *owner;
    cpn_later reap;
    cpn_judge judge;
    cpn_backlog kept; /* towards the socket */
    cpn_block *held;  /* from the socket: read, not judged or not taken yet */
    size_t last_take;
    size_t last_put;
    uint64_t in;
    uint64_t out;
    uint64_t in_max; /* never below in */
    uint64_t out_max;
    uint64_t last_ms;
    cpn_tally_slot *slot;
    bool in_is_up;
    bool up_open; /* judged, or nothing to judge */
    bool down_open;
    bool refused;  /* a judge said no: nothing moves any more */
    bool maybe;    /* readable as far as we know */
    bool parked;   /* told that it is readable while nobody reads: watching stopped */
    bool in_still; /* at its limit, with more to go */
    bool out_still;
    bool end_held; /* the socket ended or broke meanwhile: looked at when the way goes on */
    bool eof;      /* of the socket */
    bool end_put;
    bool shut;
    bool failed;
    bool dead;
};

static void on_leg_poll(uv_poll_t *poll, int status, int events);

cpn_leg *
cpn_leg_new(cpn_loop *loop, bool in_is_up, const cpn_leg_events *events, void *owner)
{
    cpn_leg *leg = calloc(1, sizeof(*leg));

    if (!leg)
        return NULL;
    leg->loop = loop;
    leg->fd = -1;
    leg->in_is_up = in_is_up;
    leg->in_max = leg->out_max = CPN_NO_LIMIT;
    leg->events = events;
    leg->owner = owner;
    leg->up_open = leg->down_open = true;
    leg->last_ms = cpn_loop_now_ms(loop);
    return leg;
}

static void
give_chain(cpn_leg *leg)
{
    cpn_pool *pool = cpn_loop_pool(leg->loop);

    cpn_backlog_clear(&leg->kept, pool);
    cpn_pool_give(pool, &leg->held);
}

static void
leg_closed(uv_handle_t *h)
{
    cpn_leg *leg = h->data;

    close(leg->fd);
    free(leg);
}

static void
leg_reap(cpn_later *l)
{
    cpn_leg *leg = cpn_container_of(l, cpn_leg, reap);

    give_chain(leg);
    if (leg->fd < 0)
        free(leg);
    else
        uv_close((uv_handle_t *)&leg->poll, leg_closed);
}

void
cpn_leg_free(cpn_leg *leg, bool rst)
{
    struct linger now = { .l_onoff = 1 };

    if (!leg || leg->dead)
        return;
    leg->dead = true;
    if (leg->fd >= 0) {
        uv_poll_stop(&leg->poll);
        /* With a duplicate elsewhere (at the gateway) close alone would say nothing, and a front
         * may not set SO_LINGER; without one a shutdown before the reset would look like an orderly
         * end. */
        if (rst && !leg->in_is_up)
            setsockopt(leg->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
        else
            shutdown(leg->fd, SHUT_RDWR);
    }
    leg->reap.fn = leg_reap;
    cpn_loop_later(leg->loop, &leg->reap, CPN_LATER_FREE);
}

static void
leg_watch(cpn_leg *leg)
{
    bool moves = !leg->failed && !leg->end_held;
    int want = 0;

    if (leg->fd < 0 || leg->dead)
        return;
    if (moves && !leg->eof && !leg->parked && !leg->out_still)
        want |= UV_READABLE;
    if (moves && leg->kept.n > 0 && leg->up_open && !leg->refused && !leg->in_still)
        want |= UV_WRITABLE;
    if (want == leg->polled)
        return;
    leg->polled = want;
    if (want)
        uv_poll_start(&leg->poll, want, on_leg_poll);
    else
        uv_poll_stop(&leg->poll);
}

/* Whoever ends a session at its limit also shuts its socket, and is about to say why: that is not
 * to be taken for the machine's own end. */
static bool
holds_end(cpn_leg *leg)
{
    if (!leg->in_still && !leg->out_still)
        return false;
    leg->end_held = true;
    leg_watch(leg);
    return true;
}

static void
leg_fail(cpn_leg *leg, int error)
{
    if (leg->failed || leg->dead || (error != ENOMEM && holds_end(leg)))
        return;
    leg->failed = true;
    give_chain(leg);
    leg_watch(leg);
    leg->events->on_failed(leg->owner, error);
}

static void
count(cpn_leg *leg, size_t in, size_t out)
{
    leg->in += in;
    leg->out += out;
    leg->last_ms = cpn_loop_now_ms(leg->loop);
    if (leg->slot) {
        __atomic_store_n(&leg->slot->up, cpn_leg_up(leg), __ATOMIC_RELAXED);
        __atomic_store_n(&leg->slot->down, cpn_leg_down(leg), __ATOMIC_RELAXED);
        __atomic_store_n(&leg->slot->last_ms, leg->last_ms, __ATOMIC_RELAXED);
    }
}

/* --- limits --------------------------------------------------------------------------------- */

static void
stand_still(cpn_leg *leg, bool *still)
{
    if (*still)
        return;
    *still = true;
    leg_watch(leg);
    if (leg->events->on_spent)
        leg->events->on_spent(leg->owner);
}

void
cpn_leg_allow(cpn_leg *leg, const cpn_byte_limits *most)
{
    bool still = leg->out_still || leg->end_held;

    leg->in_max = CPN_MAX(leg->in_is_up ? most->up : most->down, leg->in);
    leg->out_max = CPN_MAX(leg->in_is_up ? most->down : most->up, leg->out);
    if (leg->in_max > leg->in)
        leg->in_still = false;
    if (leg->out_max > leg->out)
        leg->out_still = false;
    if (!leg->in_still && !leg->out_still)
        leg->end_held = false;
    leg_watch(leg);
    if (!still || leg->out_still || leg->end_held || leg->dead)
        return;
    leg->maybe = true;
    leg->events->on_readable(leg->owner);
}

bool
cpn_leg_wants(const cpn_leg *leg, bool up)
{
    return up == leg->in_is_up ? leg->in_still : leg->out_still;
}

#define PARTS_MAX 64

/* The first `most` bytes of iov; returns the pieces. */
static int
cut_parts(struct iovec part[PARTS_MAX], const struct iovec *iov, int n, size_t most)
{
    int used = 0;

    for (; used < n && used < PARTS_MAX && most > 0; used++) {
        part[used] = iov[used];
        part[used].iov_len = CPN_MIN(iov[used].iov_len, most);
        most -= part[used].iov_len;
    }
    return used;
}

/* --- in: towards the socket ----------------------------------------------------------------- */

/* What the socket takes of iov now, within the limit; 0 also when it broke. */
static size_t
write_some(cpn_leg *leg, const struct iovec *iov, int n)
{
    struct iovec part[PARTS_MAX];
    struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n };
    ssize_t put;

    if (leg->in_max != CPN_NO_LIMIT) {
        msg.msg_iov = part;
        msg.msg_iovlen = (size_t)cut_parts(part, iov, n, leg->in_max - leg->in);
    }
    if (msg.msg_iovlen == 0) {
        stand_still(leg, &leg->in_still);
        return 0;
    }
    put = sendmsg(leg->fd, &msg, MSG_NOSIGNAL);
    if (put < 0 && errno != EAGAIN && errno != EINTR)
        leg_fail(leg, errno);
    if (put <= 0)
        return 0;
    count(leg, (size_t)put, 0);
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
        leg->failed || leg->refused)
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

/* Judge, write, shut: whatever is possible now. Returns bytes written. */
static size_t
move_in(cpn_leg *leg)
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
    leg_watch(leg);
    return put;
}

size_t
cpn_leg_put(cpn_leg *leg, struct iovec *iov, int n)
{
    size_t put = 0, skip;

    leg->last_put = 0;
    for (int i = 0; i < n; i++)
        leg->last_put += iov[i].iov_len;
    if (leg->failed || leg->refused || leg->dead)
        return 0;
    if (leg->fd >= 0 && leg->up_open && leg->kept.n == 0 && !leg->end_held)
        put = write_some(leg, iov, n);
    skip = put;
    for (int i = 0; i < n && !leg->failed; i++) {
        size_t part = CPN_MIN(skip, iov[i].iov_len);

        skip -= part;
        if (!cpn_backlog_put(&leg->kept, cpn_loop_pool(leg->loop),
                             (uint8_t *)iov[i].iov_base + part, iov[i].iov_len - part))
            leg_fail(leg, ENOMEM);
    }
    if (!leg->up_open)
        return move_in(leg);
    leg_watch(leg);
    return put;
}

size_t
cpn_leg_put_end(cpn_leg *leg)
{
    leg->end_put = true;
    return move_in(leg);
}

size_t
cpn_leg_kept(const cpn_leg *leg)
{
    return leg->kept.n;
}

bool
cpn_leg_full(const cpn_leg *leg)
{
    return leg->kept.n > (leg->fd >= 0 && leg->up_open ? 0 : CPN_JUDGE_HELD_MAX);
}

/* --- out: from the socket ------------------------------------------------------------------- */

/* Read first bytes into the held block and ask. True: the way is open. */
static bool
judge_down(cpn_leg *leg)
{
    cpn_view first = { NULL, 0 };
    cpn_verdict v;
    ssize_t got;
    bool last;

    if (!leg->held && !(leg->held = cpn_pool_take(cpn_loop_pool(leg->loop), CPN_BLOCK_SMALL))) {
        leg_fail(leg, ENOMEM);
        return false;
    }
    got = recv(leg->fd, leg->held->p + leg->held->n, CPN_JUDGE_HELD_MAX - leg->held->n, 0);
    leg->maybe = false;
    leg->parked = false;
    if (got < 0) {
        if (leg->held->n == 0)
            cpn_pool_give(cpn_loop_pool(leg->loop), &leg->held);
        if (errno != EAGAIN && errno != EINTR)
            leg_fail(leg, errno);
        leg_watch(leg);
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
    leg_watch(leg);
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
    struct iovec part[PARTS_MAX];
    int used = cut_parts(part, iov, n, most);
    uint8_t next;

    if (most == 0) /* is there more, or is this the end? */
        return recv(leg->fd, &next, 1, MSG_PEEK);
    if (used == 1)
        return recv(leg->fd, part[0].iov_base, part[0].iov_len, 0);
    return readv(leg->fd, part, used);
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
        count(leg, 0, (size_t)got);
        return got;
    }
    if (leg->eof && !leg->held)
        return 0;
    got = leg->held ? 1 : read_some(leg, iov, n, most);
    if (most == 0 && got > 0) {
        stand_still(leg, &leg->out_still);
        return -1;
    }
    if (got < 0 && errno != EAGAIN && errno != EINTR) {
        leg_fail(leg, errno);
        return -1;
    }
    if (got == 0 && holds_end(leg))
        return -1;
    if (got == 0)
        leg->eof = true;
    if (got < (ssize_t)CPN_MAX(most, 1u)) {
        leg->maybe = got == 0;
        leg->parked = false;
        leg_watch(leg);
    }
    if (got > 0) {
        /* Little both ways, twice: neither the odd end of bulk nor what a copy says back. */
        if (got < SMALL_READ && leg->last_take < SMALL_READ && leg->last_put < SMALL_READ)
            cpn_loop_typed(leg->loop);
        leg->last_take = (size_t)got;
        count(leg, 0, (size_t)got);
    }
    return got;
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

/* --- the socket ----------------------------------------------------------------------------- */

static void
on_leg_poll(uv_poll_t *poll, int status, int events)
{
    cpn_leg *leg = poll->data;

    if (leg->dead)
        return;
    if (status < 0) {
        /* libuv stopped watching; the next read or write will say why. */
        leg->polled = 0;
        leg->parked = true;
        events = UV_READABLE | UV_WRITABLE;
    }
    if ((events & UV_WRITABLE) && leg->kept.n > 0) {
        size_t put = move_in(leg);

        if (put > 0 && !leg->dead)
            leg->events->on_written(leg->owner, put);
    }
    if (leg->dead || leg->failed || leg->eof || !(events & UV_READABLE))
        return;
    if (leg->maybe)
        leg->parked = true;
    leg->maybe = true;
    leg_watch(leg);
    leg->events->on_readable(leg->owner);
}

size_t
cpn_leg_attach(cpn_leg *leg, CPN_TAKES int fd)
{
    int on = 1;
    unsigned timeout = cpn_loop_stall_ms(leg->loop);

    if (leg->fd >= 0 || leg->failed || leg->dead ||
        uv_poll_init(cpn_loop_uv(leg->loop), &leg->poll, fd) < 0) {
        shutdown(fd, SHUT_RDWR);
        close(fd);
        leg_fail(leg, EBADF);
        return 0;
    }
    /* Refused on sockets that are not TCP: nothing depends on them being set. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof(timeout));
    leg->fd = fd;
    leg->poll.data = leg;
    leg_watch(leg);
    return move_in(leg);
}

bool
cpn_leg_attached(const cpn_leg *leg)
{
    return leg->fd >= 0;
}

void
cpn_leg_hold(cpn_leg *leg, const cpn_judge *judge)
{
    leg->judge = *judge;
    leg->up_open = !judge->up;
    leg->down_open = !judge->down;
}

void
cpn_leg_tally(cpn_leg *leg, cpn_tally_slot *slot)
{
    leg->slot = slot;
    if (slot)
        count(leg, 0, 0);
}

uint64_t
cpn_leg_up(const cpn_leg *leg)
{
    return leg->in_is_up ? leg->in : leg->out;
}

uint64_t
cpn_leg_down(const cpn_leg *leg)
{
    return leg->in_is_up ? leg->out : leg->in;
}

uint64_t
cpn_leg_last_ms(const cpn_leg *leg)
{
    return leg->last_ms;
}
