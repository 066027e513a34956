/* Streams through client and gateway in processes of their own: CPU seconds a GiB of each, and
 * with strace the number of system calls.
 *
 *     relaybench up|down MIB [raw] [held] [many N] [apart]
 *         held: the gateway stops itself before it starts (raw up: after the handshake), and its
 *               sockets have room for 4 MiB to pile up
 *         many: N connections with a stream each, MIB in all
 *         apart: each of them has a client process of its own
 *     relaybench idle SESSIONS         memory of an idle session (a carrier with one stream)
 *
 *     strace -f -ff -e trace=desc,network -o /tmp/rb relaybench down 1024; then count by pid
 *
 * generator =TCP=> client =TLS+WebSocket=> gateway =TCP=> sink, or the other way round. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "net/carrier.h"
#include "net/rawrelay.h"
#include "nettest.h"

#define CHUNK (1u << 20)

#define MANY_MAX 256

typedef struct role {
    nettest *nt;
    int local; /* the plain socket of this role */
    bool idle;
    unsigned opened;
    unsigned *running; /* connections of this process that have not ended */
    bool server;
    bool stops; /* itself, once the handshake is done */
} role;

/* The sockets of one connection: [0] the outer end, [1] the inner one; wire: client, gateway. */
typedef struct path {
    int app[2];
    int wire[2];
    int target[2];
} path;

typedef struct plan {
    uint64_t bytes;
    unsigned many;
    bool up, raw, held, apart;
    path paths[MANY_MAX];
} plan;

static void
tcp_pair(int fd[2])
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof(at);
    int l = socket(AF_INET, SOCK_STREAM, 0);

    if (bind(l, (struct sockaddr *)&at, n) < 0 || listen(l, 1) < 0 ||
        getsockname(l, (struct sockaddr *)&at, &n) < 0)
        abort();
    fd[0] = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd[0], (struct sockaddr *)&at, n) < 0)
        abort();
    fd[1] = accept(l, NULL, NULL);
    close(l);
}

static void
on_open(void *owner, cpn_stream *s, cpn_view target, cpn_view first)
{
    role *r = owner;

    (void)target;
    (void)first;
    fcntl(r->local, F_SETFL, O_NONBLOCK);
    cpn_stream_attach(s, dup(r->local), (cpn_view){ 0 });
    if (!r->idle)
        close(r->local);
}

static void
on_stream_end(void *owner, cpn_stream *s, const cpn_stream_end *end)
{
    (void)owner;
    if (end->why != CPN_STREAM_CLOSED)
        fprintf(stderr, "stream ended: %d\n", end->why);
    cpn_carrier_drain(cpn_stream_carrier(s));
}

static void
on_end(void *owner, cpn_carrier_why why, unsigned code, const char *text)
{
    role *r = owner;

    if (why != CPN_CARRIER_CLOSED)
        fprintf(stderr, "carrier ended: %d %u %s\n", why, code, text);
    if (!r->running || --*r->running == 0)
        uv_stop(&r->nt->uv);
}

static void
on_raw_end(void *owner, cpn_rawrelay *relay, const cpn_raw_end *end)
{
    role *r = owner;

    (void)relay;
    (void)end;
    if (--*r->running == 0)
        uv_stop(&r->nt->uv);
}

static const cpn_carrier_events gateway_events = { on_open, NULL, on_stream_end, on_end, NULL };
static const cpn_carrier_events client_events = { NULL, NULL, on_stream_end, on_end, NULL };

static void
start_raw(role *r, cpn_tls *t)
{
    cpn_err err = { 0 };
    cpn_raw_opts o = { .role = r->server ? CPN_WS_SERVER : CPN_WS_CLIENT,
                       .on_end = on_raw_end,
                       .owner = r };
    cpn_rawrelay *relay;

    if (cpn_rawrelay_new(&relay, r->nt->loop, t, &o, &err) < 0)
        abort();
    cpn_rawrelay_attach(relay, r->local);
}

static void
start_carrier(role *r, cpn_tls *t)
{
    cpn_err err = { 0 };
    cpn_carrier_opts o = { .role = r->server ? CPN_WS_SERVER : CPN_WS_CLIENT,
                           .events = r->server ? &gateway_events : &client_events,
                           .owner = r };
    cpn_carrier *c;
    cpn_stream *s;

    if (cpn_carrier_new(&c, r->nt->loop, t, &o, &err) < 0)
        abort();
    if (!r->server && cpn_carrier_open(c, &s, &(cpn_carrier_ask){ .target = CPN_VIEW_LIT("{}") },
                                       r->local, &err) != CPN_OK)
        abort();
}

static void
on_shaken(void *owner, cpn_tls *t)
{
    start_raw(owner, t);
    raise(SIGSTOP);
}

static const cpn_tls_events stopping = { .on_ready = on_shaken };

/* One connection of this process, at its end of the wire. */
static void
start_one(role *r, int wire, bool raw)
{
    cpn_err err = { 0 };
    cpn_tls_opts to = { .ctx = r->server ? r->nt->server : r->nt->client,
                        .server_name = "gate.test",
                        .handshake_ms = 60000,
                        .events = r->stops ? &stopping : NULL,
                        .owner = r };
    cpn_tls *t;

    fcntl(wire, F_SETFL, O_NONBLOCK);
    if (cpn_tls_new(&t, r->nt->loop, wire, &to, &err) < 0)
        abort();
    if (!raw)
        start_carrier(r, t);
    else if (!r->stops)
        start_raw(r, t);
}

/* Upwards nothing can wait for a gateway before the handshake. */
static bool
stops_shaken(const plan *p)
{
    return p->held && p->up && p->raw;
}

/* Connections from..to of the plan, until all of them have ended. */
static void
run_role(nettest *nt, const plan *p, bool server, unsigned from, unsigned to)
{
    static role roles[MANY_MAX];
    unsigned running = to - from;

    for (unsigned i = from; i < to; i++) {
        const path *at = &p->paths[i];

        roles[i] = (role){ .nt = nt,
                           .running = &running,
                           .local = server ? at->target[1] : at->app[1],
                           .server = server,
                           .stops = server && stops_shaken(p) };
        start_one(&roles[i], at->wire[server], p->raw);
    }
    uv_run(&nt->uv, UV_RUN_DEFAULT);
}

/* Write to all, or read and drop from all, until each has had its bytes. Returns the bytes. */
static uint64_t
move_all(const plan *p, bool writes)
{
    static uint8_t chunk[CHUNK];
    uint64_t each = p->bytes / p->many, left[MANY_MAX], total = 0;
    struct epoll_event ev[64];
    unsigned running = p->many;
    int ep = epoll_create1(0);

    for (unsigned i = 0; i < p->many; i++) {
        int fd = p->up == writes ? p->paths[i].app[0] : p->paths[i].target[0];
        struct epoll_event want = { .events = writes ? EPOLLOUT : EPOLLIN, .data.u32 = i };

        fcntl(fd, F_SETFL, O_NONBLOCK);
        epoll_ctl(ep, EPOLL_CTL_ADD, fd, &want);
        left[i] = each;
    }
    while (running > 0) {
        int n = epoll_wait(ep, ev, 64, -1);

        for (int k = 0; k < n; k++) {
            unsigned i = ev[k].data.u32;
            int fd = p->up == writes ? p->paths[i].app[0] : p->paths[i].target[0];
            ssize_t got = writes ? write(fd, chunk, (size_t)CPN_MIN(sizeof(chunk), left[i]))
                                 : recv(fd, chunk, sizeof(chunk), MSG_TRUNC);

            if (got > 0) {
                left[i] -= (uint64_t)got;
                total += (uint64_t)got;
            }
            if (got < 0 || (writes && left[i] > 0) || (!writes && got > 0))
                continue;
            shutdown(fd, SHUT_WR);
            epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL);
            running--;
        }
    }
    close(ep);
    return total;
}

static long
rss_kib(void)
{
    FILE *f = fopen("/proc/self/smaps_rollup", "r");
    char line[256];
    long kib = 0;

    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "Pss: %ld", &kib) == 1)
            break;
    if (f)
        fclose(f);
    return kib;
}

typedef struct idle_end {
    role r;
    int (*wire)[2];
    unsigned made;
    unsigned wanted;
    bool server;
} idle_end;

static void idle_next(idle_end *e);

static void
on_opened(void *owner, cpn_stream *s, cpn_view json)
{
    idle_end *e = owner;

    (void)s;
    (void)json;
    e->r.opened++;
    if (e->made < e->wanted)
        idle_next(e);
    else
        uv_stop(&e->r.nt->uv);
}

static void
on_idle_open(void *owner, cpn_stream *s, cpn_view target, cpn_view first)
{
    idle_end *e = owner;

    on_open(&e->r, s, target, first);
    if (e->made < e->wanted)
        idle_next(e);
}

static const cpn_carrier_events idle_gateway_events = { on_idle_open, NULL, on_stream_end, on_end,
                                                        NULL };
static const cpn_carrier_events idle_events = { NULL, on_opened, on_stream_end, on_end, NULL };

/* One after the other, as people come. */
static void
idle_next(idle_end *e)
{
    cpn_tls_opts to = { .ctx = e->server ? e->r.nt->server : e->r.nt->client,
                        .server_name = "gate.test",
                        .handshake_ms = 60000 };
    cpn_carrier_opts co = { .role = e->server ? CPN_WS_SERVER : CPN_WS_CLIENT,
                            .events = e->server ? &idle_gateway_events : &idle_events,
                            .owner = e };
    int fd[2], wire = e->wire[e->made++][e->server];
    cpn_carrier *c;
    cpn_stream *s;
    cpn_tls *t;
    cpn_err err;

    fcntl(wire, F_SETFL, O_NONBLOCK);
    if (cpn_tls_new(&t, e->r.nt->loop, wire, &to, &err) < 0 ||
        cpn_carrier_new(&c, e->r.nt->loop, t, &co, &err) < 0)
        abort();
    if (e->server)
        return;
    nettest_sockets(fd);
    if (cpn_carrier_open(c, &s, &(cpn_carrier_ask){ .target = CPN_VIEW_LIT("{}") }, fd[0], &err) !=
        CPN_OK)
        abort();
}

static void
on_time(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

/* Both ends of n sessions, each end in a process of its own. */
static void
idle_role(nettest *nt, int (*wire)[2], int spare, unsigned n, bool server)
{
    idle_end e = {
        .r = { .nt = nt, .local = spare, .idle = true }, .wire = wire, .wanted = n, .server = server
    };
    uv_timer_t settle;
    long before = rss_kib();

    uv_timer_init(&nt->uv, &settle);
    if (server) {
        idle_next(&e);
        uv_timer_start(&settle, on_time, 8000, 0);
    } else {
        idle_next(&e);
    }
    uv_run(&nt->uv, UV_RUN_DEFAULT);
    printf("%s: %.1f KiB a session, own blocks in use %zu\n", server ? "gateway" : "client",
           (double)(rss_kib() - before) / n, nt->quota.used);
    fflush(stdout);
}

static int
run_idle(unsigned n)
{
    int(*wire)[2] = cpn_xcalloc(n, sizeof(*wire)), spare[2];
    nettest nt;
    pid_t gateway;

    for (unsigned i = 0; i < n; i++)
        nettest_sockets(wire[i]);
    nettest_sockets(spare);
    nettest_start(&nt);
    alarm(0);
    if ((gateway = fork()) == 0) {
        uv_loop_fork(&nt.uv);
        idle_role(&nt, wire, spare[0], n, true);
        _exit(0);
    }
    idle_role(&nt, wire, 0, n, false);
    waitpid(gateway, NULL, 0);
    free(wire);
    return 0;
}

static double
cpu_of(pid_t pid)
{
    struct rusage ru;
    int status;

    if (wait4(pid, &status, 0, &ru) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fprintf(stderr, "a process failed\n");
    return (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
           (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
}

static bool
has_word(int argc, char **argv, const char *word)
{
    for (int i = 3; i < argc; i++)
        if (strcmp(argv[i], word) == 0)
            return true;
    return false;
}

/* What a stopped gateway leaves unread stays in the kernel, and so does all that it writes later.
 */
static void
make_room(int fd)
{
    int room = 4 << 20;

    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
}

/* The value behind a word; 1 without it. */
static unsigned
number_behind(int argc, char **argv, const char *word)
{
    for (int i = 3; i + 1 < argc; i++)
        if (strcmp(argv[i], word) == 0)
            return (unsigned)strtoul(argv[i + 1], NULL, 10);
    return 1;
}

/* As ./bench: the load and the clients on one core, the gateway and the target on the other. */
static void
stay_on(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sysconf(_SC_NPROCESSORS_ONLN) > 1)
        sched_setaffinity(0, sizeof(set), &set);
}

/* Everything but this role's own ends. */
static void
close_others(const plan *p, bool server, unsigned from, unsigned to)
{
    for (unsigned i = 0; i < p->many; i++) {
        const path *at = &p->paths[i];
        bool mine = i >= from && i < to;

        close(at->app[0]), close(at->target[0]), close(at->wire[!server]);
        close(server ? at->app[1] : at->target[1]);
        if (!mine)
            close(at->wire[server]), close(server ? at->target[1] : at->app[1]);
    }
}

static pid_t
start_role(nettest *nt, const plan *p, bool server, unsigned from, unsigned to)
{
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    stay_on(server);
    uv_loop_fork(&nt->uv);
    close_others(p, server, from, to);
    if (server && p->held) {
        for (unsigned i = 0; i < p->many; i++) {
            make_room(p->paths[i].wire[1]);
            make_room(p->paths[i].target[1]);
        }
        if (!stops_shaken(p))
            raise(SIGSTOP);
    }
    run_role(nt, p, server, from, to);
    _exit(0);
}

/* Start the other side of the load, be this one; returns how long it took, ns. */
static uint64_t
run_load(const plan *p)
{
    uint64_t start = cpn_mono_ns();
    pid_t source = fork();

    if (source == 0) {
        stay_on(!p->up);
        move_all(p, true);
        pause();
    }
    stay_on(p->up);
    if (move_all(p, false) != p->bytes)
        fprintf(stderr, "bytes are missing\n");
    start = cpn_mono_ns() - start;
    kill(source, SIGKILL);
    waitpid(source, NULL, 0);
    return start;
}

static void
run_bulk(const plan *p)
{
    pid_t gateway, clients[MANY_MAX];
    unsigned apart = p->apart ? p->many : 1;
    double gib = (double)p->bytes / (1 << 30), client_cpu = 0;
    uint64_t ns;
    nettest nt;

    nettest_start(&nt);
    nt.quota.max = 256u << 20;
    alarm(0);
    gateway = start_role(&nt, p, true, 0, p->many);
    for (unsigned i = 0; i < apart; i++)
        clients[i] = start_role(&nt, p, false, p->apart ? i : 0, p->apart ? i + 1 : p->many);
    for (unsigned i = 0; i < p->many; i++) {
        const path *at = &p->paths[i];

        close(at->wire[0]), close(at->wire[1]), close(at->app[1]), close(at->target[1]);
    }
    fprintf(stderr, "gateway %d client %d\n", gateway, clients[0]);
    ns = run_load(p);
    for (unsigned i = 0; i < p->many; i++)
        close(p->paths[i].app[0]), close(p->paths[i].target[0]);
    for (unsigned i = 0; i < apart; i++)
        client_cpu += cpu_of(clients[i]);
    printf("%s %s: %.0f MiB/s, gateway %.3f s/GiB, client %.3f s/GiB\n", p->raw ? "raw" : "carrier",
           p->up ? "up" : "down", (double)(p->bytes >> 20) * 1e9 / (double)ns,
           cpu_of(gateway) / gib, client_cpu / gib);
}

int
main(int argc, char **argv)
{
    static plan p;
    uint64_t mib = argc > 2 ? strtoull(argv[2], NULL, 10) : 1024;

    if (argc > 1 && strcmp(argv[1], "idle") == 0)
        return run_idle((unsigned)mib);
    p.up = argc > 1 && strcmp(argv[1], "up") == 0;
    p.raw = has_word(argc, argv, "raw");
    p.held = has_word(argc, argv, "held");
    p.apart = has_word(argc, argv, "apart");
    p.many = CPN_MIN(CPN_MAX(number_behind(argc, argv, "many"), 1u), MANY_MAX);
    p.bytes = (mib << 20) / p.many * p.many;
    for (unsigned i = 0; i < p.many; i++) {
        tcp_pair(p.paths[i].app);
        tcp_pair(p.paths[i].wire);
        tcp_pair(p.paths[i].target);
    }
    run_bulk(&p);
    return 0;
}
