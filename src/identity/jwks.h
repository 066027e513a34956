/* identity/jwks.h -- the public keys of an identity provider (RFC 7517) and the signatures checked
 * with them (RFC 7518, 8037). Pure: text in, keys out.
 *
 * Refused whole: more than CPN_JWKS_TEXT_MAX bytes or CPN_JWKS_KEYS_MAX keys; not strict JSON; two
 * keys of one type that serve under one kid; no key that serves. Left out and counted, since sets
 * of honest providers hold them too: keys for encryption, symmetric ones, those with a private
 * member, RSA of fewer than 2,048 or more than 4,096 bits or with an exponent that is even, 1 or
 * over 32 bits, curves other than P-256, P-384 and Ed25519, points off their curve, an alg that is
 * not one of the list or not of the key's type, base64url that is not canonical. Certificates in a
 * key (x5c, x5u) are never looked at. */
#ifndef CPN_IDENTITY_JWKS_H
#define CPN_IDENTITY_JWKS_H

#include "codec/jwt.h"

#define CPN_JWKS_TEXT_MAX 65536
#define CPN_JWKS_KEYS_MAX 64
#define CPN_JWKS_RSA_MIN_BITS 2048
#define CPN_JWKS_RSA_MAX_BITS 4096

typedef struct cpn_jwk cpn_jwk;
typedef struct cpn_jwks cpn_jwks;

/* CPN_INVALID: err says why. */
cpn_rc cpn_jwks_read(cpn_jwks **out, cpn_view text, cpn_err *err) CPN_MUST_CHECK;
void cpn_jwks_free(cpn_jwks *s);
CPN_DEFINE_AUTO(cpn_jwks, cpn_jwks)
size_t cpn_jwks_count(const cpn_jwks *s);
/* How many were left out, and why the last of them was ("" when none). */
size_t cpn_jwks_left_out(const cpn_jwks *s, const char **why);

/* The key for a token's header; NULL: none. kid is compared byte by byte and means nothing else;
 * without one ("") the set must hold exactly one key that serves the algorithm. Lives as long as
 * the set. */
const cpn_jwk *cpn_jwks_find(const cpn_jwks *s, cpn_jwt_alg alg, const char *kid);
/* False: the signature is wrong, or the key does not serve t's algorithm. A high s of ECDSA passes,
 * as issuers make them: so a token has two spellings, and its bytes must never serve as its name.
 */
bool cpn_jwk_verify(const cpn_jwk *k, const cpn_jwt *t);

#endif
