/* GET /v1/audit and POST /v1/audit/verify: the record, and whether it is whole. */
#include <stdio.h>

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

/* True: absent (out stays) or a number. */
static bool
number_read(const cpn_call *call, const char *name, uint64_t max, uint64_t *out)
{
    cpn_view given = cpn_form_get(&call->query, name);

    return !given.p || cpn_view_u64(given, max, out);
}

static void
audit_read(void *owner, cpn_rc rc, cpn_view body, const cpn_err *err)
{
    cpn_call *call = owner;
    json_t *records = NULL;
    uint64_t from = 0;
    cpn_err bad = { 0 };

    call->c->audit.reads--;
    if (rc == CPN_OK)
        rc = cpn_json_load(&records, body, 64u << 20, CPN_JSON_DEPTH_MAX, &bad);
    if (rc != CPN_OK) {
        cpn_reply_rc(call, rc, NULL, err ? err : &bad);
        return;
    }
    (void)number_read(call, "after", INT64_MAX, &from);
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

/* What records shall have, for the store; "": all. False: not a name that could be one. */
static bool
filter_read(const cpn_call *call, char *out, size_t size)
{
    cpn_view given = cpn_form_get(&call->query, "user");
    char user[321];

    out[0] = '\0';
    if (!given.p)
        return true;
    if (!cpn_view_copy(given, user, sizeof(user)) || strpbrk(user, "&="))
        return false;
    snprintf(out, size, "userEmail=%s", user);
    return true;
}

static void
audit_list(cpn_call *call)
{
    uint64_t after = 0, limit = PAGE_DEFAULT;
    char filter[512];

    if (!number_read(call, "after", INT64_MAX, &after) ||
        !number_read(call, "limit", PAGE_MAX, &limit) || limit == 0)
        cpn_reply_rc(call, CPN_INVALID, "after: a record's number; limit: 1 to 1000", NULL);
    else if (!filter_read(call, filter, sizeof(filter)))
        cpn_reply_rc(call, CPN_INVALID, "user: not a sign-in name", NULL);
    else
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
