/* Gets and lists resources of the ARM subset, whatever their type. */
#include "control/arm_types.h"

#include <stdio.h>
#include <strings.h>

#include "control/arm_filter.h"
#include "control/reply.h"

const cpn_arm_type *const cpn_arm_types[] = {
    &cpn_arm_bastion,   &cpn_arm_network,  &cpn_arm_nic, &cpn_arm_machine,
    &cpn_arm_scale_set, &cpn_arm_instance, NULL,
};

bool
cpn_arm_type_is(const cpn_arm_type *t, const char *id)
{
    bool instance = strcasestr(id, "/Microsoft.Compute/virtualMachineScaleSets/") != NULL;

    return strcmp(t->kind, CPN_KIND_MACHINE) != 0 || instance == (t == &cpn_arm_instance);
}

json_t *
cpn_arm_envelope(const cpn_control *c, const cpn_arm_type *t, const char *id, const json_t *body)
{
    char where[CPN_ARM_LOCATION_SIZE];
    json_t *item =
        json_pack("{s:s,s:s,s:s++,s:s}", "id", id, "name", cpn_arm_name(id), "type", t->namespace,
                  "/", t->name, "location", cpn_arm_location(c->snapshot, id, body, where));
    json_t *tags = json_object_get(body, "tags");

    if (tags)
        json_object_set(item, "tags", tags);
    return item;
}

/* ---- one ---- */

void
cpn_arm_get(CPN_TAKES cpn_call *call, const cpn_arm_type *t)
{
    const cpn_snapshot *s = call->c->snapshot;
    cpn_view id = cpn_view_str(call->params.scope);
    const json_t *body = cpn_snapshot_document(s, t->kind, id);
    char etag[CPN_ARM_ETAG_SIZE];

    if (!body) {
        cpn_arm_not_found(call);
        return;
    }
    cpn_arm_etag(body, etag);
    cpn_call_header(call, "ETag", etag);
    cpn_reply_json(call, 200, t->shape(call->c, cpn_snapshot_id(s, t->kind, id), body));
}

/* ---- many ---- */

typedef struct listing {
    cpn_arm_page page;
    const cpn_arm_type *type;
    unsigned order; /* of the type, where several are listed */
    bool all;
    cpn_odata filter;
    char under[CPN_ID_MAX + 2]; /* with its last slash */
    size_t under_n;
    bool full;
} listing;

static bool
list_one(void *owner, const char *id, const json_t *body)
{
    listing *l = owner;
    char key[CPN_ID_MAX + 8];
    json_t *item;

    if (strncasecmp(id, l->under, l->under_n) != 0 || !cpn_arm_type_is(l->type, id))
        return true;
    snprintf(key, sizeof(key), "%u%s", l->order, id);
    /* Not before the filter: what follows a full page may be nothing that fits. */
    item = l->all        ? cpn_arm_envelope(l->page.call->c, l->type, id, body)
           : l->filter.n ? l->type->shape(l->page.call->c, id, body)
                         : NULL;
    if (item && !cpn_arm_resource_fits(&l->filter, item)) {
        json_decref(item);
        return true;
    }
    switch (cpn_arm_page_at(&l->page, key)) {
    case CPN_ARM_EARLIER:
        break;
    case CPN_ARM_HERE:
        cpn_arm_page_put(&l->page, key,
                         item ? json_incref(item) : l->type->shape(l->page.call->c, id, body));
        break;
    case CPN_ARM_FULL:
        l->full = true;
        break;
    }
    json_decref(item);
    return !l->full;
}

static void
list_type(listing *l, const cpn_arm_type *t)
{
    const cpn_call *call = l->page.call;

    l->type = t;
    if (!l->full)
        cpn_snapshot_each(call->c->snapshot, t->kind, cpn_call_who(call), list_one, l);
    l->order++;
}

/* The group or subscription of the path is not there, and the caller may know. */
static bool
place_missing(cpn_call *call, const char *id)
{
    const cpn_snapshot *s = call->c->snapshot;
    bool group = cpn_call_param(call, "group")[0] != '\0';

    return !cpn_snapshot_document(s, group ? CPN_KIND_GROUP : CPN_KIND_SUBSCRIPTION,
                                  cpn_view_str(id)) &&
           cpn_may(s, cpn_call_who(call),
                   group ? "Microsoft.Resources/subscriptions/resourceGroups/read"
                         : "Microsoft.Resources/subscriptions/read",
                   cpn_view_str(id));
}

/* False: answered. */
static bool
filter_read(cpn_call *call, cpn_odata *out, cpn_rc (*read)(cpn_odata *, cpn_view, cpn_err *))
{
    cpn_err err = { 0 };

    if (read(out, cpn_form_get(&call->query, "$filter"), &err) == CPN_OK)
        return true;
    cpn_arm_error(call, 400, "InvalidFilterInQueryString", "%s", err.msg);
    return false;
}

/* What a caller believes to be filtered must be. True: answered. */
static bool
filter_refused(cpn_call *call)
{
    if (cpn_form_get(&call->query, "$filter").n == 0)
        return false;
    cpn_arm_error(call, 400, "InvalidFilterInQueryString",
                  "this list takes no $filter; read it whole");
    return true;
}

/* False: answered. */
static bool
list_begin(listing *l, cpn_call *call, const char *under)
{
    *l = (listing){ 0 };
    if (!cpn_arm_page_begin(&l->page, call))
        return false;
    l->under_n = (size_t)snprintf(l->under, sizeof(l->under), "%s/", under);
    return true;
}

void
cpn_arm_list(CPN_TAKES cpn_call *call, const cpn_arm_type *t)
{
    listing l;

    if (filter_refused(call))
        return;
    if (place_missing(call, call->params.scope)) {
        cpn_arm_not_found(call);
    } else if (list_begin(&l, call, call->params.scope)) {
        list_type(&l, t);
        cpn_arm_page_end(&l.page);
    }
}

void
cpn_arm_list_none(CPN_TAKES cpn_call *call)
{
    if (place_missing(call, call->params.scope))
        cpn_arm_not_found(call);
    else
        cpn_reply_json(call, 200, json_pack("{s:[]}", "value"));
}

void
cpn_arm_list_tagged(CPN_TAKES cpn_call *call, const cpn_arm_type *t)
{
    cpn_odata filter;
    listing l;

    if (!filter_read(call, &filter, cpn_arm_tags_filter))
        return;
    if (place_missing(call, call->params.scope)) {
        cpn_arm_not_found(call);
    } else if (list_begin(&l, call, call->params.scope)) {
        l.filter = filter;
        list_type(&l, t);
        cpn_arm_page_end(&l.page);
    }
}

void
cpn_arm_list_below(CPN_TAKES cpn_call *call, const cpn_arm_type *t)
{
    listing l;

    if (!filter_refused(call) && list_begin(&l, call, call->params.scope)) {
        list_type(&l, t);
        cpn_arm_page_end(&l.page);
    }
}

void
cpn_arm_list_all(CPN_TAKES cpn_call *call)
{
    cpn_odata filter;
    listing l;

    if (!filter_read(call, &filter, cpn_arm_resources_filter))
        return;
    if (place_missing(call, call->params.scope)) {
        cpn_arm_not_found(call);
        return;
    }
    if (!list_begin(&l, call, call->params.scope))
        return;
    l.all = true;
    l.filter = filter;
    for (const cpn_arm_type *const *t = cpn_arm_types; *t; t++)
        if ((*t)->top)
            list_type(&l, *t);
    cpn_arm_page_end(&l.page);
}
