/* Reads networks, their prefixes and peerings and interfaces. */
#include "client/inv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIXES_MAX 64
#define PEERS_MAX 500

static cpn_rc
read_prefix(inv *i, inv_network *n, const cpn_yaml_node *at, json_t *out)
{
    char text[CPN_ADDR_TEXT];
    cpn_prefix p;
    cpn_err err = { 0 };
    cpn_view v;
    cpn_rc rc = cpn_yaml_string(at, &v, i->e);

    if (rc != CPN_OK)
        return rc;
    if (cpn_prefix_parse(&p, v, &err) != CPN_OK)
        return cpn_yaml_error(i->e, at, "'%.*s': %s (expected a prefix such as 10.1.0.0/16)",
                              CPN_VIEW_ARG(v), err.msg);
    for (unsigned k = 0; k < n->prefixes_n; k++)
        if (cpn_prefix_overlaps(&p, &n->prefixes[k]))
            return cpn_yaml_error(i->e, at,
                                  "overlaps %s above (expected prefixes that do not overlap)",
                                  cpn_prefix_text(&n->prefixes[k], text));
    n->prefixes[n->prefixes_n] = p;
    n->where[n->prefixes_n++] = at;
    json_array_append_new(out, json_string(cpn_prefix_text(&p, text)));
    return CPN_OK;
}

/* The array of prefixes, NULL after an error. New reference. */
static json_t *
read_prefixes(inv *i, inv_network *n, const cpn_yaml_node *entry)
{
    const cpn_yaml_node *list = inv_need(i, entry, "prefixes", "a list of prefixes");
    json_auto_t *out = json_array();
    cpn_rc rc;

    if (!list || cpn_yaml_expect_list(list, PREFIXES_MAX, i->e) != CPN_OK)
        return NULL;
    if (list->n == 0) {
        (void)cpn_yaml_error(i->e, list, "empty (expected at least one prefix)");
        return NULL;
    }
    n->prefixes = cpn_xcalloc(list->n, sizeof(*n->prefixes));
    n->where = cpn_xcalloc(list->n, sizeof(*n->where));
    for (const cpn_yaml_node *p = list->child; p; p = p->next)
        if ((rc = read_prefix(i, n, p, out)) != CPN_OK)
            return NULL;
    return cpn_steal(&out);
}

/* First pass: names and prefixes. */
void
inv_network_names(inv *i, const cpn_yaml_node *entry)
{
    static const char *const keys[] = { "name", "group", "prefixes", "peerings", NULL };
    char id[CPN_ID_MAX + 1];
    inv_thing *t;
    cpn_view name;

    if (cpn_yaml_known_keys(entry, keys, i->e) != CPN_OK ||
        inv_resource_id(i, entry, "Microsoft.Network/virtualNetworks", &name, id) != CPN_OK ||
        !(t = inv_add(i, INV_NETWORK, entry, name, id)))
        return;
    t->network = cpn_xcalloc(1, sizeof(*t->network));
}

static inv_thing *
thing_at(inv *i, const cpn_yaml_node *entry)
{
    for (inv_thing *t = i->last; t; t = t->before)
        if (t->at == entry)
            return t;
    return NULL;
}

static void
add_peer(inv_network *n, const inv_network *peer)
{
    for (unsigned k = 0; k < n->peers_n; k++)
        if (n->peers[k] == peer)
            return;
    n->peers = cpn_xrealloc(n->peers, n->peers_n + 1, sizeof(*n->peers));
    n->peers[n->peers_n++] = peer;
}

static cpn_rc
read_peer(inv *i, const inv_thing *self, const cpn_yaml_node *at, json_t *out)
{
    const inv_thing *peer;
    const char *id;
    cpn_rc rc = inv_ref(i, INV_NETWORK, at, &id, &peer);

    if (rc != CPN_OK)
        return rc;
    if (peer == self)
        return cpn_yaml_error(i->e, at, "a network is not its own peer (expected another network)");
    if (peer && peer->network) {
        add_peer(self->network, peer->network);
        add_peer(peer->network, self->network); /* one side is enough */
    }
    json_array_append_new(out, json_string(id));
    return CPN_OK;
}

/* Second pass, when every name is known: peerings, and the document. */
void
inv_network_peers(inv *i, const cpn_yaml_node *entry)
{
    const cpn_yaml_node *list = cpn_yaml_get(entry, "peerings");
    json_auto_t *peers = json_array();
    json_auto_t *prefixes = NULL;
    const inv_thing *self = thing_at(i, entry);

    if (!self || !(prefixes = read_prefixes(i, self->network, entry)))
        return;
    if (list && cpn_yaml_expect_list(list, PEERS_MAX, i->e) != CPN_OK)
        return;
    for (const cpn_yaml_node *p = list ? list->child : NULL; p; p = p->next)
        if (read_peer(i, self, p, peers) != CPN_OK)
            return;
    inv_document(i, CPN_KIND_NETWORK, self->id,
                 json_pack("{s:O, s:O}", "addressPrefixes", prefixes, "peerings", peers));
}

static void
check_pair(inv *i, const inv_network *a, const inv_network *b)
{
    char text[CPN_ADDR_TEXT];

    for (unsigned x = 0; x < a->prefixes_n; x++)
        for (unsigned y = 0; y < b->prefixes_n; y++)
            if (cpn_prefix_overlaps(&a->prefixes[x], &b->prefixes[y]))
                (void)cpn_yaml_error(
                    i->e, a->where[x],
                    "overlaps %s of the peered network in line %u (expected prefixes that do "
                    "not overlap)",
                    cpn_prefix_text(&b->prefixes[y], text), (unsigned)b->where[y]->line);
}

void
inv_check_overlaps(inv *i)
{
    for (const inv_thing *t = i->last; t; t = t->before)
        for (unsigned k = 0; t->network && k < t->network->peers_n; k++)
            /* each pair once */
            if ((uintptr_t)t->network > (uintptr_t)t->network->peers[k])
                check_pair(i, t->network, t->network->peers[k]);
}

static bool
reach_each_other(const inv_network *a, const inv_network *b)
{
    for (unsigned k = 0; k < a->peers_n; k++)
        if (a->peers[k] == b)
            return true;
    return a == b;
}

static cpn_rc
take_address(inv *i, const cpn_yaml_node *at, const cpn_addr *addr, const inv_network *network)
{
    inv_addr *first, *a;

    HASH_FIND(hh, i->addrs, addr, sizeof(*addr), first);
    for (a = first; a; a = a->same)
        if (reach_each_other(network, a->network))
            return cpn_yaml_error(i->e, at,
                                  "this address is in line %u already (expected each once)",
                                  (unsigned)a->at->line);
    a = cpn_xcalloc(1, sizeof(*a));
    *a = (inv_addr){ .addr = *addr, .network = network, .at = at };
    if (first) {
        a->same = first->same;
        first->same = a;
    } else {
        HASH_ADD(hh, i->addrs, addr, sizeof(a->addr), a);
    }
    return CPN_OK;
}

/* Inside one of the network's prefixes, and nobody else's. A network that only the gateway knows is
 * checked there. */
static cpn_rc
check_address(inv *i, const cpn_yaml_node *at, const cpn_addr *addr, const inv_thing *network)
{
    char text[CPN_ADDR_TEXT];

    if (!network || !network->network || network->network->prefixes_n == 0)
        return CPN_OK;
    for (unsigned k = 0; k < network->network->prefixes_n; k++)
        if (cpn_prefix_holds(&network->network->prefixes[k], addr))
            return take_address(i, at, addr, network->network);
    return cpn_yaml_error(i->e, at,
                          "%s lies in no prefix of the network (expected one of its addresses)",
                          cpn_addr_text(addr, text));
}

cpn_rc
inv_nic(inv *i, const cpn_yaml_node *address, const cpn_yaml_node *network, const char *nic_id)
{
    char text[CPN_ADDR_TEXT];
    const inv_thing *thing;
    const char *network_id;
    cpn_err err = { 0 };
    cpn_addr addr;
    cpn_view v;
    cpn_rc rc = inv_ref(i, INV_NETWORK, network, &network_id, &thing);

    if (rc != CPN_OK || (rc = cpn_yaml_string(address, &v, i->e)) != CPN_OK)
        return rc;
    if (cpn_addr_parse(&addr, v, &err) != CPN_OK)
        return cpn_yaml_error(i->e, address, "%s (expected an address such as 10.1.0.4)", err.msg);
    if ((rc = check_address(i, address, &addr, thing)) != CPN_OK)
        return rc;
    inv_document(i, CPN_KIND_NIC, nic_id,
                 json_pack("{s:s, s:s}", "privateIPAddress", cpn_addr_text(&addr, text),
                           "virtualNetwork", network_id));
    return CPN_OK;
}

void
inv_interface(inv *i, const cpn_yaml_node *entry)
{
    static const char *const keys[] = { "name", "group", "network", "address", NULL };
    const cpn_yaml_node *network, *address;
    char id[CPN_ID_MAX + 1];
    cpn_view name;

    if (cpn_yaml_known_keys(entry, keys, i->e) != CPN_OK ||
        inv_resource_id(i, entry, "Microsoft.Network/networkInterfaces", &name, id) != CPN_OK ||
        !(network = inv_need(i, entry, "network", "the name of a network")) ||
        !(address = inv_need(i, entry, "address", "an address")) ||
        !inv_add(i, INV_NIC, entry, name, id))
        return;
    if (inv_nic(i, address, network, id) != CPN_OK)
        return; /* the error is gathered */
}
