/* identity/tokenkey.h -- the key that signs access tokens: ECDSA P-256, ES256 (RFC 7518 3.4).
 *
 * Signatures are the 64 bytes r‖s with s in the lower half of its range, so that a good token has
 * exactly one spelling; the upper half is refused. */
#ifndef CPN_IDENTITY_TOKENKEY_H
#define CPN_IDENTITY_TOKENKEY_H

#include <openssl/evp.h>

#include "base/err.h"
#include "base/view.h"

#define CPN_ES256_BYTES 64
#define CPN_KEY_TEXT 48 /* 32 bytes as base64url, with room */

typedef struct cpn_token_key {
    EVP_PKEY *pkey;
    char x[CPN_KEY_TEXT], y[CPN_KEY_TEXT]; /* the public point, base64url */
    char kid[CPN_KEY_TEXT];                /* its RFC 7638 thumbprint */
} cpn_token_key;

/* Read the key file (store/private_file.h's checks), or make it at first start. CPN_E_CONF: not a
 * private file, or no P-256 key. */
cpn_rc cpn_token_key_open(cpn_token_key *out, const char *path, cpn_err *err) CPN_MUST_CHECK;
void cpn_token_key_close(cpn_token_key *k);
cpn_rc cpn_token_key_sign(const cpn_token_key *k, cpn_view text, uint8_t out[CPN_ES256_BYTES],
                          cpn_err *err) CPN_MUST_CHECK;
bool cpn_token_key_verify(const cpn_token_key *k, cpn_view text, cpn_view signature);

#endif
