/* From a host name to a verified TLS connection: look-up, a race of addresses, proxy, handshake. */
#include "net/dial.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/proxy.h"

#define TIMEOUT_MS 15000

/* One address being tried. Lives until libuv has closed its handle. */
typedef struct attempt {
    uv_poll_t poll;
    cpn_dial *dial;
    int fd;
} attempt;

struct cpn_dial {
    cpn_loop *loop;
    char host[CPN_URL_HOST_SIZE];
    uint16_t port;
    cpn_proxy proxy;       /* host "": none */
    const char *near_host; /* whom we connect to: the proxy, or the host itself */
    uint16_t near_port;
    cpn_proxy_hop *hop;
    cpn_dial_trace *trace; /* own, unless somebody wants it */
    cpn_dial_trace own_trace;
    uint64_t stage_ms;
    cpn_tls_ctx *ctx;
    cpn_dial_done *done;
    void *owner;
    uv_getaddrinfo_t lookup;
    uv_timer_t next;
    uv_timer_t deadline;
    cpn_later finish;
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
    cpn_proxy_wipe(&d->proxy);
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
    cpn_proxy_hop_cancel(cpn_steal(&d->hop));
    cpn_loop_not_later(d->loop, &d->finish);
    uv_close((uv_handle_t *)&d->next, timer_closed);
    uv_close((uv_handle_t *)&d->deadline, timer_closed);
}

/* The one who wanted it may be gone after this. */
static void
leave_trace(cpn_dial *d)
{
    d->own_trace = *d->trace;
    d->trace = &d->own_trace;
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
    leave_trace(d);
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

static void
advance(cpn_dial *d, cpn_dial_stage next)
{
    uint64_t now = cpn_loop_now_ms(d->loop);

    d->trace->ms[d->trace->stage] = (unsigned)(now - d->stage_ms);
    d->trace->stage = next;
    d->stage_ms = now;
}

/* "the proxy " in front of its name. */
static const char *
whom(const cpn_dial *d)
{
    return d->near_host == d->host ? "" : "the proxy ";
}

/* --- TLS ------------------------------------------------------------------------------------ */

static void
on_ready(void *owner, cpn_tls *t)
{
    cpn_dial *d = owner;

    (void)t;
    advance(d, CPN_DIAL_DONE);
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

    advance(d, CPN_DIAL_TLS);
    if (cpn_tls_new(&d->tls, d->loop, fd, &opts, &d->err) < 0)
        finish(d);
}

/* --- the proxy ------------------------------------------------------------------------------ */

static void
on_way(void *owner, CPN_TAKES int fd, const cpn_err *err)
{
    cpn_dial *d = owner;

    d->hop = NULL;
    if (fd >= 0) {
        start_tls(d, fd);
        return;
    }
    d->err = *err;
    finish(d);
}

static void
start_beyond_tcp(cpn_dial *d, CPN_TAKES int fd)
{
    cpn_proxy_ask ask = {
        .proxy = &d->proxy, .host = d->host, .port = d->port, .done = on_way, .owner = d
    };

    if (d->near_host == d->host) {
        start_tls(d, fd);
        return;
    }
    advance(d, CPN_DIAL_PROXY);
    if (cpn_proxy_hop_start(&d->hop, d->loop, fd, &ask, &d->err) != CPN_OK)
        finish(d);
}

/* --- TCP ------------------------------------------------------------------------------------ */

static void
explain_connect(cpn_dial *d)
{
    int e = d->last_error;

    if (e == ECONNREFUSED)
        cpn_fail(&d->err, CPN_UNAVAILABLE, "%s%s refuses connections on port %u%s", whom(d),
                 d->near_host, d->near_port,
                 d->near_host == d->host ? "; is the gateway running?" : "");
    else if (e == ETIMEDOUT || e == 0)
        cpn_fail(&d->err, CPN_UNAVAILABLE, "%s%s does not answer on port %u", whom(d), d->near_host,
                 d->near_port);
    else
        cpn_fail(&d->err, CPN_UNAVAILABLE, "cannot connect to %s%s port %u: %s", whom(d),
                 d->near_host, d->near_port, strerror(e));
}

static void
attempt_failed(cpn_dial *d, int error)
{
    if (error != 0)
        d->last_error = error;
    if (d->tried < d->trace->addresses) {
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
    int error = 0, at = 0, fd;
    socklen_t n = sizeof(error);

    (void)status;
    (void)events;
    if (d->finished) /* the deadline came in the same turn */
        return;
    while (d->open[at] != a)
        at++;
    getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &n);
    if (error != 0) {
        d->trace->error[at] = error;
        drop_attempt(d, at);
        attempt_failed(d, error);
        return;
    }
    d->trace->connected = at;
    /* The winner's descriptor goes on under a new watcher. */
    fd = fcntl(a->fd, F_DUPFD_CLOEXEC, 3);
    for (int i = 0; i < CPN_DIAL_ADDRESSES; i++)
        drop_attempt(d, i);
    uv_timer_stop(&d->next);
    start_beyond_tcp(d, fd);
}

static void
on_next(uv_timer_t *timer)
{
    cpn_dial *d = timer->data;

    if (d->tried < d->trace->addresses)
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
    while (d->tried < d->trace->addresses) {
        int error = begin(d, &d->trace->address[d->tried++]);

        if (error == 0) {
            uv_timer_start(&d->next, on_next, CPN_DIAL_NEXT_MS, 0);
            return;
        }
        d->last_error = d->trace->error[d->tried - 1] = error;
    }
    if (d->running == 0)
        attempt_failed(d, 0);
}

/* --- the name ------------------------------------------------------------------------------- */

/* Take addresses so that families alternate, beginning with that of the first (RFC 8305 4): a
 * network whose IPv6 leads nowhere costs one pause, not one an address. */
static void
take_addresses(cpn_dial_trace *t, const struct addrinfo *list)
{
    int family = list ? list->ai_family : AF_UNSPEC;
    const struct addrinfo *same = list, *other = list;

    while ((same || other) && t->addresses < CPN_DIAL_ADDRESSES) {
        const struct addrinfo **from = t->addresses % 2 == 0 ? &same : &other;

        while (same && (same->ai_family != family || same->ai_addrlen > sizeof(t->address[0])))
            same = same->ai_next;
        while (other && (other->ai_family == family || other->ai_addrlen > sizeof(t->address[0])))
            other = other->ai_next;
        if (!*from)
            from = from == &same ? &other : &same;
        if (!*from)
            return;
        memcpy(&t->address[t->addresses++], (*from)->ai_addr, (*from)->ai_addrlen);
        *from = (*from)->ai_next;
    }
}

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
    take_addresses(d->trace, list);
    uv_freeaddrinfo(list);
    if (status < 0 || d->trace->addresses == 0) {
        cpn_fail(&d->err, CPN_UNAVAILABLE, "the name %s%s%s cannot be resolved: %s",
                 d->near_host == d->host ? "" : "of ", whom(d), d->near_host,
                 status < 0 ? uv_strerror(status) : "it has no address");
        finish(d);
    } else {
        advance(d, CPN_DIAL_TCP);
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
        cpn_fail(&d->err, CPN_UNAVAILABLE, "the name %s was not resolved in time", d->near_host);
    else if (d->hop)
        cpn_fail(&d->err, CPN_UNAVAILABLE, "the proxy %s gave no answer in time", d->near_host);
    else if (d->trace->stage == CPN_DIAL_TLS)
        cpn_fail(&d->err, CPN_UNAVAILABLE, "%s port %u: the TLS handshake took too long", d->host,
                 d->port);
    else
        cpn_fail(&d->err, CPN_UNAVAILABLE, "%s%s does not answer on port %u", whom(d), d->near_host,
                 d->near_port);
    finish(d);
}

static cpn_rc
dial_check(const cpn_dial_to *to, cpn_err *err)
{
    if (!to->host || !*to->host || strlen(to->host) >= sizeof(((cpn_dial *)0)->host))
        return cpn_fail(err, CPN_INVALID, "no host name, or a longer one than 255 bytes");
    return CPN_OK;
}

static void
take_order(cpn_dial *d, const cpn_dial_to *to)
{
    snprintf(d->host, sizeof(d->host), "%s", to->host);
    d->port = d->near_port = to->port;
    d->near_host = d->host;
    if (to->proxy && to->proxy->url.host[0]) {
        d->proxy = *to->proxy;
        d->near_host = d->proxy.url.host;
        d->near_port = d->proxy.url.port;
    }
    d->trace = to->trace ? to->trace : &d->own_trace;
    *d->trace = (cpn_dial_trace){ .connected = -1 };
    d->ctx = cpn_tls_ctx_ref(to->ctx);
}

/* The first lookup starts threads, which live on: signals are for the one that knows when it may be
 * ended (client/process.h). */
static int
look_up(cpn_dial *d, const char *port)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    sigset_t all, before;
    int rc;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = uv_getaddrinfo(cpn_loop_uv(d->loop), &d->lookup, on_lookup, d->near_host, port, &hints);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

static void
start_lookup(cpn_dial *d)
{
    char port[8];
    int failed;

    d->looking = true;
    snprintf(port, sizeof(port), "%u", d->near_port);
    if ((failed = look_up(d, port)) == 0)
        return;
    d->refs--;
    d->looking = false;
    cpn_fail(&d->err, CPN_E_SYS, "looking up %s: %s", d->near_host, uv_strerror(failed));
    finish(d);
}

cpn_rc
cpn_dial_start(cpn_dial **out, cpn_loop *loop, const cpn_dial_to *to, cpn_dial_done *done,
               void *owner, cpn_err *err)
{
    cpn_dial *d;
    cpn_rc rc;

    if ((rc = dial_check(to, err)) != CPN_OK)
        return rc;
    if (!(d = calloc(1, sizeof(*d))))
        return cpn_fail(err, CPN_E_NOMEM, "dial");
    d->loop = loop;
    take_order(d, to);
    d->done = done;
    d->owner = owner;
    d->finish.fn = call_done;
    uv_timer_init(cpn_loop_uv(loop), &d->next);
    uv_timer_init(cpn_loop_uv(loop), &d->deadline);
    d->next.data = d->deadline.data = d->lookup.data = d;
    d->refs = 3;
    d->stage_ms = cpn_loop_now_ms(loop);
    uv_timer_start(&d->deadline, on_deadline, to->timeout_ms ? to->timeout_ms : TIMEOUT_MS, 0);
    start_lookup(d);
    *out = d;
    return CPN_OK;
}

void
cpn_dial_cancel(cpn_dial *d)
{
    if (!d)
        return;
    d->finished = true;
    leave_trace(d);
    cpn_tls_free(cpn_steal(&d->tls));
    wind_up(d);
}
