/* Takes proofs of a key apart, checks their signature, and makes them. */
#include "codec/proof.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdio.h>

#include "base/secret.h"
#include "codec/b64url.h"
#include "codec/chars.h"
#include "codec/digest.h"
#include "codec/json.h"
#include "codec/jwt.h"
#include "codec/ossl.h"

#define TYPE "dpop+jwt"
#define NAMES_MAX 16
#define DEPTH_MAX 4

/* ---- thumbprints ---- */

bool
cpn_thumb_eq(const cpn_thumb *a, const cpn_thumb *b)
{
    return a->set && b->set && memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

const char *
cpn_thumb_text(const cpn_thumb *t, char out[CPN_THUMB_TEXT])
{
    out[0] = '\0';
    if (t->set)
        (void)!cpn_b64url_encode((cpn_view){ t->b, sizeof(t->b) }, out, CPN_THUMB_TEXT);
    return out;
}

static bool
read_32(cpn_view text, uint8_t out[32])
{
    size_t n = 0;

    return cpn_b64url_decode(text, out, 32, &n) == CPN_OK && n == 32;
}

cpn_rc
cpn_thumb_read(cpn_thumb *out, cpn_view text)
{
    out->set = read_32(text, out->b);
    return out->set ? CPN_OK : CPN_INVALID;
}

/* RFC 7638 3: the members that count, in this order, without white space. */
static void
thumb_of(const char *x, cpn_thumb *out)
{
    char jwk[128];

    snprintf(jwk, sizeof(jwk), "{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"%s\"}", x);
    cpn_sha256(cpn_view_str(jwk), out->b);
    out->set = true;
}

/* ---- reading ---- */

static cpn_view
text_of(const json_t *obj, const char *name)
{
    const json_t *v = json_object_get(obj, name);

    return (cpn_view){ (const uint8_t *)json_string_value(v), json_string_length(v) };
}

static cpn_rc
load_part(json_t **out, cpn_view part, cpn_err *err)
{
    uint8_t bytes[CPN_B64_BYTES(CPN_PROOF_MAX)];
    size_t n = 0;

    if (cpn_b64url_decode(part, bytes, sizeof(bytes), &n) != CPN_OK)
        return cpn_fail(err, CPN_INVALID, "a part of the proof is not canonical base64url");
    if (cpn_json_load(out, (cpn_view){ bytes, n }, sizeof(bytes), DEPTH_MAX, err) != CPN_OK)
        return cpn_ctx(err, CPN_INVALID, "a part of the proof");
    if (!json_is_object(*out) || json_object_size(*out) > NAMES_MAX)
        return cpn_fail(err, CPN_INVALID, "a part of the proof is not an object of <= %d members",
                        NAMES_MAX);
    return CPN_OK;
}

static cpn_rc
read_header(cpn_proof *out, cpn_view part, cpn_err *err)
{
    static const char *const names[] = { "typ", "alg", "jwk", NULL };
    static const char *const members[] = { "crv", "kty", "x", NULL };
    CPN_AUTO(cpn_json_auto) json_t *header = NULL;
    char x[CPN_THUMB_TEXT];
    const json_t *jwk;
    cpn_rc rc = load_part(&header, part, err);

    if (rc != CPN_OK)
        return rc;
    jwk = json_object_get(header, "jwk");
    if (!cpn_view_is(text_of(header, "typ"), TYPE) || !cpn_view_is(text_of(header, "alg"), "EdDSA"))
        return cpn_fail(err, CPN_INVALID, "the proof is not of the type " TYPE " and alg EdDSA");
    if (!json_is_object(jwk) || cpn_json_only(header, "", names, err) != CPN_OK ||
        cpn_json_only(jwk, "jwk", members, err) != CPN_OK)
        return cpn_fail(err, CPN_INVALID, "the proof's header has not exactly typ, alg and jwk");
    if (!cpn_view_is(text_of(jwk, "kty"), "OKP") || !cpn_view_is(text_of(jwk, "crv"), "Ed25519") ||
        !read_32(text_of(jwk, "x"), out->key) || !cpn_view_copy(text_of(jwk, "x"), x, sizeof(x)))
        return cpn_fail(err, CPN_INVALID, "the proof's key is not a public Ed25519 key");
    thumb_of(x, &out->thumb);
    return CPN_OK;
}

static bool
is_jti(cpn_view v)
{
    for (size_t i = 0; i < v.n; i++)
        if (!cpn_is_alnum(v.p[i]) && v.p[i] != '-' && v.p[i] != '_')
            return false;
    return v.n >= CPN_PROOF_JTI_MIN;
}

/* An optional claim of 32 bytes. */
static bool
claim_32(const json_t *claims, const char *name, bool *has, uint8_t out[32])
{
    *has = json_object_get(claims, name) != NULL;
    return !*has || read_32(text_of(claims, name), out);
}

static cpn_rc
read_claims(cpn_proof *out, cpn_view part, cpn_err *err)
{
    CPN_AUTO(cpn_json_auto) json_t *claims = NULL;
    const json_t *iat;
    cpn_view jti, method, url;
    cpn_rc rc = load_part(&claims, part, err);

    if (rc != CPN_OK)
        return rc;
    iat = json_object_get(claims, "iat");
    jti = text_of(claims, "jti");
    method = text_of(claims, "htm");
    url = text_of(claims, "htu");
    if (!is_jti(jti) || !cpn_view_copy(jti, out->jti, sizeof(out->jti)))
        return cpn_fail(err, CPN_INVALID, "the proof's jti is not 16 to 64 base64url characters");
    if (method.n == 0 || url.n == 0 || !cpn_view_copy(method, out->method, sizeof(out->method)) ||
        !cpn_view_copy(url, out->url, sizeof(out->url)))
        return cpn_fail(err, CPN_INVALID, "the proof's htm or htu is missing or too long");
    if (!json_is_integer(iat) || json_integer_value(iat) < 0)
        return cpn_fail(err, CPN_INVALID, "the proof's iat is not a time");
    out->iat = json_integer_value(iat);
    if (!claim_32(claims, "ath", &out->has_token, out->token) ||
        !claim_32(claims, "tls-exporter", &out->has_exporter, out->exporter))
        return cpn_fail(err, CPN_INVALID, "the proof's ath or tls-exporter is not 32 bytes");
    return CPN_OK;
}

static cpn_rc
parse(cpn_proof *out, cpn_view text, cpn_err *err)
{
    cpn_view head, body, signature, rest;
    size_t n = 0;
    cpn_rc rc;

    if (text.n > CPN_PROOF_MAX)
        return cpn_fail(err, CPN_INVALID, "the proof is longer than %d bytes", CPN_PROOF_MAX);
    if (!cpn_view_cut(text, '.', &head, &rest) || !cpn_view_cut(rest, '.', &body, &signature) ||
        memchr(signature.p, '.', signature.n))
        return cpn_fail(err, CPN_INVALID, "the proof has not exactly three parts");
    if (cpn_b64url_decode(signature, out->signature, sizeof(out->signature), &n) != CPN_OK ||
        n != sizeof(out->signature))
        return cpn_fail(err, CPN_INVALID, "the proof's signature is not 64 bytes");
    if ((rc = read_header(out, head, err)) != CPN_OK ||
        (rc = read_claims(out, body, err)) != CPN_OK)
        return rc;
    out->signed_part = (cpn_view){ text.p, head.n + 1 + body.n };
    return CPN_OK;
}

cpn_rc
cpn_proof_parse(cpn_proof *out, cpn_view text, cpn_err *err)
{
    cpn_rc rc;

    memset(out, 0, sizeof(*out));
    if ((rc = parse(out, text, err)) != CPN_OK)
        memset(out, 0, sizeof(*out));
    return rc;
}

bool
cpn_proof_signed(const cpn_proof *p)
{
    CPN_AUTO(cpn_pkey_auto)
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, p->key, sizeof(p->key));
    CPN_AUTO(cpn_md_auto) EVP_MD_CTX *m = EVP_MD_CTX_new();
    bool good = p->thumb.set && key && m && EVP_DigestVerifyInit(m, NULL, NULL, NULL, key) == 1 &&
                EVP_DigestVerify(m, p->signature, sizeof(p->signature), p->signed_part.p,
                                 p->signed_part.n) == 1;

    ERR_clear_error();
    return good;
}

/* ---- making ---- */

void
cpn_proof_key_make(cpn_proof_key *k)
{
    *k = (cpn_proof_key){ .set = true };
    cpn_random(k->seed, sizeof(k->seed));
}

void
cpn_proof_key_wipe(cpn_proof_key *k)
{
    explicit_bzero(k, sizeof(*k));
}

static json_t *
header_of(EVP_PKEY *key)
{
    uint8_t raw[32];
    char x[CPN_THUMB_TEXT];
    size_t n = sizeof(raw);

    if (EVP_PKEY_get_raw_public_key(key, raw, &n) != 1 ||
        !cpn_b64url_encode((cpn_view){ raw, n }, x, sizeof(x)))
        return NULL;
    return json_pack("{s:s,s:s,s:{s:s,s:s,s:s}}", "typ", TYPE, "alg", "EdDSA", "jwk", "crv",
                     "Ed25519", "kty", "OKP", "x", x);
}

static int
put_32(json_t *claims, const char *name, const uint8_t *bytes)
{
    char text[CPN_THUMB_TEXT];

    if (!bytes)
        return 0;
    if (!cpn_b64url_encode((cpn_view){ bytes, 32 }, text, sizeof(text)))
        return -1;
    return json_object_set_new(claims, name, json_string(text));
}

static cpn_rc
sign(EVP_PKEY *key, char *text, size_t size, cpn_err *err)
{
    CPN_AUTO(cpn_md_auto) EVP_MD_CTX *m = EVP_MD_CTX_new();
    uint8_t signature[CPN_PROOF_SIGNATURE];
    size_t n = sizeof(signature);

    if (!m || EVP_DigestSignInit(m, NULL, NULL, NULL, key) != 1 ||
        EVP_DigestSign(m, signature, &n, (const uint8_t *)text, strlen(text)) != 1) {
        ERR_clear_error();
        return cpn_fail(err, CPN_E_CRYPTO, "signing the proof");
    }
    return cpn_jwt_seal(text, size, (cpn_view){ signature, n }) == CPN_OK
               ? CPN_OK
               : cpn_fail(err, CPN_LIMIT, "the proof is too long");
}

cpn_rc
cpn_proof_make(const cpn_proof_key *k, const cpn_proof_say *say, char out[CPN_PROOF_MAX + 1],
               cpn_err *err)
{
    CPN_AUTO(cpn_json_auto) json_t *header = NULL;
    CPN_AUTO(cpn_json_auto)
    json_t *claims = json_pack("{s:s,s:s,s:s,s:I}", "jti", say->jti, "htm", say->method, "htu",
                               say->url, "iat", (json_int_t)say->iat);
    CPN_AUTO(cpn_pkey_auto) EVP_PKEY *key = NULL;

    out[0] = '\0';
    if (strlen(say->url) > CPN_PROOF_URL_MAX)
        return cpn_fail(err, CPN_LIMIT, "the URL is too long for a proof");
    key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, k->seed, sizeof(k->seed));
    header = key ? header_of(key) : NULL;
    if (!k->set || !header || !claims || put_32(claims, "ath", say->token) < 0 ||
        put_32(claims, "tls-exporter", say->exporter) < 0)
        return cpn_fail(err, CPN_E_CRYPTO, "the proof cannot be made");
    if (cpn_jwt_compose(header, claims, out, CPN_PROOF_MAX + 1) != CPN_OK)
        return cpn_fail(err, CPN_LIMIT, "the proof is too long");
    return sign(key, out, CPN_PROOF_MAX + 1, err);
}
