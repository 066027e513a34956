/* Dials: each a socket, a deadline and one answer. */
#include "keeper/dial.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct dial {
    LIST_ENTRY(dial) link;
    uv_poll_t poll;
    uv_timer_t deadline;
    cpn_dialer *dialer;
    cpn_uuid session;
    uint64_t stream;
    cpn_addr addr;
    uint16_t port;
    int fd;
    int handles; /* still open; the object goes with the last */
} dial;

struct cpn_dialer {
    uv_loop_t *loop;
    const cpn_fence *fence;
    cpn_dial_done *done;
    void *owner;
    size_t n;
    size_t max;
    uint32_t timeout_ms;
    LIST_HEAD(, dial) dials;
};

cpn_reason
cpn_dial_reason(int e)
{
    switch (e) {
    case ECONNREFUSED:
    case ECONNRESET:
        return CPN_WHY_DIAL_REFUSED;
    case ETIMEDOUT:
        return CPN_WHY_DIAL_TIMEOUT;
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENETDOWN:
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
        return CPN_WHY_DIAL_UNREACHABLE;
    case EPERM: /* the kernel's own fence: a packet filter, or systemd's IPAddressDeny */
    case EACCES:
        return CPN_WHY_FENCE;
    default:
        return CPN_WHY_DIAL_FAILED;
    }
}

cpn_dialer *
cpn_dialer_new(uv_loop_t *loop, const cpn_fence *fence, cpn_dial_done *done, void *owner)
{
    cpn_dialer *d = cpn_xcalloc(1, sizeof(*d));

    d->loop = loop;
    d->fence = fence;
    d->done = done;
    d->owner = owner;
    LIST_INIT(&d->dials);
    return d;
}

void
cpn_dialer_limits(cpn_dialer *d, size_t max, uint32_t timeout_ms)
{
    d->max = max;
    d->timeout_ms = timeout_ms;
}

static void
on_closed(uv_handle_t *h)
{
    dial *x = h->data;

    if (--x->handles == 0)
        free(x);
}

/* Take the dial out of the loop. Its socket, if it still has one, is closed. */
static void
dial_drop(dial *x)
{
    LIST_REMOVE(x, link);
    x->dialer->n--;
    uv_close((uv_handle_t *)&x->poll, on_closed);
    uv_close((uv_handle_t *)&x->deadline, on_closed);
    if (x->fd >= 0)
        close(x->fd);
}

static void
dial_end(dial *x, cpn_reason why, const char *detail)
{
    cpn_dialer *d = x->dialer;
    cpn_uuid session = x->session;
    uint64_t stream = x->stream;
    int fd = -1;

    if (why == CPN_WHY_NONE)
        fd = cpn_steal_fd(&x->fd);
    dial_drop(x);
    d->done(d->owner, &session, stream, why, detail, fd);
}

/* Connected to whom we asked for, and not to ourselves (a simultaneous open of one port)? */
static bool
peer_is_right(const dial *x)
{
    struct sockaddr_storage peer, own;
    socklen_t peer_n = sizeof(peer), own_n = sizeof(own);
    cpn_addr a, b;
    uint16_t port, own_port;

    if (getpeername(x->fd, (struct sockaddr *)&peer, &peer_n) < 0 ||
        getsockname(x->fd, (struct sockaddr *)&own, &own_n) < 0 ||
        !cpn_addr_from_sockaddr(&a, &port, (struct sockaddr *)&peer) ||
        !cpn_addr_from_sockaddr(&b, &own_port, (struct sockaddr *)&own))
        return false;
    if (port != x->port || !cpn_addr_eq(&a, &x->addr))
        return false;
    return port != own_port || !cpn_addr_eq(&a, &b);
}

static void
on_writable(uv_poll_t *poll, int status, int events)
{
    dial *x = poll->data;
    int e = 0;
    socklen_t n = sizeof(e);

    (void)events;
    if (getsockopt(x->fd, SOL_SOCKET, SO_ERROR, &e, &n) < 0)
        e = errno;
    if (e == 0 && status < 0) /* libuv's word for POLLERR; the socket usually knows better */
        e = EIO;
    if (e)
        dial_end(x, cpn_dial_reason(e), strerror(e));
    else if (!peer_is_right(x))
        dial_end(x, CPN_WHY_FENCE, "the connection reached somebody else");
    else
        dial_end(x, CPN_WHY_NONE, "");
}

static void
on_deadline(uv_timer_t *t)
{
    dial_end(t->data, CPN_WHY_DIAL_TIMEOUT, "no answer within the deadline");
}

/* A socket on its way to the target; 0 or an errno. */
static int
connect_socket(const cpn_addr *a, uint16_t port, int *out)
{
    struct sockaddr_storage sa;
    socklen_t n = cpn_addr_to_sockaddr(a, port, &sa);
    CPN_AUTO(cpn_auto_fd)
    int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1;

    if (fd < 0)
        return errno;
    /* No TCP_USER_TIMEOUT: it would end the dial before its deadline. The front sets its own. */
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
        return errno;
    if (connect(fd, (struct sockaddr *)&sa, n) < 0 && errno != EINPROGRESS)
        return errno;
    *out = cpn_steal_fd(&fd);
    return 0;
}

/* NONE: the fence lets it pass. */
static cpn_reason
fence(const cpn_dialer *d, const cpn_msg_DIAL *to, char *detail, size_t size)
{
    const char *why = cpn_fence_check(d->fence, &to->addr, to->port);
    char text[CPN_ADDR_TEXT];
    cpn_err err = { 0 };
    cpn_rc rc;

    cpn_addr_port_text(&to->addr, to->port, text);
    if (why) {
        snprintf(detail, size, "%s: %s", text, why);
        return CPN_WHY_FENCE;
    }
    if (d->fence->allow_loopback && cpn_addr_is_loopback(&to->addr))
        return CPN_WHY_NONE;
    rc = cpn_fence_own(&to->addr, &err);
    if (rc == CPN_OK)
        return CPN_WHY_NONE;
    snprintf(detail, size, "%s: %.180s", text, rc == CPN_DENIED ? "own address" : err.msg);
    return rc == CPN_DENIED ? CPN_WHY_FENCE : CPN_WHY_DIAL_FAILED;
}

/* Takes fd. */
static void
dial_watch(cpn_dialer *d, const cpn_msg_DIAL *to, CPN_TAKES int fd)
{
    dial *x = cpn_xcalloc(1, sizeof(*x));

    x->dialer = d;
    x->session = to->session;
    x->stream = to->stream;
    x->addr = to->addr;
    x->port = to->port;
    x->fd = fd;
    x->poll.data = x->deadline.data = x;
    if (uv_poll_init(d->loop, &x->poll, fd) < 0) {
        close(fd);
        free(x);
        d->done(d->owner, &to->session, to->stream, CPN_WHY_DIAL_FAILED, "poll", -1);
        return;
    }
    uv_timer_init(d->loop, &x->deadline);
    x->handles = 2;
    LIST_INSERT_HEAD(&d->dials, x, link);
    d->n++;
    uv_timer_start(&x->deadline, on_deadline, CPN_MIN(to->deadline_ms, d->timeout_ms), 0);
    uv_poll_start(&x->poll, UV_WRITABLE, on_writable);
}

void
cpn_dialer_dial(cpn_dialer *d, const cpn_msg_DIAL *to)
{
    char detail[256] = "";
    cpn_reason why = CPN_WHY_NONE;
    int fd = -1, e;

    if (d->n >= d->max) {
        why = CPN_WHY_BUSY;
        snprintf(detail, sizeof(detail), "dials_max");
    } else {
        why = fence(d, to, detail, sizeof(detail));
    }
    if (why == CPN_WHY_NONE && (e = connect_socket(&to->addr, to->port, &fd)) != 0) {
        why = cpn_dial_reason(e);
        snprintf(detail, sizeof(detail), "%s", strerror(e));
    }
    if (why == CPN_WHY_NONE)
        dial_watch(d, to, fd);
    else
        d->done(d->owner, &to->session, to->stream, why, detail, -1);
}

void
cpn_dialer_abort(cpn_dialer *d, const cpn_uuid *session, const uint64_t *stream)
{
    dial *x = LIST_FIRST(&d->dials), *next;

    for (; x; x = next) {
        next = LIST_NEXT(x, link);
        if (cpn_uuid_eq(&x->session, session) && (!stream || x->stream == *stream))
            dial_end(x, CPN_WHY_CLOSED, "the session ended first");
    }
}

void
cpn_dialer_abort_all(cpn_dialer *d)
{
    while (!LIST_EMPTY(&d->dials))
        dial_drop(LIST_FIRST(&d->dials));
}

void
cpn_dialer_free(cpn_dialer *d)
{
    if (!d)
        return;
    cpn_dialer_abort_all(d);
    free(d);
}
