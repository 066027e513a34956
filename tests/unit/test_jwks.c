/* Key sets and descriptions of providers: what is refused, what is left out, what serves; how long
 * a set is kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "identity/discovery.h"
#include "identity/keycache.h"
#include "jose_fixture.h"

static EVP_PKEY *rsa, *p256, *p384, *ed;

static cpn_jwks *
read_text(const char *text)
{
    cpn_err err = { 0 };
    cpn_jwks *s;

    return cpn_jwks_read(&s, cpn_view_str(text), &err) == CPN_OK ? s : NULL;
}

/* {"keys":[…]}; consumes the keys. NULL ends the list. */
static char *
set_text(json_t *a, json_t *b)
{
    json_t *keys = json_array(), *set = json_pack("{s:o}", "keys", keys);
    char *text;

    json_array_append_new(keys, a);
    if (b)
        json_array_append_new(keys, b);
    text = json_dumps(set, JSON_COMPACT);
    json_decref(set);
    return text;
}

static json_t *
with(json_t *jwk, const char *name, const char *value)
{
    json_object_set_new(jwk, name, json_string(value));
    return jwk;
}

/* ---- refused whole ---- */

static void
no_key_sets_are_refused(void **state)
{
    static const char *const refused[] = {
        "",
        "null",
        "[]",
        "{}",
        "{\"keys\":[]}",
        "{\"keys\":{}}",
        "{\"keys\":[null]}",
        "{\"keys\":[[]]}",
        "{\"keys\":[{}]}",
        "{\"keys\":[{\"kty\":\"RSA\"}]}",
        "{\"keys\":[{\"kty\":7}]}",
        "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}]}",
        "{\"keys\":[],\"keys\":[]}",
        "{\"keys\":[1e999999999]}",
        "{\"keys\":[{\"kty\":\"RSA\",\"n\":7,\"e\":7}]}",
    };
    char *huge = malloc(CPN_JWKS_TEXT_MAX + 2), *one, *many;
    json_t *keys = json_array(), *set = json_pack("{s:o}", "keys", keys);
    cpn_jwks *s;

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++)
        if (read_text(refused[i]))
            fail_msg("accepted: %s", refused[i]);
    one = set_text(jose_jwk(ed, "a"), NULL);
    memset(huge, ' ', CPN_JWKS_TEXT_MAX + 1);
    huge[CPN_JWKS_TEXT_MAX + 1] = '\0';
    memcpy(huge, one, strlen(one));
    assert_null(read_text(huge));
    huge[CPN_JWKS_TEXT_MAX] = '\0';
    assert_non_null(s = read_text(huge));
    cpn_jwks_free(s);
    for (int i = 0; i <= CPN_JWKS_KEYS_MAX; i++) {
        char kid[16];
        snprintf(kid, sizeof(kid), "k%d", i);
        json_array_append_new(keys, jose_jwk(ed, kid));
    }
    many = json_dumps(set, 0);
    assert_null(read_text(many));
    free(many);
    json_array_remove(keys, 0);
    many = json_dumps(set, 0);
    assert_non_null(s = read_text(many));
    assert_int_equal(cpn_jwks_count(s), CPN_JWKS_KEYS_MAX);
    cpn_jwks_free(s);
    free(many);
    free(one);
    free(huge);
    json_decref(set);
}

static void
one_kid_for_two_keys_is_refused(void **state)
{
    char *same = set_text(jose_jwk(ed, "a"), jose_jwk(ed, "a"));
    char *other_type = set_text(jose_jwk(ed, "a"), jose_jwk(rsa, "a"));
    cpn_jwks *s;

    (void)state;
    assert_null(read_text(same));
    assert_non_null(s = read_text(other_type));
    assert_int_equal(cpn_jwks_count(s), 2);
    cpn_jwks_free(s);
    free(same);
    free(other_type);
}

/* ---- left out ---- */

/* Beside a good key: the set is read, and the bad one is not in it. Consumes jwk. */
static void
left_out(const char *what, json_t *jwk)
{
    char *text = set_text(jwk, jose_jwk(ed, "good"));
    cpn_jwks *s = read_text(text);
    const char *why;

    if (!s || cpn_jwks_count(s) != 1 || cpn_jwks_left_out(s, &why) != 1 || !why[0])
        fail_msg("not left out: %s", what);
    assert_non_null(cpn_jwks_find(s, CPN_JWT_EDDSA, "good"));
    cpn_jwks_free(s);
    free(text);
}

static json_t *
rsa_with(const uint8_t *e, size_t n)
{
    json_t *jwk = jose_jwk(rsa, "bad");

    jose_put_bytes(jwk, "e", e, n);
    return jwk;
}

static void
weak_rsa_is_left_out(void **state)
{
    EVP_PKEY *small = jose_rsa(1024, 65537), *nearly = jose_rsa(2047, 65537);
    uint8_t big[1024] = { 1 };
    json_t *jwk;

    (void)state;
    left_out("RSA 1024", jose_jwk(small, "bad"));
    left_out("RSA 2047", jose_jwk(nearly, "bad"));
    left_out("exponent 1", rsa_with((const uint8_t[]){ 1 }, 1));
    left_out("exponent 0 0 1", rsa_with((const uint8_t[]){ 0, 0, 1 }, 3));
    left_out("exponent 0", rsa_with((const uint8_t[]){ 0 }, 1));
    left_out("exponent 65536", rsa_with((const uint8_t[]){ 1, 0, 0 }, 3));
    left_out("exponent of 5 bytes", rsa_with((const uint8_t[]){ 1, 0, 0, 0, 1 }, 5));
    left_out("exponent as a number", with(jose_jwk(rsa, "bad"), "e", "65537!"));
    big[511] = big[512] = big[1023] = 1;
    jwk = jose_jwk(rsa, "bad");
    jose_put_bytes(jwk, "n", big, 513);
    left_out("modulus of 4097 bits", jwk);
    jwk = jose_jwk(rsa, "bad");
    jose_put_bytes(jwk, "n", big, 256); /* ends in 0 */
    left_out("even modulus", jwk);
    jwk = jose_jwk(small, "bad"); /* 1,024 bits made longer by zeros in front */
    memset(big, 0, sizeof(big));
    jose_put_bytes(jwk, "n", big, 256);
    left_out("modulus 0", jwk);
    EVP_PKEY_free(small);
    EVP_PKEY_free(nearly);
}

static void
keys_for_other_ends_are_left_out(void **state)
{
    EVP_PKEY *ed448 = EVP_PKEY_Q_keygen(NULL, NULL, "ED448");
    uint8_t x[48] = { 7 };
    char long_kid[200];
    json_t *jwk;

    (void)state;
    left_out("use enc", with(jose_jwk(rsa, "bad"), "use", "enc"));
    jwk = jose_jwk(rsa, "bad");
    json_object_set_new(jwk, "use", json_integer(1));
    left_out("use a number", jwk);
    left_out("private", with(jose_jwk(p256, "bad"), "d", "AAAA"));
    left_out("symmetric", with(with(jose_jwk(rsa, "bad"), "kty", "oct"), "k", "AAAA"));
    left_out("HS256", with(jose_jwk(rsa, "bad"), "alg", "HS256"));
    left_out("alg none", with(jose_jwk(rsa, "bad"), "alg", "none"));
    left_out("RS512", with(jose_jwk(rsa, "bad"), "alg", "RS512"));
    left_out("alg of another type", with(jose_jwk(p256, "bad"), "alg", "RS256"));
    left_out("alg of another curve", with(jose_jwk(p256, "bad"), "alg", "ES384"));
    left_out("Ed448", jose_jwk(ed448, "bad"));
    left_out("secp256k1", with(jose_jwk(p256, "bad"), "crv", "secp256k1"));
    left_out("P-521", with(jose_jwk(p256, "bad"), "crv", "P-521"));
    left_out("another curve's length", with(jose_jwk(p256, "bad"), "crv", "P-384"));
    left_out("kty in small letters", with(jose_jwk(rsa, "bad"), "kty", "rsa"));
    left_out("padding",
             with(jose_jwk(ed, "bad"), "x", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="));
    jwk = jose_jwk(p256, "bad");
    jose_put_bytes(jwk, "y", x, 32);
    left_out("a point off its curve", jwk);
    jwk = jose_jwk(ed, "bad");
    jose_put_bytes(jwk, "x", x, 31);
    left_out("Ed25519 of 31 bytes", jwk);
    jwk = jose_jwk(ed, NULL);
    json_object_set_new(jwk, "kid", json_pack("{}"));
    left_out("kid an object", jwk);
    memset(long_kid, 'k', sizeof(long_kid));
    long_kid[129] = '\0';
    left_out("kid of 129 bytes", jose_jwk(ed, long_kid));
    left_out("kid with a line end", jose_jwk(ed, "a\nb"));
    left_out("kid empty", jose_jwk(ed, ""));
    jwk = jose_jwk(ed, "bad");
    json_object_set_new(jwk, "key_ops", json_pack("[s]", "sign"));
    left_out("key_ops without verify", jwk);
    EVP_PKEY_free(ed448);
}

/* ---- served ---- */

static void
keys_are_found_by_kid_and_algorithm(void **state)
{
    json_t *keys = json_array(), *set = json_pack("{s:o}", "keys", keys);
    cpn_jwks *s;
    char *text;

    (void)state;
    json_array_append_new(keys, jose_jwk(rsa, "../../dev/null"));
    json_array_append_new(keys, with(with(jose_jwk(p256, "b"), "alg", "ES256"), "use", "sig"));
    json_array_append_new(keys, jose_jwk(p384, "c"));
    json_array_append_new(keys, jose_jwk(ed, NULL));
    json_array_append_new(keys, with(jose_jwk(rsa, "only-ps"), "alg", "PS256"));
    text = json_dumps(set, 0);
    assert_non_null(s = read_text(text));
    assert_int_equal(cpn_jwks_count(s), 5);
    assert_non_null(cpn_jwks_find(s, CPN_JWT_RS256, "../../dev/null"));
    assert_non_null(cpn_jwks_find(s, CPN_JWT_PS256, "only-ps"));
    assert_non_null(cpn_jwks_find(s, CPN_JWT_RS256, "")); /* the only one that serves it */
    assert_non_null(cpn_jwks_find(s, CPN_JWT_EDDSA, ""));
    assert_non_null(cpn_jwks_find(s, CPN_JWT_ES384, "c"));
    assert_null(cpn_jwks_find(s, CPN_JWT_PS256, "")); /* two serve it */
    assert_null(cpn_jwks_find(s, CPN_JWT_RS256, "only-ps"));
    assert_null(cpn_jwks_find(s, CPN_JWT_ES256, "c"));
    assert_null(cpn_jwks_find(s, CPN_JWT_ES256, "B"));
    assert_null(cpn_jwks_find(s, CPN_JWT_ES256, "b "));
    assert_null(cpn_jwks_find(s, CPN_JWT_NONE, "b"));
    assert_null(cpn_jwks_find(s, CPN_JWT_EDDSA, "unknown"));
    cpn_jwks_free(s);
    free(text);
    json_decref(set);
}

/* ---- how long a set is kept ---- */

static cpn_jwks *
one_key(void)
{
    char *text = set_text(jose_jwk(ed, "a"), NULL);
    cpn_jwks *s = read_text(text);

    free(text);
    return s;
}

static void
freshness_is_bounded(void **state)
{
    static const struct {
        const char *header;
        uint64_t fresh_ms;
    } table[] = {
        { "", CPN_KEYS_FRESH_DEFAULT_MS },
        { "public, max-age=7200, must-revalidate", 7200000 },
        { "Max-Age=600", 600000 },
        { "max-age=0", CPN_KEYS_FRESH_MIN_MS },
        { "no-store", CPN_KEYS_FRESH_MIN_MS },
        { "max-age=600, no-cache", CPN_KEYS_FRESH_MIN_MS },
        { "max-age=86400", CPN_KEYS_FRESH_MAX_MS },
        { "max-age=86401", CPN_KEYS_FRESH_DEFAULT_MS },
        { "max-age=99999999999999999999999", CPN_KEYS_FRESH_DEFAULT_MS },
        { "max-age=-1", CPN_KEYS_FRESH_DEFAULT_MS },
        { "max-age=", CPN_KEYS_FRESH_DEFAULT_MS },
        { ",,,,", CPN_KEYS_FRESH_DEFAULT_MS },
    };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(table); i++) {
        cpn_keycache c = { 0 };
        uint64_t end = 1000 + table[i].fresh_ms;

        assert_true(cpn_keycache_due(&c, 1000));
        assert_null(cpn_keycache_get(&c, 1000));
        cpn_keycache_put(&c, one_key(), cpn_view_str(table[i].header), 1000);
        if (cpn_keycache_due(&c, end - 1) || !cpn_keycache_due(&c, end))
            fail_msg("'%s' is not fresh for %llu ms", table[i].header,
                     (unsigned long long)table[i].fresh_ms);
        assert_non_null(cpn_keycache_get(&c, end + CPN_KEYS_STALE_MS - 1));
        assert_null(cpn_keycache_get(&c, end + CPN_KEYS_STALE_MS));
        cpn_keycache_fini(&c);
    }
}

static void
unknown_kids_fetch_once_a_minute(void **state)
{
    cpn_keycache c = { 0 };
    unsigned fetches = 0;

    (void)state;
    cpn_keycache_put(&c, one_key(), (cpn_view){ 0 }, 5000);
    for (uint64_t now = 5000; now < 5000 + 3 * CPN_KEYS_REFETCH_MS; now += 100)
        fetches += cpn_keycache_unknown(&c, now);
    assert_int_equal(fetches, 3);
    cpn_keycache_fini(&c);
}

/* ---- descriptions ---- */

#define ISS "https://id.example.test/realm"

static cpn_rc
describe(const char *changes, cpn_discovery *d)
{
    json_t *j = json_pack("{s:s,s:s,s:s,s:s,s:[s,s]}", "issuer", ISS, "authorization_endpoint",
                          ISS "/auth?x=1", "token_endpoint", "https://other.example.test/token",
                          "jwks_uri", ISS "/keys", "response_types_supported", "id_token", "code");
    json_t *more = json_loads(changes, 0, NULL);
    cpn_err err = { 0 };
    char *text;
    cpn_rc rc;

    assert_non_null(more);
    json_object_update(j, more);
    text = json_dumps(j, 0);
    rc = cpn_discovery_read(d, cpn_view_str(text), ISS, &err);
    assert_int_equal(rc != CPN_OK, err.msg[0] != '\0');
    free(text);
    json_decref(more);
    json_decref(j);
    return rc;
}

static void
odd_descriptions_are_refused(void **state)
{
    static const char *const refused[] = {
        "{\"issuer\":\"https://id.example.test/realm/\"}",
        "{\"issuer\":\"https://id.example.test/Realm\"}",
        "{\"issuer\":\"https://evil.example.test\"}",
        "{\"issuer\":[\"https://id.example.test/realm\"]}",
        "{\"issuer\":null}",
        "{\"token_endpoint\":\"http://id.example.test/token\"}",
        "{\"token_endpoint\":\"file:///etc/passwd\"}",
        "{\"token_endpoint\":\"https://a@id.example.test/token\"}",
        "{\"token_endpoint\":\"https://id.example.test/token#x\"}",
        "{\"token_endpoint\":\"\"}",
        "{\"token_endpoint\":null}",
        "{\"jwks_uri\":\"http://id.example.test/keys\"}",
        "{\"jwks_uri\":{}}",
        "{\"authorization_endpoint\":\"javascript:alert(1)\"}",
        "{\"response_types_supported\":[\"token\"]}",
        "{\"response_types_supported\":\"code\"}",
        "{\"code_challenge_methods_supported\":[\"plain\"]}",
        "{\"code_challenge_methods_supported\":[]}",
        "{\"id_token_signing_alg_values_supported\":[\"HS256\",\"none\"]}",
        "{\"token_endpoint_auth_methods_supported\":[\"private_key_jwt\"]}",
    };
    static const char *const texts[] = { "", "[]", "{", "{\"issuer\":\"" ISS "\"}" };
    cpn_discovery d;

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++)
        if (describe(refused[i], &d) != CPN_INVALID || d.token_endpoint[0])
            fail_msg("accepted: %s", refused[i]);
    for (size_t i = 0; i < CPN_COUNT(texts); i++)
        assert_int_equal(cpn_discovery_read(&d, cpn_view_str(texts[i]), ISS, NULL), CPN_INVALID);
}

static void
good_descriptions_are_read(void **state)
{
    cpn_discovery d;

    (void)state;
    assert_int_equal(describe("{}", &d), CPN_OK);
    assert_string_equal(d.authorization_endpoint, ISS "/auth?x=1");
    assert_string_equal(d.token_endpoint, "https://other.example.test/token");
    assert_string_equal(d.jwks_uri, ISS "/keys");
    assert_true(d.basic);
    assert_false(d.names_issuer);
    assert_int_equal(describe("{\"token_endpoint_auth_methods_supported\":[\"client_secret_post\"],"
                              "\"authorization_response_iss_parameter_supported\":true,"
                              "\"id_token_signing_alg_values_supported\":[\"none\",\"EdDSA\"],"
                              "\"code_challenge_methods_supported\":[\"plain\",\"S256\"]}",
                              &d),
                     CPN_OK);
    assert_false(d.basic);
    assert_true(d.names_issuer);
}

static int
setup(void **state)
{
    (void)state;
    rsa = jose_rsa(2048, 65537);
    p256 = EVP_EC_gen("P-256");
    p384 = EVP_EC_gen("P-384");
    ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    return rsa && p256 && p384 && ed ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(p256);
    EVP_PKEY_free(p384);
    EVP_PKEY_free(ed);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_key_sets_are_refused),
        cmocka_unit_test(one_kid_for_two_keys_is_refused),
        cmocka_unit_test(weak_rsa_is_left_out),
        cmocka_unit_test(keys_for_other_ends_are_left_out),
        cmocka_unit_test(keys_are_found_by_kid_and_algorithm),
        cmocka_unit_test(freshness_is_bounded),
        cmocka_unit_test(unknown_kids_fetch_once_a_minute),
        cmocka_unit_test(odd_descriptions_are_refused),
        cmocka_unit_test(good_descriptions_are_read),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
