/* Keeps, makes and uses the P-256 key that signs access tokens. */
#include "identity/tokenkey.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>

#include "codec/b64url.h"
#include "codec/digest.h"
#include "codec/ossl.h"
#include "identity/jws.h"
#include "store/private_file.h"

#define PEM_MAX 4096

/* The order n of P-256 and n/2, rounded down. */
static const uint8_t order[32] = { 0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff,
                                   0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17,
                                   0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51 };
static const uint8_t half_order[32] = { 0x7f, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00,
                                        0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                        0xde, 0x73, 0x7d, 0x56, 0xd3, 0x8b, 0xcf, 0x42,
                                        0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa8 };

static cpn_rc
fail_crypto(cpn_err *err, const char *what)
{
    char why[128];

    ERR_error_string_n(ERR_get_error(), why, sizeof(why));
    ERR_clear_error();
    return cpn_fail(err, CPN_E_CRYPTO, "%s: %s", what, why);
}

/* ---- the file ---- */

static cpn_rc
make_key(const char *path, cpn_err *err)
{
    CPN_AUTO(cpn_bio_auto) BIO *pem = BIO_new(BIO_s_secmem());
    EVP_PKEY *fresh = EVP_EC_gen("P-256");
    char *text = NULL;
    long n = 0;
    cpn_rc rc;

    if (pem && fresh && PEM_write_bio_PrivateKey(pem, fresh, NULL, NULL, 0, NULL, NULL) == 1)
        n = BIO_get_mem_data(pem, &text);
    EVP_PKEY_free(fresh);
    if (n <= 0)
        return fail_crypto(err, "making the token key");
    rc = cpn_private_file_write(path, (cpn_view){ (uint8_t *)text, (size_t)n }, err);
    return rc == CPN_OK ? rc : cpn_ctx(err, rc, "keeping the token key");
}

static cpn_rc
parse_key(cpn_token_key *k, cpn_view text, const char *path, cpn_err *err)
{
    CPN_AUTO(cpn_bio_auto) BIO *pem = BIO_new_mem_buf(text.p, (int)text.n);
    char group[32] = "";

    k->pkey = pem ? PEM_read_bio_PrivateKey(pem, NULL, cpn_no_passphrase, NULL) : NULL;
    ERR_clear_error();
    if (!k->pkey || EVP_PKEY_get_group_name(k->pkey, group, sizeof(group), NULL) != 1 ||
        strcmp(group, "prime256v1") != 0) {
        ERR_clear_error();
        return cpn_fail(err, CPN_E_CONF, "%s holds no P-256 private key in PEM", path);
    }
    return CPN_OK;
}

static cpn_rc
read_key(cpn_token_key *k, const char *path, cpn_err *err)
{
    CPN_AUTO(cpn_buf_fini) cpn_buf text = { .max = PEM_MAX };
    cpn_rc rc = cpn_private_file_read(path, &text, err);

    if (rc != CPN_OK)
        return rc;
    return parse_key(k, cpn_buf_view(&text), path, err);
}

static cpn_rc
coordinate(const cpn_token_key *k, const char *name, char out[CPN_KEY_TEXT], cpn_err *err)
{
    CPN_AUTO(cpn_bn_auto) BIGNUM *n = NULL;
    uint8_t bytes[32];

    if (EVP_PKEY_get_bn_param(k->pkey, name, &n) != 1 ||
        BN_bn2binpad(n, bytes, sizeof(bytes)) != sizeof(bytes) ||
        !cpn_b64url_encode((cpn_view){ bytes, sizeof(bytes) }, out, CPN_KEY_TEXT))
        return fail_crypto(err, "reading the token key's public half");
    return CPN_OK;
}

static cpn_rc
name_key(cpn_token_key *k, cpn_err *err)
{
    char jwk[256];
    uint8_t digest[CPN_SHA256_BYTES];
    cpn_rc rc;
    int n;

    if ((rc = coordinate(k, OSSL_PKEY_PARAM_EC_PUB_X, k->x, err)) != CPN_OK ||
        (rc = coordinate(k, OSSL_PKEY_PARAM_EC_PUB_Y, k->y, err)) != CPN_OK)
        return rc;
    n = snprintf(jwk, sizeof(jwk), "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}",
                 k->x, k->y);
    cpn_sha256((cpn_view){ (uint8_t *)jwk, (size_t)n }, digest);
    if (!cpn_b64url_encode((cpn_view){ digest, sizeof(digest) }, k->kid, sizeof(k->kid)))
        return cpn_fail(err, CPN_E_CRYPTO, "naming the token key");
    return CPN_OK;
}

cpn_rc
cpn_token_key_open(cpn_token_key *out, const char *path, cpn_err *err)
{
    cpn_rc rc = read_key(out, path, err);

    if (rc == CPN_NOT_FOUND && (rc = make_key(path, err)) == CPN_OK)
        rc = read_key(out, path, err);
    if (rc == CPN_OK)
        rc = name_key(out, err);
    if (rc == CPN_OK)
        return rc;
    cpn_token_key_close(out);
    return rc < 0 ? rc : CPN_E_CONF;
}

void
cpn_token_key_close(cpn_token_key *k)
{
    EVP_PKEY_free(k->pkey);
    k->pkey = NULL;
}

/* ---- signatures ---- */

/* r‖s from DER, s brought into the lower half. */
static bool
to_raw(const unsigned char *der, size_t n, uint8_t out[CPN_ES256_BYTES])
{
    CPN_AUTO(cpn_sig_auto) ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)n);
    CPN_AUTO(cpn_bn_auto) BIGNUM *low = BN_new();
    CPN_AUTO(cpn_bn_auto) BIGNUM *all = BN_bin2bn(order, sizeof(order), NULL);

    if (!sig || !low || !all || BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, 32) != 32 ||
        BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + 32, 32) != 32)
        return false;
    if (memcmp(out + 32, half_order, 32) <= 0)
        return true;
    return BN_sub(low, all, ECDSA_SIG_get0_s(sig)) == 1 && BN_bn2binpad(low, out + 32, 32) == 32;
}

cpn_rc
cpn_token_key_sign(const cpn_token_key *k, cpn_view text, uint8_t out[CPN_ES256_BYTES],
                   cpn_err *err)
{
    CPN_AUTO(cpn_md_auto) EVP_MD_CTX *md = EVP_MD_CTX_new();
    unsigned char der[80];
    size_t n = sizeof(der);

    if (!md || EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, k->pkey) != 1 ||
        EVP_DigestSign(md, der, &n, text.p, text.n) != 1 || !to_raw(der, n, out))
        return fail_crypto(err, "signing a token");
    return CPN_OK;
}

bool
cpn_token_key_verify(const cpn_token_key *k, cpn_view text, cpn_view signature)
{
    return signature.n == CPN_ES256_BYTES && memcmp(signature.p + 32, half_order, 32) <= 0 &&
           cpn_jws_verify(k->pkey, CPN_JWT_ES256, text, signature);
}
