/* POST and DELETE /v1/role-assignments: who may what, where. */
#include <stdio.h>

#include "control/accounts.h"
#include "control/assign.h"
#include "control/named.h"
#include "control/reply.h"

#define WRITE_ACTION "Microsoft.Authorization/roleAssignments/write"
#define DELETE_ACTION "Microsoft.Authorization/roleAssignments/delete"

static void
assigned(CPN_TAKES cpn_call *call, const cpn_assigned *outcome)
{
    if (outcome->rc != CPN_OK)
        cpn_reply_rc(call, outcome->rc, outcome->said, outcome->err);
    else
        cpn_reply_json(call, 201,
                       json_pack("{s:s,s:s,s:O}", "kind", CPN_KIND_ASSIGNMENT, "id", outcome->id,
                                 "body", outcome->body));
}

static cpn_rc
read_wish(const cpn_call *call, const char **principal, cpn_assignment *want, cpn_err *err)
{
    static const char *const names[] = { "principal", "role",           "scope",
                                         "effect",    "maxUploadBytes", "maxDownloadBytes",
                                         NULL };
    const char *effect = "Allow";
    cpn_rc rc;

    if ((rc = cpn_json_only(call->json, "", names, err)) != CPN_OK ||
        (rc = cpn_json_get_str(call->json, "", "principal", 320, principal, err)) != CPN_OK ||
        (rc = cpn_json_get_str(call->json, "", "role", CPN_ID_MAX, &want->role, err)) != CPN_OK ||
        (rc = cpn_json_get_str(call->json, "", "scope", CPN_ID_MAX - 128, &want->scope, err)) !=
            CPN_OK ||
        (rc = cpn_json_opt_str(call->json, "", "effect", 8, &effect, err)) != CPN_OK)
        return rc;
    want->max_upload = json_object_get(call->json, "maxUploadBytes");
    want->max_download = json_object_get(call->json, "maxDownloadBytes");
    want->deny = strcmp(effect, "Deny") == 0;
    if (!want->deny && strcmp(effect, "Allow") != 0)
        return cpn_fail(err, CPN_INVALID, "effect: expected Allow or Deny");
    return CPN_OK;
}

static void
role_assign(cpn_call *call)
{
    cpn_assignment want = { .description = "" };
    const cpn_principal *who;
    const char *principal;
    cpn_err err = { 0 };
    cpn_rc rc;

    if (read_wish(call, &principal, &want, &err) != CPN_OK) {
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
    snprintf(want.principal, sizeof(want.principal), "%s", who->object_id);
    cpn_account_assignment_id(want.scope, want.id);
    cpn_assign(call, &want, assigned);
}

static void
removed(CPN_TAKES cpn_call *call, const cpn_assigned *outcome)
{
    if (outcome->rc != CPN_OK)
        cpn_reply_rc(call, outcome->rc, outcome->said, outcome->err);
    else
        cpn_reply_json(call, 204, NULL);
}

static void
role_remove(cpn_call *call)
{
    char id[CPN_ID_MAX + 1];

    if (cpn_call_query(call, "id", id, sizeof(id)))
        cpn_unassign(call, id, 204, removed);
    else
        cpn_reply_rc(call, CPN_INVALID, "expected id", NULL);
}

const cpn_route cpn_routes_roles[] = {
    { "POST", "/v1/role-assignments", CPN_SCOPE_BODY, WRITE_ACTION, CPN_BODY_JSON, CPN_BODY_USUAL,
      "role.assign", CPN_ERRORS_API, role_assign },
    { "DELETE", "/v1/role-assignments", CPN_SCOPE_ASSIGNMENT, DELETE_ACTION, CPN_BODY_NONE, 0,
      "role.remove", CPN_ERRORS_API, role_remove },
    { 0 },
};
