/* From a host name to a verified TLS connection: look-up, a race of addresses, handshake. */
#include "net/dial.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define TIMEOUT_MS 15000

/* One address being tried. Lives until libuv has closed its handle. */
typedef struct attempt {
    uv_poll_t poll;
    cpn_dial *dial;
    int fd;
} attempt;

struct cpn_dial {
    cpn_loop *loop;
    char host[256];
    uint16_t port;
    cpn_tls_ctx *ctx;
    cpn_dial_done *done;
    void *owner;
    uv_getaddrinfo_t lookup;
    uv_timer_t next;
    uv_timer_t deadline;
    cpn_later finish;
    struct sockaddr_storage address[CPN_DIAL_ADDRESSES];
    int addresses;
    int tried;
    attempt *open[CPN_DIAL_ADDRESSES];
    int running;
    int last_error;
    cpn_tls *tls;
    cpn_err err;
    bool looking;
    bool finished;
    int refs; /* what libuv still holds */
};

static void try_next(cpn_dial *d);

static void
release(cpn_dial *d)
{
    if (--d->refs > 0)
        return;
    cpn_tls_ctx_free(d->ctx);
    free(d);
}

static void
timer_closed(uv_handle_t *h)
{
    release(h->data);
}

static void
attempt_closed(uv_handle_t *h)
{
    attempt *a = h->data;

    if (a->fd >= 0)
        close(a->fd);
    release(a->dial);
    free(a);
}

/* Stop an attempt; its descriptor is closed unless it was taken out. */
static void
drop_attempt(cpn_dial *d, int i)
{
    attempt *a = cpn_steal(&d->open[i]);

    if (!a)
        return;
    d->running--;
    uv_close((uv_handle_t *)&a->poll, attempt_closed);
}

/* Let go of everything that libuv runs for this dial. */
static void
wind_up(cpn_dial *d)
{
    for (int i = 0; i < CPN_DIAL_ADDRESSES; i++)
        drop_attempt(d, i);
    if (d->looking)
        uv_cancel((uv_req_t *)&d->lookup);
    cpn_loop_not_later(d->loop, &d->finish);
    uv_close((uv_handle_t *)&d->next, timer_closed);
    uv_close((uv_handle_t *)&d->deadline, timer_closed);
}

static void
call_done(cpn_later *l)
{
    cpn_dial *d = cpn_container_of(l, cpn_dial, finish);
    cpn_tls *t = cpn_steal(&d->tls);
    cpn_dial_done *done = d->done;
    void *owner = d->owner;
    cpn_err err = d->err;

    if (!t && err.rc == CPN_OK)
        cpn_fail(&err, CPN_E_SYS, "no connection to %s", d->host);
    wind_up(d);
    done(owner, t, &err);
}

static void
finish(cpn_dial *d)
{
    if (d->finished)
        return;
    d->finished = true;
    cpn_loop_later(d->loop, &d->finish, CPN_LATER_BULK);
}

/* --- TLS ------------------------------------------------------------------------------------ */

static void
on_ready(void *owner, cpn_tls *t)
{
    cpn_dial *d = owner;

    (void)t;
    finish(d);
}

static size_t
on_bytes(void *owner, cpn_tls *t, uint8_t *p, size_t n)
{
    (void)owner;
    (void)t;
    (void)p;
    (void)n;
    return 0; /* the next owner's */
}

static void
on_tls_end(void *owner, cpn_tls *t, cpn_tls_end why, const cpn_err *err)
{
    cpn_dial *d = owner;

    cpn_fail(&d->err, why == CPN_TLS_END_FAILED ? CPN_E_CRYPTO : CPN_UNAVAILABLE, "%s port %u: %s",
             d->host, d->port, err->msg);
    cpn_tls_free(t);
    d->tls = NULL;
    finish(d);
}

static const cpn_tls_events tls_events = {
    .on_ready = on_ready,
    .on_bytes = on_bytes,
    .on_end = on_tls_end,
};

static void
start_tls(cpn_dial *d, CPN_TAKES int fd)
{
    cpn_tls_opts opts = { .ctx = d->ctx,
                          .server_name = d->host,
                          .handshake_ms = TIMEOUT_MS,
                          .events = &tls_events,
                          .owner = d };

    if (cpn_tls_new(&d->tls, d->loop, fd, &opts, &d->err) < 0)
        finish(d);
}

/* --- TCP ------------------------------------------------------------------------------------ */

static void
explain_connect(cpn_dial *d)
{
    int e = d->last_error;

    if (e == ECONNREFUSED)
        cpn_fail(&d->err, CPN_UNAVAILABLE,
                 "%s refuses connections on port %u; is the gateway running?", d->host, d->port);
    else if (e == ETIMEDOUT || e == 0)
        cpn_fail(&d->err, CPN_UNAVAILABLE, "%s does not answer on port %u", d->host, d->port);
    else
        cpn_fail(&d->err, CPN_UNAVAILABLE, "cannot connect to %s port %u: %s", d->host, d->port,
                 strerror(e));
}

static void
attempt_failed(cpn_dial *d, int error)
{
    if (error != 0)
        d->last_error = error;
    if (d->tried < d->addresses) {
        try_next(d);
    } else if (d->running == 0 && !d->tls) {
        explain_connect(d);
        finish(d);
    }
}

static void
on_connected(uv_poll_t *poll, int status, int events)
{
    attempt *a = poll->data;
    cpn_dial *d = a->dial;
    int error = 0, fd;
    socklen_t n = sizeof(error);

    (void)status;
    (void)events;
    getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &n);
    if (error != 0) {
        for (int i = 0; i < CPN_DIAL_ADDRESSES; i++)
            if (d->open[i] == a)
                drop_attempt(d, i);
        attempt_failed(d, error);
        return;
    }
    /* The winner's descriptor goes on under a new watcher. */
    fd = fcntl(a->fd, F_DUPFD_CLOEXEC, 3);
    for (int i = 0; i < CPN_DIAL_ADDRESSES; i++)
        drop_attempt(d, i);
    uv_timer_stop(&d->next);
    start_tls(d, fd);
}

static void
on_next(uv_timer_t *timer)
{
    cpn_dial *d = timer->data;

    if (d->tried < d->addresses)
        try_next(d);
}

/* Begin one connect; returns 0 or an errno. */
static int
begin(cpn_dial *d, const struct sockaddr_storage *to)
{
    socklen_t n =
        to->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    CPN_AUTO(cpn_auto_fd)
    int fd = socket(to->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    attempt *a;

    if (fd < 0 || (connect(fd, (const struct sockaddr *)to, n) < 0 && errno != EINPROGRESS))
        return errno;
    a = calloc(1, sizeof(*a));
    if (!a || uv_poll_init(cpn_loop_uv(d->loop), &a->poll, fd) < 0) {
        free(a);
        return ENOMEM;
    }
    a->fd = cpn_steal_fd(&fd);
    a->dial = d;
    a->poll.data = a;
    d->refs++;
    d->running++;
    d->open[d->tried - 1] = a;
    uv_poll_start(&a->poll, UV_WRITABLE, on_connected);
    return 0;
}

static void
try_next(cpn_dial *d)
{
    while (d->tried < d->addresses) {
        int error = begin(d, &d->address[d->tried++]);

        if (error == 0) {
            uv_timer_start(&d->next, on_next, CPN_DIAL_NEXT_MS, 0);
            return;
        }
        d->last_error = error;
    }
    if (d->running == 0)
        attempt_failed(d, 0);
}

/* --- the name ------------------------------------------------------------------------------- */

static void
on_lookup(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
    cpn_dial *d = req->data;

    d->looking = false;
    if (d->finished) {
        uv_freeaddrinfo(list);
        release(d);
        return;
    }
    for (struct addrinfo *a = list; a && d->addresses < CPN_DIAL_ADDRESSES; a = a->ai_next)
        if (a->ai_addrlen <= sizeof(d->address[0]))
            memcpy(&d->address[d->addresses++], a->ai_addr, a->ai_addrlen);
    uv_freeaddrinfo(list);
    if (status < 0 || d->addresses == 0) {
        cpn_fail(&d->err, CPN_UNAVAILABLE, "the name %s cannot be resolved: %s", d->host,
                 status < 0 ? uv_strerror(status) : "it has no address");
        finish(d);
    } else {
        try_next(d);
    }
    release(d);
}

static void
on_deadline(uv_timer_t *timer)
{
    cpn_dial *d = timer->data;

    if (d->finished)
        return;
    cpn_tls_free(cpn_steal(&d->tls));
    if (d->looking)
        cpn_fail(&d->err, CPN_UNAVAILABLE, "the name %s was not resolved in time", d->host);
    else
        cpn_fail(&d->err, CPN_UNAVAILABLE, "%s does not answer on port %u", d->host, d->port);
    finish(d);
}

static cpn_rc
dial_check(const cpn_dial_to *to, cpn_err *err)
{
    if (!to->host || !*to->host || strlen(to->host) >= sizeof(((cpn_dial *)0)->host))
        return cpn_fail(err, CPN_INVALID, "no host name, or a longer one than 255 bytes");
    return CPN_OK;
}

cpn_rc
cpn_dial_start(cpn_dial **out, cpn_loop *loop, const cpn_dial_to *to, cpn_dial_done *done,
               void *owner, cpn_err *err)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    char port[8];
    cpn_dial *d;
    cpn_rc rc;
    int failed;

    if ((rc = dial_check(to, err)) != CPN_OK)
        return rc;
    if (!(d = calloc(1, sizeof(*d))))
        return cpn_fail(err, CPN_E_NOMEM, "dial");
    d->loop = loop;
    snprintf(d->host, sizeof(d->host), "%s", to->host);
    d->port = to->port;
    d->ctx = cpn_tls_ctx_ref(to->ctx);
    d->done = done;
    d->owner = owner;
    d->finish.fn = call_done;
    uv_timer_init(cpn_loop_uv(loop), &d->next);
    uv_timer_init(cpn_loop_uv(loop), &d->deadline);
    d->next.data = d->deadline.data = d->lookup.data = d;
    d->refs = 3;
    d->looking = true;
    uv_timer_start(&d->deadline, on_deadline, to->timeout_ms ? to->timeout_ms : TIMEOUT_MS, 0);
    snprintf(port, sizeof(port), "%u", to->port);
    failed = uv_getaddrinfo(cpn_loop_uv(loop), &d->lookup, on_lookup, d->host, port, &hints);
    if (failed < 0) {
        d->refs--;
        d->looking = false;
        cpn_fail(&d->err, CPN_E_SYS, "looking up %s: %s", d->host, uv_strerror(failed));
        finish(d);
    }
    *out = d;
    return CPN_OK;
}

void
cpn_dial_cancel(cpn_dial *d)
{
    if (!d)
        return;
    d->finished = true;
    cpn_tls_free(cpn_steal(&d->tls));
    wind_up(d);
}
