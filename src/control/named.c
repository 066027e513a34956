/* Finds resources and principals by what people call them. */
#include "control/named.h"

#include <stdio.h>
#include <strings.h>

typedef struct search {
    const char *name;
    const char *found;
    unsigned n;
    json_t *all;
} search;

bool
cpn_last_name_is(const char *id, const char *name)
{
    const char *slash = strrchr(id, '/');

    return strcasecmp(slash ? slash + 1 : id, name) == 0;
}

static bool
look(void *owner, const char *id, const json_t *body)
{
    search *s = owner;

    (void)body;
    if (!cpn_last_name_is(id, s->name))
        return true;
    s->found = id;
    s->n++;
    if (s->all && json_array_size(s->all) < CPN_CANDIDATES_MAX)
        json_array_append_new(s->all, json_string(id));
    return true;
}

typedef struct exact {
    const char *want;
    const char *found;
} exact;

static bool
look_exact(void *owner, const char *id, const json_t *body)
{
    exact *e = owner;

    (void)body;
    if (strcasecmp(id, e->want) == 0)
        e->found = id;
    return !e->found;
}

cpn_rc
cpn_named_resource(const cpn_snapshot *s, const cpn_principal *who, const char *kind,
                   const char *name, char id[CPN_ID_MAX + 1], json_t **candidates)
{
    search by_name = { .name = name };
    exact by_id = { .want = name };
    const char *found;

    id[0] = '\0';
    if (name[0] == '/') {
        if (cpn_snapshot_document(s, kind, cpn_view_str(name)))
            cpn_snapshot_each(s, kind, who, look_exact, &by_id);
        found = by_id.found;
    } else {
        by_name.all = json_array();
        cpn_snapshot_each(s, kind, who, look, &by_name);
        found = by_name.found;
    }
    if (by_name.n > 1) {
        if (candidates)
            *candidates = by_name.all;
        else
            json_decref(by_name.all);
        return CPN_EXISTS;
    }
    json_decref(by_name.all);
    if (!found)
        return CPN_NOT_FOUND;
    snprintf(id, CPN_ID_MAX + 1, "%s", found);
    return CPN_OK;
}

typedef struct person {
    const cpn_snapshot *s;
    const char *name;
    const cpn_principal *found;
    unsigned n;
} person;

static bool
look_person(void *owner, const char *id, const json_t *body)
{
    person *p = owner;

    if (strcasecmp(cpn_json_string(body, "name"), p->name) == 0) {
        p->found = cpn_snapshot_principal(p->s, cpn_view_str(id));
        p->n++;
    }
    return true;
}

cpn_rc
cpn_named_principal(const cpn_snapshot *s, const char *name, const cpn_principal **out)
{
    person p = { .s = s, .name = name };

    *out = cpn_snapshot_principal(s, cpn_view_str(name));
    if (!*out)
        *out = cpn_snapshot_principal_by_name(s, cpn_view_str(name));
    if (*out)
        return CPN_OK;
    cpn_snapshot_each(s, CPN_KIND_PRINCIPAL, NULL, look_person, &p);
    *out = p.found;
    return p.n > 1 ? CPN_EXISTS : p.found ? CPN_OK : CPN_NOT_FOUND;
}
