/* Finds principals by what a provider calls them. */
#include <stdio.h>

#include "policy/snapshot_impl.h"

static void
add_external(cpn_snapshot *s, cpn_name_slot *slot, cpn_node *n, cpn_problems *p)
{
    const char *key = n->doc->as.principal.external_key;
    bool group = n->doc->as.principal.kind == CPN_PRINCIPAL_GROUP;
    cpn_name_slot *other = NULL;
    const cpn_node *first;

    HASH_FIND_STR(s->by_external, key, other);
    if (other) {
        first = other->is;
        cpn_problem(p, "principal %s: the %s %s of the provider is already that of %s", n->doc->id,
                    group ? "group" : "subject", group ? key : strchr(key, '\n') + 1,
                    first->doc->id);
        return;
    }
    slot->key = key;
    slot->is = n;
    HASH_ADD_KEYPTR(hh, s->by_external, slot->key, strlen(slot->key), slot);
}

void
cpn_seal_external(cpn_snapshot *s, cpn_problems *p)
{
    s->external_slots = cpn_xcalloc(s->n[CPN_K_PRINCIPAL] + 1u, sizeof(*s->external_slots));
    for (unsigned i = 0; i < s->n[CPN_K_PRINCIPAL]; i++) {
        cpn_node *n = &s->nodes[CPN_K_PRINCIPAL][i];

        if (n->doc->as.principal.external_key)
            add_external(s, &s->external_slots[i], n, p);
    }
}

static const cpn_node *
find(const cpn_snapshot *s, const char *key)
{
    cpn_name_slot *slot = NULL;

    HASH_FIND_STR(s->by_external, key, slot);
    return slot ? slot->is : NULL;
}

const cpn_node *
cpn_external_group(const cpn_snapshot *s, const char *value)
{
    return find(s, value); /* a group's key has no line end, all others' have one */
}

const cpn_principal *
cpn_snapshot_principal_by_external(const cpn_snapshot *s, const char *issuer, const char *subject)
{
    char key[512];
    const cpn_node *n;
    int len = snprintf(key, sizeof(key), "%s\n%s", issuer, subject);

    n = len > 0 && (size_t)len < sizeof(key) ? find(s, key) : NULL;
    return n ? &n->as.principal.is : NULL;
}
