/* Reads how a provider elsewhere calls a principal: a user or service by issuer and subject, a
 * group by a value of the groups claim. */
#include <stdio.h>

#include "policy/doc.h"

#define ISSUER_MAX 200
#define SUBJECT_MAX 255

static const cpn_field user_fields[] = {
    { "issuer", CPN_FIELD_STRING, true },
    { "subject", CPN_FIELD_STRING, true },
    { "groups", CPN_FIELD_ARRAY, false },     /* of the last sign-in */
    { "provisioned", CPN_FIELD_BOOL, false }, /* a sign-in made this user, not an administrator */
};
static const cpn_field service_fields[] = {
    { "issuer", CPN_FIELD_STRING, true },
    { "subject", CPN_FIELD_STRING, true },
};

static cpn_rc
read_groups(cpn_doc *d, const cpn_shape *s, const json_t *list)
{
    size_t n = json_array_size(list);
    char at[CPN_PATH_MAX];
    cpn_rc rc;

    if ((rc = cpn_shape_count(s, "body.external.groups", list, 0, CPN_EXTERNAL_MAX)) != CPN_OK)
        return rc;
    d->as.principal.external_groups = cpn_xcalloc(n + 1, sizeof(char *));
    for (size_t i = 0; i < n; i++) {
        cpn_shape_at(at, "body.external.groups", i);
        if ((rc = cpn_shape_text(s, at, json_array_get(list, i), CPN_TEXT_MAX,
                                 &d->as.principal.external_groups[i])) != CPN_OK)
            return rc;
    }
    d->as.principal.external_groups_n = (unsigned)n;
    return CPN_OK;
}

static cpn_rc
read_subject(cpn_doc *d, const cpn_shape *s, const json_t *external)
{
    bool user = d->as.principal.kind == CPN_PRINCIPAL_USER;
    const json_t *groups = json_object_get(external, "groups");
    const char *issuer, *subject;
    char key[ISSUER_MAX + SUBJECT_MAX + 2];
    cpn_rc rc;

    if ((rc = cpn_shape_fields(s, "body.external", external, user ? user_fields : service_fields,
                               user ? CPN_COUNT(user_fields) : CPN_COUNT(service_fields))) !=
            CPN_OK ||
        (rc = cpn_shape_text(s, "body.external.issuer", json_object_get(external, "issuer"),
                             ISSUER_MAX, &issuer)) != CPN_OK ||
        (rc = cpn_shape_text(s, "body.external.subject", json_object_get(external, "subject"),
                             SUBJECT_MAX, &subject)) != CPN_OK)
        return rc;
    snprintf(key, sizeof(key), "%s\n%s", issuer, subject);
    d->as.principal.external_key = cpn_xstrdup(key);
    return groups ? read_groups(d, s, groups) : CPN_OK;
}

cpn_rc
cpn_read_external(cpn_doc *d, const cpn_shape *s)
{
    const json_t *external = json_object_get(d->body, "external");
    const char *value;
    cpn_rc rc;

    if (!external)
        return CPN_OK;
    if (d->as.principal.kind != CPN_PRINCIPAL_GROUP)
        return read_subject(d, s, external);
    if ((rc = cpn_shape_text(s, "body.external", external, CPN_TEXT_MAX, &value)) == CPN_OK)
        d->as.principal.external_key = cpn_xstrdup(value);
    return rc;
}
