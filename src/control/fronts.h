/* control/fronts.h -- the fronts: their channels, their shared pages, their connections.
 *
 * A front is believed about nothing but its own connections: it is spoken of by keeper's number,
 * its connections by (front, conn), its streams by the number that control gave out, and a message
 * about another front's stream is ignored. What no correct front sends gets it killed. */
#ifndef CPN_CONTROL_FRONTS_H
#define CPN_CONTROL_FRONTS_H

#include "control/table.h"

#include "control/core.h"
#include "ipc/tally.h"

#define CPN_FRONT_CONNS_MAX 65536

typedef struct cpn_call cpn_call;

/* Who holds a carrier of caponier.v1, or has just asked for an upgrade. */
typedef struct cpn_carrier {
    char object_id[40];
    int64_t expires_s;
    uint64_t epoch; /* of policy, when its token's owner was proved */
    cpn_addr peer;
    uint16_t peer_port;
    char user_agent[513];
    bool has_key; /* its token has one */
    cpn_binding binding;
} cpn_carrier;

typedef struct cpn_conn {
    uint32_t id;
    cpn_front *front;
    cpn_call *call;       /* a request in progress, or NULL   */
    cpn_carrier *carrier; /* its bearer was good, or NULL     */
    UT_hash_handle hh;
} cpn_conn;

struct cpn_front {
    uint32_t id;
    uint32_t pid;
    cpn_control *c;
    cpn_channel *channel; /* NULL once broken */
    const cpn_tally *tally;
    uint64_t slots_used[CPN_TALLY_SLOTS / 64];
    uint32_t slots_max; /* by its descriptors */
    uint64_t up_ms;
    bool killed; /* keeper was asked to */
    cpn_msg_COUNTERS counters;
    cpn_conn *conns;
    cpn_msg_ENDED *early; /* ends of streams that keeper has not named yet, after our restart */
    size_t early_n;
    UT_hash_handle hh;
};

/* Keeper's news. fd is taken. */
void cpn_fronts_up(cpn_control *c, uint32_t id, uint32_t pid, CPN_TAKES int fd);
void cpn_fronts_tally(cpn_control *c, uint32_t id, CPN_TAKES int fd);
/* Ends what it carried, with reason FRONT_DIED. */
void cpn_fronts_down(cpn_control *c, uint32_t id, uint32_t status);
void cpn_fronts_free(cpn_control *c);

cpn_front *cpn_front_find(cpn_control *c, uint32_t id); /* NULL: there is none */
cpn_conn *cpn_conn_find(cpn_front *f, uint32_t id);
/* Made when unknown; NULL: the front has too many. */
cpn_conn *cpn_conn_get(cpn_front *f, uint32_t id);
/* Forget it when nothing is left on it. */
void cpn_conn_tidy(cpn_conn *conn);

/* fd is taken. A front that does not read is killed; then, and for a front that is gone (NULL),
 * false. */
bool cpn_front_send(cpn_front *f, const cpn_msg *msg, CPN_TAKES int fd);
/* Ask keeper to kill it: hung, or it said what no front says. Once; logged. */
void cpn_front_kill(cpn_front *f, const char *because);
/* Settings and TLS identity to one, or to all. */
void cpn_front_setup(cpn_front *f);
void cpn_fronts_setup(cpn_control *c);
void cpn_fronts_drain(cpn_control *c, uint32_t ms);
/* Kill those whose heartbeat stands still. */
void cpn_fronts_check(cpn_control *c, uint64_t now_ms);

/* ---- front_tally.c ---- */
void cpn_front_tally_unmap(cpn_front *f);
/* A free slot of the front's shared page. CPN_LIMIT: none. */
cpn_rc cpn_front_slot_take(cpn_front *f, uint32_t *slot) CPN_MUST_CHECK;
void cpn_front_slot_give(cpn_front *f, uint32_t slot);
/* What the front counted for a stream in a slot; zero when the slot is not (yet) that stream's. */
cpn_tally_slot cpn_front_slot_read(const cpn_front *f, uint32_t slot, uint64_t stream);
/* The slot that holds a stream already (after control's restart). CPN_NOT_FOUND. */
cpn_rc cpn_front_slot_adopt(cpn_front *f, uint64_t stream, uint32_t *slot) CPN_MUST_CHECK;

#endif
