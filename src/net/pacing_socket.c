/* What a socket says of its path, and what it is told to send at most. Apart from pacing.c for what
 * linux/tcp.h has more than netinet/tcp.h, which it does not go together with. */
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "net/pacing.h"

cpn_pacing_path
cpn_pacing_ask(int fd)
{
    struct tcp_info now = { 0 };
    socklen_t n = sizeof(now);

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &now, &n) < 0)
        return (cpn_pacing_path){ 0 };
    return (cpn_pacing_path){ now.tcpi_delivery_rate, now.tcpi_rtt, now.tcpi_min_rtt };
}

void
cpn_pacing_hold(int fd, uint64_t rate)
{
    setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof(rate));
}
