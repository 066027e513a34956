/* Keeps the fronts: channels up and down, connections by number, what each message is for. */
#include "control/fronts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/allowance.h"
#include "control/azdoor.h"
#include "control/call.h"
#include "control/open.h"
#include "control/reply.h"
#include "control/sessions.h"
#include "control/usage.h"
#include "ipc/role.h"

cpn_front *
cpn_front_find(cpn_control *c, uint32_t id)
{
    cpn_front *f = NULL;

    HASH_FIND(hh, c->fronts, &id, sizeof(id), f);
    return f;
}

cpn_conn *
cpn_conn_find(cpn_front *f, uint32_t id)
{
    cpn_conn *conn = NULL;

    HASH_FIND(hh, f->conns, &id, sizeof(id), conn);
    return conn;
}

cpn_conn *
cpn_conn_get(cpn_front *f, uint32_t id)
{
    cpn_conn *conn = cpn_conn_find(f, id);

    if (conn || HASH_COUNT(f->conns) >= CPN_FRONT_CONNS_MAX)
        return conn;
    conn = cpn_xcalloc(1, sizeof(*conn));
    conn->id = id;
    conn->front = f;
    HASH_ADD(hh, f->conns, id, sizeof(conn->id), conn);
    return conn;
}

void
cpn_conn_tidy(cpn_conn *conn)
{
    if (conn->call || conn->carrier)
        return;
    HASH_DELETE(hh, conn->front->conns, conn);
    free(conn);
}

static void
conn_drop(cpn_conn *conn)
{
    cpn_call *call = conn->call;

    if (conn->carrier)
        cpn_usage_carrier_give(conn->front->c->sessions->usage, conn->carrier->object_id);
    free(conn->carrier);
    conn->carrier = NULL;
    if (call)
        cpn_call_detach(call);
    cpn_conn_tidy(conn);
}

static void
conn_gone(cpn_front *f, uint32_t id)
{
    cpn_conn *conn = cpn_conn_find(f, id);

    cpn_openings_forget(f->c, f->id, id);
    cpn_az_forget(f->c, f->id, id);
    if (!conn)
        return;
    conn_drop(conn);
}

/* ---- what a front says ---- */

static void
front_ready(cpn_front *f)
{
    cpn_log(CPN_LOG_INFO, "front.ready", CPN_KI("front", f->id));
    if (!f->c->told_started) {
        f->c->told_started = true;
        cpn_keeper_send(f->c, &(cpn_msg){ .type = CPN_MSG_STARTED });
    }
}

static void
front_message(void *owner, const cpn_msg *msg, int fd)
{
    cpn_front *f = owner;

    if (fd >= 0)
        close(fd);
    if (f->killed)
        return;
    switch (msg->type) {
    case CPN_MSG_READY:
        front_ready(f);
        return;
    case CPN_MSG_REQUEST:
        cpn_call_begin(f, &msg->REQUEST);
        return;
    case CPN_MSG_BODY:
        cpn_call_body(f, &msg->BODY);
        return;
    case CPN_MSG_CARRIER:
        cpn_open_carrier(f, &msg->CARRIER);
        return;
    case CPN_MSG_OPEN:
        cpn_open_stream(f, &msg->OPEN);
        return;
    case CPN_MSG_UPGRADE:
        cpn_open_upgrade(f, &msg->UPGRADE);
        return;
    case CPN_MSG_ENDED:
        cpn_stream_ended(f->c, f->id, &msg->ENDED);
        return;
    case CPN_MSG_SPOKE:
        cpn_stream_spoke(f->c, f->id, &msg->SPOKE);
        return;
    case CPN_MSG_SPENT:
        cpn_allowance_spent(f->c, f->id, &msg->SPENT);
        return;
    case CPN_MSG_GONE:
        conn_gone(f, msg->GONE.conn);
        return;
    case CPN_MSG_COUNTERS:
        f->counters = msg->COUNTERS;
        return;
    default:
        cpn_front_kill(f, "a message that fronts do not send");
    }
}

static void
front_broken(void *owner, const cpn_err *err)
{
    cpn_front *f = owner;
    cpn_channel *channel = cpn_steal(&f->channel);

    if (err)
        cpn_front_kill(f, err->msg);
    /* Its sessions end when keeper says that it is dead. */
    cpn_channel_free(channel);
}

static const cpn_channel_handler front_handler = { front_message, front_broken };

static void
front_drained(void *owner)
{
    cpn_replies_resume(owner);
}

/* ---- up and down ---- */

void
cpn_fronts_up(cpn_control *c, uint32_t id, uint32_t pid, CPN_TAKES int fd)
{
    CPN_AUTO(cpn_auto_fd) int owned = fd;
    cpn_err err = { 0 };
    cpn_front *f;

    if (cpn_front_find(c, id)) {
        cpn_log(CPN_LOG_ERROR, "front.twice", CPN_KI("front", id));
        return;
    }
    f = cpn_xcalloc(1, sizeof(*f));
    f->id = id;
    f->pid = pid;
    f->c = c;
    f->up_ms = cpn_mono_ms();
    f->slots_max = (uint32_t)CPN_MIN(cpn_role_front_half(), CPN_TALLY_SLOTS);
    HASH_ADD(hh, c->fronts, id, sizeof(f->id), f);
    if (cpn_channel_new(&f->channel, c->loop, cpn_steal_fd(&owned), CPN_ROLE_CONTROL,
                        CPN_ROLE_FRONT, &front_handler, f, &err) < 0) {
        cpn_front_kill(f, err.msg);
        return;
    }
    cpn_channel_on_drain(f->channel, front_drained);
    cpn_log(CPN_LOG_INFO, "front.up", CPN_KI("front", id), CPN_KI("pid", pid));
    cpn_front_setup(f);
}

static void
front_free(cpn_front *f)
{
    cpn_conn *conn, *next;

    HASH_ITER (hh, f->conns, conn, next)
        conn_drop(conn);
    cpn_front_tally_unmap(f);
    cpn_channel_free(f->channel);
    HASH_DELETE(hh, f->c->fronts, f);
    free(f->early);
    free(f);
}

void
cpn_fronts_down(cpn_control *c, uint32_t id, uint32_t status)
{
    cpn_front *f = cpn_front_find(c, id);

    cpn_log(CPN_LOG_WARN, "front.down", CPN_KI("front", id), CPN_KI("status", status));
    if (!f)
        return;
    cpn_sessions_front_down(c, f);
    cpn_az_forget(c, id, 0);
    front_free(f);
}

void
cpn_fronts_free(cpn_control *c)
{
    cpn_front *f, *next;

    HASH_ITER (hh, c->fronts, f, next)
        front_free(f);
}

/* ---- speaking to them ---- */

void
cpn_front_kill(cpn_front *f, const char *because)
{
    cpn_msg m = { .type = CPN_MSG_KILL_FRONT, .KILL_FRONT = { .front = f->id } };

    if (f->killed)
        return;
    f->killed = true;
    f->c->count.fronts_killed++;
    cpn_log(CPN_LOG_ERROR, "front.kill", CPN_KI("front", f->id), CPN_KV("because", because));
    cpn_keeper_send(f->c, &m);
}

bool
cpn_front_send(cpn_front *f, const cpn_msg *msg, CPN_TAKES int fd)
{
    CPN_AUTO(cpn_auto_fd) int owned = fd;
    cpn_rc rc;

    if (!f || !f->channel || f->killed)
        return false;
    rc = cpn_channel_send(f->channel, msg, cpn_steal_fd(&owned));
    if (rc == CPN_LIMIT || rc < 0)
        cpn_front_kill(f, "it does not read");
    return rc == CPN_OK;
}

void
cpn_front_setup(cpn_front *f)
{
    const cpn_control *c = f->c;
    const cpn_config *s = &c->set;
    cpn_msg m = { .type = CPN_MSG_SETUP,
                  .SETUP = { .tls12 = strcmp(s->tls_min, "1.2") == 0,
                             .openssl_aes = strcmp(s->tls_aes, "openssl") == 0,
                             .az_clients = s->az_clients,
                             .log_level = (uint8_t)cpn_log_level_of(s->log_level),
                             .tls_ms = (uint32_t)s->tls_timeout,
                             .head_ms = (uint32_t)s->head_timeout,
                             .body_ms = (uint32_t)s->body_timeout,
                             .preauth_max = (uint32_t)s->preauth_max,
                             .preauth_source_max = (uint32_t)s->preauth_source_max,
                             .first_bytes_ms = (uint32_t)s->first_bytes_timeout,
                             .stall_ms = (uint32_t)s->stall_timeout,
                             .dial_ms = (uint32_t)s->dial_timeout,
                             .denied_max = (uint32_t)s->denied_sessions_max,
                             .body_max = (uint32_t)s->body_max,
                             .relay_memory = s->relay_memory,
                             .host = cpn_view_str(c->host),
                             .cert_pem = cpn_view_str(c->cert_pem),
                             .key_pem = cpn_view_str(c->key_pem) } };

    (void)cpn_front_send(f, &m, -1);
}

void
cpn_fronts_setup(cpn_control *c)
{
    cpn_front *f, *next;

    HASH_ITER (hh, c->fronts, f, next)
        cpn_front_setup(f);
}

void
cpn_fronts_drain(cpn_control *c, uint32_t ms)
{
    cpn_msg m = { .type = CPN_MSG_DRAIN, .DRAIN = { .ms = ms } };
    cpn_front *f, *next;

    HASH_ITER (hh, c->fronts, f, next)
        (void)cpn_front_send(f, &m, -1);
}
