/* A channel: packets in, checked against the table; packets out, parked while the socket is full.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "ipc/ipc.h"

#define MESSAGES_A_TURN 64
/* What the kernel lets one packet carry (SCM_MAX_FD): room for all, so that all can be closed. */
#define FDS_MAX 253
#define PARKED_LOW (256u << 10)

typedef struct parked {
    STAILQ_ENTRY(parked) link;
    int fd;
    size_t n;
    uint8_t packet[];
} parked;

struct cpn_channel {
    uv_poll_t poll;
    int fd;
    cpn_role self;
    cpn_role peer;
    const cpn_channel_handler *handler;
    void *owner;
    void (*drained)(void *owner);
    STAILQ_HEAD(, parked) queue;
    size_t parked_n;
    size_t parked_bytes;
    bool above_high; /* since the last call of drained */
    bool broken;
    bool closing;
    uint8_t rx[CPN_IPC_PACKET_MAX];
};

/* ---- out ------------------------------------------------------------------------------------ */

static cpn_rc
send_packet(int sock, const uint8_t *p, size_t n, int fd, cpn_err *err)
{
    union {
        char b[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = { 0 };
    struct iovec iov = { (void *)(uintptr_t)p, n };
    struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

    if (fd >= 0) {
        m.msg_control = control.b;
        m.msg_controllen = sizeof(control.b);
        control.align.cmsg_level = SOL_SOCKET;
        control.align.cmsg_type = SCM_RIGHTS;
        control.align.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&control.align), &fd, sizeof(int));
    }
    if (sendmsg(sock, &m, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
        return CPN_OK;
    if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM || errno == ETOOMANYREFS ||
        errno == EINTR)
        return CPN_AGAIN;
    if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN)
        return CPN_EOF;
    return cpn_fail(err, CPN_E_SYS, "sendmsg: %s", strerror(errno));
}

static void watch(cpn_channel *c);

static void
parked_drop(cpn_channel *c)
{
    parked *p = STAILQ_FIRST(&c->queue);

    STAILQ_REMOVE_HEAD(&c->queue, link);
    c->parked_n--;
    c->parked_bytes -= p->n;
    if (p->fd >= 0)
        close(p->fd);
    explicit_bzero(p->packet, p->n);
    free(p);
}

static void
flush(cpn_channel *c)
{
    parked *p;

    while ((p = STAILQ_FIRST(&c->queue))) {
        if (send_packet(c->fd, p->packet, p->n, p->fd, NULL) == CPN_AGAIN)
            break;
        /* On failure the peer is gone: what is parked for it is worth nothing. */
        parked_drop(c);
    }
    if (!c->broken && STAILQ_EMPTY(&c->queue))
        watch(c);
    if (c->above_high && c->parked_bytes < PARKED_LOW) {
        c->above_high = false;
        if (c->drained)
            c->drained(c->owner);
    }
}

static cpn_rc
park(cpn_channel *c, const uint8_t *packet, size_t n, CPN_TAKES int fd)
{
    CPN_AUTO(cpn_auto_fd) int owned = fd;
    bool first = STAILQ_EMPTY(&c->queue);
    parked *p;

    if (c->parked_n >= CPN_IPC_QUEUE_MAX || n > CPN_IPC_QUEUE_BYTES - c->parked_bytes ||
        !(p = malloc(sizeof(*p) + n))) {
        c->above_high = true; /* whoever kept it for later wants to know when */
        return CPN_LIMIT;
    }
    p->fd = cpn_steal_fd(&owned);
    p->n = n;
    memcpy(p->packet, packet, n);
    STAILQ_INSERT_TAIL(&c->queue, p, link);
    c->parked_n++;
    c->parked_bytes += n;
    if (c->parked_bytes > CPN_IPC_PARKED_HIGH)
        c->above_high = true;
    if (first)
        watch(c);
    return CPN_OK;
}

cpn_rc
cpn_channel_send(cpn_channel *c, const cpn_msg *msg, CPN_TAKES int fd)
{
    CPN_AUTO(cpn_auto_fd) int owned = fd;
    cpn_msg_fd want = cpn_msg_fds(msg->type);
    uint8_t packet[CPN_IPC_PACKET_MAX];
    cpn_err err = { 0 };
    size_t n = 0;
    cpn_rc rc;

    if (!cpn_msg_permitted(msg->type, c->self, c->peer) || (want == CPN_MSG_FD_NONE && fd >= 0) ||
        (want == CPN_MSG_FD_ONE && fd < 0))
        abort();
    rc = cpn_msg_encode(msg, packet, sizeof(packet), &n, &err);
    if (rc != CPN_OK) {
        cpn_log(CPN_LOG_ERROR, "ipc.not_sent", CPN_KV("to", cpn_role_name(c->peer)), CPN_KE(&err));
        return rc;
    }
    if (c->broken || c->closing)
        return CPN_EOF;
    rc = STAILQ_EMPTY(&c->queue) ? send_packet(c->fd, packet, n, owned, NULL) : CPN_AGAIN;
    if (rc == CPN_AGAIN)
        rc = park(c, packet, n, cpn_steal_fd(&owned));
    explicit_bzero(packet, n);
    return rc < 0 ? CPN_EOF : rc;
}

cpn_rc
cpn_channel_post(int sock, const cpn_msg *msg, int fd, cpn_err *err)
{
    uint8_t packet[CPN_IPC_PACKET_MAX];
    size_t n;
    cpn_rc rc = cpn_msg_encode(msg, packet, sizeof(packet), &n, err);

    return rc == CPN_OK ? send_packet(sock, packet, n, fd, err) : rc;
}

size_t
cpn_channel_parked(const cpn_channel *c)
{
    return c->parked_bytes;
}

void
cpn_channel_on_drain(cpn_channel *c, void (*drained)(void *owner))
{
    c->drained = drained;
}

/* ---- in ------------------------------------------------------------------------------------- */

typedef struct received {
    size_t n;
    size_t fds_n;
    int fds[FDS_MAX];
} received;

static void
collect_fds(struct msghdr *m, received *got)
{
    for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
        size_t n;
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
            continue;
        n = CPN_MIN((h->cmsg_len - CMSG_LEN(0)) / sizeof(int), FDS_MAX - got->fds_n);
        memcpy(got->fds + got->fds_n, CMSG_DATA(h), n * sizeof(int));
        got->fds_n += n;
    }
}

static void
close_fds(received *got)
{
    for (size_t i = 0; i < got->fds_n; i++)
        if (got->fds[i] >= 0)
            close(got->fds[i]);
    got->fds_n = 0;
}

/* CPN_AGAIN: nothing there. CPN_EOF: closed. */
static cpn_rc
receive(cpn_channel *c, received *got, cpn_err *err)
{
    union {
        char b[CMSG_SPACE(sizeof(int) * FDS_MAX)];
        struct cmsghdr align;
    } control;
    struct iovec iov = { c->rx, sizeof(c->rx) };
    struct msghdr m = { .msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = control.b,
                        .msg_controllen = sizeof(control.b) };
    ssize_t n = recvmsg(c->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    /* Said once when the peer closed with messages of ours unread; what it sent stands behind. */
    if (n < 0 && errno == ECONNRESET)
        n = recvmsg(c->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    got->fds_n = 0;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return CPN_AGAIN;
    if (n < 0)
        return errno == ECONNRESET ? CPN_EOF
                                   : cpn_fail(err, CPN_E_SYS, "recvmsg: %s", strerror(errno));
    got->n = (size_t)n;
    collect_fds(&m, got);
    if (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
        return cpn_fail(err, CPN_E_PROTO, "a packet of more than %d bytes or too many descriptors",
                        CPN_IPC_PACKET_MAX);
    return n == 0 ? CPN_EOF : CPN_OK;
}

static cpn_rc
check(const cpn_channel *c, const received *got, cpn_msg *msg, cpn_err *err)
{
    cpn_rc rc = cpn_msg_decode(msg, (cpn_view){ c->rx, got->n }, err);
    cpn_msg_fd want;

    if (rc != CPN_OK)
        return rc;
    if (!cpn_msg_permitted(msg->type, c->peer, c->self))
        return cpn_fail(err, CPN_E_PROTO, "%s may not send %s", cpn_role_name(c->peer),
                        cpn_msg_name(msg->type));
    want = cpn_msg_fds(msg->type);
    if (got->fds_n > 1 || (want == CPN_MSG_FD_NONE && got->fds_n) ||
        (want == CPN_MSG_FD_ONE && !got->fds_n))
        return cpn_fail(err, CPN_E_PROTO, "%s with %zu descriptors", cpn_msg_name(msg->type),
                        got->fds_n);
    return CPN_OK;
}

static void
break_off(cpn_channel *c, const cpn_err *err)
{
    if (c->broken || c->closing)
        return;
    c->broken = true;
    uv_poll_stop(&c->poll);
    c->handler->broken(c->owner, err);
}

static void
read_messages(cpn_channel *c, size_t most)
{
    for (size_t i = 0; i < most && !c->broken && !c->closing; i++) {
        received got = { 0 };
        cpn_err err = { 0 };
        cpn_msg msg;
        cpn_rc rc = receive(c, &got, &err);

        if (rc == CPN_AGAIN)
            return;
        if (rc == CPN_OK)
            rc = check(c, &got, &msg, &err);
        if (rc != CPN_OK) {
            close_fds(&got);
            break_off(c, rc == CPN_EOF ? NULL : &err);
            return;
        }
        c->handler->message(c->owner, &msg, got.fds_n ? got.fds[0] : -1);
        explicit_bzero(c->rx, got.n);
    }
}

static void
on_event(uv_poll_t *poll, int status, int events)
{
    cpn_channel *c = poll->data;

    if (status < 0) {
        /* POLLERR: the peer closed with our messages unread, and libuv watches no longer. */
        read_messages(c, SIZE_MAX);
        break_off(c, NULL);
        return;
    }
    if (events & UV_READABLE)
        read_messages(c, MESSAGES_A_TURN);
    if ((events & UV_WRITABLE) && !c->broken && !c->closing)
        flush(c);
}

static void
watch(cpn_channel *c)
{
    if (!c->broken && !c->closing)
        uv_poll_start(&c->poll, UV_READABLE | (STAILQ_EMPTY(&c->queue) ? 0 : UV_WRITABLE),
                      on_event);
}

/* ---- life ----------------------------------------------------------------------------------- */

cpn_rc
cpn_channel_new(cpn_channel **out, uv_loop_t *loop, CPN_TAKES int fd, cpn_role self, cpn_role peer,
                const cpn_channel_handler *handler, void *owner, cpn_err *err)
{
    CPN_AUTO(cpn_auto_fd) int owned = fd;
    cpn_channel *c = cpn_xcalloc(1, sizeof(*c));
    int rc = uv_poll_init(loop, &c->poll, owned);

    if (rc < 0) {
        free(c);
        return cpn_fail(err, CPN_E_SYS, "watching the channel to %s: %s", cpn_role_name(peer),
                        uv_strerror(rc));
    }
    c->fd = cpn_steal_fd(&owned);
    c->self = self;
    c->peer = peer;
    c->handler = handler;
    c->owner = owner;
    c->poll.data = c;
    STAILQ_INIT(&c->queue);
    watch(c);
    *out = c;
    return CPN_OK;
}

static void
on_closed(uv_handle_t *h)
{
    free(h->data);
}

void
cpn_channel_free(cpn_channel *c)
{
    if (!c || c->closing)
        return;
    c->closing = true;
    while (!STAILQ_EMPTY(&c->queue))
        parked_drop(c);
    uv_close((uv_handle_t *)&c->poll, on_closed);
    close(c->fd);
}

cpn_rc
cpn_channel_pair(int fds[2], cpn_err *err)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
        return cpn_fail(err, CPN_E_SYS, "socketpair: %s", strerror(errno));
    return CPN_OK;
}
