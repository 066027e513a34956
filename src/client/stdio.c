/* Copies between standard input and output and a socket, both ways, with half-close. */
#include "client/stdio.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define HELD 65536
#define PIPE_ATOMIC                                                                                \
    4096          /* a pipe or terminal that polls writable takes so much without blocking         \
                   */
#define ROUNDS 16 /* copies a turn */

typedef struct half {
    uint8_t *held;
    size_t from, to; /* held[from..to) is not written yet */
    bool eof;        /* of the source */
    bool done;       /* and told to the destination */
} half;

/* A descriptor that can be waited for, or one that is always ready (a file). */
typedef struct watched {
    int fd;
    bool polled;
    uv_poll_t poll;
} watched;

struct cpn_stdio {
    watched in, out, sock;
    int write_fd; /* out, or the same pipe opened again without blocking; owned when not out */
    bool is_socket, is_file;
    half up, down;
    bool over;
    uv_idle_t idle; /* turns while an unpolled descriptor is ready */
    unsigned handles;
    cpn_stdio_done *done;
    void *owner;
};

static void move(cpn_stdio *io);
static void await(watched *w, int events);

/* ---- output ---- */

static ssize_t
write_out(cpn_stdio *io, const uint8_t *p, size_t n)
{
    if (io->is_socket)
        return send(io->write_fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (io->write_fd == io->out.fd && !io->is_file)
        n = CPN_MIN(n, PIPE_ATOMIC);
    return write(io->write_fd, p, n);
}

/* The reader learns of the end, whatever else still holds descriptor 1. */
static void
close_out(cpn_stdio *io)
{
    int null;

    await(&io->out, 0);
    if (io->write_fd != io->out.fd)
        close(io->write_fd);
    io->write_fd = io->out.fd;
    if (io->is_socket) {
        shutdown(io->out.fd, SHUT_WR);
        return;
    }
    null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (null < 0)
        return;
    dup2(null, io->out.fd);
    close(null);
}

/* ---- one direction ---- */

static void
take_in(half *h, ssize_t n)
{
    if (n > 0) {
        h->from = 0;
        h->to = (size_t)n;
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        h->eof = true;
    }
}

/* False: the destination is broken. */
static bool
put_out(half *h, ssize_t n)
{
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    h->from += (size_t)n;
    return true;
}

/* Is something there? Reading a pipe or terminal without looking could block. */
static bool
readable(const watched *w)
{
    struct pollfd p = { .fd = w->fd, .events = POLLIN };

    return !w->polled || poll(&p, 1, 0) == 1;
}

static bool
writable(const cpn_stdio *io)
{
    struct pollfd p = { .fd = io->write_fd, .events = POLLOUT };

    return !io->out.polled || poll(&p, 1, 0) == 1;
}

static bool
move_up(cpn_stdio *io)
{
    half *h = &io->up;
    bool moved = false;

    if (!h->eof && h->from == h->to && readable(&io->in)) {
        take_in(h, read(io->in.fd, h->held, HELD));
        moved = h->from < h->to;
    }
    if (h->from < h->to) {
        if (!put_out(h, send(io->sock.fd, h->held + h->from, h->to - h->from,
                             MSG_DONTWAIT | MSG_NOSIGNAL))) {
            h->from = h->to = 0; /* nobody takes it any more; the other way tells why */
            h->eof = h->done = true;
        }
    }
    if (h->eof && h->from == h->to && !h->done) {
        shutdown(io->sock.fd, SHUT_WR);
        h->done = true;
    }
    return moved && h->from == h->to;
}

/* *broken: the output takes nothing any more. */
static bool
move_down(cpn_stdio *io, bool *broken)
{
    half *h = &io->down;
    bool moved = false;

    if (!h->eof && h->from == h->to) {
        take_in(h, recv(io->sock.fd, h->held, HELD, MSG_DONTWAIT));
        moved = h->from < h->to;
    }
    if (h->from < h->to && writable(io))
        *broken = !put_out(h, write_out(io, h->held + h->from, h->to - h->from));
    return moved && h->from == h->to;
}

/* ---- what to wait for ---- */

static void
on_event(uv_poll_t *poll, int status, int what)
{
    (void)status;
    (void)what;
    move(poll->data);
}

static void
on_idle(uv_idle_t *idle)
{
    move(idle->data);
}

static void
await(watched *w, int events)
{
    if (!w->polled)
        return;
    if (events)
        uv_poll_start(&w->poll, events, on_event);
    else
        uv_poll_stop(&w->poll);
}

static void
await_all(cpn_stdio *io)
{
    bool up_full = io->up.from < io->up.to, down_full = io->down.from < io->down.to;
    bool want_in = !io->up.eof && !up_full;

    await(&io->in, want_in ? UV_READABLE : 0);
    await(&io->out, down_full ? UV_WRITABLE : 0);
    await(&io->sock, (up_full ? UV_WRITABLE : 0) | (!io->down.eof && !down_full ? UV_READABLE : 0));
    if ((want_in && !io->in.polled) || (down_full && !io->out.polled))
        uv_idle_start(&io->idle, on_idle);
    else
        uv_idle_stop(&io->idle);
}

static void
finish(cpn_stdio *io, bool complete)
{
    cpn_stdio_done *done = io->done;

    await(&io->in, 0);
    await(&io->out, 0);
    await(&io->sock, 0);
    uv_idle_stop(&io->idle);
    shutdown(io->sock.fd, SHUT_RDWR);
    io->done = NULL;
    if (done)
        done(io->owner, complete);
}

static void
move(cpn_stdio *io)
{
    bool more = true, broken = false;

    for (int i = 0; i < ROUNDS && more && !broken; i++) {
        more = move_up(io);
        more = move_down(io, &broken) || more;
    }
    if (io->down.eof && io->down.from == io->down.to && !io->down.done) {
        close_out(io);
        io->down.done = true;
    }
    if (broken || (io->down.done && io->over)) {
        finish(io, !broken);
        return; /* io may be gone */
    }
    await_all(io);
}

/* ---- start and end ---- */

static void
on_closed(uv_handle_t *h)
{
    cpn_stdio *io = h->data;

    if (--io->handles > 0)
        return;
    if (io->write_fd != io->out.fd)
        close(io->write_fd);
    close(io->sock.fd);
    free(io->up.held);
    free(io->down.held);
    free(io);
}

static void
watch(cpn_stdio *io, uv_loop_t *uv, watched *w, int fd)
{
    int flags = fcntl(fd, F_GETFL);

    w->fd = fd;
    w->polled = uv_poll_init(uv, &w->poll, fd) == 0; /* files cannot be polled: always ready */
    /* libuv makes it non-blocking, and with it the terminal of our parent. */
    if (fd != io->sock.fd && flags >= 0)
        fcntl(fd, F_SETFL, flags);
    w->poll.data = io;
    io->handles += w->polled;
}

/* How the output takes bytes without holding up the loop. */
static void
look_at_out(cpn_stdio *io, int out)
{
    struct stat st;
    char path[32];
    int again;

    io->write_fd = out;
    if (fstat(out, &st) < 0)
        return;
    io->is_socket = S_ISSOCK(st.st_mode);
    io->is_file = S_ISREG(st.st_mode);
    if (!S_ISFIFO(st.st_mode))
        return;
    /* The same pipe with flags of its own. */
    snprintf(path, sizeof(path), "/proc/self/fd/%d", out);
    again = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (again >= 0)
        io->write_fd = again;
}

cpn_rc
cpn_stdio_new(cpn_stdio **out_io, uv_loop_t *uv, int in, int out, int *sock, cpn_stdio_done *done,
              void *owner, cpn_err *err)
{
    cpn_stdio *io;
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
        return cpn_fail(err, CPN_E_SYS, "socketpair: %s", strerror(errno));
    io = cpn_xcalloc(1, sizeof(*io));
    io->up.held = cpn_xcalloc(1, HELD);
    io->down.held = cpn_xcalloc(1, HELD);
    io->done = done;
    io->owner = owner;
    look_at_out(io, out);
    watch(io, uv, &io->sock, pair[0]);
    watch(io, uv, &io->in, in);
    watch(io, uv, &io->out, out);
    uv_idle_init(uv, &io->idle);
    io->idle.data = io;
    io->handles++;
    *sock = pair[1];
    *out_io = io;
    move(io);
    return CPN_OK;
}

void
cpn_stdio_over(cpn_stdio *io)
{
    io->over = true;
    if (io->done)
        move(io);
}

void
cpn_stdio_free(cpn_stdio *io)
{
    watched *all[3];

    if (!io)
        return;
    all[0] = &io->in;
    all[1] = &io->out;
    all[2] = &io->sock;
    io->done = NULL;
    for (size_t i = 0; i < CPN_COUNT(all); i++)
        if (all[i]->polled)
            uv_close((uv_handle_t *)&all[i]->poll, on_closed);
    uv_close((uv_handle_t *)&io->idle, on_closed);
}
