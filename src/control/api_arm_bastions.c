/* Bastions as Azure's clients read, make, change and delete them. */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "control/arm_bastion.h"
#include "control/arm_ops.h"
#include "control/assign.h"
#include "control/publish.h"
#include "control/reply.h"
#include "control/trail.h"

#define BASTIONS "/providers/Microsoft.Network/bastionHosts"
#define READ "Microsoft.Network/bastionHosts/read"
#define WRITE "Microsoft.Network/bastionHosts/write"
#define DELETE "Microsoft.Network/bastionHosts/delete"
#define JOIN "Microsoft.Network/virtualNetworks/subnets/join/action"

static void
bastion_get(cpn_call *call)
{
    cpn_arm_get(call, &cpn_arm_bastion);
}

static void
bastion_list(cpn_call *call)
{
    cpn_arm_list(call, &cpn_arm_bastion);
}

/* ---- one change ---- */

typedef struct writing {
    cpn_change change;
    cpn_call *call;
    char id[CPN_ID_MAX + 1];
    char operation[CPN_UUID_TEXT];
    int status;          /* of the answer */
    cpn_arm_wrong wrong; /* why the change was not built */
} writing;

static void
writing_ask(cpn_call *call, cpn_rc (*build)(void *, cpn_change *, cpn_err *),
            void (*done)(void *, cpn_rc, const json_t *, const cpn_err *))
{
    writing *w = cpn_xcalloc(1, sizeof(*w));
    cpn_rc rc;

    w->call = call;
    w->change = (cpn_change){ .build = build, .done = done, .owner = w, .call = call };
    cpn_call_note(call, "target", call->params.scope);
    if ((rc = cpn_publish_ask(call->c, &w->change)) == CPN_OK)
        return;
    cpn_arm_failed(call, rc, NULL, NULL);
    free(w);
}

/* True: it failed, and is answered. */
static bool
writing_failed(writing *w, cpn_rc rc, const json_t *problems, const cpn_err *err)
{
    if (rc == CPN_OK)
        return false;
    if (rc == CPN_INVALID && w->wrong.code)
        cpn_arm_error(w->call, w->wrong.status, w->wrong.code, "%s", w->wrong.sentence);
    else
        cpn_arm_failed(w->call, rc, problems, err);
    free(w);
    return true;
}

/* The bastion of the path on the newest snapshot, if If-Match and the like allow the change. */
static bool
now_read(writing *w, const json_t **now)
{
    const cpn_snapshot *s = w->change.base;
    cpn_view asked = cpn_view_str(w->call->params.scope);
    const char *stored = cpn_snapshot_id(s, CPN_KIND_BASTION, asked);

    *now = cpn_snapshot_document(s, CPN_KIND_BASTION, asked);
    if (stored)
        snprintf(w->id, sizeof(w->id), "%s", stored);
    if (cpn_arm_precondition(w->call, *now))
        return true;
    return cpn_arm_wrong_set(&w->wrong, 412, "PreconditionFailed",
                             "The resource is not the one that If-Match or If-None-Match asks for: "
                             "it was changed, made or deleted meanwhile.");
}

/* ---- PUT ---- */

/* The id of a new bastion, with its group's as written. */
static bool
id_new(writing *w)
{
    char group[CPN_ID_MAX + 1];
    const char *stored = NULL, *name = cpn_call_param(w->call, "name");
    cpn_resource_id parsed;
    cpn_err err = { 0 };

    if (cpn_arm_group_of(w->call->params.scope, group))
        stored = cpn_snapshot_id(w->change.base, CPN_KIND_GROUP, cpn_view_str(group));
    if (!stored)
        return cpn_arm_wrong_set(&w->wrong, 404, "ResourceGroupNotFound",
                                 "Resource group '%s' could not be found.",
                                 cpn_call_param(w->call, "group"));
    if ((size_t)snprintf(w->id, sizeof(w->id), "%s" BASTIONS "/%s", stored, name) < sizeof(w->id) &&
        cpn_resource_id_parse(&parsed, cpn_view_str(w->id), &err) == CPN_OK)
        return true;
    return cpn_arm_wrong_set(&w->wrong, 400, "InvalidResourceName",
                             "Resource name '%.200s' is invalid. A name has up to 80 letters, "
                             "digits and any of . _ ( ) -.",
                             name);
}

static bool
location_stays(writing *w, const json_t *now, const json_t *body)
{
    const char *old = cpn_arm_location_written(w->change.base, w->id, now);
    const char *new = cpn_json_string(body, "location");

    return cpn_arm_location_same(old, new) ||
           cpn_arm_wrong_set(&w->wrong, 409, "InvalidResourceLocation",
                             "The resource '%s' already exists in location '%s'. A resource with "
                             "the same name cannot be created in location '%s'.",
                             cpn_arm_name(w->id), old, new);
}

/* Whoever may write a bastion may not thereby reach into any network. */
static bool
subnet_joins(writing *w, const char *subnet, const json_t *body)
{
    const cpn_snapshot *s = w->change.base;
    const cpn_principal *who = cpn_call_who(w->call);

    if (!cpn_may(s, who, JOIN, cpn_view_str(subnet)))
        return cpn_arm_wrong_set(
            &w->wrong, 403, "LinkedAuthorizationFailed",
            "The client has permission to perform action '" WRITE
            "' on scope '%.200s', however the linked access check failed: it does not have "
            "permission to perform action '" JOIN "' on the linked scope '%.200s'.",
            w->id, subnet);
    if (!cpn_snapshot_network(s, cpn_view_str(cpn_json_string(body, "virtualNetwork"))))
        return cpn_arm_wrong_set(&w->wrong, 400, "InvalidResourceReference",
                                 "Resource %.400s referenced by resource %s was not found.", subnet,
                                 cpn_arm_name(w->id));
    return true;
}

static bool
put_read(writing *w, const json_t *now, json_t **body)
{
    char subnet[CPN_ID_MAX + 1];

    return cpn_arm_bastion_read(body, subnet, w->call->json, now, &w->wrong) &&
           (!now || location_stays(w, now, *body)) && subnet_joins(w, subnet, *body);
}

static cpn_rc
put_build(void *owner, cpn_change *change, cpn_err *err)
{
    CPN_AUTO(cpn_json_auto) json_t *body = NULL;
    writing *w = owner;
    const json_t *now;
    cpn_rc rc;

    if (!now_read(w, &now) || (!now && !id_new(w)) || !put_read(w, now, &body))
        return CPN_INVALID;
    w->status = now ? 200 : 201;
    if ((rc = cpn_change_put(change, CPN_KIND_BASTION, w->id, body, err)) != CPN_OK)
        return rc;
    cpn_trail_call_in(change->batch, w->call, w->status);
    cpn_arm_op_put(change->batch, w->call, w->operation);
    return CPN_OK;
}

/* The answer with the resource as it is now. */
static void
answer_shown(writing *w)
{
    const cpn_snapshot *s = w->call->c->snapshot;
    cpn_view id = cpn_view_str(w->id);
    const json_t *body = cpn_snapshot_document(s, CPN_KIND_BASTION, id);
    char etag[CPN_ARM_ETAG_SIZE];

    cpn_arm_etag(body, etag);
    cpn_call_header(w->call, "ETag", etag);
    cpn_arm_op_tell(w->call, cpn_arm_location_written(s, w->id, body), CPN_ARM_OP_STATE,
                    w->operation);
    cpn_reply_json(w->call, w->status, cpn_arm_bastion.shape(w->call->c, w->id, body));
}

static void
put_done(void *owner, cpn_rc rc, const json_t *problems, const cpn_err *err)
{
    writing *w = owner;

    if (writing_failed(w, rc, problems, err))
        return;
    answer_shown(w);
    free(w);
}

/* Azure's clients send null for what they do not set. */
static void
nulls_drop(json_t *j)
{
    const char *key;
    json_t *value;
    void *next;
    size_t i;

    json_array_foreach(j, i, value) nulls_drop(value);
    json_object_foreach_safe(j, next, key, value)
    {
        if (json_is_null(value))
            json_object_del(j, key);
        else
            nulls_drop(value);
    }
}

static void
bastion_put(cpn_call *call)
{
    nulls_drop(call->json);
    writing_ask(call, put_build, put_done);
}

/* ---- PATCH ---- */

static cpn_rc
patch_build(void *owner, cpn_change *change, cpn_err *err)
{
    CPN_AUTO(cpn_json_auto) json_t *body = NULL;
    writing *w = owner;
    const json_t *now;
    cpn_rc rc;

    if (!now_read(w, &now))
        return CPN_INVALID;
    if (!now)
        return CPN_NOT_FOUND;
    body = json_copy((json_t *)now);
    json_object_set(body, "tags", json_object_get(w->call->json, "tags"));
    w->status = 200;
    if ((rc = cpn_change_put(change, CPN_KIND_BASTION, w->id, body, err)) != CPN_OK)
        return rc;
    cpn_trail_call_in(change->batch, w->call, w->status);
    cpn_arm_op_put(change->batch, w->call, w->operation);
    return CPN_OK;
}

static void
patch_done(void *owner, cpn_rc rc, const json_t *problems, const cpn_err *err)
{
    writing *w = owner;

    if (rc == CPN_NOT_FOUND) {
        cpn_arm_not_found(w->call);
        free(w);
    } else if (!writing_failed(w, rc, problems, err)) {
        answer_shown(w);
        free(w);
    }
}

static void
bastion_patch(cpn_call *call)
{
    static const char *const names[] = { "tags", NULL };
    json_t *tags = NULL;
    cpn_err err = { 0 };

    nulls_drop(call->json);
    if (cpn_json_only(call->json, "", names, &err) != CPN_OK ||
        cpn_json_opt_object(call->json, "", "tags", 50, &tags, &err) != CPN_OK)
        cpn_arm_error(call, 400, "InvalidRequestFormat", "Cannot parse the request: %s", err.msg);
    else if (!tags)
        cpn_arm_error(call, 400, "InvalidRequestFormat",
                      "Cannot parse the request: tags: expected an object");
    else
        writing_ask(call, patch_build, patch_done);
}

/* ---- DELETE ---- */

static cpn_rc
delete_build(void *owner, cpn_change *change, cpn_err *err)
{
    writing *w = owner;
    const json_t *now;
    cpn_rc rc;

    (void)err;
    if (!now_read(w, &now))
        return CPN_INVALID;
    if ((rc = cpn_change_delete(change, CPN_KIND_BASTION, w->call->params.scope)) != CPN_OK)
        return rc;
    cpn_trail_call_in(change->batch, w->call, 202);
    cpn_arm_op_put(change->batch, w->call, w->operation);
    return cpn_unassign_along(change, w->call, 202);
}

/* What is not there is deleted already. Its role assignments go with it, as in Azure; with a denial
 * it stays: who may delete a bastion could else be rid of the denial by making it anew. */
static void
delete_done(void *owner, cpn_rc rc, const json_t *problems, const cpn_err *err)
{
    writing *w = owner;

    if (rc == CPN_NOT_FOUND) {
        cpn_reply_json(w->call, 204, NULL);
    } else if (rc == CPN_INVALID && !w->wrong.code) {
        const char *said = json_string_value(json_array_get(problems, 0));

        cpn_arm_error(w->call, 409, "Conflict", "%s", said ? said : "It is still in use.");
    } else if (writing_failed(w, rc, problems, err)) {
        return;
    } else {
        cpn_arm_op_tell(w->call, cpn_arm_location_written(w->call->c->snapshot, w->id, NULL),
                        CPN_ARM_OP_BOTH, w->operation);
        cpn_reply_json(w->call, 202, NULL);
    }
    free(w);
}

static void
bastion_delete(cpn_call *call)
{
    writing_ask(call, delete_build, delete_done);
}

const cpn_route cpn_routes_arm_bastions[] = {
    { "GET", CPN_ARM_GROUP BASTIONS "/{name}", CPN_SCOPE_PATH, READ, CPN_BODY_NONE, 0, NULL,
      CPN_ERRORS_ARM, bastion_get },
    { "GET", CPN_ARM_GROUP BASTIONS, CPN_SCOPE_EACH, READ, CPN_BODY_NONE, 0, NULL, CPN_ERRORS_ARM,
      bastion_list },
    { "GET", CPN_ARM_SUB BASTIONS, CPN_SCOPE_EACH, READ, CPN_BODY_NONE, 0, NULL, CPN_ERRORS_ARM,
      bastion_list },
    { "PUT", CPN_ARM_GROUP BASTIONS "/{name}", CPN_SCOPE_PATH, WRITE, CPN_BODY_JSON, CPN_BODY_USUAL,
      "bastion.write", CPN_ERRORS_ARM, bastion_put },
    { "PATCH", CPN_ARM_GROUP BASTIONS "/{name}", CPN_SCOPE_PATH, WRITE, CPN_BODY_JSON,
      CPN_BODY_USUAL, "bastion.tag", CPN_ERRORS_ARM, bastion_patch },
    { "DELETE", CPN_ARM_GROUP BASTIONS "/{name}", CPN_SCOPE_PATH, DELETE, CPN_BODY_NONE, 0,
      "bastion.delete", CPN_ERRORS_ARM, bastion_delete },
    { 0 },
};
