/* store/store.h -- what outlives the process. One contract, a driver a backend, the same contract
 * tests for each (tests/contract/store_contract.c).
 *
 * Reads of policy never come here: control holds a snapshot (policy/snapshot.h) that is loaded once
 * and rebuilt after each commit. Writes are batches. Everything runs on the store's own thread;
 * `done` is called on the loop that opened the store. What one loop turn asked for is one
 * transaction (group commit), with what could wait for company; inside it batches keep their order,
 * and a batch is whole or absent.
 *
 * Results in `done`: CPN_OK; CPN_EXISTS (a precondition failed: nothing of this batch happened);
 * CPN_LIMIT (disk full: come back later, nothing happened); CPN_E_STORE (err says). */
#ifndef CPN_STORE_STORE_H
#define CPN_STORE_STORE_H

#include <uv.h>

#include "base/buf.h"
#include "model/uuid.h"

typedef struct cpn_store cpn_store;
typedef struct cpn_batch cpn_batch;

/* dsn: "sqlite:PATH" ("sqlite::memory:" in tests). Runs the migrations. Blocking; start-up only.
 * A database newer than the program, or locked by another, is refused with a sentence. */
cpn_rc cpn_store_open(cpn_store **out, uv_loop_t *loop, const char *dsn,
                      cpn_err *err) CPN_MUST_CHECK;
/* Finishes what was asked for, calls every outstanding done, then closes. The loop must turn once
 * more before it is closed itself. Never from a done. NULL is fine. */
void cpn_store_free(cpn_store *s);
CPN_DEFINE_AUTO(cpn_store, cpn_store)

/* ---- start-up reads (blocking, before the loop runs) ----
 * Row callbacks run while the caller waits, on another thread; views live for the call. */
/* One row of a table of documents. kind and id as given to cpn_batch_put; body is JSON. */
typedef void cpn_store_row_fn(void *owner, const char *kind, const char *id, cpn_view body);
cpn_rc cpn_store_load(cpn_store *s, cpn_store_row_fn *row, void *owner,
                      cpn_err *err) CPN_MUST_CHECK;
/* Small named values: policy epoch, tenant id, keys. CPN_NOT_FOUND. */
cpn_rc cpn_store_value(cpn_store *s, const char *name, cpn_buf *out, cpn_err *err) CPN_MUST_CHECK;
/* Session rows without an end (for the reaper). */
cpn_rc cpn_store_open_sessions(cpn_store *s, cpn_store_row_fn *row, void *owner,
                               cpn_err *err) CPN_MUST_CHECK;

/* ---- batches ---- */
typedef void cpn_store_done(void *owner, cpn_rc rc, const cpn_err *err);

cpn_batch *cpn_batch_new(void);
void cpn_batch_free(cpn_batch *b);
/* Documents: resources, principals, assignments, credentials… id is already lower-case. */
void cpn_batch_put(cpn_batch *b, const char *kind, const char *id, cpn_view body);
void cpn_batch_delete(cpn_batch *b, const char *kind, const char *id);
/* The whole batch fails with CPN_EXISTS unless the value is what the caller saw (NULL: absent). */
void cpn_batch_expect_value(cpn_batch *b, const char *name, const char *value);
void cpn_batch_value(cpn_batch *b, const char *name, cpn_view value);
/* Sessions. body: JSON of the start; end fills the rest. A second start of one id fails the batch
 * with CPN_EXISTS; an end of a session that is not open changes nothing. */
void cpn_batch_session_start(cpn_batch *b, const cpn_uuid *id, cpn_view body);
void cpn_batch_session_end(cpn_batch *b, const cpn_uuid *id, cpn_view body);
/* Forget up to CPN_PRUNE_ROWS sessions whose end was written before this (Unix ms). */
#define CPN_PRUNE_ROWS 20000
void cpn_batch_sessions_prune(cpn_batch *b, int64_t before_ms);
/* One audit record: the store numbers and chains it in the order of the commit
 * (codec/chain.h); body is the record's JSON object without seq, prev and hash, canonical. */
void cpn_batch_audit(cpn_batch *b, cpn_view body);
/* Tickets: key = SHA-256 of the secret. life: ms from the commit, at most 10 minutes (cut to that);
 * no jump of the wall clock moves its end. Over 100,000 live ones the batch fails with CPN_LIMIT.
 */
void cpn_batch_ticket(cpn_batch *b, const uint8_t key[32], cpn_view body, int64_t life_ms);
/* Refresh tokens and the like: a secret's hash -> body, until expiry. */
void cpn_batch_secret_put(cpn_batch *b, const char *kind, const uint8_t key[32], cpn_view body,
                          int64_t expires_ms);
void cpn_batch_secret_delete(cpn_batch *b, const char *kind, const uint8_t key[32]);
/* Nobody waits for this batch: it may lie for up to CPN_STORE_COMPANY_MS, to be committed with what
 * is asked for meanwhile. It keeps its place: whatever is asked for later, a read too, comes after
 * it. */
#define CPN_STORE_COMPANY_MS 50
void cpn_batch_may_wait(cpn_batch *b);
/* Takes the batch. done may be NULL; it is called once if and only if this returns CPN_OK.
 * CPN_LIMIT: CPN_STORE_WAITING_MAX operations wait already. */
#define CPN_STORE_WAITING_MAX 4096
cpn_rc cpn_store_commit(cpn_store *s, CPN_TAKES cpn_batch *b, cpn_store_done *done,
                        void *owner) CPN_MUST_CHECK;
/* The same, blocking; start-up only. Returns what done would have been told. */
cpn_rc cpn_store_commit_wait(cpn_store *s, CPN_TAKES cpn_batch *b, cpn_err *err) CPN_MUST_CHECK;

/* ---- asynchronous single operations: done as for cpn_store_commit ---- */
typedef void cpn_store_body_done(void *owner, cpn_rc rc, cpn_view body, const cpn_err *err);
/* Consume a ticket: exactly one caller ever gets CPN_OK with the body. CPN_NOT_FOUND: unknown, used
 * or expired. */
cpn_rc cpn_store_ticket_consume(cpn_store *s, const uint8_t key[32], cpn_store_body_done *done,
                                void *owner) CPN_MUST_CHECK;
cpn_rc cpn_store_secret_get(cpn_store *s, const char *kind, const uint8_t key[32],
                            cpn_store_body_done *done, void *owner) CPN_MUST_CHECK;
/* Count a use in one step (rotating refresh tokens). Body: {"uses":N,"firstMs":WHEN,"body":…}, the
 * use in it; exactly one caller ever gets N = 1. The secret stays until keep_ms (Unix) at least, so
 * that a later use can be told from an unknown secret. keep_ms 0: only look; N 0 is an unused one.
 * CPN_NOT_FOUND: unknown or expired. */
cpn_rc cpn_store_secret_use(cpn_store *s, const char *kind, const uint8_t key[32], int64_t keep_ms,
                            cpn_store_body_done *done, void *owner) CPN_MUST_CHECK;
/* Audit records by sequence: from `after` on, at most limit (<= 1,000), newest last; body is a JSON
 * array of whole records, each with its hash. filter: NULL or "field=value" joined by '&' (at most
 * 8): whole values, compared as text; other operations go on while a filter searches. */
cpn_rc cpn_store_audit_read(cpn_store *s, uint64_t after, unsigned limit, const char *filter,
                            cpn_store_body_done *done, void *owner) CPN_MUST_CHECK;
/* Walk the whole chain, as it stood when asked; other operations go on meanwhile.
 * Body: {"records":N,"ok":true} or {"ok":false,"firstBad":SEQ,"why":"…"}. */
cpn_rc cpn_store_audit_verify(cpn_store *s, cpn_store_body_done *done, void *owner) CPN_MUST_CHECK;

/* ---- what it did so far, for metrics and tests ---- */
typedef struct cpn_store_counts {
    uint64_t transactions; /* durable ones */
    uint64_t batches;      /* whole batches in them */
    uint64_t refused;      /* batches whose precondition failed */
    uint64_t full;         /* times the disk was full */
    uint64_t failed;       /* other failures of the database */
    unsigned waiting;      /* operations asked for and not yet answered */
} cpn_store_counts;

void cpn_store_counted(const cpn_store *s, cpn_store_counts *out);

/* ---- a driver ---- */
/* What a backend fills in; see store_sqlite.c. Internal to src/store: store_driver.h. */

#endif
