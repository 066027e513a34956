/* front/relay.h -- one connection to a target, of either door: asked for, opened, judged, ended.
 * The bytes flow in net/carrier.h and net/rawrelay.h; here stands what control is told about them.
 *
 * The rule of the first bytes (docs/protocol.md, SSH and RDP only): the client's side is judged
 * before anything reaches the target, the target's before anything reaches the client, and one of
 * them must have spoken within first_bytes_ms. */
#ifndef CPN_FRONT_RELAY_H
#define CPN_FRONT_RELAY_H

#include "codec/firstbytes.h"
#include "front/conn.h"
#include "net/carrier.h"
#include "net/rawrelay.h"

struct cpn_relay {
    cpn_conn *conn;
    cpn_relay *prev;
    cpn_relay *next;
    uint32_t number; /* ours, in OPEN; the Azure door's is 1 */
    bool opened;
    cpn_reason why; /* we are ending it; NONE: it goes on */
    uint64_t id;    /* control's, from OPENED on */
    cpn_uuid session;
    cpn_stream *stream; /* own door; belongs to the carrier */
    cpn_rawrelay *raw;  /* Azure door; ours */
    cpn_tally_slot *slot;
    cpn_speech client; /* what each side was judged to speak */
    cpn_speech target;
    cpn_deadline silent;
    cpn_later ending;
    cpn_byte_limits allowed; /* bytes in all */
    uint32_t serial;         /* of the last ALLOW */
    cpn_later asking;        /* for more bytes */
    cpn_deadline again;      /* until control has answered */
    UT_hash_handle hh;       /* by id, once opened */
};

/* A stream that control is being asked for. */
cpn_relay *cpn_relay_new(cpn_conn *c, uint32_t number);
/* NULL: there is none (it ended while control was thinking). */
cpn_relay *cpn_relay_by_number(const cpn_conn *c, uint32_t number);

/* Control said yes: take over its numbers and the slot. Before the target is attached. */
void cpn_relay_opened(cpn_relay *r, const cpn_msg_OPENED *m);
/* The inspectors of its first bytes; starts the clock of their silence. */
cpn_judge cpn_relay_judge(cpn_relay *r);

/* End it and tell the client why: json at the own door, close 1008 with the sentence at the Azure
 * door. Its end is reported through its engine. A second reason is ignored. */
void cpn_relay_stop(cpn_relay *r, cpn_reason why, const char *sentence, cpn_view json);
/* The same in the words of the table of reasons. */
void cpn_relay_stop_for(cpn_relay *r, cpn_reason why);
/* It has ended: ENDED goes to control, r is gone. why counts unless we ended it. */
void cpn_relay_ended(cpn_relay *r, cpn_reason why, uint64_t up, uint64_t down);
/* The connection closes: end what is left of it. */
void cpn_relays_lost(cpn_conn *c);

/* The engine stands still at the limit; control is asked when its work is done. */
void cpn_relay_spent(cpn_relay *r);
/* Control's ALLOW. */
void cpn_relays_allow(cpn_front *f, const cpn_msg_ALLOW *m);

/* Control's CUT: every stream of the session. */
void cpn_relays_cut(cpn_front *f, const cpn_msg_CUT *m);

/* {"code","reason","message"} for a reason. */
#define CPN_REASON_JSON 512
cpn_view cpn_reason_json(cpn_reason why, char out[CPN_REASON_JSON]);

#endif
