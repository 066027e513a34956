/* The loop's side of the store: requests gathered for a loop turn, answers delivered. */
#include "store/store.h"

#include <stdlib.h>

#include "base/clock.h"
#include "store/store_core.h"
#include "store_drivers.h"

/* ---- lists ---- */

void
cpn_reqs_add(cpn_reqs *l, cpn_req *r)
{
    r->next = NULL;
    if (!l->first)
        l->last = &l->first;
    *l->last = r;
    l->last = &r->next;
}

cpn_req *
cpn_reqs_pop(cpn_reqs *l)
{
    cpn_req *r = l->first;

    if (r)
        l->first = r->next;
    return r;
}

void
cpn_reqs_move(cpn_reqs *to, cpn_reqs *from)
{
    if (!from->first)
        return;
    if (!to->first)
        to->last = &to->first;
    *to->last = from->first;
    to->last = from->last;
    from->first = NULL;
}

void
cpn_req_free(cpn_req *r)
{
    if (!r)
        return;
    cpn_batch_free(r->batch);
    cpn_buf_fini(&r->body);
    free(r->filter);
    free(r);
}

/* ---- over and back ---- */

static void
hand_over(cpn_store *s)
{
    uv_timer_stop(&s->handles->company);
    s->turn_urgent = false;
    if (!s->turn.first)
        return;
    uv_mutex_lock(&s->lock);
    cpn_reqs_move(&s->queue, &s->turn);
    uv_mutex_unlock(&s->lock);
    uv_cond_signal(&s->work); /* now, or the thread would wake to wait for the lock */
}

static void
company_cb(uv_timer_t *h)
{
    hand_over(h->data);
}

static void
deliver(cpn_store *s, cpn_reqs *answered)
{
    cpn_reqs l = { 0 };
    cpn_req *r;

    cpn_reqs_move(&l, answered);
    while ((r = cpn_reqs_pop(&l))) {
        if (atomic_fetch_sub(&s->waiting, 1) == 1)
            uv_unref((uv_handle_t *)&s->handles->answered);
        if (r->body_done)
            r->body_done(r->owner, r->rc, cpn_buf_view(&r->body), &r->err);
        else if (r->done)
            r->done(r->owner, r->rc, &r->err);
        cpn_req_free(r);
    }
}

static void
collect(cpn_store *s)
{
    cpn_reqs l = { 0 };

    uv_mutex_lock(&s->lock);
    cpn_reqs_move(&l, &s->answers);
    uv_mutex_unlock(&s->lock);
    deliver(s, &l);
}

static void
answered_cb(uv_async_t *h)
{
    collect(h->data);
}

/* Whoever is answered here may ask again. */
static void
turn_ends(cpn_store *s)
{
    while (s->turn_urgent || s->at_once.first) {
        if (s->turn_urgent)
            hand_over(s);
        deliver(s, &s->at_once);
    }
    uv_prepare_stop(&s->handles->turn_prepare);
    uv_check_stop(&s->handles->turn_check);
}

static void
turn_prepare_cb(uv_prepare_t *h)
{
    turn_ends(h->data);
}

static void
turn_check_cb(uv_check_t *h)
{
    turn_ends(h->data);
}

static cpn_req *
req_new(cpn_req_kind what, size_t body_max)
{
    cpn_req *r = cpn_xcalloc(1, sizeof(*r));

    r->what = what;
    r->body.max = body_max;
    return r;
}

/* A ticket in memory needs neither the thread nor the disk. */
static bool
answered_at_once(cpn_store *s, cpn_req *r)
{
    const cpn_op *only =
        r->batch && r->batch->first && !r->batch->first->next ? r->batch->first : NULL;

    if (!s->driver->tickets_in_memory)
        return false;
    if (r->what == CPN_REQ_TICKET_TAKE)
        r->rc = s->driver->ticket_take(s->db, r->key, &r->body, &r->err);
    else if (only && only->op == CPN_OP_TICKET)
        r->rc = s->driver->ticket_put(s->db, only, &r->err);
    else
        return false;
    cpn_reqs_add(&s->at_once, r);
    return true;
}

/* Whichever comes first: before the loop waits, or after it has. */
static void
until_turn_ends(cpn_store *s)
{
    uv_prepare_start(&s->handles->turn_prepare, turn_prepare_cb);
    uv_check_start(&s->handles->turn_check, turn_check_cb);
}

/* Put a request into this loop turn. Consumes it. */
static cpn_rc
ask(cpn_store *s, CPN_TAKES cpn_req *r)
{
    if (atomic_load(&s->waiting) >= CPN_STORE_WAITING_MAX) {
        cpn_req_free(r);
        return CPN_LIMIT;
    }
    if (atomic_fetch_add(&s->waiting, 1) == 0)
        uv_ref((uv_handle_t *)&s->handles->answered);
    if (answered_at_once(s, r)) {
        until_turn_ends(s);
        return CPN_OK;
    }
    cpn_reqs_add(&s->turn, r);
    if (!r->batch || !r->batch->may_wait) {
        s->turn_urgent = true;
        until_turn_ends(s);
    } else if (!uv_is_active((uv_handle_t *)&s->handles->company)) {
        uv_timer_start(&s->handles->company, company_cb, CPN_STORE_COMPANY_MS, 0);
    }
    return CPN_OK;
}

/* Ask and wait. What was asked for before keeps its place in front. */
static cpn_rc
ask_wait(cpn_store *s, cpn_req *r, cpn_err *err)
{
    uv_sem_t waiter;

    if (uv_sem_init(&waiter, 0) != 0)
        return cpn_fail(err, CPN_E_NOMEM, "store");
    r->waiter = &waiter;
    cpn_reqs_add(&s->turn, r);
    hand_over(s);
    uv_sem_wait(&waiter);
    uv_sem_destroy(&waiter);
    if (err && r->rc != CPN_OK)
        *err = r->err;
    return r->rc;
}

/* ---- open and close ---- */

static const cpn_store_driver *
driver_of(const char *dsn, const char **where)
{
    for (size_t i = 0; i < CPN_COUNT(store_drivers); i++) {
        size_t n = strlen(store_drivers[i]->name);

        if (strncmp(dsn, store_drivers[i]->name, n) == 0 && dsn[n] == ':') {
            *where = dsn + n + 1;
            return store_drivers[i];
        }
    }
    return NULL;
}

static cpn_rc
open_driver(cpn_store *s, const char *dsn, cpn_err *err)
{
    const char *where = NULL;
    cpn_rc rc;

    s->driver = driver_of(dsn, &where);
    if (!s->driver)
        return cpn_fail(err, CPN_E_CONF, "store \"%.32s\": no such kind (expected sqlite:PATH)",
                        dsn);
    if ((rc = s->driver->open(&s->db, where, &s->clock, err)) != CPN_OK)
        return cpn_ctx(err, rc, "opening the store");
    if ((rc = s->driver->audit_head(s->db, &s->chain, err)) != CPN_OK) {
        s->driver->close(s->db);
        return cpn_ctx(err, rc, "reading the audit chain's head");
    }
    return CPN_OK;
}

static void
open_handles(cpn_store *s, uv_loop_t *loop)
{
    cpn_store_handles *h = cpn_xcalloc(1, sizeof(*h));

    s->handles = h;
    if (uv_async_init(loop, &h->answered, answered_cb) != 0 ||
        uv_prepare_init(loop, &h->turn_prepare) != 0 || uv_check_init(loop, &h->turn_check) != 0 ||
        uv_timer_init(loop, &h->company) != 0)
        abort(); /* fails only on a loop that is not one */
    h->answered.data = h->turn_prepare.data = h->turn_check.data = h->company.data = s;
    /* Only an open question keeps the loop alive. */
    uv_unref((uv_handle_t *)&h->answered);
    uv_unref((uv_handle_t *)&h->turn_prepare);
    uv_unref((uv_handle_t *)&h->turn_check);
    uv_unref((uv_handle_t *)&h->company);
}

static void
handle_closed(uv_handle_t *handle)
{
    cpn_store_handles *h = handle->data;

    if (--h->closing == 0)
        free(h);
}

static void
close_handles(cpn_store_handles *h)
{
    uv_handle_t *each[] = { (uv_handle_t *)&h->answered, (uv_handle_t *)&h->turn_prepare,
                            (uv_handle_t *)&h->turn_check, (uv_handle_t *)&h->company };

    h->closing = CPN_COUNT(each);
    for (size_t i = 0; i < CPN_COUNT(each); i++) {
        each[i]->data = h;
        uv_close(each[i], handle_closed);
    }
}

cpn_rc
cpn_store_open_clock(cpn_store **out, uv_loop_t *loop, const char *dsn,
                     const cpn_store_clock *clock, cpn_err *err)
{
    cpn_store *s = cpn_xcalloc(1, sizeof(*s));
    cpn_rc rc;

    s->clock = *clock;
    if ((rc = open_driver(s, dsn, err)) != CPN_OK) {
        free(s);
        return rc;
    }
    if (uv_mutex_init(&s->lock) != 0 || uv_cond_init(&s->work) != 0)
        abort(); /* glibc's never fail */
    open_handles(s, loop);
    if (uv_thread_create(&s->thread, cpn_store_run, s) != 0) {
        s->driver->close(s->db);
        close_handles(s->handles);
        uv_mutex_destroy(&s->lock);
        uv_cond_destroy(&s->work);
        free(s);
        return cpn_fail(err, CPN_E_SYS, "starting the store's thread");
    }
    *out = s;
    return CPN_OK;
}

cpn_rc
cpn_store_open(cpn_store **out, uv_loop_t *loop, const char *dsn, cpn_err *err)
{
    static const cpn_store_clock clock = { cpn_wall_ms, cpn_mono_ms };

    return cpn_store_open_clock(out, loop, dsn, &clock, err);
}

void
cpn_store_free(cpn_store *s)
{
    if (!s)
        return;
    hand_over(s);
    uv_mutex_lock(&s->lock);
    s->stopping = true;
    uv_cond_signal(&s->work);
    uv_mutex_unlock(&s->lock);
    uv_thread_join(&s->thread);
    collect(s);
    deliver(s, &s->at_once);
    s->driver->close(s->db);
    close_handles(s->handles);
    uv_mutex_destroy(&s->lock);
    uv_cond_destroy(&s->work);
    free(s);
}

/* ---- questions ---- */

cpn_rc
cpn_store_commit(cpn_store *s, CPN_TAKES cpn_batch *b, cpn_store_done *done, void *owner)
{
    cpn_req *r = req_new(CPN_REQ_BATCH, 0);

    r->batch = b;
    r->done = done;
    r->owner = owner;
    return ask(s, r);
}

cpn_rc
cpn_store_commit_wait(cpn_store *s, CPN_TAKES cpn_batch *b, cpn_err *err)
{
    cpn_req *r = req_new(CPN_REQ_BATCH, 0);
    cpn_rc rc;

    r->batch = b;
    rc = ask_wait(s, r, err);
    cpn_req_free(r);
    return rc;
}

static cpn_rc
ask_key(cpn_store *s, cpn_req *r, const char *kind, const uint8_t key[32])
{
    if (!cpn_view_copy(cpn_view_str(kind), r->name, sizeof(r->name))) {
        cpn_req_free(r);
        return CPN_LIMIT;
    }
    memcpy(r->key, key, sizeof(r->key));
    return ask(s, r);
}

static cpn_req *
body_req(cpn_req_kind what, cpn_store_body_done *done, void *owner)
{
    cpn_req *r = req_new(what, CPN_STORE_BODY_MAX);

    r->body_done = done;
    r->owner = owner;
    return r;
}

cpn_rc
cpn_store_ticket_consume(cpn_store *s, const uint8_t key[32], cpn_store_body_done *done,
                         void *owner)
{
    return ask_key(s, body_req(CPN_REQ_TICKET_TAKE, done, owner), "", key);
}

cpn_rc
cpn_store_secret_get(cpn_store *s, const char *kind, const uint8_t key[32],
                     cpn_store_body_done *done, void *owner)
{
    return ask_key(s, body_req(CPN_REQ_SECRET_GET, done, owner), kind, key);
}

cpn_rc
cpn_store_secret_use(cpn_store *s, const char *kind, const uint8_t key[32], int64_t keep_ms,
                     cpn_store_body_done *done, void *owner)
{
    cpn_req *r = body_req(CPN_REQ_SECRET_USE, done, owner);

    r->keep_ms = keep_ms;
    return ask_key(s, r, kind, key);
}

cpn_rc
cpn_store_audit_read(cpn_store *s, uint64_t after, unsigned limit, const char *filter,
                     cpn_store_body_done *done, void *owner)
{
    cpn_req *r;

    if (limit == 0 || limit > 1000 || after > INT64_MAX)
        return CPN_INVALID;
    if (filter && !cpn_store_filter_ok(filter))
        return CPN_INVALID;
    r = body_req(CPN_REQ_AUDIT_READ, done, owner);
    r->after = after;
    r->limit = limit;
    r->filter = filter ? cpn_xstrdup(filter) : NULL;
    return ask(s, r);
}

cpn_rc
cpn_store_audit_verify(cpn_store *s, cpn_store_body_done *done, void *owner)
{
    return ask(s, body_req(CPN_REQ_AUDIT_VERIFY, done, owner));
}

static cpn_rc
rows_wait(cpn_store *s, cpn_req_kind what, cpn_store_row_fn *row, void *owner, cpn_err *err)
{
    cpn_req *r = req_new(what, 0);
    cpn_rc rc;

    r->row = row;
    r->row_owner = owner;
    rc = ask_wait(s, r, err);
    cpn_req_free(r);
    return rc;
}

cpn_rc
cpn_store_load(cpn_store *s, cpn_store_row_fn *row, void *owner, cpn_err *err)
{
    return rows_wait(s, CPN_REQ_LOAD, row, owner, err);
}

cpn_rc
cpn_store_open_sessions(cpn_store *s, cpn_store_row_fn *row, void *owner, cpn_err *err)
{
    return rows_wait(s, CPN_REQ_OPEN_SESSIONS, row, owner, err);
}

cpn_rc
cpn_store_value(cpn_store *s, const char *name, cpn_buf *out, cpn_err *err)
{
    cpn_req *r = req_new(CPN_REQ_VALUE, CPN_STORE_BODY_MAX);
    cpn_rc rc;

    if (!cpn_view_copy(cpn_view_str(name), r->name, sizeof(r->name))) {
        cpn_req_free(r);
        return cpn_fail(err, CPN_NOT_FOUND, "value \"%.64s…\": the name is too long", name);
    }
    rc = ask_wait(s, r, err);
    if (rc == CPN_OK)
        rc = cpn_buf_append(out, cpn_buf_view(&r->body));
    cpn_req_free(r);
    return rc;
}

void
cpn_store_counted(const cpn_store *s, cpn_store_counts *out)
{
    *out = (cpn_store_counts){ .transactions = atomic_load(&s->transactions),
                               .batches = atomic_load(&s->batches),
                               .refused = atomic_load(&s->refused),
                               .full = atomic_load(&s->full),
                               .failed = atomic_load(&s->failed),
                               .waiting = atomic_load(&s->waiting) };
}
