/* Access tokens: the hostile ones first, all refused; then the good ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <cjose/cjose.h>
#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

#include "codec/b64url.h"
#include "codec/json.h"
#include "codec/jwt.h"
#include "identity/identity.h"
#include "identity/tokenkey.h"
#include "jose_fixture.h"
#include "model/resource.h"

#define NOW 1700000000ll
#define OID "0a1b2c3d-0000-4000-8000-00000000abcd"
#define JTI "0a1b2c3d-0000-4000-8000-00000000ffff"
#define URL "https://gate.example.test:8443"

static uv_loop_t loop;
static cpn_store *store;
static const cpn_token_facts facts = { .epoch = 7 };
static cpn_identity *identity;
static cpn_token_key ours, theirs;
static char dir[64], key_path[128], other_path[128];

typedef enum signer {
    OURS,
    THEIRS,
    EMPTY,
    ZERO,
    DER,
    HIGH_S,
    BIT_OFF,
    SHORT,
    LONG,
    HMAC_PEM,
    HMAC_PEM_LINE,
    R_ORDER
} signer;

/* ---- making tokens ---- */

static void
hmac_with_public_pem(cpn_view text, bool last_line, uint8_t *out, size_t *n)
{
    BIO *pem = BIO_new(BIO_s_mem());
    char *key;
    unsigned len = 0;
    long key_n;

    PEM_write_bio_PUBKEY(pem, ours.pkey);
    key_n = BIO_get_mem_data(pem, &key);
    HMAC(EVP_sha256(), key, (int)(last_line ? key_n : key_n - 1), text.p, text.n, out, &len);
    *n = len;
    BIO_free(pem);
}

static void
make_der(const uint8_t raw[64], uint8_t *out, size_t *n)
{
    ECDSA_SIG *sig = ECDSA_SIG_new();

    ECDSA_SIG_set0(sig, BN_bin2bn(raw, 32, NULL), BN_bin2bn(raw + 32, 32, NULL));
    *n = (size_t)i2d_ECDSA_SIG(sig, &out);
    ECDSA_SIG_free(sig);
}

static void
make_high_s(uint8_t raw[64])
{
    BIGNUM *n = NULL, *s = BN_bin2bn(raw + 32, 32, NULL);

    BN_hex2bn(&n, "FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551");
    BN_sub(s, n, s);
    BN_bn2binpad(s, raw + 32, 32);
    BN_free(n);
    BN_free(s);
}

static size_t
sign_as(signer how, cpn_view text, uint8_t out[128])
{
    uint8_t raw[64];
    size_t n = 64;

    memset(out, 0, 128);
    assert_int_equal(cpn_token_key_sign(how == THEIRS ? &theirs : &ours, text, raw, NULL), CPN_OK);
    if (how != ZERO)
        memcpy(out, raw, 64);
    if (how == EMPTY)
        n = 0;
    else if (how == DER)
        make_der(raw, out, &n);
    else if (how == HIGH_S)
        make_high_s(out);
    else if (how == BIT_OFF)
        out[40] ^= 1;
    else if (how == SHORT)
        n = 63;
    else if (how == LONG)
        n = 65;
    else if (how == R_ORDER)
        memset(out, 0xff, 32);
    else if (how == HMAC_PEM || how == HMAC_PEM_LINE)
        hmac_with_public_pem(text, how == HMAC_PEM_LINE, out, &n);
    return n;
}

/* header and payload as text, whatever it is. */
static void
assemble(char *out, size_t size, const char *header, const char *payload, signer how)
{
    uint8_t sig[128];
    size_t n;

    assert_true(jose_compose(out, size, header, payload));
    n = sign_as(how, cpn_view_str(out), sig);
    assert_int_equal(cpn_jwt_seal(out, size, (cpn_view){ sig, n }), CPN_OK);
}

static char *
claims_with(const char *changes)
{
    char *text = jose_claims(json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:I,s:I}", "iss",
                                       URL "/adfs", "aud", URL, "sub", OID, "oid", OID, "tid",
                                       cpn_identity_tenant(identity), "ver", "1.0", "idtyp", "user",
                                       "jti", JTI, "iat", (json_int_t)NOW, "nbf", (json_int_t)NOW,
                                       "exp", (json_int_t)NOW + 3600),
                             changes);

    if (!text)
        fail_msg("not JSON: %s", changes);
    return text;
}

static cpn_rc
verify(const char *token, cpn_reason *why)
{
    cpn_claims claims;

    return cpn_identity_verify(identity, cpn_view_str(token), NOW, &claims, why, NULL);
}

/* ---- refusals ---- */

static const char *
header_ours(void)
{
    static char text[160];

    snprintf(text, sizeof(text), "{\"alg\":\"ES256\",\"typ\":\"JWT\",\"kid\":\"%s\"}", ours.kid);
    return text;
}

static void
hostile_claims_are_refused(void **state)
{
    static const struct {
        const char *changes;
        cpn_reason why;
    } refused[] = {
#define BAD(text) { text, CPN_WHY_TOKEN_INVALID }
#define OLD(text)                                                                                  \
    {                                                                                              \
        text, CPN_WHY_TOKEN_EXPIRED                                                                \
    }
        OLD("{\"exp\":1699999940}"),
        OLD("{\"exp\":1}"),
        BAD("{\"exp\":null}"),
        BAD("{\"exp\":\"1700003600\"}"),
        BAD("{\"exp\":1700003600.5}"),
        BAD("{\"exp\":-1}"),
        BAD("{\"exp\":0}"),
        BAD("{\"exp\":9223372036854775807}"),
        BAD("{\"exp\":true}"),
        BAD("{\"exp\":[1700003600]}"),
        BAD("{\"nbf\":1700000061}"),
        BAD("{\"nbf\":\"1\"}"),
        BAD("{\"nbf\":null}"),
        BAD("{\"iat\":1700086400}"),
        BAD("{\"iat\":null}"),
        BAD("{\"iss\":null}"),
        BAD("{\"iss\":\"https://gate.example.test:8443/adfs/\"}"),
        BAD("{\"iss\":\"https://gate.example.test:8443\"}"),
        BAD("{\"iss\":\"https://GATE.example.test:8443/adfs\"}"),
        BAD("{\"iss\":\"https://gate.example.test:8443/adfs \"}"),
        BAD("{\"iss\":[\"https://gate.example.test:8443/adfs\"]}"),
        BAD("{\"aud\":null}"),
        BAD("{\"aud\":\"https://gate.example.test:8443/\"}"),
        BAD("{\"aud\":\"04b07795-8ddb-461a-bbee-02f9e1bf7b46\"}"),
        BAD("{\"aud\":[]}"),
        BAD("{\"aud\":[\"other\",\"https://gate.example.test:8443\"]}"),
        BAD("{\"aud\":[\"https://gate.example.test:8443\",\"other\"]}"),
        BAD("{\"aud\":[[\"https://gate.example.test:8443\"]]}"),
        BAD("{\"aud\":{\"https://gate.example.test:8443\":1}}"),
        BAD("{\"tid\":null}"),
        BAD("{\"tid\":\"00000000-0000-4000-8000-000000000000\"}"),
        BAD("{\"ver\":\"2.0\"}"),
        BAD("{\"ver\":1}"),
        BAD("{\"idtyp\":null}"), /* an id_token */
        BAD("{\"idtyp\":\"admin\"}"),
        BAD("{\"sub\":null}"),
        BAD("{\"oid\":null}"),
        BAD("{\"sub\":\"0A1B2C3D-0000-4000-8000-00000000ABCD\"}"),
        BAD("{\"oid\":\"0A1B2C3D-0000-4000-8000-00000000ABCD\","
            "\"sub\":\"0A1B2C3D-0000-4000-8000-00000000ABCD\"}"),
        BAD("{\"sub\":\"0a1b2c3d-0000-4000-8000-00000000abcd\\n\"}"),
        BAD("{\"oid\":\"root\",\"sub\":\"root\"}"),
        BAD("{\"oid\":7,\"sub\":7}"),
        BAD("{\"jti\":null}"),
        BAD("{\"jti\":\"x\"}"),
        BAD("{\"deep\":[[[[[[[[1]]]]]]]]}"),
        BAD("{\"big\":12345678901234567890}"),
#undef BAD
#undef OLD
    };
    char token[CPN_JWT_MAX];
    cpn_reason why;

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++) {
        /* jansson cannot say NUL or 20 digits: those go in as text. */
        char *text = strstr(refused[i].changes, "12345678901234567890")
                         ? strdup(refused[i].changes)
                         : claims_with(refused[i].changes);

        assemble(token, sizeof(token), header_ours(), text, OURS);
        for (int again = 0; again < 2; again++) /* a refused token is never remembered */
            if (verify(token, &why) != CPN_UNAUTHENTICATED || why != refused[i].why)
                fail_msg("accepted, or refused for another reason: %s", refused[i].changes);
        free(text);
    }
}

static void
hostile_payloads_are_refused(void **state)
{
    static const char *const refused[] = {
        "[]",  "null",    "\"x\"", "{}", "{\"exp\":1,\"exp\":2}", "{\"a\":\"\\u0000\"}",
        "{} ", "{\"a\":1"
    };
    char *good = claims_with("{}"), token[CPN_JWT_MAX], twice[2048];
    cpn_reason why;

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++) {
        assemble(token, sizeof(token), header_ours(), refused[i], OURS);
        if (verify(token, &why) != CPN_UNAUTHENTICATED)
            fail_msg("accepted: %s", refused[i]);
    }
    /* Good claims, one of them twice. */
    snprintf(twice, sizeof(twice), "{\"exp\":%lld,%s", NOW + 9, good + 1);
    assemble(token, sizeof(token), header_ours(), twice, OURS);
    assert_int_equal(verify(token, &why), CPN_UNAUTHENTICATED);
    /* 65 members. */
    snprintf(twice, sizeof(twice), "{");
    for (int i = 0; i < 60; i++)
        snprintf(twice + strlen(twice), 16, "\"x%d\":1,", i);
    snprintf(twice + strlen(twice), sizeof(twice) - strlen(twice), "%s", good + 1);
    assemble(token, sizeof(token), header_ours(), twice, OURS);
    assert_int_equal(verify(token, &why), CPN_UNAUTHENTICATED);
    free(good);
}

static void
hostile_headers_are_refused(void **state)
{
    /* KID stands for our key's name. */
    static const struct {
        const char *header;
        signer how;
    } refused[] = {
        { "{\"alg\":\"none\",\"kid\":\"KID\"}", EMPTY },
        { "{\"alg\":\"none\",\"kid\":\"KID\"}", OURS },
        { "{\"alg\":\"None\",\"kid\":\"KID\"}", OURS },
        { "{\"alg\":\"nOnE\",\"kid\":\"KID\"}", OURS },
        { "{\"alg\":\"\",\"kid\":\"KID\"}", OURS },
        { "{\"alg\":[\"ES256\"],\"kid\":\"KID\"}", OURS },
        { "{\"alg\":null,\"kid\":\"KID\"}", OURS },
        { "{\"kid\":\"KID\"}", OURS },
        { "{\"alg\":\"es256\",\"kid\":\"KID\"}", OURS },
        { "{\"alg\":\"ES256 \",\"kid\":\"KID\"}", OURS },
        { "{\"alg\":\"ES384\",\"kid\":\"KID\"}", OURS },
        { "{\"alg\":\"ES256K\",\"kid\":\"KID\"}", OURS },
        { "{\"alg\":\"RS256\",\"kid\":\"KID\"}", OURS },
        { "{\"alg\":\"PS256\",\"kid\":\"KID\"}", OURS },
        { "{\"alg\":\"EdDSA\",\"kid\":\"KID\"}", OURS },
        { "{\"alg\":\"HS256\",\"kid\":\"KID\"}", HMAC_PEM },
        { "{\"alg\":\"HS256\",\"kid\":\"KID\"}", HMAC_PEM_LINE },
        { "{\"alg\":\"ES256\",\"kid\":\"KID\"}", HMAC_PEM_LINE },
        { "{\"alg\":\"ES256\",\"alg\":\"none\",\"kid\":\"KID\"}", OURS },
        { "{\"alg\":\"ES256\"}", OURS },
        { "{\"alg\":\"ES256\",\"kid\":\"\"}", OURS },
        { "{\"alg\":\"ES256\",\"kid\":\"other\"}", OURS },
        { "{\"alg\":\"ES256\",\"kid\":\"../../dev/null\"}", OURS },
        { "{\"alg\":\"ES256\",\"kid\":\"' OR 1=1 --\"}", OURS },
        { "{\"alg\":\"ES256\",\"kid\":\"KID\\n\"}", OURS },
        { "{\"alg\":\"ES256\",\"kid\":{\"KID\":1}}", OURS },
        { "{\"alg\":\"ES256\",\"kid\":[\"KID\"]}", OURS },
        { "{\"alg\":\"ES256\",\"kid\":\"KID\",\"jku\":\"https://evil.test/keys\"}", OURS },
        { "{\"alg\":\"ES256\",\"kid\":\"KID\",\"x5u\":\"https://evil.test/cert\"}", OURS },
        { "{\"alg\":\"ES256\",\"kid\":\"KID\",\"jwk\":{\"kty\":\"EC\"}}", OURS },
        { "{\"alg\":\"ES256\",\"kid\":\"KID\",\"x5c\":[]}", OURS },
        { "{\"alg\":\"ES256\",\"kid\":\"KID\",\"crit\":[\"exp\"]}", OURS },
        { "{\"alg\":\"ES256\",\"kid\":\"KID\",\"crit\":[]}", OURS },
        { "{\"alg\":\"ES256\",\"kid\":\"KID\",\"zip\":\"DEF\"}", OURS },
        { "{\"alg\":\"ES256\",\"kid\":\"KID\",\"b64\":false}", OURS },
        { "{\"alg\":\"ES256\",\"kid\":\"KID\",\"typ\":7}", OURS },
        { "[\"ES256\"]", OURS },
        { "{\"alg\":\"ES256\",\"kid\":\"KID\"", OURS },
        { "{\"alg\":\"ES256\",\"kid\":\"KID\"}", THEIRS },
        { "{\"alg\":\"ES256\",\"kid\":\"KID\"}", EMPTY },
        { "{\"alg\":\"ES256\",\"kid\":\"KID\"}", ZERO },
        { "{\"alg\":\"ES256\",\"kid\":\"KID\"}", DER },
        { "{\"alg\":\"ES256\",\"kid\":\"KID\"}", HIGH_S },
        { "{\"alg\":\"ES256\",\"kid\":\"KID\"}", BIT_OFF },
        { "{\"alg\":\"ES256\",\"kid\":\"KID\"}", SHORT },
        { "{\"alg\":\"ES256\",\"kid\":\"KID\"}", LONG },
        { "{\"alg\":\"ES256\",\"kid\":\"KID\"}", R_ORDER },
    };
    char *claims = claims_with("{}"), token[CPN_JWT_MAX], header[512];
    cpn_reason why;

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++) {
        const char *at = strstr(refused[i].header, "KID");

        snprintf(header, sizeof(header), "%.*s%s%s",
                 at ? (int)(at - refused[i].header) : (int)strlen(refused[i].header),
                 refused[i].header, at ? ours.kid : "", at ? at + 3 : "");
        assemble(token, sizeof(token), header, claims, refused[i].how);
        if (verify(token, &why) != CPN_UNAUTHENTICATED || why != CPN_WHY_TOKEN_INVALID)
            fail_msg("accepted: %s signed by %d", refused[i].header, (int)refused[i].how);
    }
    /* kid of 129 bytes */
    snprintf(header, sizeof(header), "{\"alg\":\"ES256\",\"kid\":\"%0129d\"}", 7);
    assemble(token, sizeof(token), header, claims, OURS);
    assert_int_equal(verify(token, &why), CPN_UNAUTHENTICATED);
    free(claims);
}

static void
refuse_text(const char *what, const char *token, size_t n)
{
    cpn_claims claims;
    cpn_reason why;

    if (cpn_identity_verify(identity, (cpn_view){ (const uint8_t *)token, n }, NOW, &claims, &why,
                            NULL) != CPN_UNAUTHENTICATED ||
        why != CPN_WHY_TOKEN_INVALID || claims.object_id[0])
        fail_msg("accepted: %s", what);
}

static void
hostile_spellings_are_refused(void **state)
{
    char *claims = claims_with("{}"), token[4096], bad[4200];
    char *huge = malloc(1 << 20), *dot;
    size_t n;

    (void)state;
    assemble(token, sizeof(token), header_ours(), claims, OURS);
    n = strlen(token);
    dot = strchr(token, '.');
#define CHANGED(what, ...)                                                                         \
    do {                                                                                           \
        snprintf(bad, sizeof(bad), __VA_ARGS__);                                                   \
        refuse_text(what, bad, strlen(bad));                                                       \
    } while (0)
    refuse_text("empty", "", 0);
    refuse_text("two dots only", "..", 2);
    refuse_text("one part", token, (size_t)(dot - token));
    refuse_text("two parts", token, (size_t)(strrchr(token, '.') - token));
    refuse_text("empty signature", token, (size_t)(strrchr(token, '.') - token) + 1);
    CHANGED("four parts", "%s.x", token);
    CHANGED("dot behind", "%s.", token);
    CHANGED("dot before", ".%s", token);
    CHANGED("empty payload", "%.*s..%s", (int)(dot - token), token, strrchr(token, '.') + 1);
    CHANGED("padded", "%s==", token);
    CHANGED("padded header", "%.*s=%s", (int)(dot - token), token, dot);
    CHANGED("space before", " %s", token);
    CHANGED("line end", "%s\n", token);
    CHANGED("scheme", "Bearer %s", token);
    CHANGED("space inside", "%.*s %s", (int)(dot - token), token, dot);
    refuse_text("NUL behind", token, n + 1);
    for (size_t cut = 1; cut < n; cut += 7)
        refuse_text("cut", token, cut);
    memcpy(bad, token, n + 1); /* 64 bytes leave 4 unused bits in the last letter */
    bad[n - 1] = (char)(bad[n - 1] + 1);
    refuse_text("not canonical", bad, n);
    for (size_t at = 0; at < n; at += 5) {
        memcpy(bad, token, n + 1);
        bad[at] = bad[at] == 'A' ? 'B' : 'A';
        refuse_text("one letter changed", bad, n);
    }
    memset(huge, 'A', 1 << 20);
    memcpy(huge, token, n);
    refuse_text("1 MiB", huge, 1 << 20);
    memset(huge, '.', 10000);
    refuse_text("10,000 dots", huge, 10000);
    free(huge);
    free(claims);
}

/* ---- good ones ---- */

static void
good_tokens_say_who(void **state)
{
    cpn_principal user = { .kind = CPN_PRINCIPAL_USER,
                           .object_id = OID,
                           .name = "ada@example.test",
                           .app_id = "",
                           .enabled = true };
    cpn_principal app = { .kind = CPN_PRINCIPAL_SERVICE,
                          .object_id = OID,
                          .name = "ci",
                          .app_id = JTI,
                          .enabled = true };
    cpn_principal group = { .kind = CPN_PRINCIPAL_GROUP, .object_id = OID, .name = "g" };
    json_t *out = json_object(), *id = json_object();
    const char *token;
    cpn_claims c;
    cpn_reason why;

    (void)state;
    assert_int_not_equal(cpn_identity_issue(identity, &group, &facts, NOW, out, NULL), CPN_OK);
    assert_int_equal(cpn_identity_issue(identity, &user, &facts, NOW, out, NULL), CPN_OK);
    token = json_string_value(json_object_get(out, "access_token"));
    assert_string_equal(json_string_value(json_object_get(out, "expires_on")), "1700003600");
    assert_int_equal(json_integer_value(json_object_get(out, "expires_in")), 3600);
    for (int i = 0; i < 2; i++) { /* fresh, and remembered */
        assert_int_equal(
            cpn_identity_verify(identity, cpn_view_str(token), NOW + 3659, &c, &why, NULL), CPN_OK);
        assert_string_equal(c.object_id, OID);
        assert_int_equal(strlen(c.token_id), 36);
        assert_int_equal(c.expires_s, NOW + 3600);
        assert_false(c.service);
        assert_int_equal(c.epoch, 7);
        assert_int_equal(
            cpn_identity_verify(identity, cpn_view_str(token), NOW + 3660, &c, &why, NULL),
            CPN_UNAUTHENTICATED);
        assert_int_equal(why, CPN_WHY_TOKEN_EXPIRED);
        assert_string_equal(c.object_id, "");
    }
    cpn_identity_forget_all(identity);
    assert_int_equal(verify(token, &why), CPN_OK);
    assert_int_equal(cpn_identity_issue(identity, &app, &facts, NOW, out, NULL), CPN_OK);
    token = json_string_value(json_object_get(out, "access_token"));
    assert_int_equal(cpn_identity_verify(identity, cpn_view_str(token), NOW, &c, &why, NULL),
                     CPN_OK);
    assert_true(c.service);
    /* An id_token is none, even when its audience is us. */
    assert_int_equal(
        cpn_identity_issue_id(identity, &user, &(cpn_id_facts){ URL, "" }, NOW, id, NULL), CPN_OK);
    assert_int_equal(verify(json_string_value(json_object_get(id, "id_token")), &why),
                     CPN_UNAUTHENTICATED);
    assert_non_null(json_object_get(id, "client_info"));
    json_decref(out);
    json_decref(id);
}

/* Another implementation, given only the published keys, agrees. */
static void
a_stranger_verifies_by_jwks(void **state)
{
    cpn_principal user = {
        .kind = CPN_PRINCIPAL_USER, .object_id = OID, .name = "a", .app_id = ""
    };
    json_t *jwks = cpn_identity_jwks(identity);
    char *key = json_dumps(json_array_get(json_object_get(jwks, "keys"), 0), 0);
    cjose_jwk_t *jwk = cjose_jwk_import(key, strlen(key), NULL);

    (void)state;
    assert_non_null(jwk);
    for (int i = 0; i < 20; i++) { /* both halves of s come up */
        json_t *out = json_object();
        const char *token;
        cjose_jws_t *jws;

        assert_int_equal(cpn_identity_issue(identity, &user, &facts, NOW, out, NULL), CPN_OK);
        token = json_string_value(json_object_get(out, "access_token"));
        jws = cjose_jws_import(token, strlen(token), NULL);
        assert_non_null(jws);
        assert_true(cjose_jws_verify(jws, jwk, NULL));
        cjose_jws_release(jws);
        json_decref(out);
    }
    cjose_jwk_release(jwk);
    free(key);
    json_decref(jwks);
}

static void
variants_of_good_claims_pass(void **state)
{
    static const char *const good[] = {
        "{}",
        "{\"aud\":[\"https://gate.example.test:8443\"]}",
        "{\"exp\":1699999941}",
        "{\"nbf\":1700000060}",
        "{\"iat\":1700000060}",
        "{\"idtyp\":\"app\",\"extra\":{\"a\":[1]}}",
    };
    char token[CPN_JWT_MAX];
    cpn_reason why;

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(good); i++) {
        char *text = claims_with(good[i]);

        assemble(token, sizeof(token), header_ours(), text, OURS);
        if (verify(token, &why) != CPN_OK)
            fail_msg("refused: %s", good[i]);
        free(text);
    }
}

static void
documents_point_to_each_other(void **state)
{
    json_t *d = cpn_identity_discovery(identity, NULL), *k = cpn_identity_jwks(identity), *key;

    (void)state;
    assert_string_equal(json_string_value(json_object_get(d, "issuer")), URL "/adfs");
    assert_string_equal(json_string_value(json_object_get(d, "token_endpoint")),
                        URL "/adfs/oauth2/token");
    assert_string_equal(json_string_value(json_object_get(d, "jwks_uri")),
                        URL "/adfs/discovery/keys");
    assert_non_null(json_object_get(d, "authorization_endpoint"));
    assert_non_null(json_object_get(d, "device_authorization_endpoint"));
    key = json_array_get(json_object_get(k, "keys"), 0);
    assert_string_equal(json_string_value(json_object_get(key, "kid")), ours.kid);
    assert_string_equal(json_string_value(json_object_get(key, "x")), ours.x);
    assert_null(json_object_get(key, "d"));
    json_decref(d);
    json_decref(k);
}

/* ---- the world around ---- */

static int
setup(void **state)
{
    cpn_identity_options o = { .public_url = URL "/",
                               .access_token_ttl_s = 3600,
                               .refresh_token_ttl_s = 86400,
                               .state_dir = dir,
                               .password_memory_kib = 19456 };
    cpn_err err = { 0 };

    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/cpn-identity-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(key_path, sizeof(key_path), "%s/token-key.pem", dir);
    snprintf(other_path, sizeof(other_path), "%s/other.pem", dir);
    uv_loop_init(&loop);
    if (cpn_store_open(&store, &loop, "sqlite::memory:", &err) != CPN_OK ||
        cpn_identity_open(&identity, &loop, store, &o, &err) != CPN_OK ||
        cpn_token_key_open(&ours, key_path, &err) != CPN_OK ||
        cpn_token_key_open(&theirs, other_path, &err) != CPN_OK) {
        print_error("%s\n", err.msg);
        return -1;
    }
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    cpn_token_key_close(&ours);
    cpn_token_key_close(&theirs);
    cpn_identity_free(identity);
    cpn_store_free(store);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    unlink(key_path);
    unlink(other_path);
    return rmdir(dir);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_headers_are_refused),
        cmocka_unit_test(hostile_claims_are_refused),
        cmocka_unit_test(hostile_payloads_are_refused),
        cmocka_unit_test(hostile_spellings_are_refused),
        cmocka_unit_test(good_tokens_say_who),
        cmocka_unit_test(a_stranger_verifies_by_jwks),
        cmocka_unit_test(variants_of_good_claims_pass),
        cmocka_unit_test(documents_point_to_each_other),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
