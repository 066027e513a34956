/* Renews the token for a tunnel without holding up what it relays: another caponier does it, since
 * all that share the file of sign-ins renew one at a time anyway. */
#include <stdio.h>

#include "client/tunnel_impl.h"

#define SELF_MAX 4096

static void
on_closed(uv_handle_t *h)
{
    cpn_tunnel *t = h->data;

    t->renewing = false;
    t->renewal_over = true;
    if (t->stopping)
        return;
    cpn_api_reload(t->api);
    cpn_tunnel_advance(t);
}

static void
on_renewer_exit(uv_process_t *p, int64_t status, int sig)
{
    (void)status;
    (void)sig;
    uv_close((uv_handle_t *)p, on_closed);
}

/* False: it cannot be started, which is known at once. */
static bool
start(cpn_tunnel *t)
{
    cpn_api *a = t->api;
    const char *ca = cpn_args_get(&a->cli->args, "ca");
    char self[SELF_MAX];
    size_t n = sizeof(self);
    const char *argv[] = { self,      "account",   "renew",     "--gateway",
                           a->origin, "--account", a->ctx.user, ca ? "--ca" : NULL,
                           ca,        NULL };
    uv_process_options_t o = { .exit_cb = on_renewer_exit, .file = self, .args = (char **)argv };

    if (!a->ctx.user || uv_exepath(self, &n) != 0)
        return false;
    /* No stdio: standard input and output may be the stream itself. */
    t->renewer.data = t;
    /* Failed or not, libuv has the handle until it is closed. */
    if (uv_spawn(&t->uv, &t->renewer, &o) != 0)
        uv_close((uv_handle_t *)&t->renewer, on_closed);
    return true;
}

bool
cpn_tunnel_renews(cpn_tunnel *t)
{
    if (t->renewing)
        return true;
    if (t->renewal_over || t->renewed || !cpn_api_stale(t->api)) {
        t->renewal_over = false;
        return false;
    }
    t->renewing = start(t);
    return t->renewing;
}
