/* Resolves networks, interfaces, machines and bastions in a new snapshot, and checks addresses. */
#include "policy/snapshot_impl.h"

/* ---- peerings ---- */

typedef struct cpn_edge {
    cpn_network *from;
    const cpn_network *to;
} cpn_edge;

static int
by_ends(const void *a, const void *b)
{
    const cpn_edge *x = a, *y = b;

    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    return x->to == y->to ? 0 : x->to < y->to ? -1 : 1;
}

/* Both directions of every peering, each once. Nodes of a kind are one array: pointers compare. */
static size_t
collect_edges(cpn_snapshot *s, cpn_edge *edges, cpn_problems *p)
{
    size_t n = 0, kept = 0;

    for (unsigned i = 0; i < s->n[CPN_K_NETWORK]; i++) {
        cpn_node *a = &s->nodes[CPN_K_NETWORK][i];

        for (unsigned k = 0; k < a->doc->links_n; k++) {
            cpn_node *b = cpn_node_find(s, CPN_K_NETWORK, &a->doc->links[k]);

            if (!b) {
                cpn_problem(p, "virtualNetwork %s: peered with %s, which does not exist",
                            a->doc->id, a->doc->links[k].lower);
                continue;
            }
            edges[n++] = (cpn_edge){ &a->as.network, &b->as.network };
            edges[n++] = (cpn_edge){ &b->as.network, &a->as.network };
        }
    }
    qsort(edges, n, sizeof(*edges), by_ends);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || by_ends(&edges[i - 1], &edges[i]) != 0)
            edges[kept++] = edges[i];
    return kept;
}

static void
resolve_peers(cpn_snapshot *s, cpn_problems *p)
{
    size_t n = 0;
    CPN_AUTO(cpn_auto_mem) cpn_edge *edges = NULL;

    for (unsigned i = 0; i < s->n[CPN_K_NETWORK]; i++)
        n += 2 * (size_t)s->nodes[CPN_K_NETWORK][i].doc->links_n;
    if (n == 0)
        return;
    edges = cpn_xcalloc(n, sizeof(*edges));
    n = collect_edges(s, edges, p);
    s->peers = cpn_xcalloc(n + 1, sizeof(const cpn_network *));
    for (size_t i = 0; i < n; i++) {
        cpn_network *from = edges[i].from;

        if (from->peers_n++ == 0)
            from->peers = &s->peers[i];
        s->peers[i] = edges[i].to;
    }
}

/* ---- overlaps ---- */

typedef struct cpn_claim {
    const cpn_prefix *prefix;
    const cpn_network *network;
} cpn_claim;

static int
by_prefix(const void *a, const void *b)
{
    const cpn_claim *x = a, *y = b;
    int order = memcmp(x->prefix->addr.b, y->prefix->addr.b, sizeof(x->prefix->addr.b));

    return order ? order : (int)x->prefix->len - (int)y->prefix->len;
}

static size_t
claim_all(cpn_claim *claims, size_t n, const cpn_network *network)
{
    for (unsigned i = 0; i < network->prefixes_n; i++)
        claims[n++] = (cpn_claim){ &network->prefixes[i], network };
    return n;
}

static void
report_overlap(const cpn_network *centre, const cpn_claim *a, const cpn_claim *b, cpn_problems *p)
{
    char ta[CPN_ADDR_TEXT], tb[CPN_ADDR_TEXT];
    const cpn_network *na = a->network, *nb = b->network;

    if (na == nb && na != centre)
        return; /* told when that network is the centre */
    if (na != nb && (na == centre || nb == centre) && CPN_MIN(na, nb) != centre)
        return; /* two that are peered are told once */
    cpn_prefix_text(a->prefix, ta);
    cpn_prefix_text(b->prefix, tb);
    if (na == nb)
        cpn_problem(p, "virtualNetwork %s: its prefixes %s and %s overlap", na->id, ta, tb);
    else if (na == centre || nb == centre)
        cpn_problem(p, "virtualNetwork %s: its prefix %s overlaps %s of its peer %s", na->id, ta,
                    tb, nb->id);
    else
        cpn_problem(p, "virtualNetwork %s: %s of its peer %s overlaps %s of its peer %s",
                    centre->id, ta, na->id, tb, nb->id);
}

/* A network and all its peers form one space from a bastion's view: an address in it must mean one
 * network. Prefixes nest or are apart, so in sorted order an overlap shows between neighbours. */
static void
check_overlaps(const cpn_network *centre, cpn_problems *p)
{
    size_t n = centre->prefixes_n;
    CPN_AUTO(cpn_auto_mem) cpn_claim *claims = NULL;

    for (unsigned i = 0; i < centre->peers_n; i++)
        n += centre->peers[i]->prefixes_n;
    claims = cpn_xcalloc(n, sizeof(*claims));
    n = claim_all(claims, 0, centre);
    for (unsigned i = 0; i < centre->peers_n; i++)
        n = claim_all(claims, n, centre->peers[i]);
    qsort(claims, n, sizeof(*claims), by_prefix);
    for (size_t i = 1; i < n; i++)
        if (cpn_prefix_overlaps(claims[i - 1].prefix, claims[i].prefix))
            report_overlap(centre, &claims[i - 1], &claims[i], p);
}

void
cpn_seal_networks(cpn_snapshot *s, cpn_problems *p)
{
    for (unsigned i = 0; i < s->n[CPN_K_NETWORK]; i++) {
        cpn_node *n = &s->nodes[CPN_K_NETWORK][i];

        n->as.network = (cpn_network){ .id = n->doc->id,
                                       .id_lower = n->doc->self.lower,
                                       .name = n->doc->name,
                                       .prefixes = n->doc->as.network.prefixes,
                                       .prefixes_n = n->doc->as.network.prefixes_n };
    }
    resolve_peers(s, p);
    for (unsigned i = 0; i < s->n[CPN_K_NETWORK]; i++)
        check_overlaps(&s->nodes[CPN_K_NETWORK][i].as.network, p);
}

/* ---- interfaces ---- */

static void
index_address(cpn_snapshot *s, cpn_addr_slot *slot, cpn_problems *p)
{
    char text[CPN_ADDR_TEXT];
    const cpn_nic *other = cpn_nic_at(s, slot->key.network, &slot->key.addr);

    if (other) {
        cpn_problem(p, "networkInterface %s: its address %s is already that of %s", slot->nic->id,
                    cpn_addr_text(&slot->key.addr, text), other->id);
        return;
    }
    HASH_ADD(hh, s->by_addr, key, sizeof(slot->key), slot);
}

/* One address once among peers needs no look at the peers: it lies in its network's prefixes, and
 * theirs do not overlap. */
void
cpn_seal_nics(cpn_snapshot *s, cpn_problems *p)
{
    char text[CPN_ADDR_TEXT];

    s->addr_slots = cpn_xcalloc(s->n[CPN_K_NIC] + 1u, sizeof(*s->addr_slots));
    for (unsigned i = 0; i < s->n[CPN_K_NIC]; i++) {
        cpn_node *n = &s->nodes[CPN_K_NIC][i];
        cpn_nic *nic = &n->as.nic;
        const cpn_node *network = cpn_node_find(s, CPN_K_NETWORK, &n->doc->links[0]);

        *nic = (cpn_nic){ .id = n->doc->id,
                          .id_lower = n->doc->self.lower,
                          .name = n->doc->name,
                          .addr = n->doc->as.nic_addr };
        if (!network) {
            cpn_problem(p, "networkInterface %s: its network %s does not exist", nic->id,
                        n->doc->links[0].lower);
            continue;
        }
        nic->network = &network->as.network;
        if (!cpn_network_holds(nic->network, &nic->addr))
            cpn_problem(p, "networkInterface %s: its address %s lies in no prefix of %s", nic->id,
                        cpn_addr_text(&nic->addr, text), nic->network->id);
        s->addr_slots[i].key = (cpn_addr_key){ nic->network, nic->addr };
        s->addr_slots[i].nic = nic;
        index_address(s, &s->addr_slots[i], p);
    }
}

/* ---- machines and bastions ---- */

static void
attach_nic(cpn_snapshot *s, cpn_node *machine, unsigned i, cpn_problems *p)
{
    cpn_node *n = cpn_node_find(s, CPN_K_NIC, &machine->doc->links[i]);

    if (!n) {
        cpn_problem(p, "virtualMachine %s: its interface %s does not exist", machine->doc->id,
                    machine->doc->links[i].lower);
        return;
    }
    if (n->as.nic.machine)
        cpn_problem(p, "virtualMachine %s: its interface %s is already that of %s",
                    machine->doc->id, n->doc->id, n->as.nic.machine->id);
    n->as.nic.machine = &machine->as.machine;
    if (i == 0)
        machine->as.machine.nic = &n->as.nic;
}

void
cpn_seal_machines(cpn_snapshot *s, cpn_problems *p)
{
    for (unsigned i = 0; i < s->n[CPN_K_MACHINE]; i++) {
        cpn_node *n = &s->nodes[CPN_K_MACHINE][i];

        n->as.machine = (cpn_machine){ .id = n->doc->id,
                                       .id_lower = n->doc->self.lower,
                                       .name = n->doc->name,
                                       .host_key = n->doc->as.host_keys };
        for (unsigned k = 0; k < n->doc->links_n; k++)
            attach_nic(s, n, k, p);
    }
}

void
cpn_seal_bastions(cpn_snapshot *s, cpn_problems *p)
{
    for (unsigned i = 0; i < s->n[CPN_K_BASTION]; i++) {
        cpn_node *n = &s->nodes[CPN_K_BASTION][i];
        const cpn_doc *d = n->doc;
        const cpn_node *network = cpn_node_find(s, CPN_K_NETWORK, &d->links[0]);

        if (!network)
            cpn_problem(p, "bastionHost %s: its network %s does not exist", d->id,
                        d->links[0].lower);
        n->as.bastion = (cpn_bastion){ .id = d->id,
                                       .id_lower = d->self.lower,
                                       .name = d->name,
                                       .network = network ? &network->as.network : NULL,
                                       .sku = d->as.bastion.sku,
                                       .scale_units = d->as.bastion.scale_units,
                                       .enable_tunneling = d->as.bastion.tunneling,
                                       .enable_ip_connect = d->as.bastion.ip_connect,
                                       .any_protocol = d->as.bastion.any_protocol,
                                       .ports = d->as.bastion.ports,
                                       .ports_n = d->as.bastion.ports_n };
    }
}
