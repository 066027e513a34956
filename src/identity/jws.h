/* identity/jws.h -- one signature checked with one key (RFC 7518 3, 8037 3.1), over OpenSSL alone.
 * The raw r‖s of ECDSA becomes DER in here; RSA-PSS has a salt as long as its digest. Pure. */
#ifndef CPN_IDENTITY_JWS_H
#define CPN_IDENTITY_JWS_H

#include <openssl/evp.h>

#include "codec/jwt.h"

/* False: the signature is wrong, or of another length than alg makes with this key. The caller has
 * made sure that the key is of alg's type. */
bool cpn_jws_verify(EVP_PKEY *key, cpn_jwt_alg alg, cpn_view text, cpn_view signature);

#endif
