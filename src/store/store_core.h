/* store/store_core.h -- the store between its two threads. Internal to src/store.
 *
 * The loop's side (store.c) makes requests and gathers them until the end of the loop turn; then
 * they go over in one piece. The store's thread (store_thread.c) takes all that wait as one group,
 * which is one transaction, and sends them back answered. A request belongs to one side at a time.
 */
#ifndef CPN_STORE_STORE_CORE_H
#define CPN_STORE_STORE_CORE_H

#include <stdatomic.h>

#include "store/store_driver.h"

#define CPN_STORE_BODY_MAX (4u << 20) /* an answer's body */
#define CPN_STORE_SLICE 1000          /* audit records looked at before others get their turn */

typedef enum cpn_req_kind {
    CPN_REQ_NONE,
    CPN_REQ_BATCH,
    CPN_REQ_TICKET_TAKE,
    CPN_REQ_SECRET_GET,
    CPN_REQ_SECRET_USE,
    CPN_REQ_AUDIT_READ,
    CPN_REQ_AUDIT_VERIFY,
    CPN_REQ_LOAD,
    CPN_REQ_VALUE,
    CPN_REQ_OPEN_SESSIONS
} cpn_req_kind;

typedef struct cpn_req {
    struct cpn_req *next;
    cpn_req_kind what;
    /* the question */
    cpn_batch *batch;
    char name[64]; /* secret kind, value name */
    uint8_t key[32];
    int64_t keep_ms;
    uint64_t after;
    unsigned limit;
    char *filter;
    cpn_store_row_fn *row;
    void *row_owner;
    /* work in progress of an audit read or walk */
    cpn_chain_head chain;
    cpn_chain_head end;
    unsigned found;
    /* the answer */
    bool in_transaction; /* its fate hangs on the group's commit */
    cpn_rc rc;
    cpn_err err;
    cpn_buf body;
    cpn_store_done *done;
    cpn_store_body_done *body_done;
    void *owner;
    uv_sem_t *waiter; /* a blocked caller: woken instead of called */
} cpn_req;

typedef struct cpn_reqs {
    cpn_req *first;
    cpn_req **last;
} cpn_reqs;

typedef struct cpn_store_handles {
    uv_async_t answered;
    uv_prepare_t turn_prepare;
    uv_check_t turn_check;
    uv_timer_t company;
    unsigned closing;
} cpn_store_handles;

struct cpn_store {
    const cpn_store_driver *driver;
    void *db;
    cpn_store_clock clock;
    uv_thread_t thread;
    /* loop's side */
    cpn_store_handles *handles; /* freed by its last close */
    cpn_reqs at_once;           /* answered in this loop turn, to be delivered at its end */
    bool turn_urgent;           /* somebody waits for what is in turn */
    cpn_reqs turn;              /* asked for in this loop turn, and before it what may wait */
    /* between them */
    uv_mutex_t lock;
    uv_cond_t work;
    cpn_reqs queue;
    cpn_reqs answers;
    bool stopping;
    /* store's thread */
    cpn_chain_head chain; /* as committed */
    cpn_reqs jobs;        /* audit reads and walks, done in slices */
    uint64_t purged_ms;
    /* counters */
    atomic_uint waiting;
    atomic_uint_fast64_t transactions, batches, refused, full, failed;
};

void cpn_reqs_add(cpn_reqs *l, cpn_req *r);
cpn_req *cpn_reqs_pop(cpn_reqs *l);
/* Move everything from `from` behind `to`. */
void cpn_reqs_move(cpn_reqs *to, cpn_reqs *from);
void cpn_req_free(cpn_req *r);

/* The thread's main function. */
void cpn_store_run(void *store);
/* One slice of an audit read or walk. True: done, the answer is in it. */
bool cpn_store_job_step(cpn_store *s, cpn_req *r);
/* "field=value&…", at most 8. */
bool cpn_store_filter_ok(const char *filter);

#endif
