/* Judges a connect request line by line and reports every line that fails. */
#include "policy/decide.h"

#include <stdio.h>

#include "policy/may.h"
#include "policy/range.h"

#define RDP_PER_UNIT 20
#define SSH_PER_UNIT 40
#define PORT_SSH 22
#define PORT_RDP 3389

typedef struct cpn_judge {
    const cpn_snapshot *s;
    const cpn_facts *facts;
    const cpn_node *who;
    cpn_verdict *out;
} cpn_judge;

/* ---- lines ---- */

static void
copy_cut(char *out, size_t size, cpn_view v)
{
    size_t n = CPN_MIN(v.n, size - 1);

    while (n && n < v.n && (v.p[n] & 0xc0) == 0x80)
        n--; /* not through a character */
    memcpy(out, v.p, n);
    out[n] = '\0';
}

static void
fail_line(cpn_judge *j, cpn_reason why, const char *role, cpn_view scope)
{
    cpn_missing *m;

    if (j->out->missing_n == CPN_MISSING_MAX)
        return;
    m = &j->out->missing[j->out->missing_n++];
    m->why = why;
    copy_cut(m->role, sizeof(m->role), cpn_view_str(role));
    copy_cut(m->scope, sizeof(m->scope), scope);
}

static void
fail_plain(cpn_judge *j, cpn_reason why)
{
    fail_line(j, why, "", CPN_VIEW_LIT(""));
}

static cpn_may_answer
ask_read(const cpn_judge *j, cpn_kind kind, cpn_view id)
{
    cpn_byte_limits *all = &j->out->limits, here = { 0 };
    char lower[CPN_ID_MAX + 1];
    cpn_may_answer answer;

    if (!cpn_view_copy(id, lower, sizeof(lower)))
        return CPN_MAY_NO;
    cpn_lower(lower);
    answer =
        cpn_may_ask_limited(j->who, cpn_kind_read_action(kind, lower), id, j->facts->now_s, &here);
    if (answer == CPN_MAY_YES) {
        all->up = CPN_MIN(all->up, here.up);
        all->down = CPN_MIN(all->down, here.down);
    }
    return answer;
}

/* Report why an id cannot be read; `shown` is what the caller may be told of it. */
static void
fail_read(cpn_judge *j, cpn_may_answer answer, cpn_view shown)
{
    if (answer == CPN_MAY_DENIED)
        fail_line(j, CPN_WHY_ROLE_DENIED, "", shown);
    else if (answer == CPN_MAY_WINDOW)
        fail_line(j, CPN_WHY_TIME_WINDOW, "Reader", shown);
    else if (answer == CPN_MAY_NO)
        fail_line(j, CPN_WHY_ROLE_MISSING, "Reader", shown);
}

/* True: readable. Else the line is reported. */
static bool
reads(cpn_judge *j, cpn_kind kind, cpn_view id, cpn_view shown)
{
    cpn_may_answer answer = ask_read(j, kind, id);

    fail_read(j, answer, shown);
    return answer == CPN_MAY_YES;
}

static bool
reads_id(cpn_judge *j, cpn_kind kind, const char *id)
{
    return reads(j, kind, cpn_view_str(id), cpn_view_str(id));
}

/* ---- the bastion ---- */

static bool
is_id_of(cpn_view text, cpn_kind kind)
{
    cpn_resource_id id;

    return cpn_resource_id_parse(&id, text, NULL) == CPN_OK && cpn_kind_of(&id) == kind;
}

/* NULL: there is none, or nothing may be told of it. */
static const cpn_bastion *
judge_bastion(cpn_judge *j)
{
    cpn_view id = j->facts->bastion_id;
    const cpn_bastion *b = cpn_snapshot_bastion(j->s, id);
    bool readable;

    if (!is_id_of(id, CPN_K_BASTION)) {
        fail_plain(j, CPN_WHY_BASTION_UNKNOWN);
        return NULL;
    }
    if (!b && j->facts->tell_all) {
        fail_plain(j, CPN_WHY_BASTION_UNKNOWN);
        return NULL;
    }
    readable = reads(j, CPN_K_BASTION, id, id);
    if (!b && readable)
        fail_plain(j, CPN_WHY_BASTION_UNKNOWN);
    if (!b || !(readable || j->facts->tell_all))
        return NULL;
    if (cpn_bastion_is_small(b) ? !j->facts->azure_door
                                : b->sku != CPN_SKU_STANDARD && b->sku != CPN_SKU_PREMIUM)
        fail_plain(j, CPN_WHY_BASTION_SKU);
    if (!b->enable_tunneling && !(cpn_bastion_is_small(b) && j->facts->azure_door))
        fail_plain(j, CPN_WHY_NATIVE_CLIENT_OFF);
    if (j->facts->target_ip.n && (!b->enable_ip_connect || cpn_bastion_is_small(b)))
        fail_plain(j, CPN_WHY_IP_CONNECT_OFF);
    j->out->bastion = b;
    return b;
}

/* ---- a machine ---- */

/* The interface that holds the address, and its network as seen from the bastion's. */
static void
judge_interface(cpn_judge *j, const cpn_bastion *b, const cpn_nic *nic)
{
    (void)reads_id(j, CPN_K_NIC, nic->id);
    j->out->addr = nic->addr;
    if (!b || b->network == nic->network)
        return;
    if (cpn_network_has_peer(b->network, nic->network) && !cpn_bastion_is_small(b))
        (void)reads_id(j, CPN_K_NETWORK, nic->network->id);
    else
        fail_plain(j, CPN_WHY_NOT_PEERED);
}

/* The right to sign in by certificate; like the right to read, judged on the id as typed. */
static void
judge_login(cpn_judge *j)
{
    static const char action[] = "Microsoft.Compute/virtualMachines/login/action";
    cpn_view id = j->facts->target_id;

    switch (cpn_may_ask(j->who, CPN_PLANE_DATA, action, id, j->facts->now_s)) {
    case CPN_MAY_YES:
        break;
    case CPN_MAY_DENIED:
        fail_line(j, CPN_WHY_ROLE_DENIED, "", id);
        break;
    case CPN_MAY_WINDOW:
        fail_line(j, CPN_WHY_TIME_WINDOW, "Virtual Machine User Login", id);
        break;
    case CPN_MAY_NO:
        fail_line(j, CPN_WHY_ROLE_MISSING, "Virtual Machine User Login", id);
        break;
    }
}

static void
judge_machine(cpn_judge *j, const cpn_bastion *b)
{
    cpn_view id = j->facts->target_id;
    const cpn_machine *m = cpn_snapshot_machine(j->s, id);
    bool readable;

    if (!is_id_of(id, CPN_K_MACHINE) || (!m && j->facts->tell_all)) {
        fail_plain(j, CPN_WHY_TARGET_UNKNOWN);
        return;
    }
    readable = reads(j, CPN_K_MACHINE, id, id);
    if (j->facts->ssh_certificate)
        judge_login(j);
    if (!m && readable)
        fail_plain(j, CPN_WHY_TARGET_UNKNOWN);
    if (!m || !(readable || j->facts->tell_all))
        return;
    j->out->machine = m;
    judge_interface(j, b, m->nic);
}

/* ---- an address ---- */

static void
longest_match(const cpn_network *network, const cpn_addr *addr, const cpn_network **best, int *len)
{
    for (unsigned i = 0; i < network->prefixes_n; i++)
        if (cpn_prefix_holds(&network->prefixes[i], addr) && network->prefixes[i].len > *len) {
            *best = network;
            *len = network->prefixes[i].len;
        }
}

static const cpn_network *
network_of(const cpn_bastion *b, const cpn_addr *addr)
{
    const cpn_network *best = NULL;
    int len = -1;

    longest_match(b->network, addr, &best, &len);
    for (unsigned i = 0; i < b->network->peers_n; i++)
        longest_match(b->network->peers[i], addr, &best, &len);
    return best;
}

/* An interface whose owner the caller may not read: as a free address would answer, and only then
 * that there is something at it. */
static void
judge_hidden(cpn_judge *j, cpn_may_answer answer, const cpn_network *network)
{
    char text[CPN_ADDR_TEXT];

    if (reads_id(j, CPN_K_NETWORK, network->id))
        fail_read(j, answer, cpn_view_str(cpn_addr_text(&j->out->addr, text)));
}

static void
judge_registered(cpn_judge *j, const cpn_bastion *b, const cpn_nic *nic)
{
    const cpn_machine *m = nic->machine;
    cpn_may_answer answer = m ? ask_read(j, CPN_K_MACHINE, cpn_view_str(m->id))
                              : ask_read(j, CPN_K_NIC, cpn_view_str(nic->id));

    if (answer != CPN_MAY_YES && !j->facts->tell_all) {
        judge_hidden(j, answer, nic->network);
        return;
    }
    if (!m) {
        fail_read(j, answer, cpn_view_str(nic->id));
        (void)reads_id(j, CPN_K_NETWORK, nic->network->id);
        return;
    }
    fail_read(j, answer, cpn_view_str(m->id));
    j->out->machine = m;
    judge_interface(j, b, nic);
}

static void
judge_address(cpn_judge *j, const cpn_bastion *b)
{
    const cpn_network *network;
    const cpn_nic *nic;

    if (cpn_addr_parse(&j->out->addr, j->facts->target_ip, NULL) != CPN_OK ||
        cpn_range_refuses_addr(&j->out->addr, j->s->allow_loopback)) {
        fail_plain(j, CPN_WHY_TARGET_ADDRESS);
        return;
    }
    if (!b)
        return;
    network = network_of(b, &j->out->addr);
    if (!network) {
        fail_plain(j, CPN_WHY_OUTSIDE_PREFIXES);
        return;
    }
    nic = cpn_nic_at(j->s, network, &j->out->addr);
    if (nic)
        judge_registered(j, b, nic);
    else
        (void)reads_id(j, CPN_K_NETWORK, network->id);
}

/* ---- port and limits ---- */

static bool
port_allowed(const cpn_judge *j, const cpn_bastion *b)
{
    uint16_t port = j->facts->port;

    for (unsigned i = 0; i < b->ports_n; i++)
        if (b->ports[i] == port)
            return true;
    if (b->ports_n)
        return false;
    return (j->facts->target_ip.n == 0 && !cpn_bastion_is_small(b)) || port == PORT_SSH ||
           port == PORT_RDP;
}

static void
judge_limits(cpn_judge *j, const cpn_bastion *b)
{
    const cpn_facts *f = j->facts;
    unsigned own = j->who->as.principal.is.sessions_max;
    unsigned user_max = own ? own : f->user_sessions_max;
    bool rdp = j->out->counts_as == CPN_PROTOCOL_RDP;

    if (b && cpn_bastion_is_small(b) && f->bastion_rdp_sessions + f->bastion_ssh_sessions > 0)
        fail_plain(j, CPN_WHY_LIMIT_BASTION);
    else if (b && (rdp ? f->bastion_rdp_sessions >= b->scale_units * RDP_PER_UNIT
                       : f->bastion_ssh_sessions >= b->scale_units * SSH_PER_UNIT))
        fail_plain(j, CPN_WHY_LIMIT_BASTION);
    if (user_max && f->user_sessions >= user_max)
        fail_plain(j, CPN_WHY_LIMIT_USER);
}

/* ---- the whole ---- */

static void
judge(cpn_judge *j)
{
    const cpn_facts *f = j->facts;
    const cpn_node *n =
        f->who ? cpn_node_find_view(j->s, CPN_K_PRINCIPAL, cpn_view_str(f->who->object_id)) : NULL;
    const cpn_bastion *b;

    j->who = cpn_may_caller(j->s, f->who);
    if (!j->who) {
        fail_plain(j, n && n->as.principal.is.kind != CPN_PRINCIPAL_GROUP
                          ? CPN_WHY_PRINCIPAL_DISABLED
                          : CPN_WHY_TOKEN_INVALID);
        return;
    }
    if ((f->target_id.n == 0) == (f->target_ip.n == 0)) {
        fail_plain(j, CPN_WHY_BAD_REQUEST);
        return;
    }
    b = judge_bastion(j);
    if (f->target_ip.n)
        judge_address(j, b);
    else
        judge_machine(j, b);
    if (f->port == 0 || (b && !port_allowed(j, b)))
        fail_plain(j, CPN_WHY_PORT);
    judge_limits(j, b);
}

cpn_rc
cpn_decide(const cpn_snapshot *s, const cpn_facts *facts, cpn_verdict *out)
{
    cpn_judge j = { .s = s, .facts = facts, .out = out };

    memset(out, 0, sizeof(*out));
    out->port = facts->port;
    out->limits = (cpn_byte_limits){ CPN_NO_LIMIT, CPN_NO_LIMIT };
    out->counts_as = facts->port == PORT_RDP ? CPN_PROTOCOL_RDP : CPN_PROTOCOL_SSH;
    judge(&j);
    if (out->missing_n == 0 && out->bastion) {
        out->allowed = true;
        out->any_protocol = out->bastion->any_protocol;
        return CPN_OK;
    }
    out->why = out->missing_n ? out->missing[0].why : CPN_WHY_INTERNAL;
    out->bastion = NULL;
    out->machine = NULL;
    return CPN_DENIED;
}
