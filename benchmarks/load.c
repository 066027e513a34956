/* The benchmarks' own ends: a target and the loads that go through a tunnel to it.
 *
 *   load target PORT            serve on 127.0.0.1:PORT; a connection's first byte says what it is:
 *                               D: send without end; E: echo; U: swallow, and send one byte back
 *                               for every 2 MiB
 *   load down|up N PORT S       N connections for S seconds: "bytes seconds", and the share of them
 *                               that the connections to the first port had. Up: the bytes that came
 *                               to the target, not those that buffers on the way took
 *   load rtt PORT S             64-byte round trips: "count p50_us p99_us"
 *   load setup PORT C S         connect, one echoed byte, close, C at once: "count seconds p50_us"
 *   load idle N PORT            open N, one echoed byte on each, print "ready", hold until stdin
 * ends
 *
 * PORT may be ADDRESS:PORT, and of a load a list, "P1,P2,…": connections take them in turn.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CHUNK (256 * 1024)
#define CONNS_MAX 20000
#define RECEIPT (2u << 20) /* bytes of an upload that one byte back stands for */
#define SAMPLES_MAX 2000000

static uint8_t chunk[CHUNK];
static char modes[CONNS_MAX];
static uint64_t unreceipted[CONNS_MAX];
static uint32_t samples[SAMPLES_MAX];
static size_t samples_n;

static double
now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void
die(const char *what)
{
    perror(what);
    exit(1);
}

/* "PORT" on loopback, or "ADDRESS:PORT". */
static struct sockaddr_in
local(const char *where)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const char *colon = strchr(where, ':'), *comma = strchr(where, ',');
    char addr[16] = "";

    if (colon && (!comma || colon < comma) && colon - where < 16) {
        memcpy(addr, where, (size_t)(colon - where));
        if (inet_pton(AF_INET, addr, &a.sin_addr) != 1)
            exit(2);
        where = colon + 1;
    }
    a.sin_port = htons((uint16_t)strtoul(where, NULL, 10));
    return a;
}

/* The next of "P1,P2,…", in turn. */
static const char *
in_turn(const char *ports)
{
    static const char *at;

    at = at ? strchr(at, ',') : NULL;
    at = at ? at + 1 : ports;
    return at;
}

static int
dial(const char *port, char mode)
{
    struct sockaddr_in a = local(in_turn(port));
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (write(fd, &mode, 1) != 1)
        die("write");
    return fd;
}

static void
watch(int ep, int fd, uint32_t what)
{
    struct epoll_event ev = { .events = what, .data.fd = fd };

    if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) < 0)
        die("epoll_ctl");
}

static void
drop(int ep, int fd)
{
    epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL);
    close(fd);
    modes[fd] = 0;
    unreceipted[fd] = 0;
}

/* One byte does not find a full socket: the uploader reads all of them. */
static void
receipt(int fd, size_t n)
{
    for (unreceipted[fd] += n; unreceipted[fd] >= RECEIPT; unreceipted[fd] -= RECEIPT)
        if (write(fd, "R", 1) != 1)
            die("receipt");
}

/* One readiness of a target's connection. */
static void
serve(int ep, int fd, uint32_t got)
{
    ssize_t n;

    if (!modes[fd]) {
        struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };
        if (read(fd, &modes[fd], 1) != 1) {
            drop(ep, fd);
            return;
        }
        if (modes[fd] == 'D')
            ev.events = EPOLLOUT | EPOLLRDHUP;
        epoll_ctl(ep, EPOLL_CTL_MOD, fd, &ev);
        if (modes[fd] == 'E' && write(fd, "E", 1) != 1)
            drop(ep, fd);
        return;
    }
    if (got & (EPOLLRDHUP | EPOLLERR)) { /* errno would still say EAGAIN, of the write before */
        drop(ep, fd);
        return;
    }
    if (modes[fd] == 'D')
        n = write(fd, chunk, sizeof(chunk));
    else
        n = recv(fd, chunk, sizeof(chunk), modes[fd] == 'U' ? MSG_TRUNC : 0);
    if (n > 0 && modes[fd] == 'U')
        receipt(fd, (size_t)n);
    if (n > 0 && modes[fd] == 'E')
        n = write(fd, chunk, (size_t)n);
    if (n == 0 || (n < 0 && errno != EAGAIN))
        drop(ep, fd);
}

static void
target(const char *port)
{
    struct sockaddr_in a = local(port);
    struct epoll_event evs[256];
    int ep = epoll_create1(0), ls = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;

    setsockopt(ls, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(ls, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(ls, 4096) < 0)
        die("listen");
    watch(ep, ls, EPOLLIN);
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        int n = epoll_wait(ep, evs, 256, -1);
        for (int i = 0; i < n; i++) {
            int fd = evs[i].data.fd, c;
            if (fd != ls) {
                serve(ep, fd, evs[i].events);
                continue;
            }
            while ((c = accept4(ls, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
                watch(ep, c, EPOLLIN);
            }
        }
    }
}

/* Send what fits; returns how many receipts came, as recv does. */
static ssize_t
upload(int fd, uint32_t ready)
{
    static uint8_t receipts[4096];

    if ((ready & EPOLLOUT) && send(fd, chunk, sizeof(chunk), MSG_NOSIGNAL) < 0 && errno != EAGAIN)
        return -1;
    return recv(fd, receipts, sizeof(receipts), 0);
}

static void
bulk(bool down, int n, const char *port, double seconds)
{
    struct epoll_event evs[256];
    int ep = epoll_create1(0);
    uint64_t bytes = 0, of_first = 0;
    double start, end;
    int ports = 1;

    for (const char *p = port; *p; p++)
        ports += *p == ',';
    for (int i = 0; i < n; i++) {
        int fd = dial(port, down ? 'D' : 'U');
        modes[fd] = i % ports == 0 ? 'f' : 'o';
        fcntl(fd, F_SETFL, O_NONBLOCK);
        watch(ep, fd, down ? EPOLLIN : EPOLLIN | EPOLLOUT);
    }
    start = now() + 0.3; /* warm-up: counted from here */
    end = start + seconds;
    for (double t = now(); t < end; t = now()) {
        int ready = epoll_wait(ep, evs, 256, 100);
        for (int i = 0; i < ready; i++) {
            ssize_t k = down ? recv(evs[i].data.fd, chunk, sizeof(chunk), MSG_TRUNC)
                             : upload(evs[i].data.fd, evs[i].events);
            if (k == 0 || (k < 0 && errno != EAGAIN))
                die("a connection ended early");
            if (t < start || k <= 0)
                continue;
            bytes += (uint64_t)k * (down ? 1 : RECEIPT);
            if (modes[evs[i].data.fd] == 'f')
                of_first += (uint64_t)k * (down ? 1 : RECEIPT);
        }
    }
    printf("%llu %.3f", (unsigned long long)bytes, seconds);
    printf(" %.4f\n", bytes ? (double)of_first / (double)bytes : 0);
}

static int
by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static uint32_t
quantile(double q)
{
    qsort(samples, samples_n, sizeof(samples[0]), by_value);
    return samples_n ? samples[(size_t)(q * (double)(samples_n - 1))] : 0;
}

static void
sample(double since)
{
    if (samples_n < SAMPLES_MAX)
        samples[samples_n++] = (uint32_t)((now() - since) * 1e6);
}

static void
await_echo(int fd)
{
    char c;

    if (read(fd, &c, 1) != 1 || c != 'E') {
        fprintf(stderr, "no echo: refused or ended\n");
        exit(1);
    }
}

static void
rtt(const char *port, double seconds)
{
    int fd = dial(port, 'E');
    uint8_t ping[64] = { 0 };

    await_echo(fd);
    for (double end = now() + seconds; now() < end;) {
        double t = now();
        size_t got = 0;
        if (write(fd, ping, sizeof(ping)) != (ssize_t)sizeof(ping))
            die("write");
        while (got < sizeof(ping)) {
            ssize_t n = read(fd, ping, sizeof(ping) - got);
            if (n <= 0)
                die("read");
            got += (size_t)n;
        }
        sample(t);
    }
    printf("%zu %u", samples_n, quantile(0.5));
    printf(" %u\n", quantile(0.99));
}

/* c connections in flight at once, each replaced when its byte came back. */
static void
setups(const char *port, int c, double seconds)
{
    static double since[CONNS_MAX];
    struct epoll_event evs[256];
    int ep = epoll_create1(0);
    double start = now(), end = start + seconds;

    for (int i = 0; i < c; i++) {
        double t = now();
        int fd = dial(port, 'E');
        since[fd] = t;
        watch(ep, fd, EPOLLIN);
    }
    while (now() < end) {
        int n = epoll_wait(ep, evs, 256, 1000);
        for (int i = 0; i < n; i++) {
            int fd = evs[i].data.fd;
            double t;
            await_echo(fd);
            sample(since[fd]);
            drop(ep, fd);
            t = now();
            fd = dial(port, 'E');
            since[fd] = t;
            watch(ep, fd, EPOLLIN);
        }
    }
    printf("%zu %.3f %u\n", samples_n, now() - start, quantile(0.5));
}

static void
idle(int n, const char *port)
{
    int window[64];

    for (int i = 0; i < n; i++) { /* at most 64 on their way at once */
        if (i >= 64)
            await_echo(window[i % 64]);
        window[i % 64] = dial(port, 'E');
    }
    for (int i = 0; i < 64 && i < n; i++)
        await_echo(window[i]);
    printf("ready\n");
    fflush(stdout);
    while (read(0, chunk, sizeof(chunk)) > 0)
        ;
}

int
main(int argc, char **argv)
{
    struct rlimit all;

    signal(SIGPIPE, SIG_IGN);
    getrlimit(RLIMIT_NOFILE, &all);
    all.rlim_cur = all.rlim_max;
    setrlimit(RLIMIT_NOFILE, &all);
    if (argc == 3 && !strcmp(argv[1], "target"))
        target(argv[2]);
    else if (argc == 5 && (!strcmp(argv[1], "down") || !strcmp(argv[1], "up")))
        bulk(!strcmp(argv[1], "down"), (int)strtol(argv[2], NULL, 10), argv[3],
             strtod(argv[4], NULL));
    else if (argc == 4 && !strcmp(argv[1], "rtt"))
        rtt(argv[2], strtod(argv[3], NULL));
    else if (argc == 5 && !strcmp(argv[1], "setup"))
        setups(argv[2], (int)strtol(argv[3], NULL, 10), strtod(argv[4], NULL));
    else if (argc == 4 && !strcmp(argv[1], "idle"))
        idle((int)strtol(argv[2], NULL, 10), argv[3]);
    else
        return 2;
    return 0;
}
