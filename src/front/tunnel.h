/* front/tunnel.h -- Caponier's own door, GET /v1/tunnel: control is asked about the bearer, then
 * net/carrier.h takes the connection and each of its streams is asked for by itself. */
#ifndef CPN_FRONT_TUNNEL_H
#define CPN_FRONT_TUNNEL_H

#include "front/conn.h"
#include "front/route.h"

/* Ask about the bearer; 503 when control is away. */
void cpn_tunnel_ask(cpn_conn *c, const cpn_http_head *head, const cpn_route *r);
/* CARRIER_OK: 101, and the carrier runs. bound: the client is told that it is. */
void cpn_tunnel_granted(cpn_conn *c, bool bound);
/* OPENED for a stream. fd is taken. */
void cpn_tunnel_opened(cpn_relay *r, const cpn_msg_OPENED *m, CPN_TAKES int fd);
/* REFUSED for a stream. */
void cpn_tunnel_refused(cpn_relay *r, const cpn_msg_REFUSED *m);
/* Control is away: refuse the streams it was being asked for, and take no new ones. */
void cpn_tunnel_lost(cpn_conn *c);
/* No new streams; ends with the last one. */
void cpn_tunnel_drain(cpn_conn *c);

#endif
