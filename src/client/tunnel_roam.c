/* Notices that the machine has moved to another network, or slept: what was a way to the gateway
 * may be none any more, and finding that out by silence takes a minute. */
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "client/tunnel_impl.h"

#define NEWS_MAX 16                          /* messages read in one go */
#define SLEPT_LONG_NS ((int64_t)30000000000) /* shorter: the gateway still waits for us */

/* Does this machine still have the address that the connection was made from? */
static bool
still_ours(int fd)
{
    struct sockaddr_storage own;
    socklen_t n = sizeof(own);
    CPN_AUTO(cpn_auto_fd) int probe = -1;

    if (getsockname(fd, (struct sockaddr *)&own, &n) < 0)
        return true;
    if (own.ss_family == AF_INET)
        ((struct sockaddr_in *)&own)->sin_port = 0;
    else if (own.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)&own)->sin6_port = 0;
    else
        return true;
    probe = socket(own.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return probe < 0 || bind(probe, (struct sockaddr *)&own, n) == 0 || errno != EADDRNOTAVAIL;
}

/* What the messages say does not matter: each means that addresses have changed. */
static void
on_news(uv_poll_t *poll, int status, int events)
{
    cpn_tunnel *t = poll->data;
    uint8_t ignored[4096];

    (void)events;
    for (int i = 0; i < NEWS_MAX && recv(t->roam_fd, ignored, sizeof(ignored), MSG_TRUNC) > 0; i++)
        ;
    if (status < 0)
        uv_poll_stop(poll);
    for (unsigned i = 0; i < CPN_CARRIERS_MAX && !t->stopping; i++) {
        cpn_tunnel_link *k = &t->links[i];

        if (k->carrier && !still_ours(cpn_tls_fd(cpn_carrier_tls(k->carrier))))
            cpn_tunnel_distrust(k);
    }
}

static int64_t
asleep_ns(void)
{
    return (int64_t)(cpn_boot_ns() - cpn_mono_ns());
}

void
cpn_tunnel_roam_start(cpn_tunnel *t)
{
    struct sockaddr_nl to = { .nl_family = AF_NETLINK,
                              .nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR };

    t->asleep_ns = asleep_ns();
    t->roam_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (t->roam_fd < 0)
        return; /* then silence tells, later */
    if (bind(t->roam_fd, (struct sockaddr *)&to, sizeof(to)) < 0 ||
        uv_poll_init(&t->uv, &t->roam, t->roam_fd) < 0) {
        close(t->roam_fd);
        t->roam_fd = -1;
        return;
    }
    t->roam.data = t;
    uv_poll_start(&t->roam, UV_READABLE, on_news);
    uv_unref((uv_handle_t *)&t->roam);
}

void
cpn_tunnel_roam_stop(cpn_tunnel *t)
{
    if (t->roam_fd >= 0)
        close(t->roam_fd);
}

void
cpn_tunnel_roam_look(cpn_tunnel *t)
{
    int64_t now = asleep_ns(), slept = now - t->asleep_ns;

    t->asleep_ns = now;
    for (unsigned i = 0; i < CPN_CARRIERS_MAX && slept >= SLEPT_LONG_NS; i++)
        cpn_tunnel_distrust(&t->links[i]);
}
