/* store/store_driver.h -- what a backend of the store fills in. Internal to src/store.
 *
 * A driver is blocking and single-threaded: every call comes from the store's own thread, never two
 * at once. Transactions, grouping, the audit chain and answering are store_thread.c's; a driver
 * knows rows. Results: CPN_OK, what a function lists, CPN_LIMIT (no space; nothing happened),
 * CPN_E_STORE. After any failure inside a transaction the caller calls rollback. */
#ifndef CPN_STORE_STORE_DRIVER_H
#define CPN_STORE_STORE_DRIVER_H

#include "codec/chain.h"
#include "store/store.h"

/* Both clocks, so that tests can hold them still. */
typedef struct cpn_store_clock {
    int64_t (*wall_ms)(void);
    uint64_t (*mono_ms)(void);
} cpn_store_clock;

typedef enum cpn_op_kind {
    CPN_OP_NONE,
    CPN_OP_PUT,
    CPN_OP_DELETE,
    CPN_OP_EXPECT,
    CPN_OP_VALUE,
    CPN_OP_SESSION_START,
    CPN_OP_SESSION_END,
    CPN_OP_SESSIONS_PRUNE,
    CPN_OP_AUDIT,
    CPN_OP_TICKET,
    CPN_OP_SECRET_PUT,
    CPN_OP_SECRET_DELETE
} cpn_op_kind;

/* One change of a batch. kind, id and body are the batch's copies; unused ones are NULL, empty. */
typedef struct cpn_op {
    struct cpn_op *next;
    cpn_op_kind op;
    const char *kind; /* document kind, secret kind */
    const char *id;   /* document id, value name, session id as text */
    cpn_view body;    /* p NULL in EXPECT: absent */
    uint8_t key[32];  /* ticket, secret */
    int64_t expires_ms;
    int64_t life_ms; /* of a ticket */
} cpn_op;

struct cpn_batch {
    cpn_op *first;
    cpn_op **last;
    bool may_wait;
};

/* A record with its hash, for audit_each. False: stop. */
typedef bool cpn_store_record_fn(void *owner, uint64_t seq, cpn_view record,
                                 const uint8_t hash[CPN_SHA256_BYTES]);

typedef struct cpn_store_driver {
    const char *name; /* the dsn's scheme */
    /* Open, migrate, lock. where: the dsn behind "NAME:". */
    cpn_rc (*open)(void **db, const char *where, const cpn_store_clock *clock, cpn_err *err);
    void (*close)(void *db);

    cpn_rc (*begin)(void *db, cpn_err *err);
    cpn_rc (*commit)(void *db, cpn_err *err);
    void (*rollback)(void *db); /* also when none is open */
    /* A mark inside a transaction; undo goes back to it. Both end the mark. */
    cpn_rc (*mark)(void *db, cpn_err *err);
    cpn_rc (*keep)(void *db, cpn_err *err);
    cpn_rc (*undo)(void *db, cpn_err *err);

    /* Any change but AUDIT and TICKET, inside a transaction. CPN_EXISTS: a precondition failed. */
    cpn_rc (*apply)(void *db, const cpn_op *op, cpn_err *err);
    cpn_rc (*audit_put)(void *db, const cpn_chain_head *head, cpn_view record, cpn_err *err);
    /* The stored head of the chain; zero when there is none. Put once a transaction. */
    cpn_rc (*audit_head_put)(void *db, const cpn_chain_head *head, cpn_err *err);
    cpn_rc (*audit_head)(void *db, cpn_chain_head *out, cpn_err *err);
    /* At most limit records with seq > after, in order. */
    cpn_rc (*audit_each)(void *db, uint64_t after, unsigned limit, cpn_store_record_fn *fn,
                         void *owner, cpn_err *err);

    /* Tickets need no transaction of the caller's. put: CPN_LIMIT; drop: absent is fine;
     * take: CPN_NOT_FOUND unknown, used or expired. */
    bool tickets_in_memory; /* these three never wait, and may be called on any thread */
    cpn_rc (*ticket_put)(void *db, const cpn_op *op, cpn_err *err);
    void (*ticket_drop)(void *db, const uint8_t key[32]);
    cpn_rc (*ticket_take)(void *db, const uint8_t key[32], cpn_buf *out, cpn_err *err);

    /* CPN_NOT_FOUND: unknown or expired. use: as cpn_store_secret_use says; inside a transaction
     * unless it only looks. */
    cpn_rc (*secret_get)(void *db, const char *kind, const uint8_t key[32], cpn_buf *out,
                         cpn_err *err);
    cpn_rc (*secret_use)(void *db, const char *kind, const uint8_t key[32], int64_t keep_ms,
                         cpn_buf *out, cpn_err *err);
    /* Delete some expired secrets (bounded), inside a transaction. */
    cpn_rc (*purge)(void *db, cpn_err *err);

    cpn_rc (*load)(void *db, cpn_store_row_fn *row, void *owner, cpn_err *err);
    cpn_rc (*value)(void *db, const char *name, cpn_buf *out, cpn_err *err);
    cpn_rc (*open_sessions)(void *db, cpn_store_row_fn *row, void *owner, cpn_err *err);
} cpn_store_driver;

/* For tests: cpn_store_open with clocks of their own. */
cpn_rc cpn_store_open_clock(cpn_store **out, uv_loop_t *loop, const char *dsn,
                            const cpn_store_clock *clock, cpn_err *err) CPN_MUST_CHECK;

#endif
