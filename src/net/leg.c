/* The life of a leg, its limits and its socket. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#include "net/leg_priv.h"

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

void
cpn_leg_watch(cpn_leg *leg)
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

bool
cpn_leg_holds_end(cpn_leg *leg)
{
    if (!leg->in_still && !leg->out_still)
        return false;
    leg->end_held = true;
    cpn_leg_watch(leg);
    return true;
}

void
cpn_leg_fail(cpn_leg *leg, int error)
{
    if (leg->failed || leg->dead || (error != ENOMEM && cpn_leg_holds_end(leg)))
        return;
    leg->failed = true;
    give_chain(leg);
    cpn_leg_watch(leg);
    leg->events->on_failed(leg->owner, error);
}

void
cpn_leg_count(cpn_leg *leg, size_t in, size_t out)
{
    leg->in += in;
    leg->out += out;
    if (leg->slot) {
        __atomic_store_n(&leg->slot->up, cpn_leg_up(leg), __ATOMIC_RELAXED);
        __atomic_store_n(&leg->slot->down, cpn_leg_down(leg), __ATOMIC_RELAXED);
        __atomic_store_n(&leg->slot->last_ms, cpn_loop_now_ms(leg->loop), __ATOMIC_RELAXED);
    }
}

/* --- limits --------------------------------------------------------------------------------- */

void
cpn_leg_stand_still(cpn_leg *leg, bool *still)
{
    if (*still)
        return;
    *still = true;
    cpn_leg_watch(leg);
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
    cpn_leg_watch(leg);
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

int
cpn_leg_cut(struct iovec part[CPN_LEG_PARTS_MAX], const struct iovec *iov, int n, size_t most)
{
    int used = 0;

    for (; used < n && used < CPN_LEG_PARTS_MAX && most > 0; used++) {
        part[used] = iov[used];
        part[used].iov_len = CPN_MIN(iov[used].iov_len, most);
        most -= part[used].iov_len;
    }
    return used;
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
        size_t put = cpn_leg_move_in(leg);

        if (put > 0 && !leg->dead)
            leg->events->on_written(leg->owner, put);
    }
    if (leg->dead || leg->failed || leg->eof || !(events & UV_READABLE))
        return;
    if (leg->maybe)
        leg->parked = true;
    leg->maybe = true;
    cpn_leg_watch(leg);
    leg->events->on_readable(leg->owner);
}

size_t
cpn_leg_attach(cpn_leg *leg, CPN_TAKES int fd)
{
    /* A program of this machine may stand still as long as its user likes. */
    unsigned timeout = leg->in_is_up ? cpn_loop_stall_ms(leg->loop) : 0;
    int on = 1;

    if (leg->fd >= 0 || leg->failed || leg->dead ||
        uv_poll_init(cpn_loop_uv(leg->loop), &leg->poll, fd) < 0) {
        shutdown(fd, SHUT_RDWR);
        close(fd);
        cpn_leg_fail(leg, EBADF);
        return 0;
    }
    /* Refused on sockets that are not TCP: nothing depends on them being set. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof(timeout));
    /* A machine that vanished while nobody typed: as ssh's TCPKeepAlive, with the system's times.
     */
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    leg->fd = fd;
    leg->poll.data = leg;
    cpn_leg_watch(leg);
    return cpn_leg_move_in(leg);
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
        cpn_leg_count(leg, 0, 0);
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
