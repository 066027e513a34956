/* Serves one SSH identity on a Unix socket while somebody needs it. */
#include "client/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "client/printable.h"
#include "client/privfile.h"
#include "client/rundir.h"

#define ROOM (CPN_AGENT_FRAME_MAX + 4)
#define COMMENT_MAX 2048

enum { FD_LISTEN = 3, FD_PARENT, FD_SIGNAL, FD_FIRST_FREE };

typedef struct client {
    int fd; /* -1: none */
    cpn_buf in;
} client;

typedef struct agent {
    cpn_sshid *id;
    cpn_api *api;
    cpn_agent_place *at;
    uint64_t asked_ns; /* by cpn_boot_ns: the last message */
    bool over;         /* the account has signed out */
    client client[CPN_AGENT_CLIENTS];
} agent;

/* ---- answers ---- */

static cpn_rc
sign(const cpn_sshid *id, const cpn_agent_ask *q, cpn_buf *out)
{
    uint8_t signature[CPN_ED25519_SIGNATURE];
    cpn_usercert c;

    /* A certificate that was renewed since it was listed is still ours. */
    if (cpn_usercert_read(&c, q->key, NULL) != CPN_OK ||
        memcmp(c.key.p, id->public_key, sizeof(id->public_key)) != 0 ||
        !cpn_agent_is_sign_in(q->what, q->key) ||
        cpn_sshid_sign(id, q->what, signature, NULL) != CPN_OK)
        return cpn_agent_put_failure(out);
    return cpn_agent_put_signature(out, signature);
}

cpn_rc
cpn_agent_comment(const cpn_api *a, const char *target, cpn_buf *out)
{
    cpn_buf b = { .max = COMMENT_MAX };
    cpn_rc rc =
        cpn_buf_printf(&b, "%s at %s for %s", a->ctx.user ? a->ctx.user : "", a->origin, target);

    if (rc == CPN_OK)
        rc = cpn_printable_put(out, cpn_buf_view(&b));
    cpn_buf_fini(&b);
    return rc;
}

static cpn_rc
list(cpn_sshid *id, cpn_api *a, cpn_buf *out)
{
    CPN_AUTO(cpn_buf_fini) cpn_buf comment = { .max = 4 * COMMENT_MAX };
    cpn_rc rc = cpn_agent_comment(a, id->target, &comment);

    if (rc != CPN_OK)
        return rc;
    return cpn_agent_put_list(out, cpn_sshid_certificate(id, a), cpn_buf_view(&comment));
}

bool
cpn_agent_answer(cpn_sshid *id, cpn_api *a, cpn_buf *in, cpn_buf *out)
{
    cpn_agent_ask q;
    size_t used;
    cpn_rc rc, put = CPN_OK;

    while ((rc = cpn_agent_parse(cpn_buf_view(in), &q, &used, NULL)) == CPN_OK && put == CPN_OK) {
        if (q.kind == CPN_AGENT_LIST)
            put = list(id, a, out);
        else
            put = q.kind == CPN_AGENT_SIGN ? sign(id, &q, out) : cpn_agent_put_failure(out);
        cpn_buf_consume(in, used);
    }
    return rc == CPN_AGAIN && put == CPN_OK;
}

/* ---- clients ---- */

static void
client_drop(client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    cpn_buf_fini(&c->in);
    c->fd = -1;
}

static client *
client_free_slot(agent *g)
{
    for (int i = 0; i < CPN_AGENT_CLIENTS; i++)
        if (g->client[i].fd < 0)
            return &g->client[i];
    return NULL;
}

static void
client_accept(agent *g)
{
    CPN_AUTO(cpn_auto_fd) int fd = accept4(FD_LISTEN, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    client *c = client_free_slot(g);

    if (fd < 0 || !c || cpn_peer_may(fd, &g->at->inlet.peers, NULL) != CPN_OK)
        return;
    *c = (client){ .fd = cpn_steal_fd(&fd), .in = { .max = ROOM } };
}

static bool
signed_out(const cpn_api *a)
{
    cpn_context now = { 0 };
    cpn_rc rc = cpn_contexts_get(a->dir, a->origin, a->ctx.user, &now, NULL);

    cpn_context_fini(&now);
    return rc == CPN_NOT_FOUND;
}

/* Answers are short; who does not read them is dropped rather than waited for. */
static bool
client_read(agent *g, client *c)
{
    cpn_buf out = { .max = (size_t)2 * ROOM };
    uint8_t *at;
    size_t room = c->in.max - c->in.n;
    ssize_t n = -1;
    bool good = room > 0 && cpn_buf_reserve(&c->in, room, &at) == CPN_OK;

    if (good) {
        n = read(c->fd, at, room);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return true;
        good = n > 0;
    }
    if (good) {
        c->in.n += (size_t)n;
        g->asked_ns = cpn_boot_ns();
        g->over |= signed_out(g->api);
        good = !g->over && cpn_agent_answer(g->id, g->api, &c->in, &out);
    }
    if (good && out.n)
        good = send(c->fd, out.p, out.n, MSG_NOSIGNAL) == (ssize_t)out.n;
    cpn_buf_fini(&out);
    return good;
}

/* ---- the process ---- */

/* For poll: until it has been idle for too long; -1: for ever. */
static int
patience(const agent *g)
{
    uint64_t end = g->asked_ns + g->at->idle_s * CPN_NS_PER_S, now = cpn_boot_ns();

    if (g->at->idle_s == 0)
        return -1;
    return now >= end ? 0 : (int)((end - now) / CPN_NS_PER_MS) + 1;
}

/* Until the program has ended, nobody asks any more, or somebody says so. */
static void
serve(agent *g)
{
    int ms;

    while (!g->over && (ms = patience(g)) != 0) {
        struct pollfd p[3 + CPN_AGENT_CLIENTS] = {
            { .fd = g->at->idle_s ? -1 : FD_PARENT, .events = POLLIN },
            { .fd = FD_SIGNAL, .events = POLLIN },
            { .fd = client_free_slot(g) ? FD_LISTEN : -1, .events = POLLIN },
        };

        for (int i = 0; i < CPN_AGENT_CLIENTS; i++)
            p[3 + i] = (struct pollfd){ .fd = g->client[i].fd, .events = POLLIN };
        if (poll(p, CPN_COUNT(p), ms) < 0 && errno != EINTR)
            return;
        if (p[0].revents || p[1].revents)
            return;
        for (int i = 0; i < CPN_AGENT_CLIENTS; i++)
            if (p[3 + i].revents && !client_read(g, &g->client[i]))
                client_drop(&g->client[i]);
        if (p[2].revents)
            client_accept(g);
    }
}

/* Nothing is inherited but what is needed: a pipe held open would keep a reader of ssh waiting. */
static bool
settle(agent *g, int parent)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC), ends = -1;
    int from[3], quiet = fcntl(null, F_DUPFD, FD_FIRST_FREE);
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    if (quiet < 0 || setsid() < 0 || chdir("/") < 0 || sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return false;
    ends = signalfd(-1, &set, SFD_CLOEXEC);
    /* Out of the way of the numbers that they get. */
    from[0] = fcntl(g->at->inlet.fd, F_DUPFD, FD_FIRST_FREE);
    from[1] = fcntl(parent < 0 ? null : parent, F_DUPFD, FD_FIRST_FREE);
    from[2] = fcntl(ends, F_DUPFD, FD_FIRST_FREE);
    for (int i = 0; i < 3; i++)
        if (from[i] < 0 || dup2(from[i], FD_LISTEN + i) < 0 || dup2(quiet, i) < 0)
            return false;
    g->at->inlet.fd = FD_LISTEN;
    return close_range(FD_FIRST_FREE, ~0U, 0) == 0;
}

/* Who comes now is sent away, and does not take the path while we look whether it is ours. */
static void
leave(cpn_agent_place *at)
{
    char folder[CPN_AGENT_PATH_SIZE];
    CPN_AUTO(cpn_auto_fd) int dirfd = -1;
    CPN_AUTO(cpn_auto_fd) int lock = -1;
    char *slash;

    if (at->inlet.fd >= 0)
        close(at->inlet.fd);
    at->inlet.fd = -1;
    memcpy(folder, at->inlet.path, sizeof(folder));
    slash = strrchr(folder, '/');
    if (slash && at->idle_s) {
        *slash = '\0';
        (void)!(cpn_privdir_open(folder, false, &dirfd, NULL) == CPN_OK &&
                cpn_privfile_lock(dirfd, CPN_AGENT_LOCK, &lock, NULL) == CPN_OK);
    }
    cpn_inlet_close(&at->inlet);
    if (at->folder[0])
        rmdir(at->folder);
}

/* In the agent's own process; does not return. */
static void
run(agent *g, int parent)
{
    cpn_sshid_hold(g->id);
    g->api->line = NULL; /* the connection is our parent's; its descriptor is closed unused */
    if (settle(g, parent))
        serve(g);
    for (int i = 0; i < CPN_AGENT_CLIENTS; i++)
        client_drop(&g->client[i]);
    cpn_sshid_free(cpn_steal(&g->id));
    cpn_api_fini(g->api);
    leave(g->at);
    _exit(0);
}

/* A grandchild, so that ssh gets no child that it does not know. */
static cpn_rc
run_apart(agent *g, cpn_err *err)
{
    CPN_AUTO(cpn_auto_fd) int self = g->at->idle_s ? -1 : pidfd_open(getpid(), 0);
    int status = 0;
    pid_t pid;

    if ((self < 0 && !g->at->idle_s) || (pid = fork()) < 0)
        return cpn_fail(err, CPN_E_SYS, "the agent: %s", strerror(errno));
    if (pid == 0) {
        pid = fork();
        if (pid == 0)
            run(g, self);
        _exit(pid < 0);
    }
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return cpn_fail(err, CPN_E_SYS, "waitpid: %s", strerror(errno));
    return status == 0 ? CPN_OK : cpn_fail(err, CPN_E_SYS, "the agent cannot be started");
}

cpn_rc
cpn_agent_run(cpn_agent_place *at, CPN_TAKES cpn_sshid *id, cpn_api *a, cpn_err *err)
{
    CPN_AUTO(cpn_sshid_auto) CPN_UNUSED cpn_sshid *mine = id;
    agent g = { .id = id, .api = a, .at = at, .asked_ns = cpn_boot_ns() };
    cpn_rc rc;

    for (int i = 0; i < CPN_AGENT_CLIENTS; i++)
        g.client[i].fd = -1;
    rc = run_apart(&g, err);
    if (rc == CPN_OK) {
        close(at->inlet.fd);
        return CPN_OK;
    }
    cpn_inlet_close(&at->inlet);
    if (at->folder[0])
        rmdir(at->folder);
    return rc;
}

/* ---- where ---- */

static cpn_rc
make_folder(cpn_agent_place *g, cpn_err *err)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR"), *temp = getenv("TMPDIR");
    const char *in = cpn_rundir_fit(runtime) ? runtime : temp && temp[0] == '/' ? temp : "/tmp";
    int n = snprintf(g->folder, sizeof(g->folder), "%s/caponier-XXXXXX", in);

    if (n < 0 || (size_t)n >= sizeof(g->folder) - sizeof("/agent"))
        return cpn_fail(err, CPN_E_SYS, "%s: too long for a socket; set TMPDIR", in);
    if (!mkdtemp(g->folder)) /* 0700 */
        return cpn_fail(err, CPN_E_SYS, "%s: %s", g->folder, strerror(errno));
    return CPN_OK;
}

cpn_rc
cpn_agent_start(CPN_TAKES cpn_sshid *id, cpn_api *a, char socket[CPN_AGENT_PATH_SIZE], cpn_err *err)
{
    CPN_AUTO(cpn_sshid_auto) cpn_sshid *mine = id;
    cpn_agent_place at = { .inlet = CPN_INLET_NONE };
    cpn_rc rc = make_folder(&at, err);

    if (rc != CPN_OK)
        return rc;
    snprintf(socket, CPN_AGENT_PATH_SIZE, "%.*s/agent", CPN_AGENT_PATH_SIZE - 8, at.folder);
    rc = cpn_inlet_unix(&at.inlet, socket, err);
    return rc == CPN_OK ? cpn_agent_run(&at, cpn_steal(&mine), a, err) : rc;
}
