/* One stream between standard input and output and a machine. */
#include <unistd.h>

#include "client/tunnel_impl.h"

static void
on_done(void *owner, bool complete)
{
    cpn_tunnel *t = owner;

    t->failed |= !complete;
    cpn_tunnel_stop(t, "closed");
}

static cpn_rc
join(cpn_tunnel *t, int in, int out, cpn_err *err)
{
    int fd = -1;
    cpn_rc rc = cpn_stdio_new(&t->stdio, &t->uv, in, out, &fd, on_done, t, err);

    if (rc != CPN_OK)
        return rc;
    if (!cpn_local_join(&t->inlets[0], fd))
        return cpn_fail(err, CPN_E_NOMEM, "a local connection");
    return CPN_OK;
}

cpn_rc
cpn_tunnel_stdio(cpn_api *api, const cpn_inlet *inlet, int in, int out, cpn_err *err)
{
    cpn_tunnel t = { .api = api };
    cpn_rc rc;

    if (uv_loop_init(&t.uv) != 0)
        return cpn_fail(err, CPN_E_NOMEM, "event loop");
    rc = cpn_tunnel_begin(&t, err);
    if (rc == CPN_OK)
        rc = cpn_tunnel_serve(&t, inlet, err);
    if (rc == CPN_OK)
        rc = join(&t, in, out, err);
    if (rc == CPN_OK)
        uv_run(&t.uv, UV_RUN_DEFAULT);
    cpn_tunnel_finish(&t);
    return rc == CPN_OK && t.failed ? CPN_E_SYS : rc;
}
