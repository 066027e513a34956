/* GET /v1/audit and POST /v1/audit/verify: the record, and whether it is whole. */
#include <stdio.h>
#include <stdlib.h>

#include "control/reply.h"

#define PAGE_DEFAULT 100
#define PAGE_MAX 1000

static uint64_t
last_seq(const json_t *records, uint64_t after)
{
    const json_t *last = json_array_get(records, json_array_size(records) - 1);

    return json_array_size(records) ? (uint64_t)json_integer_value(json_object_get(last, "seq"))
                                    : after;
}

static void
audit_read(void *owner, cpn_rc rc, cpn_view body, const cpn_err *err)
{
    cpn_call *call = owner;
    json_t *records = NULL;
    char after[24];
    uint64_t from = 0;
    cpn_err bad = { 0 };

    call->c->audit.reads--;
    if (rc == CPN_OK)
        rc = cpn_json_load(&records, body, 64u << 20, CPN_JSON_DEPTH_MAX, &bad);
    if (rc != CPN_OK) {
        cpn_reply_rc(call, rc, NULL, err ? err : &bad);
        return;
    }
    if (cpn_call_query(call, "after", after, sizeof(after)))
        (void)cpn_view_u64(cpn_view_str(after), INT64_MAX, &from);
    from = last_seq(records, from);
    cpn_reply_json(call, 200, json_pack("{s:o,s:I}", "value", records, "next", (json_int_t)from));
}

/* A search may take long, and the store does them in turn. */
static void
audit_read_start(cpn_call *call, uint64_t after, unsigned limit, const char *filter)
{
    cpn_control *c = call->c;
    cpn_rc rc = c->audit.reads >= CPN_AUDIT_MAX
                    ? CPN_LIMIT
                    : cpn_store_audit_read(c->store, after, limit, filter, audit_read, call);

    if (rc == CPN_OK)
        c->audit.reads++;
    else
        cpn_reply_rc(call, rc, NULL, NULL);
}

static void
audit_list(cpn_call *call)
{
    char text[24], user[321], filter[512];
    uint64_t after = 0, limit = PAGE_DEFAULT;
    bool ok = true;

    if (cpn_call_query(call, "after", text, sizeof(text)))
        ok = cpn_view_u64(cpn_view_str(text), INT64_MAX, &after);
    if (ok && cpn_call_query(call, "limit", text, sizeof(text)))
        ok = cpn_view_u64(cpn_view_str(text), PAGE_MAX, &limit) && limit > 0;
    if (!ok) {
        cpn_reply_rc(call, CPN_INVALID, "after: a record's number; limit: 1 to 1000", NULL);
        return;
    }
    filter[0] = '\0';
    if (cpn_call_query(call, "user", user, sizeof(user))) {
        if (strpbrk(user, "&=")) {
            cpn_reply_rc(call, CPN_INVALID, "user: not a sign-in name", NULL);
            return;
        }
        snprintf(filter, sizeof(filter), "userEmail=%s", user);
    }
    audit_read_start(call, after, (unsigned)limit, filter[0] ? filter : NULL);
}

/* ---- the walk ---- */

static void
walked(cpn_call *call, cpn_rc rc, json_t *verdict, const cpn_err *err)
{
    if (rc != CPN_OK) {
        cpn_reply_rc(call, rc, NULL, err);
        return;
    }
    call->only_read = true;
    cpn_call_note(call, "message",
                  json_is_true(json_object_get(verdict, "ok")) ? "whole" : "broken");
    cpn_reply_json(call, 200, json_incref(verdict));
}

static void
audit_verified(void *owner, cpn_rc rc, cpn_view body, const cpn_err *err)
{
    cpn_control *c = owner;
    cpn_audit_calls all = c->audit;
    CPN_AUTO(cpn_json_auto) json_t *verdict = NULL;
    cpn_err bad = { 0 };

    c->audit.waiting_n = 0;
    if (rc == CPN_OK)
        rc = cpn_json_load(&verdict, body, 65536, 4, &bad);
    for (uint32_t i = 0; i < all.waiting_n; i++)
        walked(all.waiting[i], rc, verdict, err ? err : &bad);
}

/* One walk answers everybody who asks while it is under way. */
static void
audit_verify(cpn_call *call)
{
    cpn_control *c = call->c;
    cpn_rc rc = CPN_OK;

    if (c->audit.waiting_n == CPN_AUDIT_MAX) {
        cpn_reply_rc(call, CPN_LIMIT, NULL, NULL);
        return;
    }
    if (c->audit.waiting_n == 0)
        rc = cpn_store_audit_verify(c->store, audit_verified, c);
    if (rc == CPN_OK)
        c->audit.waiting[c->audit.waiting_n++] = call;
    else
        cpn_reply_rc(call, rc, NULL, NULL);
}

const cpn_route cpn_routes_audit[] = {
    { "GET", "/v1/audit", CPN_SCOPE_ROOT, "Microsoft.Insights/eventtypes/values/read",
      CPN_BODY_NONE, 0, NULL, CPN_ERRORS_API, audit_list },
    { "POST", "/v1/audit/verify", CPN_SCOPE_ROOT, "Microsoft.Insights/eventtypes/values/read",
      CPN_BODY_JSON, CPN_BODY_USUAL, "audit.verified", CPN_ERRORS_API, audit_verify },
    { 0 },
};
