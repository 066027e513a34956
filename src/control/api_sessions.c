/* GET /v1/sessions, POST /v1/sessions/disconnect: who is connected, and ending it. */
#include <stdio.h>
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

static void
sessions_list(cpn_call *call)
{
    json_t *value = json_array();
    cpn_session *s, *next;
    char token[24];
    uint64_t skip = 0, seen = 0;
    bool more = false;
    char link[64];

    if (cpn_call_query(call, "$skiptoken", token, sizeof(token)) &&
        !cpn_view_u64(cpn_view_str(token), 1u << 30, &skip)) {
        json_decref(value);
        cpn_reply_rc(call, CPN_INVALID, "$skiptoken: not one of ours", NULL);
        return;
    }
    HASH_ITER (hh, call->c->sessions->by_id, s, next) {
        if (!cpn_session_is_live(s) || !may_on(call, s, READ_ACTION) || seen++ < skip)
            continue;
        more = json_array_size(value) == PAGE;
        if (more)
            break;
        json_array_append_new(value, cpn_session_json(call->c, s));
    }
    snprintf(link, sizeof(link), "/v1/sessions?%%24skiptoken=%lu", (unsigned long)(skip + PAGE));
    cpn_reply_list(call, value, more ? link : NULL);
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
