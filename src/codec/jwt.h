/* codec/jwt.h -- signed tokens in compact form (RFC 7515, 7519), taken apart without believing
 * them. Nothing here verifies: the caller picks the key by its own rules, checks the signature over
 * `signed_part`, and only then asks for the claims.
 *
 * Refused, whatever the key says: more than CPN_JWT_MAX bytes; not exactly two dots; an empty part;
 * base64url that is padded, spaced or not canonical; a header that is not a JSON object of at most
 * 64 members, depth 8; an algorithm outside the list (none and HMAC do not exist here); kid longer
 * than 128 or not printable; jku, x5u, jwk, x5c, crit, zip, b64 in the header. */
#ifndef CPN_CODEC_JWT_H
#define CPN_CODEC_JWT_H

#include <jansson.h>

#include "base/err.h"
#include "base/view.h"

#define CPN_JWT_MAX 16384
#define CPN_JWT_KID_MAX 128
#define CPN_JWT_SIGNATURE_MAX 512 /* RSA 4096 */
#define CPN_JWT_NAMES_MAX 64
#define CPN_JWT_DEPTH_MAX 8

typedef enum cpn_jwt_alg {
    CPN_JWT_NONE, /* never the outcome of a parse */
    CPN_JWT_RS256,
    CPN_JWT_PS256,
    CPN_JWT_ES256,
    CPN_JWT_ES384,
    CPN_JWT_EDDSA
} cpn_jwt_alg;

typedef struct cpn_jwt {
    cpn_jwt_alg alg;
    char kid[CPN_JWT_KID_MAX + 1]; /* "" when there is none */
    char typ[32];                  /* "" when there is none */
    cpn_view signed_part;          /* header.payload; borrows the token */
    cpn_view payload;              /* still base64url; borrows the token */
    uint8_t signature[CPN_JWT_SIGNATURE_MAX];
    size_t signature_n;
} cpn_jwt;

/* CPN_INVALID: err says why (for the log, not for the peer). */
cpn_rc cpn_jwt_parse(cpn_jwt *out, cpn_view token, cpn_err *err) CPN_MUST_CHECK;
/* The payload of a token whose signature is verified: a new reference to an object of at most 64
 * members, depth 8, no fractions. CPN_INVALID. */
cpn_rc cpn_jwt_claims(const cpn_jwt *t, json_t **out, cpn_err *err) CPN_MUST_CHECK;

/* "header.payload" for signing, then the signature appended by the caller with cpn_jwt_seal.
 * Terminated text in out. CPN_LIMIT: over size. */
cpn_rc cpn_jwt_compose(const json_t *header, const json_t *claims, char *out,
                       size_t size) CPN_MUST_CHECK;
cpn_rc cpn_jwt_seal(char *token, size_t size, cpn_view signature) CPN_MUST_CHECK;

const char *cpn_jwt_alg_name(cpn_jwt_alg alg);

#endif
