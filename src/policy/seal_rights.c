/* Resolves principals, groups, roles and assignments in a new snapshot. */
#include "policy/snapshot_impl.h"

/* ---- names ---- */

/* NULL: added; else whoever already bears the name. */
static const void *
add_name(cpn_name_slot **head, cpn_name_slot *slot, const char *key, const void *is)
{
    cpn_name_slot *other = NULL;

    HASH_FIND_STR(*head, key, other);
    if (other)
        return other->is;
    slot->key = key;
    slot->is = is;
    HASH_ADD_KEYPTR(hh, *head, slot->key, strlen(slot->key), slot);
    return NULL;
}

static const char *
sign_in_name(const cpn_doc *d)
{
    return d->as.principal.kind == CPN_PRINCIPAL_USER      ? d->as.principal.name_lower
           : d->as.principal.kind == CPN_PRINCIPAL_SERVICE ? d->as.principal.app_id
                                                           : NULL;
}

static void
index_sign_ins(cpn_snapshot *s, cpn_problems *p)
{
    s->sign_in_slots = cpn_xcalloc(s->n[CPN_K_PRINCIPAL] + 1u, sizeof(*s->sign_in_slots));
    for (unsigned i = 0; i < s->n[CPN_K_PRINCIPAL]; i++) {
        cpn_node *n = &s->nodes[CPN_K_PRINCIPAL][i];
        const char *name = sign_in_name(n->doc);
        const cpn_node *other =
            name ? add_name(&s->by_sign_in, &s->sign_in_slots[i], name, n) : NULL;

        if (other)
            cpn_problem(p, "principal %s: the sign-in name %s is already that of %s", n->doc->id,
                        name, other->doc->id);
    }
}

/* ---- principals and groups ---- */

/* Counts first, then one array cut into runs, then filled: at's are set when n is zero again. */
static const cpn_node **
cut_runs(cpn_snapshot *s, bool groups, size_t total)
{
    const cpn_node **all = cpn_xcalloc(total + 1, sizeof(*all));
    size_t used = 0;

    for (unsigned i = 0; i < s->n[CPN_K_PRINCIPAL]; i++) {
        cpn_node *n = &s->nodes[CPN_K_PRINCIPAL][i];
        cpn_run *run = groups ? &n->as.principal.groups : &n->as.principal.assignments;

        run->at = all + used;
        used += run->n;
        run->n = 0;
    }
    return all;
}

static cpn_node *
member(const cpn_snapshot *s, const cpn_node *group, unsigned k)
{
    return cpn_node_find(s, CPN_K_PRINCIPAL, &group->doc->links[k]);
}

static size_t
count_members(cpn_snapshot *s, cpn_problems *p)
{
    size_t total = 0;

    for (unsigned i = 0; i < s->n[CPN_K_PRINCIPAL]; i++) {
        const cpn_node *group = &s->nodes[CPN_K_PRINCIPAL][i];

        for (unsigned k = 0; k < group->doc->links_n; k++) {
            cpn_node *m = member(s, group, k);

            if (!m)
                cpn_problem(p, "principal %s: the member %s of group %s does not exist",
                            group->doc->id, group->doc->links[k].lower,
                            group->doc->as.principal.name);
            else if (m->doc->as.principal.kind == CPN_PRINCIPAL_GROUP)
                cpn_problem(p, "principal %s: the member %s of group %s is a group itself",
                            group->doc->id, m->doc->id, group->doc->as.principal.name);
            if (m) {
                m->as.principal.groups.n++;
                total++;
            }
        }
    }
    return total;
}

/* Groups that a provider named at the last sign-in; values that no group here has mean nothing. */
static size_t
count_external(cpn_snapshot *s)
{
    size_t total = 0;

    for (unsigned i = 0; i < s->n[CPN_K_PRINCIPAL]; i++) {
        cpn_node *n = &s->nodes[CPN_K_PRINCIPAL][i];

        for (unsigned k = 0; k < n->doc->as.principal.external_groups_n; k++)
            if (cpn_external_group(s, n->doc->as.principal.external_groups[k])) {
                n->as.principal.groups.n++;
                total++;
            }
    }
    return total;
}

static void
resolve_external(cpn_snapshot *s)
{
    for (unsigned i = 0; i < s->n[CPN_K_PRINCIPAL]; i++) {
        cpn_node *n = &s->nodes[CPN_K_PRINCIPAL][i];
        cpn_run *run = &n->as.principal.groups;

        for (unsigned k = 0; k < n->doc->as.principal.external_groups_n; k++) {
            const char *value = n->doc->as.principal.external_groups[k];
            const cpn_node *group = cpn_external_group(s, value);

            if (group)
                run->at[run->n++] = group;
        }
    }
}

static void
resolve_members(cpn_snapshot *s, cpn_problems *p)
{
    size_t total = count_members(s, p);

    s->groups = cut_runs(s, true, total + count_external(s));
    resolve_external(s);
    for (unsigned i = 0; i < s->n[CPN_K_PRINCIPAL]; i++) {
        const cpn_node *group = &s->nodes[CPN_K_PRINCIPAL][i];

        for (unsigned k = 0; k < group->doc->links_n; k++) {
            cpn_node *m = member(s, group, k);

            if (m)
                m->as.principal.groups.at[m->as.principal.groups.n++] = group;
        }
    }
}

static void
resolve_credentials(cpn_snapshot *s, cpn_problems *p)
{
    for (unsigned i = 0; i < s->n[CPN_K_CREDENTIAL]; i++) {
        const cpn_doc *d = s->nodes[CPN_K_CREDENTIAL][i].doc;
        cpn_node *n = cpn_node_find(s, CPN_K_PRINCIPAL, &d->parent);

        if (n && n->doc->as.principal.kind == CPN_PRINCIPAL_GROUP)
            cpn_problem(p, "credential %s: the principal is a group, which cannot sign in", d->id);
        if (n)
            n->as.principal.is.sign_ins_since = d->as.sign_ins_since;
    }
}

void
cpn_seal_principals(cpn_snapshot *s, cpn_problems *p)
{
    for (unsigned i = 0; i < s->n[CPN_K_PRINCIPAL]; i++) {
        cpn_node *n = &s->nodes[CPN_K_PRINCIPAL][i];
        const cpn_doc *d = n->doc;

        n->as.principal.is =
            (cpn_principal){ .kind = d->as.principal.kind,
                             .object_id = d->self.lower,
                             .name = d->as.principal.name,
                             .app_id = d->as.principal.app_id ? d->as.principal.app_id : "",
                             .enabled = d->as.principal.enabled,
                             .sessions_max = d->as.principal.sessions_max,
                             .external = d->as.principal.external_key != NULL };
    }
    index_sign_ins(s, p);
    resolve_members(s, p);
    resolve_credentials(s, p);
}

/* ---- roles ---- */

void
cpn_seal_roles(cpn_snapshot *s, cpn_problems *p)
{
    /* Built-in names in lower case, since keys are; they live as long as the program. */
    static const char *const builtin_lower[CPN_BUILTIN_ROLES_N] = {
        "owner", "contributor", "reader", "virtual machine administrator login",
        "virtual machine user login"
    };
    cpn_name_slot *slot;

    slot = s->role_slots =
        cpn_xcalloc(2 * ((size_t)CPN_BUILTIN_ROLES_N + s->n[CPN_K_ROLE]), sizeof(*slot));
    for (unsigned i = 0; i < CPN_BUILTIN_ROLES_N; i++) {
        (void)add_name(&s->by_role, slot++, builtin_lower[i], &cpn_builtin_roles[i]);
        (void)add_name(&s->by_role, slot++, cpn_builtin_roles[i].guid, &cpn_builtin_roles[i]);
    }
    for (unsigned i = 0; i < s->n[CPN_K_ROLE]; i++) {
        cpn_node *n = &s->nodes[CPN_K_ROLE][i];
        const cpn_role_def *role = n->as.role = &n->doc->as.role.role;
        const cpn_role_def *other = add_name(&s->by_role, slot++, n->doc->as.role.name_lower, role);

        if (!other || other == role)
            other = add_name(&s->by_role, slot++, role->guid, role);
        if (other && other != role)
            cpn_problem(p, "roleDefinition %s: its name or id is already that of the role %s",
                        n->doc->id, other->name);
    }
}

/* ---- assignments ---- */

static bool
scope_exists(const cpn_snapshot *s, const cpn_ref *scope)
{
    for (cpn_kind k = 0; k <= CPN_K_LAST_RESOURCE; k++)
        if (cpn_node_find(s, k, scope))
            return true;
    return false;
}

static const cpn_role_def *
find_role(const cpn_snapshot *s, const char *lower)
{
    cpn_name_slot *slot = NULL;

    HASH_FIND_STR(s->by_role, lower, slot);
    return slot ? slot->is : NULL;
}

static void
resolve_assignment(cpn_snapshot *s, cpn_node *n, cpn_problems *p)
{
    const cpn_doc *d = n->doc;
    cpn_node *who = cpn_node_find(s, CPN_K_PRINCIPAL, &d->links[0]);

    n->as.role = find_role(s, d->as.assignment.role);
    if (!n->as.role)
        cpn_problem(p, "roleAssignment %s: there is no role %s", d->id, d->as.assignment.role);
    if (!who)
        cpn_problem(p, "roleAssignment %s: the principal %s does not exist", d->id,
                    d->links[0].lower);
    else
        who->as.principal.assignments.n++;
    if (d->as.assignment.scope.lower && !scope_exists(s, &d->as.assignment.scope))
        cpn_problem(p, "roleAssignment %s: its scope %s does not exist", d->id,
                    d->as.assignment.scope.lower);
}

void
cpn_seal_assignments(cpn_snapshot *s, cpn_problems *p)
{
    for (unsigned i = 0; i < s->n[CPN_K_ASSIGNMENT]; i++)
        resolve_assignment(s, &s->nodes[CPN_K_ASSIGNMENT][i], p);
    s->assignments = cut_runs(s, false, s->n[CPN_K_ASSIGNMENT]);
    for (unsigned i = 0; i < s->n[CPN_K_ASSIGNMENT]; i++) {
        cpn_node *n = &s->nodes[CPN_K_ASSIGNMENT][i];
        cpn_node *who = cpn_node_find(s, CPN_K_PRINCIPAL, &n->doc->links[0]);

        if (who)
            who->as.principal.assignments.at[who->as.principal.assignments.n++] = n;
    }
}
