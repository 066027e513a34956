/* Collects changes to a snapshot; nothing of them is seen before seal. */
#include "policy/snapshot_impl.h"

cpn_snapshot_edit *
cpn_snapshot_edit_new(const cpn_snapshot *base)
{
    cpn_snapshot_edit *e = cpn_xcalloc(1, sizeof(*e));

    /* counting a reference is the one change that a const snapshot knows */
    e->base = base ? cpn_snapshot_ref((cpn_snapshot *)base) : NULL;
    e->resources_max = base ? base->resources_max : CPN_RESOURCES_MAX;
    e->allow_loopback = base && base->allow_loopback;
    return e;
}

void
cpn_snapshot_edit_bounds(cpn_snapshot_edit *e, unsigned resources_max, bool allow_loopback)
{
    e->resources_max = resources_max;
    e->allow_loopback = allow_loopback;
}

void
cpn_snapshot_edit_free(cpn_snapshot_edit *e)
{
    cpn_change *c, *next;

    if (!e)
        return;
    for (cpn_kind k = 0; k < CPN_K_N; k++) {
        HASH_ITER (hh, e->changes[k], c, next) {
            HASH_DEL(e->changes[k], c);
            cpn_doc_free(c->doc);
            free(c->id_lower);
            free(c);
        }
    }
    cpn_snapshot_unref(e->base);
    free(e);
}

static cpn_change *
change_of(cpn_snapshot_edit *e, cpn_kind kind, const char *id_lower)
{
    cpn_change *c = NULL;

    HASH_FIND_STR(e->changes[kind], id_lower, c);
    return c;
}

/* Note a change, over an earlier one of the same document. */
static void
set_change(cpn_snapshot_edit *e, cpn_kind kind, const char *id_lower, CPN_TAKES cpn_doc *doc)
{
    cpn_change *c = change_of(e, kind, id_lower);

    if (c) {
        cpn_doc_free(c->doc);
    } else {
        c = cpn_xcalloc(1, sizeof(*c));
        c->id_lower = cpn_xstrdup(id_lower);
        HASH_ADD_KEYPTR(hh, e->changes[kind], c->id_lower, strlen(c->id_lower), c);
        e->changes_n++;
    }
    c->doc = doc;
}

cpn_rc
cpn_snapshot_put(cpn_snapshot_edit *e, const char *kind, const char *id, const json_t *body,
                 cpn_err *err)
{
    CPN_AUTO(cpn_doc_auto) cpn_doc *doc = NULL;
    cpn_kind k = cpn_kind_from_name(kind);
    cpn_rc rc;

    if (k == CPN_K_N)
        return cpn_fail(err, CPN_INVALID, "there is no such kind of document");
    if ((rc = cpn_doc_new(&doc, k, id, body, e->allow_loopback, err)) != CPN_OK)
        return rc;
    if (e->changes_n >= e->resources_max && !change_of(e, k, doc->self.lower))
        return cpn_fail(err, CPN_LIMIT, "more than %u documents (resources_max) in one change",
                        e->resources_max);
    set_change(e, k, doc->self.lower, doc);
    doc = NULL;
    return CPN_OK;
}

cpn_rc
cpn_snapshot_delete(cpn_snapshot_edit *e, const char *kind, const char *id)
{
    CPN_AUTO(cpn_auto_mem) char *lower = cpn_lower_dup(cpn_view_str(id));
    cpn_kind k = cpn_kind_from_name(kind);
    const cpn_change *c = k < CPN_K_N ? change_of(e, k, lower) : NULL;
    bool there = c ? c->doc != NULL
                   : k < CPN_K_N && e->base && cpn_node_find_view(e->base, k, cpn_view_str(lower));

    if (!there)
        return CPN_NOT_FOUND;
    set_change(e, k, lower, NULL);
    return CPN_OK;
}
