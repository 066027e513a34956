/* Reads an inventory file list by list, and the simplest lists itself. */
#include "client/inv.h"

#include <stdio.h>
#include <stdlib.h>

#include "codec/chars.h"
#include "model/uuid.h"

/* In the order of reading: what is referred to comes first. */
static const struct {
    const char *list;
    inv_reader *read[2]; /* the second one when all entries have had the first */
    const char *kind[3]; /* of which it is the whole truth */
    unsigned people;
} lists[] = {
    { "subscriptions", { inv_subscription }, { CPN_KIND_SUBSCRIPTION }, 0 },
    { "groups", { inv_group }, { CPN_KIND_GROUP }, 0 },
    { "networks", { inv_network_names, inv_network_peers }, { CPN_KIND_NETWORK }, 0 },
    /* These three describe machines and their interfaces together. */
    { "interfaces", { inv_interface }, { CPN_KIND_NIC, CPN_KIND_MACHINE, CPN_KIND_SCALE_SET }, 0 },
    { "machines", { inv_machine }, { CPN_KIND_NIC, CPN_KIND_MACHINE, CPN_KIND_SCALE_SET }, 0 },
    { "scale_sets", { inv_scale_set }, { CPN_KIND_NIC, CPN_KIND_MACHINE, CPN_KIND_SCALE_SET }, 0 },
    { "bastions", { inv_bastion }, { CPN_KIND_BASTION }, 0 },
    { "users", { inv_user }, { CPN_KIND_PRINCIPAL }, CPN_INVENTORY_USERS },
    { "service_principals", { inv_service }, { CPN_KIND_PRINCIPAL }, CPN_INVENTORY_SERVICES },
    { "user_groups", { inv_user_group }, { CPN_KIND_PRINCIPAL }, CPN_INVENTORY_GROUPS },
    { "roles", { inv_role }, { CPN_KIND_ROLE }, 0 },
    { "assignments", { inv_assignment }, { CPN_KIND_ASSIGNMENT }, 0 },
};

void
cpn_inventory_fini(cpn_inventory *i)
{
    json_decref(i->documents);
    json_decref(i->whole);
    *i = (cpn_inventory){ 0 };
}

const cpn_yaml_node *
inv_need(inv *i, const cpn_yaml_node *entry, const char *key, const char *expected)
{
    const cpn_yaml_node *n = cpn_yaml_get(entry, key);

    if (!n)
        (void)cpn_yaml_error(i->e, entry, "'%s' is missing (expected %s)", key, expected);
    return n;
}

cpn_rc
inv_text(inv *i, const cpn_yaml_node *entry, const char *key, size_t max, char **out)
{
    const cpn_yaml_node *n = cpn_yaml_get(entry, key);
    cpn_view v;
    cpn_rc rc;

    *out = NULL;
    if (!n)
        return CPN_OK;
    if ((rc = cpn_yaml_string(n, &v, i->e)) != CPN_OK)
        return rc;
    if (v.n == 0 || v.n > max)
        return cpn_yaml_error(i->e, n, "%s (expected 1 to %zu bytes)", v.n ? "too long" : "empty",
                              max);
    for (size_t at = 0; at < v.n; at++)
        if (v.p[at] < 0x20 || v.p[at] == 0x7f)
            return cpn_yaml_error(i->e, n, "a control character (expected one line of text)");
    *out = cpn_xstrndup((const char *)v.p, v.n);
    return CPN_OK;
}

static bool
is_name(cpn_view v)
{
    for (size_t i = 0; i < v.n; i++)
        if (!cpn_is_alnum(v.p[i]) && !memchr("._()-", v.p[i], 5))
            return false;
    return v.n >= 1 && v.n <= CPN_NAME_MAX;
}

static cpn_rc
group_name(inv *i, const cpn_yaml_node *entry, cpn_view *out)
{
    const cpn_yaml_node *n = inv_need(i, entry, "name", "a name");
    cpn_rc rc = n ? cpn_yaml_string(n, out, i->e) : CPN_INVALID;

    if (rc == CPN_OK && !cpn_is_group_name(*out))
        rc = cpn_yaml_error(i->e, n,
                            "'%.*s' is no name of a group (expected 1 to %d letters of any script "
                            "in their normal form, digits and . _ ( ) -)",
                            CPN_VIEW_ARG(*out), CPN_GROUP_NAME_MAX);
    return rc;
}

cpn_rc
inv_resource_name(inv *i, const cpn_yaml_node *entry, cpn_view *out)
{
    const cpn_yaml_node *n = inv_need(i, entry, "name", "a name");
    cpn_rc rc = n ? cpn_yaml_string(n, out, i->e) : CPN_INVALID;

    if (rc != CPN_OK)
        return rc;
    if (!is_name(*out))
        return cpn_yaml_error(i->e, n,
                              "'%.*s' is no name (expected 1 to %d of A-Z a-z 0-9 . _ ( ) -)",
                              CPN_VIEW_ARG(*out), CPN_NAME_MAX);
    return CPN_OK;
}

cpn_rc
inv_resource_id(inv *i, const cpn_yaml_node *entry, const char *type, cpn_view *name,
                char id[CPN_ID_MAX + 1])
{
    const cpn_yaml_node *group = inv_need(i, entry, "group", "the name of a group");
    const char *group_id;
    cpn_rc rc = inv_resource_name(i, entry, name);

    if (!group || rc != CPN_OK)
        return CPN_INVALID;
    if ((rc = inv_ref(i, INV_GROUP, group, &group_id, NULL)) != CPN_OK)
        return rc;
    if (snprintf(id, CPN_ID_MAX + 1, "%s/providers/%s/%.*s", group_id, type, CPN_VIEW_ARG(*name)) >
        CPN_ID_MAX)
        return cpn_yaml_error(i->e, entry, "the id grows too long");
    return CPN_OK;
}

void
inv_document(inv *i, const char *kind, const char *id, json_t *body)
{
    json_array_append_new(i->out->documents,
                          json_pack("{s:s, s:s, s:o}", "kind", kind, "id", id, "body", body));
}

void
inv_subscription(inv *i, const cpn_yaml_node *entry)
{
    static const char *const keys[] = { "id", "name", NULL };
    CPN_AUTO(cpn_auto_mem) char *shown = NULL;
    char id[64];
    const cpn_yaml_node *n;
    cpn_uuid u;
    cpn_view guid;

    if (cpn_yaml_known_keys(entry, keys, i->e) != CPN_OK ||
        !(n = inv_need(i, entry, "id", "a GUID")) || cpn_yaml_string(n, &guid, i->e) != CPN_OK ||
        inv_text(i, entry, "name", 256, &shown) != CPN_OK)
        return;
    if (!cpn_uuid_parse(&u, guid)) {
        (void)cpn_yaml_error(i->e, n, "'%.*s' (expected a GUID)", CPN_VIEW_ARG(guid));
        return;
    }
    snprintf(id, sizeof(id), "/subscriptions/%.*s", CPN_VIEW_ARG(guid));
    if (inv_add(i, INV_SUBSCRIPTION, entry, shown ? cpn_view_str(shown) : guid, id))
        inv_document(i, CPN_KIND_SUBSCRIPTION, id, json_pack("{s:s*}", "displayName", shown));
}

/* The subscription that a group names, or the only one. */
static const char *
subscription_of(inv *i, const cpn_yaml_node *entry)
{
    const cpn_yaml_node *n = cpn_yaml_get(entry, "subscription");
    const char *id = NULL;

    if (n)
        return inv_ref(i, INV_SUBSCRIPTION, n, &id, NULL) == CPN_OK ? id : NULL;
    if (!i->only_subscription)
        (void)cpn_yaml_error(i->e, entry,
                             "'subscription' is missing (expected its name, as the file does "
                             "not have exactly one)");
    return i->only_subscription;
}

void
inv_group(inv *i, const cpn_yaml_node *entry)
{
    static const char *const keys[] = { "name", "subscription", "location", NULL };
    CPN_AUTO(cpn_auto_mem) char *location = NULL;
    char id[CPN_ID_MAX + 1];
    const char *sub;
    cpn_view name;

    if (cpn_yaml_known_keys(entry, keys, i->e) != CPN_OK || group_name(i, entry, &name) != CPN_OK ||
        inv_text(i, entry, "location", 80, &location) != CPN_OK ||
        !(sub = subscription_of(i, entry)))
        return;
    snprintf(id, sizeof(id), "%.*s/resourceGroups/%.*s", CPN_ID_MAX - 200, sub, CPN_VIEW_ARG(name));
    if (inv_add(i, INV_GROUP, entry, name, id))
        inv_document(i, CPN_KIND_GROUP, id,
                     json_pack("{s:s}", "location", location ? location : "local"));
}

static void
add_whole(json_t *whole, const char *kind)
{
    const json_t *has;
    size_t i;

    json_array_foreach(whole, i, has)
    {
        if (strcmp(json_string_value(has), kind) == 0)
            return;
    }
    json_array_append_new(whole, json_string(kind));
}

static void
read_list(inv *i, const cpn_yaml_node *list, inv_reader *read)
{
    for (const cpn_yaml_node *n = list->child; n; n = n->next)
        if (cpn_yaml_expect_map(n, i->e) == CPN_OK)
            read(i, n);
}

/* What refers to subscriptions needs to know whether there is just one. */
static void
note_subscription(inv *i, const cpn_yaml_node *list)
{
    if (i->things && list->n == 1)
        i->only_subscription = i->things->id;
}

static void
read_lists(inv *i, const cpn_yaml_node *root)
{
    for (size_t k = 0; k < CPN_COUNT(lists); k++) {
        const cpn_yaml_node *list = cpn_yaml_get(root, lists[k].list);

        if (!list || cpn_yaml_expect_list(list, CPN_INVENTORY_ENTRIES, i->e) != CPN_OK)
            continue;
        for (size_t w = 0; w < CPN_COUNT(lists[k].kind) && lists[k].kind[w]; w++)
            add_whole(i->out->whole, lists[k].kind[w]);
        i->out->people |= lists[k].people;
        for (size_t r = 0; r < CPN_COUNT(lists[k].read) && lists[k].read[r]; r++)
            read_list(i, list, lists[k].read[r]);
        if (lists[k].read[0] == inv_subscription)
            note_subscription(i, list);
        else if (lists[k].read[0] == inv_network_names)
            inv_check_overlaps(i);
    }
}

cpn_rc
cpn_inventory_read(cpn_inventory *out, cpn_view text, const json_t *known, cpn_yaml_errors *errors)
{
    CPN_AUTO(cpn_yaml_auto) cpn_yaml *y = NULL;
    const char *keys[CPN_COUNT(lists) + 1] = { NULL };
    inv i = { .e = errors, .out = out, .known = known };
    const cpn_yaml_node *root;

    *out = (cpn_inventory){ .documents = json_array(), .whole = json_array() };
    if (cpn_yaml_parse(&y, text, CPN_INVENTORY_BYTES, errors) != CPN_OK)
        return CPN_INVALID;
    root = cpn_yaml_root(y);
    for (size_t k = 0; k < CPN_COUNT(lists); k++)
        keys[k] = lists[k].list;
    if (cpn_yaml_expect_map(root, errors) == CPN_OK) {
        if (cpn_yaml_known_keys(root, keys, errors) != CPN_OK)
            out->people = 0; /* gathered; the known lists are read all the same */
        read_lists(&i, root);
    }
    inv_fini(&i);
    return errors->n ? CPN_INVALID : CPN_OK;
}
