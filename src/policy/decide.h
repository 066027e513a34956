/* policy/decide.h -- may this principal do this? Pure: a snapshot and facts in, a verdict out.
 * The same function serves connects, re-checks of live sessions, can-i and the text of a refusal.
 */
#ifndef CPN_POLICY_DECIDE_H
#define CPN_POLICY_DECIDE_H

#include "model/reason.h"
#include "model/session.h"
#include "policy/snapshot.h"

/* A connect request. Exactly one of target_id and target_ip is given. Views borrow. */
typedef struct cpn_facts {
    const cpn_principal *who; /* NULL: nobody, refused */
    cpn_view bastion_id;
    cpn_view target_id; /* a virtual machine or scale-set instance */
    cpn_view target_ip;
    uint16_t port;
    int64_t now_s; /* for time windows */
    /* Live use, for the limits; leave 0 in can-i. */
    unsigned bastion_ssh_sessions;
    unsigned bastion_rdp_sessions;
    unsigned user_sessions;
    unsigned user_sessions_max; /* 0: no limit; the principal's own sessions_max goes before it */
    /* The answer goes to somebody who may see everything (an administrator's can-i for a user, the
     * gateway's log): tell also the lines of resources that `who` may not see. */
    bool tell_all;
    /* The request is for an SSH certificate: one of the Virtual Machine login roles on the machine
     * is needed besides. */
    bool ssh_certificate;
    /* The request came through the Azure door, whose clients know bastions of the SKUs Developer
     * and QuickConnect. Those serve machines of their own network alone, one session at a time,
     * ports 22 and 3389 unless their `ports` say otherwise, and have no switch for native clients.
     */
    bool azure_door;
} cpn_facts;

#define CPN_MISSING_MAX 12

/* One line that failed. role and scope are what would mend it; empty when no role would. */
typedef struct cpn_missing {
    cpn_reason why;
    char role[64];
    char scope[512];
} cpn_missing;

typedef struct cpn_verdict {
    bool allowed;       /* zero value: no */
    cpn_reason why;     /* NONE when allowed, else that of the first line */
    unsigned missing_n; /* every failing line */
    cpn_missing missing[CPN_MISSING_MAX];
    /* when allowed: */
    const cpn_bastion *bastion; /* borrowed from the snapshot */
    const cpn_machine *machine; /* NULL for an address that is no machine's */
    cpn_addr addr;
    uint16_t port;
    cpn_protocol counts_as; /* 3389 counts as RDP, else SSH */
    bool any_protocol;      /* protocols: [any] on the bastion */
    /* How many bytes the session may move. Each thing that must be readable (bastion, machine,
     * interface, network) is as generous as the most generous assignment by which it is; the
     * session has the smallest of these. */
    cpn_byte_limits limits;
} cpn_verdict;

/* Always fills out; returns CPN_OK (allowed) or CPN_DENIED.
 *
 * What a refusal tells (unless tell_all) is what `who` may know anyway:
 * - The right to read is judged on the id as typed, before its existence. Who lacks it is told
 *   "Reader on <id as typed>" whether there is such a resource or not; only who has it (by
 *   inheritance) learns that there is none (BASTION_UNKNOWN, TARGET_UNKNOWN).
 * - A bastion's SKU, switches, ports, limits and networks are judged only for who may read it; a
 *   machine's interface and network only for who may read the machine. Such a caller is told the
 *   ids of the interface and of the network on which Reader is missing.
 * - An address of a machine that `who` may not read answers as a free address does, as long as
 *   Reader on the network is missing; then "Reader on <address>", never the machine's id.
 * `who` may come from an older snapshot: it is looked up again by its object id. */
cpn_rc cpn_decide(const cpn_snapshot *s, const cpn_facts *facts, cpn_verdict *out) CPN_MUST_CHECK;

/* May `who` perform an action ("Microsoft.Network/bastionHosts/read") on a scope ("/": everything)?
 * Used for every API route and list. Time windows are judged by the wall clock; _at is pure. A
 * principal that is disabled, a group, or unknown to s may nothing. The scope need not exist. */
bool cpn_may(const cpn_snapshot *s, const cpn_principal *who, const char *action, cpn_view scope);
bool cpn_may_at(const cpn_snapshot *s, const cpn_principal *who, const char *action, cpn_view scope,
                int64_t now_s);
/* Anywhere at all? */
bool cpn_may_anywhere(const cpn_snapshot *s, const cpn_principal *who, const char *action);
/* The same for data actions ("Microsoft.Compute/virtualMachines/login/action"). */
bool cpn_may_data_at(const cpn_snapshot *s, const cpn_principal *who, const char *action,
                     cpn_view scope, int64_t now_s);

/* Has `who` an allowing assignment that holds now, of whatever role, on the scope, above it or on
 * something below it? Tells who sees that a subscription exists. False where reading the scope is
 * denied. */
bool cpn_may_within(const cpn_snapshot *s, const cpn_principal *who, cpn_view scope);

/* One line of plain text that names every missing role and scope:
 * "denied: role_missing: Reader on /subscriptions/…; Reader on …; port_not_allowed: this port …".
 * Cut at size; returns the length that out holds. */
size_t cpn_verdict_sentence(const cpn_verdict *v, char *out, size_t size);
/* {"allowed":false,"reason":"role_missing","message":"…","missing":[{"reason","role","scope"}…]},
 * with maxUploadBytes and maxDownloadBytes where allowed within a limit. */
json_t *cpn_verdict_json(const cpn_verdict *v);

#endif
