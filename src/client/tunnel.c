/* The tunnel's listener, its signals, its start and its end. */
#include "client/tunnel.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/tunnel_impl.h"

#define BACKLOG 128
#define GOODBYE_MS 700 /* for the gateway to take our last frames */
#define RELAY_MEMORY ((size_t)256 << 20)

cpn_rc
cpn_tunnel_listen(unsigned *port, int *out, cpn_err *err)
{
    CPN_AUTO(cpn_auto_fd) int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)*port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof(at);
    int on = 1;

    if (fd < 0)
        return cpn_fail(err, CPN_E_SYS, "socket: %s", strerror(errno));
    /* A port whose last connections only wait for their end is free; one that listens is not. */
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, BACKLOG) < 0) {
        if (errno == EADDRINUSE)
            return cpn_fail(
                err, CPN_E_SYS,
                "port %u of 127.0.0.1 is in use; choose another --port, or 0 for a free one",
                *port);
        if (errno == EACCES)
            return cpn_fail(err, CPN_E_SYS, "port %u is not allowed to you; use one from 1024 on",
                            *port);
        return cpn_fail(err, CPN_E_SYS, "port %u: %s", *port, strerror(errno));
    }
    if (getsockname(fd, (struct sockaddr *)&at, &n) < 0)
        return cpn_fail(err, CPN_E_SYS, "getsockname: %s", strerror(errno));
    *port = ntohs(at.sin_port);
    *out = cpn_steal_fd(&fd);
    return CPN_OK;
}

static void
on_acceptable(uv_poll_t *poll, int status, int what)
{
    cpn_tunnel *t = poll->data;

    (void)what;
    while (status == 0 && t->locals_n < CPN_LOCALS_MAX) {
        int fd = accept4(t->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0)
            return;
        cpn_local_new(t, fd);
    }
}

void
cpn_tunnel_accept(cpn_tunnel *t, bool on)
{
    if (t->stopping || uv_is_closing((uv_handle_t *)&t->accept))
        return;
    if (on)
        uv_poll_start(&t->accept, UV_READABLE, on_acceptable);
    else
        uv_poll_stop(&t->accept);
}

static void
on_goodbye(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

/* Tell the gateway that everything is over; a second time: at once. */
static void
stop(cpn_tunnel *t)
{
    if (t->stopping || cpn_tunnel_carriers(t) == 0) {
        t->stopping = true;
        uv_stop(&t->uv);
        return;
    }
    uv_poll_stop(&t->accept);
    t->stopping = true;
    for (unsigned i = 0; i < CPN_CARRIERS_MAX; i++)
        if (t->links[i].carrier)
            cpn_carrier_close(
                t->links[i].carrier, CPN_WS_CLOSE_NORMAL, "the tunnel was closed",
                CPN_VIEW_LIT("{\"code\":\"closed\",\"message\":\"the tunnel was closed\"}"));
    uv_timer_start(&t->goodbye, on_goodbye, GOODBYE_MS, 0);
}

static void
on_signal(uv_signal_t *s, int number)
{
    (void)number;
    stop(s->data);
}

static void
on_timeout(uv_timer_t *timer)
{
    stop(timer->data);
}

/* Each local connection takes two descriptors. */
static void
raise_descriptors(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
        r.rlim_cur = r.rlim_max;
        setrlimit(RLIMIT_NOFILE, &r);
    }
}

static cpn_rc
set_up(cpn_tunnel *t, unsigned timeout_s, cpn_err *err)
{
    static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
    uv_timer_t *timers[] = { &t->timeout, &t->retry, &t->goodbye };
    cpn_rc rc = cpn_loop_new(&t->loop, &t->uv, &t->memory, err);

    if (rc != CPN_OK)
        return rc;
    if (uv_poll_init(&t->uv, &t->accept, t->listen_fd) != 0)
        return cpn_fail(err, CPN_E_SYS, "the listener cannot be watched");
    t->accept.data = t;
    for (size_t i = 0; i < CPN_COUNT(signals); i++) {
        uv_signal_init(&t->uv, &t->signal[i]);
        t->signal[i].data = t;
        uv_signal_start(&t->signal[i], on_signal, signals[i]);
    }
    for (size_t i = 0; i < CPN_COUNT(timers); i++) {
        uv_timer_init(&t->uv, timers[i]);
        timers[i]->data = t;
    }
    if (timeout_s)
        uv_timer_start(&t->timeout, on_timeout, (uint64_t)timeout_s * 1000, 0);
    return CPN_OK;
}

static void
close_handle(uv_handle_t *h, void *arg)
{
    (void)arg;
    if (!uv_is_closing(h))
        uv_close(h, NULL);
}

static void
tear_down(cpn_tunnel *t)
{
    t->stopping = true;
    cpn_httpc_cancel(t->connecting);
    for (unsigned i = 0; i < CPN_CARRIERS_MAX; i++)
        cpn_carrier_free(t->links[i].carrier);
    cpn_locals_drop(t);
    uv_run(&t->uv, UV_RUN_NOWAIT); /* a turn for what the connections left to free */
    cpn_loop_free(t->loop);
    uv_walk(&t->uv, close_handle, NULL);
    while (uv_run(&t->uv, UV_RUN_DEFAULT) != 0)
        ;
    (void)uv_loop_close(&t->uv);
    for (unsigned i = 0; i < t->said_n; i++)
        free(t->said[i]);
    free(t->open_json);
}

cpn_rc
cpn_tunnel_run(cpn_api *api, const cpn_target *target, CPN_TAKES int listen_fd, unsigned timeout_s,
               cpn_err *err)
{
    CPN_AUTO(cpn_auto_fd) int owned = listen_fd;
    json_auto_t *open = cpn_target_json(target);
    cpn_tunnel t = { .api = api, .target = target, .listen_fd = owned, .memory.max = RELAY_MEMORY };
    cpn_rc rc;

    if (uv_loop_init(&t.uv) != 0)
        return cpn_fail(err, CPN_E_NOMEM, "event loop");
    raise_descriptors();
    t.open_json = json_dumps(open, JSON_COMPACT);
    rc = set_up(&t, timeout_s, err);
    if (rc == CPN_OK) {
        cpn_tunnel_accept(&t, true);
        cpn_tunnel_connect(&t);
        uv_run(&t.uv, UV_RUN_DEFAULT);
    }
    tear_down(&t);
    return rc;
}
