/* control/core.h -- what the files of control share: the settings they need, the current snapshot,
 * the tables, the counters. One struct, made and freed by core.c, passed to everything. */
#ifndef CPN_CONTROL_CORE_H
#define CPN_CONTROL_CORE_H

#include <uv.h>

#include "base/clock.h"
#include "codec/json.h"
#include "codec/url.h"
#include "config/config.h"
#include "identity/holder.h"
#include "identity/identity.h"
#include "ipc/ipc.h"
#include "policy/decide.h"
#include "policy/snapshot.h"
#include "store/store.h"

#define CPN_VALUE_EPOCH "policy-epoch"
#define CPN_SESSIONS_MAX 65536 /* live and pending, hard bound beside the setting */
#define CPN_AZ_IDLE_MS 1000    /* an authToken without WebSocket and without good ticket */
#define CPN_RECHECK_MS 30000   /* time windows: live sessions are decided again    */
#define CPN_CALLS_MAX 1024     /* requests in progress, all fronts together */
#define CPN_AUDIT_MAX 8        /* of them, those that read the audit, or wait for a walk of it */

typedef struct cpn_publish cpn_publish;
typedef struct cpn_sessions cpn_sessions;
typedef struct cpn_azdoor cpn_azdoor;
typedef struct cpn_penalties cpn_penalties;
typedef struct cpn_trail cpn_trail;
typedef struct cpn_arm_ops cpn_arm_ops;
typedef struct cpn_signin cpn_signin;
typedef struct cpn_front cpn_front;
typedef struct cpn_oidc cpn_oidc;

/* Counters since start; api_metrics.c shows them. */
typedef struct cpn_counters {
    uint64_t requests;
    uint64_t answers[6]; /* by the first digit of the status */
    uint64_t opens;
    uint64_t refused[CPN_WHY_N];
    uint64_t dials;
    uint64_t dials_failed;
    uint64_t sessions_started;
    uint64_t sessions_ended;
    uint64_t up; /* bytes of ended streams */
    uint64_t down;
    uint64_t commits;
    uint64_t commits_failed;
    uint64_t cuts;
    uint64_t cut_ms_sum;
    uint64_t cut_ms_max;
    uint64_t fronts_killed;
    uint64_t penalties;
} cpn_counters;

/* Calls that the store works for slowly; api_audit.c's. */
typedef struct cpn_audit_calls {
    uint32_t reads;
    uint32_t waiting_n; /* for the one walk of the chain; 0: none is under way */
    struct cpn_call *waiting[CPN_AUDIT_MAX];
} cpn_audit_calls;

typedef struct cpn_control {
    uv_loop_t *loop;
    cpn_config set;
    char host[CPN_URL_HOSTPORT_SIZE]; /* of public_url, as in a Host header */
    char node[64];                    /* this machine's name, for the audit */
    cpn_store *store;                 /* borrowed */
    cpn_identity *identity;           /* borrowed */
    cpn_snapshot *snapshot;           /* the published one; replaced by publish.c alone */
    cpn_channel *keeper;
    cpn_front *fronts; /* uthash by number */
    cpn_publish *publish;
    cpn_sessions *sessions;
    cpn_azdoor *azdoor;
    struct cpn_az_named *az_named; /* azbastion.h */
    cpn_penalties *penalties;
    cpn_trail *trail;
    cpn_arm_ops *arm_ops;
    struct cpn_ssh_ca *ssh_ca; /* NULL: no SSH certificates; sshcert.h */
    cpn_signin *signin;
    cpn_holders *holders;       /* proofs of keys that came with tokens */
    cpn_holders *token_holders; /* those for which tokens were asked */
    cpn_oidc *oidc;             /* NULL: no provider is configured */
    uint32_t calls;
    struct cpn_call *collecting; /* those that make room when calls are CPN_CALLS_MAX */
    cpn_audit_calls audit;
    cpn_counters count;
    char *cert_pem; /* the TLS identity that SETUP carries */
    char *key_pem;  /* secret */
    uv_timer_t tick;
    uint64_t ticks;
    cpn_clock_watch wall; /* sees the wall clock jump */
    bool told_started;
    bool draining;
    bool keeper_gone; /* the loop must end */
    /* What main does about what keeper tells, and from time to time. NULL in tests. */
    void (*on_signal)(struct cpn_control *c, uint32_t signal);
    void (*on_hour)(struct cpn_control *c); /* hourly, and when the wall clock has jumped */
    void *owner;                            /* main's own */
} cpn_control;

/* store, identity and snapshot are borrowed, borrowed and taken. keeper_fd is control's end of the
 * channel; nothing is said on it yet. */
cpn_rc cpn_control_new(cpn_control **out, uv_loop_t *loop, const cpn_config *set, cpn_store *store,
                       cpn_identity *identity, CPN_TAKES cpn_snapshot *snapshot,
                       CPN_TAKES int keeper_fd, cpn_err *err) CPN_MUST_CHECK;
/* Also stops the loop's handles; run the loop once more afterwards. NULL is fine. */
void cpn_control_free(cpn_control *c);

/* Send to keeper; a keeper that does not read is the end of this process. */
void cpn_keeper_send(cpn_control *c, const cpn_msg *msg);
/* Compact text of a value of ours; aborts without memory. Caller frees. */
char *cpn_json_text(const json_t *j);
/* The string at key, or "". */
const char *cpn_json_string(const json_t *j, const char *key);

#endif
