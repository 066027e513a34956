/* What keeper says, and what is said to keeper. */
#include <unistd.h>

#include "base/log.h"
#include "control/fronts.h"
#include "control/open.h"
#include "control/sessions.h"

void
cpn_keeper_send(cpn_control *c, const cpn_msg *msg)
{
    cpn_rc rc;

    if (!c->keeper)
        return;
    rc = cpn_channel_send(c->keeper, msg, -1);
    if (rc == CPN_OK || rc == CPN_EOF)
        return;
    /* Without keeper nothing can be dialled or cut: better a new process than a blind one. */
    cpn_log(CPN_LOG_ERROR, "keeper.stuck", CPN_KV("message", cpn_msg_name(msg->type)));
    c->keeper_gone = true;
    uv_stop(c->loop);
}

static void
keeper_message(void *owner, const cpn_msg *m, int fd)
{
    cpn_control *c = owner;
    CPN_AUTO(cpn_auto_fd) int owned = fd;

    switch (m->type) {
    case CPN_MSG_FRONT_UP:
        cpn_fronts_up(c, m->FRONT_UP.front, m->FRONT_UP.pid, cpn_steal_fd(&owned));
        return;
    case CPN_MSG_FRONT_TALLY:
        cpn_fronts_tally(c, m->FRONT_TALLY.front, cpn_steal_fd(&owned));
        cpn_sessions_place(c);
        return;
    case CPN_MSG_FRONT_DOWN:
        cpn_fronts_down(c, m->FRONT_DOWN.front, m->FRONT_DOWN.status);
        return;
    case CPN_MSG_DIALED:
        cpn_open_dialed(c, &m->DIALED, cpn_steal_fd(&owned));
        return;
    case CPN_MSG_ALIVE:
        cpn_sessions_alive(c, &m->ALIVE);
        return;
    case CPN_MSG_ALIVE_END:
        cpn_sessions_alive_end(c);
        return;
    case CPN_MSG_SIGNAL:
        if (c->on_signal)
            c->on_signal(c, m->SIGNAL.signal);
        return;
    default:
        cpn_log(CPN_LOG_ERROR, "keeper.unexpected", CPN_KV("message", cpn_msg_name(m->type)));
    }
}

static void
keeper_broken(void *owner, const cpn_err *err)
{
    cpn_control *c = owner;

    cpn_log(CPN_LOG_ERROR, "keeper.gone", CPN_KV("error", err ? err->msg : ""));
    c->keeper_gone = true;
    uv_stop(c->loop);
}

const cpn_channel_handler cpn_keeper_handler = { keeper_message, keeper_broken };
