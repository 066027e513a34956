/* Joins machines with their interfaces. */
#include "client/vm.h"

#include <ctype.h>

#include "model/resource.h"

const cpn_column cpn_vm_columns[] = {
    { "Name", "name" },
    { "ScaleSet", "scaleSet" },
    { "ResourceGroup", "resourceGroup" },
    { "Address", "privateIPAddress" },
    { "Id", "id" },
    { 0 },
};

/* Ids compare without case. */
static void
lower(const char *text, char out[CPN_ID_MAX + 1])
{
    size_t n = 0;

    for (; text && text[n] && n < CPN_ID_MAX; n++)
        out[n] = (char)tolower((unsigned char)text[n]);
    out[n] = '\0';
}

/* Interfaces by lower-case id; borrowed rows. */
static json_t *
index_of(const json_t *nics)
{
    json_t *by_id = json_object();
    char key[CPN_ID_MAX + 1];
    json_t *nic;
    size_t i;

    json_array_foreach((json_t *)nics, i, nic)
    {
        lower(json_string_value(json_object_get(nic, "id")), key);
        json_object_set(by_id, key, nic);
    }
    return by_id;
}

static void
add(json_t *row, const json_t *nic)
{
    json_object_set(row, "privateIPAddress", json_object_get(nic, "privateIPAddress"));
    json_object_set(row, "virtualNetwork", json_object_get(nic, "virtualNetwork"));
}

cpn_rc
cpn_vm_add_addresses(cpn_api *a, json_t *rows, cpn_err *err)
{
    json_auto_t *nics = NULL;
    json_auto_t *by_id = NULL;
    char key[CPN_ID_MAX + 1];
    json_t *row;
    size_t i;
    cpn_rc rc = cpn_rows(a, CPN_KIND_NIC, NULL, &nics, err);

    if (rc != CPN_OK)
        return rc;
    by_id = index_of(nics);
    json_array_foreach(rows, i, row)
    {
        const json_t *first = json_array_get(json_object_get(row, "networkInterfaces"), 0);
        const json_t *nic;

        lower(json_string_value(first), key);
        nic = json_object_get(by_id, key);
        if (!nic)
            continue;
        add(row, nic);
    }
    return CPN_OK;
}

cpn_rc
cpn_vm_add_address(cpn_api *a, json_t *row, cpn_err *err)
{
    const char *first =
        json_string_value(json_array_get(json_object_get(row, "networkInterfaces"), 0));
    json_auto_t *nic = NULL;
    cpn_rc rc;

    if (!first)
        return CPN_OK;
    rc = cpn_row_find(a, CPN_KIND_NIC, first, NULL, &nic, err);
    if (rc == CPN_OK)
        add(row, nic);
    else if (rc == CPN_NOT_FOUND || rc == CPN_EXISTS)
        err->msg[0] = '\0'; /* the machine may be seen, its interface not */
    return rc == CPN_NOT_FOUND || rc == CPN_EXISTS ? CPN_OK : rc;
}
