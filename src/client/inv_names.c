/* Names, ids, and what they mean within one inventory file. */
#include "client/inv.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "model/uuid.h"

static char *
lower_dup(const char *text, size_t n)
{
    char *out = cpn_xstrndup(text, n);

    for (char *p = out; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    return out;
}

static void
network_free(inv_network *n)
{
    if (!n)
        return;
    free(n->prefixes);
    free(n->where);
    free(n->peers);
    free(n);
}

void
inv_fini(inv *i)
{
    inv_addr *a, *next;

    HASH_CLEAR(by_id, i->things);
    HASH_CLEAR(by_name, i->names);
    while (i->last) {
        inv_thing *t = i->last;

        i->last = t->before;
        network_free(t->network);
        free(t->id);
        free(t->id_lower);
        free(t->name);
        free(t->name_lower);
        free(t);
    }
    HASH_ITER (hh, i->addrs, a, next) {
        HASH_DEL(i->addrs, a);
        while (a) {
            inv_addr *same = a->same;

            free(a);
            a = same;
        }
    }
}

const char *
inv_kind_words(unsigned kinds)
{
    static const struct {
        unsigned kinds;
        const char *words;
    } all[] = {
        { INV_SUBSCRIPTION, "a subscription" },
        { INV_GROUP, "a group" },
        { INV_NETWORK, "a network" },
        { INV_NIC, "an interface" },
        { INV_MACHINE, "a machine" },
        { INV_SCALE_SET, "a scale set" },
        { INV_BASTION, "a bastion" },
        { INV_USER, "a user" },
        { INV_SERVICE, "a service principal" },
        { INV_USER_GROUP, "a user group" },
        { INV_ROLE, "a role" },
        { INV_ASSIGNMENT, "an assignment" },
        { INV_PEOPLE, "a user or service principal" },
        { INV_PEOPLE | INV_USER_GROUP, "a user, service principal or user group" },
    };

    for (size_t n = 0; n < CPN_COUNT(all); n++)
        if (all[n].kinds == kinds)
            return all[n].words;
    return "a group, machine, network, bastion or subscription";
}

inv_thing *
inv_add(inv *i, inv_kind kind, const cpn_yaml_node *at, cpn_view name, const char *id)
{
    char *id_lower = lower_dup(id, strlen(id));
    inv_thing *t, *other;

    HASH_FIND(by_id, i->things, id_lower, strlen(id_lower), other);
    if (other) {
        (void)cpn_yaml_error(i->e, at,
                             "%s of this name stands in line %u already (expected each once)",
                             inv_kind_words(kind), (unsigned)other->at->line);
        free(id_lower);
        return NULL;
    }
    t = cpn_xcalloc(1, sizeof(*t));
    *t = (inv_thing){ .kind = kind,
                      .id = cpn_xstrdup(id),
                      .id_lower = id_lower,
                      .name = cpn_xstrndup((const char *)name.p, name.n),
                      .name_lower = lower_dup((const char *)name.p, name.n),
                      .at = at,
                      .before = i->last };
    i->last = t;
    HASH_ADD_KEYPTR(by_id, i->things, t->id_lower, strlen(t->id_lower), t);
    HASH_FIND(by_name, i->names, t->name_lower, strlen(t->name_lower), other);
    if (other) {
        t->same = other->same;
        other->same = t;
    } else {
        HASH_ADD_KEYPTR(by_name, i->names, t->name_lower, strlen(t->name_lower), t);
    }
    return t;
}

/* By full id: what the file has, else whatever the gateway has. */
static cpn_rc
ref_id(inv *i, unsigned kinds, const cpn_yaml_node *at, cpn_view text, const char **id,
       const inv_thing **thing)
{
    char *key = lower_dup((const char *)text.p, text.n);
    inv_thing *t;
    cpn_err err = { 0 };

    HASH_FIND(by_id, i->things, key, strlen(key), t);
    free(key);
    if (t && (t->kind & kinds)) {
        *id = t->id;
        *thing = t;
        return CPN_OK;
    }
    if (t || cpn_resource_id_parse(&(cpn_resource_id){ 0 }, text, &err) != CPN_OK)
        return cpn_yaml_error(i->e, at, "'%.*s' is not the id of %s%s%s", CPN_VIEW_ARG(text),
                              inv_kind_words(kinds), err.msg[0] ? ": " : "", err.msg);
    /* Kept as a name of nothing, so that somebody owns the text. */
    t = cpn_xcalloc(1, sizeof(*t));
    t->before = i->last;
    t->id = cpn_xstrndup((const char *)text.p, text.n);
    i->last = t;
    *id = t->id;
    *thing = NULL;
    return CPN_OK;
}

/* A principal that the gateway has and the file does not list. */
static const char *
known_id(const inv *i, unsigned kinds, const char *name)
{
    static const struct {
        unsigned kind;
        const char *type;
    } types[] = { { INV_USER, "User" },
                  { INV_SERVICE, "ServicePrincipal" },
                  { INV_USER_GROUP, "Group" } };
    const json_t *row;
    size_t at;

    json_array_foreach((json_t *)i->known, at, row)
    {
        const char *has = json_string_value(json_object_get(row, "name"));
        const char *type = json_string_value(json_object_get(row, "type"));

        for (size_t k = 0; has && type && k < CPN_COUNT(types); k++)
            if ((types[k].kind & kinds) && strcmp(type, types[k].type) == 0 &&
                strcasecmp(has, name) == 0)
                return json_string_value(json_object_get(row, "id"));
    }
    return NULL;
}

/* Of several things with a name, the one that is spelt exactly so wins. */
static cpn_rc
ref_name(inv *i, unsigned kinds, const cpn_yaml_node *at, cpn_view text, const char **id,
         const inv_thing **thing)
{
    CPN_AUTO(cpn_auto_mem) char *key = lower_dup((const char *)text.p, text.n);
    const inv_thing *found = NULL;
    const inv_thing *other = NULL;
    const inv_thing *t;

    HASH_FIND(by_name, i->names, key, strlen(key), t);
    for (; t; t = t->same) {
        if (!(t->kind & kinds))
            continue;
        if (found && cpn_view_is(text, found->name) != cpn_view_is(text, t->name)) {
            found = cpn_view_is(text, t->name) ? t : found;
            continue;
        }
        other = found;
        found = t;
    }
    if (other && cpn_view_is(text, other->name) == cpn_view_is(text, found->name))
        return cpn_yaml_error(i->e, at, "'%.*s' means %s and %s (expected a full id)",
                              CPN_VIEW_ARG(text), found->id, other->id);
    *thing = found;
    *id = found ? found->id : (kinds & INV_PEOPLE) ? known_id(i, kinds, key) : NULL;
    if (!*id)
        return cpn_yaml_error(i->e, at,
                              "'%.*s' is nowhere in this file (expected the name of %s, or an id)",
                              CPN_VIEW_ARG(text), inv_kind_words(kinds));
    return CPN_OK;
}

cpn_rc
inv_ref(inv *i, unsigned kinds, const cpn_yaml_node *at, const char **id, const inv_thing **thing)
{
    const inv_thing *ignored;
    cpn_view text;
    cpn_rc rc = cpn_yaml_string(at, &text, i->e);

    if (!thing)
        thing = &ignored;
    if (rc != CPN_OK)
        return rc;
    if (text.n > 0 && text.p[0] == '/')
        return ref_id(i, kinds, at, text, id, thing);
    return ref_name(i, kinds, at, text, id, thing);
}

void
inv_guid(const char *text, char out[40])
{
    char shown[CPN_UUID_TEXT];
    cpn_uuid u;

    cpn_uuid_of_name(&u, cpn_view_str(text));
    snprintf(out, 40, "%s", cpn_uuid_text(&u, shown));
}
