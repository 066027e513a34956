/* Reads JWK sets into keys of OpenSSL, strictly and within bounds. */
#include "identity/jwks.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <stdlib.h>

#include "codec/b64url.h"
#include "codec/json.h"
#include "codec/ossl.h"
#include "identity/jws.h"

#define SET_NAMES_MAX 16
#define RSA_BYTES (CPN_JWKS_RSA_MAX_BITS / 8)
#define ED25519_BYTES 32
#define POINT_UNCOMPRESSED 4 /* SEC 1 2.3.3 */

typedef enum key_type { TYPE_NONE, TYPE_RSA, TYPE_P256, TYPE_P384, TYPE_ED25519 } key_type;

struct cpn_jwk {
    char kid[CPN_JWT_KID_MAX + 1];
    key_type type;
    cpn_jwt_alg alg; /* NONE: any that its type serves */
    EVP_PKEY *pkey;
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

/* ---- public keys of OpenSSL; NULL: it refuses them ---- */

static void
bld_auto(OSSL_PARAM_BLD **b)
{
    OSSL_PARAM_BLD_free(*b);
}

static EVP_PKEY *
make_key(const char *type, OSSL_PARAM_BLD *bld)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
    EVP_PKEY *key = NULL;

    if (!ctx || !params || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    OSSL_PARAM_free(params);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static EVP_PKEY *
make_rsa(cpn_view modulus, cpn_view exponent)
{
    CPN_AUTO(bld_auto) OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    CPN_AUTO(cpn_bn_auto) BIGNUM *n = BN_bin2bn(modulus.p, (int)modulus.n, NULL);
    CPN_AUTO(cpn_bn_auto) BIGNUM *e = BN_bin2bn(exponent.p, (int)exponent.n, NULL);

    if (!bld || !n || !e || OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n) != 1 ||
        OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e) != 1)
        return NULL;
    return make_key("RSA", bld);
}

static EVP_PKEY *
make_ec(const char *curve, cpn_view point)
{
    CPN_AUTO(bld_auto) OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();

    if (!bld || OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, curve, 0) != 1 ||
        OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point.p, point.n) != 1)
        return NULL;
    return make_key("EC", bld);
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
    k->type = TYPE_RSA;
    k->pkey = make_rsa(n, e);
    return k->pkey ? NULL : "an RSA key that the crypto library refuses";
}

static const char *
read_ec(cpn_jwk *k, const json_t *jwk)
{
    cpn_view curve = member(jwk, "crv");
    uint8_t point[1 + 2 * 48] = { POINT_UNCOMPRESSED };
    size_t n = cpn_view_is(curve, "P-256") ? 32 : cpn_view_is(curve, "P-384") ? 48 : 0;

    if (n == 0)
        return "an elliptic curve other than P-256 and P-384";
    if (!member_exact(jwk, "x", point + 1, n) || !member_exact(jwk, "y", point + 1 + n, n))
        return "a coordinate that is not of its curve's length";
    k->type = n == 32 ? TYPE_P256 : TYPE_P384;
    k->pkey = make_ec(n == 32 ? "P-256" : "P-384", (cpn_view){ point, 1 + 2 * n });
    return k->pkey ? NULL : "a point that is not on its curve";
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
    k->pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x, sizeof(x));
    return k->pkey ? NULL : "an Ed25519 key that the crypto library refuses";
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
    EVP_PKEY_free(k->pkey);
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

bool
cpn_jwk_verify(const cpn_jwk *k, const cpn_jwt *t)
{
    return serves(k, t->alg) && cpn_jws_verify(k->pkey, t->alg, t->signed_part,
                                               (cpn_view){ t->signature, t->signature_n });
}
