/* getActiveSessions and disconnectActiveSessions of a bastion, as Azure Resource Manager has them,
 * with what Azure leaves out: whence, how many bytes, on which node. */
#include <stdio.h>
#include <stdlib.h>

#include "control/arm_ops.h"
#include "control/cut.h"
#include "control/reply.h"

#define LIST_ACTION "Microsoft.Network/bastionHosts/getActiveSessions/action"
#define CUT_ACTION "Microsoft.Network/bastionHosts/disconnectActiveSessions/action"
#define IDS_MAX 1000 /* in one call */

/* False: answered. */
static bool
bastion_there(cpn_call *call)
{
    if (cpn_snapshot_bastion(call->c->snapshot, cpn_view_str(call->params.scope)))
        return true;
    cpn_arm_not_found(call);
    return false;
}

static bool
is_here(const cpn_call *call, const cpn_session *s)
{
    return cpn_session_is_live(s) && strcasecmp(s->want.bastion, call->params.scope) == 0;
}

/* ---- one session, as Azure shows it ---- */

static const char *
protocol_word(const cpn_session *s)
{
    cpn_protocol p = s->protocol == CPN_PROTOCOL_UNKNOWN ? s->counts_as : s->protocol;

    return p == CPN_PROTOCOL_SSH ? "SSH" : p == CPN_PROTOCOL_RDP ? "RDP" : "Other";
}

/* An address that is no machine's gets the id by which Azure's clients ask for one. */
static void
target_id(const cpn_session *s, char out[CPN_ID_MAX + 64])
{
    char group[CPN_ID_MAX + 1], addr[CPN_ADDR_TEXT];

    if (s->target_shown[0] || !cpn_arm_group_of(s->want.bastion, group))
        snprintf(out, CPN_ID_MAX + 64, "%s", s->target_shown);
    else
        snprintf(out, CPN_ID_MAX + 64, "%.*s/providers/Microsoft.Network/bh-hostConnect/%s",
                 CPN_ID_MAX - 64, group, cpn_addr_text(&s->addr, addr));
}

/* VM, VMSS or IP. */
static const char *
target_type(const cpn_session *s)
{
    if (!s->target_shown[0])
        return "IP";
    return strcasestr(s->target_shown, "/virtualMachineScaleSets/") ? "VMSS" : "VM";
}

static void
put_target(json_t *out, const cpn_session *s)
{
    char id[CPN_ID_MAX + 64], addr[CPN_ADDR_TEXT];
    cpn_resource_id parsed = { 0 };

    target_id(s, id);
    (void)!cpn_resource_id_parse(&parsed, cpn_view_str(id), NULL);
    json_object_update_new(
        out, json_pack("{s:s%,s:s,s:s,s:s%,s:s,s:s}", "targetSubscriptionId",
                       parsed.subscription.n ? (const char *)parsed.subscription.p : "",
                       parsed.subscription.n, "resourceType", target_type(s), "targetHostName",
                       s->host, "targetResourceGroup",
                       parsed.group.n ? (const char *)parsed.group.p : "", parsed.group.n,
                       "targetIpAddress", cpn_addr_text(&s->addr, addr), "targetResourceId", id));
}

static json_t *
shown(const cpn_control *c, const cpn_session *s)
{
    char id[CPN_UUID_TEXT], start[CPN_TIME_SIZE], peer[CPN_ADDR_TEXT];
    uint64_t up, down, tenths = (cpn_mono_ms() - s->start_ms) / 6000;
    json_t *out;

    cpn_session_bytes(c, s, &up, &down);
    out = json_pack("{s:s,s:s,s:s,s:s,s:f,s:s,s:I,s:I,s:s}", "sessionId", cpn_uuid_text(&s->id, id),
                    "startTime", cpn_time_rfc3339(s->start_wall_ms, start), "userName",
                    s->user_name, "protocol", protocol_word(s), "sessionDurationInMins",
                    (double)tenths / 10, "clientAddress", cpn_addr_text(&s->peer, peer), "bytesUp",
                    (json_int_t)up, "bytesDown", (json_int_t)down, "node", c->node);
    put_target(out, s);
    return out;
}

/* ---- getActiveSessions ---- */

static int
by_id(const void *a, const void *b)
{
    const cpn_session *const *left = a, *const *right = b;

    return memcmp(&(*left)->id, &(*right)->id, sizeof((*left)->id));
}

/* Its live sessions in the order of their ids; free it. */
static cpn_session **
sessions_here(const cpn_call *call, size_t *n)
{
    cpn_sessions *t = call->c->sessions;
    cpn_session **all = cpn_xcalloc(HASH_COUNT(t->by_id) + 1, sizeof(cpn_session *)), *s, *next;

    *n = 0;
    HASH_ITER (hh, t->by_id, s, next) {
        if (is_here(call, s))
            all[(*n)++] = s;
    }
    qsort(all, *n, sizeof(cpn_session *), by_id);
    return all;
}

/* False: answered. */
static bool
page_fill(cpn_call *call, cpn_arm_page *page)
{
    CPN_AUTO(cpn_auto_mem) cpn_session **all = NULL;
    cpn_arm_place place = CPN_ARM_HERE;
    size_t n;

    if (!bastion_there(call) || !cpn_arm_page_begin(page, call))
        return false;
    all = sessions_here(call, &n);
    for (size_t i = 0; i < n && place != CPN_ARM_FULL; i++) {
        char id[CPN_UUID_TEXT];

        place = cpn_arm_page_at(page, cpn_uuid_text(&all[i]->id, id));
        if (place == CPN_ARM_HERE)
            cpn_arm_page_put(page, id, shown(call->c, all[i]));
    }
    return true;
}

static void
sessions_page(cpn_call *call)
{
    cpn_arm_page page;

    if (page_fill(call, &page))
        cpn_arm_page_end(&page);
}

/* Who follows Location gets a list that is made when it is fetched; who does not, as az rest, has
 * the first page in the answer. No Azure-AsyncOperation: beside it az would show the operation's
 * state and not fetch the list. */
static void
sessions_get(cpn_call *call)
{
    char url[CPN_ARM_URL_MAX], version[CPN_ARM_VERSION_SIZE];
    cpn_arm_page page;

    if (!page_fill(call, &page))
        return;
    cpn_arm_url(call, url, "%s?api-version=%s", call->path, cpn_arm_version(call, version));
    cpn_call_header(call, "Location", url);
    cpn_call_header(call, "Retry-After", "1"); /* else clients wait half a minute */
    cpn_call_note(call, "target", call->params.scope);
    call->only_read = true;
    cpn_reply_json(call, 202, cpn_arm_page_body(&page, "nextLink"));
}

/* ---- disconnectActiveSessions ---- */

static json_t *
cut_one(cpn_call *call, const char *text)
{
    cpn_session *s = cpn_session_live(call->c, text);
    char message[64];

    if (!s || !is_here(call, s))
        return json_pack("{s:s,s:s,s:s}", "sessionId", text, "message",
                         "There is no such session on this bastion.", "state", "NotFound");
    call->only_read = false;
    snprintf(message, sizeof(message), "Disconnected in %lu ms.",
             (unsigned long)cpn_cut(call->c, s, CPN_WHY_CUT_ADMIN, cpn_call_who(call)->name,
                                    call->began_ms));
    return json_pack("{s:s,s:s,s:s}", "sessionId", text, "message", message, "state",
                     "Disconnected");
}

/* Done when it is answered, in one page, as Azure's own clients want it: 200. Who takes every POST
 * for a long-running operation finds the same list behind Location. */
static void
disconnect_answer(cpn_call *call, CPN_TAKES json_t *value)
{
    const char *where =
        cpn_arm_location_written(call->c->snapshot, call->params.scope,
                                 cpn_snapshot_document(call->c->snapshot, CPN_KIND_BASTION,
                                                       cpn_view_str(call->params.scope)));
    json_t *body = json_pack("{s:o}", "value", value);

    cpn_arm_op_result(call, where, json_incref(body));
    cpn_reply_json(call, 200, body);
}

static void
sessions_disconnect(cpn_call *call)
{
    json_t *ids = NULL, *value, *id;
    cpn_err err = { 0 };
    size_t i;

    if (!bastion_there(call))
        return;
    if (cpn_json_opt_array(call->json, "", "sessionIds", IDS_MAX, &ids, &err) != CPN_OK || !ids) {
        cpn_arm_error(call, 400, "InvalidRequestContent", "%s",
                      err.msg[0] ? err.msg : "sessionIds: expected an array of session ids");
        return;
    }
    value = json_array();
    call->only_read = true; /* until one is cut */
    json_array_foreach(ids, i, id)
    {
        if (json_is_string(id))
            json_array_append_new(value, cut_one(call, json_string_value(id)));
    }
    cpn_call_note(call, "target", call->params.scope);
    disconnect_answer(call, value);
}

#define BASTION                                                                                    \
    "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Network"             \
    "/bastionHosts/{name}"

/* GET is the second half of POST: what Location and nextLink lead to. */
const cpn_route cpn_routes_arm_sessions[] = {
    { "POST", BASTION "/getActiveSessions", CPN_SCOPE_PATH, LIST_ACTION, CPN_BODY_JSON,
      CPN_BODY_USUAL, "session.listed", CPN_ERRORS_ARM, sessions_get },
    { "GET", BASTION "/getActiveSessions", CPN_SCOPE_PATH, LIST_ACTION, CPN_BODY_NONE, 0, NULL,
      CPN_ERRORS_ARM, sessions_page },
    { "POST", BASTION "/disconnectActiveSessions", CPN_SCOPE_PATH, CUT_ACTION, CPN_BODY_JSON,
      CPN_BODY_USUAL, "session.disconnect", CPN_ERRORS_ARM, sessions_disconnect },
    { 0 },
};
