/* Children: started, restarted, and given to each other by descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "ipc/tally.h"
#include "keeper/spawn.h"
#include "keeper/state.h"

/* A control that has closed its channel may take this long to exit. */
#define LEAVE_MS 2000

/* ---- control -------------------------------------------------------------------------------- */

static void
on_control_again(uv_timer_t *t)
{
    cpn_keeper *k = t->data;

    if (k->control.pid)
        kill(k->control.pid, SIGKILL);
    else
        cpn_keeper_start_control(k);
}

static cpn_rc
start_control(cpn_keeper *k, cpn_err *err)
{
    char channel[32];
    const char *argv[] = {
        "caponierd: control", "--role=control", channel, "-c", k->config_path, NULL
    };
    int pair[2];
    cpn_rc rc = cpn_channel_pair(pair, err);

    if (rc != CPN_OK)
        return rc;
    CPN_AUTO(cpn_auto_fd) int ours = pair[0];
    CPN_AUTO(cpn_auto_fd) int theirs = pair[1];
    snprintf(channel, sizeof(channel), "--channel=%d", CPN_SPAWN_FIRST_FD);
    if ((rc = cpn_spawn(&k->control.pid, k->exe, argv, &theirs, 1, err)) != CPN_OK)
        return rc;
    return cpn_channel_new(&k->control.channel, &k->loop, cpn_steal_fd(&ours), CPN_ROLE_KEEPER,
                           CPN_ROLE_CONTROL, &cpn_keeper_channel_handler, k, err);
}

void
cpn_keeper_start_control(cpn_keeper *k)
{
    cpn_err err = { 0 };

    k->control.configured = false;
    if (start_control(k, &err) == CPN_OK) {
        cpn_log(CPN_LOG_INFO, "control.started", CPN_KI("pid", k->control.pid));
        return;
    }
    cpn_log(CPN_LOG_ERROR, "control.start_failed", CPN_KE(&err));
    if (k->control.pid)
        kill(k->control.pid, SIGKILL);
    else
        uv_timer_start(&k->control.again, on_control_again, CPN_RESTART_APART_MS, 0);
}

void
cpn_keeper_kill_control(cpn_keeper *k, const char *why)
{
    cpn_log(CPN_LOG_ERROR, "control.killed", CPN_KV("why", why));
    if (k->control.pid)
        kill(k->control.pid, SIGKILL);
}

void
cpn_keeper_control_left(cpn_keeper *k)
{
    cpn_channel_free(cpn_steal(&k->control.channel));
    k->control.configured = false;
    uv_timer_start(&k->control.again, on_control_again, LEAVE_MS, 0);
}

static void
control_ended(cpn_keeper *k, int status)
{
    uint64_t delay;

    k->control.pid = 0;
    k->control.configured = false;
    uv_timer_stop(&k->control.again);
    cpn_channel_free(cpn_steal(&k->control.channel));
    cpn_dialer_abort_all(k->dialer);
    if (k->stopping && WIFEXITED(status) && WEXITSTATUS(status) == 0) { /* it has drained */
        cpn_keeper_finish(k, 0);
        return;
    }
    /* It said why and gave up before the gateway ever served: starting it again would not help. */
    if (!k->ready && WIFEXITED(status) && WEXITSTATUS(status) != 0) {
        cpn_keeper_finish(k, WEXITSTATUS(status));
        return;
    }
    delay = cpn_restart_delay(&k->control.restarts, cpn_mono_ms());
    cpn_log(CPN_LOG_ERROR, "control.died", CPN_KI("status", status), CPN_KI("again_ms", delay));
    uv_timer_start(&k->control.again, on_control_again, delay, 0);
}

/* ---- fronts --------------------------------------------------------------------------------- */

static void start_front(cpn_keeper_front *f);

static void
on_front_again(uv_timer_t *t)
{
    cpn_keeper_front *f = t->data;

    /* Without control a front could accept nothing: it is started when control is back. */
    if (!f->pid && f->keeper->control.configured && !f->keeper->stopping)
        start_front(f);
}

/* Descriptors 3 channel, 4 news, 5 tally, then the listening sockets, then the admin ones. */
static cpn_rc
spawn_front(cpn_keeper_front *f, int channel, int news, cpn_err *err)
{
    cpn_keeper *k = f->keeper;
    int fds[CPN_SPAWN_FDS_MAX] = { channel, news, f->tally };
    char title[32], number[32], listens[32], admins[32];
    const char *argv[] = { title,   "--role=front", number,
                           listens, admins,         k->log_json ? "--log=json" : "--log=logfmt",
                           NULL };
    size_t n = 3;

    snprintf(title, sizeof(title), "caponierd: front %u", f->number);
    snprintf(number, sizeof(number), "--number=%u", f->number);
    snprintf(listens, sizeof(listens), "--listens=%zu", k->listen.n);
    snprintf(admins, sizeof(admins), "--admins=%zu", k->admin.n);
    for (size_t i = 0; i < k->listen.n; i++)
        fds[n++] = k->listen.fd[i];
    for (size_t i = 0; i < k->admin.n; i++)
        fds[n++] = k->admin.fd[i];
    return cpn_spawn(&f->pid, k->exe, argv, fds, n, err);
}

static void
offer(cpn_keeper_front *f, CPN_TAKES int channel)
{
    cpn_msg up = { .type = CPN_MSG_FRONT_UP,
                   .FRONT_UP = { .front = f->number, .pid = (uint32_t)f->pid } };
    cpn_msg tally = { .type = CPN_MSG_FRONT_TALLY, .FRONT_TALLY = { .front = f->number } };

    int dup = fcntl(f->tally, F_DUPFD_CLOEXEC, 0);

    cpn_keeper_tell(f->keeper, &up, channel);
    if (dup >= 0)
        cpn_keeper_tell(f->keeper, &tally, dup);
    else
        kill(f->pid, SIGKILL); /* no descriptors left; a front without a tally is no use */
}

static cpn_rc
try_start_front(cpn_keeper_front *f, cpn_err *err)
{
    int channel[2], news[2];
    cpn_rc rc = cpn_channel_pair(channel, err);

    if (rc != CPN_OK)
        return rc;
    CPN_AUTO(cpn_auto_fd) int controls = channel[0];
    CPN_AUTO(cpn_auto_fd) int fronts = channel[1];
    if ((rc = cpn_channel_pair(news, err)) != CPN_OK)
        return rc;
    CPN_AUTO(cpn_auto_fd) int news_ours = news[0];
    CPN_AUTO(cpn_auto_fd) int news_theirs = news[1];
    shutdown(news_ours, SHUT_RD); /* not a byte from a front */
    if ((rc = cpn_tally_create(&f->tally, err)) != CPN_OK ||
        (rc = spawn_front(f, fronts, news_theirs, err)) != CPN_OK)
        return rc;
    f->news = cpn_steal_fd(&news_ours);
    offer(f, cpn_steal_fd(&controls));
    return CPN_OK;
}

static void
front_close(cpn_keeper_front *f)
{
    cpn_auto_fd(&f->news);
    cpn_auto_fd(&f->tally);
    f->news = f->tally = -1;
    f->pid = 0;
}

static void
start_front(cpn_keeper_front *f)
{
    cpn_err err = { 0 };

    if (try_start_front(f, &err) == CPN_OK) {
        cpn_log(CPN_LOG_INFO, "front.started", CPN_KI("front", f->number), CPN_KI("pid", f->pid));
        return;
    }
    cpn_log(CPN_LOG_ERROR, "front.start_failed", CPN_KI("front", f->number), CPN_KE(&err));
    front_close(f);
    uv_timer_start(&f->again, on_front_again, CPN_RESTART_APART_MS, 0);
}

/* A new control process: the living front gets a new channel to it. */
static void
reconnect_front(cpn_keeper_front *f)
{
    cpn_msg news = { .type = CPN_MSG_NEW_CHANNEL };
    cpn_err err = { 0 };
    int pair[2] = { -1, -1 };

    if (cpn_channel_pair(pair, &err) != CPN_OK ||
        cpn_channel_post(f->news, &news, pair[1], &err) != CPN_OK) {
        cpn_log(CPN_LOG_ERROR, "front.deaf", CPN_KI("front", f->number), CPN_KE(&err));
        kill(f->pid, SIGKILL);
        cpn_auto_fd(&pair[0]);
        cpn_auto_fd(&pair[1]);
        return;
    }
    close(pair[1]);
    offer(f, pair[0]);
}

void
cpn_keeper_offer_fronts(cpn_keeper *k)
{
    for (size_t i = 0; i < k->fronts_n; i++) {
        cpn_keeper_front *f = &k->fronts[i];
        if (!f->keeper) {
            *f = (cpn_keeper_front){
                .keeper = k, .number = (uint32_t)i + 1, .news = -1, .tally = -1
            };
            uv_timer_init(&k->loop, &f->again);
            f->again.data = f;
        }
        if (f->pid)
            reconnect_front(f);
        else if (!k->stopping && !uv_is_active((uv_handle_t *)&f->again))
            start_front(f);
    }
}

void
cpn_keeper_kill_front(cpn_keeper *k, uint32_t number)
{
    if (number < 1 || number > k->fronts_n || !k->fronts[number - 1].pid)
        return;
    cpn_log(CPN_LOG_ERROR, "front.killed", CPN_KI("front", number));
    kill(k->fronts[number - 1].pid, SIGKILL);
}

static void
front_ended(cpn_keeper_front *f, int status)
{
    cpn_keeper *k = f->keeper;
    cpn_msg down = { .type = CPN_MSG_FRONT_DOWN,
                     .FRONT_DOWN = { .front = f->number, .status = (uint32_t)status } };
    uint64_t delay;

    front_close(f);
    cpn_keeper_tell(k, &down, -1);
    if (k->stopping)
        return;
    delay = cpn_restart_delay(&f->restarts, cpn_mono_ms());
    cpn_log(CPN_LOG_WARN, "front.died", CPN_KI("front", f->number), CPN_KI("status", status),
            CPN_KI("again_ms", delay));
    uv_timer_start(&f->again, on_front_again, delay, 0);
}

/* ---- both ----------------------------------------------------------------------------------- */

void
cpn_keeper_reap(cpn_keeper *k)
{
    int status;

    for (size_t i = 0; i < k->fronts_n; i++) {
        pid_t pid = k->fronts[i].pid;
        if (pid > 0 && waitpid(pid, &status, WNOHANG) == pid)
            front_ended(&k->fronts[i], status);
    }
    if (k->control.pid > 0 && waitpid(k->control.pid, &status, WNOHANG) == k->control.pid)
        control_ended(k, status);
}

void
cpn_keeper_finish(cpn_keeper *k, int status)
{
    k->status = status;
    k->stopping = true;
    for (size_t i = 0; i < k->fronts_n; i++)
        if (k->fronts[i].pid > 0) {
            kill(k->fronts[i].pid, SIGKILL);
            waitpid(k->fronts[i].pid, NULL, 0);
            front_close(&k->fronts[i]);
        }
    if (k->control.pid > 0) {
        kill(k->control.pid, SIGKILL);
        waitpid(k->control.pid, NULL, 0);
        k->control.pid = 0;
    }
    uv_stop(&k->loop);
}
