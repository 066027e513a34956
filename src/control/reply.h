/* control/reply.h -- the one way to answer a call, and the one place where a result code or a
 * reason becomes an HTTP answer.
 *
 * Every function answers exactly once and gives the call up: it must not be touched afterwards. If
 * the row has an audit event and the change did not carry its record already, the record is
 * written here. Answers leave in pieces of 32 KiB, paused while the front's channel is full. */
#ifndef CPN_CONTROL_REPLY_H
#define CPN_CONTROL_REPLY_H

#include "control/call.h"

/* body is taken (NULL: an empty answer, for 204). */
void cpn_reply_json(CPN_TAKES cpn_call *call, int status, CPN_TAKES json_t *body);
void cpn_reply_text(CPN_TAKES cpn_call *call, const char *content_type, const char *text);
/* HTML, copied; page.h makes it. An empty one, for redirects. */
void cpn_reply_page(CPN_TAKES cpn_call *call, int status, cpn_view html);
/* An error: status and word from the code. sentence NULL: the code's own. err (may be NULL) goes to
 * the log when rc is negative, never to the peer. */
void cpn_reply_rc(CPN_TAKES cpn_call *call, cpn_rc rc, const char *sentence, const cpn_err *err);
/* The same with a status of its own and further members beside "error" (taken, may be NULL). */
void cpn_reply_error(CPN_TAKES cpn_call *call, int status, const char *word, const char *sentence,
                     CPN_TAKES json_t *more);
/* A refusal with the reason's word, status and sentence. */
void cpn_reply_reason(CPN_TAKES cpn_call *call, cpn_reason why);
/* Come back in so many seconds: 429. */
void cpn_reply_wait(CPN_TAKES cpn_call *call, unsigned seconds);
/* 405 with Allow. */
void cpn_reply_method(CPN_TAKES cpn_call *call, const char *allow);
/* 200 with a list and its next link (taken; NULL: none). */
void cpn_reply_list(CPN_TAKES cpn_call *call, CPN_TAKES json_t *value, const char *next);

/* Before there is a call. */
void cpn_reply_busy(cpn_front *f, const cpn_msg_REQUEST *m);
/* The front's channel has room again. */
void cpn_replies_resume(cpn_front *f);

#endif
