/* The life of a TLS connection: set-up, ownership, shutdown, release. */
#include "net/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/tls_priv.h"

#define HANDSHAKE_MS 5000

void
cpn_tls_ending(cpn_tls *t, cpn_tls_end why, const char *fmt, ...)
{
    va_list ap;

    if (t->end != CPN_TLS_END_NONE)
        return;
    t->end = why;
    t->end_err = calloc(1, sizeof(*t->end_err));
    cpn_loop_later(t->loop, &t->deliver, CPN_LATER_FIRST);
    if (!t->end_err)
        return;
    t->end_err->rc = why == CPN_TLS_END_FAILED ? CPN_E_CRYPTO : CPN_UNAVAILABLE;
    va_start(ap, fmt);
    vsnprintf(t->end_err->msg, sizeof(t->end_err->msg), fmt, ap);
    va_end(ap);
}

/* The last thing a callback of ours does: t may be freed by the owner. */
static void
tell_end(cpn_tls *t)
{
    static const cpn_err nothing = { .rc = CPN_UNAVAILABLE, .msg = "the connection ended" };

    if (t->end == CPN_TLS_END_NONE || t->end_told || t->dead || !t->events)
        return;
    if (t->paused && t->end <= CPN_TLS_END_TRUNCATED)
        return; /* bytes may wait that come first */
    t->end_told = true;
    uv_timer_stop(&t->timer);
    t->events->on_end(t->owner, t, t->end, t->end_err ? t->end_err : &nothing);
}

/* The end of every callback of ours. */
static void
settle(cpn_tls *t)
{
    t->busy = false;
    cpn_tls_watch(t);
    tell_end(t);
}

static void
on_poll(uv_poll_t *poll, int status, int events)
{
    cpn_tls *t = poll->data;

    if (t->dead)
        return;
    t->busy = true;
    if (status < 0) {
        /* libuv stopped watching; recv will say why. */
        t->polled = 0;
        events = UV_READABLE | UV_WRITABLE;
    }
    if ((events & UV_WRITABLE) && t->out)
        cpn_tls_send(t);
    if ((events & UV_READABLE) && t->end == CPN_TLS_END_NONE && !t->paused) {
        cpn_tls_recv(t);
        cpn_tls_digest(t);
    }
    settle(t);
}

void
cpn_tls_watch(cpn_tls *t)
{
    int want = 0;

    if (t->dead || t->busy)
        return;
    if (!t->paused && t->end == CPN_TLS_END_NONE && cpn_tls_thirsty(t))
        want |= UV_READABLE;
    if (t->stuck && cpn_tls_writable(t))
        want |= UV_WRITABLE;
    if (want == t->polled)
        return;
    t->polled = want;
    if (want)
        uv_poll_start(&t->poll, want, on_poll);
    else
        uv_poll_stop(&t->poll);
}

static void
on_deadline(uv_timer_t *timer)
{
    cpn_tls *t = timer->data;

    cpn_tls_ending(t, CPN_TLS_END_TIMEOUT, "the TLS handshake took too long");
    settle(t);
}

static void
deliver_later(cpn_later *l)
{
    cpn_tls *t = cpn_container_of(l, cpn_tls, deliver);

    t->busy = true;
    if (!t->dead && !t->paused)
        cpn_tls_digest(t);
    settle(t);
}

static void
room_later(cpn_later *l)
{
    cpn_tls *t = cpn_container_of(l, cpn_tls, room);

    if (t->dead || !t->events || !t->events->on_room)
        return;
    t->room_wanted = false;
    t->events->on_room(t->owner, t);
}

static void
flush_later(cpn_later *l)
{
    cpn_tls *t = cpn_container_of(l, cpn_tls, flush);

    if (t->dead)
        return;
    cpn_tls_flush(t);
}

static void
tls_handle_closed(uv_handle_t *h)
{
    cpn_tls *t = h->data;

    if (--t->open_handles > 0)
        return;
    if (t->fd >= 0)
        close(t->fd);
    SSL_free(t->ssl);
    cpn_tls_ctx_free(t->ctx);
    cpn_buf_fini(&t->backlog);
    free(t->end_err);
    free(t);
}

static void
reap(cpn_later *l)
{
    cpn_tls *t = cpn_container_of(l, cpn_tls, reap);
    cpn_pool *pool = cpn_loop_pool(t->loop);

    cpn_pool_give(pool, &t->in);
    cpn_pool_give(pool, &t->out);
    uv_close((uv_handle_t *)&t->poll, tls_handle_closed);
    uv_close((uv_handle_t *)&t->timer, tls_handle_closed);
}

void
cpn_tls_free(cpn_tls *t)
{
    if (!t || t->dead)
        return;
    if (t->ready && !t->shut_tls && cpn_tls_writable(t) && !t->stuck) {
        ERR_clear_error();
        t->shut_tls = true;
        SSL_shutdown(t->ssl);
    }
    if (cpn_tls_writable(t))
        cpn_tls_send(t);
    t->dead = true;
    shutdown(t->fd, SHUT_RDWR);
    cpn_loop_not_later(t->loop, &t->deliver);
    cpn_loop_not_later(t->loop, &t->flush);
    cpn_loop_not_later(t->loop, &t->room);
    uv_poll_stop(&t->poll);
    uv_timer_stop(&t->timer);
    cpn_loop_later(t->loop, &t->reap, CPN_LATER_FREE);
}

static void
tune_socket(int fd, unsigned timeout)
{
    int on = 1, lowat = CPN_TLS_NOTSENT_LOWAT;

    /* Refused on sockets that are not TCP (tests): nothing depends on them being set. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof(timeout));
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof(lowat));
}

static bool
is_address(const char *name)
{
    uint8_t bin[16];

    return inet_pton(AF_INET, name, bin) == 1 || inet_pton(AF_INET6, name, bin) == 1;
}

static cpn_rc
expect_name(SSL *ssl, const char *name, cpn_err *err)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

    if (!name || !*name)
        return cpn_fail(err, CPN_E_CRYPTO, "no host name to verify");
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (is_address(name) ? X509_VERIFY_PARAM_set1_ip_asc(param, name) != 1
                         : X509_VERIFY_PARAM_set1_host(param, name, 0) != 1 ||
                               SSL_set_tlsext_host_name(ssl, name) != 1)
        return cpn_fail(err, CPN_E_CRYPTO, "'%s' cannot be a host name", name);
    return CPN_OK;
}

static cpn_rc
set_up_ssl(cpn_tls *t, const cpn_tls_opts *opts, cpn_err *err)
{
    BIO *bio;
    cpn_rc rc;

    ERR_clear_error();
    t->ssl = SSL_new(t->ctx->ssl);
    bio = t->ssl ? cpn_tls_bio_new(t) : NULL;
    if (!bio)
        return cpn_fail(err, CPN_E_NOMEM, "TLS connection");
    SSL_set_bio(t->ssl, bio, bio);
    if (t->ctx->server) {
        SSL_set_accept_state(t->ssl);
        return CPN_OK;
    }
    SSL_set_connect_state(t->ssl);
    SSL_set_app_data(t->ssl, t);
    SSL_set_verify(t->ssl, SSL_VERIFY_PEER, cpn_tls_verify);
    if ((rc = expect_name(t->ssl, opts->server_name, err)) < 0)
        return rc;
    return CPN_OK;
}

static void
free_unopened(cpn_tls **t)
{
    if (!*t)
        return;
    SSL_free((*t)->ssl);
    cpn_tls_ctx_free((*t)->ctx);
    free(*t);
}

cpn_rc
cpn_tls_new(cpn_tls **out, cpn_loop *loop, CPN_TAKES int fd, const cpn_tls_opts *opts, cpn_err *err)
{
    CPN_AUTO(cpn_auto_fd) int owned = fd;
    CPN_AUTO(free_unopened) cpn_tls *t = calloc(1, sizeof(*t));
    unsigned deadline = opts->handshake_ms ? opts->handshake_ms : HANDSHAKE_MS;
    int rc;

    if (!t)
        return cpn_fail(err, CPN_E_NOMEM, "TLS connection");
    t->loop = loop;
    t->ctx = cpn_tls_ctx_ref(opts->ctx);
    t->events = opts->events;
    t->owner = opts->owner;
    t->deliver.fn = deliver_later;
    t->flush.fn = flush_later;
    t->room.fn = room_later;
    t->reap.fn = reap;
    t->appetite = CPN_TLS_APPETITE_MIN;
    t->intake = CPN_TLS_INTAKE_MIN;
    if ((rc = set_up_ssl(t, opts, err)) < 0)
        return rc;
    if ((rc = uv_poll_init(cpn_loop_uv(loop), &t->poll, fd)) < 0)
        return cpn_fail(err, CPN_E_SYS, "watching a connection: %s", uv_strerror(rc));
    uv_timer_init(cpn_loop_uv(loop), &t->timer);
    t->poll.data = t->timer.data = t;
    t->open_handles = 2;
    t->fd = cpn_steal_fd(&owned);
    tune_socket(t->fd, cpn_loop_stall_ms(loop));
    uv_timer_start(&t->timer, on_deadline, deadline, 0);
    if (!t->ctx->server)
        cpn_loop_later(loop, &t->deliver, CPN_LATER_FIRST);
    cpn_tls_watch(t);
    *out = cpn_steal(&t);
    return CPN_OK;
}

void
cpn_tls_set_owner(cpn_tls *t, const cpn_tls_events *events, void *owner)
{
    t->events = events;
    t->owner = owner;
    cpn_loop_later(t->loop, &t->deliver, CPN_LATER_FIRST);
}

void
cpn_tls_pause(cpn_tls *t, bool paused)
{
    if (t->paused == paused || t->dead)
        return;
    t->paused = paused;
    if (!paused)
        cpn_loop_later(t->loop, &t->deliver, CPN_LATER_FIRST);
    cpn_tls_watch(t);
}

void
cpn_tls_flush(cpn_tls *t)
{
    if (t->dead || t->stuck)
        return;
    cpn_tls_send(t);
    cpn_tls_watch(t);
}

size_t
cpn_tls_unsent(const cpn_tls *t)
{
    return (t->out ? t->out->n : 0) + t->backlog.n - t->backlog_at;
}

size_t
cpn_tls_untaken(const cpn_tls *t)
{
    int kernel = 0;

    ioctl(t->fd, SIOCOUTQ, &kernel);
    return cpn_tls_unsent(t) + (size_t)CPN_MAX(kernel, 0);
}

void
cpn_tls_shutdown(cpn_tls *t)
{
    t->shut_wanted = true;
    cpn_loop_later(t->loop, &t->flush, CPN_LATER_BULK);
}

int
cpn_tls_fd(const cpn_tls *t)
{
    return t->fd;
}

const char *
cpn_tls_version(const cpn_tls *t)
{
    return SSL_get_version(t->ssl);
}

bool
cpn_tls_exporter(const cpn_tls *t, uint8_t out[32])
{
    static const char label[] = "EXPORTER-Channel-Binding";

    ERR_clear_error();
    /* RFC 9266 4.2, RFC 7627: without it two connections of TLS 1.2 can be given one secret. */
    if (SSL_version(t->ssl) < TLS1_3_VERSION && SSL_get_extms_support(t->ssl) != 1)
        return false;
    return t->ready && SSL_export_keying_material(t->ssl, out, 32, label, sizeof(label) - 1,
                                                  (const uint8_t *)"", 0, 1) == 1;
}
