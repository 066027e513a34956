/* front/answer.h -- what the front itself answers over HTTP: refusals, and small texts. */
#ifndef CPN_FRONT_ANSWER_H
#define CPN_FRONT_ANSWER_H

#include "codec/httphead.h"
#include "front/conn.h"

/* {"error":{"code","message"}}, or {"message"} at the Azure door, with Connection: close; then
 * LINGER. The word of the code follows from the status, and so do Retry-After (503), Allow (405),
 * WWW-Authenticate (401) and the upgrade fields (426). sentence: ours, not a peer's. */
void cpn_answer_refuse(cpn_conn *c, int status, const char *sentence);
/* The same with a body that control wrote (JSON); an empty one: as above with its sentence. */
void cpn_answer_json(cpn_conn *c, int status, cpn_view json);
/* 200, or another status, with plain text, with Connection: close; then LINGER. */
void cpn_answer_text(cpn_conn *c, int status, cpn_view text);
/* Append a head with the fields that every answer has. more: control's lines. CPN_LIMIT: as
 * cpn_conn_send. */
cpn_rc cpn_answer_head(cpn_conn *c, const cpn_http_answer *a) CPN_MUST_CHECK;

#endif
