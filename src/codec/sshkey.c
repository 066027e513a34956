/* Reads a public key from JSON, bounds it, and writes it as OpenSSH does. */
#include "codec/sshkey.h"

#include <stdio.h>

#include "codec/b64url.h"
#include "codec/chars.h"
#include "codec/json.h"

#define RSA_BYTES (CPN_RSA_MAX / 8)
#define NUMBER_MAX (RSA_BYTES + 1) /* with the zero in front */
#define ED25519_BYTES 32
/* Three lengths, the longest name, an exponent, a modulus. */
#define BLOB_MAX (3 * 4 + 16 + 8 + NUMBER_MAX)
#define EXPONENT_MIN 65537

/* An unsigned number: no zero in front. */
typedef struct number {
    uint8_t raw[CPN_B64_BYTES(CPN_B64_SIZE(NUMBER_MAX))];
    cpn_view v;
} number;

/* ---- from JSON ---- */

/* At most two '=' that make the length a multiple of four. */
static cpn_view
without_padding(cpn_view text)
{
    size_t n = text.n;

    if (n % 4 != 0)
        return text;
    while (n && text.n - n < 2 && text.p[n - 1] == '=')
        n--;
    return (cpn_view){ text.p, n };
}

static cpn_rc
bytes_read(const json_t *j, const char *name, number *out, cpn_err *err)
{
    const char *text;
    size_t n = 0;
    cpn_rc rc = cpn_json_get_str(j, "", name, CPN_B64_SIZE(NUMBER_MAX), &text, err);

    if (rc != CPN_OK)
        return rc;
    if (cpn_b64url_decode(without_padding(cpn_view_str(text)), out->raw, sizeof(out->raw), &n) !=
            CPN_OK ||
        n == 0)
        return cpn_fail(err, CPN_INVALID, "%s: expected a number in base64url", name);
    out->v = (cpn_view){ out->raw, n };
    return CPN_OK;
}

static cpn_rc
number_read(const json_t *j, const char *name, number *out, cpn_err *err)
{
    cpn_rc rc = bytes_read(j, name, out, err);

    if (rc != CPN_OK)
        return rc;
    if (out->v.n > 1 && out->v.p[0] == 0 && (out->v.p[1] & 0x80))
        out->v = cpn_view_skip(out->v, 1);
    if (out->v.p[0] == 0)
        return cpn_fail(err, CPN_INVALID, "%s: begins with a zero", name);
    return CPN_OK;
}

static unsigned
bits_of(cpn_view v)
{
    unsigned bits = (unsigned)v.n * 8;

    for (uint8_t top = v.p[0]; !(top & 0x80); top = (uint8_t)(top << 1))
        bits--;
    return bits;
}

static bool
odd(cpn_view v)
{
    return v.p[v.n - 1] & 1;
}

static bool
exponent_good(cpn_view e)
{
    uint64_t value = 0;

    if (e.n > 4 || !odd(e))
        return false;
    for (size_t i = 0; i < e.n; i++)
        value = value << 8 | e.p[i];
    return value >= EXPONENT_MIN;
}

/* ---- to OpenSSH's form ---- */

typedef struct blob {
    uint8_t b[BLOB_MAX];
    size_t n;
} blob;

static void
put_string(blob *out, cpn_view v, bool zero_first)
{
    uint32_t n = (uint32_t)(v.n + (zero_first ? 1 : 0));

    if (n > sizeof(out->b) - 4 || out->n > sizeof(out->b) - 4 - n)
        abort(); /* every part was bounded before */
    for (int shift = 24; shift >= 0; shift -= 8)
        out->b[out->n++] = (uint8_t)(n >> shift);
    if (zero_first)
        out->b[out->n++] = 0;
    memcpy(out->b + out->n, v.p, v.n);
    out->n += v.n;
}

/* RFC 4251: a number whose first bit is set begins with a zero. */
static void
put_number(blob *out, cpn_view v)
{
    put_string(out, v, v.p[0] & 0x80);
}

static void
line_write(cpn_sshkey *out, const char *type, const blob *b)
{
    char text[CPN_B64_SIZE(BLOB_MAX)];

    if (!cpn_b64_encode((cpn_view){ b->b, b->n }, text, sizeof(text)))
        abort();
    snprintf(out->line, sizeof(out->line), "%s %s", type, text);
}

/* ---- the kinds ---- */

static cpn_rc
rsa_read(cpn_sshkey *out, const json_t *j, cpn_err *err)
{
    number n, e;
    blob b = { .n = 0 };
    cpn_rc rc;

    if (json_object_get(j, "crv") || json_object_get(j, "x"))
        return cpn_fail(err, CPN_INVALID, "an RSA key has neither crv nor x");
    if ((rc = number_read(j, "n", &n, err)) != CPN_OK ||
        (rc = number_read(j, "e", &e, err)) != CPN_OK)
        return rc;
    out->bits = bits_of(n.v);
    if (out->bits < CPN_RSA_MIN || out->bits > CPN_RSA_MAX || !odd(n.v))
        return cpn_fail(err, CPN_INVALID, "n: expected an RSA modulus of %d to %d bits",
                        CPN_RSA_MIN, CPN_RSA_MAX);
    if (!exponent_good(e.v))
        return cpn_fail(err, CPN_INVALID, "e: expected an odd exponent of 17 to 32 bits");
    put_string(&b, CPN_VIEW_LIT("ssh-rsa"), false);
    put_number(&b, e.v);
    put_number(&b, n.v);
    line_write(out, "ssh-rsa", &b);
    out->kind = CPN_SSHKEY_RSA;
    return CPN_OK;
}

/* The y coordinates of the points whose order divides eight, sign bit off (RFC 7748 6.1's warning,
 * for edwards25519). */
static bool
small_order(cpn_view key)
{
    static const uint8_t points[][ED25519_BYTES] = {
        { 0 },
        { 1 },
        { 0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4,
          0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
          0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05 },
        { 0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b,
          0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
          0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a },
        { 0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
          0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
          0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f },
        /* 0 and 1 again, not reduced */
        { 0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
          0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
          0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f },
        { 0xee, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
          0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
          0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f },
    };
    uint8_t y[ED25519_BYTES];

    memcpy(y, key.p, sizeof(y));
    y[31] &= 0x7f;
    for (size_t i = 0; i < CPN_COUNT(points); i++)
        if (memcmp(y, points[i], sizeof(y)) == 0)
            return true;
    return false;
}

static cpn_rc
okp_read(cpn_sshkey *out, const json_t *j, cpn_err *err)
{
    const char *curve;
    blob b = { .n = 0 };
    number x;
    cpn_rc rc;

    if (json_object_get(j, "n") || json_object_get(j, "e"))
        return cpn_fail(err, CPN_INVALID, "an OKP key has neither n nor e");
    if ((rc = cpn_json_get_str(j, "", "crv", 16, &curve, err)) != CPN_OK ||
        (rc = bytes_read(j, "x", &x, err)) != CPN_OK)
        return rc;
    if (strcmp(curve, "Ed25519") != 0)
        return cpn_fail(err, CPN_INVALID, "crv: expected Ed25519");
    if (x.v.n != ED25519_BYTES || small_order(x.v))
        return cpn_fail(err, CPN_INVALID, "x: expected an Ed25519 key of 32 bytes");
    put_string(&b, CPN_VIEW_LIT("ssh-ed25519"), false);
    put_string(&b, x.v, false);
    line_write(out, "ssh-ed25519", &b);
    out->bits = 256;
    out->kind = CPN_SSHKEY_ED25519;
    return CPN_OK;
}

static cpn_rc
kid_read(cpn_sshkey *out, const json_t *j, cpn_err *err)
{
    const char *kid = "";
    cpn_rc rc = cpn_json_opt_str(j, "", "kid", CPN_SSHKEY_KID_MAX, &kid, err);

    if (rc != CPN_OK)
        return rc;
    for (const char *c = kid; *c; c++)
        if (!cpn_is_print((uint8_t)*c))
            return cpn_fail(err, CPN_INVALID, "kid: expected printable text");
    snprintf(out->kid, sizeof(out->kid), "%s", kid);
    return CPN_OK;
}

cpn_rc
cpn_sshkey_read(cpn_sshkey *out, cpn_view cnf, cpn_err *err)
{
    static const char *const names[] = { "kty", "n", "e", "crv", "x", "kid", "alg", "use", NULL };
    CPN_AUTO(cpn_json_auto) json_t *j = NULL;
    const char *kty;
    cpn_rc rc;

    memset(out, 0, sizeof(*out));
    rc = cpn_json_load_object(&j, cnf, CPN_CNF_MAX, 8, err);
    if (rc == CPN_OK && (rc = cpn_json_only(j, "", names, err)) == CPN_OK &&
        (rc = cpn_json_get_str(j, "", "kty", 8, &kty, err)) == CPN_OK &&
        (rc = kid_read(out, j, err)) == CPN_OK) {
        if (strcmp(kty, "RSA") == 0)
            rc = rsa_read(out, j, err);
        else if (strcmp(kty, "OKP") == 0)
            rc = okp_read(out, j, err);
        else
            rc = cpn_fail(err, CPN_INVALID, "kty: expected RSA or OKP");
    }
    if (rc == CPN_OK)
        return CPN_OK;
    memset(out, 0, sizeof(*out));
    return cpn_ctx(err, CPN_INVALID, "req_cnf");
}

/* ---- lines ---- */

const char *
cpn_sshkey_cert_type(cpn_sshkey_kind kind)
{
    switch (kind) {
    case CPN_SSHKEY_RSA:
        return "ssh-rsa-cert-v01@openssh.com";
    case CPN_SSHKEY_ED25519:
        return "ssh-ed25519-cert-v01@openssh.com";
    case CPN_SSHKEY_NONE:
        break;
    }
    return "";
}

static bool
is_base64(cpn_view v)
{
    for (size_t i = 0; i < v.n; i++)
        if (!cpn_is_alnum(v.p[i]) && v.p[i] != '+' && v.p[i] != '/' && v.p[i] != '=')
            return false;
    return v.n > 0 && v.n % 4 == 0;
}

bool
cpn_sshkey_body(cpn_view line, const char *type, cpn_view *body)
{
    cpn_view word, rest, first, more;

    cpn_view_cut(line, '\n', &first, &more);
    if (!cpn_view_cut(first, ' ', &word, &rest) || !cpn_view_is(word, type))
        return false;
    cpn_view_cut(rest, ' ', body, &more);
    return is_base64(*body);
}
