/* Keeper's loop: control's messages, the end of dials, and signals. */
#include "keeper/keeper.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "keeper/ready.h"
#include "keeper/settings.h"
#include "keeper/spawn.h"

/* What control may take longer than its drain to write the last records. */
#define DRAIN_MARGIN_MS 2000

/* ---- to control ----------------------------------------------------------------------------- */

void
cpn_keeper_tell(cpn_keeper *k, const cpn_msg *msg, CPN_TAKES int fd)
{
    CPN_AUTO(cpn_auto_fd) int owned = fd;

    if (!k->control.channel || !k->control.configured)
        return;
    if (cpn_channel_send(k->control.channel, msg, cpn_steal_fd(&owned)) == CPN_LIMIT)
        cpn_keeper_kill_control(k, "it does not read");
}

static void
tell_alive(void *arg, const cpn_uuid *session, uint64_t stream)
{
    cpn_msg m = { .type = CPN_MSG_ALIVE, .ALIVE = { .session = *session, .stream = stream } };

    cpn_keeper_tell(arg, &m, -1);
}

static void
tell_signal(cpn_keeper *k, int signum)
{
    cpn_msg m = { .type = CPN_MSG_SIGNAL, .SIGNAL = { .signal = (uint32_t)signum } };

    cpn_keeper_tell(k, &m, -1);
}

/* ---- dials ---------------------------------------------------------------------------------- */

/* Without these neither a control nor a front that has died can be started again. */
#define SPARE_FILES 64

static bool
is_spare(int fd)
{
    struct rlimit files = { 0, 0 };

    return getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur > 2 * SPARE_FILES &&
           (rlim_t)fd >= files.rlim_cur - SPARE_FILES;
}

/* Keep a connected socket and make the duplicate that control gets. */
static cpn_reason
keep(cpn_keeper *k, const cpn_uuid *session, uint64_t stream, CPN_TAKES int fd, int *dup)
{
    CPN_AUTO(cpn_auto_fd) int owned = fd;

    *dup = fcntl(owned, F_DUPFD_CLOEXEC, 0);
    if (*dup >= 0 && !is_spare(*dup) &&
        cpn_kept_add(k->kept, session, stream, cpn_steal_fd(&owned)) == CPN_OK)
        return CPN_WHY_NONE;
    cpn_auto_fd(dup);
    return CPN_WHY_BUSY;
}

static void
on_dialed(void *owner, const cpn_uuid *session, uint64_t stream, cpn_reason why, const char *detail,
          int fd)
{
    cpn_keeper *k = owner;
    cpn_msg m = { .type = CPN_MSG_DIALED, .DIALED = { .session = *session, .stream = stream } };
    int dup = -1;

    if (why == CPN_WHY_NONE && (why = keep(k, session, stream, fd, &dup)) != CPN_WHY_NONE)
        detail = "no room to keep the socket";
    if (why == CPN_WHY_FENCE)
        cpn_log(CPN_LOG_WARN, "dial.fenced", CPN_KV("why", detail));
    m.DIALED.why = (uint16_t)why;
    m.DIALED.detail = cpn_view_str(detail);
    cpn_keeper_tell(k, &m, dup);
}

/* ---- from control --------------------------------------------------------------------------- */

static void
on_config(cpn_keeper *k, const cpn_msg_CONFIG *m)
{
    bool first_of_process = !k->control.configured;
    cpn_err err = { 0 };
    bool first_ever = !k->configured;

    if (cpn_keeper_configure(k, m, &err) != CPN_OK) {
        cpn_log(CPN_LOG_ERROR, "config.refused", CPN_KE(&err));
        if (first_ever)
            cpn_keeper_finish(k, cpn_rc_exit(err.rc));
        return;
    }
    k->control.configured = true;
    if (!first_of_process)
        return;
    cpn_keeper_offer_fronts(k);
    if (k->stopping) /* the one that was told has died, or there was none to tell */
        tell_signal(k, SIGTERM);
}

static void
on_started(cpn_keeper *k)
{
    if (k->ready || k->stopping)
        return;
    k->ready = true;
    cpn_log(CPN_LOG_INFO, "gateway.ready", CPN_KV("listen", k->listen_text),
            CPN_KV("admin", k->admin_text));
    cpn_ready_write(cpn_steal_fd(&k->ready_fd), k->listen_text, k->admin_text);
    cpn_ready_notify("READY=1");
}

static void
on_list(cpn_keeper *k)
{
    cpn_msg end = { .type = CPN_MSG_ALIVE_END };

    cpn_kept_each(k->kept, tell_alive, k);
    cpn_keeper_tell(k, &end, -1);
}

static void
on_message(void *owner, const cpn_msg *msg, int fd)
{
    cpn_keeper *k = owner;

    (void)fd; /* the table lets control send keeper none */
    if (msg->type != CPN_MSG_CONFIG && !k->control.configured) {
        cpn_keeper_kill_control(k, "a message before CONFIG");
        return;
    }
    switch (msg->type) {
    case CPN_MSG_CONFIG:
        on_config(k, &msg->CONFIG);
        return;
    case CPN_MSG_DIAL:
        cpn_dialer_dial(k->dialer, &msg->DIAL);
        return;
    case CPN_MSG_SHUT:
        cpn_kept_shut(k->kept, &msg->SHUT.session);
        cpn_dialer_abort(k->dialer, &msg->SHUT.session, NULL);
        return;
    case CPN_MSG_RELEASE:
        cpn_kept_release(k->kept, &msg->RELEASE.session, msg->RELEASE.stream);
        cpn_dialer_abort(k->dialer, &msg->RELEASE.session, &msg->RELEASE.stream);
        return;
    case CPN_MSG_LIST:
        on_list(k);
        return;
    case CPN_MSG_KILL_FRONT:
        cpn_keeper_kill_front(k, msg->KILL_FRONT.front);
        return;
    case CPN_MSG_STARTED:
        on_started(k);
        return;
    default:
        abort(); /* the permit list has let pass what no case handles: a bug in us */
    }
}

static void
on_broken(void *owner, const cpn_err *err)
{
    cpn_keeper *k = owner;

    if (err)
        cpn_keeper_kill_control(k, err->msg);
    cpn_keeper_control_left(k);
}

const cpn_channel_handler cpn_keeper_channel_handler = { on_message, on_broken };

/* ---- signals -------------------------------------------------------------------------------- */

static void
on_drained(uv_timer_t *t)
{
    cpn_keeper_finish(t->data, 0);
}

static void
stop(cpn_keeper *k)
{
    bool again = k->stopping;

    k->stopping = true;
    cpn_log(CPN_LOG_INFO, "gateway.stopping", CPN_KI("drain_ms", again ? 0 : k->drain_ms));
    if (again || !k->configured) {
        cpn_keeper_finish(k, 0);
        return;
    }
    cpn_ready_notify("STOPPING=1");
    tell_signal(k, SIGTERM);
    uv_timer_start(&k->drain, on_drained, (uint64_t)k->drain_ms + DRAIN_MARGIN_MS, 0);
}

static void
on_signal(uv_signal_t *s, int signum)
{
    cpn_keeper *k = s->data;

    if (signum == SIGCHLD)
        cpn_keeper_reap(k);
    else if (signum == SIGHUP)
        tell_signal(k, SIGHUP);
    else
        stop(k);
}

/* ---- life ----------------------------------------------------------------------------------- */

static cpn_rc
open_all(cpn_keeper *k, const cpn_role_args *args, cpn_err *err)
{
    static const int wanted[] = { SIGCHLD, SIGTERM, SIGINT, SIGHUP };
    cpn_rc rc;

    if ((rc = cpn_spawn_self(&k->exe, err)) != CPN_OK ||
        (rc = cpn_listen_adopt(&k->listen, args->listen, args->listens, err)) != CPN_OK ||
        (rc = cpn_listen_adopt(&k->admin, args->admin, args->admins, err)) != CPN_OK)
        return rc;
    if (k->ready_fd >= 0)
        fcntl(k->ready_fd, F_SETFD, FD_CLOEXEC);
    for (size_t i = 0; i < CPN_COUNT(wanted); i++) {
        uv_signal_init(&k->loop, &k->signals[i]);
        k->signals[i].data = k;
        uv_signal_start(&k->signals[i], on_signal, wanted[i]);
    }
    uv_timer_init(&k->loop, &k->drain);
    uv_timer_init(&k->loop, &k->control.again);
    k->drain.data = k->control.again.data = k;
    k->dialer = cpn_dialer_new(&k->loop, &k->fence, on_dialed, k);
    k->kept = cpn_kept_new();
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
close_all(cpn_keeper *k)
{
    cpn_channel_free(cpn_steal(&k->control.channel));
    if (k->dialer)
        cpn_dialer_abort_all(k->dialer);
    uv_walk(&k->loop, close_handle, NULL);
    uv_run(&k->loop, UV_RUN_DEFAULT);
    uv_loop_close(&k->loop);
    cpn_dialer_free(k->dialer);
    cpn_kept_free(k->kept);
    cpn_listen_close(&k->listen);
    cpn_listen_close(&k->admin);
    cpn_auto_fd(&k->exe);
    cpn_auto_fd(&k->ready_fd);
    free(k);
}

int
cpn_keeper_main(const cpn_role_args *args)
{
    cpn_keeper *k = cpn_xcalloc(1, sizeof(*k));
    cpn_err err = { 0 };
    int status;

    k->exe = -1;
    k->ready_fd = args->ready;
    k->config_path = args->config_path;
    k->status = 1;
    uv_loop_init(&k->loop);
    if (open_all(k, args, &err) == CPN_OK) {
        cpn_keeper_start_control(k);
        uv_run(&k->loop, UV_RUN_DEFAULT);
    } else {
        cpn_log(CPN_LOG_ERROR, "gateway.start_failed", CPN_KE(&err));
    }
    status = k->status;
    close_all(k);
    return status;
}
