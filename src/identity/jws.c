/* Checks signatures by the five algorithms of the list. */
#include "identity/jws.h"

#include <openssl/err.h>
#include <openssl/rsa.h>

#include "codec/ossl.h"

#define ES256_BYTES 64
#define ES384_BYTES 96
#define DER_MAX 128 /* SEQUENCE of two integers of 48 bytes, with room */

/* DER of r‖s; 0: it has another length than wanted. */
static size_t
to_der(cpn_view raw, size_t want, uint8_t der[DER_MAX])
{
    CPN_AUTO(cpn_sig_auto) ECDSA_SIG *sig = ECDSA_SIG_new();
    unsigned char *at = der;
    BIGNUM *r, *s;
    int n;

    if (raw.n != want)
        return 0;
    r = BN_bin2bn(raw.p, (int)(want / 2), NULL);
    s = BN_bin2bn(raw.p + want / 2, (int)(want / 2), NULL);
    if (!sig || !r || !s || ECDSA_SIG_set0(sig, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        return 0;
    }
    n = i2d_ECDSA_SIG(sig, NULL) <= DER_MAX ? i2d_ECDSA_SIG(sig, &at) : 0;
    return n > 0 ? (size_t)n : 0;
}

static bool
verify(EVP_PKEY *key, const EVP_MD *md, bool pss, cpn_view text, cpn_view signature)
{
    CPN_AUTO(cpn_md_auto) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *pctx; /* ctx's own */

    if (!ctx || EVP_DigestVerifyInit(ctx, &pctx, md, NULL, key) != 1)
        return false;
    if (pss && (EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) != 1 ||
                EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST) != 1))
        return false;
    return EVP_DigestVerify(ctx, signature.p, signature.n, text.p, text.n) == 1;
}

static bool
verify_ecdsa(EVP_PKEY *key, const EVP_MD *md, size_t want, cpn_view text, cpn_view raw)
{
    uint8_t der[DER_MAX];
    size_t n = to_der(raw, want, der);

    return n > 0 && verify(key, md, false, text, (cpn_view){ der, n });
}

bool
cpn_jws_verify(EVP_PKEY *key, cpn_jwt_alg alg, cpn_view text, cpn_view signature)
{
    bool good = false;

    switch (alg) {
    case CPN_JWT_RS256:
    case CPN_JWT_PS256:
        good = signature.n == (size_t)EVP_PKEY_get_size(key) &&
               verify(key, EVP_sha256(), alg == CPN_JWT_PS256, text, signature);
        break;
    case CPN_JWT_ES256:
        good = verify_ecdsa(key, EVP_sha256(), ES256_BYTES, text, signature);
        break;
    case CPN_JWT_ES384:
        good = verify_ecdsa(key, EVP_sha384(), ES384_BYTES, text, signature);
        break;
    case CPN_JWT_EDDSA:
        good = verify(key, NULL, false, text, signature);
        break;
    case CPN_JWT_NONE:
        break;
    }
    ERR_clear_error();
    return good;
}
