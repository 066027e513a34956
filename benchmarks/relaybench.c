/* One stream through client and gateway in processes of their own: CPU seconds a GiB of each, and
 * with strace the number of system calls.
 *
 *     relaybench up|down MIB [raw] [held]   held: the gateway stops itself before it starts, and
 * its sockets have room for 4 MiB to pile up relaybench idle SESSIONS         memory of an idle
 * session (a carrier with one stream) strace -f -ff -e trace=desc,network -o /tmp/rb relaybench
 * down 1024; then count by pid
 *
 * generator =TCP=> client =TLS+WebSocket=> gateway =TCP=> sink, or the other way round. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "net/carrier.h"
#include "net/rawrelay.h"
#include "nettest.h"

#define CHUNK (1u << 20)

typedef struct role {
    nettest *nt;
    int local; /* the plain socket of this role */
    bool idle;
    unsigned opened;
} role;

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
    uv_stop(&r->nt->uv);
}

static void
on_raw_end(void *owner, cpn_rawrelay *relay, const cpn_raw_end *end)
{
    role *r = owner;

    (void)relay;
    (void)end;
    uv_stop(&r->nt->uv);
}

static const cpn_carrier_events gateway_events = { on_open, NULL, on_stream_end, on_end, NULL };
static const cpn_carrier_events client_events = { NULL, NULL, on_stream_end, on_end, NULL };

static void
run_role(nettest *nt, int wire, int local, bool server, bool raw)
{
    cpn_err err = { 0 };
    role r = { .nt = nt, .local = local };
    cpn_tls_opts to = { .ctx = server ? nt->server : nt->client, .server_name = "gate.test" };
    cpn_carrier_opts co = { .role = server ? CPN_WS_SERVER : CPN_WS_CLIENT,
                            .events = server ? &gateway_events : &client_events,
                            .owner = &r };
    cpn_raw_opts ro = { .role = co.role, .on_end = on_raw_end, .owner = &r };
    cpn_rawrelay *relay;
    cpn_carrier *c;
    cpn_stream *s;
    cpn_tls *t;

    fcntl(wire, F_SETFL, O_NONBLOCK);
    if (cpn_tls_new(&t, nt->loop, wire, &to, &err) < 0)
        abort();
    if (raw) {
        if (cpn_rawrelay_new(&relay, nt->loop, t, &ro, &err) < 0)
            abort();
        cpn_rawrelay_attach(relay, local);
    } else {
        if (cpn_carrier_new(&c, nt->loop, t, &co, &err) < 0)
            abort();
        if (!server && cpn_carrier_open(c, &s, CPN_VIEW_LIT("{}"), local, NULL, &err) != CPN_OK)
            abort();
    }
    uv_run(&nt->uv, UV_RUN_DEFAULT);
}

static void
generate(int fd, uint64_t n)
{
    static uint8_t chunk[CHUNK];

    while (n > 0) {
        ssize_t put = write(fd, chunk, (size_t)CPN_MIN(sizeof(chunk), n));

        if (put < 0)
            abort();
        n -= (uint64_t)put;
    }
    shutdown(fd, SHUT_WR);
    (void)!read(fd, chunk, 1);
}

static uint64_t
sink(int fd)
{
    static uint8_t chunk[CHUNK];
    uint64_t n = 0;

    for (ssize_t got; (got = recv(fd, chunk, sizeof(chunk), MSG_TRUNC)) > 0;)
        n += (uint64_t)got;
    shutdown(fd, SHUT_WR);
    return n;
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
    if (cpn_carrier_open(c, &s, CPN_VIEW_LIT("{}"), fd[0], NULL, &err) != CPN_OK)
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

/* What a stopped gateway leaves unread stays in the kernel. */
static void
make_room(int fd)
{
    int room = 4 << 20;

    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
}

int
main(int argc, char **argv)
{
    bool up = argc > 1 && strcmp(argv[1], "up") == 0, raw = has_word(argc, argv, "raw"),
         held = has_word(argc, argv, "held");
    uint64_t mib = argc > 2 ? strtoull(argv[2], NULL, 10) : 1024, start, ns;
    int app[2], wire[2], target[2];
    pid_t gateway, client, source;
    double gib = (double)mib / 1024;
    nettest nt;

    if (argc > 1 && strcmp(argv[1], "idle") == 0)
        return run_idle((unsigned)mib);
    tcp_pair(app);
    tcp_pair(wire);
    tcp_pair(target);
    nettest_start(&nt);
    alarm(0);
    if ((gateway = fork()) == 0) {
        uv_loop_fork(&nt.uv);
        close(app[0]), close(app[1]), close(wire[0]), close(target[0]);
        if (held) {
            make_room(wire[1]);
            make_room(target[1]);
            raise(SIGSTOP);
        }
        run_role(&nt, wire[1], target[1], true, raw);
        _exit(0);
    }
    if ((client = fork()) == 0) {
        uv_loop_fork(&nt.uv);
        close(app[0]), close(wire[1]), close(target[0]), close(target[1]);
        run_role(&nt, wire[0], app[1], false, raw);
        _exit(0);
    }
    close(wire[0]), close(wire[1]), close(app[1]), close(target[1]);
    if ((source = fork()) == 0) {
        generate(up ? app[0] : target[0], mib << 20);
        _exit(0);
    }
    fprintf(stderr, "gateway %d client %d\n", gateway, client);
    start = cpn_mono_ns();
    if (sink(up ? target[0] : app[0]) != mib << 20)
        fprintf(stderr, "bytes are missing\n");
    ns = cpn_mono_ns() - start;
    close(app[0]), close(target[0]);
    printf("%s %s: %.0f MiB/s, gateway %.3f s/GiB, client %.3f s/GiB\n", raw ? "raw" : "carrier",
           up ? "up" : "down", (double)mib * 1e9 / (double)ns, cpu_of(gateway) / gib,
           cpu_of(client) / gib);
    return 0;
}
