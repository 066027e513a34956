/* GET /v1/sessions, POST /v1/sessions/disconnect: who is connected, and ending it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "control/cut.h"
#include "control/named.h"
#include "control/reply.h"

#define READ_ACTION "Microsoft.Network/bastionHosts/read"
#define CUT_ACTION "Microsoft.Network/bastionHosts/disconnectactivesessions/action"
#define PAGE 1000

static bool
may_on(const cpn_call *call, const cpn_session *s, const char *action)
{
    const cpn_principal *who = cpn_call_who(call);

    return strcmp(who->object_id, s->object_id) == 0 ||
           cpn_may(call->c->snapshot, who, action, cpn_view_str(s->want.bastion));
}

/* ---- the list ---- */

/* Oldest first. A page begins behind a session, not at a number: those that end meanwhile push
 * nobody else out of it. */
typedef struct place {
    int64_t start_ms;
    cpn_uuid id;
} place;

static int
place_cmp(const place *a, const place *b)
{
    if (a->start_ms != b->start_ms)
        return a->start_ms < b->start_ms ? -1 : 1;
    return memcmp(&a->id, &b->id, sizeof(a->id));
}

static place
place_of(const cpn_session *s)
{
    return (place){ s->start_wall_ms, s->id };
}

static int
by_place(const void *a, const void *b)
{
    place left = place_of(*(const cpn_session *const *)a);
    place right = place_of(*(const cpn_session *const *)b);

    return place_cmp(&left, &right);
}

/* "MS.ID", as the links say it. */
static bool
place_parse(place *out, cpn_view text)
{
    cpn_view ms, id;
    uint64_t n;

    if (!cpn_view_cut(text, '.', &ms, &id) || !cpn_view_u64(ms, INT64_MAX, &n) ||
        !cpn_uuid_parse(&out->id, id))
        return false;
    out->start_ms = (int64_t)n;
    return true;
}

/* What the caller may see behind a place, in order; free it. */
static cpn_session **
sessions_behind(const cpn_call *call, const place *after, size_t *n)
{
    cpn_sessions *t = call->c->sessions;
    cpn_session **all = cpn_xcalloc(HASH_COUNT(t->by_id) + 1, sizeof(cpn_session *)), *s, *next;

    *n = 0;
    HASH_ITER (hh, t->by_id, s, next) {
        place at = place_of(s);

        if (cpn_session_is_live(s) && place_cmp(&at, after) > 0 && may_on(call, s, READ_ACTION))
            all[(*n)++] = s;
    }
    qsort(all, *n, sizeof(cpn_session *), by_place);
    return all;
}

static void
sessions_list(cpn_call *call)
{
    CPN_AUTO(cpn_auto_mem) cpn_session **all = NULL;
    place after = { .start_ms = -1 };
    cpn_view token = cpn_form_get(&call->query, "$skiptoken");
    char link[96], id[CPN_UUID_TEXT];
    json_t *value;
    size_t n, here;

    if (token.p && !place_parse(&after, token)) {
        cpn_reply_rc(call, CPN_INVALID, "$skiptoken: not one of ours", NULL);
        return;
    }
    all = sessions_behind(call, &after, &n);
    here = CPN_MIN(n, (size_t)PAGE);
    value = json_array();
    for (size_t i = 0; i < here; i++)
        json_array_append_new(value, cpn_session_json(call->c, all[i]));
    if (n > here)
        snprintf(link, sizeof(link), "/v1/sessions?%%24skiptoken=%" PRId64 ".%s",
                 all[here - 1]->start_wall_ms, cpn_uuid_text(&all[here - 1]->id, id));
    cpn_reply_list(call, value, n > here ? link : NULL);
}

/* ---- disconnect ---- */

typedef struct wish {
    const char *user; /* NULL: by ids or target */
    const char *target;
} wish;

static bool
wished(const wish *w, const cpn_session *s)
{
    if (w->user)
        return strcasecmp(w->user, s->user_name) == 0 || strcasecmp(w->user, s->object_id) == 0;
    return w->target &&
           (strcasecmp(w->target, s->target_shown) == 0 ||
            strcasecmp(w->target, s->want.target_ip) == 0 || strcasecmp(w->target, s->host) == 0);
}

static void
cut_one(cpn_call *call, cpn_session *s, json_t *value)
{
    const cpn_principal *who = cpn_call_who(call);
    char id[CPN_UUID_TEXT];
    uint64_t ms;

    call->only_read = false;
    cpn_uuid_text(&s->id, id);
    ms = cpn_cut(call->c, s, CPN_WHY_CUT_ADMIN, who->name, call->began_ms);
    json_array_append_new(value, json_pack("{s:s,s:s,s:I}", "sessionId", id, "state",
                                           "Disconnected", "milliseconds", (json_int_t)ms));
}

static void
cut_by_id(cpn_call *call, const char *text, json_t *value)
{
    cpn_session *s = cpn_session_live(call->c, text);

    /* Somebody else's session does not exist for the caller. */
    if (s && may_on(call, s, CUT_ACTION))
        cut_one(call, s, value);
    else
        json_array_append_new(value, json_pack("{s:s,s:s,s:i}", "sessionId", text, "state",
                                               "NotFound", "milliseconds", 0));
}

static void
cut_wished(cpn_call *call, const wish *w, json_t *value)
{
    cpn_session *s, *next;

    HASH_ITER (hh, call->c->sessions->by_id, s, next) {
        if (cpn_session_is_live(s) && wished(w, s) && may_on(call, s, CUT_ACTION))
            cut_one(call, s, value);
    }
}

static void
sessions_disconnect(cpn_call *call)
{
    static const char *const names[] = { "sessionIds", "user", "target", NULL };
    json_t *ids = NULL, *value = json_array(), *id;
    wish w = { 0 };
    cpn_err err = { 0 };
    size_t i;

    if (cpn_json_only(call->json, "", names, &err) != CPN_OK ||
        cpn_json_opt_array(call->json, "", "sessionIds", 1000, &ids, &err) != CPN_OK ||
        cpn_json_opt_str(call->json, "", "user", 320, &w.user, &err) != CPN_OK ||
        cpn_json_opt_str(call->json, "", "target", CPN_ID_MAX, &w.target, &err) != CPN_OK ||
        json_object_size(call->json) != 1) {
        json_decref(value);
        cpn_reply_rc(call, CPN_INVALID,
                     err.msg[0] ? err.msg : "expected one of sessionIds, user and target", NULL);
        return;
    }
    call->only_read = true; /* until one is cut */
    json_array_foreach(ids, i, id)
    {
        if (json_is_string(id))
            cut_by_id(call, json_string_value(id), value);
    }
    if (!ids)
        cut_wished(call, &w, value);
    cpn_reply_list(call, value, NULL);
}

const cpn_route cpn_routes_sessions[] = {
    { "GET", "/v1/sessions", CPN_SCOPE_EACH, READ_ACTION, CPN_BODY_NONE, 0, NULL, CPN_ERRORS_API,
      sessions_list },
    { "POST", "/v1/sessions/disconnect", CPN_SCOPE_EACH, CUT_ACTION, CPN_BODY_JSON, CPN_BODY_USUAL,
      "session.disconnect", CPN_ERRORS_API, sessions_disconnect },
    { 0 },
};
