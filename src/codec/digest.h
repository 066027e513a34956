/* codec/digest.h -- SHA-256 and hexadecimal. Aborts when libcrypto cannot: nothing that relies on
 * a digest has a safe way on. */
#ifndef CPN_CODEC_DIGEST_H
#define CPN_CODEC_DIGEST_H

#include "base/err.h"
#include "base/view.h"

#define CPN_SHA256_BYTES 32
#define CPN_SHA256_HEX_SIZE 65

void cpn_sha256(cpn_view in, uint8_t out[CPN_SHA256_BYTES]);
/* Of several pieces, as if they were one. */
void cpn_sha256_pieces(const cpn_view *piece, size_t pieces, uint8_t out[CPN_SHA256_BYTES]);
/* Lower-case hex of the digest, terminated. */
void cpn_sha256_hex(cpn_view in, char out[CPN_SHA256_HEX_SIZE]);

/* Lower case, terminated. False, and an empty text, when size < 2 * in.n + 1. */
bool cpn_hex_encode(cpn_view in, char *out, size_t size) CPN_MUST_CHECK;
/* Exactly n bytes from 2 * n digits of either case. */
bool cpn_hex_decode(cpn_view in, uint8_t *out, size_t n) CPN_MUST_CHECK;

#endif
