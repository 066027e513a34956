/* Freezes an edit into a snapshot: merges it with its base, indexes, resolves, checks. */
#include <stdarg.h>
#include <stdio.h>

#include "policy/snapshot_impl.h"

void
cpn_problem(cpn_problems *p, const char *fmt, ...)
{
    char line[1536];
    va_list ap;

    if (p->n++ >= CPN_PROBLEMS_MAX)
        return;
    if (!p->list)
        p->list = json_array();
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    json_array_append_new(p->list, json_string(line));
}

/* ---- merging ---- */

static int
by_id(const void *a, const void *b)
{
    return strcmp((*(cpn_change *const *)a)->id_lower, (*(cpn_change *const *)b)->id_lower);
}

/* The changes of a kind in id order; NULL when there are none. */
static cpn_change **
sorted_changes(const cpn_snapshot_edit *e, cpn_kind k, unsigned *n)
{
    cpn_change **list, *c, *next;

    *n = HASH_COUNT(e->changes[k]);
    if (*n == 0)
        return NULL;
    list = cpn_xcalloc(*n, sizeof(*list));
    *n = 0;
    HASH_ITER (hh, e->changes[k], c, next)
        list[(*n)++] = c;
    qsort(list, *n, sizeof(*list), by_id);
    return list;
}

static void
add_node(cpn_snapshot *s, cpn_kind k, cpn_doc *doc)
{
    s->nodes[k][s->n[k]++].doc = cpn_doc_ref(doc);
}

/* Base and changes are both in id order: one walk over the two. */
static void
merge_kind(cpn_snapshot *s, const cpn_snapshot_edit *e, cpn_kind k)
{
    unsigned changes_n, old_n = e->base ? e->base->n[k] : 0, i = 0, c = 0;
    CPN_AUTO(cpn_auto_mem) cpn_change **changes = sorted_changes(e, k, &changes_n);

    if (old_n + changes_n == 0)
        return;
    s->nodes[k] = cpn_xcalloc(old_n + changes_n, sizeof(cpn_node));
    while (i < old_n || c < changes_n) {
        cpn_doc *old = i < old_n ? e->base->nodes[k][i].doc : NULL;
        int order = !old ? 1 : c == changes_n ? -1 : strcmp(old->self.lower, changes[c]->id_lower);

        if (order < 0) {
            add_node(s, k, old);
            i++;
            continue;
        }
        if (changes[c]->doc)
            add_node(s, k, changes[c]->doc);
        i += order == 0;
        c++;
    }
}

static void
index_kind(cpn_snapshot *s, cpn_kind k)
{
    for (unsigned i = 0; i < s->n[k]; i++) {
        cpn_node *node = &s->nodes[k][i];
        const cpn_ref *id = &node->doc->self;

        HASH_ADD_KEYPTR_BYHASHVALUE(hh, s->by_id[k], id->lower, id->n, id->hash, node);
    }
}

/* ---- checks that concern every kind ---- */

static void
check_count(const cpn_snapshot *s, cpn_problems *p)
{
    size_t n = 0;

    for (cpn_kind k = 0; k < CPN_K_N; k++)
        n += s->n[k];
    if (n > s->resources_max)
        cpn_problem(p, "there are %zu documents, at most %u (resources_max) may be", n,
                    s->resources_max);
}

static cpn_kind
parent_kind(const cpn_doc *d)
{
    if (d->kind == CPN_K_GROUP)
        return CPN_K_SUBSCRIPTION;
    if (d->kind == CPN_K_CREDENTIAL)
        return CPN_K_PRINCIPAL;
    if (d->kind == CPN_K_MACHINE && strstr(d->parent.lower, "/providers/"))
        return CPN_K_SCALE_SET;
    return CPN_K_GROUP;
}

/* Neighbours in id order mostly share their parent, so the last one found is tried first. */
static void
check_parents(const cpn_snapshot *s, cpn_kind k, cpn_problems *p)
{
    const cpn_ref *last = NULL;

    for (unsigned i = 0; i < s->n[k]; i++) {
        const cpn_doc *d = s->nodes[k][i].doc;

        if (!d->parent.lower ||
            (last && last->hash == d->parent.hash && strcmp(last->lower, d->parent.lower) == 0))
            continue;
        if (cpn_node_find(s, parent_kind(d), &d->parent))
            last = &d->parent;
        else
            cpn_problem(p, "%s %s: the %s %s that it belongs to does not exist", cpn_kind_name(k),
                        d->id, cpn_kind_name(parent_kind(d)), d->parent.lower);
    }
}

static void
build(cpn_snapshot *s, const cpn_snapshot_edit *e, cpn_problems *p)
{
    for (cpn_kind k = 0; k < CPN_K_N; k++) {
        merge_kind(s, e, k);
        index_kind(s, k);
    }
    check_count(s, p);
    for (cpn_kind k = 0; k < CPN_K_N; k++)
        check_parents(s, k, p);
    cpn_seal_networks(s, p);
    cpn_seal_nics(s, p);
    cpn_seal_machines(s, p);
    cpn_seal_bastions(s, p);
    cpn_seal_external(s, p);
    cpn_seal_principals(s, p);
    cpn_seal_roles(s, p);
    cpn_seal_assignments(s, p);
}

cpn_rc
cpn_snapshot_seal(cpn_snapshot **out, cpn_snapshot_edit *e, uint64_t epoch, json_t **problems,
                  cpn_err *err)
{
    cpn_snapshot *s = cpn_xcalloc(1, sizeof(*s));
    cpn_problems p = { 0 };

    s->refs = 1;
    s->epoch = epoch;
    s->resources_max = e->resources_max;
    s->allow_loopback = e->allow_loopback;
    if (problems)
        *problems = NULL;
    build(s, e, &p);
    if (p.n) {
        cpn_rc rc = cpn_fail(err, CPN_INVALID, "%u problem%s: %s", p.n, p.n == 1 ? "" : "s",
                             json_string_value(json_array_get(p.list, 0)));

        if (problems)
            *problems = p.list;
        else
            json_decref(p.list);
        cpn_snapshot_unref(s);
        return rc;
    }
    *out = s;
    cpn_snapshot_edit_free(e);
    return CPN_OK;
}
