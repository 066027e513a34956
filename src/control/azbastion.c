/* Puts the bastions of a caller in order, and takes the first that policy allows. */
#include "control/azbastion.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define PORT_SSH 22
#define PORT_RDP 3389

/* ---- named before ---- */

typedef struct name {
    char object_id[40];
    char target[CPN_ID_MAX + 1];
    char bastion[CPN_ID_MAX + 1];
} name;

struct cpn_az_named {
    name all[CPN_AZ_NAMED_MAX]; /* a ring */
    size_t n, next;
};

cpn_az_named *
cpn_az_named_new(void)
{
    return cpn_xcalloc(1, sizeof(cpn_az_named));
}

void
cpn_az_named_free(cpn_az_named *named)
{
    free(named);
}

static name *
name_find(cpn_az_named *named, const char *object_id, const char *target)
{
    for (size_t i = 0; i < named->n; i++)
        if (strcmp(named->all[i].object_id, object_id) == 0 &&
            strcasecmp(named->all[i].target, target) == 0)
            return &named->all[i];
    return NULL;
}

void
cpn_az_name(cpn_control *c, const char *object_id, const char *target, const char *bastion)
{
    cpn_az_named *named = c->az_named;
    name *e = name_find(named, object_id, target);

    if (!e) {
        e = &named->all[named->next];
        named->next = (named->next + 1) % CPN_AZ_NAMED_MAX;
        named->n += named->n < CPN_AZ_NAMED_MAX;
    }
    snprintf(e->object_id, sizeof(e->object_id), "%s", object_id);
    snprintf(e->target, sizeof(e->target), "%s", target);
    snprintf(e->bastion, sizeof(e->bastion), "%s", bastion);
}

/* ---- the choice ---- */

typedef struct choice {
    cpn_control *c;
    const cpn_network *network; /* the target's; NULL: an address */
    cpn_addr addr;
    const cpn_want *want;
    const cpn_resource_id *hint;
    const cpn_session *going_on;
    const name *named; /* NULL: none */
    struct {
        const cpn_bastion *bastion;
        unsigned rank; /* lower is better */
    } best[CPN_AZ_CANDIDATES];
    unsigned best_n;
} choice;

/* ---- how near ---- */

/* 0 in the network, 1 peered, 2 neither. */
static unsigned
distance(const choice *ch, const cpn_bastion *b)
{
    if (ch->network)
        return b->network == ch->network                       ? 0
               : cpn_network_has_peer(b->network, ch->network) ? 1
                                                               : 2;
    if (cpn_network_holds(b->network, &ch->addr))
        return 0;
    for (unsigned i = 0; i < b->network->peers_n; i++)
        if (cpn_network_holds(b->network->peers[i], &ch->addr))
            return 1;
    return 2;
}

static bool
same_text(cpn_view a, cpn_view b)
{
    return a.n == b.n && strncasecmp((const char *)a.p, (const char *)b.p, a.n) == 0;
}

/* The client names the bastion's group in the id of an address. */
static bool
in_group(const choice *ch, const cpn_bastion *b)
{
    cpn_resource_id id;
    cpn_err err = { 0 };

    if (!ch->hint)
        return true;
    return cpn_resource_id_parse(&id, cpn_view_str(b->id), &err) == CPN_OK &&
           same_text(id.group, ch->hint->group) &&
           same_text(id.subscription, ch->hint->subscription);
}

static bool
goes_on(const choice *ch, const cpn_bastion *b)
{
    return ch->going_on && strcasecmp(ch->going_on->want.bastion, b->id) == 0;
}

/* ---- in order ---- */

/* Whoever asks for a port of neither SSH nor RDP may speak neither. */
static bool
may_misunderstand(const choice *ch, const cpn_bastion *b)
{
    return !b->any_protocol && ch->want->port != PORT_SSH && ch->want->port != PORT_RDP;
}

/* What speaks against a bastion, the lesser before the weightier. */
enum against {
    NO_IP_CONNECT = 1,
    NO_TUNNELING = 2,
    A_NETWORK_AWAY = 4, /* twice when it is not even peered */
    ONE_NETWORK_ONLY = 6,
    ONE_NETWORK_AND_NOT_THIS = 15,
    MISUNDERSTOOD = 16,
    ANOTHER_SESSIONS = 32,
    ANOTHER_GROUPS = 64,
    NOT_NAMED = 128
};

static unsigned
rank_of(const choice *ch, const cpn_bastion *b)
{
    unsigned away = distance(ch, b), rank = away * A_NETWORK_AWAY;

    rank += b->enable_tunneling ? 0 : NO_TUNNELING;
    rank += b->enable_ip_connect || ch->network ? 0 : NO_IP_CONNECT;
    if (cpn_bastion_is_small(b))
        rank = away == 0 ? ONE_NETWORK_ONLY : ONE_NETWORK_AND_NOT_THIS;
    rank += may_misunderstand(ch, b) ? MISUNDERSTOOD : 0;
    rank += goes_on(ch, b) ? 0 : ANOTHER_SESSIONS;
    rank += in_group(ch, b) ? 0 : ANOTHER_GROUPS;
    return rank + (ch->named && strcasecmp(ch->named->bastion, b->id) == 0 ? 0 : NOT_NAMED);
}

/* Bastions come in id order: of equals the first stays before. */
static bool
weigh(void *owner, const char *id, const json_t *body)
{
    choice *ch = owner;
    const cpn_bastion *b = cpn_snapshot_bastion(ch->c->snapshot, cpn_view_str(id));
    unsigned rank, at;

    (void)body;
    if (!b || !b->network)
        return true;
    rank = rank_of(ch, b);
    if (ch->best_n == CPN_AZ_CANDIDATES && rank >= ch->best[ch->best_n - 1].rank)
        return true;
    ch->best_n += ch->best_n < CPN_AZ_CANDIDATES;
    for (at = ch->best_n - 1; at > 0 && ch->best[at - 1].rank > rank; at--)
        ch->best[at] = ch->best[at - 1];
    ch->best[at].bastion = b;
    ch->best[at].rank = rank;
    return true;
}

/* Its own place in the limits does not stand against a session that goes on. */
static bool
allows(const choice *ch, const cpn_principal *who, const cpn_bastion *b)
{
    cpn_facts facts =
        cpn_ask_facts(ch->c, ch->want, who, goes_on(ch, b) && ch->going_on->counted, b->id);
    cpn_verdict verdict;

    return cpn_decide(ch->c->snapshot, &facts, &verdict) == CPN_OK;
}

void
cpn_az_bastion(cpn_control *c, const cpn_principal *who, cpn_want *want,
               const cpn_resource_id *hint, const cpn_session *going_on)
{
    const cpn_machine *m = cpn_snapshot_machine(c->snapshot, cpn_view_str(want->target_id));
    choice ch = { .c = c, .want = want, .hint = hint, .going_on = going_on };
    const char *chosen = "";
    cpn_err err = { 0 };

    if (m && m->nic)
        ch.network = m->nic->network;
    if (!ch.network && cpn_addr_parse(&ch.addr, cpn_view_str(want->target_ip), &err) != CPN_OK)
        memset(&ch.addr, 0, sizeof(ch.addr));
    if (who && want->azure && want->target_id[0])
        ch.named = name_find(c->az_named, who->object_id, want->target_id);
    if (who)
        cpn_snapshot_each(c->snapshot, CPN_KIND_BASTION, who, weigh, &ch);
    if (ch.best_n)
        chosen = ch.best[0].bastion->id;
    for (unsigned i = 0; i < ch.best_n; i++) {
        if (allows(&ch, who, ch.best[i].bastion)) {
            chosen = ch.best[i].bastion->id;
            break;
        }
    }
    snprintf(want->bastion, sizeof(want->bastion), "%s", chosen);
}
