/* Changes role assignments, and records who did. */
#include "control/assign.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "control/publish.h"
#include "control/reply.h"
#include "control/trail.h"

#define INFIX "/providers/Microsoft.Authorization/roleAssignments/"

typedef struct assigning {
    cpn_change change;
    cpn_call *call;
    cpn_assignment want;
    json_t *taken; /* away */
    int status;
    cpn_assigned_fn *done;
} assigning;

cpn_view
cpn_assignment_scope(const char *id)
{
    const char *at = strcasestr(id, INFIX);

    if (!at || at == id)
        return CPN_VIEW_LIT("/");
    return (cpn_view){ (const uint8_t *)id, (size_t)(at - id) };
}

bool
cpn_assignment_denies(const json_t *body)
{
    return strcmp(cpn_json_string(body, "effect"), "Deny") == 0;
}

/* ---- both ways ---- */

static void
assigning_end(assigning *a, const cpn_assigned *outcome)
{
    a->done(a->call, outcome);
    json_decref(a->taken);
    free(a);
}

static void
assigning_done(void *owner, cpn_rc rc, const json_t *problems, const cpn_err *err)
{
    assigning *a = owner;
    const cpn_snapshot *s = a->call->c->snapshot;
    const char *said = json_string_value(json_array_get(problems, 0));
    const char *id = cpn_snapshot_id(s, CPN_KIND_ASSIGNMENT, cpn_view_str(a->want.id));
    cpn_assigned outcome = { .rc = rc, .id = id ? id : a->want.id, .err = err };

    if (rc != CPN_OK)
        outcome.said = said ? said : err ? err->msg : NULL;
    else
        outcome.body =
            a->taken ? a->taken
                     : cpn_snapshot_document(s, CPN_KIND_ASSIGNMENT, cpn_view_str(a->want.id));
    assigning_end(a, &outcome);
}

static void
assigning_ask(cpn_call *call, const cpn_assignment *want, int status, cpn_assigned_fn *done,
              cpn_rc (*build)(void *, cpn_change *, cpn_err *))
{
    assigning *a = cpn_xcalloc(1, sizeof(*a));
    cpn_rc rc;

    a->call = call;
    a->want = *want;
    a->status = status;
    a->done = done;
    a->change = (cpn_change){ .build = build, .done = assigning_done, .owner = a, .call = call };
    if ((rc = cpn_publish_ask(call->c, &a->change)) != CPN_OK)
        assigning_end(a, &(cpn_assigned){ .rc = rc, .id = a->want.id });
}

/* ---- give ---- */

typedef struct same {
    const cpn_snapshot *s;
    const cpn_assignment *want;
    const cpn_role_def *role;
    const char *found; /* its id */
} same;

static bool
look_same(void *owner, const char *id, const json_t *body)
{
    same *s = owner;
    const char *role = cpn_json_string(body, "role");

    if (strcasecmp(cpn_json_string(body, "principalId"), s->want->principal) == 0 &&
        cpn_assignment_denies(body) == s->want->deny &&
        cpn_view_is_nocase(cpn_assignment_scope(id), s->want->scope) &&
        cpn_snapshot_role(s->s, cpn_view_str(role)) == s->role)
        s->found = id;
    return !s->found;
}

static void
limit_put(json_t *body, const char *key, const json_t *limit)
{
    if (json_is_null(limit))
        json_object_del(body, key);
    else if (limit)
        json_object_set(body, key, (json_t *)limit);
}

/* The document as it shall be: what stands at this id keeps its window. CPN_EXISTS. */
static cpn_rc
give_body(const cpn_change *change, const cpn_assignment *want, json_t **out, cpn_err *err)
{
    same s = { change->base, want, cpn_snapshot_role(change->base, cpn_view_str(want->role)),
               NULL };
    const json_t *now =
        cpn_snapshot_document(change->base, CPN_KIND_ASSIGNMENT, cpn_view_str(want->id));

    if (s.role)
        cpn_snapshot_each(change->base, CPN_KIND_ASSIGNMENT, NULL, look_same, &s);
    if (s.found && strcasecmp(s.found, want->id) != 0)
        return cpn_fail(err, CPN_EXISTS, "this assignment exists already");
    if (now && !s.found)
        return cpn_fail(err, CPN_EXISTS, "this id is that of an assignment of other rights");
    *out = now ? json_deep_copy(now)
               : json_pack("{s:s,s:s,s:s}", "principalId", want->principal, "role",
                           s.role ? s.role->name : want->role, "effect",
                           want->deny ? "Deny" : "Allow");
    if (want->description[0])
        json_object_set_new(*out, "description", json_string(want->description));
    limit_put(*out, "maxUploadBytes", want->max_upload);
    limit_put(*out, "maxDownloadBytes", want->max_download);
    return CPN_OK;
}

static cpn_rc
give_build(void *owner, cpn_change *change, cpn_err *err)
{
    assigning *a = owner;
    CPN_AUTO(cpn_json_auto) json_t *body = NULL;
    cpn_rc rc;

    if ((rc = give_body(change, &a->want, &body, err)) != CPN_OK ||
        (rc = cpn_change_put(change, CPN_KIND_ASSIGNMENT, a->want.id, body, err)) != CPN_OK)
        return rc;
    cpn_call_note(a->call, "target", a->want.principal);
    cpn_call_note(a->call, "role", cpn_json_string(body, "role"));
    cpn_call_note(a->call, "scope", a->want.scope);
    cpn_trail_call_in(change->batch, a->call, a->status);
    return CPN_OK;
}

void
cpn_assign(CPN_TAKES cpn_call *call, const cpn_assignment *want, cpn_assigned_fn *done)
{
    assigning_ask(call, want, 201, done, give_build);
}

/* ---- take ---- */

static cpn_rc
take_build(void *owner, cpn_change *change, cpn_err *err)
{
    assigning *a = owner;
    const json_t *now =
        cpn_snapshot_document(change->base, CPN_KIND_ASSIGNMENT, cpn_view_str(a->want.id));

    if (!now || cpn_change_delete(change, CPN_KIND_ASSIGNMENT, a->want.id) != CPN_OK)
        return cpn_fail(err, CPN_NOT_FOUND, "there is no such assignment");
    a->taken = json_deep_copy(now);
    cpn_call_note(a->call, "target", a->want.id);
    cpn_trail_call_in(change->batch, a->call, a->status);
    return CPN_OK;
}

void
cpn_unassign(CPN_TAKES cpn_call *call, const char *id, int status, cpn_assigned_fn *done)
{
    cpn_assignment want = { 0 };

    snprintf(want.id, sizeof(want.id), "%s", id);
    assigning_ask(call, &want, status, done, take_build);
}

/* ---- take with the resource ---- */

typedef struct leaving {
    cpn_change *change;
    const cpn_call *call;
    int status;
    cpn_rc rc;
} leaving;

static bool
leave(void *owner, const char *id, const json_t *body)
{
    leaving *l = owner;

    if (cpn_assignment_denies(body) ||
        !cpn_view_is_nocase(cpn_assignment_scope(id), l->call->params.scope))
        return true;
    l->rc = cpn_change_delete(l->change, CPN_KIND_ASSIGNMENT, id);
    if (l->rc == CPN_OK)
        cpn_trail_call_along(l->change->batch, l->call, "role.remove", l->status, id);
    return l->rc == CPN_OK;
}

cpn_rc
cpn_unassign_along(cpn_change *change, const cpn_call *call, int status)
{
    leaving l = { .change = change, .call = call, .status = status, .rc = CPN_OK };

    cpn_snapshot_each(change->base, CPN_KIND_ASSIGNMENT, NULL, leave, &l);
    return l.rc;
}
