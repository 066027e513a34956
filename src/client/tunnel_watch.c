/* Counts the sessions of a tunnel and what they moved, and passes the news on. */
#include <string.h>

#include "client/tunnel_impl.h"

/* The gateway's name for the session; only what is one reaches anybody. */
static void
read_session(cpn_local *l, cpn_view json)
{
    json_auto_t *answer = cpn_reason_parse(json);
    const char *text = json_string_value(json_object_get(answer, "sessionId"));
    cpn_uuid id;

    if (text && cpn_uuid_parse(&id, cpn_view_str(text)))
        cpn_uuid_text(&id, l->session);
}

void
cpn_tunnel_session_opened(cpn_tunnel *t, cpn_local *l, cpn_view json)
{
    if (!l->stream || l->opened)
        return;
    l->opened = true;
    l->opened_ms = uv_now(&t->uv);
    read_session(l, json);
    t->counts.sessions_total++;
    if (t->counts.sessions++ == 0)
        cpn_tunnel_until_busy(t, true);
    cpn_event_session_opened(t, l);
}

void
cpn_tunnel_session_over(cpn_tunnel *t, cpn_local *l, const cpn_stream_end *end)
{
    cpn_stream_end ours = { .why = CPN_STREAM_RESET_LOCAL };

    if (!l->stream)
        return;
    if (!end) {
        ours.up = cpn_stream_up(l->stream);
        ours.down = cpn_stream_down(l->stream);
        end = &ours;
    }
    l->stream = NULL;
    if (!l->opened)
        return;
    t->counts.up += end->up;
    t->counts.down += end->down;
    if (--t->counts.sessions == 0)
        cpn_tunnel_until_busy(t, false);
    cpn_event_session_closed(t, l, end);
}

void
cpn_tunnel_sessions_over(cpn_tunnel *t)
{
    for (cpn_local *l = t->locals; l; l = l->next)
        cpn_tunnel_session_over(t, l, NULL);
}

cpn_tunnel_counts
cpn_tunnel_count(const cpn_tunnel *t)
{
    cpn_tunnel_counts now = t->counts;

    for (const cpn_local *l = t->locals; l; l = l->next)
        if (l->stream && l->opened) {
            now.up += cpn_stream_up(l->stream);
            now.down += cpn_stream_down(l->stream);
        }
    return now;
}

void
cpn_tunnel_carrier_lost(cpn_tunnel *t, const char *why)
{
    t->lost = true;
    cpn_event_carrier(t, "disconnected", why);
}

void
cpn_tunnel_carrier_made(cpn_tunnel *t)
{
    if (t->lost)
        cpn_event_carrier(t, "reconnected", NULL);
    t->lost = false;
}
