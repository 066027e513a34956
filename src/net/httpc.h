/* net/httpc.h -- one HTTPS request of our client to our gateway, or a WebSocket upgrade.
 *
 * One connection a request unless a line is given, through the proxy that the environment names
 * (net/proxy.h). The response is bounded; bodies by Content-Length or until the end of the
 * connection (then the end must be close_notify). No redirects, no compression, no cookies. */
#ifndef CPN_NET_HTTPC_H
#define CPN_NET_HTTPC_H

#include "base/buf.h"
#include "codec/httphead.h"
#include "codec/proof.h"
#include "codec/url.h"
#include "net/dial.h"

#define CPN_HTTPC_BODY_MAX 33554432u /* request body: an inventory of 20,000 machines has 14 MB */

/* A connection that is kept from one request to the next. */
typedef struct cpn_httpc_line {
    cpn_loop *loop; /* which cpn_httpc_call runs, instead of one of its own; borrowed */
    cpn_tls *tls;   /* NULL: none yet, or none any more; owned, see cpn_httpc_line_drop */
} cpn_httpc_line;
/* Close what is kept. */
void cpn_httpc_line_drop(cpn_httpc_line *line);

typedef struct cpn_httpc_req {
    const cpn_url *gateway; /* https */
    cpn_tls_ctx *ctx;
    const char *method;       /* "GET" */
    const char *target;       /* "/v1/sessions?top=10" */
    const char *content_type; /* of body; NULL: none */
    cpn_view body;
    cpn_view bearer;          /* Authorization; empty: none */
    const cpn_proof_key *key; /* a proof of it goes along, for this request over this connection;
                                 NULL or not set: none */
    cpn_view more;            /* further lines, each made by cpn_http_line_put */
    size_t response_max;      /* body bytes; 0: 1 MiB */
    unsigned timeout_ms;      /* for everything; 0: 30000 */
    const char *websocket;    /* a subprotocol: upgrade with it; NULL: an ordinary request */
    cpn_httpc_line *line; /* go over what is kept there, and leave it there for the next one when
                             the gateway does, too; what ended meanwhile is CPN_UNAVAILABLE.
                             Borrowed until done. NULL: a connection a request */
} cpn_httpc_req;

/* Zero-initialise; release with cpn_httpc_reply_fini. */
typedef struct cpn_httpc_reply {
    int status;
    cpn_buf head_bytes; /* what head points into */
    cpn_http_head head; /* cpn_http_header(&r.head, "retry-after") */
    cpn_buf body;
    cpn_tls *tls; /* upgrade with status 101 only: take it with cpn_steal, set its owner */
    char issuer[CPN_TLS_ISSUER_SIZE]; /* of the certificate; with req->key only */
} cpn_httpc_reply;

void cpn_httpc_reply_fini(cpn_httpc_reply *r);

typedef struct cpn_httpc cpn_httpc;
/* err->rc CPN_OK: reply is filled (any status); it may be moved out, the rest is released on
 * return. Otherwise err has a sentence for people and a code as in net/dial.h; CPN_E_PROTO: the
 * answer is malformed; CPN_LIMIT: it is too long. */
typedef void cpn_httpc_done(void *owner, cpn_httpc_reply *reply, const cpn_err *err);

/* Everything in req is copied (secrets are wiped after use), ctx is referenced. done comes exactly
 * once, never from within this call. CPN_INVALID, CPN_LIMIT: the request itself. */
cpn_rc cpn_httpc_start(cpn_httpc **out, cpn_loop *loop, const cpn_httpc_req *req,
                       cpn_httpc_done *done, void *owner, cpn_err *err) CPN_MUST_CHECK;
/* Before done only; done is not called. NULL is fine. */
void cpn_httpc_cancel(cpn_httpc *h);

/* Blocking, with a loop of its own, or the line's, which must not be running: for commands that do
 * one thing. req->websocket must be NULL. Returns err->rc of the above. */
cpn_rc cpn_httpc_call(const cpn_httpc_req *req, cpn_httpc_reply *out, cpn_err *err) CPN_MUST_CHECK;

#endif
