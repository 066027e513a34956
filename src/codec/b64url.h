/* codec/b64url.h -- base64 (RFC 4648), both alphabets, only the one canonical spelling: no white
 * space, unused trailing bits zero; base64url without padding, base64 with all of it. */
#ifndef CPN_CODEC_B64URL_H
#define CPN_CODEC_B64URL_H

#include "base/err.h"
#include "base/view.h"

/* Room for the text of n bytes, NUL included; and for the bytes of n characters. */
#define CPN_B64_SIZE(n) (((n) + 2) / 3 * 4 + 1)
#define CPN_B64_BYTES(n) ((n) / 4 * 3 + 3)

/* CPN_INVALID: not canonical. CPN_LIMIT: more than size bytes. *n is 0 then. */
cpn_rc cpn_b64url_decode(cpn_view in, uint8_t *out, size_t size, size_t *n) CPN_MUST_CHECK;
cpn_rc cpn_b64_decode(cpn_view in, uint8_t *out, size_t size, size_t *n) CPN_MUST_CHECK;
/* Terminated text. False, and an empty text, when size < CPN_B64_SIZE(in.n). */
bool cpn_b64url_encode(cpn_view in, char *out, size_t size) CPN_MUST_CHECK;
bool cpn_b64_encode(cpn_view in, char *out, size_t size) CPN_MUST_CHECK;

#endif
