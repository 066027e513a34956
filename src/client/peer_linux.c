/* Looks up the owner of the other end of a local connection: SO_PEERCRED and NETLINK_SOCK_DIAG
 * (sock_diag(7)). */
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "client/peer.h"
#include "model/addr.h"

#define ANSWER_MAX 4096 /* one socket without extensions takes some 100 bytes */

/* The two ends of a connection as one of them sees it. */
typedef struct ends {
    struct sockaddr_storage here;
    struct sockaddr_storage there;
} ends;

static void
id_end(const struct sockaddr_storage *ss, __be16 *port, __be32 address[4])
{
    if (ss->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)ss;

        *port = in->sin_port;
        memcpy(address, &in->sin_addr, sizeof(in->sin_addr));
    } else {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)ss;

        *port = in6->sin6_port;
        memcpy(address, &in6->sin6_addr, sizeof(in6->sin6_addr));
    }
}

/* Is this end of an answer the address and port that were asked for? A program's IPv6 socket may
 * hold an IPv4 connection; its addresses are then v4-mapped. */
static bool
id_end_is(int family, const __be32 address[4], __be16 port, const struct sockaddr_storage *asked)
{
    struct sockaddr_in in = { .sin_family = AF_INET };
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
    cpn_addr got, want;
    uint16_t got_port, want_port;

    memcpy(&in.sin_addr, address, sizeof(in.sin_addr));
    memcpy(&in6.sin6_addr, address, sizeof(in6.sin6_addr));
    in.sin_port = in6.sin6_port = port;
    return (family == AF_INET || family == AF_INET6) &&
           cpn_addr_from_sockaddr(&got, &got_port,
                                  family == AF_INET ? (const struct sockaddr *)&in
                                                    : (const struct sockaddr *)&in6) &&
           cpn_addr_from_sockaddr(&want, &want_port, (const struct sockaddr *)asked) &&
           got_port == want_port && cpn_addr_eq(&got, &want);
}

/* Send the question for the socket whose own end is here; the kernel has answered when this
 * returns. */
static cpn_rc
ask(int nl, const ends *of, cpn_err *err)
{
    struct {
        struct nlmsghdr head;
        struct inet_diag_req_v2 req;
    } q = { .head = { .nlmsg_len = sizeof(q),
                      .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                      .nlmsg_flags = NLM_F_REQUEST },
            .req = { .sdiag_family = (uint8_t)of->here.ss_family,
                     .sdiag_protocol = IPPROTO_TCP,
                     .id.idiag_cookie = { INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE } } };
    struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };

    id_end(&of->here, &q.req.id.idiag_sport, q.req.id.idiag_src);
    id_end(&of->there, &q.req.id.idiag_dport, q.req.id.idiag_dst);
    if (sendto(nl, &q, sizeof(q), 0, (struct sockaddr *)&kernel, sizeof(kernel)) != sizeof(q))
        return cpn_fail(err, CPN_E_SYS, "the table of sockets: %s", strerror(errno));
    return CPN_OK;
}

/* CPN_NOT_FOUND: the kernel knows no such socket. */
static cpn_rc
answer(int nl, struct inet_diag_msg *out, cpn_err *err)
{
    union {
        struct nlmsghdr head;
        uint8_t bytes[ANSWER_MAX];
    } a;
    struct sockaddr_nl from = { 0 };
    socklen_t from_n = sizeof(from);
    ssize_t n = recvfrom(nl, &a, sizeof(a), MSG_DONTWAIT, (struct sockaddr *)&from, &from_n);
    int code;

    if (n < 0)
        return cpn_fail(err, CPN_E_SYS, "the table of sockets: %s", strerror(errno));
    if (from.nl_pid != 0 || !NLMSG_OK(&a.head, (size_t)n))
        return cpn_fail(err, CPN_E_SYS, "the table of sockets: a malformed answer");
    if (a.head.nlmsg_type == SOCK_DIAG_BY_FAMILY &&
        a.head.nlmsg_len >= NLMSG_LENGTH(sizeof(*out))) {
        memcpy(out, NLMSG_DATA(&a.head), sizeof(*out));
        return CPN_OK;
    }
    if (a.head.nlmsg_type != NLMSG_ERROR || a.head.nlmsg_len < NLMSG_LENGTH(sizeof(code)))
        return cpn_fail(err, CPN_E_SYS, "the table of sockets: a malformed answer");
    memcpy(&code, NLMSG_DATA(&a.head), sizeof(code));
    if (code == -ENOENT)
        return cpn_fail(err, CPN_NOT_FOUND, "nobody holds the other end");
    return cpn_fail(err, CPN_E_SYS, "the table of sockets: %s", strerror(code < 0 ? -code : 0));
}

static cpn_rc
look_up(const ends *of, struct inet_diag_msg *out, cpn_err *err)
{
    CPN_AUTO(cpn_auto_fd) int nl = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    cpn_rc rc;

    if (nl < 0)
        return cpn_fail(err, CPN_E_SYS, "the table of sockets: %s", strerror(errno));
    rc = ask(nl, of, err);
    return rc == CPN_OK ? answer(nl, out, err) : rc;
}

/* Held open by a process, and the other end of what was asked for. Half-closed is open: a program
 * that connects, says everything and shuts its side (nc -N, a script's `echo | nc`) may have done
 * so before it is looked at. Its socket still has an inode and its owner's uid; one that was closed
 * has neither and is refused, so no connection of another user comes in by its state. */
static bool
is_held(const struct inet_diag_msg *m, const ends *of)
{
    bool open = m->idiag_state == TCP_ESTABLISHED || m->idiag_state == TCP_FIN_WAIT1 ||
                m->idiag_state == TCP_FIN_WAIT2;

    return open && m->idiag_inode != 0 &&
           id_end_is(m->idiag_family, m->id.idiag_src, m->id.idiag_sport, &of->here) &&
           id_end_is(m->idiag_family, m->id.idiag_dst, m->id.idiag_dport, &of->there);
}

/* Is our own end still of the connection that was accepted? After the look-up this says that the
 * same two ports were not taken again by somebody else in between. */
static bool
is_alive(int fd)
{
    struct tcp_info t = { 0 };
    socklen_t n = sizeof(t);

    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &t, &n) == 0 &&
           (t.tcpi_state == TCP_ESTABLISHED || t.tcpi_state == TCP_CLOSE_WAIT);
}

static cpn_rc
unix_uid(int fd, uid_t *out, cpn_err *err)
{
    struct ucred who;
    socklen_t n = sizeof(who);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) < 0 || n != sizeof(who) ||
        who.uid == (uid_t)-1)
        return cpn_fail(err, CPN_E_SYS, "the other end of a Unix socket cannot be known");
    *out = who.uid;
    return CPN_OK;
}

cpn_rc
cpn_peer_uid(int fd, uid_t *out, cpn_err *err)
{
    ends peer = { 0 };
    socklen_t here_n = sizeof(peer.here), there_n = sizeof(peer.there);
    struct inet_diag_msg m;
    cpn_rc rc;

    /* As the peer sees it: its own end is our getpeername. */
    if (getsockname(fd, (struct sockaddr *)&peer.there, &there_n) < 0)
        return cpn_fail(err, CPN_E_SYS, "getsockname: %s", strerror(errno));
    if (peer.there.ss_family == AF_UNIX)
        return unix_uid(fd, out, err);
    if (getpeername(fd, (struct sockaddr *)&peer.here, &here_n) < 0)
        return cpn_fail(err, CPN_NOT_FOUND, "the connection has ended");
    rc = look_up(&peer, &m, err);
    if (rc != CPN_OK)
        return rc;
    if (!is_held(&m, &peer) || !is_alive(fd))
        return cpn_fail(err, CPN_NOT_FOUND, "nobody holds the other end");
    *out = m.idiag_uid;
    return CPN_OK;
}

cpn_rc
cpn_peer_known(int listen_fd, cpn_err *err)
{
    ends own = { 0 };
    socklen_t n = sizeof(own.here);
    struct inet_diag_msg m;
    cpn_rc rc;

    if (getsockname(listen_fd, (struct sockaddr *)&own.here, &n) < 0)
        return cpn_fail(err, CPN_E_SYS, "getsockname: %s", strerror(errno));
    own.there.ss_family = own.here.ss_family;
    rc = look_up(&own, &m, err);
    if (rc == CPN_OK && m.idiag_inode != 0)
        return CPN_OK;
    return cpn_fail(err, CPN_E_SYS,
                    "this system does not say whose local connections are whose (%s), so a port "
                    "would be open to every user; use 'caponier connect' or --socket",
                    err ? err->msg : "sock_diag");
}
