/* Tells a program on standard output what happens to a tunnel: one JSON object a line
 * (caponier-tunnel(1), EVENTS). */
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "client/out.h"
#include "client/tunnel_impl.h"

#define MESSAGE_MAX 256 /* bytes of a sentence, so that each line fits */

/* A pipe that polls writable takes so much at once, and whole; so does a terminal or a file. */
static bool
write_now(cpn_view line)
{
    struct pollfd p = { .fd = STDOUT_FILENO, .events = POLLOUT };

    return line.n <= PIPE_BUF && poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) &&
           write(STDOUT_FILENO, line.p, line.n) == (ssize_t)line.n;
}

static bool
write_json(const json_t *event)
{
    cpn_buf b = { .max = 4 * PIPE_BUF };
    bool done = cpn_out_json(&b, event, false) == CPN_OK &&
                cpn_buf_append(&b, CPN_VIEW_LIT("\n")) == CPN_OK && write_now(cpn_buf_view(&b));

    cpn_buf_fini(&b);
    return done;
}

static void
emit(cpn_tunnel *t, CPN_TAKES json_t *event)
{
    char now[CPN_TIME_SIZE];

    if (t->events_skipped) {
        json_auto_t *skipped =
            json_pack("{s:s, s:I}", "event", "skipped", "count", (json_int_t)t->events_skipped);

        if (write_json(skipped))
            t->events_skipped = 0;
    }
    json_object_set_new(event, "time", json_string(cpn_time_rfc3339(cpn_wall_ms(), now)));
    if (t->events_skipped || !write_json(event))
        t->events_skipped++;
    json_decref(event);
}

/* {"event", "target", "resourcePort"} */
static json_t *
about(const char *event, const cpn_target *target)
{
    return json_pack("{s:s, s:s, s:i}", "event", event, "target", target->label, "resourcePort",
                     (int)target->port);
}

static void
set_text(json_t *event, const char *key, const char *text)
{
    size_t n = text ? CPN_MIN(strlen(text), (size_t)MESSAGE_MAX) : 0;

    /* A sentence that is cut inside a character is none; a little less of it is. */
    while (n > 0 && json_object_set_new(event, key, json_stringn(text, n)) < 0)
        n--;
}

void
cpn_event_session_opened(cpn_tunnel *t, const cpn_local *l)
{
    json_t *event;

    if (!t->plan->events)
        return;
    event = about("opened", &l->inlet->inlet->target);
    set_text(event, "session", l->session);
    emit(t, event);
}

/* What the end is called where the gateway did not say. */
static const char *
word_of(cpn_stream_why why)
{
    switch (why) {
    case CPN_STREAM_SOCKET_FAILED:
        return "reset_client";
    case CPN_STREAM_RESET_PEER:
        return "reset_target";
    case CPN_STREAM_CARRIER_LOST:
    case CPN_STREAM_PROTOCOL:
        return "connection_lost";
    default:
        return "closed";
    }
}

void
cpn_event_session_closed(cpn_tunnel *t, const cpn_local *l, const cpn_stream_end *end)
{
    json_auto_t *said = NULL;
    const char *code;
    json_t *event;

    if (!t->plan->events)
        return;
    said = end->why == CPN_STREAM_RESET_PEER ? cpn_reason_parse(end->text) : NULL;
    code = json_string_value(json_object_get(said, "code"));
    event = about("closed", &l->inlet->inlet->target);
    set_text(event, "session", l->session);
    set_text(event, "reason", code ? code : word_of(end->why));
    set_text(event, "message", json_string_value(json_object_get(said, "message")));
    set_text(event, "by", json_string_value(json_object_get(said, "by")));
    json_object_set_new(event, "bytesUp", json_integer((json_int_t)end->up));
    json_object_set_new(event, "bytesDown", json_integer((json_int_t)end->down));
    json_object_set_new(event, "milliseconds",
                        json_integer((json_int_t)(uv_now(&t->uv) - l->opened_ms)));
    emit(t, event);
}

void
cpn_event_refused(cpn_tunnel *t, const cpn_target *target, cpn_view json)
{
    char sentence[CPN_LAST_WORDS];
    json_auto_t *said = NULL;
    json_t *event;

    if (!t->plan->events)
        return;
    said = cpn_reason_parse(json);
    cpn_reason_sentence_of(json, sentence);
    event = about("refused", target);
    set_text(event, "reason", json_string_value(json_object_get(said, "reason")));
    set_text(event, "message", sentence);
    set_text(event, "decision", json_string_value(json_object_get(said, "decisionId")));
    emit(t, event);
}

void
cpn_event_carrier(cpn_tunnel *t, const char *name, const char *message)
{
    json_t *event;

    if (!t->plan->events)
        return;
    event = json_pack("{s:s}", "event", name);
    set_text(event, "message", message);
    emit(t, event);
}

void
cpn_event_stopped(cpn_tunnel *t)
{
    if (!t->plan->events)
        return;
    emit(t, json_pack("{s:s, s:s, s:I, s:I, s:I}", "event", "stopped", "reason",
                      t->ended_by ? t->ended_by : "closed", "sessions",
                      (json_int_t)t->counts.sessions_total, "bytesUp", (json_int_t)t->counts.up,
                      "bytesDown", (json_int_t)t->counts.down));
}
