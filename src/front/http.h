/* front/http.h -- the stage HTTP: a request's head, and where it goes. */
#ifndef CPN_FRONT_HTTP_H
#define CPN_FRONT_HTTP_H

#include "front/conn.h"
#include "front/route.h"

/* Bytes of a request. Returns how many are consumed: none before the head is complete, then all of
 * it (and it is wiped, since it may hold a bearer). */
size_t cpn_http_bytes(cpn_conn *c, uint8_t *p, size_t n);

#endif
