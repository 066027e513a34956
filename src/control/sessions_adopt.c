/* After control's restart: finds out which sessions still live, and ends the rows of the others. */
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/cut.h"
#include "control/sessions.h"
#include "control/trail.h"
#include "control/usage.h"

static void
copy_text(char *out, size_t size, const json_t *row, const char *key)
{
    snprintf(out, size, "%s", cpn_json_string(row, key));
}

static uint64_t
limit_of_row(const json_t *row, const char *key)
{
    const json_t *v = json_object_get(row, key);

    return v ? (uint64_t)json_integer_value(v) : CPN_NO_LIMIT;
}

/* By the monotonic clock. Where keeper has it still, the machine is up since, and the clock that no
 * jump moves tells its age; else the wall clock's difference must do. */
static uint64_t
start_of_row(const json_t *row, int64_t start_wall_ms, bool lives)
{
    uint64_t now = cpn_mono_ms();
    json_int_t mono = json_integer_value(json_object_get(row, "startMonoMs"));

    if (lives && mono > 0 && (uint64_t)mono <= now)
        return (uint64_t)mono;
    return now - CPN_MIN((uint64_t)CPN_MAX(cpn_wall_ms() - start_wall_ms, 0), now);
}

/* The session of a stored row, as it was when it started. */
static cpn_session *
session_of_row(cpn_control *c, const cpn_uuid *id, const json_t *row, bool lives)
{
    cpn_session *s = cpn_xcalloc(1, sizeof(*s));
    cpn_err err = { 0 };

    s->id = *id;
    s->door = strcmp(cpn_json_string(row, "door"), "azure") == 0 ? CPN_DOOR_AZURE : CPN_DOOR_OWN;
    s->want.azure = s->door == CPN_DOOR_AZURE;
    copy_text(s->want.bastion, sizeof(s->want.bastion), row, "bastion");
    copy_text(s->want.target_id, sizeof(s->want.target_id), row, "wantedId");
    copy_text(s->want.target_ip, sizeof(s->want.target_ip), row, "wantedIp");
    copy_text(s->target_shown, sizeof(s->target_shown), row, "targetResourceId");
    copy_text(s->host, sizeof(s->host), row, "targetHostName");
    copy_text(s->object_id, sizeof(s->object_id), row, "objectId");
    copy_text(s->user_name, sizeof(s->user_name), row, "userName");
    copy_text(s->user_agent, sizeof(s->user_agent), row, "userAgent");
    copy_text(s->decision, sizeof(s->decision), row, "decisionId");
    s->binding = cpn_binding_of(cpn_json_string(row, "binding"));
    if (cpn_addr_parse(&s->addr, cpn_view_str(cpn_json_string(row, "targetIpAddress")), &err) < 0 ||
        cpn_addr_parse(&s->peer, cpn_view_str(cpn_json_string(row, "clientAddress")), &err) < 0)
        cpn_log(CPN_LOG_WARN, "session.row", CPN_KE(&err));
    s->want.port = (uint16_t)json_integer_value(json_object_get(row, "port"));
    s->peer_port = (uint16_t)json_integer_value(json_object_get(row, "clientPort"));
    s->epoch = (uint64_t)json_integer_value(json_object_get(row, "policyEpoch"));
    s->start_wall_ms = json_integer_value(json_object_get(row, "startMs"));
    s->any_protocol = json_is_true(json_object_get(row, "anyProtocol"));
    s->limits = (cpn_byte_limits){ limit_of_row(row, "maxUploadBytes"),
                                   limit_of_row(row, "maxDownloadBytes") };
    s->counts_as = (cpn_protocol)json_integer_value(json_object_get(row, "countsAs"));
    s->protocol = s->counts_as;
    s->start_ms = start_of_row(row, s->start_wall_ms, lives);
    s->idle_since_ms = cpn_mono_ms();
    s->tickets = 1; /* there may be one in the store */
    s->ticket_until_ms = s->idle_since_ms + c->set.ticket_ttl;
    s->end_cut_ms = -1;
    s->row = CPN_ROW_DURABLE;
    cpn_session_list(c, s);
    return s;
}

static void
row_read(void *owner, const char *kind, const char *id, cpn_view body)
{
    cpn_control *c = owner;
    json_t *row = NULL;
    cpn_err err = { 0 };

    (void)kind;
    if (cpn_json_load(&row, body, 65536, CPN_JSON_DEPTH_MAX, &err) != CPN_OK) {
        cpn_log(CPN_LOG_WARN, "session.row", CPN_KE(&err));
        row = json_object();
    }
    json_object_set_new(c->sessions->rows, id, row);
}

void
cpn_sessions_rows(cpn_control *c)
{
    cpn_err err = { 0 };

    c->sessions->rows = json_object();
    if (cpn_store_open_sessions(c->store, row_read, c, &err) < 0)
        cpn_log(CPN_LOG_ERROR, "session.rows", CPN_KE(&err));
}

/* A stream that no row explains: control died between the dial and the commit. */
static void
shut_unknown(cpn_control *c, const cpn_msg_ALIVE *m)
{
    cpn_msg shut = { .type = CPN_MSG_SHUT, .SHUT = { .session = m->session } };
    cpn_msg release = { .type = CPN_MSG_RELEASE,
                        .RELEASE = { .session = m->session, .stream = m->stream } };

    cpn_keeper_send(c, &shut);
    cpn_keeper_send(c, &release);
}

void
cpn_sessions_alive(cpn_control *c, const cpn_msg_ALIVE *m)
{
    char text[CPN_UUID_TEXT];
    const json_t *row = json_object_get(c->sessions->rows, cpn_uuid_text(&m->session, text));
    cpn_session *s = cpn_session_find(c, &m->session);

    if (!s && row) {
        s = session_of_row(c, &m->session, row, true);
        cpn_usage_session(c->sessions->usage, s->object_id, s->want.bastion, s->counts_as, 1);
        s->counted = true;
    }
    if (!s) {
        shut_unknown(c, m);
        return;
    }
    if (!cpn_stream_find(c, m->stream)) /* else one of this process's own */
        cpn_stream_add(c, s, NULL, m->stream);
}

/* Does a front have the stream? */
static bool
is_carried(cpn_control *c, const cpn_stream *st)
{
    return st->placed || cpn_stream_counted(c, st).last_ms != 0;
}

static bool
any_carried(cpn_control *c, const cpn_session *s)
{
    const cpn_stream *st;

    DL_FOREACH (s->streams, st)
        if (is_carried(c, st))
            return true;
    return false;
}

/* Adopted streams that no front has: its front died, or never took it, while there was no control,
 * or its end was told to one that died before it listened. Whoever may still hold a copy of the
 * socket must not keep it; the session goes on where another of its streams does. */
static void
end_orphans(cpn_control *c)
{
    cpn_stream *st, *next;

    HASH_ITER (hh, c->sessions->streams, st, next) {
        if (is_carried(c, st))
            continue;
        if (!any_carried(c, st->session))
            (void)cpn_cut(c, st->session, st->has_slot ? CPN_WHY_CLOSED : CPN_WHY_FRONT_DIED, "",
                          cpn_mono_ms());
        cpn_stream_settle(c, st);
        cpn_stream_drop(c, st);
    }
}

static void
end_rows(cpn_control *c)
{
    const char *id;
    json_t *row;

    json_object_foreach(c->sessions->rows, id, row)
    {
        cpn_uuid uuid;
        cpn_session *s;

        if (!cpn_uuid_parse(&uuid, cpn_view_str(id)) || cpn_session_find(c, &uuid))
            continue;
        s = session_of_row(c, &uuid, row, false);
        cpn_session_end(c, s, CPN_WHY_KEEPER_DIED);
    }
}

void
cpn_sessions_alive_end(cpn_control *c)
{
    if (!c->sessions->rows)
        return;
    end_rows(c);
    json_decref(c->sessions->rows);
    c->sessions->rows = NULL;
    cpn_sessions_place(c);
    cpn_sessions_early_ends(c);
    end_orphans(c);
}

void
cpn_sessions_place(cpn_control *c)
{
    cpn_front *f, *f_next;
    cpn_stream *st, *next;

    HASH_ITER (hh, c->sessions->streams, st, next) {
        if (!st->opened || st->has_slot)
            continue;
        HASH_ITER (hh, c->fronts, f, f_next) {
            if (cpn_front_slot_adopt(f, st->id, &st->slot) == CPN_OK) {
                st->at.front = f->id;
                st->has_slot = true;
                break;
            }
        }
    }
}
