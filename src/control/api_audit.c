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

static void
audit_list(cpn_call *call)
{
    char text[24], user[321], filter[512];
    uint64_t after = 0, limit = PAGE_DEFAULT;
    bool ok = true;
    cpn_rc rc;

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
    rc = cpn_store_audit_read(call->c->store, after, (unsigned)limit, filter[0] ? filter : NULL,
                              audit_read, call);
    if (rc != CPN_OK)
        cpn_reply_rc(call, rc, NULL, NULL);
}

static void
audit_verified(void *owner, cpn_rc rc, cpn_view body, const cpn_err *err)
{
    cpn_call *call = owner;
    json_t *verdict = NULL;
    cpn_err bad = { 0 };

    if (rc == CPN_OK)
        rc = cpn_json_load(&verdict, body, 65536, 4, &bad);
    if (rc != CPN_OK) {
        cpn_reply_rc(call, rc, NULL, err ? err : &bad);
        return;
    }
    call->only_read = true;
    cpn_call_note(call, "message",
                  json_is_true(json_object_get(verdict, "ok")) ? "whole" : "broken");
    cpn_reply_json(call, 200, verdict);
}

static void
audit_verify(cpn_call *call)
{
    cpn_rc rc = cpn_store_audit_verify(call->c->store, audit_verified, call);

    if (rc != CPN_OK)
        cpn_reply_rc(call, rc, NULL, NULL);
}

const cpn_route cpn_routes_audit[] = {
    { "GET", "/v1/audit", CPN_SCOPE_ROOT, "Microsoft.Insights/eventtypes/values/read",
      CPN_BODY_NONE, 0, NULL, CPN_ERRORS_API, audit_list },
    { "POST", "/v1/audit/verify", CPN_SCOPE_ROOT, "Microsoft.Insights/eventtypes/values/read",
      CPN_BODY_JSON, CPN_BODY_USUAL, "audit.verified", CPN_ERRORS_API, audit_verify },
    { 0 },
};
