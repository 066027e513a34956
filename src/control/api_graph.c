/* The directory as Microsoft Graph shows it, as far as the Azure CLI asks: users, service
 * principals and groups, found by name or id and read, never written. */
#include <stdio.h>
#include <strings.h>

#include "codec/odata.h"
#include "control/arm.h"
#include "control/reply.h"

#define READ_ACTION "Caponier.Directory/principals/read"
#define GIVE_ACTION "Microsoft.Authorization/roleAssignments/write"
#define IDS_MAX 1000

/* ---- who may see whom ---- */

/* May the caller give roles anywhere? Then they may look up by its exact name whom to give them to.
 */
static bool
gives_roles(const cpn_call *call)
{
    return cpn_may_anywhere(call->c->snapshot, cpn_call_who(call), GIVE_ACTION);
}

/* ---- shapes ---- */

static json_t *
shown(const char *id, const json_t *body)
{
    const char *type = cpn_json_string(body, "type"), *name = cpn_json_string(body, "name");
    const char *display = cpn_json_string(body, "displayName");
    const char *app_id = cpn_json_string(body, "appId");
    bool enabled = json_is_true(json_object_get(body, "enabled"));

    display = display[0] ? display : name;
    if (strcmp(type, "User") == 0)
        return json_pack("{s:s,s:s,s:s,s:s,s:n,s:b}", "@odata.type", "#microsoft.graph.user", "id",
                         id, "userPrincipalName", name, "displayName", display, "mail",
                         "accountEnabled", (int)enabled);
    if (strcmp(type, "Group") == 0)
        return json_pack("{s:s,s:s,s:s,s:b}", "@odata.type", "#microsoft.graph.group", "id", id,
                         "displayName", display, "securityEnabled", 1);
    return json_pack("{s:s,s:s,s:s,s:s,s:[s],s:s,s:b}", "@odata.type",
                     "#microsoft.graph.servicePrincipal", "id", id, "appId", app_id, "displayName",
                     display, "servicePrincipalNames", app_id, "servicePrincipalType",
                     "Application", "accountEnabled", (int)enabled);
}

static bool
starts_nocase(const char *text, const char *head)
{
    return strncasecmp(text, head, strlen(head)) == 0;
}

/* The document's text that a field of Graph's holds; NULL: it has no such field. */
static const char *
field(const json_t *body, const char *id, cpn_view name)
{
    bool user = strcmp(cpn_json_string(body, "type"), "User") == 0;
    const char *display = cpn_json_string(body, "displayName");

    if (cpn_view_is(name, "id"))
        return id;
    if (cpn_view_is(name, "displayName"))
        return display[0] ? display : cpn_json_string(body, "name");
    if (cpn_view_is(name, "userPrincipalName") && user)
        return cpn_json_string(body, "name");
    if (cpn_view_is(name, "appId") || cpn_view_is(name, "servicePrincipalNames"))
        return json_string_value(json_object_get(body, "appId"));
    return NULL;
}

static bool
fits(const cpn_odata *filter, const char *id, const json_t *body)
{
    for (unsigned i = 0; i < filter->n; i++) {
        const cpn_odata_clause *c = &filter->clause[i];
        const char *text = field(body, id, c->name);

        if (!text || (c->op == CPN_ODATA_STARTS ? !starts_nocase(text, c->text)
                                                : strcasecmp(text, c->text) != 0))
            return false;
    }
    return true;
}

/* ---- lists ---- */

typedef struct listing {
    cpn_arm_page page;
    const char *type; /* "User", … */
    const cpn_odata *filter;
} listing;

static bool
collect(void *owner, const char *id, const json_t *body)
{
    listing *l = owner;
    cpn_arm_place place;

    if (strcmp(cpn_json_string(body, "type"), l->type) != 0 || !fits(l->filter, id, body))
        return true;
    place = cpn_arm_page_at(&l->page, id);
    if (place == CPN_ARM_HERE)
        cpn_arm_page_put(&l->page, id, shown(id, body));
    return place != CPN_ARM_FULL;
}

/* Only what is known of one by name: that is no way to list the directory. */
static bool
is_exact(const cpn_odata *filter)
{
    for (unsigned i = 0; i < filter->n; i++)
        if ((filter->clause[i].op == CPN_ODATA_EQ || filter->clause[i].op == CPN_ODATA_ANY) &&
            filter->clause[i].text[0] && !cpn_view_is(filter->clause[i].name, "displayName"))
            return true;
    return false;
}

static void
principals_list(cpn_call *call, const char *type)
{
    cpn_odata filter;
    cpn_err err = { 0 };
    listing l = { .type = type, .filter = &filter };
    bool all;

    if (cpn_odata_parse(cpn_form_get(&call->query, "$filter"), &filter, &err) != CPN_OK) {
        cpn_reply_error(call, 400, "Request_UnsupportedQuery", err.msg, NULL);
        return;
    }
    if (!cpn_arm_page_begin(&l.page, call))
        return;
    all = is_exact(&filter) && gives_roles(call);
    cpn_snapshot_each(call->c->snapshot, CPN_KIND_PRINCIPAL, all ? NULL : cpn_call_who(call),
                      collect, &l);
    cpn_reply_json(call, 200, cpn_arm_page_body(&l.page, "@odata.nextLink"));
}

static void
users_list(cpn_call *call)
{
    principals_list(call, "User");
}

static void
services_list(cpn_call *call)
{
    principals_list(call, "ServicePrincipal");
}

static void
groups_list(cpn_call *call)
{
    principals_list(call, "Group");
}

/* ---- one ---- */

/* The principal of that object id or sign-in name, as far as the caller may see it. */
static json_t *
found(const cpn_call *call, const char *name, bool gives)
{
    const cpn_snapshot *s = call->c->snapshot;
    const cpn_principal *who = cpn_call_who(call);
    const cpn_principal *p = cpn_snapshot_principal(s, cpn_view_str(name));

    if (!p)
        p = cpn_snapshot_principal_by_name(s, cpn_view_str(name));
    if (!p || (!gives && strcmp(p->object_id, who->object_id) != 0 &&
               !cpn_may(s, who, READ_ACTION, CPN_VIEW_LIT("/"))))
        return NULL;
    return shown(p->object_id,
                 cpn_snapshot_document(s, CPN_KIND_PRINCIPAL, cpn_view_str(p->object_id)));
}

static void
principal_show(cpn_call *call, const char *type)
{
    const char *name = cpn_call_param(call, "id");
    json_t *one = found(call, name, gives_roles(call));
    char sentence[512];

    if (one && strcmp(cpn_json_string(one, "@odata.type"), type) == 0) {
        cpn_reply_json(call, 200, one);
        return;
    }
    json_decref(one);
    snprintf(sentence, sizeof(sentence),
             "Resource '%.300s' does not exist or one of its queried reference-property objects "
             "are not present.",
             name);
    cpn_reply_error(call, 404, "Request_ResourceNotFound", sentence, NULL);
}

static void
user_show(cpn_call *call)
{
    principal_show(call, "#microsoft.graph.user");
}

static void
service_show(cpn_call *call)
{
    principal_show(call, "#microsoft.graph.servicePrincipal");
}

static void
group_show(cpn_call *call)
{
    principal_show(call, "#microsoft.graph.group");
}

static void
me_show(cpn_call *call)
{
    cpn_reply_json(call, 200, found(call, cpn_call_who(call)->object_id, false));
}

/* ---- several ---- */

static void
by_ids(cpn_call *call)
{
    json_t *ids = NULL, *value = json_array(), *id;
    bool gives = gives_roles(call);
    cpn_err err = { 0 };
    size_t i;

    if (cpn_json_opt_array(call->json, "", "ids", IDS_MAX, &ids, &err) != CPN_OK || !ids) {
        json_decref(value);
        cpn_reply_error(call, 400, "Request_BadRequest", err.msg[0] ? err.msg : "expected ids",
                        NULL);
        return;
    }
    json_array_foreach(ids, i, id)
    {
        json_t *one = json_is_string(id) ? found(call, json_string_value(id), gives) : NULL;

        if (one && strcasecmp(cpn_json_string(one, "id"), json_string_value(id)) == 0)
            json_array_append(value, one);
        json_decref(one);
    }
    call->only_read = true;
    cpn_reply_json(call, 200, json_pack("{s:o}", "value", value));
}

#define V1 "/v1.0"

const cpn_route cpn_routes_graph[] = {
    { "GET", V1 "/me", CPN_SCOPE_SIGNED_IN, NULL, CPN_BODY_NONE, 0, NULL, CPN_ERRORS_GRAPH,
      me_show },
    { "GET", V1 "/users", CPN_SCOPE_EACH, READ_ACTION, CPN_BODY_NONE, 0, NULL, CPN_ERRORS_GRAPH,
      users_list },
    { "GET", V1 "/users/{id}", CPN_SCOPE_EACH, READ_ACTION, CPN_BODY_NONE, 0, NULL,
      CPN_ERRORS_GRAPH, user_show },
    { "GET", V1 "/servicePrincipals", CPN_SCOPE_EACH, READ_ACTION, CPN_BODY_NONE, 0, NULL,
      CPN_ERRORS_GRAPH, services_list },
    { "GET", V1 "/servicePrincipals/{id}", CPN_SCOPE_EACH, READ_ACTION, CPN_BODY_NONE, 0, NULL,
      CPN_ERRORS_GRAPH, service_show },
    { "GET", V1 "/groups", CPN_SCOPE_EACH, READ_ACTION, CPN_BODY_NONE, 0, NULL, CPN_ERRORS_GRAPH,
      groups_list },
    { "GET", V1 "/groups/{id}", CPN_SCOPE_EACH, READ_ACTION, CPN_BODY_NONE, 0, NULL,
      CPN_ERRORS_GRAPH, group_show },
    { "POST", V1 "/directoryObjects/getByIds", CPN_SCOPE_EACH, READ_ACTION, CPN_BODY_JSON,
      CPN_BODY_USUAL, "directory.asked", CPN_ERRORS_GRAPH, by_ids },
    { 0 },
};
