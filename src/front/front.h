/* front/front.h -- the role that meets the internet: one process, one loop. What lives in it, and
 * what control's SETUP said.
 *
 * The story of a connection: accept.h -> conn.h (the table of stages) -> http.h, route.h (what does
 * it want) -> api.h | tunnel.h | webtunnel.h (control is asked, link.h) -> relay.h | denied.h.
 * Nothing here decides who may go where: that is control; nothing here can dial: that is keeper,
 * and net/sandbox_front.h. */
#ifndef CPN_FRONT_FRONT_H
#define CPN_FRONT_FRONT_H

#include "front/accept.h"
#include "front/deadline.h"
#include "front/link.h"
#include "front/slots.h"
#include "ipc/role.h"
#include "ipc/tally.h"
#include "net/tls_ctx.h"

/* Connections at once, relays included, and no more than half of the descriptors (ipc/role.h);
 * beyond: closed before TLS. */
#define CPN_FRONT_CONNS 32768u
/* Bytes of answers that clients have not taken yet: of one connection, and of all. */
#define CPN_FRONT_ANSWER_MAX (16u << 20)
#define CPN_FRONT_ANSWERS_MAX (64u << 20)
/* Connections of admin_listen at once. */
#define CPN_FRONT_ADMIN_MAX 64u
/* The end of a drain: how long clients have to take the reason. */
#define CPN_FRONT_LEAVE_MS 1000u

/* What SETUP said; all zero before. */
typedef struct cpn_front_set {
    bool az_clients;
    uint32_t tls_ms;
    uint32_t head_ms;
    uint32_t body_ms;
    uint32_t first_bytes_ms;
    uint32_t dial_ms;
    uint32_t body_max;
    char host[257]; /* what Host must equal */
} cpn_front_set;

typedef struct cpn_front_counters {
    uint64_t accepted;
    uint64_t preauth_refused; /* closed before TLS: no slot */
    uint64_t tls_failed;
    uint64_t http_refused; /* answered 4xx or 5xx by the front itself */
    uint64_t streams;      /* OPENED */
    uint64_t streams_refused;
} cpn_front_counters;

typedef struct cpn_conn cpn_conn;
typedef struct cpn_relay cpn_relay;

typedef struct cpn_front {
    uv_loop_t *uv;
    cpn_loop *loop;
    cpn_deadlines *deadlines;
    uint32_t number;
    cpn_quota memory;  /* relay_memory; net/pool.h charges it */
    cpn_quota answers; /* CPN_FRONT_ANSWERS_MAX */
    cpn_quota denied;  /* denied_sessions_max */
    cpn_slots slots;   /* pre-auth */
    cpn_conn *waiting; /* connections that hold one, oldest first */
    cpn_slots admin_slots;
    cpn_link link; /* to control */
    cpn_front_set set;
    cpn_tls_ctx *tls;   /* NULL before the first SETUP: nothing is accepted */
    cpn_accept *accept; /* NULL in tests that bring their own connections */
    cpn_tally *tally;
    cpn_conn *conns;   /* by number */
    cpn_relay *opened; /* by control's number */
    size_t live;       /* of them not admin_listen's */
    uint32_t last_conn;
    uint32_t last_stream;
    cpn_front_counters count;
    uint64_t full_said_ms; /* when the log was last told that relay_memory is used up */
    cpn_msg_COUNTERS told;
    uv_timer_t beat;
    cpn_deadline drained; /* how long a drain may take */
    bool draining;
    bool leaving; /* its time is over: the rest was told to end */
} cpn_front;

/* The process. Returns its exit status: 0 after a drain or when keeper has gone. */
int cpn_front_main(const cpn_role_args *args);
/* Started by hand only: enter the sandbox, then try "open", "socket", "exec" or "linger". Returns
 * only when the sandbox let it pass (exit status 1) or `what` is none of these (2). */
int cpn_front_selftest(const char *what);

/* The parts of cpn_front_main that a test with its own loop needs. uv is borrowed; tally may be
 * NULL. The channel is not part of it: cpn_link_adopt. */
cpn_rc cpn_front_init(cpn_front *f, uv_loop_t *uv, cpn_tally *tally, cpn_err *err) CPN_MUST_CHECK;
/* Ends every connection. Run the loop once more before uv_loop_close. */
void cpn_front_fini(cpn_front *f);

/* Control's SETUP: from now on connections are taken, with this identity. */
void cpn_front_on_setup(cpn_front *f, const cpn_msg_SETUP *m);
/* Control's DRAIN: stop accepting, let relays finish, stop the loop after ms at most. */
void cpn_front_on_drain(cpn_front *f, uint32_t ms);
/* relay_memory is used up, and one more session has to be refused for it: logged once in five
 * seconds, since control hears of none of these. */
bool cpn_front_full(cpn_front *f);
/* A connection has gone; ends a drain with the last one. */
void cpn_front_conn_gone(cpn_front *f);

#endif
