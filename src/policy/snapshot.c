/* Look-ups in a snapshot, and its end. */
#include "policy/snapshot_impl.h"

#include "base/clock.h"
#include "policy/may.h"

/* ---- life ---- */

cpn_snapshot *
cpn_snapshot_ref(cpn_snapshot *s)
{
    s->refs++;
    return s;
}

void
cpn_snapshot_unref(cpn_snapshot *s)
{
    if (!s || --s->refs > 0)
        return;
    for (cpn_kind k = 0; k < CPN_K_N; k++) {
        HASH_CLEAR(hh, s->by_id[k]);
        for (unsigned i = 0; i < s->n[k]; i++)
            cpn_doc_free(s->nodes[k][i].doc);
        free(s->nodes[k]);
    }
    HASH_CLEAR(hh, s->by_addr);
    HASH_CLEAR(hh, s->by_sign_in);
    HASH_CLEAR(hh, s->by_role);
    HASH_CLEAR(hh, s->by_external);
    free(s->addr_slots);
    free(s->sign_in_slots);
    free(s->role_slots);
    free(s->external_slots);
    free(s->peers);
    free(s->assignments);
    free(s->groups);
    free(s);
}

uint64_t
cpn_snapshot_epoch(const cpn_snapshot *s)
{
    return s->epoch;
}

/* ---- finding ---- */

cpn_node *
cpn_node_find(const cpn_snapshot *s, cpn_kind kind, const cpn_ref *ref)
{
    cpn_node *n = NULL;

    HASH_FIND_BYHASHVALUE(hh, s->by_id[kind], ref->lower, ref->n, ref->hash, n);
    return n;
}

cpn_node *
cpn_node_find_view(const cpn_snapshot *s, cpn_kind kind, cpn_view id)
{
    char lower[CPN_ID_MAX + 1];

    if (!cpn_view_copy(id, lower, sizeof(lower)) || id.n == 0)
        return NULL;
    cpn_lower(lower);
    return cpn_node_find(s, kind, &(cpn_ref){ lower, (unsigned)id.n, cpn_ref_hash(lower, id.n) });
}

const cpn_nic *
cpn_nic_at(const cpn_snapshot *s, const cpn_network *network, const cpn_addr *addr)
{
    const cpn_addr_key key = { network, *addr };
    cpn_addr_slot *slot = NULL;

    HASH_FIND(hh, s->by_addr, &key, sizeof(key), slot);
    return slot ? slot->nic : NULL;
}

const cpn_machine *
cpn_snapshot_machine(const cpn_snapshot *s, cpn_view id)
{
    const cpn_node *n = cpn_node_find_view(s, CPN_K_MACHINE, id);

    return n ? &n->as.machine : NULL;
}

const cpn_nic *
cpn_snapshot_nic(const cpn_snapshot *s, cpn_view id)
{
    const cpn_node *n = cpn_node_find_view(s, CPN_K_NIC, id);

    return n ? &n->as.nic : NULL;
}

const cpn_network *
cpn_snapshot_network(const cpn_snapshot *s, cpn_view id)
{
    const cpn_node *n = cpn_node_find_view(s, CPN_K_NETWORK, id);

    return n ? &n->as.network : NULL;
}

const cpn_bastion *
cpn_snapshot_bastion(const cpn_snapshot *s, cpn_view id)
{
    const cpn_node *n = cpn_node_find_view(s, CPN_K_BASTION, id);

    return n ? &n->as.bastion : NULL;
}

const cpn_principal *
cpn_snapshot_principal(const cpn_snapshot *s, cpn_view object_id)
{
    const cpn_node *n = cpn_node_find_view(s, CPN_K_PRINCIPAL, object_id);

    return n ? &n->as.principal.is : NULL;
}

const cpn_principal *
cpn_snapshot_principal_by_name(const cpn_snapshot *s, cpn_view name)
{
    char lower[CPN_TEXT_MAX + 1];
    cpn_name_slot *slot = NULL;
    const cpn_node *n;

    if (!cpn_view_copy(name, lower, sizeof(lower)))
        return NULL;
    cpn_lower(lower);
    HASH_FIND_STR(s->by_sign_in, lower, slot);
    if (!slot)
        return NULL;
    n = slot->is;
    return &n->as.principal.is;
}

const cpn_role_def *
cpn_snapshot_role(const cpn_snapshot *s, cpn_view text)
{
    char lower[CPN_ID_MAX + 1];
    cpn_name_slot *slot = NULL;
    const char *key;

    if (!cpn_view_copy(text, lower, sizeof(lower)))
        return NULL;
    cpn_lower(lower);
    if ((key = cpn_role_key(lower)) != NULL)
        HASH_FIND_STR(s->by_role, key, slot);
    return slot ? slot->is : NULL;
}

bool
cpn_snapshot_is_member(const cpn_snapshot *s, cpn_view group, cpn_view object_id)
{
    const cpn_node *who = cpn_node_find_view(s, CPN_K_PRINCIPAL, object_id);
    const cpn_node *of = cpn_node_find_view(s, CPN_K_PRINCIPAL, group);

    for (unsigned i = 0; who && of && i < who->as.principal.groups.n; i++)
        if (who->as.principal.groups.at[i] == of)
            return true;
    return who && who == of;
}

bool
cpn_snapshot_is_scope(const cpn_snapshot *s, cpn_view id)
{
    for (cpn_kind k = 0; k <= CPN_K_LAST_RESOURCE; k++)
        if (cpn_node_find_view(s, k, id))
            return true;
    return false;
}

const json_t *
cpn_snapshot_document(const cpn_snapshot *s, const char *kind, cpn_view id)
{
    cpn_kind k = cpn_kind_from_name(kind);
    const cpn_node *n = k < CPN_K_N ? cpn_node_find_view(s, k, id) : NULL;

    return n ? n->doc->body : NULL;
}

const char *
cpn_snapshot_id(const cpn_snapshot *s, const char *kind, cpn_view id)
{
    cpn_kind k = cpn_kind_from_name(kind);
    const cpn_node *n = k < CPN_K_N ? cpn_node_find_view(s, k, id) : NULL;

    return n ? n->doc->id : NULL;
}

/* ---- listing ---- */

/* The scope that decides who sees a document. */
static cpn_view
read_scope(const cpn_node *n)
{
    const cpn_doc *d = n->doc;

    if (d->kind == CPN_K_ASSIGNMENT)
        return cpn_may_scope(n);
    if (d->kind == CPN_K_PRINCIPAL || d->kind == CPN_K_ROLE)
        return CPN_VIEW_LIT("/");
    return (cpn_view){ (const uint8_t *)d->self.lower, d->self.n };
}

static bool
may_see(const cpn_node *who, const cpn_node *n, int64_t now_s)
{
    const char *action = cpn_kind_read_action(n->doc->kind, n->doc->self.lower);

    if (who == n)
        return true; /* oneself */
    return action &&
           cpn_may_ask(who, CPN_PLANE_CONTROL, action, read_scope(n), now_s) == CPN_MAY_YES;
}

void
cpn_snapshot_each(const cpn_snapshot *s, const char *kind, const cpn_principal *who,
                  cpn_snapshot_each_fn *fn, void *owner)
{
    cpn_kind k = cpn_kind_from_name(kind);
    const cpn_node *caller = cpn_may_caller(s, who);
    int64_t now_s = cpn_wall_s();

    if (k == CPN_K_N || (who && !caller))
        return;
    for (unsigned i = 0; i < s->n[k]; i++) {
        const cpn_node *n = &s->nodes[k][i];

        if (who && !may_see(caller, n, now_s))
            continue;
        if (!fn(owner, n->doc->id, n->doc->body))
            return;
    }
}

void
cpn_snapshot_roles(const cpn_snapshot *s, cpn_snapshot_role_fn *fn, void *owner)
{
    for (unsigned i = 0; i < CPN_BUILTIN_ROLES_N; i++)
        if (!fn(owner, &cpn_builtin_roles[i], true))
            return;
    for (unsigned i = 0; i < s->n[CPN_K_ROLE]; i++)
        if (!fn(owner, s->nodes[CPN_K_ROLE][i].as.role, false))
            return;
}
