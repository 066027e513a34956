/* Reads the bodies of role definitions and role assignments. */
#include <stdio.h>
#include <stdlib.h>

#include "policy/doc.h"

static cpn_rc
read_actions(const char *const **out, const cpn_doc *d, const cpn_shape *s, const char *key)
{
    const json_t *list = json_object_get(d->body, key);
    char path[CPN_PATH_MAX], at[CPN_PATH_MAX];
    const char **actions;
    cpn_rc rc;

    snprintf(path, sizeof(path), "body.%s", key);
    if ((rc = cpn_shape_count(s, path, list, 0, CPN_ROLE_ACTIONS_MAX)) != CPN_OK)
        return rc;
    actions = cpn_xcalloc(json_array_size(list) + 1, sizeof(*actions));
    *out = actions; /* the document owns it from here */
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *v = json_array_get(list, i);
        const char *text = json_string_value(v);

        if (!text || strlen(text) != json_string_length(v) || !cpn_action_pattern_ok(text))
            return cpn_shape_bad(s, cpn_shape_at(at, path, i), v,
                                 "an action such as Microsoft.Network/bastionHosts/*");
        actions[i] = text;
    }
    return CPN_OK;
}

cpn_rc
cpn_read_role(cpn_doc *d, const cpn_shape *s, bool allow_loopback)
{
    static const cpn_field fields[] = { { "roleName", CPN_FIELD_STRING, true },
                                        { "actions", CPN_FIELD_ARRAY, true },
                                        { "notActions", CPN_FIELD_ARRAY, false },
                                        { "dataActions", CPN_FIELD_ARRAY, false } };
    cpn_role_def *r = &d->as.role.role;
    cpn_rc rc;

    (void)allow_loopback;
    if ((rc = cpn_shape_fields(s, "body", d->body, fields, CPN_COUNT(fields))) != CPN_OK ||
        (rc = cpn_shape_text(s, "body.roleName", json_object_get(d->body, "roleName"),
                             CPN_ROLE_NAME_MAX, &r->name)) != CPN_OK)
        return rc;
    if (strchr(r->name, '/'))
        return cpn_shape_bad(s, "body.roleName", json_object_get(d->body, "roleName"),
                             "a name without /");
    d->as.role.name_lower = cpn_lower_dup(cpn_view_str(r->name));
    r->guid = strrchr(d->self.lower, '/') + 1;
    if ((rc = read_actions(&r->actions, d, s, "actions")) != CPN_OK ||
        (rc = read_actions(&r->not_actions, d, s, "notActions")) != CPN_OK)
        return rc;
    return read_actions(&r->data_actions, d, s, "dataActions");
}

const char *
cpn_role_key(const char *lower)
{
    const char *at = strstr(lower, CPN_ROLE_PREFIX);

    if (lower[0] != '/')
        return lower;
    return at ? at + sizeof(CPN_ROLE_PREFIX) - 1 : NULL;
}

/* A role by its name, its GUID, or the id of its definition (which may stand below a scope). */
static cpn_rc
read_role_name(cpn_doc *d, const cpn_shape *s, const json_t *v)
{
    const char *text, *key;
    cpn_rc rc;

    if ((rc = cpn_shape_text(s, "body.role", v, CPN_ID_MAX, &text)) != CPN_OK)
        return rc;
    d->as.assignment.role = cpn_lower_dup(cpn_view_str(text));
    if (!(key = cpn_role_key(d->as.assignment.role)))
        return cpn_shape_bad(s, "body.role", v, "a role's name, GUID or definition id");
    memmove(d->as.assignment.role, key, strlen(key) + 1);
    return CPN_OK;
}

static cpn_rc
read_effect(cpn_doc *d, const cpn_shape *s, const json_t *v)
{
    const char *text = v ? json_string_value(v) : "Allow";

    d->as.assignment.deny = strcmp(text, "Deny") == 0;
    if (d->as.assignment.deny || strcmp(text, "Allow") == 0)
        return CPN_OK;
    return cpn_shape_bad(s, "body.effect", v, "Allow or Deny");
}

/* Left out: no limit. */
static cpn_rc
read_limit(const cpn_doc *d, const cpn_shape *s, const char *key, uint64_t *out)
{
    const json_t *v = json_object_get(d->body, key);
    char path[CPN_PATH_MAX];

    *out = CPN_NO_LIMIT;
    if (!v)
        return CPN_OK;
    snprintf(path, sizeof(path), "body.%s", key);
    if (d->as.assignment.deny)
        return cpn_shape_bad(s, path, v, "no limit where everything is denied");
    if (json_integer_value(v) < 1 || json_integer_value(v) > CPN_LIMIT_BYTES_MAX)
        return cpn_shape_bad(s, path, v, "bytes from 1 to 9007199254740992");
    *out = (uint64_t)json_integer_value(v);
    return CPN_OK;
}

cpn_rc
cpn_read_assignment(cpn_doc *d, const cpn_shape *s, bool allow_loopback)
{
    static const cpn_field fields[] = { { "principalId", CPN_FIELD_STRING, true },
                                        { "role", CPN_FIELD_STRING, true },
                                        { "effect", CPN_FIELD_STRING, false },
                                        { "description", CPN_FIELD_STRING, false },
                                        { "window", CPN_FIELD_OBJECT, false },
                                        { "maxUploadBytes", CPN_FIELD_INTEGER, false },
                                        { "maxDownloadBytes", CPN_FIELD_INTEGER, false } };
    cpn_byte_limits *limits = &d->as.assignment.limits;
    const json_t *window, *described = json_object_get(d->body, "description");
    const char *text;
    cpn_rc rc;

    (void)allow_loopback;
    if ((rc = cpn_shape_fields(s, "body", d->body, fields, CPN_COUNT(fields))) != CPN_OK ||
        (described && (rc = cpn_shape_text(s, "body.description", described, CPN_DESCRIPTION_MAX,
                                           &text)) != CPN_OK) ||
        (rc = cpn_doc_link(d, s, "body.principalId", json_object_get(d->body, "principalId"),
                           CPN_K_PRINCIPAL)) != CPN_OK ||
        (rc = read_role_name(d, s, json_object_get(d->body, "role"))) != CPN_OK ||
        (rc = read_effect(d, s, json_object_get(d->body, "effect"))) != CPN_OK ||
        (rc = read_limit(d, s, "maxUploadBytes", &limits->up)) != CPN_OK ||
        (rc = read_limit(d, s, "maxDownloadBytes", &limits->down)) != CPN_OK)
        return rc;
    window = json_object_get(d->body, "window");
    return window ? cpn_window_read(&d->as.assignment.window, s, "body.window", window) : CPN_OK;
}
