/* codec/proxy.h -- what an HTTP proxy is named by, asked (CONNECT, RFC 9110 9.3.6) and answers.
 *
 * Names are as https_proxy has them: "http://[USER[:PASSWORD]@]HOST[:PORT][/]", or without
 * "http://"; the port is 80 when it is left out; USER and PASSWORD are percent-decoded. No sentence
 * of here holds any part of a name, since it may hold a password. */
#ifndef CPN_CODEC_PROXY_H
#define CPN_CODEC_PROXY_H

#include "base/secret.h"
#include "codec/url.h"

#define CPN_PROXY_NAME_MAX 2048 /* bytes of a name */
#define CPN_PROXY_USER_MAX 512  /* bytes of USER:PASSWORD, decoded */
#define CPN_PROXY_HEAD_MAX 8192 /* bytes of an answer's head, blank line included */

/* Wipe with cpn_proxy_wipe; host "" is none. */
typedef struct cpn_proxy {
    cpn_url url;
    cpn_secret basic; /* base64 of USER:PASSWORD; empty: none */
} cpn_proxy;

void cpn_proxy_wipe(cpn_proxy *p);

/* CPN_INVALID: malformed; a proxy spoken to over TLS (https) or SOCKS, which we do not speak. *out
 * is wiped then. */
cpn_rc cpn_proxy_parse(cpn_proxy *out, cpn_view name, cpn_err *err) CPN_MUST_CHECK;

/* Append the head of a CONNECT to host (a name, or an address without brackets) and port.
 * CPN_INVALID: a host that would break the line. CPN_LIMIT, CPN_E_NOMEM: no room. */
cpn_rc cpn_proxy_connect_put(cpn_buf *out, const cpn_proxy *p, const char *host,
                             uint16_t port) CPN_MUST_CHECK;

typedef struct cpn_proxy_answer {
    int status;       /* 200..599 */
    bool asks_basic;  /* 407: Basic is among the ways to sign in */
    bool asks_others; /* 407: so is another one */
    size_t used;      /* bytes of the head; after 2xx the tunnel's begin behind it */
} cpn_proxy_answer;

/* Read the answer's head from the start of `in`: HTTP/1.0 or 1.1, lines that end in CRLF, printable
 * ASCII, tab or bytes from 0x80 on; what it says of a body does not matter. CPN_AGAIN: not
 * complete, nothing wrong so far. CPN_E_PROTO: something else than HTTP, or over
 * CPN_PROXY_HEAD_MAX. */
cpn_rc cpn_proxy_answer_parse(cpn_view in, cpn_proxy_answer *out, cpn_err *err) CPN_MUST_CHECK;

#endif
