/* The store's own thread: all that waits is one group, a group is one transaction, and a batch in
 * it is whole or absent. */
#include "store/store_core.h"

#define PURGE_EVERY_MS 60000

/* The group under work. chain runs ahead of the store's until the commit. */
typedef struct group {
    cpn_store *s;
    cpn_req *first;
    bool open;
    cpn_chain_head chain;
} group;

/* The tickets that a failed batch has put, up to the change that failed (NULL: all of it). */
static void
drop_tickets(group *g, const cpn_req *r, const cpn_op *failed)
{
    if (!r->batch)
        return;
    for (const cpn_op *op = r->batch->first; op != failed; op = op->next)
        if (op->op == CPN_OP_TICKET)
            g->s->driver->ticket_drop(g->s->db, op->key);
}

static void
count_failure(cpn_store *s, cpn_rc rc)
{
    atomic_fetch_add(rc == CPN_LIMIT ? &s->full : &s->failed, 1);
}

/* The transaction is lost: so is everything in it, up to `last`. */
static void
fail_group(group *g, const cpn_req *last, cpn_rc rc, const cpn_err *err)
{
    cpn_store *s = g->s;

    s->driver->rollback(s->db);
    g->open = false;
    g->chain = s->chain;
    count_failure(s, rc);
    for (cpn_req *r = g->first; r != last; r = r->next) {
        if (!r->in_transaction)
            continue;
        r->in_transaction = false;
        drop_tickets(g, r, NULL);
        r->rc = rc;
        r->err = *err;
        cpn_buf_fini(&r->body);
    }
}

static cpn_rc
open_transaction(group *g, cpn_err *err)
{
    cpn_rc rc;

    if (g->open)
        return CPN_OK;
    rc = g->s->driver->begin(g->s->db, err);
    g->open = rc == CPN_OK;
    return rc;
}

/* ---- one batch ---- */

static cpn_rc
apply_audit(group *g, const cpn_op *op, cpn_err *err)
{
    CPN_AUTO(cpn_buf_fini) cpn_buf record = { .max = 2 * CPN_RECORD_MAX };

    if (cpn_chain_link(&g->chain, op->body, &record, err) != CPN_OK)
        return CPN_E_STORE; /* a fault of ours, not the disk's */
    return g->s->driver->audit_put(g->s->db, &g->chain, cpn_buf_view(&record), err);
}

static cpn_rc
apply_op(group *g, const cpn_op *op, cpn_err *err)
{
    switch (op->op) {
    case CPN_OP_AUDIT:
        return apply_audit(g, op, err);
    case CPN_OP_TICKET:
        return g->s->driver->ticket_put(g->s->db, op, err);
    default:
        return g->s->driver->apply(g->s->db, op, err);
    }
}

static bool
needs_transaction(const cpn_batch *b)
{
    for (const cpn_op *op = b->first; op; op = op->next)
        if (op->op != CPN_OP_TICKET)
            return true;
    return false;
}

static cpn_rc
apply_all(group *g, cpn_req *r, cpn_err *err)
{
    for (const cpn_op *op = r->batch->first; op; op = op->next) {
        cpn_rc rc = apply_op(g, op, err);

        if (rc == CPN_OK)
            continue;
        drop_tickets(g, r, op);
        return rc;
    }
    return CPN_OK;
}

/* A failure between mark and keep: take this request back, or give up the group. */
static void
undo_request(group *g, cpn_req *r, const cpn_chain_head *before)
{
    cpn_err undone;

    g->chain = *before;
    if (r->rc == CPN_EXISTS || r->rc == CPN_NOT_FOUND)
        atomic_fetch_add(&g->s->refused, r->rc == CPN_EXISTS);
    else
        count_failure(g->s, r->rc);
    if (g->s->driver->undo(g->s->db, &undone) != CPN_OK)
        fail_group(g, r, r->rc < 0 || r->rc == CPN_LIMIT ? r->rc : CPN_E_STORE,
                   r->rc < 0 || r->rc == CPN_LIMIT ? &r->err : &undone);
}

typedef cpn_rc work_fn(group *g, cpn_req *r, cpn_err *err);

/* Work inside the group's transaction that happens whole or not at all. */
static void
in_transaction(group *g, cpn_req *r, work_fn *work)
{
    const cpn_store_driver *d = g->s->driver;
    cpn_chain_head before;

    r->rc = open_transaction(g, &r->err);
    if (r->rc == CPN_OK)
        r->rc = d->mark(g->s->db, &r->err);
    if (r->rc != CPN_OK) {
        cpn_rc rc = r->rc;
        fail_group(g, r, rc, &r->err);
        return;
    }
    before = g->chain;
    r->rc = work(g, r, &r->err);
    if (r->rc != CPN_OK) {
        undo_request(g, r, &before);
        return;
    }
    r->in_transaction = true;
    if ((r->rc = d->keep(g->s->db, &r->err)) != CPN_OK) {
        cpn_err err = r->err;
        fail_group(g, r->next, r->rc, &err);
    }
}

static void
run_batch(group *g, cpn_req *r)
{
    if (needs_transaction(r->batch))
        in_transaction(g, r, apply_all);
    else
        r->rc = apply_all(g, r, &r->err);
}

static cpn_rc
use_secret(group *g, cpn_req *r, cpn_err *err)
{
    return g->s->driver->secret_use(g->s->db, r->name, r->key, r->keep_ms, &r->body, err);
}

static void
run_request(group *g, cpn_req *r)
{
    const cpn_store_driver *d = g->s->driver;
    void *db = g->s->db;

    switch (r->what) {
    case CPN_REQ_BATCH:
        run_batch(g, r);
        break;
    case CPN_REQ_SECRET_USE:
        if (r->keep_ms)
            in_transaction(g, r, use_secret);
        else
            r->rc = use_secret(g, r, &r->err);
        break;
    case CPN_REQ_TICKET_TAKE:
        r->rc = d->ticket_take(db, r->key, &r->body, &r->err);
        break;
    case CPN_REQ_SECRET_GET:
        r->rc = d->secret_get(db, r->name, r->key, &r->body, &r->err);
        break;
    case CPN_REQ_LOAD:
        r->rc = d->load(db, r->row, r->row_owner, &r->err);
        break;
    case CPN_REQ_OPEN_SESSIONS:
        r->rc = d->open_sessions(db, r->row, r->row_owner, &r->err);
        break;
    case CPN_REQ_VALUE:
        r->rc = d->value(db, r->name, &r->body, &r->err);
        break;
    default: /* an audit read or walk: its slices come after the group */
        break;
    }
}

/* ---- the group's end ---- */

static cpn_rc
commit_group(group *g, cpn_err *err)
{
    cpn_store *s = g->s;
    const cpn_store_driver *d = s->driver;
    uint64_t now = s->clock.mono_ms();
    cpn_rc rc;

    if (g->chain.seq != s->chain.seq && (rc = d->audit_head_put(s->db, &g->chain, err)) != CPN_OK)
        return rc;
    if (now - s->purged_ms >= PURGE_EVERY_MS) {
        if ((rc = d->purge(s->db, err)) != CPN_OK)
            return rc;
        s->purged_ms = now;
    }
    return d->commit(s->db, err);
}

static void
finish_group(group *g)
{
    cpn_err err = { 0 };
    cpn_rc rc;

    if (!g->open)
        return;
    if ((rc = commit_group(g, &err)) != CPN_OK) {
        fail_group(g, NULL, rc, &err);
        return;
    }
    g->s->chain = g->chain;
    atomic_fetch_add(&g->s->transactions, 1);
    for (const cpn_req *r = g->first; r; r = r->next)
        atomic_fetch_add(&g->s->batches, r->in_transaction && r->batch);
}

/* Send answers back. A blocked caller owns its request again once woken. */
static void
answer(cpn_store *s, cpn_reqs *l)
{
    cpn_reqs back = { 0 };
    cpn_req *r;

    while ((r = cpn_reqs_pop(l))) {
        if (r->waiter)
            uv_sem_post(r->waiter);
        else
            cpn_reqs_add(&back, r);
    }
    if (!back.first)
        return;
    uv_mutex_lock(&s->lock);
    cpn_reqs_move(&s->answers, &back);
    uv_mutex_unlock(&s->lock);
    uv_async_send(&s->handles->answered);
}

static void
run_group(cpn_store *s, cpn_reqs *l)
{
    group g = { .s = s, .first = l->first, .chain = s->chain };
    cpn_reqs answered = { 0 };
    cpn_req *r;

    for (r = l->first; r; r = r->next)
        run_request(&g, r);
    finish_group(&g);
    while ((r = cpn_reqs_pop(l))) {
        if (r->what == CPN_REQ_AUDIT_READ || r->what == CPN_REQ_AUDIT_VERIFY) {
            r->end = s->chain;
            cpn_reqs_add(&s->jobs, r);
        } else {
            cpn_reqs_add(&answered, r);
        }
    }
    answer(s, &answered);
}

/* One slice of the oldest job; stopping gives all of them up. */
static void
run_job(cpn_store *s, bool stopping)
{
    cpn_reqs answered = { 0 };
    cpn_req *r = s->jobs.first;

    if (!r)
        return;
    if (stopping)
        r->rc = cpn_fail(&r->err, CPN_UNAVAILABLE, "the store is closing");
    else if (!cpn_store_job_step(s, r))
        return;
    cpn_reqs_add(&answered, cpn_reqs_pop(&s->jobs));
    answer(s, &answered);
}

void
cpn_store_run(void *store)
{
    cpn_store *s = store;
    bool stopping = false;

    for (;;) {
        cpn_reqs l = { 0 };

        uv_mutex_lock(&s->lock);
        while (!s->queue.first && !s->jobs.first && !s->stopping)
            uv_cond_wait(&s->work, &s->lock);
        cpn_reqs_move(&l, &s->queue);
        stopping = s->stopping;
        uv_mutex_unlock(&s->lock);
        if (l.first)
            run_group(s, &l);
        run_job(s, stopping);
        if (stopping && !s->jobs.first)
            break;
    }
}
