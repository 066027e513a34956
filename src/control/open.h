/* control/open.h -- the data path asks: carriers, streams, upgrades; and keeper's dials.
 *
 *     OPEN     parse → carrier still good → decide → reserve → row + audit ⇉ DIAL → OPENED + fd
 *     UPGRADE  ticket → decide → (first of its session: reserve, row + audit) ⇉ DIAL → OPENED + fd
 *
 * OPENED leaves only after the row is durable and keeper has connected; whatever fails before is
 * one REFUSED with the decision's number, and nothing stays reserved. */
#ifndef CPN_CONTROL_OPEN_H
#define CPN_CONTROL_OPEN_H

#include "control/sessions.h"

void cpn_open_carrier(cpn_front *f, const cpn_msg_CARRIER *m);
void cpn_open_stream(cpn_front *f, const cpn_msg_OPEN *m);
void cpn_open_upgrade(cpn_front *f, const cpn_msg_UPGRADE *m); /* azdoor.c */
/* fd (or -1) is taken. */
void cpn_open_dialed(cpn_control *c, const cpn_msg_DIALED *m, CPN_TAKES int fd);
/* The connection is gone: what is being opened on it ends nowhere. */
void cpn_openings_forget(cpn_control *c, uint32_t front, uint32_t conn);

/* Where an answer goes. */
typedef struct cpn_place {
    cpn_place_key at;    /* number 0: the carrier itself */
    bool denied_session; /* a no is said in the words of SSH or RDP */
} cpn_place;

/* A connect request and what came of it. */
typedef struct cpn_asked {
    const cpn_principal *who;
    const char
        *object_id; /* whose request it is when who is not there any more; NULL: a stranger */
    cpn_want want;
    cpn_door door;
    cpn_addr peer;
    uint16_t peer_port;
    const char *user_agent;
    const char *binding; /* of the carrier; NULL: there is none */
    cpn_verdict verdict;
    char decision[CPN_UUID_TEXT];
} cpn_asked;

/* Strictly {"bastion","targetResourceId" | "targetIpAddress","port"}. CPN_INVALID. */
cpn_rc cpn_want_parse(cpn_want *out, cpn_view json, cpn_err *err) CPN_MUST_CHECK;
/* Decide with the live use (counted: not for a session that has its place already). A refusal is
 * counted and goes to the audit. CPN_OK or CPN_DENIED. */
cpn_rc cpn_ask(cpn_control *c, cpn_asked *a, bool counted) CPN_MUST_CHECK;
/* The facts of a want, without the live use ... */
cpn_facts cpn_want_facts(const cpn_want *want, const cpn_principal *who);
/* ... and as cpn_ask has them, for a bastion that want need not name. Borrow both. */
cpn_facts cpn_ask_facts(cpn_control *c, const cpn_want *want, const cpn_principal *who,
                        bool counted, const char *bastion);

/* Take the session's place in the limits and start its row; then a stream of it. */
void cpn_session_begin(cpn_control *c, cpn_session *s);
void cpn_stream_begin(cpn_control *c, cpn_session *s, const cpn_place *to);

/* {"code","reason","message"} of a reason alone. Caller frees. */
char *cpn_reason_text(cpn_reason why);
/* REFUSED, for the reason alone. */
void cpn_refuse(cpn_control *c, const cpn_place *to, cpn_reason why);
/* The same, of a request that never came to policy, with its record. What was wanted is recorded
 * only where it is bounded: each other target is a record of its own. */
void cpn_refuse_early(cpn_control *c, const cpn_place *to, const cpn_asked *a, cpn_reason why);
/* The record of a refusal, merged (trail.h). */
void cpn_asked_refused(cpn_control *c, const cpn_asked *a, cpn_reason why, const char *sentence);
/* In given words. */
void cpn_refuse_said(cpn_control *c, const cpn_place *to, cpn_reason why, const char *sentence,
                     const char *answer);
void cpn_refuse_verdict(cpn_control *c, const cpn_place *to, const cpn_asked *a);
/* {"code","reason","message","decisionId","missing"} as text of at most max bytes, whatever the
 * number and length of what is missing. Caller frees. */
char *cpn_refusal_text(const cpn_verdict *v, const char *decision, size_t max);

#endif
