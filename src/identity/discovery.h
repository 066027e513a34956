/* identity/discovery.h -- what a provider says of itself (OpenID Connect Discovery 1.0, RFC 8414).
 * Pure: the document in, the few values that are used out.
 *
 * Refused: another issuer than the one configured, byte by byte; endpoints that are not https URLs
 * of at most 511 bytes, or carry user information or a fragment; no response type "code"; a list of
 * code challenge methods without S256; no algorithm of ours among those it signs with; no way to
 * authenticate at the token endpoint that we know (client_secret_basic, client_secret_post, none).
 */
#ifndef CPN_IDENTITY_DISCOVERY_H
#define CPN_IDENTITY_DISCOVERY_H

#include "base/err.h"
#include "base/view.h"

#define CPN_DISCOVERY_TEXT_MAX 65536
#define CPN_DISCOVERY_NAMES_MAX 256
#define CPN_ENDPOINT_SIZE 512

typedef struct cpn_discovery {
    char authorization_endpoint[CPN_ENDPOINT_SIZE];
    char token_endpoint[CPN_ENDPOINT_SIZE];
    char jwks_uri[CPN_ENDPOINT_SIZE];
    bool basic;        /* the client secret goes into the Authorization header, not into the form */
    bool names_issuer; /* every authorization answer carries iss (RFC 9207) */
} cpn_discovery;

/* CPN_INVALID: err says why. */
cpn_rc cpn_discovery_read(cpn_discovery *out, cpn_view text, const char *issuer,
                          cpn_err *err) CPN_MUST_CHECK;

#endif
