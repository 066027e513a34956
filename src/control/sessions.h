/* control/sessions.h -- live sessions and their streams.
 *
 * A session is one user, one target, one port: one OPEN of our own door, or one authToken of the
 * Azure door. It lives in this table from the decision until its end record is durable and its last
 * stream has been given back. Whoever needs one looks it up; nobody keeps pointers over a turn of
 * the loop but the stream that belongs to it. */
#ifndef CPN_CONTROL_SESSIONS_H
#define CPN_CONTROL_SESSIONS_H

#include "control/table.h"

#include "control/fronts.h"

typedef struct cpn_session cpn_session;
typedef struct cpn_stream cpn_stream;

/* What somebody asks to reach. Texts as given; exactly one of target_id and target_ip. */
typedef struct cpn_want {
    char bastion[CPN_ID_MAX + 1];
    char target_id[CPN_ID_MAX + 1];
    char target_ip[CPN_ADDR_TEXT];
    uint16_t port;
    bool azure; /* asked through the Azure door */
} cpn_want;

/* Where the session's row stands. */
typedef enum cpn_row {
    CPN_ROW_NONE, /* Azure door: nobody has opened a WebSocket yet */
    CPN_ROW_WRITING,
    CPN_ROW_DURABLE,
    CPN_ROW_FAILED
} cpn_row;

/* Where the front has it. */
typedef struct cpn_place_key {
    uint32_t front; /* 0: adopted, not yet known */
    uint32_t conn;
    uint32_t number; /* the front's */
} cpn_place_key;

/* One TCP connection. Opening until the row is durable and keeper has dialled; then the front's. */
struct cpn_stream {
    uint64_t id;
    cpn_session *session;
    cpn_place_key at;
    bool placed;         /* in by_place */
    bool dialing;        /* keeper has not answered yet   */
    bool opened;         /* the front has it              */
    bool forgotten;      /* its connection went meanwhile */
    bool denied_session; /* how a no is said: cpn_place (open.h) */
    int fd;              /* dialled, on its way to the front; else -1 */
    cpn_reason why;      /* why the opening fails         */
    bool tallied;        /* its bytes are in the session's sums */
    bool has_slot;
    uint32_t slot;
    /* control/allowance.h */
    cpn_byte_limits allowed; /* in all, by the last word between us and the front */
    cpn_byte_limits spent;   /* when it was called back last */
    bool allowed_known;      /* false: adopted, and the front has not said */
    uint32_t allow_serial;   /* of our last ALLOW */
    bool called_back;        /* its answer is due */
    bool wants_up, wants_down;
    cpn_stream *prev, *next; /* in the session */
    cpn_stream *opening_prev, *opening_next;
    UT_hash_handle hh;       /* by id */
    UT_hash_handle hh_place; /* by at */
};

struct cpn_session {
    cpn_uuid id;
    cpn_door door;
    cpn_want want;
    cpn_addr addr;                     /* decided */
    char target_shown[CPN_ID_MAX + 1]; /* the machine's id, also when an address was asked for */
    char host[CPN_NAME_MAX + 1]; /* the machine's name; "" for an address that is no machine's */
    bool any_protocol;
    cpn_byte_limits limits;
    cpn_protocol counts_as; /* for the limits */
    cpn_protocol protocol;  /* shown: what the port suggests, corrected by the first bytes */
    char object_id[40];
    char user_name[321];
    cpn_addr peer;
    uint16_t peer_port;
    char user_agent[513];
    cpn_binding binding; /* of the carrier that opened it */
    char decision[CPN_UUID_TEXT];
    uint64_t epoch;

    cpn_row row;
    cpn_reason row_why; /* of CPN_ROW_FAILED */
    bool counted;       /* its use of the limits is taken */
    bool ended;
    bool end_writing;
    bool end_durable;
    cpn_reason end_why;
    cpn_reason last_why; /* of the stream that ended last */
    char end_by[321];    /* who cut it, or "" */
    int64_t end_cut_ms;  /* measured, of a cut; else -1 */
    int64_t start_wall_ms, end_wall_ms;
    uint64_t start_ms, end_ms;
    uint64_t idle_since_ms;   /* Azure door: no stream since */
    uint64_t ticket_until_ms; /* the last one issued is good until then */
    unsigned tickets;         /* issued and not used; those that ran out count on */
    uint64_t up, down;        /* of streams that have ended */
    cpn_stream *streams;
    unsigned streams_n;
    bool has_auth;
    uint8_t auth[32]; /* SHA-256 of the authToken */
    bool watched;
    cpn_session *watched_prev, *watched_next;
    UT_hash_handle hh;      /* by id */
    UT_hash_handle hh_auth; /* by auth */
};

struct cpn_sessions {
    cpn_session *by_id;
    cpn_session *by_auth;
    cpn_stream *streams;
    cpn_stream *by_place;
    cpn_stream *openings; /* not opened yet */
    cpn_session *watched; /* what time passing can end: the Azure door's, and ends to be written */
    uint64_t next_stream;
    struct cpn_usage *usage;
    json_t *rows; /* open rows of the store at start, until keeper has said which live */
    unsigned ends_waiting;
};

cpn_sessions *cpn_sessions_new(cpn_control *c);
void cpn_sessions_free(cpn_sessions *s);

/* ---- the table ---- */
/* A session in state CPN_ROW_NONE; NULL: the table is full. verdict is an allowed one. */
cpn_session *cpn_session_add(cpn_control *c, cpn_door door, const cpn_want *want,
                             const cpn_verdict *verdict, const cpn_principal *who);
/* Into the table, by its id. */
void cpn_session_list(cpn_control *c, cpn_session *s);
/* Have cpn_sessions_tick look at it, until it goes. */
void cpn_session_watch(cpn_control *c, cpn_session *s);
cpn_session *cpn_session_find(cpn_control *c, const cpn_uuid *id);
/* Somebody has opened it and nobody has ended it: those are shown, and can be cut. */
bool cpn_session_is_live(const cpn_session *s);
/* The live session of that id as text; NULL. */
cpn_session *cpn_session_live(cpn_control *c, const char *id);
cpn_stream *cpn_stream_find(cpn_control *c, uint64_t id);
/* An opening of the session; at NULL: an adopted one, open already. */
cpn_stream *cpn_stream_add(cpn_control *c, cpn_session *s, const cpn_place_key *at, uint64_t id);
/* A new number for one. */
uint64_t cpn_stream_number(cpn_control *c);
bool cpn_stream_placed(cpn_control *c, const cpn_place_key *at);
/* Its place is free for another stream. */
void cpn_stream_unplace(cpn_control *c, cpn_stream *st);
/* It is the front's now. */
void cpn_stream_opened(cpn_control *c, cpn_stream *st);
/* Gives back what the stream holds, keeper's copy included, and forgets it; then the session when
 * nothing is left of it. */
void cpn_stream_drop(cpn_control *c, cpn_stream *st);
/* Forget the session if its end is durable (or it never had a row) and it has no streams. */
void cpn_session_tidy(cpn_control *c, cpn_session *s);
/* What its front has counted for it; zero: no front has it. */
cpn_tally_slot cpn_stream_counted(cpn_control *c, const cpn_stream *st);
/* Puts that into the session's sums, once. */
void cpn_stream_settle(cpn_control *c, cpn_stream *st);
/* Bytes of all its streams so far. */
void cpn_session_bytes(const cpn_control *c, const cpn_session *s, uint64_t *up, uint64_t *down);
const char *cpn_session_protocol(const cpn_session *s);
unsigned cpn_session_live_streams(const cpn_session *s);
/* As docs/api.md shows it. New reference. */
json_t *cpn_session_json(const cpn_control *c, const cpn_session *s);

/* ---- sessions_end.c: the end ---- */
/* Ends it once: the limits are free, the record is written now or when the store has room. Streams
 * that the front still holds stay until it says so, or dies. */
void cpn_session_end(cpn_control *c, cpn_session *s, cpn_reason why);
/* The row of a session that ended meanwhile has become durable. */
void cpn_session_end_late(cpn_control *c, cpn_session *s);
/* A stream of this front's, or NULL: a late word, or another front's stream. */
cpn_stream *cpn_stream_of(cpn_control *c, uint32_t front, uint64_t id);
void cpn_stream_ended(cpn_control *c, uint32_t front, const cpn_msg_ENDED *m);
/* Keeper's list is complete: what fronts said of its streams before holds now. */
void cpn_sessions_early_ends(cpn_control *c);
void cpn_stream_spoke(cpn_control *c, uint32_t front, const cpn_msg_SPOKE *m);
void cpn_sessions_front_down(cpn_control *c, cpn_front *f);
/* Retry end records, reap Azure sessions. */
void cpn_sessions_tick(cpn_control *c, uint64_t now_ms);

/* ---- sessions_adopt.c: after control's restart ---- */
void cpn_sessions_rows(cpn_control *c); /* reads them; blocking, start-up only */
void cpn_sessions_alive(cpn_control *c, const cpn_msg_ALIVE *m);
void cpn_sessions_alive_end(cpn_control *c);
/* A front's page has come: find the adopted streams in it. */
void cpn_sessions_place(cpn_control *c);

#endif
