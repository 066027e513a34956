/* front/webtunnel.h -- the Azure door's upgrade, GET /webtunnelv2/{websocketToken}: control is
 * asked about the ticket, and the connection becomes one relay, a denied session, or a refusal in
 * HTTP. */
#ifndef CPN_FRONT_WEBTUNNEL_H
#define CPN_FRONT_WEBTUNNEL_H

#include "front/conn.h"
#include "front/route.h"

/* The number of its one stream in OPENED and REFUSED. */
#define CPN_WEBTUNNEL_STREAM 1

void cpn_webtunnel_ask(cpn_conn *c, const cpn_http_head *head, const cpn_route *r);
/* fd is taken. */
void cpn_webtunnel_opened(cpn_conn *c, const cpn_msg_OPENED *m, CPN_TAKES int fd);
void cpn_webtunnel_refused(cpn_conn *c, const cpn_msg_REFUSED *m);
/* Send the 101. CPN_E_SYS: it cannot be sent. */
cpn_rc cpn_webtunnel_switch(cpn_conn *c) CPN_MUST_CHECK;

#endif
