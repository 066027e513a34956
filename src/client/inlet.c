/* Makes the listening sockets of a tunnel. */
#include "client/inlet.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG 128

static cpn_rc
tcp_failed(const cpn_addr *address, unsigned port, int why, cpn_err *err)
{
    char text[CPN_ADDR_TEXT];

    cpn_addr_text(address, text);
    if (why == EADDRINUSE)
        return cpn_fail(err, CPN_E_SYS,
                        "port %u of %s is in use; choose another --port, or 0 for a free one", port,
                        text);
    if (why == EACCES)
        return cpn_fail(err, CPN_E_SYS, "port %u is not allowed to you; use one from 1024 on",
                        port);
    if (why == EADDRNOTAVAIL)
        return cpn_fail(err, CPN_E_SYS, "%s is not an address of this machine", text);
    return cpn_fail(err, CPN_E_SYS, "port %u of %s: %s", port, text, strerror(why));
}

static cpn_rc
check_address(const cpn_inlet *in, const cpn_addr *address, cpn_err *err)
{
    char text[CPN_ADDR_TEXT];

    if (cpn_addr_is_loopback(address) != in->peers.everybody)
        return CPN_OK;
    if (in->peers.everybody)
        return cpn_fail(err, CPN_INVALID,
                        "--allow-everybody is for a --bind address that others can reach; on %s "
                        "--allow-uid lets single users in",
                        cpn_addr_text(address, text));
    return cpn_fail(err, CPN_INVALID,
                    "everybody who reaches %s could use the tunnel with your rights; if that is "
                    "meant, say --allow-everybody",
                    cpn_addr_text(address, text));
}

cpn_rc
cpn_inlet_tcp(cpn_inlet *in, const cpn_addr *address, unsigned port, cpn_err *err)
{
    struct sockaddr_storage at;
    socklen_t n = cpn_addr_to_sockaddr(address, (uint16_t)port, &at);
    CPN_AUTO(cpn_auto_fd) int fd = -1;
    int on = 1;
    uint16_t got = 0;
    cpn_rc rc = check_address(in, address, err);

    if (rc != CPN_OK)
        return rc;
    fd = socket(at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return cpn_fail(err, CPN_E_SYS, "socket: %s", strerror(errno));
    /* A port whose last connections only wait for their end is free; one that listens is not. */
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (at.ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&at, n) < 0 || listen(fd, BACKLOG) < 0)
        return tcp_failed(address, port, errno, err);
    n = sizeof(at);
    if (getsockname(fd, (struct sockaddr *)&at, &n) < 0 ||
        !cpn_addr_from_sockaddr(&in->address, &got, (struct sockaddr *)&at))
        return cpn_fail(err, CPN_E_SYS, "getsockname: %s", strerror(errno));
    if (!in->peers.everybody && (rc = cpn_peer_known(fd, err)) != CPN_OK)
        return rc;
    in->port = got;
    in->fd = cpn_steal_fd(&fd);
    return CPN_OK;
}

/* Remove what an earlier run of ours left behind: a socket of this user that refuses. */
static bool
remove_stale(const struct sockaddr_un *at)
{
    CPN_AUTO(cpn_auto_fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct stat st;

    if (fd < 0 || lstat(at->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode) || st.st_uid != geteuid())
        return false;
    if (connect(fd, (const struct sockaddr *)at, sizeof(*at)) == 0 || errno != ECONNREFUSED)
        return false;
    return unlink(at->sun_path) == 0;
}

static cpn_rc
bind_path(int fd, const struct sockaddr_un *at, cpn_err *err)
{
    mode_t before = umask(0177);
    bool done = bind(fd, (const struct sockaddr *)at, sizeof(*at)) == 0;
    int why = errno;

    if (!done && why == EADDRINUSE && remove_stale(at)) {
        done = bind(fd, (const struct sockaddr *)at, sizeof(*at)) == 0;
        why = errno;
    }
    umask(before);
    if (!done)
        return cpn_fail(err, CPN_E_SYS, "--socket %s: %s", at->sun_path,
                        why == EADDRINUSE ? "there is something already" : strerror(why));
    return CPN_OK;
}

cpn_rc
cpn_inlet_unix(cpn_inlet *in, const char *path, cpn_err *err)
{
    CPN_AUTO(cpn_auto_fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    struct stat st;
    cpn_rc rc;

    if (!path[0] || strlen(path) >= sizeof(at.sun_path))
        return cpn_fail(err, CPN_INVALID, "--socket: a path of 1 to %zu bytes is expected",
                        sizeof(at.sun_path) - 1);
    memcpy(at.sun_path, path, strlen(path) + 1);
    if (fd < 0)
        return cpn_fail(err, CPN_E_SYS, "socket: %s", strerror(errno));
    rc = bind_path(fd, &at, err);
    if (rc != CPN_OK)
        return rc;
    memcpy(in->path, at.sun_path, sizeof(in->path));
    if (lstat(path, &st) == 0) {
        in->device = st.st_dev;
        in->inode = st.st_ino;
    }
    if (listen(fd, BACKLOG) < 0) {
        rc = cpn_fail(err, CPN_E_SYS, "--socket %s: %s", path, strerror(errno));
        cpn_inlet_close(in);
        return rc;
    }
    in->fd = cpn_steal_fd(&fd);
    return CPN_OK;
}

const char *
cpn_inlet_text(const cpn_inlet *in, char out[CPN_INLET_TEXT])
{
    if (in->path[0])
        snprintf(out, CPN_INLET_TEXT, "%s", in->path);
    else
        cpn_addr_port_text(&in->address, (uint16_t)in->port, out);
    return out;
}

void
cpn_inlet_close(cpn_inlet *in)
{
    struct stat st;

    if (in->path[0] && lstat(in->path, &st) == 0 && st.st_dev == in->device &&
        st.st_ino == in->inode)
        unlink(in->path);
    if (in->fd >= 0)
        close(in->fd);
    in->fd = -1;
    in->path[0] = '\0';
}
