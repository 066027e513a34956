/* codec/loopback.h -- redirect URIs of programs on the person's own machine (RFC 8252 7.3). */
#ifndef CPN_CODEC_LOOPBACK_H
#define CPN_CODEC_LOOPBACK_H

#include "codec/url.h"

#define CPN_LOOPBACK_MAX 255

/* Only http://127.0.0.1[:PORT][/PATH], http://localhost…, http://[::1]…, of at most
 * CPN_LOOPBACK_MAX bytes; the path holds unreserved characters, '/' and well-formed percents. No
 * query, fragment, user information, other spelling of an address. origin gets "http://host:port",
 * fit for a Content-Security-Policy. CPN_INVALID. */
cpn_rc cpn_loopback_check(cpn_view uri, char origin[CPN_URL_ORIGIN_SIZE],
                          cpn_err *err) CPN_MUST_CHECK;

#endif
