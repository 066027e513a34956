/* Reads machines, scale sets and bastions. */
#include "client/inv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NICS_MAX 8
#define HOST_KEYS_MAX 16
#define HOST_KEY_BYTES 2048
#define PORTS_MAX 64

/* "TYPE BASE64 [comment]": the gateway checks the rest. */
static bool
looks_like_key(cpn_view v)
{
    cpn_view type, rest;

    if (v.n > HOST_KEY_BYTES || !cpn_view_cut(v, ' ', &type, &rest) || rest.n < 16)
        return false;
    return cpn_view_starts(type, "ssh-") || cpn_view_starts(type, "ecdsa-") ||
           cpn_view_starts(type, "sk-");
}

static cpn_rc
read_host_keys(inv *i, const cpn_yaml_node *entry, json_t *body)
{
    const cpn_yaml_node *list = cpn_yaml_get(entry, "host_keys");
    json_t *out;
    cpn_view v;

    if (!list)
        return CPN_OK;
    if (cpn_yaml_expect_list(list, HOST_KEYS_MAX, i->e) != CPN_OK)
        return CPN_INVALID;
    out = json_array();
    json_object_set_new(body, "sshHostKeys", out);
    for (const cpn_yaml_node *n = list->child; n; n = n->next) {
        if (cpn_yaml_string(n, &v, i->e) != CPN_OK)
            return CPN_INVALID;
        if (!looks_like_key(v))
            return cpn_yaml_error(i->e, n,
                                  "not a public key (expected such as \"ssh-ed25519 AAAA…\")");
        json_array_append_new(out, json_stringn((const char *)v.p, v.n));
    }
    return CPN_OK;
}

/* The id of the interface that belongs to a machine which gives its address itself. */
static cpn_rc
own_nic(inv *i, const cpn_yaml_node *entry, const char *machine_id, json_t *nics)
{
    const cpn_yaml_node *address = cpn_yaml_get(entry, "address");
    const cpn_yaml_node *network = inv_need(i, entry, "network", "the name of a network");
    char id[CPN_ID_MAX + 1], name[CPN_NAME_MAX + 8];
    const char *cut = strstr(machine_id, "/providers/");
    int n = snprintf(name, sizeof(name), "%s-nic", strrchr(machine_id, '/') + 1);

    if (!network || !cut)
        return CPN_INVALID;
    if (n > CPN_NAME_MAX)
        return cpn_yaml_error(i->e, entry,
                              "the name is too long for its interface NAME-nic (expected at "
                              "most 76 characters)");
    snprintf(id, sizeof(id), "%.*s/providers/Microsoft.Network/networkInterfaces/%s",
             (int)(cut - machine_id), machine_id, name);
    if (!inv_add(i, INV_NIC, entry, cpn_view_str(name), id))
        return CPN_INVALID;
    json_array_append_new(nics, json_string(id));
    return inv_nic(i, address, network, id);
}

static cpn_rc
named_nics(inv *i, const cpn_yaml_node *list, json_t *nics)
{
    const char *id;

    if (cpn_yaml_expect_list(list, NICS_MAX, i->e) != CPN_OK)
        return CPN_INVALID;
    if (list->n == 0)
        return cpn_yaml_error(i->e, list, "empty (expected at least one interface)");
    for (const cpn_yaml_node *n = list->child; n; n = n->next) {
        if (inv_ref(i, INV_NIC, n, &id, NULL) != CPN_OK)
            return CPN_INVALID;
        json_array_append_new(nics, json_string(id));
    }
    return CPN_OK;
}

static cpn_rc
read_nics(inv *i, const cpn_yaml_node *entry, const char *id, json_t *body)
{
    const cpn_yaml_node *list = cpn_yaml_get(entry, "interfaces");
    const cpn_yaml_node *address = cpn_yaml_get(entry, "address");
    json_t *nics = json_array();

    json_object_set_new(body, "networkInterfaces", nics);
    if (!list && !address)
        return cpn_yaml_error(i->e, entry,
                              "'address' is missing (expected an address, or 'interfaces')");
    if (address && own_nic(i, entry, id, nics) != CPN_OK)
        return CPN_INVALID;
    return list ? named_nics(i, list, nics) : CPN_OK;
}

void
inv_machine(inv *i, const cpn_yaml_node *entry)
{
    static const char *const keys[] = { "name",       "group",     "network", "address",
                                        "interfaces", "host_keys", NULL };
    json_auto_t *body = json_object();
    char id[CPN_ID_MAX + 1];
    cpn_view name;

    if (cpn_yaml_known_keys(entry, keys, i->e) != CPN_OK ||
        inv_resource_id(i, entry, "Microsoft.Compute/virtualMachines", &name, id) != CPN_OK ||
        !inv_add(i, INV_MACHINE, entry, name, id) || read_nics(i, entry, id, body) != CPN_OK ||
        read_host_keys(i, entry, body) != CPN_OK)
        return;
    inv_document(i, CPN_KIND_MACHINE, id, cpn_steal(&body));
}

/* An instance: a machine SET/virtualMachines/ID with the interface SET_ID-nic. */
static void
read_instance(inv *i, const cpn_yaml_node *set, const cpn_yaml_node *entry, const char *set_id)
{
    static const char *const keys[] = { "id", "address", "host_keys", NULL };
    const cpn_yaml_node *address, *network, *number;
    char id[CPN_ID_MAX + 1], nic[CPN_ID_MAX + 1];
    json_auto_t *body = NULL;
    uint64_t n;

    if (cpn_yaml_expect_map(entry, i->e) != CPN_OK ||
        cpn_yaml_known_keys(entry, keys, i->e) != CPN_OK ||
        !(number = inv_need(i, entry, "id", "the instance's number")) ||
        !(address = inv_need(i, entry, "address", "an address")) ||
        !(network = inv_need(i, set, "network", "the name of a network")))
        return;
    if (number->kind != CPN_YAML_SCALAR || !cpn_view_u64(number->text, 999999, &n)) {
        (void)cpn_yaml_error(i->e, number, "not an instance's number (expected 0 to 999999)");
        return;
    }
    if (snprintf(id, sizeof(id), "%s/virtualMachines/%u", set_id, (unsigned)n) > CPN_ID_MAX ||
        snprintf(nic, sizeof(nic), "%.*s/providers/Microsoft.Network/networkInterfaces/%s-%u-nic",
                 (int)(strstr(set_id, "/providers/") - set_id), set_id, strrchr(set_id, '/') + 1,
                 (unsigned)n) > CPN_ID_MAX) {
        (void)cpn_yaml_error(i->e, entry, "the id grows too long");
        return;
    }
    body = json_pack("{s:[s]}", "networkInterfaces", nic);
    if (!inv_add(i, INV_MACHINE, entry, number->text, id) ||
        !inv_add(i, INV_NIC, entry, cpn_view_str(strrchr(nic, '/') + 1), nic) ||
        inv_nic(i, address, network, nic) != CPN_OK || read_host_keys(i, entry, body) != CPN_OK)
        return;
    inv_document(i, CPN_KIND_MACHINE, id, cpn_steal(&body));
}

void
inv_scale_set(inv *i, const cpn_yaml_node *entry)
{
    static const char *const keys[] = { "name", "group", "network", "instances", NULL };
    const cpn_yaml_node *list = cpn_yaml_get(entry, "instances");
    char id[CPN_ID_MAX + 1];
    cpn_view name;

    if (cpn_yaml_known_keys(entry, keys, i->e) != CPN_OK ||
        inv_resource_id(i, entry, "Microsoft.Compute/virtualMachineScaleSets", &name, id) !=
            CPN_OK ||
        !inv_add(i, INV_SCALE_SET, entry, name, id))
        return;
    if (name.n > CPN_NAME_MAX - 12) {
        (void)cpn_yaml_error(i->e, entry,
                             "the name is too long for its interfaces (expected at most 68 "
                             "characters)");
        return;
    }
    inv_document(i, CPN_KIND_SCALE_SET, id, json_object());
    if (list && cpn_yaml_expect_list(list, CPN_INVENTORY_ENTRIES, i->e) != CPN_OK)
        return;
    for (const cpn_yaml_node *n = list ? list->child : NULL; n; n = n->next)
        read_instance(i, entry, n, id);
}

/* ---- bastions ---- */

static cpn_rc
read_word(inv *i, const cpn_yaml_node *n, const char *const *words, const char *expected,
          const char **out)
{
    cpn_view v;
    cpn_rc rc = cpn_yaml_string(n, &v, i->e);

    if (rc != CPN_OK)
        return rc;
    for (; *words; words++)
        if (cpn_view_is_nocase(v, *words)) {
            *out = *words;
            return CPN_OK;
        }
    return cpn_yaml_error(i->e, n, "'%.*s' (expected %s)", CPN_VIEW_ARG(v), expected);
}

static cpn_rc
read_protocols(inv *i, const cpn_yaml_node *entry, json_t *body)
{
    static const char *const words[] = { "ssh", "rdp", "any", NULL };
    const cpn_yaml_node *list = cpn_yaml_get(entry, "protocols");
    json_t *out = json_array();
    const char *word = NULL;

    json_object_set_new(body, "protocols", out);
    if (!list) {
        json_array_append_new(out, json_string("ssh"));
        json_array_append_new(out, json_string("rdp"));
        return CPN_OK;
    }
    if (cpn_yaml_expect_list(list, 2, i->e) != CPN_OK)
        return CPN_INVALID;
    if (list->n == 0)
        return cpn_yaml_error(i->e, list, "empty (expected ssh, rdp or both, or any)");
    for (const cpn_yaml_node *n = list->child; n; n = n->next) {
        if (read_word(i, n, words, "ssh, rdp, or any alone", &word) != CPN_OK)
            return CPN_INVALID;
        if (list->n > 1 &&
            (word == words[2] ||
             (n->index == 1 && strcmp(word, json_string_value(json_array_get(out, 0))) == 0)))
            return cpn_yaml_error(i->e, n, "'%s' (expected ssh and rdp, or any alone)", word);
        json_array_append_new(out, json_string(word));
    }
    return CPN_OK;
}

static cpn_rc
read_ports(inv *i, const cpn_yaml_node *entry, json_t *body)
{
    const cpn_yaml_node *list = cpn_yaml_get(entry, "ports");
    json_t *out, *has;
    uint64_t port;
    size_t k;

    if (!list)
        return CPN_OK;
    if (cpn_yaml_expect_list(list, PORTS_MAX, i->e) != CPN_OK)
        return CPN_INVALID;
    if (list->n == 0)
        return cpn_yaml_error(i->e, list, "empty (expected at least one port, or no list)");
    out = json_array();
    json_object_set_new(body, "ports", out);
    for (const cpn_yaml_node *n = list->child; n; n = n->next) {
        if (cpn_yaml_uint(n, 1, 65535, &port, i->e) != CPN_OK)
            return CPN_INVALID;
        json_array_foreach(out, k, has)
        {
            if ((uint64_t)json_integer_value(has) == port)
                return cpn_yaml_error(i->e, n, "port %u twice (expected each once)",
                                      (unsigned)port);
        }
        json_array_append_new(out, json_integer((json_int_t)port));
    }
    return CPN_OK;
}

static cpn_rc
read_switch(inv *i, const cpn_yaml_node *entry, const char *key, bool def, json_t *body,
            const char *as)
{
    const cpn_yaml_node *n = cpn_yaml_get(entry, key);
    bool on = def;
    cpn_rc rc = n ? cpn_yaml_bool(n, &on, i->e) : CPN_OK;

    json_object_set_new(body, as, json_boolean(on));
    return rc;
}

static cpn_rc
read_sku(inv *i, const cpn_yaml_node *entry, json_t *body)
{
    static const char *const words[] = { "Basic",     "Standard",     "Premium",
                                         "Developer", "QuickConnect", NULL };
    const cpn_yaml_node *sku = cpn_yaml_get(entry, "sku");
    const cpn_yaml_node *units = cpn_yaml_get(entry, "scale_units");
    const char *word = "Standard";
    uint64_t n = 2;

    if ((sku && read_word(i, sku, words, "Basic, Standard, Premium, Developer or QuickConnect",
                          &word) != CPN_OK) ||
        (units && cpn_yaml_uint(units, 2, 50, &n, i->e) != CPN_OK))
        return CPN_INVALID;
    json_object_set_new(body, "sku", json_string(word));
    json_object_set_new(body, "scaleUnits", json_integer((json_int_t)n));
    return CPN_OK;
}

void
inv_bastion(inv *i, const cpn_yaml_node *entry)
{
    static const char *const keys[] = { "name",       "group",       "network",
                                        "sku",        "scale_units", "native_client",
                                        "ip_connect", "protocols",   "ports",
                                        NULL };
    json_auto_t *body = json_object();
    const cpn_yaml_node *network;
    char id[CPN_ID_MAX + 1];
    const char *network_id;
    cpn_view name;

    if (cpn_yaml_known_keys(entry, keys, i->e) != CPN_OK ||
        inv_resource_id(i, entry, "Microsoft.Network/bastionHosts", &name, id) != CPN_OK ||
        !inv_add(i, INV_BASTION, entry, name, id) ||
        !(network = inv_need(i, entry, "network", "the name of a network")) ||
        inv_ref(i, INV_NETWORK, network, &network_id, NULL) != CPN_OK)
        return;
    json_object_set_new(body, "virtualNetwork", json_string(network_id));
    if (read_sku(i, entry, body) != CPN_OK ||
        read_switch(i, entry, "native_client", false, body, "enableTunneling") != CPN_OK ||
        read_switch(i, entry, "ip_connect", false, body, "enableIpConnect") != CPN_OK ||
        read_protocols(i, entry, body) != CPN_OK || read_ports(i, entry, body) != CPN_OK)
        return;
    inv_document(i, CPN_KIND_BASTION, id, cpn_steal(&body));
}
