/* The first message of each control process: the first ever one binds, drops and fixes; later ones
 * may change what needs no restart. */
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "keeper/settings.h"

/* Listen addresses and user, as one text to compare. */
static void
fixed_part(const cpn_msg_CONFIG *m, char *out, size_t size)
{
    snprintf(out, size, "%.*s|%.*s|%.*s", CPN_VIEW_ARG(m->listen), CPN_VIEW_ARG(m->admin_listen),
             CPN_VIEW_ARG(m->user));
}

static cpn_rc
guard_own_listeners(cpn_keeper *k, const cpn_listener_set *set, cpn_err *err)
{
    for (size_t i = 0; i < set->n; i++) {
        cpn_addr addr;
        uint16_t port;
        cpn_rc rc = cpn_listen_address(set->fd[i], &addr, &port, err);
        if (rc != CPN_OK)
            return rc;
        if (k->fence.allow_loopback && !cpn_addr_is_loopback(&addr))
            return cpn_fail(err, CPN_E_CONF,
                            "fence_allow_loopback is for tests: every listen address must be "
                            "loopback");
        if (cpn_fence_add_own(&k->fence, &addr, port) != CPN_OK)
            return cpn_fail(err, CPN_E_CONF, "too many listen addresses");
    }
    return CPN_OK;
}

static cpn_rc
bind_all(cpn_keeper *k, const cpn_msg_CONFIG *m, cpn_err *err)
{
    cpn_rc rc = CPN_OK;

    /* Passed sockets are used as they are. */
    if (k->listen.n == 0)
        rc = cpn_listen_bind(&k->listen, m->listen, err);
    if (rc == CPN_OK && k->admin.n == 0)
        rc = cpn_listen_bind(&k->admin, m->admin_listen, err);
    if (rc == CPN_OK && k->listen.n == 0)
        rc = cpn_fail(err, CPN_E_CONF, "no listen address");
    if (rc == CPN_OK)
        rc = guard_own_listeners(k, &k->listen, err);
    if (rc == CPN_OK)
        rc = guard_own_listeners(k, &k->admin, err);
    cpn_listen_text(&k->listen, k->listen_text, sizeof(k->listen_text));
    cpn_listen_text(&k->admin, k->admin_text, sizeof(k->admin_text));
    return rc;
}

static cpn_rc
first(cpn_keeper *k, const cpn_msg_CONFIG *m, cpn_err *err)
{
    char user[65];
    cpn_rc rc;

    if (m->fronts < 1 || m->fronts > CPN_FRONTS_MAX || !cpn_view_copy(m->user, user, sizeof(user)))
        return cpn_fail(err, CPN_E_PROTO, "fronts or user out of bounds");
    k->fence.allow_loopback = m->fence_allow_loopback != 0;
    k->fronts_n = m->fronts;
    k->log_json = m->log_json != 0;
    fixed_part(m, k->wanted, sizeof(k->wanted));
    cpn_log_setup("keeper", k->log_json, CPN_LOG_INFO, 2);
    cpn_log_set_level(m->log_level);
    if ((rc = cpn_fence_can_tell(err)) != CPN_OK || (rc = bind_all(k, m, err)) != CPN_OK ||
        (rc = cpn_role_drop(user, err)) != CPN_OK)
        return rc;
    if (geteuid() == 0)
        cpn_log(CPN_LOG_WARN, "keeper.root", CPN_KV("why", "started as root without a user"));
    if (k->fence.allow_loopback)
        cpn_log(CPN_LOG_WARN, "fence.loopback_allowed");
    k->configured = true;
    return CPN_OK;
}

cpn_rc
cpn_keeper_configure(cpn_keeper *k, const cpn_msg_CONFIG *m, cpn_err *err)
{
    char wanted[sizeof(k->wanted)];
    cpn_rc rc = k->configured ? CPN_OK : first(k, m, err);

    if (rc != CPN_OK)
        return rc;
    fixed_part(m, wanted, sizeof(wanted));
    if (strcmp(wanted, k->wanted) != 0)
        cpn_log(CPN_LOG_WARN, "config.needs_restart",
                CPN_KV("settings", "listen, admin_listen or user"));
    cpn_log_set_level(m->log_level);
    k->drain_ms = m->drain_ms;
    cpn_dialer_limits(k->dialer, m->dials_max, m->dial_timeout_ms);
    return cpn_fence_set_deny(&k->fence, m->fence_deny, err);
}
