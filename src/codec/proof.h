/* codec/proof.h -- proof that whoever sends a token holds the key that it was issued to, and sends
 * it over this very TLS connection: the DPoP proof of RFC 9449 with one claim more. Pure.
 *
 *     header   typ "dpop+jwt", alg "EdDSA", jwk {"crv":"Ed25519","kty":"OKP","x"}   and no more
 *     claims   jti            16 to 64 characters of base64url, new for each proof
 *              htm, htu       the request's method and URL, without query
 *              iat            Unix time
 *              ath            SHA-256 of the access token, base64url; absent where there is none
 *              tls-exporter   RFC 9266's 32 bytes of the sender's TLS connection, base64url
 *
 * Ed25519 alone (RFC 8037): raw keys of 32 bytes, and one spelling of each signature. Claims that
 * are not listed are ignored, as RFC 9449 wants it; those of the list have their form or the proof
 * is refused. A key is named by its RFC 7638 thumbprint, "jkt" in a token's "cnf" (RFC 7800). */
#ifndef CPN_CODEC_PROOF_H
#define CPN_CODEC_PROOF_H

#include <jansson.h>

#include "base/err.h"
#include "base/view.h"

#define CPN_PROOF_FIELD "DPoP" /* of an HTTP head */
#define CPN_PROOF_MAX 2048     /* bytes of a proof */
#define CPN_PROOF_JTI_MIN 16
#define CPN_PROOF_JTI_MAX 64
#define CPN_PROOF_METHOD_MAX 16
#define CPN_PROOF_URL_MAX 512
#define CPN_PROOF_SIGNATURE 64
#define CPN_PROOF_WINDOW_S 60 /* how far iat may lie from now, where time counts */

/* The thumbprint of a key, or that there is none: the zero value matches nothing. */
typedef struct cpn_thumb {
    bool set;
    uint8_t b[32];
} cpn_thumb;

/* Both are set, and equal. */
bool cpn_thumb_eq(const cpn_thumb *a, const cpn_thumb *b);
#define CPN_THUMB_TEXT 45 /* base64url, terminated, with room */
/* "" when there is none; returns out. */
const char *cpn_thumb_text(const cpn_thumb *t, char out[CPN_THUMB_TEXT]);
/* Exactly the text of 32 bytes. CPN_INVALID. */
cpn_rc cpn_thumb_read(cpn_thumb *out, cpn_view text) CPN_MUST_CHECK;

/* A proof taken apart. Nothing in it is believed before cpn_proof_signed. */
typedef struct cpn_proof {
    uint8_t key[32];
    cpn_thumb thumb;
    char jti[CPN_PROOF_JTI_MAX + 1];
    char method[CPN_PROOF_METHOD_MAX + 1];
    char url[CPN_PROOF_URL_MAX + 1];
    int64_t iat;
    bool has_token, has_exporter;
    uint8_t token[32]; /* ath */
    uint8_t exporter[32];
    cpn_view signed_part; /* borrows the text */
    uint8_t signature[CPN_PROOF_SIGNATURE];
} cpn_proof;

/* CPN_INVALID: err says why, for the log; *out is zero then. */
cpn_rc cpn_proof_parse(cpn_proof *out, cpn_view text, cpn_err *err) CPN_MUST_CHECK;
/* Is the signature that of the key in the proof? */
bool cpn_proof_signed(const cpn_proof *p);

/* A key of ours. Wipe it with cpn_proof_key_wipe, which is also a cleanup function. */
typedef struct cpn_proof_key {
    bool set;
    uint8_t seed[32];
    /* How many seconds this machine's clock is ahead of the gateway's, as far as we know. */
    int64_t ahead_s;
} cpn_proof_key;

void cpn_proof_key_make(cpn_proof_key *k);
void cpn_proof_key_wipe(cpn_proof_key *k);

/* What a proof is to say. */
typedef struct cpn_proof_say {
    const char *method;
    const char *url;
    const char *jti;
    int64_t iat;
    const uint8_t *token;    /* SHA-256; NULL: none */
    const uint8_t *exporter; /* NULL: not known */
} cpn_proof_say;

/* Terminated text in out. CPN_LIMIT: longer than CPN_PROOF_MAX, or the URL is. CPN_E_CRYPTO. */
cpn_rc cpn_proof_make(const cpn_proof_key *k, const cpn_proof_say *say, char out[CPN_PROOF_MAX + 1],
                      cpn_err *err) CPN_MUST_CHECK;

#endif
