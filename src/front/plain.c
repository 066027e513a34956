/* A small TCP stream: what is left unconsumed is kept, what the kernel does not take is the
 * caller's. */
#include "front/plain.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "front/conn.h"

#define CHUNK 8192

struct cpn_plain {
    uv_poll_t poll;
    cpn_loop *loop;
    cpn_conn *conn;
    int fd;
    cpn_buf in;
    cpn_later again; /* unpaused: what was left comes first */
    bool paused;
    bool wants_room;
    bool over; /* on_end was called, or is not wanted any more */
};

static void watch(cpn_plain *p);

static void
end(cpn_plain *p, const char *why)
{
    p->over = true;
    uv_poll_stop(&p->poll);
    cpn_conn_on_end(p->conn, why);
}

static void
deliver(cpn_plain *p)
{
    size_t used;

    if (p->in.n == 0 || p->paused || p->over)
        return;
    used = cpn_conn_on_bytes(p->conn, p->in.p, p->in.n);
    if (p->over)
        return;
    cpn_buf_consume(&p->in, used);
    if (p->in.n == 0)
        cpn_buf_fini(&p->in);
}

static void
readable(cpn_plain *p)
{
    uint8_t *at;
    ssize_t n;

    if (cpn_buf_reserve(&p->in, CHUNK, &at) != CPN_OK) {
        end(p, "too much at once");
        return;
    }
    n = recv(p->fd, at, CHUNK, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        end(p, n == 0 ? "closed" : strerror(errno));
        return;
    }
    p->in.n += (size_t)n;
    deliver(p);
}

static void
ready(uv_poll_t *poll, int status, int events)
{
    cpn_plain *p = poll->data;

    if (status < 0) {
        end(p, uv_strerror(status));
        return;
    }
    if (events & UV_WRITABLE) {
        p->wants_room = false;
        cpn_conn_on_room(p->conn);
    }
    if ((events & UV_READABLE) && !p->over && !p->paused)
        readable(p);
    if (!p->over)
        watch(p);
}

static void
watch(cpn_plain *p)
{
    int events = (p->paused ? 0 : UV_READABLE) | (p->wants_room ? UV_WRITABLE : 0);

    if (p->over)
        return;
    if (events)
        uv_poll_start(&p->poll, events, ready);
    else
        uv_poll_stop(&p->poll);
}

static void
again(cpn_later *l)
{
    deliver(cpn_container_of(l, cpn_plain, again));
}

cpn_rc
cpn_plain_new(cpn_plain **out, cpn_loop *loop, CPN_TAKES int fd, cpn_conn *c, cpn_err *err)
{
    cpn_plain *p = cpn_xcalloc(1, sizeof(*p));
    int e = uv_poll_init(cpn_loop_uv(loop), &p->poll, fd);

    if (e < 0) {
        close(fd);
        free(p);
        return cpn_fail(err, CPN_E_SYS, "watching a connection: %s", uv_strerror(e));
    }
    p->poll.data = p;
    p->loop = loop;
    p->conn = c;
    p->fd = fd;
    p->in.max = CPN_PLAIN_IN_MAX;
    p->again.fn = again;
    watch(p);
    *out = p;
    return CPN_OK;
}

static void
closed(uv_handle_t *h)
{
    cpn_plain *p = h->data;

    close(p->fd);
    cpn_buf_fini(&p->in);
    free(p);
}

void
cpn_plain_free(cpn_plain *p)
{
    if (!p)
        return;
    p->over = true;
    cpn_loop_not_later(p->loop, &p->again);
    uv_close((uv_handle_t *)&p->poll, closed);
}

void
cpn_plain_pause(cpn_plain *p, bool paused)
{
    p->paused = paused;
    if (!paused && p->in.n > 0)
        cpn_loop_later(p->loop, &p->again, CPN_LATER_FIRST);
    watch(p);
}

size_t
cpn_plain_write(cpn_plain *p, const uint8_t *b, size_t n)
{
    ssize_t k = p->over ? -1 : send(p->fd, b, n, MSG_NOSIGNAL);

    if (k == (ssize_t)n)
        return n;
    /* A broken connection is noticed by reading. */
    p->wants_room = !p->over;
    watch(p);
    return k > 0 ? (size_t)k : 0;
}

void
cpn_plain_shutdown(cpn_plain *p)
{
    shutdown(p->fd, SHUT_WR);
}
