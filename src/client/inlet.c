/* Makes the listening sockets of a tunnel. */
#include "client/inlet.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret.h"

#define BACKLOG 128
#define ASIDE_SIZE 16 /* ".cpn-" and eight digits */

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

/* Listen under a name of nobody's in the folder. False: errno says why. */
static bool
listen_aside(int fd, int folder, char name[ASIDE_SIZE])
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    mode_t before = umask(0177);
    uint32_t random;
    bool done;

    cpn_random(&random, sizeof(random));
    snprintf(name, ASIDE_SIZE, ".cpn-%08x", random);
    snprintf(at.sun_path, sizeof(at.sun_path), "/proc/self/fd/%d/%s", folder, name);
    done = bind(fd, (const struct sockaddr *)&at, sizeof(at)) == 0;
    umask(before);
    return done && listen(fd, BACKLOG) == 0;
}

/* A socket that does not listen yet refuses like one that nobody serves any more, and whoever
 * looked at that moment would remove it. So it gets its name when it listens. 0, or why not. */
static int
listen_at(int fd, int folder, const struct sockaddr_un *at)
{
    char name[ASIDE_SIZE];
    bool done =
        listen_aside(fd, folder, name) && (linkat(folder, name, AT_FDCWD, at->sun_path, 0) == 0 ||
                                           (errno == EEXIST && remove_stale(at) &&
                                            linkat(folder, name, AT_FDCWD, at->sun_path, 0) == 0));
    int why = errno;

    (void)unlinkat(folder, name, 0);
    return done ? 0 : why;
}

static int
open_folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char folder[sizeof(((struct sockaddr_un *)0)->sun_path)];

    snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path) + 1 : 1,
             slash ? path : ".");
    return open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

cpn_rc
cpn_inlet_unix(cpn_inlet *in, const char *path, cpn_err *err)
{
    CPN_AUTO(cpn_auto_fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    CPN_AUTO(cpn_auto_fd) int folder = -1;
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    struct stat st;
    int why;

    if (!path[0] || strlen(path) >= sizeof(at.sun_path))
        return cpn_fail(err, CPN_INVALID, "--socket: a path of 1 to %zu bytes is expected",
                        sizeof(at.sun_path) - 1);
    memcpy(at.sun_path, path, strlen(path) + 1);
    if (fd < 0)
        return cpn_fail(err, CPN_E_SYS, "socket: %s", strerror(errno));
    folder = open_folder_of(path);
    why = folder < 0 ? errno : listen_at(fd, folder, &at);
    if (why != 0)
        return cpn_fail(err, CPN_E_SYS, "--socket %s: %s", path,
                        why == EEXIST ? "there is something already" : strerror(why));
    memcpy(in->path, at.sun_path, sizeof(in->path));
    if (lstat(path, &st) == 0) {
        in->device = st.st_dev;
        in->inode = st.st_ino;
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
