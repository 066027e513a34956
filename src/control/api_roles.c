/* POST and DELETE /v1/role-assignments: who may what, where. */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "control/accounts.h"
#include "control/named.h"
#include "control/publish.h"
#include "control/reply.h"
#include "control/trail.h"

#define WRITE_ACTION "Microsoft.Authorization/roleAssignments/write"
#define DELETE_ACTION "Microsoft.Authorization/roleAssignments/delete"

typedef struct assigning {
    cpn_change change;
    cpn_call *call;
    char id[CPN_ID_MAX + 1];
    char principal[40];
    const char *role, *scope, *effect; /* borrowed from the call's body */
} assigning;

static void
assigning_free(assigning *a)
{
    free(a);
}

static assigning *
assigning_new(cpn_call *call, cpn_rc (*build)(void *, cpn_change *, cpn_err *),
              void (*done)(void *, cpn_rc, const json_t *, const cpn_err *))
{
    assigning *a = cpn_xcalloc(1, sizeof(*a));

    a->call = call;
    a->change =
        (cpn_change){ .build = build, .done = done, .owner = a, .asked_ms = call->began_ms };
    return a;
}

static void
assigning_ask(assigning *a)
{
    cpn_rc rc = cpn_publish_ask(a->call->c, &a->change);

    if (rc == CPN_OK)
        return;
    cpn_reply_rc(a->call, rc, NULL, NULL);
    assigning_free(a);
}

static bool
assigning_failed(assigning *a, cpn_rc rc, const json_t *problems, const cpn_err *err)
{
    const char *said = json_string_value(json_array_get(problems, 0));

    if (rc == CPN_OK)
        return false;
    a->call->audited = false;
    cpn_reply_rc(a->call, rc, said ? said : err ? err->msg : NULL, err);
    assigning_free(a);
    return true;
}

/* ---- POST ---- */

typedef struct same {
    const assigning *a;
    bool found;
} same;

static bool
look_same(void *owner, const char *id, const json_t *body)
{
    same *s = owner;
    const char *effect = cpn_json_string(body, "effect");
    const char *tail = strcasestr(id, "/providers/Microsoft.Authorization/roleAssignments/");
    size_t n = tail ? (size_t)(tail - id) : 0;
    const char *scope = strcmp(s->a->scope, "/") == 0 ? "" : s->a->scope;

    s->found = strcasecmp(cpn_json_string(body, "principalId"), s->a->principal) == 0 &&
               strcasecmp(cpn_json_string(body, "role"), s->a->role) == 0 &&
               strcasecmp(effect[0] ? effect : "Allow", s->a->effect) == 0 && n == strlen(scope) &&
               strncasecmp(id, scope, n) == 0;
    return !s->found;
}

static cpn_rc
assign_build(void *owner, cpn_change *change, cpn_err *err)
{
    assigning *a = owner;
    same s = { .a = a };
    json_t *body;
    cpn_rc rc;

    cpn_snapshot_each(change->base, CPN_KIND_ASSIGNMENT, NULL, look_same, &s);
    if (s.found)
        return cpn_fail(err, CPN_EXISTS, "this assignment exists already");
    body = json_pack("{s:s,s:s,s:s}", "principalId", a->principal, "role", a->role, "effect",
                     a->effect);
    rc = cpn_change_put(change, CPN_KIND_ASSIGNMENT, a->id, body, err);
    json_decref(body);
    if (rc != CPN_OK)
        return rc;
    cpn_call_note(a->call, "target", a->principal);
    cpn_call_note(a->call, "role", a->role);
    cpn_call_note(a->call, "scope", a->scope);
    cpn_trail_call_in(change->batch, a->call, 201);
    return CPN_OK;
}

static void
assign_done(void *owner, cpn_rc rc, const json_t *problems, const cpn_err *err)
{
    assigning *a = owner;
    const json_t *body;

    if (assigning_failed(a, rc, problems, err))
        return;
    body = cpn_snapshot_document(a->call->c->snapshot, CPN_KIND_ASSIGNMENT, cpn_view_str(a->id));
    cpn_reply_json(
        a->call, 201,
        json_pack("{s:s,s:s,s:O}", "kind", CPN_KIND_ASSIGNMENT, "id", a->id, "body", body));
    assigning_free(a);
}

static void
role_assign(cpn_call *call)
{
    static const char *const names[] = { "principal", "role", "scope", "effect", NULL };
    const char *principal = "", *role = "", *scope = "", *effect = "Allow";
    const cpn_principal *who;
    cpn_err err = { 0 };
    assigning *a;
    cpn_rc rc;

    if (cpn_json_only(call->json, "", names, &err) != CPN_OK ||
        cpn_json_get_str(call->json, "", "principal", 320, &principal, &err) != CPN_OK ||
        cpn_json_get_str(call->json, "", "role", CPN_ID_MAX, &role, &err) != CPN_OK ||
        cpn_json_get_str(call->json, "", "scope", CPN_ID_MAX - 128, &scope, &err) != CPN_OK ||
        cpn_json_opt_str(call->json, "", "effect", 8, &effect, &err) != CPN_OK) {
        cpn_reply_rc(call, CPN_INVALID, err.msg, NULL);
        return;
    }
    if ((rc = cpn_named_principal(call->c->snapshot, principal, &who)) != CPN_OK) {
        cpn_reply_rc(call, CPN_NOT_FOUND,
                     rc == CPN_EXISTS ? "several principals have this name; give the id"
                                      : "there is no such user, service principal or group",
                     NULL);
        return;
    }
    a = assigning_new(call, assign_build, assign_done);
    snprintf(a->principal, sizeof(a->principal), "%s", who->object_id);
    a->role = role;
    a->scope = scope;
    a->effect = effect;
    cpn_account_assignment_id(scope, a->id);
    assigning_ask(a);
}

/* ---- DELETE ---- */

static cpn_rc
remove_build(void *owner, cpn_change *change, cpn_err *err)
{
    assigning *a = owner;
    cpn_rc rc = cpn_change_delete(change, CPN_KIND_ASSIGNMENT, a->id);

    if (rc != CPN_OK)
        return cpn_fail(err, rc, "there is no such assignment");
    cpn_call_note(a->call, "target", a->id);
    cpn_trail_call_in(change->batch, a->call, 204);
    return CPN_OK;
}

static void
remove_done(void *owner, cpn_rc rc, const json_t *problems, const cpn_err *err)
{
    assigning *a = owner;

    if (assigning_failed(a, rc, problems, err))
        return;
    cpn_reply_json(a->call, 204, NULL);
    assigning_free(a);
}

static void
role_remove(cpn_call *call)
{
    assigning *a = assigning_new(call, remove_build, remove_done);

    if (!cpn_call_query(call, "id", a->id, sizeof(a->id))) {
        assigning_free(a);
        cpn_reply_rc(call, CPN_INVALID, "expected id", NULL);
        return;
    }
    assigning_ask(a);
}

const cpn_route cpn_routes_roles[] = {
    { "POST", "/v1/role-assignments", CPN_SCOPE_BODY, WRITE_ACTION, CPN_BODY_JSON, CPN_BODY_USUAL,
      "role.assign", CPN_ERRORS_API, role_assign },
    { "DELETE", "/v1/role-assignments", CPN_SCOPE_ASSIGNMENT, DELETE_ACTION, CPN_BODY_NONE, 0,
      "role.remove", CPN_ERRORS_API, role_remove },
    { 0 },
};
