/* Ends a tunnel that nobody has used for a while, or together with another process. Nothing here
 * wakes up while there is nothing to do. */
#include <errno.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "client/printable.h"
#include "client/tunnel_impl.h"

/* Seconds of idleness from now on; 0: the clock stands. */
static void
set_clock(cpn_tunnel *t, unsigned seconds)
{
    struct itimerspec at = { .it_value.tv_sec = seconds };

    (void)timerfd_settime(t->idle_fd, 0, &at, NULL);
}

static void
on_idle(uv_poll_t *poll, int status, int what)
{
    cpn_tunnel *t = poll->data;
    uint64_t times;

    (void)status;
    (void)what;
    if (read(t->idle_fd, &times, sizeof(times)) != sizeof(times) || t->counts.sessions)
        return;
    if (t->locals) {
        set_clock(t, t->plan->idle_s); /* somebody is coming in */
    } else {
        cpn_say("ended: no session was open for %u s", t->plan->idle_s);
        cpn_tunnel_stop(t, "idle");
    }
}

static void
on_other_end(uv_poll_t *poll, int status, int what)
{
    (void)status;
    (void)what;
    uv_poll_stop(poll);
    cpn_say("ended: the process of --exit-with has");
    cpn_tunnel_stop(poll->data, "exit_with");
}

/* By the clock that goes on while the machine sleeps. */
static cpn_rc
start_clock(cpn_tunnel *t, cpn_err *err)
{
    t->idle_fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    if (t->idle_fd < 0 || uv_poll_init(&t->uv, &t->idle, t->idle_fd) != 0)
        return cpn_fail(err, CPN_E_SYS, "--idle-timeout: %s", strerror(errno));
    t->idle.data = t;
    set_clock(t, t->plan->idle_s);
    uv_poll_start(&t->idle, UV_READABLE, on_idle);
    return CPN_OK;
}

cpn_rc
cpn_tunnel_until_start(cpn_tunnel *t, cpn_err *err)
{
    cpn_rc rc = t->plan->idle_s ? start_clock(t, err) : CPN_OK;

    if (rc != CPN_OK || t->plan->exit_with < 0)
        return rc;
    if (uv_poll_init(&t->uv, &t->other, t->plan->exit_with) != 0)
        return cpn_fail(err, CPN_E_SYS, "--exit-with: the process cannot be watched");
    t->other.data = t;
    uv_poll_start(&t->other, UV_READABLE, on_other_end);
    return CPN_OK;
}

void
cpn_tunnel_until_busy(cpn_tunnel *t, bool busy)
{
    if (t->idle_fd >= 0)
        set_clock(t, busy ? 0 : t->plan->idle_s);
}

void
cpn_tunnel_until_stop(cpn_tunnel *t)
{
    if (t->idle_fd >= 0)
        close(t->idle_fd);
    t->idle_fd = -1;
}
