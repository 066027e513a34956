/* Reads users, service principals, their groups, roles and assignments. */
#include "client/inv.h"
#include "codec/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "model/uuid.h"

#define PERSON_MAX 256
#define EXTERNAL_ISSUER_MAX 200
#define EXTERNAL_SUBJECT_MAX 255
#define MEMBERS_MAX 10000
#define ACTIONS_MAX 64

/* The id that the gateway has for this principal, else one made of its name. */
static void
person_id(const inv *i, const char *type, const char *name, char out[40])
{
    const json_t *row;
    size_t at;

    json_array_foreach((json_t *)i->known, at, row)
    {
        const char *has = json_string_value(json_object_get(row, "name"));
        const char *of = json_string_value(json_object_get(row, "type"));
        const char *id = json_string_value(json_object_get(row, "id"));

        if (has && of && id && strlen(id) < 40 && strcmp(of, type) == 0 &&
            strcasecmp(has, name) == 0) {
            snprintf(out, 40, "%s", id);
            return;
        }
    }
    inv_guid(name, out);
}

/* A principal's name and its id. NULL: an error was gathered. */
static char *
person(inv *i, const cpn_yaml_node *entry, inv_kind kind, const char *type, char id[40])
{
    char *name;

    if (!inv_need(i, entry, "name", "a name") ||
        inv_text(i, entry, "name", PERSON_MAX, &name) != CPN_OK)
        return NULL;
    person_id(i, type, name, id);
    if (inv_add(i, kind, entry, cpn_view_str(name), id))
        return name;
    free(name);
    return NULL;
}

static cpn_rc
read_enabled(inv *i, const cpn_yaml_node *entry, json_t *body)
{
    const cpn_yaml_node *n = cpn_yaml_get(entry, "enabled");
    bool on = true;
    cpn_rc rc = n ? cpn_yaml_bool(n, &on, i->e) : CPN_OK;

    json_object_set_new(body, "enabled", json_boolean(on));
    return rc;
}

static cpn_rc
read_sessions_max(inv *i, const cpn_yaml_node *entry, json_t *body)
{
    const cpn_yaml_node *n = cpn_yaml_get(entry, "sessions_max");
    uint64_t max = 0;

    if (!n)
        return CPN_OK;
    if (cpn_yaml_uint(n, 0, 100000, &max, i->e) != CPN_OK)
        return CPN_INVALID;
    json_object_set_new(body, "sessionsMax", json_integer((json_int_t)max));
    return CPN_OK;
}

/* How a provider calls somebody: its issuer, and their subject or client id there. */
static cpn_rc
read_external(inv *i, const cpn_yaml_node *entry, json_t *body)
{
    static const char *const keys[] = { "issuer", "subject", NULL };
    CPN_AUTO(cpn_auto_mem) char *issuer = NULL;
    CPN_AUTO(cpn_auto_mem) char *subject = NULL;
    const cpn_yaml_node *n = cpn_yaml_get(entry, "external");

    if (!n)
        return CPN_OK;
    if (cpn_yaml_expect_map(n, i->e) != CPN_OK || cpn_yaml_known_keys(n, keys, i->e) != CPN_OK ||
        !inv_need(i, n, "issuer", "the provider's URL") ||
        !inv_need(i, n, "subject", "a name of the provider's") ||
        inv_text(i, n, "issuer", EXTERNAL_ISSUER_MAX, &issuer) != CPN_OK ||
        inv_text(i, n, "subject", EXTERNAL_SUBJECT_MAX, &subject) != CPN_OK)
        return CPN_INVALID;
    json_object_set_new(body, "external",
                        json_pack("{s:s, s:s}", "issuer", issuer, "subject", subject));
    return CPN_OK;
}

void
inv_user(inv *i, const cpn_yaml_node *entry)
{
    static const char *const keys[] = { "name",         "display_name", "enabled",
                                        "sessions_max", "external",     NULL };
    CPN_AUTO(cpn_auto_mem) char *shown = NULL;
    CPN_AUTO(cpn_auto_mem) char *name = NULL;
    json_auto_t *body = NULL;
    char id[40];

    if (cpn_yaml_known_keys(entry, keys, i->e) != CPN_OK ||
        !(name = person(i, entry, INV_USER, "User", id)) ||
        inv_text(i, entry, "display_name", PERSON_MAX, &shown) != CPN_OK)
        return;
    body = json_pack("{s:s, s:s, s:s}", "type", "User", "name", name, "displayName",
                     shown ? shown : name);
    if (read_enabled(i, entry, body) == CPN_OK && read_sessions_max(i, entry, body) == CPN_OK &&
        read_external(i, entry, body) == CPN_OK)
        inv_document(i, CPN_KIND_PRINCIPAL, id, cpn_steal(&body));
}

static cpn_rc
read_app_id(inv *i, const cpn_yaml_node *entry, const char *name, json_t *body)
{
    const cpn_yaml_node *n = cpn_yaml_get(entry, "app_id");
    char text[PERSON_MAX + 32], made[40];
    cpn_view v;
    cpn_uuid u;

    if (!n) {
        snprintf(text, sizeof(text), "App:%s", name);
        inv_guid(text, made);
        json_object_set_new(body, "appId", json_string(made));
        return CPN_OK;
    }
    if (cpn_yaml_string(n, &v, i->e) != CPN_OK)
        return CPN_INVALID;
    if (!cpn_uuid_parse(&u, v))
        return cpn_yaml_error(i->e, n, "'%.*s' (expected a GUID)", CPN_VIEW_ARG(v));
    json_object_set_new(body, "appId", json_stringn((const char *)v.p, v.n));
    return CPN_OK;
}

void
inv_service(inv *i, const cpn_yaml_node *entry)
{
    static const char *const keys[] = { "name",         "app_id",   "enabled",
                                        "sessions_max", "external", NULL };
    CPN_AUTO(cpn_auto_mem) char *name = NULL;
    json_auto_t *body = NULL;
    char id[40];

    if (cpn_yaml_known_keys(entry, keys, i->e) != CPN_OK ||
        !(name = person(i, entry, INV_SERVICE, "ServicePrincipal", id)))
        return;
    body = json_pack("{s:s, s:s}", "type", "ServicePrincipal", "name", name);
    if (read_app_id(i, entry, name, body) == CPN_OK && read_enabled(i, entry, body) == CPN_OK &&
        read_sessions_max(i, entry, body) == CPN_OK && read_external(i, entry, body) == CPN_OK)
        inv_document(i, CPN_KIND_PRINCIPAL, id, cpn_steal(&body));
}

void
inv_user_group(inv *i, const cpn_yaml_node *entry)
{
    static const char *const keys[] = { "name", "members", "external", NULL };
    CPN_AUTO(cpn_auto_mem) char *name = NULL;
    CPN_AUTO(cpn_auto_mem) char *external = NULL;
    const cpn_yaml_node *list = cpn_yaml_get(entry, "members");
    json_auto_t *members = json_array();
    json_auto_t *body = NULL;
    const char *member;
    char id[40];

    if (cpn_yaml_known_keys(entry, keys, i->e) != CPN_OK ||
        !(name = person(i, entry, INV_USER_GROUP, "Group", id)) ||
        (list && cpn_yaml_expect_list(list, MEMBERS_MAX, i->e) != CPN_OK))
        return;
    for (const cpn_yaml_node *n = list ? list->child : NULL; n; n = n->next) {
        if (inv_ref(i, INV_PEOPLE, n, &member, NULL) != CPN_OK)
            return;
        json_array_append_new(members, json_string(member));
    }
    if (inv_text(i, entry, "external", PERSON_MAX, &external) != CPN_OK)
        return;
    body = json_pack("{s:s, s:s, s:O}", "type", "Group", "name", name, "members", members);
    if (external)
        json_object_set_new(body, "external", json_string(external));
    inv_document(i, CPN_KIND_PRINCIPAL, id, cpn_steal(&body));
}

/* ---- roles ---- */

static const char *const builtin[] = { "Owner", "Contributor", "Reader",
                                       "Virtual Machine Administrator Login",
                                       "Virtual Machine User Login" };

/* A list of actions such as "Microsoft.Network/bastionHosts/read". New reference; NULL: an error.
 */
static json_t *
read_actions(inv *i, const cpn_yaml_node *list)
{
    json_auto_t *out = json_array();
    cpn_view v;

    if (cpn_yaml_expect_list(list, ACTIONS_MAX, i->e) != CPN_OK)
        return NULL;
    for (const cpn_yaml_node *n = list->child; n; n = n->next) {
        if (cpn_yaml_string(n, &v, i->e) != CPN_OK)
            return NULL;
        if (v.n == 0 || v.n > 256 || (!memchr(v.p, '/', v.n) && !cpn_view_is(v, "*"))) {
            (void)cpn_yaml_error(
                i->e, n, "'%.*s' (expected an action such as Microsoft.Network/bastionHosts/*)",
                CPN_VIEW_ARG(v));
            return NULL;
        }
        json_array_append_new(out, json_stringn((const char *)v.p, v.n));
    }
    return cpn_steal(&out);
}

static cpn_rc
read_optional_actions(inv *i, const cpn_yaml_node *entry, const char *key, const char *as,
                      json_t *body)
{
    const cpn_yaml_node *list = cpn_yaml_get(entry, key);
    json_t *actions;

    if (!list)
        return CPN_OK;
    actions = read_actions(i, list);
    if (!actions)
        return CPN_INVALID;
    json_object_set_new(body, as, actions);
    return CPN_OK;
}

void
inv_role(inv *i, const cpn_yaml_node *entry)
{
    static const char *const keys[] = { "name", "actions", "not_actions", "data_actions", NULL };
    CPN_AUTO(cpn_auto_mem) char *name = NULL;
    const cpn_yaml_node *at = inv_need(i, entry, "name", "a name");
    const cpn_yaml_node *list = inv_need(i, entry, "actions", "a list of actions");
    json_auto_t *body = json_object();
    json_t *actions;
    char text[PERSON_MAX + 32], guid[40], id[CPN_ID_MAX];

    if (!at || !list || cpn_yaml_known_keys(entry, keys, i->e) != CPN_OK ||
        inv_text(i, entry, "name", 128, &name) != CPN_OK || !(actions = read_actions(i, list)))
        return;
    json_object_set_new(body, "actions", actions);
    json_object_set_new(body, "roleName", json_string(name));
    for (size_t k = 0; k < CPN_COUNT(builtin); k++)
        if (strcasecmp(name, builtin[k]) == 0) {
            (void)cpn_yaml_error(i->e, at, "'%s' exists always (expected another name)",
                                 builtin[k]);
            return;
        }
    snprintf(text, sizeof(text), "Role:%s", name);
    inv_guid(text, guid);
    snprintf(id, sizeof(id), "/providers/Microsoft.Authorization/roleDefinitions/%s", guid);
    if (!inv_add(i, INV_ROLE, entry, cpn_view_str(name), id) ||
        read_optional_actions(i, entry, "not_actions", "notActions", body) != CPN_OK ||
        read_optional_actions(i, entry, "data_actions", "dataActions", body) != CPN_OK)
        return;
    inv_document(i, CPN_KIND_ROLE, id, cpn_steal(&body));
}

/* ---- assignments ---- */

static cpn_rc
read_role(inv *i, const cpn_yaml_node *n, json_t *body)
{
    cpn_view v;
    const char *id;
    cpn_rc rc = cpn_yaml_string(n, &v, i->e);

    if (rc != CPN_OK)
        return rc;
    for (size_t k = 0; k < CPN_COUNT(builtin); k++)
        if (cpn_view_is_nocase(v, builtin[k])) {
            json_object_set_new(body, "role", json_string(builtin[k]));
            return CPN_OK;
        }
    /* One that an earlier file brought, by its id. */
    if (cpn_view_starts_nocase(v, "/providers/Microsoft.Authorization/roleDefinitions/")) {
        json_object_set_new(body, "role", json_stringn((const char *)v.p, v.n));
        return CPN_OK;
    }
    if ((rc = inv_ref(i, INV_ROLE, n, &id, NULL)) == CPN_OK)
        json_object_set_new(body, "role", json_stringn((const char *)v.p, v.n));
    return rc;
}

static cpn_rc
read_scope(inv *i, const cpn_yaml_node *n, const char **out)
{
    cpn_view v;
    cpn_rc rc = cpn_yaml_string(n, &v, i->e);

    if (rc == CPN_OK && cpn_view_is(v, "/")) {
        *out = "";
        return CPN_OK;
    }
    return rc == CPN_OK ? inv_ref(i, INV_ANY_SCOPE, n, out, NULL) : rc;
}

/* "08:00". */
static bool
is_time(cpn_view v)
{
    uint64_t h, m;
    cpn_view head = { v.p, 2 };
    cpn_view tail = { v.p + 3, 2 };

    if (v.n != 5 || v.p[2] != ':')
        return false;
    head = head.p[0] == '0' ? cpn_view_skip(head, 1) : head;
    tail = tail.p[0] == '0' ? cpn_view_skip(tail, 1) : tail;
    return cpn_view_u64(head, 23, &h) && cpn_view_u64(tail, 59, &m);
}

static cpn_rc
read_time(inv *i, const cpn_yaml_node *window, const char *key, json_t *out)
{
    const cpn_yaml_node *n = inv_need(i, window, key, "a time such as \"08:00\"");
    cpn_view v;

    if (!n || cpn_yaml_string(n, &v, i->e) != CPN_OK)
        return CPN_INVALID;
    if (!is_time(v))
        return cpn_yaml_error(i->e, n, "'%.*s' (expected a time such as \"08:00\", UTC)",
                              CPN_VIEW_ARG(v));
    json_object_set_new(out, key, json_stringn((const char *)v.p, v.n));
    return CPN_OK;
}

static cpn_rc
read_days(inv *i, const cpn_yaml_node *window, json_t *out)
{
    static const char *const days[] = { "mon", "tue", "wed", "thu", "fri", "sat", "sun" };
    const cpn_yaml_node *list = inv_need(i, window, "days", "a list of mon … sun");
    json_t *to = json_array();
    unsigned seen = 0;
    cpn_view v;

    json_object_set_new(out, "days", to);
    if (!list || cpn_yaml_expect_list(list, CPN_COUNT(days), i->e) != CPN_OK)
        return CPN_INVALID;
    if (list->n == 0)
        return cpn_yaml_error(i->e, list, "empty (expected at least one day)");
    for (const cpn_yaml_node *n = list->child; n; n = n->next) {
        unsigned d = 0;

        if (cpn_yaml_string(n, &v, i->e) != CPN_OK)
            return CPN_INVALID;
        while (d < CPN_COUNT(days) && !cpn_view_is(v, days[d]))
            d++;
        if (d == CPN_COUNT(days) || (seen & 1u << d))
            return cpn_yaml_error(i->e, n,
                                  "'%.*s' (expected mon tue wed thu fri sat sun, each once)",
                                  CPN_VIEW_ARG(v));
        seen |= 1u << d;
        json_array_append_new(to, json_string(days[d]));
    }
    return CPN_OK;
}

static cpn_rc
read_window(inv *i, const cpn_yaml_node *entry, json_t *body)
{
    static const char *const keys[] = { "days", "from", "to", NULL };
    const cpn_yaml_node *window = cpn_yaml_get(entry, "window");
    json_t *out;

    if (!window)
        return CPN_OK;
    if (cpn_yaml_expect_map(window, i->e) != CPN_OK ||
        cpn_yaml_known_keys(window, keys, i->e) != CPN_OK)
        return CPN_INVALID;
    out = json_object();
    json_object_set_new(body, "window", out);
    if (read_days(i, window, out) != CPN_OK || read_time(i, window, "from", out) != CPN_OK ||
        read_time(i, window, "to", out) != CPN_OK)
        return CPN_INVALID;
    if (json_equal(json_object_get(out, "from"), json_object_get(out, "to")))
        return cpn_yaml_error(i->e, window, "from and to are the same (expected a window)");
    return CPN_OK;
}

static cpn_rc
read_effect(inv *i, const cpn_yaml_node *entry, json_t *body)
{
    const cpn_yaml_node *n = cpn_yaml_get(entry, "effect");
    cpn_view v = CPN_VIEW_LIT("allow");

    if (n && cpn_yaml_string(n, &v, i->e) != CPN_OK)
        return CPN_INVALID;
    if (!cpn_view_is_nocase(v, "allow") && !cpn_view_is_nocase(v, "deny"))
        return cpn_yaml_error(i->e, n, "'%.*s' (expected allow or deny)", CPN_VIEW_ARG(v));
    json_object_set_new(body, "effect",
                        json_string(cpn_view_is_nocase(v, "deny") ? "Deny" : "Allow"));
    return CPN_OK;
}

/* `max_upload: 100MiB`, bytes of a session. */
static cpn_rc
read_limit(inv *i, const cpn_yaml_node *entry, const char *key, const char *as, json_t *body)
{
    const cpn_yaml_node *n = cpn_yaml_get(entry, key);
    uint64_t bytes;
    cpn_view v;

    if (!n)
        return CPN_OK;
    if (cpn_yaml_string(n, &v, i->e) != CPN_OK)
        return CPN_INVALID;
    if (!cpn_units_size(v, &bytes) || bytes == 0 || bytes > 1ull << 53)
        return cpn_yaml_error(i->e, n,
                              "'%.*s' (expected a size such as 100MiB, at most 2^53 bytes)",
                              CPN_VIEW_ARG(v));
    if (strcmp(json_string_value(json_object_get(body, "effect")), "Deny") == 0)
        return cpn_yaml_error(i->e, n, "a limit where everything is denied (expected none)");
    json_object_set_new(body, as, json_integer((json_int_t)bytes));
    return CPN_OK;
}

void
inv_assignment(inv *i, const cpn_yaml_node *entry)
{
    static const char *const keys[] = { "principal", "role",       "scope",        "effect",
                                        "window",    "max_upload", "max_download", NULL };
    const cpn_yaml_node *who = inv_need(i, entry, "principal", "a name");
    const cpn_yaml_node *role = inv_need(i, entry, "role", "the name of a role");
    const cpn_yaml_node *where = inv_need(i, entry, "scope", "a name, an id, or /");
    json_auto_t *body = json_object();
    CPN_AUTO(cpn_auto_mem) char *text = NULL;
    const char *principal, *scope;
    char guid[40], id[CPN_ID_MAX + 128];

    if (!who || !role || !where || cpn_yaml_known_keys(entry, keys, i->e) != CPN_OK ||
        inv_ref(i, INV_PEOPLE | INV_USER_GROUP, who, &principal, NULL) != CPN_OK ||
        read_scope(i, where, &scope) != CPN_OK || read_role(i, role, body) != CPN_OK ||
        read_effect(i, entry, body) != CPN_OK || read_window(i, entry, body) != CPN_OK)
        return;
    json_object_set_new(body, "principalId", json_string(principal));
    text = json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS);
    inv_guid(text, guid);
    /* Not part of what it is called by: another limit changes it, and makes no second one. */
    if (read_limit(i, entry, "max_upload", "maxUploadBytes", body) != CPN_OK ||
        read_limit(i, entry, "max_download", "maxDownloadBytes", body) != CPN_OK)
        return;
    snprintf(id, sizeof(id), "%s/providers/Microsoft.Authorization/roleAssignments/%s", scope,
             guid);
    if (inv_add(i, INV_ASSIGNMENT, entry, cpn_view_str(guid), id))
        inv_document(i, CPN_KIND_ASSIGNMENT, id, cpn_steal(&body));
}
