/* A long path between two namespaces: packets wait, and leave at a bounded rate.
 *
 *   farpath NAME_A NAME_B DELAY_MS MBIT_S
 *
 * Makes two tun devices with these names, prints "ready", and carries packets from each to the
 * other, DELAY_MS later and at most MBIT_S, through a queue of one delay's worth of bytes: what
 * does not fit is dropped, as a router would. Move the devices into namespaces once it is ready. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define PACKET_MAX 65536
#define PACKETS 65536 /* on their way in one direction */

typedef struct packet {
    uint64_t due_ns;
    uint32_t n;
    uint8_t *bytes;
} packet;

typedef struct way {
    int from, to;
    packet *ring;
    uint32_t head, tail;
    uint64_t free_ns; /* when the line has sent what it took so far */
    uint64_t dropped;
} way;

static uint64_t delay_ns, ns_per_kib, queue_ns;

static uint64_t
now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int
tun_open(const char *name)
{
    struct ifreq want = { .ifr_flags = IFF_TUN | IFF_NO_PI };
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);

    strncpy(want.ifr_name, name, IFNAMSIZ - 1);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &want) < 0) {
        perror(name);
        exit(1);
    }
    return fd;
}

/* Everything that waits at one end goes onto the line. */
static void
take_in(way *w)
{
    static uint8_t bytes[PACKET_MAX];
    ssize_t n;

    while ((n = read(w->from, bytes, sizeof(bytes))) > 0) {
        uint64_t now = now_ns(), start = w->free_ns > now ? w->free_ns : now;
        packet *p = &w->ring[w->head % PACKETS];

        if (start - now > queue_ns || w->head - w->tail == PACKETS) {
            w->dropped++;
            continue;
        }
        w->free_ns = start + (uint64_t)n * ns_per_kib / 1024;
        p->bytes = malloc((size_t)n);
        if (!p->bytes)
            exit(1);
        memcpy(p->bytes, bytes, (size_t)n);
        p->n = (uint32_t)n;
        p->due_ns = w->free_ns + delay_ns;
        w->head++;
    }
}

/* What is due comes out at the other end. Returns when the next packet is, or 0. */
static uint64_t
let_out(way *w)
{
    uint64_t now = now_ns();

    while (w->tail != w->head) {
        packet *p = &w->ring[w->tail % PACKETS];

        if (p->due_ns > now)
            return p->due_ns;
        if (write(w->to, p->bytes, p->n) < 0 && errno != EAGAIN && errno != EIO)
            w->dropped++;
        free(p->bytes);
        w->tail++;
    }
    return 0;
}

int
main(int argc, char **argv)
{
    way ab = { 0 }, ba = { 0 };
    struct pollfd wait[3];
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);

    if (argc != 5)
        return 2;
    delay_ns = strtoull(argv[3], NULL, 10) * 1000000u;
    ns_per_kib = 8192000u / strtoull(argv[4], NULL, 10);
    queue_ns = delay_ns > 20000000u ? delay_ns : 20000000u;
    ab.from = ba.to = tun_open(argv[1]);
    ab.to = ba.from = tun_open(argv[2]);
    ab.ring = calloc(PACKETS, sizeof(packet));
    ba.ring = calloc(PACKETS, sizeof(packet));
    wait[0] = (struct pollfd){ ab.from, POLLIN, 0 };
    wait[1] = (struct pollfd){ ba.from, POLLIN, 0 };
    wait[2] = (struct pollfd){ timer, POLLIN, 0 };
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        struct itimerspec at = { 0 };
        uint64_t a = let_out(&ab), b = let_out(&ba), due = a && (a < b || !b) ? a : b, fired;

        at.it_value.tv_sec = (time_t)(due / 1000000000u);
        at.it_value.tv_nsec = (long)(due % 1000000000u);
        timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
        if (poll(wait, 3, -1) < 0 && errno != EINTR)
            return 1;
        (void)!read(timer, &fired, sizeof(fired));
        take_in(&ab);
        take_in(&ba);
    }
}
