/* control/allowance.h -- the limits of a session in bytes, shared out among its streams.
 *
 * A front relays no byte of a stream beyond its allowance. Where one stands at it and has more, the
 * front says SPENT, and gets more as long as there is any: from what nobody has, else from what
 * other streams of the session have and do not use, who are called back for it. When there is none
 * left the session is cut. So all streams together never pass the limit, on however many fronts,
 * and nobody is cut before it.
 *
 * A session of our own door has one stream, which has everything from the start and costs no
 * message. */
#ifndef CPN_CONTROL_ALLOWANCE_H
#define CPN_CONTROL_ALLOWANCE_H

#include "control/sessions.h"

/* A stream's first; fills in what OPENED says. */
void cpn_allowance_open(cpn_stream *st, cpn_msg_OPENED *m);
/* May cut the session. */
void cpn_allowance_spent(cpn_control *c, uint32_t front, const cpn_msg_SPENT *m);
/* Policy has other limits now. */
void cpn_allowance_change(cpn_control *c, cpn_session *s, const cpn_byte_limits *limits);

/* Why a session of these limits ends, with the number where it is one of them. */
#define CPN_SENTENCE_SIZE 128
const char *cpn_session_sentence(const cpn_session *s, cpn_reason why, char out[CPN_SENTENCE_SIZE]);

#endif
