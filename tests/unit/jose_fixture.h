/* Keys of a provider and tokens signed with them, straight from OpenSSL: for the tests of JWK sets
 * and ID tokens. */
#ifndef TESTS_UNIT_JOSE_FIXTURE_H
#define TESTS_UNIT_JOSE_FIXTURE_H

#include <jansson.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <string.h>

#include "codec/b64url.h"
#include "codec/jwt.h"

#define JOSE_SIG_MAX 1024

/* ---- keys ---- */

static inline EVP_PKEY *
jose_rsa(unsigned bits, unsigned long e)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_RSA, NULL);
    BIGNUM *exponent = BN_new();
    EVP_PKEY *key = NULL;

    BN_set_word(exponent, e);
    EVP_PKEY_keygen_init(ctx);
    EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, (int)bits);
    EVP_PKEY_CTX_set1_rsa_keygen_pubexp(ctx, exponent);
    EVP_PKEY_generate(ctx, &key);
    EVP_PKEY_CTX_free(ctx);
    BN_free(exponent);
    return key;
}

static inline void
jose_put_bytes(json_t *jwk, const char *name, const uint8_t *p, size_t n)
{
    char text[CPN_B64_SIZE(1024)];

    if (cpn_b64url_encode((cpn_view){ p, n }, text, sizeof(text)))
        json_object_set_new(jwk, name, json_string(text));
}

static inline void
jose_put_bn(json_t *jwk, const char *name, const EVP_PKEY *key, const char *param, size_t width)
{
    BIGNUM *n = NULL;
    uint8_t bytes[1024];

    EVP_PKEY_get_bn_param(key, param, &n);
    if (width == 0)
        width = (size_t)BN_num_bytes(n);
    BN_bn2binpad(n, bytes, (int)width);
    jose_put_bytes(jwk, name, bytes, width);
    BN_free(n);
}

/* The public JWK; kid may be NULL. */
static inline json_t *
jose_jwk(const EVP_PKEY *key, const char *kid)
{
    json_t *jwk = json_object();
    uint8_t raw[64];
    size_t n = sizeof(raw);

    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA) {
        json_object_set_new(jwk, "kty", json_string("RSA"));
        jose_put_bn(jwk, "n", key, OSSL_PKEY_PARAM_RSA_N, 0);
        jose_put_bn(jwk, "e", key, OSSL_PKEY_PARAM_RSA_E, 0);
    } else if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC) {
        size_t width = (size_t)(EVP_PKEY_get_bits(key) + 7) / 8;
        json_object_set_new(jwk, "kty", json_string("EC"));
        json_object_set_new(jwk, "crv", json_string(width == 32 ? "P-256" : "P-384"));
        jose_put_bn(jwk, "x", key, OSSL_PKEY_PARAM_EC_PUB_X, width);
        jose_put_bn(jwk, "y", key, OSSL_PKEY_PARAM_EC_PUB_Y, width);
    } else {
        EVP_PKEY_get_raw_public_key(key, raw, &n);
        json_object_set_new(jwk, "kty", json_string("OKP"));
        json_object_set_new(jwk, "crv", json_string(n == 32 ? "Ed25519" : "Ed448"));
        jose_put_bytes(jwk, "x", raw, n);
    }
    if (kid)
        json_object_set_new(jwk, "kid", json_string(kid));
    return jwk;
}

/* ---- signatures ---- */

/* r‖s of the curve's width from DER. */
static inline size_t
jose_raw_ecdsa(const uint8_t *der, size_t n, size_t width, uint8_t *out)
{
    const unsigned char *at = der;
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &at, (long)n);

    BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, (int)width);
    BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + width, (int)width);
    ECDSA_SIG_free(sig);
    return 2 * width;
}

/* As alg says, with whatever key: the two need not fit. Returns the length. */
static inline size_t
jose_sign(EVP_PKEY *key, const char *alg, const char *text, uint8_t out[JOSE_SIG_MAX])
{
    const EVP_MD *md = strcmp(alg, "EdDSA") == 0   ? NULL
                       : strcmp(alg, "ES384") == 0 ? EVP_sha384()
                                                   : EVP_sha256();
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *pctx;
    uint8_t der[JOSE_SIG_MAX];
    size_t n = sizeof(der);

    EVP_DigestSignInit(ctx, &pctx, md, NULL, key);
    if (strcmp(alg, "PS256") == 0) {
        EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING);
        EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST);
    }
    if (EVP_DigestSign(ctx, der, &n, (const uint8_t *)text, strlen(text)) != 1)
        n = 0;
    EVP_MD_CTX_free(ctx);
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC)
        return jose_raw_ecdsa(der, n, (size_t)(EVP_PKEY_get_bits(key) + 7) / 8, out);
    memcpy(out, der, n);
    return n;
}

/* HMAC with the public key's PEM as its key: what a verifier of mixed-up algorithms takes. */
static inline size_t
jose_hmac(EVP_PKEY *key, const char *text, uint8_t out[JOSE_SIG_MAX])
{
    BIO *pem = BIO_new(BIO_s_mem());
    unsigned n = 0;
    char *bytes;
    long len;

    PEM_write_bio_PUBKEY(pem, key);
    len = BIO_get_mem_data(pem, &bytes);
    HMAC(EVP_sha256(), bytes, (int)len, (const uint8_t *)text, strlen(text), out, &n);
    BIO_free(pem);
    return n;
}

/* The good claims with changes on top, as text to free; null takes a claim away. NULL: changes is
 * no JSON. */
static inline char *
jose_claims(CPN_TAKES json_t *good, const char *changes)
{
    json_t *more = json_loads(changes, JSON_ALLOW_NUL, NULL), *v;
    const char *name;
    char *text = NULL;
    void *next;

    json_object_foreach_safe(more, next, name, v)
    {
        if (json_is_null(v))
            json_object_del(good, name);
        else
            json_object_set(good, name, v);
    }
    if (more)
        text = json_dumps(good, JSON_COMPACT);
    json_decref(good);
    json_decref(more);
    return text;
}

/* header.payload in out, for signing. */
static inline bool
jose_compose(char *out, size_t size, const char *header, const char *payload)
{
    size_t n;

    if (!cpn_b64url_encode(cpn_view_str(header), out, size))
        return false;
    n = strlen(out);
    out[n++] = '.';
    return cpn_b64url_encode(cpn_view_str(payload), out + n, size - n);
}

#endif
