/* front/api.h -- the stage API: a request that control answers, with bodies in pieces.
 *
 * Towards control: pieces of at most 32 KiB, and no client is read while the channel is behind
 * (cpn_link_busy). Towards the client: control's pieces wait here until the client takes them,
 * within CPN_FRONT_ANSWER_MAX and CPN_FRONT_ANSWERS_MAX; a client that falls further behind, or
 * takes longer than CPN_CONN_REPLY_MS, is closed. */
#ifndef CPN_FRONT_API_H
#define CPN_FRONT_API_H

#include "front/conn.h"
#include "front/route.h"

#define CPN_API_PIECE 32768u

/* Hand a request to control; 503 when it is away. */
void cpn_api_start(cpn_conn *c, const cpn_http_head *head, const cpn_route *r);
/* Bytes of its body. Returns how many are consumed. */
size_t cpn_api_bytes(cpn_conn *c, const uint8_t *p, size_t n);
/* Control's answer. A connection that is in another stage ignores it. */
void cpn_api_reply(cpn_conn *c, const cpn_msg_REPLY *m);
void cpn_api_reply_body(cpn_conn *c, const cpn_msg_REPLY_BODY *m);
/* What was to be sent has been sent. */
void cpn_api_sent(cpn_conn *c);
void cpn_api_expired(cpn_conn *c);
/* Control is away: 503, unless its answer had begun; then the end. */
void cpn_api_lost(cpn_conn *c);

#endif
