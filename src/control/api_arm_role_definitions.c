/* Role definitions as Azure Resource Manager has them: the built-in ones with Azure's own GUIDs,
 * and those of the inventory. They are read here, not written. */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "control/arm.h"
#include "control/arm_roles.h"
#include "control/reply.h"

#define TYPE "Microsoft.Authorization/roleDefinitions"
#define READ_ACTION TYPE "/read"

void
cpn_arm_role_id(const cpn_role_def *role, const char *scope, char out[CPN_ID_MAX + 1])
{
    char subscription[CPN_ID_MAX + 1];

    if (!cpn_arm_subscription_of(scope, subscription))
        subscription[0] = '\0';
    snprintf(out, CPN_ID_MAX + 1, "%s/providers/" TYPE "/%s", subscription, role ? role->guid : "");
}

const char *
cpn_arm_path_scope(const cpn_call *call)
{
    const char *scope = cpn_call_param(call, "scope");

    return scope[0] ? scope : "/";
}

bool
cpn_arm_filter(CPN_TAKES cpn_call *call, cpn_odata *out)
{
    cpn_err err = { 0 };

    if (cpn_odata_parse(cpn_form_get(&call->query, "$filter"), out, &err) == CPN_OK)
        return true;
    cpn_arm_error(call, 400, "InvalidFilter", "%s", err.msg);
    return false;
}

/* ---- one ---- */

static json_t *
texts(const char *const *list)
{
    json_t *all = json_array();

    for (; list && *list; list++)
        json_array_append_new(all, json_string(*list));
    return all;
}

static json_t *
shown(const cpn_role_def *role, bool builtin, const char *scope)
{
    char id[CPN_ID_MAX + 1];

    cpn_arm_role_id(role, scope, id);
    return json_pack("{s:s,s:s,s:s,s:{s:s,s:s,s:s,s:[s],s:[{s:o,s:o,s:o,s:[]}]}}", "id", id, "name",
                     role->guid, "type", TYPE, "properties", "roleName", role->name, "type",
                     builtin ? "BuiltInRole" : "CustomRole", "description", "", "assignableScopes",
                     "/", "permissions", "actions", texts(role->actions), "notActions",
                     texts(role->not_actions), "dataActions", texts(role->data_actions),
                     "notDataActions");
}

/* ---- all ---- */

typedef struct seen {
    const cpn_role_def *role;
    bool builtin;
} seen;

typedef struct listing {
    bool custom;                    /* the caller may see those */
    const char *name, *guid, *type; /* NULL: any */
    seen *all;
    size_t n;
} listing;

static bool
collect(void *owner, const cpn_role_def *role, bool builtin)
{
    listing *l = owner;

    if ((!builtin && !l->custom) || (l->name && strcasecmp(role->name, l->name) != 0) ||
        (l->guid && strcasecmp(role->guid, l->guid) != 0) ||
        (l->type && strcasecmp(builtin ? "BuiltInRole" : "CustomRole", l->type) != 0))
        return true;
    l->all = cpn_xrealloc(l->all, l->n + 1, sizeof(*l->all));
    l->all[l->n++] = (seen){ role, builtin };
    return true;
}

static int
by_guid(const void *a, const void *b)
{
    return strcasecmp(((const seen *)a)->role->guid, ((const seen *)b)->role->guid);
}

/* The built-in roles are no secret; the others are for who may read roles at the scope. */
static listing
listing_of(const cpn_call *call, const char *scope)
{
    return (listing){ .custom = cpn_may(call->c->snapshot, cpn_call_who(call), READ_ACTION,
                                        cpn_view_str(scope)) };
}

/* False: answered. */
static bool
filter_read(cpn_call *call, listing *l, cpn_odata *filter)
{
    if (!cpn_arm_filter(call, filter))
        return false;
    for (unsigned i = 0; i < filter->n; i++) {
        const cpn_odata_clause *c = &filter->clause[i];

        if (c->op == CPN_ODATA_EQ && cpn_view_is_nocase(c->name, "roleName")) {
            l->name = c->text;
        } else if (c->op == CPN_ODATA_EQ && cpn_view_is_nocase(c->name, "type")) {
            l->type = c->text;
        } else if (c->op != CPN_ODATA_CALL || !cpn_view_starts_nocase(c->name, "atScope")) {
            cpn_arm_error(call, 400, "InvalidFilter",
                          "expected roleName eq 'NAME', type eq 'TYPE' and atScopeAndBelow() in "
                          "$filter");
            return false;
        }
    }
    return true;
}

static void
definitions_list(cpn_call *call)
{
    const char *scope = cpn_arm_path_scope(call);
    listing l = listing_of(call, scope);
    cpn_arm_place place = CPN_ARM_HERE;
    cpn_odata filter;
    cpn_arm_page page;

    if (!filter_read(call, &l, &filter) || !cpn_arm_page_begin(&page, call))
        return;
    cpn_snapshot_roles(call->c->snapshot, collect, &l);
    if (l.n)
        qsort(l.all, l.n, sizeof(*l.all), by_guid);
    for (size_t i = 0; i < l.n && place != CPN_ARM_FULL; i++) {
        const cpn_role_def *role = l.all[i].role;

        place = cpn_arm_page_at(&page, role->guid);
        if (place == CPN_ARM_HERE)
            cpn_arm_page_put(&page, role->guid, shown(role, l.all[i].builtin, scope));
    }
    free(l.all);
    cpn_arm_page_end(&page);
}

static void
definition_show(cpn_call *call)
{
    const char *scope = cpn_arm_path_scope(call), *name = cpn_call_param(call, "name");
    listing l = listing_of(call, scope);

    l.guid = name;
    cpn_snapshot_roles(call->c->snapshot, collect, &l);
    if (l.n)
        cpn_reply_json(call, 200, shown(l.all[0].role, l.all[0].builtin, scope));
    else
        cpn_arm_error(call, 404, "RoleDefinitionDoesNotExist",
                      "The specified role definition with ID '%.200s' does not exist.", name);
    free(l.all);
}

#define BELOW "/{+scope}/providers/" TYPE
#define ROOT "/providers/" TYPE

const cpn_route cpn_routes_arm_role_definitions[] = {
    { "GET", BELOW, CPN_SCOPE_EACH, READ_ACTION, CPN_BODY_NONE, 0, NULL, CPN_ERRORS_ARM,
      definitions_list },
    { "GET", ROOT, CPN_SCOPE_EACH, READ_ACTION, CPN_BODY_NONE, 0, NULL, CPN_ERRORS_ARM,
      definitions_list },
    { "GET", BELOW "/{name}", CPN_SCOPE_EACH, READ_ACTION, CPN_BODY_NONE, 0, NULL, CPN_ERRORS_ARM,
      definition_show },
    { "GET", ROOT "/{name}", CPN_SCOPE_EACH, READ_ACTION, CPN_BODY_NONE, 0, NULL, CPN_ERRORS_ARM,
      definition_show },
    { 0 },
};
