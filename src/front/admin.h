/* front/admin.h -- the operator's listener: plain HTTP, three paths, whoever reaches it.
 *
 *     /healthz   200 while this process lives
 *     /readyz    200 while it can take new sessions: control is there, not draining; else 503
 *     /metrics   control's answer; while control is away this front's own counters */
#ifndef CPN_FRONT_ADMIN_H
#define CPN_FRONT_ADMIN_H

#include "front/conn.h"
#include "front/route.h"

void cpn_admin_answer(cpn_conn *c, const cpn_http_head *head, const cpn_route *r);

#endif
