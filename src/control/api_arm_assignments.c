/* Role assignments as Azure Resource Manager has them, below any scope. They are the documents that
 * /v1/role-assignments makes; denials are not among them, as in Azure. */
#include <stdio.h>
#include <strings.h>

#include "codec/odata.h"
#include "control/arm.h"
#include "control/arm_roles.h"
#include "control/assign.h"
#include "control/reply.h"

#define TYPE "Microsoft.Authorization/roleAssignments"
#define READ_ACTION TYPE "/read"
#define WRITE_ACTION TYPE "/write"
#define DELETE_ACTION TYPE "/delete"

/* ---- what a call is about ---- */

/* The document's id from the path. False: it is too long to be one. */
static bool
path_id(const cpn_call *call, char out[CPN_ID_MAX + 1])
{
    int n = snprintf(out, CPN_ID_MAX + 1, "%s/providers/" TYPE "/%s", cpn_call_param(call, "scope"),
                     cpn_call_param(call, "name"));

    return n <= CPN_ID_MAX;
}

/* The stored document, NULL when there is none or it denies; *id as written. */
static const json_t *
path_document(const cpn_call *call, const char **id)
{
    const cpn_snapshot *s = call->c->snapshot;
    char want[CPN_ID_MAX + 1];
    const json_t *body;

    *id = NULL;
    if (!path_id(call, want))
        return NULL;
    body = cpn_snapshot_document(s, CPN_KIND_ASSIGNMENT, cpn_view_str(want));
    *id = cpn_snapshot_id(s, CPN_KIND_ASSIGNMENT, cpn_view_str(want));
    return body && !cpn_assignment_denies(body) ? body : NULL;
}

/* User, ServicePrincipal or Group. */
static const char *
kind_word(const cpn_snapshot *s, const char *object_id)
{
    return cpn_json_string(cpn_snapshot_document(s, CPN_KIND_PRINCIPAL, cpn_view_str(object_id)),
                           "type");
}

static json_t *
shown(const cpn_call *call, const char *id, const json_t *body)
{
    const cpn_snapshot *s = call->c->snapshot;
    const cpn_role_def *role = cpn_snapshot_role(s, cpn_view_str(cpn_json_string(body, "role")));
    const char *principal = cpn_json_string(body, "principalId");
    cpn_view scope = cpn_assignment_scope(id);
    const char *described = json_string_value(json_object_get(body, "description"));
    char role_id[CPN_ID_MAX + 1];

    cpn_arm_role_id(role, cpn_arm_path_scope(call), role_id);
    return json_pack("{s:s,s:s,s:s,s:{s:s,s:s,s:s,s:s%,s:s?,s:n,s:n,s:O*,s:O*}}", "id", id, "name",
                     cpn_arm_name(id), "type", TYPE, "properties", "roleDefinitionId", role_id,
                     "principalId", principal, "principalType", kind_word(s, principal), "scope",
                     (const char *)scope.p, scope.n, "description", described, "condition",
                     "conditionVersion", "maxUploadBytes", json_object_get(body, "maxUploadBytes"),
                     "maxDownloadBytes", json_object_get(body, "maxDownloadBytes"));
}

/* ---- list ---- */

typedef struct listing {
    cpn_call *call;
    cpn_arm_page page;
    cpn_view scope;
    bool above; /* what is inherited is shown, too: the caller may read at the scope */
    bool below;
    const char *principal;   /* "" for all */
    const char *assigned_to; /* "" for all; also through groups */
} listing;

static bool
matches(const listing *l, const json_t *body)
{
    const cpn_snapshot *s = l->call->c->snapshot;
    const char *principal = cpn_json_string(body, "principalId");

    return !cpn_assignment_denies(body) &&
           (!l->principal[0] || strcasecmp(principal, l->principal) == 0) &&
           (!l->assigned_to[0] ||
            cpn_snapshot_is_member(s, cpn_view_str(principal), cpn_view_str(l->assigned_to)));
}

/* What holds at the scope is shown to who may read there, also when it is inherited; what lies
 * below, to who may read it. */
static bool
visible(const listing *l, const char *id)
{
    cpn_view at = cpn_assignment_scope(id);

    if (cpn_scope_holds(at, l->scope))
        return l->above;
    return l->below && cpn_scope_holds(l->scope, at) &&
           cpn_may(l->call->c->snapshot, cpn_call_who(l->call), READ_ACTION, at);
}

static bool
collect(void *owner, const char *id, const json_t *body)
{
    listing *l = owner;
    cpn_arm_place place;

    if (!matches(l, body) || !visible(l, id))
        return true;
    place = cpn_arm_page_at(&l->page, id);
    if (place == CPN_ARM_HERE)
        cpn_arm_page_put(&l->page, id, shown(l->call, id, body));
    return place != CPN_ARM_FULL;
}

/* False: answered. */
static bool
filter_read(listing *l, cpn_odata *filter)
{
    if (!cpn_arm_filter(l->call, filter))
        return false;
    for (unsigned i = 0; i < filter->n; i++) {
        const cpn_odata_clause *c = &filter->clause[i];

        if (c->op == CPN_ODATA_CALL && cpn_view_is_nocase(c->name, "atScope")) {
            l->below = false;
        } else if (c->op == CPN_ODATA_OF && cpn_view_is_nocase(c->name, "assignedTo")) {
            l->assigned_to = c->text;
        } else if (c->op == CPN_ODATA_EQ && cpn_view_is_nocase(c->name, "principalId")) {
            l->principal = c->text;
        } else {
            cpn_arm_error(
                l->call, 400, "InvalidFilter",
                "expected atScope(), assignedTo('ID') and principalId eq 'ID' in $filter");
            return false;
        }
    }
    return true;
}

static void
assignments_list(cpn_call *call)
{
    const cpn_snapshot *s = call->c->snapshot;
    listing l = { .call = call, .below = true, .principal = "", .assigned_to = "" };
    cpn_odata filter;

    l.scope = cpn_view_str(cpn_arm_path_scope(call));
    l.above = cpn_may(s, cpn_call_who(call), READ_ACTION, l.scope);
    if (!filter_read(&l, &filter) || !cpn_arm_page_begin(&l.page, call))
        return;
    cpn_snapshot_each(s, CPN_KIND_ASSIGNMENT, NULL, collect, &l);
    cpn_arm_page_end(&l.page);
}

/* ---- one ---- */

static void
assignment_show(cpn_call *call)
{
    const char *id;
    const json_t *body = path_document(call, &id);

    if (body)
        cpn_reply_json(call, 200, shown(call, id, body));
    else
        cpn_arm_error(call, 404, "RoleAssignmentNotFound", "The role assignment '%s' is not found.",
                      cpn_call_param(call, "name"));
}

/* ---- PUT ---- */

static void
assigned(CPN_TAKES cpn_call *call, const cpn_assigned *outcome)
{
    const char *id;

    if (outcome->rc == CPN_OK)
        cpn_reply_json(call, 201, shown(call, outcome->id, outcome->body));
    else if (outcome->rc == CPN_EXISTS && path_document(call, &id))
        cpn_arm_error(call, 409, "RoleAssignmentUpdateNotPermitted",
                      "Role, principal and scope of a role assignment cannot be changed: delete it "
                      "and create another.");
    else if (outcome->rc == CPN_EXISTS)
        cpn_arm_error(call, 409, "RoleAssignmentExists", "The role assignment already exists.");
    else if (outcome->rc == CPN_INVALID)
        cpn_arm_error(call, 400, "InvalidRequestContent", "%s", outcome->said ? outcome->said : "");
    else
        cpn_reply_rc(call, outcome->rc, outcome->said, outcome->err);
}

/* Who shall have it. False: answered. */
static bool
principal_read(cpn_call *call, const json_t *properties, cpn_assignment *want)
{
    const char *object_id = cpn_json_string(properties, "principalId");
    const char *kind = cpn_json_string(properties, "principalType");
    const cpn_principal *p = cpn_snapshot_principal(call->c->snapshot, cpn_view_str(object_id));

    if (!p) {
        cpn_arm_error(call, 400, "PrincipalNotFound",
                      "Principal %.64s does not exist in the directory.", object_id);
        return false;
    }
    if (kind[0] && strcasecmp(kind, kind_word(call->c->snapshot, object_id)) != 0) {
        cpn_arm_error(call, 400, "UnmatchedPrincipalType",
                      "The PrincipalId '%s' has type '%s', which is different from the specified "
                      "PrincipalType '%.32s'.",
                      p->object_id, kind_word(call->c->snapshot, object_id), kind);
        return false;
    }
    snprintf(want->principal, sizeof(want->principal), "%s", p->object_id);
    return true;
}

/* What they shall have. False: answered. */
static bool
role_read(cpn_call *call, const json_t *properties, cpn_assignment *want)
{
    want->role = cpn_json_string(properties, "roleDefinitionId");
    if (want->role[0] != '/') {
        cpn_arm_error(call, 400, "InvalidRoleDefinitionId",
                      "The role definition ID '%.200s' is not valid.", want->role);
        return false;
    }
    if (!cpn_snapshot_role(call->c->snapshot, cpn_view_str(want->role))) {
        cpn_arm_error(call, 404, "RoleDefinitionDoesNotExist",
                      "The specified role definition with ID '%.200s' does not exist.",
                      cpn_arm_name(want->role));
        return false;
    }
    /* To leave a condition out would give more than was asked for. */
    if (json_object_get(properties, "condition") &&
        !json_is_null(json_object_get(properties, "condition"))) {
        cpn_arm_error(call, 400, "InvalidRoleAssignmentCondition",
                      "Conditions are not supported here; nothing was assigned.");
        return false;
    }
    return true;
}

static void
assignment_put(cpn_call *call)
{
    const json_t *properties = json_object_get(call->json, "properties");
    const char *name = cpn_call_param(call, "name");
    cpn_assignment want = { .scope = cpn_arm_path_scope(call),
                            .description = cpn_json_string(properties, "description"),
                            .max_upload = json_object_get(properties, "maxUploadBytes"),
                            .max_download = json_object_get(properties, "maxDownloadBytes") };
    cpn_uuid guid;

    if (!cpn_uuid_parse(&guid, cpn_view_str(name)) || !path_id(call, want.id))
        cpn_arm_error(
            call, 400, "InvalidRoleAssignmentId",
            "The role assignment ID '%.100s' is not valid. The role assignment ID must be "
            "a GUID.",
            name);
    else if (strcmp(want.scope, "/") != 0 &&
             !cpn_snapshot_is_scope(call->c->snapshot, cpn_view_str(want.scope)))
        cpn_arm_not_found(call);
    else if (principal_read(call, properties, &want) && role_read(call, properties, &want))
        cpn_assign(call, &want, assigned);
}

/* ---- DELETE ---- */

static void
removed(CPN_TAKES cpn_call *call, const cpn_assigned *outcome)
{
    if (outcome->rc == CPN_OK)
        cpn_reply_json(call, 200, shown(call, outcome->id, outcome->body));
    else if (outcome->rc == CPN_NOT_FOUND)
        cpn_reply_json(call, 204, NULL); /* another was first */
    else
        cpn_reply_rc(call, outcome->rc, outcome->said, outcome->err);
}

static void
assignment_delete(cpn_call *call)
{
    const char *id;

    if (path_document(call, &id))
        cpn_unassign(call, id, 200, removed);
    else if (id)
        cpn_arm_error(call, 409, "DenyAssignment",
                      "This id is that of a denial, which is not removed here.");
    else
        cpn_reply_json(call, 204, NULL);
}

#define BELOW "/{+scope}/providers/" TYPE
#define ROOT "/providers/" TYPE

const cpn_route cpn_routes_arm_assignments[] = {
    { "GET", BELOW, CPN_SCOPE_EACH, READ_ACTION, CPN_BODY_NONE, 0, NULL, CPN_ERRORS_ARM,
      assignments_list },
    { "GET", ROOT, CPN_SCOPE_EACH, READ_ACTION, CPN_BODY_NONE, 0, NULL, CPN_ERRORS_ARM,
      assignments_list },
    { "GET", BELOW "/{name}", CPN_SCOPE_PATH, READ_ACTION, CPN_BODY_NONE, 0, NULL, CPN_ERRORS_ARM,
      assignment_show },
    { "GET", ROOT "/{name}", CPN_SCOPE_ROOT, READ_ACTION, CPN_BODY_NONE, 0, NULL, CPN_ERRORS_ARM,
      assignment_show },
    { "PUT", BELOW "/{name}", CPN_SCOPE_PATH, WRITE_ACTION, CPN_BODY_JSON, CPN_BODY_USUAL,
      "role.assign", CPN_ERRORS_ARM, assignment_put },
    { "PUT", ROOT "/{name}", CPN_SCOPE_ROOT, WRITE_ACTION, CPN_BODY_JSON, CPN_BODY_USUAL,
      "role.assign", CPN_ERRORS_ARM, assignment_put },
    { "DELETE", BELOW "/{name}", CPN_SCOPE_PATH, DELETE_ACTION, CPN_BODY_NONE, 0, "role.remove",
      CPN_ERRORS_ARM, assignment_delete },
    { "DELETE", ROOT "/{name}", CPN_SCOPE_ROOT, DELETE_ACTION, CPN_BODY_NONE, 0, "role.remove",
      CPN_ERRORS_ARM, assignment_delete },
    { 0 },
};
