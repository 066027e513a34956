/* Opens streams: decides, reserves, writes the row while keeper dials, hands the socket over. */
#include "control/open.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/accounts.h"
#include "control/allowance.h"
#include "control/cut.h"
#include "control/held.h"
#include "control/penalties.h"
#include "control/trail.h"
#include "control/usage.h"

/* ---- asking ---- */

cpn_rc
cpn_want_parse(cpn_want *out, cpn_view json, cpn_err *err)
{
    static const char *const names[] = { "bastion", "targetResourceId", "targetIpAddress", "port",
                                         NULL };
    CPN_AUTO(cpn_json_auto) json_t *j = NULL;
    const char *bastion = "", *id = "", *ip = "";
    int64_t port = 0;
    cpn_rc rc = cpn_json_load_object(&j, json, 2048, 8, err);

    memset(out, 0, sizeof(*out));
    if (rc != CPN_OK || (rc = cpn_json_only(j, "", names, err)) != CPN_OK ||
        (rc = cpn_json_get_str(j, "", "bastion", CPN_ID_MAX, &bastion, err)) != CPN_OK ||
        (rc = cpn_json_opt_str(j, "", "targetResourceId", CPN_ID_MAX, &id, err)) != CPN_OK ||
        (rc = cpn_json_opt_str(j, "", "targetIpAddress", CPN_ADDR_TEXT - 1, &ip, err)) != CPN_OK ||
        (rc = cpn_json_get_int(j, "", "port", (cpn_json_range){ 1, 65535 }, &port, err)) != CPN_OK)
        return rc;
    if (!id[0] == !ip[0])
        return cpn_fail(err, CPN_INVALID, "expected either resourceId or ipAddress");
    snprintf(out->bastion, sizeof(out->bastion), "%s", bastion);
    snprintf(out->target_id, sizeof(out->target_id), "%s", id);
    snprintf(out->target_ip, sizeof(out->target_ip), "%s", ip);
    out->port = (uint16_t)port;
    return CPN_OK;
}

cpn_facts
cpn_want_facts(const cpn_want *want, const cpn_principal *who)
{
    return (cpn_facts){ .who = who,
                        .bastion_id = cpn_view_str(want->bastion),
                        .target_id = cpn_view_str(want->target_id),
                        .target_ip = cpn_view_str(want->target_ip),
                        .port = want->port,
                        .azure_door = want->azure,
                        .now_s = cpn_wall_s() };
}

/* The Azure door found no bastion that the caller may read. Which there are is not theirs to know;
 * that a role is missing is. */
static void
name_no_bastion(cpn_verdict *v)
{
    for (unsigned i = 0; i < v->missing_n; i++) {
        cpn_missing *m = &v->missing[i];

        if (m->why != CPN_WHY_BASTION_UNKNOWN)
            continue;
        m->why = CPN_WHY_ROLE_MISSING;
        snprintf(m->role, sizeof(m->role), "Reader");
        snprintf(m->scope, sizeof(m->scope), "the bastion");
    }
    v->why = CPN_WHY_ROLE_MISSING;
}

cpn_facts
cpn_ask_facts(cpn_control *c, const cpn_want *want, const cpn_principal *who, bool counted,
              const char *bastion)
{
    cpn_facts facts = cpn_want_facts(want, who);

    facts.bastion_id = cpn_view_str(bastion);
    if (!counted)
        cpn_usage_facts(c->sessions->usage, &facts);
    facts.user_sessions_max =
        who && who->sessions_max ? who->sessions_max : (unsigned)c->set.sessions_per_user;
    return facts;
}

cpn_rc
cpn_ask(cpn_control *c, cpn_asked *a, bool counted)
{
    cpn_facts facts = cpn_ask_facts(c, &a->want, a->who, counted, a->want.bastion);
    char sentence[CPN_ID_MAX * 4];
    cpn_uuid id;

    cpn_uuid_new(&id);
    cpn_uuid_text(&id, a->decision);
    if (cpn_decide(c->snapshot, &facts, &a->verdict) == CPN_OK)
        return CPN_OK;
    if (!a->want.bastion[0])
        name_no_bastion(&a->verdict);
    cpn_verdict_sentence(&a->verdict, sentence, sizeof(sentence));
    cpn_asked_refused(c, a, a->verdict.why, sentence);
    return CPN_DENIED;
}

/* ---- carriers ---- */

/* A carrier that the setting channel_binding keeps out, or a thief without the key. */
static void
log_unbound(const cpn_msg_CARRIER *m, const cpn_principal *who, cpn_reason why)
{
    char peer[CPN_ADDR_TEXT];

    cpn_log(CPN_LOG_WARN, "carrier.refused", CPN_KV("user", who->name),
            CPN_KV("peer", cpn_addr_text(&m->peer, peer)), CPN_KV("why", cpn_reason_word(why)));
}

/* Whose bearer is good. */
static cpn_reason
carrier_admit(cpn_control *c, const cpn_msg_CARRIER *m, const cpn_claims *claims,
              cpn_binding *binding)
{
    const cpn_principal *who = NULL;
    cpn_reason why = cpn_account_refusal(c->snapshot, claims->object_id, claims->epoch, &who);

    if (why)
        return why;
    why = cpn_binding_decide(cpn_binding_rule_of(c->set.channel_binding), claims->key.set,
                             cpn_held_carrier(c, m, claims), binding);
    if (why) {
        log_unbound(m, who, why);
        return why;
    }
    return cpn_usage_carrier_take(c->sessions->usage, claims->object_id,
                                  (unsigned)c->set.carriers_per_user) == CPN_OK
               ? CPN_WHY_NONE
               : CPN_WHY_LIMIT_USER;
}

/* object_id: "" when the bearer is not good. */
static void
carrier_refuse(cpn_control *c, const cpn_place *to, const cpn_msg_CARRIER *m, const char *object_id,
               cpn_reason why)
{
    char agent[513];
    cpn_asked a = { .who = cpn_snapshot_principal(c->snapshot, cpn_view_str(object_id)),
                    .object_id = object_id[0] ? object_id : NULL,
                    .door = CPN_DOOR_OWN,
                    .peer = m->peer,
                    .peer_port = m->peer_port,
                    .user_agent = agent,
                    .binding = cpn_binding_word(CPN_BINDING_NONE) };

    (void)cpn_view_copy(m->user_agent, agent, sizeof(agent));
    cpn_refuse_early(c, to, &a, why);
}

void
cpn_open_carrier(cpn_front *f, const cpn_msg_CARRIER *m)
{
    cpn_control *c = f->c;
    cpn_conn *conn = cpn_conn_get(f, m->conn);
    cpn_place to = { .at = { f->id, m->conn, 0 } };
    cpn_reason why = CPN_WHY_TOKEN_INVALID;
    cpn_binding binding = CPN_BINDING_NONE;
    cpn_claims claims;
    cpn_carrier *carrier;
    cpn_err err = { 0 };

    if (!conn) {
        cpn_refuse(c, &to, CPN_WHY_BUSY);
        return;
    }
    if (conn->carrier || conn->call) {
        cpn_front_kill(f, "a second carrier on one connection");
        return;
    }
    if (cpn_identity_verify(c->identity, m->bearer, cpn_wall_s(), &claims, &why, &err) == CPN_OK) {
        why = carrier_admit(c, m, &claims, &binding);
    } else if (cpn_penalty_token(c->penalties, &m->peer, why, "/v1/tunnel")) {
        why = CPN_WHY_LIMIT_RATE;
    }
    if (why) {
        cpn_conn_tidy(conn);
        carrier_refuse(c, &to, m, claims.object_id, why);
        return;
    }
    carrier = cpn_xcalloc(1, sizeof(*carrier));
    snprintf(carrier->object_id, sizeof(carrier->object_id), "%s", claims.object_id);
    carrier->expires_s = claims.expires_s;
    carrier->epoch = claims.epoch;
    carrier->has_key = claims.key.set;
    carrier->binding = binding;
    carrier->peer = m->peer;
    carrier->peer_port = m->peer_port;
    (void)cpn_view_copy(m->user_agent, carrier->user_agent, sizeof(carrier->user_agent));
    conn->carrier = carrier;
    (void)cpn_front_send(
        f,
        &(cpn_msg){ .type = CPN_MSG_CARRIER_OK,
                    .CARRIER_OK = { .conn = m->conn, .bound = binding == CPN_BINDING_EXPORTER } },
        -1);
}

/* ---- streams ---- */

/* The setting may have changed since the carrier came in. */
static cpn_reason
binding_refusal(const cpn_control *c, const cpn_carrier *carrier)
{
    cpn_binding b;

    return cpn_binding_decide(
        cpn_binding_rule_of(c->set.channel_binding), carrier->has_key,
        carrier->binding == CPN_BINDING_EXPORTER ? CPN_HELD_HERE : CPN_HELD_ELSEWHERE, &b);
}

/* What stands against the carrier before policy is asked. */
static cpn_reason
carrier_refusal(cpn_control *c, const cpn_carrier *carrier, const cpn_principal **who)
{
    cpn_reason why;

    if (carrier->expires_s <= cpn_wall_s())
        return CPN_WHY_TOKEN_EXPIRED;
    why = cpn_account_refusal(c->snapshot, carrier->object_id, carrier->epoch, who);
    if (why)
        return why;
    if (c->draining)
        return CPN_WHY_SHUTDOWN;
    if (cpn_usage_rate(c->sessions->usage, carrier->object_id, (unsigned)c->set.tickets_per_minute,
                       cpn_mono_ms()) != CPN_OK)
        return CPN_WHY_LIMIT_RATE;
    return binding_refusal(c, carrier);
}

void
cpn_open_stream(cpn_front *f, const cpn_msg_OPEN *m)
{
    cpn_control *c = f->c;
    cpn_conn *conn = cpn_conn_find(f, m->conn);
    cpn_place to = { .at = { f->id, m->conn, m->stream } };
    cpn_asked a = { .door = CPN_DOOR_OWN };
    cpn_err err = { 0 };
    cpn_reason why;
    cpn_session *s;

    c->count.opens++;
    if (!conn || !conn->carrier) {
        cpn_refuse(c, &to, CPN_WHY_CONTROL_AWAY); /* a carrier from before control's restart */
        return;
    }
    if (m->stream == 0 || cpn_stream_placed(c, &to.at)) {
        cpn_front_kill(f, "an OPEN with a number in use");
        return;
    }
    a.object_id = conn->carrier->object_id;
    a.peer = conn->carrier->peer;
    a.peer_port = conn->carrier->peer_port;
    a.user_agent = conn->carrier->user_agent;
    a.binding = cpn_binding_word(conn->carrier->binding);
    if ((why = carrier_refusal(c, conn->carrier, &a.who)) != CPN_WHY_NONE) {
        cpn_refuse_early(c, &to, &a, why);
        return;
    }
    if (cpn_want_parse(&a.want, m->target, &err) != CPN_OK) {
        a.want = (cpn_want){ .port = 0 };
        cpn_refuse_early(c, &to, &a, CPN_WHY_BAD_REQUEST);
        return;
    }
    if (cpn_ask(c, &a, false) != CPN_OK) {
        cpn_refuse_verdict(c, &to, &a);
        return;
    }
    s = cpn_session_add(c, CPN_DOOR_OWN, &a.want, &a.verdict, a.who);
    if (!s) {
        cpn_refuse_early(c, &to, &a, CPN_WHY_BUSY);
        return;
    }
    s->peer = a.peer;
    s->peer_port = a.peer_port;
    s->binding = conn->carrier->binding;
    snprintf(s->user_agent, sizeof(s->user_agent), "%s", a.user_agent);
    memcpy(s->decision, a.decision, sizeof(s->decision));
    cpn_session_begin(c, s);
    cpn_stream_begin(c, s, &to);
}

/* ---- row and dial ---- */

static void stream_step(cpn_control *c, cpn_stream *st);

typedef struct beginning {
    cpn_control *c;
    cpn_uuid id;
} beginning;

static void
row_written(void *owner, cpn_rc rc, const cpn_err *err)
{
    beginning *b = owner;
    cpn_control *c = b->c;
    cpn_session *s = cpn_session_find(c, &b->id);
    cpn_stream *st, *next;

    free(b);
    if (!s)
        return;
    s->row = rc == CPN_OK ? CPN_ROW_DURABLE : CPN_ROW_FAILED;
    if (rc == CPN_OK) {
        c->count.commits++;
        c->count.sessions_started++;
    } else {
        c->count.commits_failed++;
        cpn_log(CPN_LOG_ERROR, "session.row_failed", CPN_KV("error", err ? err->msg : ""));
    }
    s->row_why = rc == CPN_OK      ? CPN_WHY_NONE
                 : rc == CPN_LIMIT ? CPN_WHY_STORE_FULL
                                   : CPN_WHY_INTERNAL;
    /* Cut while the row was being written: the end could not be recorded before the start. */
    if (s->ended && s->row == CPN_ROW_DURABLE)
        cpn_session_end_late(c, s);
    if (!s->streams) {
        cpn_session_tidy(c, s);
        return; /* s may be gone */
    }
    DL_FOREACH_SAFE (s->streams, st, next) {
        bool only = s->streams_n == 1;

        stream_step(c, st);
        if (only)
            return; /* s may be gone */
    }
}

static json_t *
row_json(const cpn_control *c, const cpn_session *s)
{
    json_t *row = cpn_session_json(c, s);

    json_object_set_new(row, "wantedId", json_string(s->want.target_id));
    json_object_set_new(row, "wantedIp", json_string(s->want.target_ip));
    json_object_set_new(row, "userAgent", json_string(s->user_agent));
    json_object_set_new(row, "decisionId", json_string(s->decision));
    json_object_set_new(row, "policyEpoch", json_integer((json_int_t)s->epoch));
    json_object_set_new(row, "startMs", json_integer(s->start_wall_ms));
    json_object_set_new(row, "startMonoMs", json_integer((json_int_t)s->start_ms));
    json_object_set_new(row, "anyProtocol", json_boolean(s->any_protocol));
    json_object_set_new(row, "countsAs", json_integer(s->counts_as));
    if (s->limits.up != CPN_NO_LIMIT)
        json_object_set_new(row, "maxUploadBytes", json_integer((json_int_t)s->limits.up));
    if (s->limits.down != CPN_NO_LIMIT)
        json_object_set_new(row, "maxDownloadBytes", json_integer((json_int_t)s->limits.down));
    return row;
}

void
cpn_session_begin(cpn_control *c, cpn_session *s)
{
    cpn_batch *batch = cpn_batch_new();
    json_t *row = row_json(c, s);
    char *text = cpn_json_text(row);
    beginning *b = cpn_xcalloc(1, sizeof(*b));

    cpn_usage_session(c->sessions->usage, s->object_id, s->want.bastion, s->counts_as, 1);
    s->counted = true;
    b->c = c;
    b->id = s->id;
    s->row = CPN_ROW_WRITING;
    cpn_batch_session_start(batch, &s->id, cpn_view_str(text));
    cpn_trail_session(c, batch, s, "session.start");
    if (cpn_store_commit(c->store, batch, row_written, b) != CPN_OK) {
        free(b);
        s->row = CPN_ROW_FAILED;
        s->row_why = CPN_WHY_BUSY;
    }
    json_decref(row);
    free(text);
}

void
cpn_stream_begin(cpn_control *c, cpn_session *s, const cpn_place *to)
{
    cpn_stream *st = cpn_stream_add(c, s, &to->at, cpn_stream_number(c));
    cpn_msg m = { .type = CPN_MSG_DIAL,
                  .DIAL = { .session = s->id,
                            .stream = st->id,
                            .addr = s->addr,
                            .port = s->want.port,
                            .deadline_ms = (uint32_t)c->set.dial_timeout } };

    st->denied_session = to->denied_session;
    if (s->row == CPN_ROW_FAILED) {
        stream_step(c, st);
        return;
    }
    st->dialing = true;
    c->count.dials++;
    cpn_keeper_send(c, &m);
}

void
cpn_open_dialed(cpn_control *c, const cpn_msg_DIALED *m, CPN_TAKES int fd)
{
    cpn_stream *st = cpn_stream_find(c, m->stream);

    if (!st || !st->dialing || !cpn_uuid_eq(&st->session->id, &m->session)) {
        if (fd >= 0)
            close(fd);
        return;
    }
    st->dialing = false;
    st->fd = fd;
    if (m->why != CPN_WHY_NONE || fd < 0) {
        char detail[257] = "";

        st->why =
            m->why > CPN_WHY_NONE && m->why < CPN_WHY_N ? (cpn_reason)m->why : CPN_WHY_DIAL_FAILED;
        (void)cpn_view_copy(m->detail, detail, sizeof(detail));
        c->count.dials_failed++;
        cpn_log(CPN_LOG_INFO, "dial.failed", CPN_KV("target", st->session->host),
                CPN_KI("port", st->session->want.port), CPN_KV("detail", detail));
    }
    stream_step(c, st);
}

/* ---- both are there ---- */

/* Hand the socket to the front. NONE: it has it. */
static cpn_reason
stream_hand_over(cpn_control *c, cpn_stream *st)
{
    const cpn_session *s = st->session;
    cpn_front *f = cpn_front_find(c, st->at.front);
    char answer[256], id[CPN_UUID_TEXT];
    cpn_msg m = { .type = CPN_MSG_OPENED };
    int fd;

    if (!f)
        return CPN_WHY_CLIENT_GONE;
    if (cpn_front_slot_take(f, &st->slot) != CPN_OK)
        return CPN_WHY_BUSY;
    st->has_slot = true;
    snprintf(answer, sizeof(answer), "{\"sessionId\":\"%s\",\"decisionId\":\"%s\"}",
             cpn_uuid_text(&s->id, id), s->decision);
    m.OPENED = (cpn_msg_OPENED){ .conn = st->at.conn,
                                 .stream = st->at.number,
                                 .session = s->id,
                                 .id = st->id,
                                 .tally = st->slot,
                                 .first_bytes = !s->any_protocol,
                                 .answer = cpn_view_str(answer) };
    cpn_allowance_open(st, &m.OPENED);
    fd = cpn_steal_fd(&st->fd);
    return cpn_front_send(f, &m, fd) ? CPN_WHY_NONE : CPN_WHY_CLIENT_GONE;
}

/* Why the stream cannot be opened; NONE: it can. */
static cpn_reason
stream_refusal(const cpn_stream *st)
{
    const cpn_session *s = st->session;

    if (s->ended)
        return s->end_why;
    if (s->row == CPN_ROW_FAILED)
        return s->row_why;
    if (st->forgotten)
        return CPN_WHY_CLIENT_GONE;
    return st->why;
}

/* The row and the dial, in either order: the second of them brings us through. */
static void
stream_step(cpn_control *c, cpn_stream *st)
{
    cpn_session *s = st->session;
    cpn_place to = { .at = st->at, .denied_session = st->denied_session };
    cpn_reason why;

    if (st->opened || st->dialing || s->row == CPN_ROW_WRITING)
        return;
    why = stream_refusal(st);
    if (why == CPN_WHY_NONE && (why = stream_hand_over(c, st)) == CPN_WHY_NONE) {
        cpn_stream_opened(c, st);
        return;
    }
    if (!st->forgotten && why != CPN_WHY_CLIENT_GONE)
        cpn_refuse(c, &to, why);
    if (s->door == CPN_DOOR_OWN || s->row == CPN_ROW_FAILED)
        cpn_session_end(c, s, why);
    cpn_stream_drop(c, st); /* s may be gone */
}

void
cpn_openings_forget(cpn_control *c, uint32_t front, uint32_t conn)
{
    cpn_stream *st;

    DL_FOREACH2 (c->sessions->openings, st, opening_next) {
        if (st->at.front == front && st->at.conn == conn)
            st->forgotten = true;
    }
}
