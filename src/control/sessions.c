/* The table of live sessions and streams. */
#include "control/sessions.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <utlist.h>

#include "base/clock.h"
#include "control/usage.h"

cpn_sessions *
cpn_sessions_new(cpn_control *c)
{
    cpn_sessions *t = cpn_xcalloc(1, sizeof(*t));

    (void)c;
    t->usage = cpn_usage_new();
    /* Above every number that an earlier control process gave out. */
    t->next_stream = (uint64_t)cpn_wall_ms() << 20;
    return t;
}

void
cpn_sessions_free(cpn_sessions *t)
{
    cpn_session *s, *next;
    cpn_stream *st, *st_next;

    if (!t)
        return;
    HASH_ITER (hh, t->streams, st, st_next) {
        HASH_DELETE(hh, t->streams, st);
        if (st->placed)
            HASH_DELETE(hh_place, t->by_place, st);
        if (st->fd >= 0)
            close(st->fd);
        free(st);
    }
    HASH_ITER (hh, t->by_id, s, next) {
        if (s->has_auth)
            HASH_DELETE(hh_auth, t->by_auth, s);
        HASH_DELETE(hh, t->by_id, s);
        free(s);
    }
    cpn_usage_free(t->usage);
    json_decref(t->rows);
    free(t);
}

cpn_session *
cpn_session_find(cpn_control *c, const cpn_uuid *id)
{
    cpn_session *s = NULL;

    HASH_FIND(hh, c->sessions->by_id, id, sizeof(*id), s);
    return s;
}

bool
cpn_session_is_live(const cpn_session *s)
{
    return !s->ended && s->row != CPN_ROW_NONE;
}

cpn_session *
cpn_session_live(cpn_control *c, const char *id)
{
    cpn_uuid uuid;
    cpn_session *s = cpn_uuid_parse(&uuid, cpn_view_str(id)) ? cpn_session_find(c, &uuid) : NULL;

    return s && cpn_session_is_live(s) ? s : NULL;
}

cpn_stream *
cpn_stream_find(cpn_control *c, uint64_t id)
{
    cpn_stream *st = NULL;

    HASH_FIND(hh, c->sessions->streams, &id, sizeof(id), st);
    return st;
}

cpn_session *
cpn_session_add(cpn_control *c, cpn_door door, const cpn_want *want, const cpn_verdict *verdict,
                const cpn_principal *who)
{
    cpn_session *s;

    if (HASH_COUNT(c->sessions->by_id) >= CPN_SESSIONS_MAX)
        return NULL;
    s = cpn_xcalloc(1, sizeof(*s));
    cpn_uuid_new(&s->id);
    s->door = door;
    s->want = *want;
    s->addr = verdict->addr;
    s->any_protocol = verdict->any_protocol;
    s->limits = verdict->limits;
    s->counts_as = verdict->counts_as;
    s->protocol = verdict->counts_as;
    snprintf(s->want.bastion, sizeof(s->want.bastion), "%s", verdict->bastion->id);
    if (verdict->machine) {
        snprintf(s->host, sizeof(s->host), "%s", verdict->machine->name);
        snprintf(s->target_shown, sizeof(s->target_shown), "%s", verdict->machine->id);
    }
    snprintf(s->object_id, sizeof(s->object_id), "%s", who->object_id);
    snprintf(s->user_name, sizeof(s->user_name), "%s", who->name);
    s->epoch = cpn_snapshot_epoch(c->snapshot);
    s->start_wall_ms = cpn_wall_ms();
    s->start_ms = s->idle_since_ms = cpn_mono_ms();
    s->end_cut_ms = -1;
    cpn_session_list(c, s);
    return s;
}

void
cpn_session_list(cpn_control *c, cpn_session *s)
{
    HASH_ADD(hh, c->sessions->by_id, id, sizeof(s->id), s);
    if (s->door == CPN_DOOR_AZURE)
        cpn_session_watch(c, s);
}

void
cpn_session_watch(cpn_control *c, cpn_session *s)
{
    if (!s->watched)
        DL_APPEND2(c->sessions->watched, s, watched_prev, watched_next);
    s->watched = true;
}

uint64_t
cpn_stream_number(cpn_control *c)
{
    return c->sessions->next_stream++;
}

bool
cpn_stream_placed(cpn_control *c, const cpn_place_key *at)
{
    cpn_stream *st = NULL;

    HASH_FIND(hh_place, c->sessions->by_place, at, sizeof(*at), st);
    return st != NULL;
}

cpn_stream *
cpn_stream_add(cpn_control *c, cpn_session *s, const cpn_place_key *at, uint64_t id)
{
    cpn_sessions *t = c->sessions;
    cpn_stream *st = cpn_xcalloc(1, sizeof(*st));

    st->id = id;
    st->session = s;
    st->fd = -1;
    st->opened = !at;
    DL_APPEND(s->streams, st);
    s->streams_n++;
    HASH_ADD(hh, t->streams, id, sizeof(st->id), st);
    if (!at)
        return st;
    st->at = *at;
    st->placed = true;
    HASH_ADD(hh_place, t->by_place, at, sizeof(st->at), st);
    DL_APPEND2(t->openings, st, opening_prev, opening_next);
    return st;
}

void
cpn_stream_opened(cpn_control *c, cpn_stream *st)
{
    st->opened = true;
    DL_DELETE2(c->sessions->openings, st, opening_prev, opening_next);
}

void
cpn_stream_unplace(cpn_control *c, cpn_stream *st)
{
    if (st->placed)
        HASH_DELETE(hh_place, c->sessions->by_place, st);
    st->placed = false;
}

void
cpn_stream_drop(cpn_control *c, cpn_stream *st)
{
    cpn_session *s = st->session;
    cpn_front *f = cpn_front_find(c, st->at.front);
    cpn_msg m = { .type = CPN_MSG_RELEASE, .RELEASE = { .session = s->id, .stream = st->id } };

    cpn_keeper_send(c, &m);
    if (st->fd >= 0)
        close(st->fd);
    if (st->has_slot && f)
        cpn_front_slot_give(f, st->slot);
    DL_DELETE(s->streams, st);
    s->streams_n--;
    HASH_DELETE(hh, c->sessions->streams, st);
    cpn_stream_unplace(c, st);
    if (!st->opened)
        DL_DELETE2(c->sessions->openings, st, opening_prev, opening_next);
    free(st);
    s->idle_since_ms = cpn_mono_ms();
    cpn_session_tidy(c, s);
}

void
cpn_session_tidy(cpn_control *c, cpn_session *s)
{
    bool written = s->end_durable || s->row == CPN_ROW_NONE || s->row == CPN_ROW_FAILED;

    if (!s->ended || !written || s->streams)
        return;
    if (s->has_auth)
        HASH_DELETE(hh_auth, c->sessions->by_auth, s);
    if (s->watched)
        DL_DELETE2(c->sessions->watched, s, watched_prev, watched_next);
    HASH_DELETE(hh, c->sessions->by_id, s);
    free(s);
}

cpn_tally_slot
cpn_stream_counted(cpn_control *c, const cpn_stream *st)
{
    const cpn_front *f = st->has_slot ? cpn_front_find(c, st->at.front) : NULL;

    return f ? cpn_front_slot_read(f, st->slot, st->id) : (cpn_tally_slot){ 0 };
}

void
cpn_stream_settle(cpn_control *c, cpn_stream *st)
{
    cpn_tally_slot got = cpn_stream_counted(c, st);

    if (!st->tallied) {
        st->session->up += got.up;
        st->session->down += got.down;
    }
    st->tallied = true;
}

void
cpn_session_bytes(const cpn_control *c, const cpn_session *s, uint64_t *up, uint64_t *down)
{
    const cpn_stream *st;

    *up = s->up;
    *down = s->down;
    DL_FOREACH (s->streams, st) {
        cpn_tally_slot got = { 0 };

        if (!st->tallied)
            got = cpn_stream_counted((cpn_control *)c, st);
        *up += got.up;
        *down += got.down;
    }
}

unsigned
cpn_session_live_streams(const cpn_session *s)
{
    const cpn_stream *st;
    unsigned n = 0;

    DL_FOREACH (s->streams, st)
        n += st->opened;
    return n;
}

const char *
cpn_session_protocol(const cpn_session *s)
{
    static const char *const word[] = { [CPN_PROTOCOL_UNKNOWN] = "unknown",
                                        [CPN_PROTOCOL_SSH] = "ssh",
                                        [CPN_PROTOCOL_RDP] = "rdp",
                                        [CPN_PROTOCOL_OTHER] = "other" };

    return (size_t)s->protocol < CPN_COUNT(word) ? word[s->protocol] : "unknown";
}

static const char *
state_word(const cpn_session *s)
{
    if (s->ended)
        return "Disconnected";
    return cpn_session_live_streams(s) ? "Connected" : "Connecting";
}

json_t *
cpn_session_json(const cpn_control *c, const cpn_session *s)
{
    char id[CPN_UUID_TEXT], start[CPN_TIME_SIZE], addr[CPN_ADDR_TEXT], peer[CPN_ADDR_TEXT];
    uint64_t up, down;

    cpn_session_bytes(c, s, &up, &down);
    return json_pack(
        "{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:i,s:s,s:s,s:s,s:i,s:I,s:I,s:i,s:s,s:i,s:s}",
        "sessionId", cpn_uuid_text(&s->id, id), "startTime",
        cpn_time_rfc3339(s->start_wall_ms, start), "userName", s->user_name, "objectId",
        s->object_id, "bastion", s->want.bastion, "targetResourceId", s->target_shown,
        "targetHostName", s->host, "targetIpAddress", cpn_addr_text(&s->addr, addr), "port",
        s->want.port, "protocol", cpn_session_protocol(s), "door",
        s->door == CPN_DOOR_AZURE ? "azure" : "own", "clientAddress", cpn_addr_text(&s->peer, peer),
        "clientPort", s->peer_port, "bytesUp", (json_int_t)up, "bytesDown", (json_int_t)down,
        "streams", (int)cpn_session_live_streams(s), "state", state_word(s), "front",
        s->streams ? (int)s->streams->at.front : 0, "binding", cpn_binding_word(s->binding));
}
