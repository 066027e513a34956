/* How sessions end: the front says so, the front dies, somebody cuts them, nobody uses them. */
#include <stdlib.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/sessions.h"
#include "control/trail.h"
#include "control/usage.h"

/* ---- the record ---- */

/* A record on its way; the session is looked up again when it is there. */
typedef struct ending {
    cpn_control *c;
    cpn_uuid id;
} ending;

static void
end_written(void *owner, cpn_rc rc, const cpn_err *err)
{
    ending *e = owner;
    cpn_control *c = e->c;
    cpn_session *s = cpn_session_find(c, &e->id);

    free(e);
    if (!s)
        return;
    s->end_writing = false;
    if (rc == CPN_OK) {
        c->count.commits++;
        s->end_durable = true;
        cpn_session_tidy(c, s);
        return;
    }
    /* Kept in memory; sessions_tick asks again when the store may have room. */
    c->count.commits_failed++;
    cpn_log(CPN_LOG_WARN, "session.end_waits", CPN_KV("error", err ? err->msg : ""));
}

static void
end_write(cpn_control *c, cpn_session *s)
{
    char end[CPN_TIME_SIZE];
    cpn_batch *b = cpn_batch_new();
    json_t *body =
        json_pack("{s:s,s:s,s:I,s:I,s:I}", "endTime", cpn_time_rfc3339(s->end_wall_ms, end),
                  "reason", cpn_reason_word(s->end_why), "bytesUp", (json_int_t)s->up, "bytesDown",
                  (json_int_t)s->down, "duration", (json_int_t)(s->end_ms - s->start_ms));
    char *text = cpn_json_text(body);
    ending *e = cpn_xcalloc(1, sizeof(*e));

    e->c = c;
    e->id = s->id;
    cpn_batch_session_end(b, &s->id, cpn_view_str(text));
    cpn_trail_session(c, b, s, "session.end");
    /* An end that is lost with us is written at the next start; who cut it would not be. */
    if (s->end_cut_ms < 0)
        cpn_batch_may_wait(b);
    s->end_writing = true;
    if (cpn_store_commit(c->store, b, end_written, e) != CPN_OK) {
        s->end_writing = false;
        free(e);
    }
    json_decref(body);
    free(text);
}

void
cpn_session_end(cpn_control *c, cpn_session *s, cpn_reason why)
{
    uint64_t up, down;
    cpn_stream *st;

    if (s->ended)
        return;
    s->ended = true;
    cpn_session_watch(c, s);
    s->end_why = why;
    s->end_wall_ms = cpn_wall_ms();
    s->end_ms = cpn_mono_ms();
    if (s->counted)
        cpn_usage_session(c->sessions->usage, s->object_id, s->want.bastion, s->counts_as, -1);
    s->counted = false;
    /* What the fronts' pages say now is the truth: they may hang, or lie later. */
    cpn_session_bytes(c, s, &up, &down);
    s->up = up;
    s->down = down;
    DL_FOREACH (s->streams, st)
        st->tallied = true;
    if (s->row == CPN_ROW_DURABLE) {
        c->count.sessions_ended++;
        c->count.up += up;
        c->count.down += down;
        end_write(c, s);
    }
    cpn_session_tidy(c, s);
}

void
cpn_session_end_late(cpn_control *c, cpn_session *s)
{
    c->count.sessions_ended++;
    end_write(c, s);
}

/* ---- what fronts say ---- */

cpn_stream *
cpn_stream_of(cpn_control *c, uint32_t front, uint64_t id)
{
    cpn_stream *st = cpn_stream_find(c, id);

    if (!st || !st->opened || st->at.front != front) {
        cpn_log(CPN_LOG_WARN, "front.foreign_stream", CPN_KI("front", front));
        return NULL;
    }
    return st;
}

static cpn_reason
end_reason(uint16_t why)
{
    return why > CPN_WHY_NONE && why < CPN_WHY_N ? (cpn_reason)why : CPN_WHY_CLOSED;
}

/* What ended while there was no control may be told before keeper has named all that lived, and
 * before it is known which front has which of them. */
static void
ended_early(cpn_control *c, uint32_t front, const cpn_msg_ENDED *m)
{
    cpn_front *f = cpn_front_find(c, front);

    if (!f)
        return;
    if (f->early_n == CPN_TALLY_SLOTS) {
        cpn_front_kill(f, "more ends than it can have streams");
        return;
    }
    if (!f->early)
        f->early = cpn_xcalloc(CPN_TALLY_SLOTS, sizeof(*f->early));
    f->early[f->early_n++] = *m;
}

void
cpn_sessions_early_ends(cpn_control *c)
{
    cpn_front *f, *next;

    HASH_ITER (hh, c->fronts, f, next) {
        for (size_t i = 0; i < f->early_n; i++)
            cpn_stream_ended(c, f->id, &f->early[i]);
        free(cpn_steal(&f->early));
        f->early_n = 0;
    }
}

void
cpn_stream_ended(cpn_control *c, uint32_t front, const cpn_msg_ENDED *m)
{
    cpn_stream *st = cpn_stream_find(c, m->id);
    cpn_session *s;
    bool last;

    if (c->sessions->rows && (!st || st->at.front == 0)) {
        ended_early(c, front, m);
        return;
    }
    st = cpn_stream_of(c, front, m->id);
    if (!st)
        return;
    s = st->session;
    if (!st->tallied) {
        s->up += m->up;
        s->down += m->down;
        st->tallied = true;
    }
    last = s->streams_n == 1;
    s->last_why = end_reason(m->why);
    if (s->door == CPN_DOOR_OWN && last)
        cpn_session_end(c, s, s->last_why);
    cpn_stream_drop(c, st); /* s may be gone */
}

void
cpn_stream_spoke(cpn_control *c, uint32_t front, const cpn_msg_SPOKE *m)
{
    cpn_stream *st = cpn_stream_of(c, front, m->id);
    cpn_protocol says = (cpn_protocol)m->protocol;
    cpn_protocol counts = says == CPN_PROTOCOL_RDP ? CPN_PROTOCOL_RDP : CPN_PROTOCOL_SSH;
    cpn_session *s;

    if (!st || m->protocol == CPN_PROTOCOL_UNKNOWN || m->protocol > CPN_PROTOCOL_OTHER)
        return;
    s = st->session;
    s->protocol = says;
    if (counts == s->counts_as)
        return;
    if (s->counted) {
        cpn_usage_session(c->sessions->usage, s->object_id, s->want.bastion, s->counts_as, -1);
        cpn_usage_session(c->sessions->usage, s->object_id, s->want.bastion, counts, 1);
    }
    s->counts_as = counts;
}

/* Does another front carry a part of the session, or is about to? */
static bool
lives_elsewhere(const cpn_session *s, uint32_t front)
{
    const cpn_stream *st;

    DL_FOREACH (s->streams, st)
        if (st->at.front != front)
            return true;
    return false;
}

static void
stream_died(cpn_control *c, cpn_front *f, cpn_stream *st)
{
    if (!lives_elsewhere(st->session, f->id))
        cpn_session_end(c, st->session, CPN_WHY_FRONT_DIED);
    cpn_stream_settle(c, st);
    cpn_stream_drop(c, st); /* s may be gone */
}

void
cpn_sessions_front_down(cpn_control *c, cpn_front *f)
{
    cpn_stream *st, *next;

    HASH_ITER (hh, c->sessions->streams, st, next) {
        if (st->at.front != f->id)
            continue;
        if (st->opened) {
            stream_died(c, f, st);
            continue;
        }
        st->forgotten = true;
        cpn_stream_unplace(c, st); /* the front's successor numbers its own from the start */
    }
}

/* ---- time ---- */

/* No WebSocket is open and none can be opened any more: clients that die by a signal send no
 * DELETE. An earlier authToken in a later POST begins a session anew. */
static bool
az_over(const cpn_session *s, uint64_t now_ms)
{
    return s->door == CPN_DOOR_AZURE && !s->streams && now_ms > s->idle_since_ms + CPN_AZ_IDLE_MS &&
           (s->tickets == 0 || now_ms > s->ticket_until_ms + CPN_AZ_IDLE_MS);
}

void
cpn_sessions_tick(cpn_control *c, uint64_t now_ms)
{
    cpn_session *s, *next;

    DL_FOREACH_SAFE2 (c->sessions->watched, s, next, watched_next) {
        if (s->ended) {
            if (s->row == CPN_ROW_DURABLE && !s->end_durable && !s->end_writing)
                end_write(c, s);
        } else if (az_over(s, now_ms)) {
            cpn_session_end(c, s, s->last_why ? s->last_why : CPN_WHY_CLOSED);
        }
    }
    cpn_usage_sweep(c->sessions->usage, now_ms);
}
