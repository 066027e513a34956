/* codec/wsupgrade.h -- the HTTP exchange that starts a WebSocket (RFC 6455 section 4), both sides.
 * No extension is ever negotiated. */
#ifndef CPN_CODEC_WSUPGRADE_H
#define CPN_CODEC_WSUPGRADE_H

#include "base/buf.h"
#include "codec/httphead.h"

#define CPN_WS_KEY_SIZE 25    /* 24 characters and NUL */
#define CPN_WS_ACCEPT_SIZE 29 /* 28 characters and NUL */

/* Sec-WebSocket-Key for 16 random bytes, and Sec-WebSocket-Accept for a key. */
void cpn_ws_key(const uint8_t nonce[16], char out[CPN_WS_KEY_SIZE]);
void cpn_ws_accept(cpn_view key, char out[CPN_WS_ACCEPT_SIZE]);

/* Does the request carry an Upgrade header that names websocket? (Route by this, then check.) */
bool cpn_ws_wanted(const cpn_http_head *request);

/* Server: check an upgrade request. *key is a view into the head. CPN_INVALID: *http_status (400,
 * 405 not GET, 426 another version: answer with Sec-WebSocket-Version: 13) and err say why. */
cpn_rc cpn_ws_request_check(const cpn_http_head *request, cpn_view *key, int *http_status,
                            cpn_err *err) CPN_MUST_CHECK;
/* Is the subprotocol in the request's list? Exact, with case. */
bool cpn_ws_offers(const cpn_http_head *request, const char *subprotocol);
/* Server: append the whole 101. subprotocol NULL: none. more: further lines, each made by
 * cpn_http_line_put. CPN_LIMIT, CPN_E_NOMEM: no room. */
cpn_rc cpn_ws_response_put(cpn_buf *out, cpn_view key, const char *subprotocol,
                           cpn_view more) CPN_MUST_CHECK;

/* Client: what the request says. Everything is borrowed. */
typedef struct cpn_ws_ask {
    const char *host;        /* Host header: name or name:port */
    const char *target;      /* "/v1/tunnel" */
    const char *key;         /* from cpn_ws_key */
    const char *subprotocol; /* NULL: none */
    cpn_view bearer;         /* Authorization: Bearer; empty: none */
    cpn_view more;           /* further lines, each made by cpn_http_line_put */
} cpn_ws_ask;

/* Client: append the request. CPN_INVALID: a byte that would break the head. Wipe the buffer. */
cpn_rc cpn_ws_request_put(cpn_buf *out, const cpn_ws_ask *ask, cpn_err *err) CPN_MUST_CHECK;
/* Client: is this response (of cpn_http_response_parse) the 101 to that ask? Look at the status
 * first for a refusal in words. CPN_E_PROTO: wrong status, accept, upgrade, subprotocol other than
 * the one asked for, or any extension. */
cpn_rc cpn_ws_response_check(const cpn_http_head *response, const cpn_ws_ask *ask,
                             cpn_err *err) CPN_MUST_CHECK;

#endif
