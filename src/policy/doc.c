/* Makes, counts and frees documents, and reads their ids. */
#include "policy/doc.h"

#include <stdio.h>
#include <stdlib.h>

#include "codec/chars.h"
#include "policy/hash.h"

#define ID_SHOWN_MAX 400

static cpn_doc_read_fn *const readers[CPN_K_N] = {
    [CPN_K_SUBSCRIPTION] = cpn_read_subscription, [CPN_K_GROUP] = cpn_read_group,
    [CPN_K_NETWORK] = cpn_read_network,           [CPN_K_NIC] = cpn_read_nic,
    [CPN_K_SCALE_SET] = cpn_read_scale_set,       [CPN_K_MACHINE] = cpn_read_machine,
    [CPN_K_BASTION] = cpn_read_bastion,           [CPN_K_PRINCIPAL] = cpn_read_principal,
    [CPN_K_CREDENTIAL] = cpn_read_credential,     [CPN_K_ROLE] = cpn_read_role,
    [CPN_K_ASSIGNMENT] = cpn_read_assignment,
};

void
cpn_lower(char *s)
{
    for (; *s; s++)
        if (*s >= 'A' && *s <= 'Z')
            *s = (char)(*s | 0x20);
}

char *
cpn_lower_dup(cpn_view v)
{
    char *s = cpn_xstrndup((const char *)v.p, v.n);

    cpn_lower(s);
    return s;
}

unsigned
cpn_ref_hash(const char *lower, size_t n)
{
    return cpn_hash_bytes(lower, n);
}

void
cpn_ref_set(cpn_ref *r, cpn_view id)
{
    r->lower = cpn_lower_dup(id);
    r->n = (unsigned)id.n;
    r->hash = cpn_ref_hash(r->lower, id.n);
}

/* ---- ids ---- */

static cpn_rc
bad_id(const cpn_shape *s, const char *expected)
{
    return cpn_fail(s->err, CPN_INVALID, "%s %s: the id is not one of its kind: expected %s",
                    s->kind, s->id, expected);
}

static cpn_rc
read_resource_id(cpn_doc *d, const cpn_shape *s)
{
    cpn_view text = cpn_view_str(d->id), within = { 0 };
    cpn_resource_id id;
    cpn_err why;

    if (cpn_resource_id_parse(&id, text, &why) != CPN_OK)
        return cpn_fail(s->err, CPN_INVALID, "%s %s: %s", s->kind, s->id, why.msg);
    if (cpn_kind_of(&id) != d->kind)
        return bad_id(s, d->kind == CPN_K_SUBSCRIPTION ? "/subscriptions/GUID"
                         : d->kind == CPN_K_GROUP
                             ? "/subscriptions/S/resourceGroups/NAME"
                             : "/subscriptions/S/resourceGroups/G/providers/… of this kind");
    if (d->kind == CPN_K_SUBSCRIPTION && !cpn_is_guid(id.subscription))
        return bad_id(s, "/subscriptions/GUID");
    if (d->kind == CPN_K_GROUP)
        within = id.subscription;
    else if (id.subtype.n)
        within = id.name;
    else
        within = id.group;
    if (within.n)
        cpn_ref_set(&d->parent, (cpn_view){ text.p, (size_t)(within.p + within.n - text.p) });
    d->name = strrchr(d->id, '/') + 1;
    return CPN_OK;
}

static cpn_rc
read_guid_id(cpn_doc *d, const cpn_shape *s)
{
    if (!cpn_is_guid(cpn_view_str(d->id)))
        return bad_id(s, "an object id (a GUID)");
    d->name = d->id;
    if (d->kind == CPN_K_CREDENTIAL)
        cpn_ref_set(&d->parent, cpn_view_str(d->id));
    return CPN_OK;
}

static cpn_rc
read_role_id(cpn_doc *d, const cpn_shape *s)
{
    cpn_view id = cpn_view_str(d->id);
    cpn_view last = cpn_view_skip(id, sizeof(CPN_ROLE_PREFIX) - 1);

    if (!cpn_view_starts_nocase(id, CPN_ROLE_PREFIX) || last.n == 0 || last.n > CPN_NAME_MAX)
        return bad_id(s, "/providers/Microsoft.Authorization/roleDefinitions/NAME");
    for (size_t i = 0; i < last.n; i++)
        if (!cpn_is_alnum(last.p[i]) && last.p[i] != '-' && last.p[i] != '_' && last.p[i] != '.')
            return bad_id(s, "a name of letters, digits and . _ - behind roleDefinitions/");
    d->name = (const char *)last.p;
    return CPN_OK;
}

static cpn_rc
read_assignment_id(cpn_doc *d, const cpn_shape *s)
{
    size_t n = strlen(d->id), tail = sizeof(CPN_ASSIGNMENT_INFIX) - 1 + 36;
    cpn_view id = cpn_view_str(d->id), scope;
    cpn_resource_id parsed;

    if (n < tail || !cpn_view_starts_nocase(cpn_view_skip(id, n - tail), CPN_ASSIGNMENT_INFIX) ||
        !cpn_is_guid(cpn_view_skip(id, n - 36)))
        return bad_id(s, "SCOPE/providers/Microsoft.Authorization/roleAssignments/GUID");
    scope = (cpn_view){ id.p, n - tail };
    if (scope.n && cpn_resource_id_parse(&parsed, scope, NULL) != CPN_OK)
        return bad_id(s, "a resource id as the scope in front of /providers/…, or none");
    if (scope.n)
        cpn_ref_set(&d->as.assignment.scope, scope);
    d->name = d->id + n - 36;
    return CPN_OK;
}

static cpn_rc
read_id(cpn_doc *d, const cpn_shape *s)
{
    switch (d->kind) {
    case CPN_K_PRINCIPAL:
    case CPN_K_CREDENTIAL:
        return read_guid_id(d, s);
    case CPN_K_ROLE:
        return read_role_id(d, s);
    case CPN_K_ASSIGNMENT:
        return read_assignment_id(d, s);
    default:
        return read_resource_id(d, s);
    }
}

/* ---- life ---- */

/* An id is quoted before it is known to be one: nothing but visible ASCII leaves here. */
static const char *
show_id(char out[ID_SHOWN_MAX], const char *id)
{
    snprintf(out, ID_SHOWN_MAX, "%s", id);
    for (char *p = out; *p; p++)
        if (!cpn_is_print((uint8_t)*p))
            *p = '?';
    return out;
}

cpn_rc
cpn_doc_new(cpn_doc **out, cpn_kind kind, const char *id, const json_t *body, bool allow_loopback,
            cpn_err *err)
{
    CPN_AUTO(cpn_doc_auto) cpn_doc *d = cpn_xcalloc(1, sizeof(*d));
    char shown[ID_SHOWN_MAX];
    cpn_shape s = { cpn_kind_name(kind), show_id(shown, id), err };
    cpn_rc rc;

    d->refs = 1;
    d->kind = kind;
    if (strlen(id) > CPN_ID_MAX)
        return cpn_fail(err, CPN_INVALID, "%s: an id is longer than %d bytes", s.kind, CPN_ID_MAX);
    d->id = cpn_xstrdup(id);
    if ((rc = read_id(d, &s)) != CPN_OK)
        return rc;
    cpn_ref_set(&d->self, cpn_view_str(id));
    d->body = json_deep_copy(body);
    if (!d->body)
        return cpn_fail(err, CPN_E_NOMEM, "copying %s", s.kind);
    if ((rc = readers[kind](d, &s, allow_loopback)) != CPN_OK)
        return rc;
    *out = cpn_steal(&d);
    return CPN_OK;
}

cpn_doc *
cpn_doc_ref(cpn_doc *d)
{
    d->refs++;
    return d;
}

static void
free_typed(cpn_doc *d)
{
    switch (d->kind) {
    case CPN_K_NETWORK:
        free(d->as.network.prefixes);
        break;
    case CPN_K_MACHINE:
        free(d->as.host_keys);
        break;
    case CPN_K_BASTION:
        free(d->as.bastion.ports);
        break;
    case CPN_K_PRINCIPAL:
        free(d->as.principal.name_lower);
        free(d->as.principal.app_id);
        free(d->as.principal.external_key);
        free((void *)d->as.principal.external_groups);
        break;
    case CPN_K_ROLE:
        free((void *)d->as.role.role.actions);
        free((void *)d->as.role.role.not_actions);
        free((void *)d->as.role.role.data_actions);
        free(d->as.role.name_lower);
        break;
    case CPN_K_ASSIGNMENT:
        free(d->as.assignment.scope.lower);
        free(d->as.assignment.role);
        break;
    default:
        break;
    }
}

void
cpn_doc_free(cpn_doc *d)
{
    if (!d || --d->refs > 0)
        return;
    free_typed(d);
    for (unsigned i = 0; i < d->links_n; i++)
        free(d->links[i].lower);
    free(d->links);
    free(d->parent.lower);
    free(d->self.lower);
    free(d->id);
    json_decref(d->body);
    free(d);
}

/* ---- links ---- */

static bool
is_of_kind(const char *text, cpn_kind kind)
{
    cpn_resource_id id;

    if (kind == CPN_K_PRINCIPAL)
        return cpn_is_guid(cpn_view_str(text));
    return cpn_resource_id_parse(&id, cpn_view_str(text), NULL) == CPN_OK &&
           cpn_kind_of(&id) == kind;
}

cpn_rc
cpn_doc_link(cpn_doc *d, const cpn_shape *s, const char *path, const json_t *value, cpn_kind kind)
{
    const char *text = json_string_value(value);

    if (!text || strlen(text) != json_string_length(value) || !is_of_kind(text, kind))
        return cpn_shape_bad(s, path, value,
                             kind == CPN_K_NETWORK ? "a virtual network's id"
                             : kind == CPN_K_NIC   ? "a network interface's id"
                                                   : "an object id (a GUID)");
    d->links = cpn_xrealloc(d->links, d->links_n + 1, sizeof(*d->links));
    cpn_ref_set(&d->links[d->links_n++], cpn_view_str(text));
    return CPN_OK;
}

static int
by_text(const void *a, const void *b)
{
    return strcmp((*(const cpn_ref *const *)a)->lower, (*(const cpn_ref *const *)b)->lower);
}

/* Sorted copies of the pointers, so that ten thousand members cost no quadratic search. */
static const cpn_ref *
find_twice(const cpn_doc *d)
{
    CPN_AUTO(cpn_auto_mem) const cpn_ref **sorted = cpn_xcalloc(d->links_n, sizeof(*sorted));

    for (unsigned i = 0; i < d->links_n; i++)
        sorted[i] = &d->links[i];
    qsort(sorted, d->links_n, sizeof(*sorted), by_text);
    for (unsigned i = 1; i < d->links_n; i++)
        if (strcmp(sorted[i - 1]->lower, sorted[i]->lower) == 0)
            return sorted[i];
    return NULL;
}

cpn_rc
cpn_doc_links(cpn_doc *d, const cpn_shape *s, const char *key, cpn_kind kind, size_t min,
              size_t max)
{
    const json_t *list = json_object_get(d->body, key);
    char path[CPN_PATH_MAX], at[CPN_PATH_MAX];
    const cpn_ref *twice;
    cpn_rc rc;

    if (!list)
        return CPN_OK;
    snprintf(path, sizeof(path), "body.%s", key);
    if ((rc = cpn_shape_count(s, path, list, min, max)) != CPN_OK)
        return rc;
    for (size_t i = 0; i < json_array_size(list); i++)
        if ((rc = cpn_doc_link(d, s, cpn_shape_at(at, path, i), json_array_get(list, i), kind)) !=
            CPN_OK)
            return rc;
    if (d->links_n > 1 && (twice = find_twice(d)))
        return cpn_fail(s->err, CPN_INVALID, "%s %s: %s: found %s twice, expected each once",
                        s->kind, s->id, path, twice->lower);
    return CPN_OK;
}
