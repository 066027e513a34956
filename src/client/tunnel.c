/* The tunnel's listener, its signals, its start and its end. */
#include "client/tunnel.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/tunnel_impl.h"

#define ACCEPTS 64     /* of one inlet a turn: a flood does not hold up what is relayed */
#define GOODBYE_MS 700 /* for the gateway to take our last frames */

static void
on_acceptable(uv_poll_t *poll, int status, int what)
{
    const cpn_tunnel_inlet *in = poll->data;
    cpn_tunnel *t = in->tunnel;

    (void)what;
    cpn_tunnel_roam_look(t);
    for (unsigned i = 0; i < ACCEPTS && status == 0 && t->locals_n < t->locals_max; i++) {
        int fd = accept4(in->inlet->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0)
            return;
        cpn_local_new(in, fd);
    }
}

void
cpn_tunnel_accept(cpn_tunnel *t, bool on)
{
    for (unsigned i = 0; i < t->inlets_n && !t->stopping; i++) {
        if (t->inlets[i].inlet->fd < 0)
            continue;
        if (on)
            uv_poll_start(&t->inlets[i].accept, UV_READABLE, on_acceptable);
        else
            uv_poll_stop(&t->inlets[i].accept);
    }
}

static void
on_goodbye(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

void
cpn_tunnel_stop(cpn_tunnel *t, const char *why)
{
    if (!t->ended_by)
        t->ended_by = why;
    if (t->stopping || cpn_tunnel_carriers(t) == 0) {
        t->stopping = true;
        uv_stop(&t->uv);
        return;
    }
    cpn_tunnel_accept(t, false);
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
    cpn_tunnel *t = s->data;

    (void)number;
    t->failed = true;
    cpn_tunnel_stop(t, "signal");
}

static void
on_timeout(uv_timer_t *timer)
{
    cpn_tunnel_stop(timer->data, "timeout");
}

/* Each local connection takes two descriptors, and together they get half of those that we may
 * have: where accept() fails for want of one, the loop would only turn. */
static unsigned
locals_max(void)
{
    struct rlimit r = { 0 };

    if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
        r.rlim_cur = r.rlim_max;
        setrlimit(RLIMIT_NOFILE, &r);
        getrlimit(RLIMIT_NOFILE, &r);
    }
    return (unsigned)CPN_MAX(CPN_MIN(r.rlim_cur / 4, (rlim_t)CPN_LOCALS_MAX), (rlim_t)1);
}

cpn_rc
cpn_tunnel_serve(cpn_tunnel *t, const cpn_inlet *inlet, cpn_err *err)
{
    cpn_tunnel_inlet *in = &t->inlets[t->inlets_n];
    json_auto_t *open = cpn_target_json(&inlet->target);

    if (t->inlets_n == CPN_INLETS_MAX)
        return cpn_fail(err, CPN_LIMIT, "more than %d local ports", CPN_INLETS_MAX);
    if (inlet->fd >= 0 && uv_poll_init(&t->uv, &in->accept, inlet->fd) != 0)
        return cpn_fail(err, CPN_E_SYS, "the listener cannot be watched");
    in->accept.data = in;
    in->tunnel = t;
    in->inlet = inlet;
    in->open_json = json_dumps(open, JSON_COMPACT);
    t->inlets_n++;
    return CPN_OK;
}

static const int signals[] = { SIGINT, SIGTERM, SIGHUP };

/* nohup(1) means what it says. */
static bool
ends_us(int number)
{
    struct sigaction a;

    return number != SIGHUP || sigaction(number, NULL, &a) < 0 || a.sa_handler != SIG_IGN;
}

static volatile sig_atomic_t held; /* the last one that came; 0: none */

static void
hold(int number)
{
    held = number;
}

void
cpn_tunnel_hold_signals(void)
{
    struct sigaction a = { .sa_handler = hold, .sa_flags = SA_RESTART };

    /* Not blocked: a thread that resolves names would take them. */
    sigemptyset(&a.sa_mask);
    for (size_t i = 0; i < CPN_COUNT(signals); i++)
        if (ends_us(signals[i]))
            sigaction(signals[i], &a, NULL);
}

cpn_rc
cpn_tunnel_begin(cpn_tunnel *t, cpn_err *err)
{
    static const cpn_tunnel_plan none = { .exit_with = -1 };
    uv_timer_t *timers[] = { &t->timeout, &t->retry, &t->goodbye };
    cpn_rc rc;

    t->locals_max = locals_max();
    t->plan = t->plan ? t->plan : &none;
    t->roam_fd = t->idle_fd = -1;
    t->memory.max = CPN_TUNNEL_MEMORY;
    rc = t->loop ? CPN_OK : cpn_loop_new(&t->loop, &t->uv, &t->memory, err);
    if (rc != CPN_OK)
        return rc;
    for (size_t i = 0; i < CPN_COUNT(signals); i++) {
        uv_signal_init(&t->uv, &t->signal[i]);
        t->signal[i].data = t;
        if (ends_us(signals[i]))
            uv_signal_start(&t->signal[i], on_signal, signals[i]);
    }
    for (size_t i = 0; i < CPN_COUNT(timers); i++) {
        uv_timer_init(&t->uv, timers[i]);
        timers[i]->data = t;
    }
    cpn_tunnel_roam_start(t);
    return CPN_OK;
}

static void
close_handle(uv_handle_t *h, void *arg)
{
    (void)arg;
    if (!uv_is_closing(h))
        uv_close(h, NULL);
}

void
cpn_tunnel_finish(cpn_tunnel *t)
{
    t->stopping = true;
    cpn_tunnel_sessions_over(t);
    cpn_tunnel_line_stop(t);
    cpn_tunnel_ctlsock_stop(t);
    cpn_httpc_cancel(t->connecting);
    cpn_httpc_line_drop(&t->warm);
    for (unsigned i = 0; i < CPN_CARRIERS_MAX; i++)
        cpn_carrier_free(t->links[i].carrier);
    cpn_locals_drop(t);
    cpn_stdio_free(cpn_steal(&t->stdio));
    uv_run(&t->uv, UV_RUN_NOWAIT); /* a turn for what the connections left to free */
    cpn_loop_free(t->loop);
    uv_walk(&t->uv, close_handle, NULL);
    while (uv_run(&t->uv, UV_RUN_DEFAULT) != 0)
        ;
    cpn_tunnel_roam_stop(t);
    cpn_tunnel_until_stop(t);
    (void)uv_loop_close(&t->uv);
    for (unsigned i = 0; i < t->said_n; i++)
        free(t->said[i]);
    for (unsigned i = 0; i < t->inlets_n; i++)
        free(t->inlets[i].open_json);
}

/* What only a tunnel of its own has: ends, a control socket, a line on the terminal. */
static cpn_rc
begin_alone(cpn_tunnel *t, cpn_err *err)
{
    cpn_rc rc = cpn_tunnel_begin(t, err);

    if (held)
        raise(held);
    if (rc == CPN_OK)
        rc = cpn_tunnel_until_start(t, err);
    if (rc == CPN_OK)
        rc = cpn_tunnel_ctlsock_start(t, err);
    if (rc == CPN_OK)
        cpn_tunnel_line_start(t);
    return rc;
}

cpn_rc
cpn_tunnel_run(cpn_api *api, const cpn_inlet *inlets, unsigned n, const cpn_tunnel_plan *plan,
               cpn_err *err)
{
    cpn_tunnel t = { .api = api, .plan = plan };
    cpn_rc rc;

    if (uv_loop_init(&t.uv) != 0)
        return cpn_fail(err, CPN_E_NOMEM, "event loop");
    rc = begin_alone(&t, err);
    for (unsigned i = 0; i < n && rc == CPN_OK; i++)
        rc = cpn_tunnel_serve(&t, &inlets[i], err);
    if (rc == CPN_OK) {
        if (plan->timeout_s)
            uv_timer_start(&t.timeout, on_timeout, (uint64_t)plan->timeout_s * 1000, 0);
        cpn_tunnel_accept(&t, true);
        cpn_tunnel_advance(&t);
        uv_run(&t.uv, UV_RUN_DEFAULT);
    }
    cpn_tunnel_finish(&t);
    if (rc == CPN_OK)
        cpn_event_stopped(&t);
    return rc;
}
