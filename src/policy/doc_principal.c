/* Reads the bodies of principals and credentials. */
#include <stdlib.h>

#include "policy/doc.h"

static const cpn_field user_fields[] = {
    { "type", CPN_FIELD_STRING, true },          { "name", CPN_FIELD_STRING, true },
    { "enabled", CPN_FIELD_BOOL, true },         { "displayName", CPN_FIELD_STRING, false },
    { "sessionsMax", CPN_FIELD_INTEGER, false }, { "external", CPN_FIELD_OBJECT, false },
};
static const cpn_field service_fields[] = {
    { "type", CPN_FIELD_STRING, true },          { "name", CPN_FIELD_STRING, true },
    { "enabled", CPN_FIELD_BOOL, true },         { "displayName", CPN_FIELD_STRING, false },
    { "sessionsMax", CPN_FIELD_INTEGER, false }, { "appId", CPN_FIELD_STRING, true },
    { "external", CPN_FIELD_OBJECT, false },
};
static const cpn_field group_fields[] = {
    { "type", CPN_FIELD_STRING, true },         { "name", CPN_FIELD_STRING, true },
    { "displayName", CPN_FIELD_STRING, false }, { "members", CPN_FIELD_ARRAY, true },
    { "external", CPN_FIELD_STRING, false },
};

static const struct {
    const char *word;
    const cpn_field *fields;
    size_t n;
} types[] = {
    [CPN_PRINCIPAL_USER] = { "User", user_fields, CPN_COUNT(user_fields) },
    [CPN_PRINCIPAL_SERVICE] = { "ServicePrincipal", service_fields, CPN_COUNT(service_fields) },
    [CPN_PRINCIPAL_GROUP] = { "Group", group_fields, CPN_COUNT(group_fields) },
};

static cpn_rc
read_type(cpn_doc *d, const cpn_shape *s)
{
    const json_t *v = json_object_get(d->body, "type");
    cpn_principal_kind k;

    if (!json_is_object(d->body))
        return cpn_shape_bad(s, "body", d->body, "an object");
    for (k = CPN_PRINCIPAL_USER; k <= CPN_PRINCIPAL_GROUP; k++)
        if (json_is_string(v) && strcmp(types[k].word, json_string_value(v)) == 0)
            break;
    if (k > CPN_PRINCIPAL_GROUP)
        return cpn_shape_bad(s, "body.type", v, "one of User, ServicePrincipal, Group");
    d->as.principal.kind = k;
    return cpn_shape_fields(s, "body", d->body, types[k].fields, types[k].n);
}

static cpn_rc
read_app_id(cpn_doc *d, const cpn_shape *s)
{
    const json_t *v = json_object_get(d->body, "appId");
    cpn_view text = cpn_view_str(json_string_value(v));

    if (d->as.principal.kind != CPN_PRINCIPAL_SERVICE)
        return CPN_OK;
    if (json_string_length(v) != text.n || !cpn_is_guid(text))
        return cpn_shape_bad(s, "body.appId", v, "a GUID");
    d->as.principal.app_id = cpn_lower_dup(text);
    return CPN_OK;
}

cpn_rc
cpn_read_principal(cpn_doc *d, const cpn_shape *s, bool allow_loopback)
{
    const json_t *v;
    const char *display;
    cpn_rc rc;

    (void)allow_loopback;
    if ((rc = read_type(d, s)) != CPN_OK ||
        (rc = cpn_shape_text(s, "body.name", json_object_get(d->body, "name"), CPN_TEXT_MAX,
                             &d->as.principal.name)) != CPN_OK)
        return rc;
    d->as.principal.name_lower = cpn_lower_dup(cpn_view_str(d->as.principal.name));
    v = json_object_get(d->body, "displayName");
    if (v && (rc = cpn_shape_text(s, "body.displayName", v, CPN_TEXT_MAX, &display)) != CPN_OK)
        return rc;
    v = json_object_get(d->body, "sessionsMax");
    if (v && (rc = cpn_shape_uint(s, "body.sessionsMax", v, 0, CPN_SESSIONS_MAX_MAX,
                                  &d->as.principal.sessions_max)) != CPN_OK)
        return rc;
    d->as.principal.enabled = json_is_true(json_object_get(d->body, "enabled"));
    if ((rc = read_app_id(d, s)) != CPN_OK || (rc = cpn_read_external(d, s)) != CPN_OK)
        return rc;
    return cpn_doc_links(d, s, "members", CPN_K_PRINCIPAL, 0, CPN_GROUP_MEMBERS_MAX);
}

cpn_rc
cpn_read_credential(cpn_doc *d, const cpn_shape *s, bool allow_loopback)
{
    static const cpn_field fields[] = { { "argon2id", CPN_FIELD_SECRET, false },
                                        { "signInsSince", CPN_FIELD_INTEGER, false } };
    const json_t *v;
    cpn_rc rc;

    (void)allow_loopback;
    if ((rc = cpn_shape_fields(s, "body", d->body, fields, CPN_COUNT(fields))) != CPN_OK)
        return rc;
    v = json_object_get(d->body, "signInsSince");
    if (json_integer_value(v) < 0)
        return cpn_shape_bad(s, "body.signInsSince", v, "a policy epoch");
    d->as.sign_ins_since = (uint64_t)json_integer_value(v);
    v = json_object_get(d->body, "argon2id");
    if (!v)
        return CPN_OK;
    if (json_string_length(v) > CPN_PHC_MAX ||
        strlen(json_string_value(v)) != json_string_length(v) ||
        strncmp(json_string_value(v), "$argon2id$", 10) != 0)
        return cpn_fail(s->err, CPN_INVALID,
                        "%s %s: body.argon2id: expected an argon2id hash in PHC form", s->kind,
                        s->id);
    return CPN_OK;
}
