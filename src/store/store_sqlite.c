/* The store in one SQLite file: WAL, synchronous=FULL, held by one process, tickets in memory. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/private_file.h"
#include "store/sqlite_schema.h"
#include "store/store_driver.h"
#include "store/tickets.h"

#define PURGE_ROWS 1000

#define STATEMENTS(X)                                                                              \
    X(BEGIN, "BEGIN IMMEDIATE")                                                                    \
    X(COMMIT, "COMMIT")                                                                            \
    X(MARK, "SAVEPOINT batch")                                                                     \
    X(KEEP, "RELEASE batch")                                                                       \
    X(UNDO, "ROLLBACK TO batch")                                                                   \
    X(PUT, "INSERT INTO document (kind, id, body) VALUES (?1, ?2, ?3)"                             \
           " ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body")                           \
    X(DELETE, "DELETE FROM document WHERE kind = ?1 AND id = ?2")                                  \
    X(LOAD, "SELECT kind, id, body FROM document ORDER BY kind, id")                               \
    X(VALUE, "SELECT value FROM value WHERE name = ?1")                                            \
    X(VALUE_PUT, "INSERT INTO value (name, value) VALUES (?1, ?2)"                                 \
                 " ON CONFLICT (name) DO UPDATE SET value = excluded.value")                       \
    X(START, "INSERT INTO session (id, started) VALUES (?1, ?2) ON CONFLICT DO NOTHING")           \
    X(END, "UPDATE session SET ended = ?2, ended_ms = ?3 WHERE id = ?1 AND ended_ms IS NULL")      \
    X(PRUNE, "DELETE FROM session WHERE number IN"                                                 \
             " (SELECT number FROM session WHERE ended_ms < ?1 LIMIT ?2)")                         \
    X(OPEN, "SELECT id, started FROM session WHERE ended_ms IS NULL ORDER BY number")              \
    X(AUDIT_PUT, "INSERT INTO audit (seq, record, hash) VALUES (?1, ?2, ?3)")                      \
    X(AUDIT_EACH, "SELECT seq, record, hash FROM audit WHERE seq > ?1 ORDER BY seq LIMIT ?2")      \
    X(AUDIT_LAST, "SELECT ifnull(max(seq), 0) FROM audit")                                         \
    X(HEAD, "SELECT seq, hash FROM audit_head WHERE one = 1")                                      \
    X(HEAD_PUT, "INSERT INTO audit_head (one, seq, hash) VALUES (1, ?1, ?2)"                       \
                " ON CONFLICT (one) DO UPDATE SET seq = excluded.seq, hash = excluded.hash")       \
    X(SECRET_PUT, "INSERT INTO secret (kind, key, body, expires_ms) VALUES (?1, ?2, ?3, ?4)"       \
                  " ON CONFLICT (kind, key) DO UPDATE"                                             \
                  " SET body = excluded.body, expires_ms = excluded.expires_ms")                   \
    X(SECRET_DELETE, "DELETE FROM secret WHERE kind = ?1 AND key = ?2")                            \
    X(SECRET_GET, "SELECT body, expires_ms FROM secret WHERE kind = ?1 AND key = ?2")              \
    X(SECRET_LOOK, "SELECT body, uses, first_ms FROM secret"                                       \
                   " WHERE kind = ?1 AND key = ?2 AND expires_ms > ?3")                            \
    X(SECRET_USE, "UPDATE secret SET uses = uses + 1, first_ms = iif(uses = 0, ?3, first_ms),"     \
                  " expires_ms = max(expires_ms, ?4)"                                              \
                  " WHERE kind = ?1 AND key = ?2 AND expires_ms > ?3"                              \
                  " RETURNING body, uses, first_ms")                                               \
    X(PURGE, "DELETE FROM secret WHERE (kind, key) IN"                                             \
             " (SELECT kind, key FROM secret WHERE expires_ms <= ?1 LIMIT ?2)")

enum {
#define X(name, sql) ST_##name,
    STATEMENTS(X)
#undef X
        ST_N
};

static const char *const statement_sql[] = {
#define X(name, sql) [ST_##name] = sql,
    STATEMENTS(X)
#undef X
};

typedef struct sqlite_store {
    sqlite3 *db;
    sqlite3_stmt *st[ST_N];
    cpn_store_clock clock;
    cpn_tickets *tickets;
} sqlite_store;

/* ---- errors and statements ---- */

static cpn_rc
fail_db(const sqlite_store *q, const char *what, cpn_err *err)
{
    return cpn_sqlite_fail(q->db, what, err);
}

/* Makes a statement ready for its next use at the end of the scope. */
static void
st_done(sqlite3_stmt **st)
{
    sqlite3_reset(*st);
    sqlite3_clear_bindings(*st);
}

static void
bind_str(sqlite3_stmt *st, int at, const char *text)
{
    sqlite3_bind_text(st, at, text, -1, SQLITE_STATIC);
}

static void
bind_view(sqlite3_stmt *st, int at, cpn_view v)
{
    sqlite3_bind_text64(st, at, v.n ? (const char *)v.p : "", v.n, SQLITE_STATIC, SQLITE_UTF8);
}

static void
bind_bytes(sqlite3_stmt *st, int at, cpn_view v)
{
    sqlite3_bind_blob64(st, at, v.n ? v.p : (const void *)"", v.n, SQLITE_STATIC);
}

static cpn_view
column(sqlite3_stmt *st, int at)
{
    const void *p = sqlite3_column_blob(st, at);

    return (cpn_view){ p, (size_t)sqlite3_column_bytes(st, at) };
}

/* Run a bound statement that gives no rows. */
static cpn_rc
run(sqlite_store *q, sqlite3_stmt *bound, const char *what, cpn_err *err)
{
    CPN_AUTO(st_done) sqlite3_stmt *st = bound;

    return sqlite3_step(st) == SQLITE_DONE ? CPN_OK : fail_db(q, what, err);
}

/* ---- transactions ---- */

static cpn_rc
sqlite_begin(void *db, cpn_err *err)
{
    sqlite_store *q = db;

    return run(q, q->st[ST_BEGIN], "beginning a transaction", err);
}

static cpn_rc
sqlite_commit(void *db, cpn_err *err)
{
    sqlite_store *q = db;

    return run(q, q->st[ST_COMMIT], "committing", err);
}

static void
sqlite_rollback(void *db)
{
    sqlite_store *q = db;

    if (!sqlite3_get_autocommit(q->db))
        sqlite3_exec(q->db, "ROLLBACK", NULL, NULL, NULL);
}

static cpn_rc
sqlite_mark(void *db, cpn_err *err)
{
    sqlite_store *q = db;

    return run(q, q->st[ST_MARK], "setting a savepoint", err);
}

static cpn_rc
sqlite_keep(void *db, cpn_err *err)
{
    sqlite_store *q = db;

    return run(q, q->st[ST_KEEP], "releasing a savepoint", err);
}

static cpn_rc
sqlite_undo(void *db, cpn_err *err)
{
    sqlite_store *q = db;
    cpn_rc rc;

    /* A full disk may have ended the whole transaction already. */
    if (sqlite3_get_autocommit(q->db))
        return cpn_fail(err, CPN_E_STORE, "the transaction was rolled back");
    if ((rc = run(q, q->st[ST_UNDO], "going back to a savepoint", err)) != CPN_OK)
        return rc;
    return sqlite_keep(q, err);
}

/* ---- changes ---- */

static cpn_rc
expect_value(sqlite_store *q, const cpn_op *op, cpn_err *err)
{
    CPN_AUTO(st_done) sqlite3_stmt *st = q->st[ST_VALUE];
    int step;

    bind_str(st, 1, op->id);
    step = sqlite3_step(st);
    if (step != SQLITE_ROW && step != SQLITE_DONE)
        return fail_db(q, "reading a value", err);
    if (step == SQLITE_ROW ? op->body.p && cpn_view_eq(column(st, 0), op->body) : !op->body.p)
        return CPN_OK;
    return cpn_fail(err, CPN_EXISTS, "%s is not what it was", op->id);
}

static cpn_rc
put_document(sqlite_store *q, const cpn_op *op, cpn_err *err)
{
    sqlite3_stmt *st = q->st[op->op == CPN_OP_PUT ? ST_PUT : ST_DELETE];

    bind_str(st, 1, op->kind);
    bind_str(st, 2, op->id);
    if (op->op == CPN_OP_PUT)
        bind_view(st, 3, op->body);
    return run(q, st, "writing a document", err);
}

static cpn_rc
put_session(sqlite_store *q, const cpn_op *op, cpn_err *err)
{
    sqlite3_stmt *st = q->st[op->op == CPN_OP_SESSION_START ? ST_START : ST_END];
    cpn_rc rc;

    bind_str(st, 1, op->id);
    bind_view(st, 2, op->body);
    if (op->op == CPN_OP_SESSION_END)
        sqlite3_bind_int64(st, 3, q->clock.wall_ms());
    rc = run(q, st, "writing a session", err);
    if (rc == CPN_OK && op->op == CPN_OP_SESSION_START && sqlite3_changes(q->db) == 0)
        return cpn_fail(err, CPN_EXISTS, "session %s exists", op->id);
    return rc;
}

static cpn_rc
prune_sessions(sqlite_store *q, const cpn_op *op, cpn_err *err)
{
    sqlite3_stmt *st = q->st[ST_PRUNE];

    sqlite3_bind_int64(st, 1, op->expires_ms);
    sqlite3_bind_int64(st, 2, CPN_PRUNE_ROWS);
    return run(q, st, "forgetting old sessions", err);
}

static cpn_rc
put_value(sqlite_store *q, const cpn_op *op, cpn_err *err)
{
    sqlite3_stmt *st = q->st[ST_VALUE_PUT];

    bind_str(st, 1, op->id);
    bind_bytes(st, 2, op->body);
    return run(q, st, "writing a value", err);
}

static cpn_rc
put_secret(sqlite_store *q, const cpn_op *op, cpn_err *err)
{
    bool put = op->op == CPN_OP_SECRET_PUT;
    sqlite3_stmt *st = q->st[put ? ST_SECRET_PUT : ST_SECRET_DELETE];

    bind_str(st, 1, op->kind);
    bind_bytes(st, 2, (cpn_view){ op->key, sizeof(op->key) });
    if (put) {
        bind_view(st, 3, op->body);
        sqlite3_bind_int64(st, 4, op->expires_ms);
    }
    return run(q, st, "writing a secret", err);
}

static cpn_rc
sqlite_apply(void *db, const cpn_op *op, cpn_err *err)
{
    switch (op->op) {
    case CPN_OP_PUT:
    case CPN_OP_DELETE:
        return put_document(db, op, err);
    case CPN_OP_EXPECT:
        return expect_value(db, op, err);
    case CPN_OP_VALUE:
        return put_value(db, op, err);
    case CPN_OP_SESSION_START:
    case CPN_OP_SESSION_END:
        return put_session(db, op, err);
    case CPN_OP_SESSIONS_PRUNE:
        return prune_sessions(db, op, err);
    case CPN_OP_SECRET_PUT:
    case CPN_OP_SECRET_DELETE:
        return put_secret(db, op, err);
    default:
        return cpn_fail(err, CPN_E_STORE, "change %d is not for the database", (int)op->op);
    }
}

/* ---- audit ---- */

static cpn_rc
sqlite_audit_put(void *db, const cpn_chain_head *head, cpn_view record, cpn_err *err)
{
    sqlite_store *q = db;
    sqlite3_stmt *st = q->st[ST_AUDIT_PUT];

    sqlite3_bind_int64(st, 1, (sqlite3_int64)head->seq);
    bind_view(st, 2, record);
    bind_bytes(st, 3, (cpn_view){ head->hash, sizeof(head->hash) });
    return run(q, st, "writing an audit record", err);
}

static cpn_rc
sqlite_audit_head_put(void *db, const cpn_chain_head *head, cpn_err *err)
{
    sqlite_store *q = db;
    sqlite3_stmt *st = q->st[ST_HEAD_PUT];

    sqlite3_bind_int64(st, 1, (sqlite3_int64)head->seq);
    bind_bytes(st, 2, (cpn_view){ head->hash, sizeof(head->hash) });
    return run(q, st, "writing the audit chain's head", err);
}

static cpn_rc
sqlite_audit_head(void *db, cpn_chain_head *out, cpn_err *err)
{
    sqlite_store *q = db;
    CPN_AUTO(st_done) sqlite3_stmt *st = q->st[ST_HEAD];
    CPN_AUTO(st_done) sqlite3_stmt *last = q->st[ST_AUDIT_LAST];
    int step = sqlite3_step(st);

    *out = (cpn_chain_head){ 0 };
    if (step == SQLITE_ROW && column(st, 1).n == sizeof(out->hash)) {
        out->seq = (uint64_t)sqlite3_column_int64(st, 0);
        memcpy(out->hash, column(st, 1).p, sizeof(out->hash));
    } else if (step != SQLITE_DONE) {
        return fail_db(q, "reading the audit chain's head", err);
    }
    if (sqlite3_step(last) != SQLITE_ROW)
        return fail_db(q, "reading the newest audit record", err);
    /* Fewer records than the head says is for verify to name; more cannot be added to. */
    if ((uint64_t)sqlite3_column_int64(last, 0) > out->seq)
        return cpn_fail(err, CPN_E_STORE,
                        "record %llu stands behind the chain's head %llu: the audit tables were "
                        "changed from outside",
                        (unsigned long long)sqlite3_column_int64(last, 0),
                        (unsigned long long)out->seq);
    return CPN_OK;
}

static cpn_rc
sqlite_audit_each(void *db, uint64_t after, unsigned limit, cpn_store_record_fn *fn, void *owner,
                  cpn_err *err)
{
    static const uint8_t no_hash[CPN_SHA256_BYTES];
    sqlite_store *q = db;
    CPN_AUTO(st_done) sqlite3_stmt *st = q->st[ST_AUDIT_EACH];
    int step;

    sqlite3_bind_int64(st, 1, (sqlite3_int64)after);
    sqlite3_bind_int64(st, 2, limit);
    while ((step = sqlite3_step(st)) == SQLITE_ROW) {
        cpn_view hash = column(st, 2);

        if (!fn(owner, (uint64_t)sqlite3_column_int64(st, 0), column(st, 1),
                hash.n == CPN_SHA256_BYTES ? hash.p : no_hash))
            return CPN_OK;
    }
    return step == SQLITE_DONE ? CPN_OK : fail_db(q, "reading audit records", err);
}

/* ---- tickets and secrets ---- */

static cpn_rc
sqlite_ticket_put(void *db, const cpn_op *op, cpn_err *err)
{
    sqlite_store *q = db;
    cpn_rc rc = cpn_tickets_put(q->tickets, op->key, op->body, op->life_ms, q->clock.mono_ms());

    return rc == CPN_OK ? rc : cpn_fail(err, rc, "the ticket cannot be kept");
}

static void
sqlite_ticket_drop(void *db, const uint8_t key[32])
{
    sqlite_store *q = db;

    cpn_tickets_drop(q->tickets, key);
}

static cpn_rc
sqlite_ticket_take(void *db, const uint8_t key[32], cpn_buf *out, cpn_err *err)
{
    sqlite_store *q = db;
    cpn_rc rc = cpn_tickets_take(q->tickets, key, q->clock.mono_ms(), out);

    return rc == CPN_OK ? rc : cpn_fail(err, rc, "the ticket is unknown, used or expired");
}

static cpn_rc
sqlite_secret_get(void *db, const char *kind, const uint8_t key[32], cpn_buf *out, cpn_err *err)
{
    sqlite_store *q = db;
    CPN_AUTO(st_done) sqlite3_stmt *st = q->st[ST_SECRET_GET];
    int step;

    bind_str(st, 1, kind);
    bind_bytes(st, 2, (cpn_view){ key, 32 });
    step = sqlite3_step(st);
    if (step != SQLITE_ROW && step != SQLITE_DONE)
        return fail_db(q, "reading a secret", err);
    if (step == SQLITE_DONE || sqlite3_column_int64(st, 1) <= q->clock.wall_ms())
        return cpn_fail(err, CPN_NOT_FOUND, "no such %s, or it has expired", kind);
    return cpn_buf_append(out, column(st, 0)) == CPN_OK
               ? CPN_OK
               : cpn_fail(err, CPN_E_NOMEM, "reading a secret");
}

static cpn_rc
append_use(sqlite3_stmt *st, cpn_buf *out, cpn_err *err)
{
    char head[96];

    snprintf(head, sizeof(head),
             "{\"uses\":%lld,\"firstMs\":%lld,\"body\":", (long long)sqlite3_column_int64(st, 1),
             (long long)sqlite3_column_int64(st, 2));
    if (cpn_buf_append(out, cpn_view_str(head)) != CPN_OK ||
        cpn_buf_append(out, column(st, 0)) != CPN_OK ||
        cpn_buf_append(out, CPN_VIEW_LIT("}")) != CPN_OK)
        return cpn_fail(err, CPN_E_NOMEM, "reading a secret");
    return CPN_OK;
}

static cpn_rc
sqlite_secret_use(void *db, const char *kind, const uint8_t key[32], int64_t keep_ms, cpn_buf *out,
                  cpn_err *err)
{
    sqlite_store *q = db;
    CPN_AUTO(st_done) sqlite3_stmt *st = q->st[keep_ms ? ST_SECRET_USE : ST_SECRET_LOOK];
    int step;
    cpn_rc rc;

    bind_str(st, 1, kind);
    bind_bytes(st, 2, (cpn_view){ key, 32 });
    sqlite3_bind_int64(st, 3, q->clock.wall_ms());
    if (keep_ms)
        sqlite3_bind_int64(st, 4, keep_ms);
    step = sqlite3_step(st);
    if (step == SQLITE_DONE)
        return cpn_fail(err, CPN_NOT_FOUND, "no such %s, or it has expired", kind);
    if (step != SQLITE_ROW)
        return fail_db(q, "using a secret", err);
    if ((rc = append_use(st, out, err)) != CPN_OK)
        return rc;
    /* With RETURNING the change is made only when the statement has run to its end. */
    return sqlite3_step(st) == SQLITE_DONE ? CPN_OK : fail_db(q, "using a secret", err);
}

static cpn_rc
sqlite_purge(void *db, cpn_err *err)
{
    sqlite_store *q = db;
    sqlite3_stmt *st = q->st[ST_PURGE];

    sqlite3_bind_int64(st, 1, q->clock.wall_ms());
    sqlite3_bind_int64(st, 2, PURGE_ROWS);
    return run(q, st, "deleting expired secrets", err);
}

/* ---- start-up reads ---- */

static cpn_rc
sqlite_load(void *db, cpn_store_row_fn *row, void *owner, cpn_err *err)
{
    sqlite_store *q = db;
    CPN_AUTO(st_done) sqlite3_stmt *st = q->st[ST_LOAD];
    int step;

    while ((step = sqlite3_step(st)) == SQLITE_ROW)
        row(owner, (const char *)sqlite3_column_text(st, 0),
            (const char *)sqlite3_column_text(st, 1), column(st, 2));
    return step == SQLITE_DONE ? CPN_OK : fail_db(q, "reading the documents", err);
}

static cpn_rc
sqlite_open_sessions(void *db, cpn_store_row_fn *row, void *owner, cpn_err *err)
{
    sqlite_store *q = db;
    CPN_AUTO(st_done) sqlite3_stmt *st = q->st[ST_OPEN];
    int step;

    while ((step = sqlite3_step(st)) == SQLITE_ROW)
        row(owner, "session", (const char *)sqlite3_column_text(st, 0), column(st, 1));
    return step == SQLITE_DONE ? CPN_OK : fail_db(q, "reading the open sessions", err);
}

static cpn_rc
sqlite_value(void *db, const char *name, cpn_buf *out, cpn_err *err)
{
    sqlite_store *q = db;
    CPN_AUTO(st_done) sqlite3_stmt *st = q->st[ST_VALUE];
    int step;

    bind_str(st, 1, name);
    step = sqlite3_step(st);
    if (step == SQLITE_DONE)
        return cpn_fail(err, CPN_NOT_FOUND, "there is no value %s", name);
    if (step != SQLITE_ROW)
        return fail_db(q, "reading a value", err);
    return cpn_buf_append(out, column(st, 0)) == CPN_OK
               ? CPN_OK
               : cpn_fail(err, CPN_E_NOMEM, "reading a value");
}

/* ---- open and close ---- */

static void
sqlite_close(void *db)
{
    sqlite_store *q = db;

    if (!q)
        return;
    for (size_t i = 0; i < ST_N; i++)
        sqlite3_finalize(q->st[i]);
    sqlite3_close(q->db);
    cpn_tickets_free(q->tickets);
    free(q);
}

static void
sqlite_close_auto(sqlite_store **q)
{
    sqlite_close(*q);
}

static cpn_rc
prepare_all(sqlite_store *q, const char *where, cpn_err *err)
{
    for (size_t i = 0; i < ST_N; i++)
        if (sqlite3_prepare_v3(q->db, statement_sql[i], -1, SQLITE_PREPARE_PERSISTENT, &q->st[i],
                               NULL) != SQLITE_OK)
            return cpn_sqlite_fail(q->db, where, err);
    return CPN_OK;
}

static cpn_rc
sqlite_open(void **db, const char *where, const cpn_store_clock *clock, cpn_err *err)
{
    CPN_AUTO(sqlite_close_auto) sqlite_store *q = cpn_xcalloc(1, sizeof(*q));
    cpn_rc rc;

    q->clock = *clock;
    q->tickets = cpn_tickets_new(CPN_TICKETS_MAX);
    if (strcmp(where, ":memory:") != 0 &&
        ((rc = cpn_private_dir_check(where, err)) != CPN_OK ||
         (rc = cpn_private_file_check(where, true, err)) != CPN_OK))
        return rc == CPN_NOT_FOUND ? CPN_E_CONF : rc;
    if (sqlite3_open_v2(where, &q->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
        SQLITE_OK)
        return cpn_sqlite_fail(q->db, where, err);
    if ((rc = cpn_sqlite_ready(q->db, where, err)) != CPN_OK ||
        (rc = prepare_all(q, where, err)) != CPN_OK)
        return rc;
    *db = cpn_steal(&q);
    return CPN_OK;
}

const cpn_store_driver cpn_store_driver_sqlite = {
    .name = "sqlite",
    .open = sqlite_open,
    .close = sqlite_close,
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .mark = sqlite_mark,
    .keep = sqlite_keep,
    .undo = sqlite_undo,
    .apply = sqlite_apply,
    .audit_put = sqlite_audit_put,
    .audit_head_put = sqlite_audit_head_put,
    .audit_head = sqlite_audit_head,
    .audit_each = sqlite_audit_each,
    .tickets_in_memory = true,
    .ticket_put = sqlite_ticket_put,
    .ticket_drop = sqlite_ticket_drop,
    .ticket_take = sqlite_ticket_take,
    .secret_get = sqlite_secret_get,
    .secret_use = sqlite_secret_use,
    .purge = sqlite_purge,
    .load = sqlite_load,
    .value = sqlite_value,
    .open_sessions = sqlite_open_sessions,
};
