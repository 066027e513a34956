/* codec/sshkey.h -- public keys: from the JSON that asks for a certificate to OpenSSH's one line
 * (RFC 7517, 7518 6.3, 8037; RFC 4253 6.6, RFC 8709; the shape is that of `req_cnf` in RFC 7800's
 * sense, as the Azure CLI sends it).
 *
 *     {"kty":"RSA","n":"…","e":"AQAB","kid":"…"}
 *     {"kty":"OKP","crv":"Ed25519","x":"…"}
 *
 * Refused: more than CPN_CNF_MAX bytes; a member that is neither of these nor alg or use (so every
 * private one); a modulus that is even or not of CPN_RSA_MIN..CPN_RSA_MAX bits; an exponent that is
 * even, under 65537 or over 32 bits; an Ed25519 key that is not 32 bytes, or is one of the points
 * of small order. Numbers are base64url in its canonical spelling. Two liberties that the CLI's ssh
 * extension takes are granted: padding, and the zero byte with which RFC 4251 begins a number whose
 * first bit is set. */
#ifndef CPN_CODEC_SSHKEY_H
#define CPN_CODEC_SSHKEY_H

#include "base/err.h"
#include "base/view.h"

#define CPN_CNF_MAX 4096
#define CPN_RSA_MIN 2048
#define CPN_RSA_MAX 4096
#define CPN_SSHKEY_KID_MAX 128
/* "ssh-rsa ", base64 of a 4096-bit key, NUL. */
#define CPN_SSHKEY_LINE_SIZE 768

typedef enum cpn_sshkey_kind {
    CPN_SSHKEY_NONE,
    CPN_SSHKEY_RSA,
    CPN_SSHKEY_ED25519
} cpn_sshkey_kind;

typedef struct cpn_sshkey {
    cpn_sshkey_kind kind;
    unsigned bits;
    char kid[CPN_SSHKEY_KID_MAX + 1]; /* "" when there is none; untrusted, printable */
    char line[CPN_SSHKEY_LINE_SIZE];  /* "ssh-rsa AAAA…", without comment */
} cpn_sshkey;

/* CPN_INVALID with a sentence; out is zero then. */
cpn_rc cpn_sshkey_read(cpn_sshkey *out, cpn_view cnf, cpn_err *err) CPN_MUST_CHECK;
/* "ssh-rsa-cert-v01@openssh.com": what ssh-keygen calls a certificate of such a key. */
const char *cpn_sshkey_cert_type(cpn_sshkey_kind kind);
/* The base64 word of a certificate's or key's line whose first word is type. False: it is none. */
bool cpn_sshkey_body(cpn_view line, const char *type, cpn_view *body) CPN_MUST_CHECK;

#endif
