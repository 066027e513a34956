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

/* On the tunnel's own loop before anything else is on it, so that what the calls leave is of use to
 * its first carrier. */
static cpn_rc
call_first(cpn_tunnel *t, cpn_inlet *inlet, cpn_tunnel_first *first, void *owner, cpn_err *err)
{
    cpn_rc rc;

    t->memory.max = CPN_TUNNEL_MEMORY;
    rc = cpn_loop_new(&t->loop, &t->uv, &t->memory, err);
    if (rc != CPN_OK)
        return rc;
    t->warm.loop = t->loop;
    t->api->line = &t->warm;
    rc = first(t->api, inlet, owner, err);
    t->api->line = NULL; /* what is called from now on is called while the loop runs */
    return rc;
}

cpn_rc
cpn_tunnel_stdio(cpn_api *api, cpn_inlet *inlet, cpn_tunnel_first *first, void *owner,
                 const int ends[2], cpn_err *err)
{
    cpn_tunnel t = { .api = api };
    cpn_rc rc, called;

    if (uv_loop_init(&t.uv) != 0)
        return cpn_fail(err, CPN_E_NOMEM, "event loop");
    called = call_first(&t, inlet, first, owner, err);
    rc = cpn_tunnel_begin(&t, called == CPN_OK ? err : NULL);
    if (called != CPN_OK)
        rc = called;
    if (rc == CPN_OK)
        rc = cpn_tunnel_serve(&t, inlet, err);
    if (rc == CPN_OK)
        rc = join(&t, ends[0], ends[1], err);
    if (rc == CPN_OK)
        uv_run(&t.uv, UV_RUN_DEFAULT);
    cpn_tunnel_finish(&t);
    return rc == CPN_OK && t.failed ? CPN_E_SYS : rc;
}
