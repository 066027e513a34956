/* Turns documents into flat rows, and finds one by its name. */
#include "client/rows.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "model/resource.h"

static void
set_view(json_t *o, const char *key, cpn_view v)
{
    if (v.n > 0)
        json_object_set_new(o, key, json_stringn((const char *)v.p, v.n));
}

json_t *
cpn_row(const json_t *document)
{
    json_t *row = json_object();
    const char *text = json_string_value(json_object_get(document, "id"));
    const json_t *body = json_object_get(document, "body");
    cpn_resource_id id;

    if (text)
        json_object_set_new(row, "id", json_string(text));
    if (text && cpn_resource_id_parse(&id, cpn_view_str(text), NULL) == CPN_OK) {
        set_view(row, "name", id.subname.n ? id.subname : id.name.n ? id.name : id.group);
        if (id.subname.n)
            set_view(row, "scaleSet", id.name);
        set_view(row, "resourceGroup", id.group);
        set_view(row, "subscriptionId", id.subscription);
    }
    if (json_is_object(body))
        json_object_update(row, (json_t *)body);
    return row;
}

cpn_rc
cpn_rows(cpn_api *a, const char *kind, const char *name, json_t **out, cpn_err *err)
{
    json_auto_t *all = NULL;
    json_t *rows;
    const json_t *d;
    size_t i;
    cpn_rc rc = cpn_api_documents(a, kind, name, &all, err);

    if (rc != CPN_OK)
        return rc;
    rows = json_array();
    json_array_foreach(json_object_get(all, "value"), i, d) json_array_append_new(rows, cpn_row(d));
    *out = rows;
    return CPN_OK;
}

const json_t *
cpn_row_where(const json_t *rows, const char *key, const char *text)
{
    const json_t *row;
    size_t i;

    json_array_foreach((json_t *)rows, i, row)
    {
        const char *has = json_string_value(json_object_get(row, key));

        if (has && text && strcasecmp(has, text) == 0)
            return row;
    }
    return NULL;
}

void
cpn_rows_keep(json_t *rows, const char *key, const char *text)
{
    if (!text)
        return;
    for (size_t i = json_array_size(rows); i-- > 0;) {
        const char *has = json_string_value(json_object_get(json_array_get(rows, i), key));

        if (!has || strcasecmp(has, text) != 0)
            json_array_remove(rows, i);
    }
}

static const char *
last_name(const char *name)
{
    const char *slash = strrchr(name, '/');

    return slash ? slash + 1 : name;
}

cpn_rc
cpn_row_find(cpn_api *a, const char *kind, const char *name, const char *group, json_t **out,
             cpn_err *err)
{
    json_auto_t *rows = NULL;
    cpn_rc rc = cpn_rows(a, kind, last_name(name), &rows, err);

    if (rc != CPN_OK)
        return rc;
    cpn_rows_keep(rows, "resourceGroup", group);
    cpn_rows_keep(rows, "id", name[0] == '/' ? name : NULL);
    if (json_array_size(rows) == 0)
        return cpn_fail(err, CPN_NOT_FOUND, "there is no '%s', or you may not see it", name);
    if (json_array_size(rows) > 1)
        return cpn_fail(err, CPN_EXISTS,
                        "'%s' means several (%s, …); give the id or --resource-group", name,
                        json_string_value(json_object_get(json_array_get(rows, 0), "id")));
    *out = json_incref(json_array_get(rows, 0));
    return CPN_OK;
}

cpn_rc
cpn_rows_subscriptions(cpn_api *a, json_t **out, cpn_err *err)
{
    static const char *const holds[] = { CPN_KIND_GROUP, CPN_KIND_BASTION, CPN_KIND_MACHINE };
    json_auto_t *rows = NULL;
    cpn_rc rc = cpn_rows(a, CPN_KIND_SUBSCRIPTION, NULL, &rows, err);

    /* A role on a group or a machine does not reach up to its subscription. */
    for (size_t k = 0; k < CPN_COUNT(holds) && rc == CPN_OK && json_array_size(rows) == 0; k++) {
        json_auto_t *inside = NULL;
        const json_t *row;
        size_t i;

        rc = cpn_rows(a, holds[k], NULL, &inside, err);
        json_array_foreach(inside, i, row)
        {
            const char *id = json_string_value(json_object_get(row, "subscriptionId"));

            if (id && !cpn_row_where(rows, "subscriptionId", id))
                json_array_append_new(rows, json_pack("{s:s}", "subscriptionId", id));
        }
    }
    if (rc == CPN_OK)
        *out = cpn_steal(&rows);
    return rc;
}
