/* Reads JWK sets, and checks signatures with their keys: cjose for RSA and ECDSA, EVP for Ed25519.
 */
#include "identity/jwks.h"

#include <cjose/cjose.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "codec/b64url.h"
#include "codec/json.h"

#define SET_NAMES_MAX 16
#define RSA_BYTES (CPN_JWKS_RSA_MAX_BITS / 8)
#define ED25519_BYTES 32

typedef enum key_type { TYPE_NONE, TYPE_RSA, TYPE_P256, TYPE_P384, TYPE_ED25519 } key_type;

struct cpn_jwk {
    char kid[CPN_JWT_KID_MAX + 1];
    key_type type;
    cpn_jwt_alg alg;        /* NONE: any that its type serves */
    size_t signature_bytes; /* of every signature it makes */
    cjose_jwk_t *jose;
    EVP_PKEY *ed25519;
};

struct cpn_jwks {
    size_t n;
    size_t left_out;
    char why[96];
    cpn_jwk key[CPN_JWKS_KEYS_MAX];
};

/* Which type of key serves an algorithm. */
static const key_type type_of_alg[] = {
    [CPN_JWT_NONE] = TYPE_NONE,  [CPN_JWT_RS256] = TYPE_RSA,  [CPN_JWT_PS256] = TYPE_RSA,
    [CPN_JWT_ES256] = TYPE_P256, [CPN_JWT_ES384] = TYPE_P384, [CPN_JWT_EDDSA] = TYPE_ED25519
};

static bool
serves(const cpn_jwk *k, cpn_jwt_alg alg)
{
    return alg > CPN_JWT_NONE && (size_t)alg < CPN_COUNT(type_of_alg) &&
           type_of_alg[alg] == k->type && (k->alg == CPN_JWT_NONE || k->alg == alg);
}

/* ---- members of a key ---- */

static cpn_view
member(const json_t *jwk, const char *name)
{
    const json_t *v = json_object_get(jwk, name);

    return (cpn_view){ (const uint8_t *)json_string_value(v), json_string_length(v) };
}

/* Big-endian bytes without leading zeros. */
static bool
member_bytes(const json_t *jwk, const char *name, uint8_t *out, size_t size, cpn_view *bytes)
{
    size_t n = 0;

    *bytes = (cpn_view){ out, 0 };
    if (cpn_b64url_decode(member(jwk, name), out, size, &n) != CPN_OK || n == 0)
        return false;
    *bytes = (cpn_view){ out, n };
    while (bytes->n && bytes->p[0] == 0)
        *bytes = cpn_view_skip(*bytes, 1);
    return bytes->n > 0;
}

static bool
member_exact(const json_t *jwk, const char *name, uint8_t *out, size_t want)
{
    size_t n = 0;

    return cpn_b64url_decode(member(jwk, name), out, want, &n) == CPN_OK && n == want;
}

static bool
list_has(const json_t *list, const char *word)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *s = json_string_value(json_array_get(list, i));
        if (s && strcmp(s, word) == 0)
            return true;
    }
    return false;
}

/* ---- one key; each returns why the key is left out, NULL when it serves ---- */

static size_t
bits_of(cpn_view n)
{
    size_t bits = n.n * 8;

    for (uint8_t top = 0x80; n.n && !(n.p[0] & top); top = (uint8_t)(top >> 1))
        bits--;
    return bits;
}

static const char *
read_rsa(cpn_jwk *k, const json_t *jwk)
{
    uint8_t modulus[RSA_BYTES + 1], exponent[8];
    cjose_jwk_rsa_keyspec spec = { 0 };
    cpn_view n, e;
    size_t bits;

    if (!member_bytes(jwk, "n", modulus, sizeof(modulus), &n) ||
        !member_bytes(jwk, "e", exponent, sizeof(exponent), &e))
        return "an RSA key without a sound modulus or exponent";
    bits = bits_of(n);
    if (bits < CPN_JWKS_RSA_MIN_BITS || bits > CPN_JWKS_RSA_MAX_BITS || !(n.p[n.n - 1] & 1))
        return "an RSA key that is even or not of 2,048 to 4,096 bits";
    if (e.n > 4 || !(e.p[e.n - 1] & 1) || (e.n == 1 && e.p[0] == 1))
        return "an RSA key whose exponent is even, 1 or over 32 bits";
    spec.n = modulus + (n.p - modulus);
    spec.nlen = n.n;
    spec.e = exponent + (e.p - exponent);
    spec.elen = e.n;
    k->type = TYPE_RSA;
    k->signature_bytes = n.n;
    k->jose = cjose_jwk_create_RSA_spec(&spec, NULL);
    return k->jose ? NULL : "an RSA key that the crypto library refuses";
}

static const char *
read_ec(cpn_jwk *k, const json_t *jwk)
{
    cpn_view curve = member(jwk, "crv");
    uint8_t x[48], y[48];
    size_t n = cpn_view_is(curve, "P-256") ? 32 : cpn_view_is(curve, "P-384") ? 48 : 0;
    cjose_jwk_ec_keyspec spec = { .crv = n == 32 ? CJOSE_JWK_EC_P_256 : CJOSE_JWK_EC_P_384,
                                  .x = x,
                                  .xlen = n,
                                  .y = y,
                                  .ylen = n };

    if (n == 0)
        return "an elliptic curve other than P-256 and P-384";
    if (!member_exact(jwk, "x", x, n) || !member_exact(jwk, "y", y, n))
        return "a coordinate that is not of its curve's length";
    k->type = n == 32 ? TYPE_P256 : TYPE_P384;
    k->signature_bytes = 2 * n;
    k->jose = cjose_jwk_create_EC_spec(&spec, NULL);
    return k->jose ? NULL : "a point that is not on its curve";
}

static const char *
read_okp(cpn_jwk *k, const json_t *jwk)
{
    uint8_t x[ED25519_BYTES];

    if (!cpn_view_is(member(jwk, "crv"), "Ed25519"))
        return "an octet key pair other than Ed25519";
    if (!member_exact(jwk, "x", x, sizeof(x)))
        return "an Ed25519 key that is not of 32 bytes";
    k->type = TYPE_ED25519;
    k->signature_bytes = 64;
    k->ed25519 = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x, sizeof(x));
    return k->ed25519 ? NULL : "an Ed25519 key that the crypto library refuses";
}

/* Printable text of at most 128 bytes, or absent. */
static bool
read_kid(cpn_jwk *k, const json_t *jwk)
{
    cpn_view kid = member(jwk, "kid");

    if (!json_object_get(jwk, "kid"))
        return true;
    for (size_t i = 0; i < kid.n; i++)
        if (kid.p[i] < 0x20 || kid.p[i] > 0x7e)
            return false;
    return kid.n > 0 && cpn_view_copy(kid, k->kid, sizeof(k->kid));
}

static bool
read_alg(cpn_jwk *k, const json_t *jwk)
{
    cpn_view alg = member(jwk, "alg");

    if (!json_object_get(jwk, "alg"))
        return true;
    for (size_t i = 1; i < CPN_COUNT(type_of_alg); i++)
        if (cpn_view_is(alg, cpn_jwt_alg_name((cpn_jwt_alg)i)))
            k->alg = (cpn_jwt_alg)i;
    return k->alg != CPN_JWT_NONE;
}

/* What it is for, before what it is. */
static const char *
read_purpose(cpn_jwk *k, const json_t *jwk)
{
    const json_t *ops = json_object_get(jwk, "key_ops");

    if (!json_is_object(jwk))
        return "a key that is not an object";
    if (json_object_get(jwk, "d") || json_object_get(jwk, "k") || json_object_get(jwk, "p"))
        return "a key with secret members";
    if ((json_object_get(jwk, "use") && !cpn_view_is(member(jwk, "use"), "sig")) ||
        (ops && !list_has(ops, "verify")))
        return "a key that is not for signatures";
    if (!read_kid(k, jwk))
        return "a kid that is not printable text of at most 128 bytes";
    return read_alg(k, jwk) ? NULL : "an algorithm outside the list";
}

static void
key_fini(cpn_jwk *k)
{
    cjose_jwk_release(k->jose);
    EVP_PKEY_free(k->ed25519);
    *k = (cpn_jwk){ .type = TYPE_NONE };
}

static const char *
read_key(cpn_jwk *k, const json_t *jwk)
{
    const char *why = read_purpose(k, jwk);
    cpn_view kty = member(jwk, "kty");

    if (why)
        return why;
    if (cpn_view_is(kty, "RSA"))
        why = read_rsa(k, jwk);
    else if (cpn_view_is(kty, "EC"))
        why = read_ec(k, jwk);
    else if (cpn_view_is(kty, "OKP"))
        why = read_okp(k, jwk);
    else
        why = "a key that is neither RSA nor EC nor OKP";
    if (!why && k->alg != CPN_JWT_NONE && type_of_alg[k->alg] != k->type)
        why = "an algorithm that is not of the key's type";
    return why;
}

/* ---- the set ---- */

static bool
kid_taken(const cpn_jwks *s, const cpn_jwk *k)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->key[i].type == k->type && strcmp(s->key[i].kid, k->kid) == 0)
            return true;
    return false;
}

static cpn_rc
take_key(cpn_jwks *s, const json_t *jwk, cpn_err *err)
{
    cpn_jwk *k = &s->key[s->n];
    const char *why = read_key(k, jwk);

    ERR_clear_error();
    if (why) {
        key_fini(k);
        s->left_out++;
        snprintf(s->why, sizeof(s->why), "%s", why);
        return CPN_OK;
    }
    if (k->kid[0] && kid_taken(s, k)) {
        cpn_rc rc = cpn_fail(err, CPN_INVALID, "two keys of the set have the kid %s", k->kid);
        key_fini(k);
        return rc;
    }
    s->n++;
    return CPN_OK;
}

cpn_rc
cpn_jwks_read(cpn_jwks **out, cpn_view text, cpn_err *err)
{
    CPN_AUTO(cpn_json_auto) json_t *j = NULL;
    CPN_AUTO(cpn_jwks_auto) cpn_jwks *s = cpn_xcalloc(1, sizeof(*s));
    const json_t *keys;

    *out = NULL;
    if (cpn_json_load_object(&j, text, CPN_JWKS_TEXT_MAX, SET_NAMES_MAX, err) != CPN_OK)
        return cpn_ctx(err, CPN_INVALID, "the key set");
    keys = json_object_get(j, "keys");
    if (!json_is_array(keys) || json_array_size(keys) > CPN_JWKS_KEYS_MAX)
        return cpn_fail(err, CPN_INVALID, "the key set has no list of at most %d keys",
                        CPN_JWKS_KEYS_MAX);
    for (size_t i = 0; i < json_array_size(keys); i++) {
        cpn_rc rc = take_key(s, json_array_get(keys, i), err);
        if (rc != CPN_OK)
            return rc;
    }
    if (s->n == 0)
        return cpn_fail(err, CPN_INVALID, "the key set holds no key that serves%s%s",
                        s->left_out ? "; left out: " : "", s->why);
    *out = cpn_steal(&s);
    return CPN_OK;
}

void
cpn_jwks_free(cpn_jwks *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n; i++)
        key_fini(&s->key[i]);
    free(s);
}

size_t
cpn_jwks_count(const cpn_jwks *s)
{
    return s->n;
}

size_t
cpn_jwks_left_out(const cpn_jwks *s, const char **why)
{
    *why = s->why;
    return s->left_out;
}

const cpn_jwk *
cpn_jwks_find(const cpn_jwks *s, cpn_jwt_alg alg, const char *kid)
{
    const cpn_jwk *found = NULL;

    for (size_t i = 0; i < s->n; i++) {
        const cpn_jwk *k = &s->key[i];
        if (!serves(k, alg) || (kid[0] && strcmp(k->kid, kid) != 0))
            continue;
        if (found)
            return NULL; /* no kid, and more than one might be meant */
        found = k;
    }
    return found;
}

/* ---- signatures ---- */

static void
md_auto(EVP_MD_CTX **m)
{
    EVP_MD_CTX_free(*m);
}

static void
jws_auto(cjose_jws_t **j)
{
    cjose_jws_release(*j);
}

static bool
verify_ed25519(const cpn_jwk *k, const cpn_jwt *t)
{
    CPN_AUTO(md_auto) EVP_MD_CTX *md = EVP_MD_CTX_new();

    return md && EVP_DigestVerifyInit(md, NULL, NULL, NULL, k->ed25519) == 1 &&
           EVP_DigestVerify(md, t->signature, t->signature_n, t->signed_part.p, t->signed_part.n) ==
               1;
}

static bool
verify_jose(const cpn_jwk *k, cpn_view token)
{
    CPN_AUTO(jws_auto) cjose_jws_t *jws = NULL;

    jws = cjose_jws_import((const char *)token.p, token.n, NULL);
    return jws && cjose_jws_verify(jws, k->jose, NULL);
}

bool
cpn_jwk_verify(const cpn_jwk *k, const cpn_jwt *t, cpn_view token)
{
    bool good = false;

    /* cjose halves whatever it gets and asks no curve, so both are settled before. */
    if (serves(k, t->alg) && t->signature_n == k->signature_bytes)
        good = k->type == TYPE_ED25519 ? verify_ed25519(k, t) : verify_jose(k, token);
    ERR_clear_error();
    return good;
}
