/* codec/url.h -- http and https URLs of gateways, and percent-encoding. */
#ifndef CPN_CODEC_URL_H
#define CPN_CODEC_URL_H

#include "base/buf.h"

#define CPN_URL_HOST_SIZE 256
#define CPN_URL_HOSTPORT_SIZE (CPN_URL_HOST_SIZE + 8)   /* "[host]:65535" */
#define CPN_URL_ORIGIN_SIZE (CPN_URL_HOSTPORT_SIZE + 8) /* "https://" before it */

typedef struct cpn_url {
    bool tls;                     /* https */
    bool ipv6;                    /* host is an IPv6 address, here without its brackets */
    uint16_t port;                /* 443 or 80 when the text has none */
    char host[CPN_URL_HOST_SIZE]; /* lower case */
} cpn_url;

/* Read "scheme://host[:port]"; *rest is what follows: empty or from the first '/' on. CPN_INVALID:
 * another scheme, user information, an empty, overlong or odd host, port 0 or over 65535, a
 * fragment, bytes that are not printable ASCII. */
cpn_rc cpn_url_split(cpn_view in, cpn_url *out, cpn_view *rest, cpn_err *err) CPN_MUST_CHECK;
/* The same, and nothing or "/" may follow. */
cpn_rc cpn_url_parse(cpn_view in, cpn_url *out, cpn_err *err) CPN_MUST_CHECK;
/* "host:port" or "host" for the scheme's own port, as in a Host header; returns out. */
const char *cpn_url_hostport(const cpn_url *u, char out[CPN_URL_HOSTPORT_SIZE]);
/* "https://host:port" with the same rule; returns out. */
const char *cpn_url_origin(const cpn_url *u, char out[CPN_URL_ORIGIN_SIZE]);

/* Append `in` with all but RFC 3986 unreserved bytes encoded. CPN_LIMIT, CPN_E_NOMEM: no room. */
cpn_rc cpn_percent_put(cpn_buf *out, cpn_view in) CPN_MUST_CHECK;
/* Decode once into a terminated text ('+' stays). CPN_INVALID: bad percent or NUL. CPN_LIMIT. */
cpn_rc cpn_percent_decode(cpn_view in, char *out, size_t size) CPN_MUST_CHECK;

#endif
