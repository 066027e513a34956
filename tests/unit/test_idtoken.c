/* ID tokens of a provider: the hostile ones first, all refused; then the good ones, by every
 * algorithm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "identity/idtoken.h"
#include "jose_fixture.h"

#define NOW 1700000000ll
#define ISS "https://id.example.test"
#define CLIENT "caponier"
#define NONCE "n-0S6_WzA2Mj"
#define ACCESS "an access token"

static EVP_PKEY *rsa, *p256, *p384, *ed, *stranger, *small;
static cpn_jwks *keys;

static const cpn_idtoken_rules rules = { .issuer = ISS,
                                         .client_id = CLIENT,
                                         .nonce = NONCE,
                                         .access_token = { (const uint8_t *)ACCESS, 15 },
                                         .name_claim = "preferred_username",
                                         .groups_claim = "groups",
                                         .now_s = NOW };

/* ---- making tokens ---- */

static char *
claims_with(const char *changes)
{
    char *text =
        jose_claims(json_pack("{s:s,s:s,s:s,s:s,s:I,s:I,s:s,s:[s,s]}", "iss", ISS, "aud", CLIENT,
                              "sub", "248289761001", "nonce", NONCE, "iat", (json_int_t)NOW, "exp",
                              (json_int_t)NOW + 300, "preferred_username", "ada@example.test",
                              "groups", "ops", "Zürich"),
                    changes);

    if (!text)
        fail_msg("not JSON: %s", changes);
    return text;
}

static void
make(char *out, size_t size, const char *header, const char *claims, EVP_PKEY *key, const char *alg)
{
    uint8_t sig[JOSE_SIG_MAX];
    size_t n;

    assert_true(jose_compose(out, size, header, claims));
    n = strcmp(alg, "HS256") == 0 ? jose_hmac(key, out, sig) : jose_sign(key, alg, out, sig);
    assert_int_equal(cpn_jwt_seal(out, size, (cpn_view){ sig, n }), CPN_OK);
}

static cpn_rc
verify(const char *token, size_t n, cpn_idtoken *t)
{
    return cpn_idtoken_verify(t, (cpn_view){ (const uint8_t *)token, n }, keys, &rules, NULL);
}

/* No trace of a refused token is left in the result. */
static void
refused(const char *what, const char *token, size_t n, cpn_rc want)
{
    cpn_idtoken t;

    if (verify(token, n, &t) != want || t.subject[0] || t.groups)
        fail_msg("not refused as it should be: %s", what);
}

/* ---- refusals ---- */

static void
hostile_claims_are_refused(void **state)
{
    static const char *const bad[] = {
        "{\"iss\":\"https://id.example.test/\"}",
        "{\"iss\":\"https://ID.example.test\"}",
        "{\"iss\":\"https://other.example.test\"}",
        "{\"iss\":[\"https://id.example.test\"]}",
        "{\"iss\":null}",
        "{\"aud\":\"other\"}",
        "{\"aud\":\"Caponier\"}",
        "{\"aud\":[\"other\",\"caponier\"]}",
        "{\"aud\":[\"caponier\",\"other\"],\"azp\":\"caponier\"}",
        "{\"aud\":[]}",
        "{\"aud\":{\"caponier\":true}}",
        "{\"aud\":null}",
        "{\"azp\":\"other\"}",
        "{\"azp\":[\"caponier\"]}",
        "{\"nonce\":\"another\"}",
        "{\"nonce\":\"\"}",
        "{\"nonce\":[\"n-0S6_WzA2Mj\"]}",
        "{\"nonce\":null}",
        "{\"exp\":null}",
        "{\"exp\":1699999940}",
        "{\"exp\":1}",
        "{\"exp\":0}",
        "{\"exp\":-1}",
        "{\"exp\":\"1700000300\"}",
        "{\"exp\":1700000300.0}",
        "{\"exp\":9223372036854775807}",
        "{\"exp\":true}",
        "{\"iat\":null}",
        "{\"iat\":\"1700000000\"}",
        "{\"iat\":1700086400}",
        "{\"iat\":1700000061}",
        "{\"nbf\":1700000061}",
        "{\"nbf\":\"1\"}",
        "{\"sub\":null}",
        "{\"sub\":\"\"}",
        "{\"sub\":7}",
        "{\"sub\":\"a\\u0000b\"}",
        "{\"sub\":\"a\\nb\"}",
        "{\"sub\":\"\\u00fc\"}",
        "{\"at_hash\":\"AAAAAAAAAAAAAAAAAAAAAA\"}",
        "{\"at_hash\":7}",
        "{\"groups\":[\"ops\",7]}",
        "{\"groups\":[[\"ops\"]]}",
        "{\"groups\":{\"ops\":true}}",
        "{\"groups\":true}",
        "{\"groups\":[\"\"]}",
        "{\"groups\":[\"a\\nb\"]}",
        "{\"groups\":null,\"_claim_names\":{\"groups\":\"src1\"}}",
    };
    char token[CPN_JWT_MAX], *claims;

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(bad); i++) {
        claims = claims_with(bad[i]);
        make(token, sizeof(token), "{\"alg\":\"ES256\",\"kid\":\"ec\"}", claims, p256, "ES256");
        refused(bad[i], token, strlen(token), CPN_UNAUTHENTICATED);
        free(claims);
    }
}

static void
too_much_is_refused(void **state)
{
    char changes[8192], token[CPN_JWT_MAX + 4096], *claims;
    json_t *j = json_object(), *groups = json_array();

    (void)state;
    snprintf(changes, sizeof(changes), "{\"sub\":\"%0256d\"}", 7);
    claims = claims_with(changes);
    make(token, sizeof(token), "{\"alg\":\"ES256\",\"kid\":\"ec\"}", claims, p256, "ES256");
    refused("sub of 256 bytes", token, strlen(token), CPN_UNAUTHENTICATED);
    free(claims);
    snprintf(changes, sizeof(changes), "{\"groups\":[\"%0257d\"]}", 7);
    claims = claims_with(changes);
    make(token, sizeof(token), "{\"alg\":\"ES256\",\"kid\":\"ec\"}", claims, p256, "ES256");
    refused("group of 257 bytes", token, strlen(token), CPN_UNAUTHENTICATED);
    free(claims);
    for (int i = 0; i <= CPN_EXTERNAL_GROUPS_MAX; i++)
        json_array_append_new(groups, json_string("g"));
    json_object_set_new(j, "groups", groups);
    claims = json_dumps(j, 0);
    snprintf(changes, sizeof(changes), "%s", claims);
    free(claims);
    claims = claims_with(changes);
    make(token, sizeof(token), "{\"alg\":\"ES256\",\"kid\":\"ec\"}", claims, p256, "ES256");
    refused("513 groups", token, strlen(token), CPN_UNAUTHENTICATED);
    free(claims);
    json_decref(j);
}

static void
hostile_headers_are_refused(void **state)
{
    /* header, who signs, how he signs, outcome */
    const struct {
        const char *header;
        EVP_PKEY *key;
        const char *alg;
        cpn_rc want;
    } bad[] = {
#define NO CPN_UNAUTHENTICATED
#define UNKNOWN CPN_NOT_FOUND
        { "{\"alg\":\"none\"}", p256, "ES256", NO },
        { "{\"alg\":\"None\"}", p256, "ES256", NO },
        { "{\"alg\":\"nOnE\",\"kid\":\"ec\"}", p256, "ES256", NO },
        { "{\"alg\":\"\"}", p256, "ES256", NO },
        { "{\"alg\":[\"ES256\"],\"kid\":\"ec\"}", p256, "ES256", NO },
        { "{\"kid\":\"ec\"}", p256, "ES256", NO },
        { "{\"alg\":\"HS256\",\"kid\":\"rsa\"}", rsa, "HS256", NO },
        { "{\"alg\":\"RS512\",\"kid\":\"rsa\"}", rsa, "RS256", NO },
        { "{\"alg\":\"RS256\",\"kid\":\"rsa\"}", rsa, "HS256", NO },
        { "{\"alg\":\"RS256\",\"kid\":\"rsa\"}", rsa, "PS256", NO },
        { "{\"alg\":\"PS256\",\"kid\":\"rsa\"}", rsa, "RS256", NO },
        { "{\"alg\":\"RS256\",\"kid\":\"rsa\"}", stranger, "RS256", NO },
        { "{\"alg\":\"RS256\",\"kid\":\"rsa\"}", small, "RS256", NO },
        { "{\"alg\":\"ES256\",\"kid\":\"ec\"}", p384, "ES384", NO },
        { "{\"alg\":\"ES384\",\"kid\":\"ec384\"}", p256, "ES256", NO },
        { "{\"alg\":\"EdDSA\",\"kid\":\"ed\"}", p256, "ES256", NO },
        { "{\"alg\":\"ES256\",\"kid\":\"ec\"}", ed, "EdDSA", NO },
        { "{\"alg\":\"ES256\",\"kid\":\"ec\",\"typ\":\"at+jwt\"}", p256, "ES256", NO },
        { "{\"alg\":\"ES256\",\"kid\":\"ec\",\"typ\":\"logout+jwt\"}", p256, "ES256", NO },
        { "{\"alg\":\"ES256\",\"kid\":\"ec\",\"jku\":\"https://evil.test/k\"}", p256, "ES256", NO },
        { "{\"alg\":\"ES256\",\"kid\":\"ec\",\"crit\":[]}", p256, "ES256", NO },
        { "{\"alg\":\"ES256\",\"kid\":\"ec\",\"jwk\":{}}", p256, "ES256", NO },
        { "{\"alg\":\"ES256\",\"kid\":\"ec\",\"x5c\":[]}", p256, "ES256", NO },
        { "{\"alg\":\"ES256\",\"kid\":\"ec\",\"x5u\":\"\"}", p256, "ES256", NO },
        { "{\"alg\":\"ES256\",\"kid\":\"ec\",\"zip\":\"DEF\"}", p256, "ES256", NO },
        { "{\"alg\":\"ES256\",\"kid\":\"ec\",\"b64\":false}", p256, "ES256", NO },
        { "{\"alg\":\"ES256\",\"kid\":{}}", p256, "ES256", NO },
        { "{\"alg\":\"ES256\",\"kid\":\"ec\",\"kid\":\"ec\"}", p256, "ES256", NO },
        /* alg of one key, kid of another: no key serves both */
        { "{\"alg\":\"ES256\",\"kid\":\"rsa\"}", p256, "ES256", UNKNOWN },
        { "{\"alg\":\"RS256\",\"kid\":\"small\"}", small, "RS256", UNKNOWN },
        { "{\"alg\":\"RS256\",\"kid\":\"e1\"}", rsa, "RS256", UNKNOWN },
        { "{\"alg\":\"ES256\",\"kid\":\"../../dev/null\"}", p256, "ES256", UNKNOWN },
        { "{\"alg\":\"ES256\",\"kid\":\"' OR 1=1 --\"}", p256, "ES256", UNKNOWN },
        { "{\"alg\":\"ES256\",\"kid\":\"EC\"}", p256, "ES256", UNKNOWN },
    };
    char token[CPN_JWT_MAX], *claims = claims_with("{}");

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(bad); i++) {
        make(token, sizeof(token), bad[i].header, claims, bad[i].key, bad[i].alg);
        refused(bad[i].header, token, strlen(token), bad[i].want);
    }
    free(claims);
}

static void
hostile_spellings_are_refused(void **state)
{
    char *claims = claims_with("{}"), token[4096], bad[4096], *huge = malloc(1 << 20);
    const char *last;
    size_t n;

    (void)state;
    make(token, sizeof(token), "{\"alg\":\"ES256\",\"kid\":\"ec\"}", claims, p256, "ES256");
    n = strlen(token);
    last = strrchr(token, '.');
    for (size_t cut = 0; cut < n; cut += 5)
        refused("cut", token, cut, CPN_UNAUTHENTICATED);
    for (size_t at = (size_t)(strchr(token, '.') - token) + 1; at < n - 1; at += 3) {
        memcpy(bad, token, n + 1);
        bad[at] = bad[at] == 'A' ? 'B' : 'A';
        refused("one letter changed", bad, n, CPN_UNAUTHENTICATED);
    }
    memcpy(bad, token, n + 1);
    memset(bad + (last - token) + 1, 'A', n - (size_t)(last - token) - 1);
    refused("r = s = 0", bad, n, CPN_UNAUTHENTICATED);
    snprintf(bad, sizeof(bad), "%s.", token);
    refused("a dot behind", bad, n + 1, CPN_UNAUTHENTICATED);
    snprintf(bad, sizeof(bad), "%s=", token);
    refused("padding", bad, n + 1, CPN_UNAUTHENTICATED);
    snprintf(bad, sizeof(bad), "%s\n", token);
    refused("a line end", bad, n + 1, CPN_UNAUTHENTICATED);
    memset(huge, 'A', 1 << 20);
    memcpy(huge, token, n);
    refused("1 MiB", huge, 1 << 20, CPN_UNAUTHENTICATED);
    memset(huge, '.', 10000);
    refused("10,000 dots", huge, 10000, CPN_UNAUTHENTICATED);
    free(huge);
    free(claims);
}

static void
a_token_without_a_nonce_to_compare_is_refused(void **state)
{
    char token[4096], *claims = claims_with("{\"nonce\":\"\"}");
    cpn_idtoken_rules none = rules;
    cpn_idtoken t;

    (void)state;
    make(token, sizeof(token), "{\"alg\":\"EdDSA\",\"kid\":\"ed\"}", claims, ed, "EdDSA");
    none.nonce = "";
    assert_int_equal(cpn_idtoken_verify(&t, cpn_view_str(token), keys, &none, NULL),
                     CPN_UNAUTHENTICATED);
    none.nonce = NULL;
    assert_int_equal(cpn_idtoken_verify(&t, cpn_view_str(token), keys, &none, NULL),
                     CPN_UNAUTHENTICATED);
    free(claims);
}

/* ---- good ones ---- */

static void
every_algorithm_serves(void **state)
{
    const struct {
        const char *header;
        EVP_PKEY *key;
        const char *alg;
    } good[] = {
        { "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"typ\":\"JWT\"}", rsa, "RS256" },
        { "{\"alg\":\"PS256\",\"kid\":\"rsa\"}", rsa, "PS256" },
        { "{\"alg\":\"ES256\",\"kid\":\"ec\",\"typ\":\"jwt\"}", p256, "ES256" },
        { "{\"alg\":\"ES384\",\"kid\":\"ec384\"}", p384, "ES384" },
        { "{\"alg\":\"EdDSA\",\"kid\":\"ed\"}", ed, "EdDSA" },
        { "{\"alg\":\"EdDSA\"}", ed, "EdDSA" },
    };
    char token[CPN_JWT_MAX], *claims = claims_with("{}");
    cpn_idtoken t;

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(good); i++) {
        make(token, sizeof(token), good[i].header, claims, good[i].key, good[i].alg);
        if (verify(token, strlen(token), &t) != CPN_OK)
            fail_msg("refused: %s", good[i].header);
        assert_string_equal(t.subject, "248289761001");
        assert_string_equal(t.name, "ada@example.test");
        assert_int_equal(json_array_size(t.groups), 2);
        assert_int_equal(t.expires_s, NOW + 300);
        cpn_idtoken_fini(&t);
        token[strlen(token) - 3] ^= 1;
        refused("one bit off", token, strlen(token), CPN_UNAUTHENTICATED);
    }
    free(claims);
}

static void
variants_of_good_claims_pass(void **state)
{
    static const struct {
        const char *changes;
        const char *name;
        size_t groups;
    } good[] = {
        { "{\"aud\":[\"caponier\"],\"azp\":\"caponier\"}", "ada@example.test", 2 },
        { "{\"exp\":1699999941,\"iat\":1699999000}", "ada@example.test", 2 },
        { "{\"nbf\":1700000060,\"iat\":1700000060}", "ada@example.test", 2 },
        { "{\"groups\":null}", "ada@example.test", 0 },
        { "{\"groups\":[]}", "ada@example.test", 0 },
        { "{\"groups\":\"ops\"}", "ada@example.test", 1 },
        { "{\"preferred_username\":null}", "", 2 },
        { "{\"preferred_username\":7}", "", 2 },
        { "{\"preferred_username\":\"a\\nb\"}", "", 2 },
        { "{\"email\":\"root@example.test\",\"email_verified\":\"true\"}", "ada@example.test", 2 },
        { "{\"at_hash\":\"FPlcM-1UXiivOYozpUrp7Q\"}", "ada@example.test", 2 },
    };
    char token[CPN_JWT_MAX];
    cpn_idtoken t;

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(good); i++) {
        char *claims = claims_with(good[i].changes);

        make(token, sizeof(token), "{\"alg\":\"ES256\",\"kid\":\"ec\"}", claims, p256, "ES256");
        if (verify(token, strlen(token), &t) != CPN_OK)
            fail_msg("refused: %s", good[i].changes);
        assert_string_equal(t.name, good[i].name);
        assert_int_equal(json_array_size(t.groups), good[i].groups);
        cpn_idtoken_fini(&t);
        free(claims);
    }
}

/* ---- the provider ---- */

static int
setup(void **state)
{
    json_t *list = json_array(), *set = json_pack("{s:o}", "keys", list), *e1;
    char *text;
    cpn_rc rc;

    (void)state;
    rsa = jose_rsa(2048, 65537);
    stranger = jose_rsa(2048, 65537);
    small = jose_rsa(1024, 65537);
    p256 = EVP_EC_gen("P-256");
    p384 = EVP_EC_gen("P-384");
    ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    json_array_append_new(list, jose_jwk(rsa, "rsa"));
    json_array_append_new(list, jose_jwk(small, "small"));
    e1 = jose_jwk(rsa, "e1");
    json_object_set_new(e1, "e", json_string("AQ"));
    json_array_append_new(list, e1);
    json_array_append_new(list, jose_jwk(p256, "ec"));
    json_array_append_new(list, jose_jwk(p384, "ec384"));
    json_array_append_new(list, jose_jwk(ed, "ed"));
    text = json_dumps(set, 0);
    rc = cpn_jwks_read(&keys, cpn_view_str(text), NULL);
    free(text);
    json_decref(set);
    return rc == CPN_OK && cpn_jwks_count(keys) == 4 ? 0 : -1;
}

static int
teardown(void **state)
{
    EVP_PKEY *all[] = { rsa, p256, p384, ed, stranger, small };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(all); i++)
        EVP_PKEY_free(all[i]);
    cpn_jwks_free(keys);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_claims_are_refused),
        cmocka_unit_test(too_much_is_refused),
        cmocka_unit_test(hostile_headers_are_refused),
        cmocka_unit_test(hostile_spellings_are_refused),
        cmocka_unit_test(a_token_without_a_nonce_to_compare_is_refused),
        cmocka_unit_test(every_algorithm_serves),
        cmocka_unit_test(variants_of_good_claims_pass),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
