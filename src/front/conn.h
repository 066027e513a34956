/* front/conn.h -- one connection of a client, from accept to the end, and the table of its stages.
 *
 *     TLS -> HTTP -> API ------> HTTP again, or LINGER
 *                 -> CARRIER --> RELAY            control said yes to the bearer
 *                 -> UPGRADE --> RELAY            control said yes and the target is connected
 *                            \-> DENIED           control said no, to be told in SSH's words
 *                 -> LINGER                       an answer is on its way out, then the end
 *
 * A request that comes while control is being restarted stays in HTTP until control is back, at
 * most CPN_CONN_AWAY_MS; then it is 503.
 *
 * LINGER can follow HTTP, API, CARRIER and UPGRADE, CLOSED any stage. Deadlines are absolute, but
 * LINGER's begins anew a few times while the client takes the answer. An illegal transition is a
 * bug in us and aborts. Connections of admin_listen start in HTTP and stay on plain TCP. */
#ifndef CPN_FRONT_CONN_H
#define CPN_FRONT_CONN_H

#include <string.h>

/* Numbers that count up need no hash. */
#define HASH_FUNCTION(key, len, hash) memcpy(&(hash), (key), sizeof(hash))
#include <uthash.h>

#include "base/buf.h"
#include "codec/errstyle.h"
#include "codec/wsupgrade.h"
#include "front/deadline.h"
#include "front/front.h"
#include "front/route.h"
#include "net/tls.h"

/* How long control may take, and a client to take an answer; absolute. */
#define CPN_CONN_REPLY_MS 60000
#define CPN_CONN_ASK_MS 30000
#define CPN_CONN_LINGER_MS 5000
#define CPN_CONN_LINGERS_MAX 12 /* times CPN_CONN_LINGER_MS, each with some progress */
/* How long a request waits for a control that is being restarted. */
#define CPN_CONN_AWAY_MS 5000

typedef enum cpn_stage {
    CPN_STAGE_CLOSED = 0,
    CPN_STAGE_TLS,
    CPN_STAGE_HTTP,
    CPN_STAGE_API,
    CPN_STAGE_CARRIER,
    CPN_STAGE_UPGRADE,
    CPN_STAGE_DENIED,
    CPN_STAGE_RELAY,
    CPN_STAGE_LINGER,
    CPN_STAGE_N
} cpn_stage;

typedef struct cpn_plain cpn_plain;
typedef struct cpn_relay cpn_relay;
typedef struct cpn_denied cpn_denied;
typedef struct cpn_carrier cpn_carrier;

/* A request that control is answering (api.h). */
typedef struct cpn_api {
    uint64_t body_left;  /* of the client's body */
    uint64_t reply_left; /* of control's */
    bool replied;        /* control's head was sent on */
    bool finished;       /* its last piece, too */
    bool head;           /* HEAD: the body is not sent */
    bool close;          /* no further request */
} cpn_api;

struct cpn_conn {
    cpn_front *front;
    cpn_stage stage;
    uint32_t number; /* in messages to control; never 0 */
    bool admin;      /* came in by admin_listen */
    cpn_error_style errors;
    bool granted; /* control said yes: the only way into RELAY */
    bool asked;   /* control holds something for it: GONE is due */
    bool paused;
    bool held;  /* paused until the link has drained */
    bool waits; /* paused with a whole head, until control is back */
    uint16_t port;
    cpn_addr peer;
    cpn_slots *slots;      /* whose slot it holds */
    cpn_slot_source *slot; /* until control says yes */
    cpn_conn *prev, *next; /* in the front's list of those with a slot */
    cpn_tls *tls;          /* NULL: admin, or a relay has taken it */
    cpn_plain *plain;
    size_t scanned; /* bytes of an incomplete head without a line end */
    cpn_buf out;    /* answers the client has not taken; charged to front->answers */
    size_t out_at;
    size_t unsent; /* in LINGER: when its deadline began */
    unsigned lingers;
    cpn_api api;
    char ws_key[CPN_WS_KEY_SIZE];
    cpn_carrier *carrier; /* own door, in RELAY */
    uint32_t epoch;       /* of the control that knows the carrier */
    unsigned opens;       /* that control has not answered, those included whose stream has gone */
    cpn_relay *relays;    /* streams asked for or running; the Azure door has one */
    cpn_denied *denied;
    cpn_deadline deadline;
    cpn_later freeing;
    UT_hash_handle hh;
};

/* May `next` follow `stage`? */
bool cpn_stage_may(cpn_stage stage, cpn_stage next);
const char *cpn_stage_name(cpn_stage stage);
/* The only writer of c->stage. May free what c owns: nothing after this call. */
void cpn_conn_advance(cpn_conn *c, cpn_stage next);

/* Of its TLS connection, into out, for control to hold a proof against: empty without a proof. */
cpn_view cpn_conn_exporter(const cpn_conn *c, cpn_view proof, uint8_t out[32]);

/* When every pre-auth slot is taken: closes a connection of the source that holds the most, if that
 * is fairer to peer: the oldest that has said nothing yet, else the oldest whose head or body is
 * not all there or that does not take its answer. False: nobody goes. */
bool cpn_conn_make_room(cpn_front *f, const cpn_addr *peer);
/* In HTTP: nothing of a next request has come. */
bool cpn_conn_silent(const cpn_conn *c);
/* Start a connection; everything else follows from its events. fd is taken. slot may be NULL. */
void cpn_conn_start(cpn_front *f, CPN_TAKES int fd, const cpn_addr *peer, uint16_t port,
                    CPN_TAKES cpn_slot_source *slot, bool admin);
/* NULL: there is none. */
cpn_conn *cpn_conn_by_number(cpn_front *f, uint32_t number);

/* Append to what goes out, and send what can be sent. CPN_LIMIT: the client does not take its
 * answers; close. */
cpn_rc cpn_conn_send(cpn_conn *c, cpn_view v) CPN_MUST_CHECK;
/* Everything was handed to the transport. */
bool cpn_conn_sent(const cpn_conn *c);
/* Stop reading, or go on with what was left. */
void cpn_conn_pause(cpn_conn *c, bool paused);
/* Control has said yes: the pre-auth slot is free again, RELAY is reachable. */
void cpn_conn_grant(cpn_conn *c);
/* Set anew within a stage. */
void cpn_conn_deadline(cpn_conn *c, uint64_t ms);

/* The transport's events. */
size_t cpn_conn_on_bytes(cpn_conn *c, uint8_t *p, size_t n);
void cpn_conn_on_room(cpn_conn *c);
void cpn_conn_on_end(cpn_conn *c, const char *why);

#endif
