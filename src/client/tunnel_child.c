/* A tunnel for one program of the user's: it is started when the port listens, and the tunnel ends
 * with it, or it with the tunnel. */
#include <signal.h>
#include <string.h>

#include "client/tunnel_impl.h"

typedef struct child {
    cpn_tunnel *tunnel;
    uv_process_t process;
    bool over;
    int status;
} child;

static void
child_over(uv_process_t *process, int64_t status, int signal)
{
    child *c = process->data;

    c->over = true;
    c->status = signal ? -signal : (int)status;
    cpn_tunnel_stop(c->tunnel, "program");
}

static cpn_rc
start(child *c, char *const argv[], cpn_err *err)
{
    uv_stdio_container_t stdio[3];
    uv_process_options_t o = { .exit_cb = child_over,
                               .file = argv[0],
                               .args = (char **)argv,
                               .stdio_count = 3,
                               .stdio = stdio };
    int n;

    for (int i = 0; i < 3; i++) {
        stdio[i].flags = UV_INHERIT_FD;
        stdio[i].data.fd = i;
    }
    c->process.data = c;
    if ((n = uv_spawn(&c->tunnel->uv, &c->process, &o)) != 0)
        return cpn_fail(err, CPN_E_SYS, "%s: %s", argv[0], uv_strerror(n));
    return CPN_OK;
}

cpn_rc
cpn_tunnel_with(cpn_api *api, cpn_inlet *inlet, char *const argv[], cpn_tunnel_ran *out,
                cpn_err *err)
{
    cpn_tunnel t = { .api = api };
    child c = { .tunnel = &t };
    cpn_rc rc;

    if (uv_loop_init(&t.uv) != 0)
        return cpn_fail(err, CPN_E_NOMEM, "event loop");
    rc = cpn_tunnel_begin(&t, err);
    if (rc == CPN_OK)
        rc = cpn_tunnel_serve(&t, inlet, err);
    if (rc == CPN_OK) {
        cpn_tunnel_accept(&t, true);
        cpn_tunnel_advance(&t);
        rc = start(&c, argv, err);
    }
    if (rc == CPN_OK) {
        uv_run(&t.uv, UV_RUN_DEFAULT);
        if (!c.over)
            uv_process_kill(&c.process, SIGTERM);
    }
    cpn_tunnel_finish(&t);
    *out = (cpn_tunnel_ran){ c.over ? c.status : -SIGTERM, t.counts.sessions_total > 0 };
    return rc;
}
