/* Chooses the HTTP proxy that the environment names and asks it for a way to the gateway. */
#include "net/proxy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "codec/chars.h"
#include "codec/httphead.h"
#include "model/addr.h"

#define REQUEST_MAX 16384u /* a head with the longest host and credentials */

/* ---- which one ---- */

/* The first of the variables that is set and not empty; *name is which. */
static const char *
environment(const char *const *names, const char **name)
{
    for (; *names; names++) {
        const char *value = getenv(*names);

        *name = *names;
        if (value && value[0])
            return value;
    }
    return NULL;
}

/* "10.0.0.0/8"; bits behind the length do not matter. */
static bool
prefix_holds(cpn_view part, const cpn_addr *a)
{
    cpn_view head, tail;
    cpn_prefix p;
    uint64_t len;

    if (!cpn_view_cut(part, '/', &head, &tail) || cpn_addr_parse(&p.addr, head, NULL) != CPN_OK)
        return false;
    if (!cpn_view_u64(tail, memchr(head.p, ':', head.n) ? 128 : 32, &len))
        return false;
    p.len = (uint8_t)(memchr(head.p, ':', head.n) ? len : len + 96);
    for (unsigned i = p.len; i < 128; i++)
        p.addr.b[i / 8] &= (uint8_t) ~(0x80u >> i % 8);
    return cpn_prefix_holds(&p, a);
}

/* The host is this name or below it. */
static bool
below(cpn_view host, cpn_view name)
{
    cpn_view end;

    if (name.n > 1 && name.p[0] == '*' && name.p[1] == '.')
        name = cpn_view_skip(name, 2);
    else if (name.n > 0 && name.p[0] == '.')
        name = cpn_view_skip(name, 1);
    if (name.n > 0 && name.p[name.n - 1] == '.')
        name.n--;
    if (name.n == 0 || name.n > host.n)
        return false;
    end = cpn_view_skip(host, host.n - name.n);
    if (strncasecmp((const char *)end.p, (const char *)name.p, name.n) != 0)
        return false;
    return name.n == host.n || host.p[host.n - name.n - 1] == '.';
}

/* Cut ":PORT" off; false: it is for another port. An IPv6 address has its own colons, unless it
 * stands in brackets. */
static bool
port_fits(cpn_view *part, uint16_t port)
{
    const uint8_t *first = memchr(part->p, ':', part->n);
    const uint8_t *close = memrchr(part->p, ']', part->n);
    const uint8_t *colon = close ? close + 1 : first;
    uint64_t only;
    size_t at;

    if (!close && (!first || memrchr(part->p, ':', part->n) != first))
        return true;
    at = (size_t)(colon - part->p);
    if (at < part->n && (*colon != ':' ||
                         !cpn_view_u64(cpn_view_skip(*part, at + 1), 65535, &only) || only != port))
        return false;
    part->n = close ? at - 1 : at;
    if (close && part->n > 0 && part->p[0] == '[')
        *part = cpn_view_skip(*part, 1);
    return true;
}

/* The list's next part; false: none is left. */
static bool
next_part(cpn_view *list, cpn_view *part)
{
    size_t n = 0;

    while (list->n > 0 && memchr(", \t", list->p[0], 3))
        *list = cpn_view_skip(*list, 1);
    while (n < list->n && !memchr(", \t", list->p[n], 3))
        n++;
    *part = (cpn_view){ list->p, n };
    *list = cpn_view_skip(*list, n);
    return n > 0;
}

bool
cpn_proxy_spared(cpn_view list, const char *host, uint16_t port)
{
    cpn_view name = cpn_view_str(host), part;
    cpn_addr address, listed;
    bool numeric = cpn_addr_parse(&address, name, NULL) == CPN_OK;

    if (name.n > 1 && name.p[name.n - 1] == '.')
        name.n--;
    while (next_part(&list, &part)) {
        if (cpn_view_is(part, "*") || (numeric && prefix_holds(part, &address)))
            return true;
        if (!port_fits(&part, port))
            continue;
        if (numeric
                ? cpn_addr_parse(&listed, part, NULL) == CPN_OK && cpn_addr_eq(&listed, &address)
                : below(name, part))
            return true;
    }
    return false;
}

cpn_rc
cpn_proxy_choose(cpn_proxy *out, const char *host, uint16_t port, cpn_err *err)
{
    static const char *const with[] = { "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY",
                                        NULL };
    static const char *const without[] = { "no_proxy", "NO_PROXY", NULL };
    const char *name, *ignored;
    const char *value = environment(with, &name);
    const char *spared = environment(without, &ignored);
    cpn_rc rc;

    memset(out, 0, sizeof(*out));
    if (!value || (spared && cpn_proxy_spared(cpn_view_str(spared), host, port)))
        return CPN_OK;
    rc = cpn_proxy_parse(out, cpn_view_str(value), err);
    return rc == CPN_OK ? rc : cpn_ctx(err, rc, "%s", name);
}

/* ---- the way through it ---- */

struct cpn_proxy_hop {
    cpn_loop *loop;
    uv_poll_t poll;
    int fd;
    char name[CPN_URL_HOSTPORT_SIZE]; /* of the proxy */
    char to[CPN_URL_HOST_SIZE + 16];  /* "host port N" for sentences */
    bool basic;                       /* credentials were sent */
    cpn_buf request;
    size_t sent;
    uint8_t answer[CPN_PROXY_HEAD_MAX];
    size_t answer_n;
    cpn_proxy_done *done;
    void *owner;
    cpn_later finish;
    cpn_err err;
};

static void
poll_closed(uv_handle_t *handle)
{
    cpn_proxy_hop *h = handle->data;

    if (h->fd >= 0)
        close(h->fd);
    cpn_buf_fini(&h->request);
    free(h);
}

static void
put_away(cpn_proxy_hop *h)
{
    cpn_loop_not_later(h->loop, &h->finish);
    uv_close((uv_handle_t *)&h->poll, poll_closed);
}

/* The descriptor goes on under another watcher: hand out a duplicate. */
static void
call_done(cpn_later *l)
{
    cpn_proxy_hop *h = cpn_container_of(l, cpn_proxy_hop, finish);
    int fd = h->err.rc == CPN_OK ? fcntl(h->fd, F_DUPFD_CLOEXEC, 3) : -1;
    cpn_proxy_done *done = h->done;
    void *owner = h->owner;
    cpn_err err = h->err;

    if (fd < 0 && err.rc == CPN_OK)
        cpn_fail(&err, CPN_E_SYS, "no descriptor: %s", strerror(errno));
    put_away(h);
    done(owner, fd, &err);
}

static void
finish(cpn_proxy_hop *h)
{
    uv_poll_stop(&h->poll);
    cpn_loop_later(h->loop, &h->finish, CPN_LATER_BULK);
}

static void
explain_sign_in(cpn_proxy_hop *h, const cpn_proxy_answer *a)
{
    if (!a->asks_basic && a->asks_others)
        cpn_fail(
            &h->err, CPN_DENIED,
            "the proxy %s wants a sign-in (407) of a kind that is not supported; only Basic is",
            h->name);
    else if (h->basic)
        cpn_fail(&h->err, CPN_DENIED,
                 "the proxy %s refuses the user name and password (407) that the environment has",
                 h->name);
    else
        cpn_fail(&h->err, CPN_DENIED,
                 "the proxy %s wants a sign-in (407); set "
                 "https_proxy=http://USER:PASSWORD@%s",
                 h->name, h->name);
}

static void
explain(cpn_proxy_hop *h, const cpn_proxy_answer *a)
{
    if (a->status == 407)
        explain_sign_in(h, a);
    else if (a->status >= 500)
        cpn_fail(&h->err, CPN_UNAVAILABLE, "the proxy %s cannot reach %s: %d %s", h->name, h->to,
                 a->status, cpn_http_phrase(a->status));
    else
        cpn_fail(&h->err, CPN_DENIED, "the proxy %s does not let us connect to %s: %d %s", h->name,
                 h->to, a->status, cpn_http_phrase(a->status));
}

static void
judge(cpn_proxy_hop *h)
{
    cpn_proxy_answer a;
    cpn_rc rc = cpn_proxy_answer_parse((cpn_view){ h->answer, h->answer_n }, &a, &h->err);

    if (rc == CPN_AGAIN)
        return;
    if (rc != CPN_OK)
        cpn_ctx(&h->err, rc, "the proxy %s", h->name);
    else if (a.status >= 300)
        explain(h, &a);
    else if (a.used != h->answer_n) /* TLS begins with us: these are not the gateway's bytes */
        cpn_fail(&h->err, CPN_E_PROTO, "the proxy %s sent more than its answer", h->name);
    finish(h);
}

static void
take_answer(cpn_proxy_hop *h)
{
    ssize_t n = recv(h->fd, h->answer + h->answer_n, sizeof(h->answer) - h->answer_n, 0);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        cpn_fail(&h->err, CPN_UNAVAILABLE,
                 "the proxy %s ended the connection without an answer%s%s", h->name,
                 n < 0 ? ": " : "", n < 0 ? strerror(errno) : "");
        finish(h);
        return;
    }
    h->answer_n += (size_t)n;
    judge(h);
}

static void
on_poll(uv_poll_t *poll, int status, int events)
{
    cpn_proxy_hop *h = poll->data;
    ssize_t n = 0;

    if (h->sent < h->request.n && (status < 0 || (events & UV_WRITABLE))) {
        n = send(h->fd, h->request.p + h->sent, h->request.n - h->sent, MSG_NOSIGNAL);
        if (n > 0)
            h->sent += (size_t)n;
        if (h->sent == h->request.n) {
            cpn_buf_fini(&h->request);
            h->sent = 0;
            uv_poll_start(&h->poll, UV_READABLE, on_poll);
        }
    }
    /* A proxy that is gone is told by the next recv. */
    if (status < 0 || (events & UV_READABLE) || (n < 0 && errno != EAGAIN))
        take_answer(h);
}

static cpn_rc
fill(cpn_proxy_hop *h, const cpn_proxy_ask *ask, cpn_err *err)
{
    cpn_rc rc;

    cpn_url_hostport(&ask->proxy->url, h->name);
    snprintf(h->to, sizeof(h->to), "%s port %u", ask->host, ask->port);
    h->basic = ask->proxy->basic.n > 0;
    h->done = ask->done;
    h->owner = ask->owner;
    h->finish.fn = call_done;
    h->request.max = REQUEST_MAX;
    rc = cpn_proxy_connect_put(&h->request, ask->proxy, ask->host, ask->port);
    return rc == CPN_OK ? rc : cpn_fail(err, rc, "the request to the proxy %s", h->name);
}

cpn_rc
cpn_proxy_hop_start(cpn_proxy_hop **out, cpn_loop *loop, int fd, const cpn_proxy_ask *ask,
                    cpn_err *err)
{
    CPN_AUTO(cpn_auto_fd) int owned = fd;
    cpn_proxy_hop *h = cpn_xcalloc(1, sizeof(*h));
    cpn_rc rc = fill(h, ask, err);

    if (rc == CPN_OK && uv_poll_init(cpn_loop_uv(loop), &h->poll, fd) < 0)
        rc = cpn_fail(err, CPN_E_SYS, "the connection to the proxy cannot be watched");
    if (rc != CPN_OK) {
        cpn_buf_fini(&h->request);
        free(h);
        return rc;
    }
    h->loop = loop;
    h->fd = cpn_steal_fd(&owned);
    h->poll.data = h;
    uv_poll_start(&h->poll, UV_READABLE | UV_WRITABLE, on_poll);
    *out = h;
    return CPN_OK;
}

void
cpn_proxy_hop_cancel(cpn_proxy_hop *h)
{
    if (h)
        put_away(h);
}
