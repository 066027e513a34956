/* Binding and adopting listening sockets. */
#include "keeper/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static cpn_rc
bind_one(int *out, cpn_view line, cpn_err *err)
{
    struct sockaddr_storage sa;
    cpn_addr addr;
    uint16_t port;
    socklen_t n;
    int on = 1;
    cpn_rc rc = cpn_addr_port_parse(&addr, &port, line, err);

    if (rc != CPN_OK)
        return cpn_ctx(err, rc, "listen '%.*s'", CPN_VIEW_ARG(line));
    n = cpn_addr_to_sockaddr(&addr, port, &sa);
    CPN_AUTO(cpn_auto_fd)
    int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        (sa.ss_family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0) ||
        bind(fd, (struct sockaddr *)&sa, n) < 0 || listen(fd, CPN_LISTEN_BACKLOG) < 0)
        return cpn_fail(err, CPN_E_SYS, "listening on %.*s: %s", CPN_VIEW_ARG(line),
                        strerror(errno));
    *out = cpn_steal_fd(&fd);
    return CPN_OK;
}

cpn_rc
cpn_listen_bind(cpn_listener_set *out, cpn_view lines, cpn_err *err)
{
    cpn_view line;
    cpn_rc rc;

    while (lines.n) {
        cpn_view_cut(lines, '\n', &line, &lines);
        if (line.n == 0)
            continue;
        if (out->n == CPN_COUNT(out->fd))
            return cpn_fail(err, CPN_E_CONF, "more than %zu listen addresses", CPN_COUNT(out->fd));
        if ((rc = bind_one(&out->fd[out->n], line, err)) != CPN_OK)
            return rc;
        out->n++;
    }
    return CPN_OK;
}

static int
socket_option(int fd, int name)
{
    int v = -1;
    socklen_t n = sizeof(v);

    return getsockopt(fd, SOL_SOCKET, name, &v, &n) == 0 ? v : -1;
}

cpn_rc
cpn_listen_adopt(cpn_listener_set *out, const int *fds, size_t n, cpn_err *err)
{
    for (size_t i = 0; i < n; i++) {
        int fd = fds[i], flags = fcntl(fd, F_GETFL), domain = socket_option(fd, SO_DOMAIN);
        if (socket_option(fd, SO_TYPE) != SOCK_STREAM || (domain != AF_INET && domain != AF_INET6))
            return cpn_fail(err, CPN_E_CONF, "descriptor %d is not a TCP socket", fd);
        if (out->n == CPN_COUNT(out->fd))
            return cpn_fail(err, CPN_E_CONF, "more than %zu sockets", CPN_COUNT(out->fd));
        if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ||
            (socket_option(fd, SO_ACCEPTCONN) != 1 && listen(fd, CPN_LISTEN_BACKLOG) < 0))
            return cpn_fail(err, CPN_E_SYS, "descriptor %d: %s", fd, strerror(errno));
        out->fd[out->n++] = fd;
    }
    return CPN_OK;
}

cpn_rc
cpn_listen_address(int fd, cpn_addr *addr, uint16_t *port, cpn_err *err)
{
    struct sockaddr_storage sa;
    socklen_t n = sizeof(sa);

    if (getsockname(fd, (struct sockaddr *)&sa, &n) < 0)
        return cpn_fail(err, CPN_E_SYS, "getsockname: %s", strerror(errno));
    if (!cpn_addr_from_sockaddr(addr, port, (struct sockaddr *)&sa))
        return cpn_fail(err, CPN_E_SYS, "descriptor %d has no internet address", fd);
    return CPN_OK;
}

void
cpn_listen_text(const cpn_listener_set *set, char *out, size_t size)
{
    size_t n = 0;

    out[0] = '\0';
    for (size_t i = 0; i < set->n; i++) {
        char text[CPN_ADDR_TEXT];
        cpn_addr addr;
        uint16_t port;
        if (cpn_listen_address(set->fd[i], &addr, &port, NULL) != CPN_OK)
            continue;
        cpn_addr_port_text(&addr, port, text);
        if (strlen(text) + 2 > size - n)
            return;
        n += (size_t)snprintf(out + n, size - n, "%s\n", text);
    }
}

void
cpn_listen_close(cpn_listener_set *set)
{
    for (size_t i = 0; i < set->n; i++)
        close(set->fd[i]);
    set->n = 0;
}
