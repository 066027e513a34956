/* Reads the bodies of networks, interfaces and bastions. */
#include <stdio.h>
#include <stdlib.h>

#include "policy/doc.h"
#include "policy/range.h"

static cpn_rc
read_prefix(cpn_doc *d, const cpn_shape *s, const char *at, const json_t *v, bool allow_loopback)
{
    cpn_prefix *p = &d->as.network.prefixes[d->as.network.prefixes_n];
    const char *text = json_string_value(v), *why;

    if (!text || strlen(text) != json_string_length(v) ||
        cpn_prefix_parse(p, cpn_view_str(text), NULL) != CPN_OK)
        return cpn_shape_bad(s, at, v, "a prefix such as 10.1.0.0/16 whose host bits are zero");
    if ((why = cpn_range_refuses_prefix(p, allow_loopback)))
        return cpn_fail(s->err, CPN_INVALID,
                        "%s %s: %s: found %s, which %s; expected a private "
                        "network's prefix",
                        s->kind, s->id, at, text, why);
    d->as.network.prefixes_n++;
    return CPN_OK;
}

cpn_rc
cpn_read_network(cpn_doc *d, const cpn_shape *s, bool allow_loopback)
{
    static const cpn_field fields[] = { { "addressPrefixes", CPN_FIELD_ARRAY, true },
                                        { "peerings", CPN_FIELD_ARRAY, false } };
    const json_t *list;
    char at[CPN_PATH_MAX];
    cpn_rc rc;

    if ((rc = cpn_shape_fields(s, "body", d->body, fields, CPN_COUNT(fields))) != CPN_OK)
        return rc;
    list = json_object_get(d->body, "addressPrefixes");
    if ((rc = cpn_shape_count(s, "body.addressPrefixes", list, 1, CPN_NETWORK_PREFIXES_MAX)) !=
        CPN_OK)
        return rc;
    d->as.network.prefixes = cpn_xcalloc(json_array_size(list), sizeof(cpn_prefix));
    for (size_t i = 0; i < json_array_size(list); i++)
        if ((rc = read_prefix(d, s, cpn_shape_at(at, "body.addressPrefixes", i),
                              json_array_get(list, i), allow_loopback)) != CPN_OK)
            return rc;
    rc = cpn_doc_links(d, s, "peerings", CPN_K_NETWORK, 0, CPN_NETWORK_PEERINGS_MAX);
    for (unsigned i = 0; rc == CPN_OK && i < d->links_n; i++)
        if (strcmp(d->links[i].lower, d->self.lower) == 0)
            return cpn_shape_bad(s, cpn_shape_at(at, "body.peerings", i),
                                 json_array_get(json_object_get(d->body, "peerings"), i),
                                 "another network than itself");
    return rc;
}

cpn_rc
cpn_read_nic(cpn_doc *d, const cpn_shape *s, bool allow_loopback)
{
    static const cpn_field fields[] = { { "privateIPAddress", CPN_FIELD_STRING, true },
                                        { "virtualNetwork", CPN_FIELD_STRING, true } };
    const json_t *addr;
    cpn_rc rc;

    (void)allow_loopback; /* the address lies in a prefix, which was checked */
    if ((rc = cpn_shape_fields(s, "body", d->body, fields, CPN_COUNT(fields))) != CPN_OK)
        return rc;
    addr = json_object_get(d->body, "privateIPAddress");
    if (strlen(json_string_value(addr)) != json_string_length(addr) ||
        cpn_addr_parse(&d->as.nic_addr, cpn_view_str(json_string_value(addr)), NULL) != CPN_OK)
        return cpn_shape_bad(s, "body.privateIPAddress", addr, "an address such as 10.1.0.4");
    return cpn_doc_link(d, s, "body.virtualNetwork", json_object_get(d->body, "virtualNetwork"),
                        CPN_K_NETWORK);
}

/* ---- bastions ---- */

static cpn_rc
read_sku(cpn_doc *d, const cpn_shape *s, const json_t *v)
{
    static const char *const names[] = { [CPN_SKU_BASIC] = "Basic",
                                         [CPN_SKU_STANDARD] = "Standard",
                                         [CPN_SKU_PREMIUM] = "Premium",
                                         [CPN_SKU_DEVELOPER] = "Developer",
                                         [CPN_SKU_QUICKCONNECT] = "QuickConnect" };

    for (cpn_sku k = CPN_SKU_BASIC; k <= CPN_SKU_QUICKCONNECT; k++)
        if (strcmp(names[k], json_string_value(v)) == 0) {
            d->as.bastion.sku = k;
            return CPN_OK;
        }
    return cpn_shape_bad(s, "body.sku", v,
                         "one of Basic, Standard, Premium, Developer, QuickConnect");
}

/* ["any"], or both of ssh and rdp: one alone would promise a check that is not made. */
static cpn_rc
read_protocols(cpn_doc *d, const cpn_shape *s, const json_t *list)
{
    unsigned ssh = 0, rdp = 0, any = 0;

    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *p = json_string_value(json_array_get(list, i));

        ssh += p && strcmp(p, "ssh") == 0;
        rdp += p && strcmp(p, "rdp") == 0;
        any += p && strcmp(p, "any") == 0;
    }
    d->as.bastion.any_protocol = any == 1;
    if (!list || (any == 1 && json_array_size(list) == 1) ||
        (ssh == 1 && rdp == 1 && json_array_size(list) == 2))
        return CPN_OK;
    return cpn_shape_bad(s, "body.protocols", list, "[\"ssh\",\"rdp\"] or [\"any\"]");
}

static cpn_rc
read_ports(cpn_doc *d, const cpn_shape *s, const json_t *list)
{
    char at[CPN_PATH_MAX];
    unsigned port = 0;
    cpn_rc rc;

    if (!list)
        return CPN_OK;
    if ((rc = cpn_shape_count(s, "body.ports", list, 1, CPN_BASTION_PORTS_MAX)) != CPN_OK)
        return rc;
    d->as.bastion.ports = cpn_xcalloc(json_array_size(list), sizeof(uint16_t));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *v = json_array_get(list, i);

        if ((rc = cpn_shape_uint(s, cpn_shape_at(at, "body.ports", i), v, 1, 65535, &port)) !=
            CPN_OK)
            return rc;
        for (unsigned k = 0; k < d->as.bastion.ports_n; k++)
            if (d->as.bastion.ports[k] == port)
                return cpn_shape_bad(s, at, v, "each port once");
        d->as.bastion.ports[d->as.bastion.ports_n++] = (uint16_t)port;
    }
    return CPN_OK;
}

/* What Azure's clients keep at a bastion. */
static cpn_rc
read_shown(cpn_doc *d, const cpn_shape *s)
{
    static const struct {
        const char *key, *path;
        size_t max;
    } texts[] = { { "location", "body.location", CPN_TEXT_MAX },
                  { "ipConfigurationName", "body.ipConfigurationName", CPN_NAME_MAX },
                  { "publicIPAddress", "body.publicIPAddress", CPN_ID_MAX } };
    const char *text;
    cpn_rc rc;

    for (size_t i = 0; i < CPN_COUNT(texts); i++) {
        const json_t *v = json_object_get(d->body, texts[i].key);

        if (v && (rc = cpn_shape_text(s, texts[i].path, v, texts[i].max, &text)) != CPN_OK)
            return rc;
    }
    return cpn_doc_tags(s, json_object_get(d->body, "tags"));
}

cpn_rc
cpn_read_bastion(cpn_doc *d, const cpn_shape *s, bool allow_loopback)
{
    static const cpn_field fields[] = {
        { "virtualNetwork", CPN_FIELD_STRING, true },
        { "sku", CPN_FIELD_STRING, true },
        { "scaleUnits", CPN_FIELD_INTEGER, false },
        { "enableTunneling", CPN_FIELD_BOOL, false },
        { "enableIpConnect", CPN_FIELD_BOOL, false },
        { "protocols", CPN_FIELD_ARRAY, false },
        { "ports", CPN_FIELD_ARRAY, false },
        /* shown as they are, without effect here */
        { "location", CPN_FIELD_STRING, false },
        { "tags", CPN_FIELD_OBJECT, false },
        { "disableCopyPaste", CPN_FIELD_BOOL, false },
        { "enableFileCopy", CPN_FIELD_BOOL, false },
        { "ipConfigurationName", CPN_FIELD_STRING, false },
        { "publicIPAddress", CPN_FIELD_STRING, false },
    };
    const json_t *units;
    cpn_rc rc;

    (void)allow_loopback;
    if ((rc = cpn_shape_fields(s, "body", d->body, fields, CPN_COUNT(fields))) != CPN_OK ||
        (rc = cpn_doc_link(d, s, "body.virtualNetwork", json_object_get(d->body, "virtualNetwork"),
                           CPN_K_NETWORK)) != CPN_OK ||
        (rc = read_sku(d, s, json_object_get(d->body, "sku"))) != CPN_OK)
        return rc;
    d->as.bastion.scale_units = CPN_SCALE_UNITS_MIN;
    units = json_object_get(d->body, "scaleUnits");
    if (units && (rc = cpn_shape_uint(s, "body.scaleUnits", units, CPN_SCALE_UNITS_MIN,
                                      CPN_SCALE_UNITS_MAX, &d->as.bastion.scale_units)) != CPN_OK)
        return rc;
    d->as.bastion.tunneling = json_is_true(json_object_get(d->body, "enableTunneling"));
    d->as.bastion.ip_connect = json_is_true(json_object_get(d->body, "enableIpConnect"));
    if ((rc = read_protocols(d, s, json_object_get(d->body, "protocols"))) != CPN_OK ||
        (rc = read_shown(d, s)) != CPN_OK)
        return rc;
    return read_ports(d, s, json_object_get(d->body, "ports"));
}
