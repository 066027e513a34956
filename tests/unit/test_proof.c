/* Proofs of a key: their form, what they hold for, and what the setting channel_binding makes of
 * them. Refusals first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "codec/b64url.h"
#include "codec/digest.h"
#include "identity/holder.h"
#include "proof_vectors.h"

#define NOW 1700000000
#define TUNNEL proof_vectors[0]

/* ---- the form ---- */

/* Base64url of both, with a signature of zeros. */
static void
compose(const char *header, const char *claims, char out[16384])
{
    uint8_t zeros[CPN_PROOF_SIGNATURE] = { 0 };
    char part[3][4096];

    assert_true(cpn_b64url_encode(cpn_view_str(header), part[0], sizeof(part[0])));
    assert_true(cpn_b64url_encode(cpn_view_str(claims), part[1], sizeof(part[1])));
    assert_true(cpn_b64url_encode((cpn_view){ zeros, 64 }, part[2], sizeof(part[2])));
    snprintf(out, 16384, "%s.%s.%s", part[0], part[1], part[2]);
}

#define X "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define JWK "{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"" X "\"}"
#define HEADER "{\"typ\":\"dpop+jwt\",\"alg\":\"EdDSA\",\"jwk\":" JWK "}"
#define CLAIMS "{\"jti\":\"0123456789abcdef\",\"htm\":\"GET\",\"htu\":\"https://h/p\",\"iat\":1"

static const struct {
    const char *why, *header, *claims;
} refused[] = {
    { "alg none", "{\"typ\":\"dpop+jwt\",\"alg\":\"none\",\"jwk\":" JWK "}", CLAIMS "}" },
    { "alg HS256", "{\"typ\":\"dpop+jwt\",\"alg\":\"HS256\",\"jwk\":" JWK "}", CLAIMS "}" },
    { "alg ES256", "{\"typ\":\"dpop+jwt\",\"alg\":\"ES256\",\"jwk\":" JWK "}", CLAIMS "}" },
    { "no alg", "{\"typ\":\"dpop+jwt\",\"jwk\":" JWK "}", CLAIMS "}" },
    { "an access token's typ", "{\"typ\":\"JWT\",\"alg\":\"EdDSA\",\"jwk\":" JWK "}", CLAIMS "}" },
    { "no typ", "{\"alg\":\"EdDSA\",\"jwk\":" JWK "}", CLAIMS "}" },
    { "no key", "{\"typ\":\"dpop+jwt\",\"alg\":\"EdDSA\"}", CLAIMS "}" },
    { "a key that is text", "{\"typ\":\"dpop+jwt\",\"alg\":\"EdDSA\",\"jwk\":\"" X "\"}",
      CLAIMS "}" },
    { "a private key",
      "{\"typ\":\"dpop+jwt\",\"alg\":\"EdDSA\",\"jwk\":{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":"
      "\"" X "\",\"d\":\"" X "\"}}",
      CLAIMS "}" },
    { "a key of 31 bytes",
      "{\"typ\":\"dpop+jwt\",\"alg\":\"EdDSA\",\"jwk\":{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":"
      "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}}",
      CLAIMS "}" },
    { "another curve",
      "{\"typ\":\"dpop+jwt\",\"alg\":\"EdDSA\",\"jwk\":{\"crv\":\"X25519\",\"kty\":\"OKP\",\"x\":"
      "\"" X "\"}}",
      CLAIMS "}" },
    { "a kid, too", "{\"typ\":\"dpop+jwt\",\"alg\":\"EdDSA\",\"kid\":\"../x\",\"jwk\":" JWK "}",
      CLAIMS "}" },
    { "a critical extension",
      "{\"typ\":\"dpop+jwt\",\"alg\":\"EdDSA\",\"crit\":[\"b64\"],\"jwk\":" JWK "}", CLAIMS "}" },
    { "a header that is a list", "[]", CLAIMS "}" },
    { "claims that are a list", HEADER, "[]" },
    { "claims twice", HEADER, CLAIMS ",\"iat\":2}" },
    { "a fraction", HEADER, CLAIMS "5.5}" },
    { "no claims", HEADER, "{}" },
    { "a short jti", HEADER,
      "{\"jti\":\"0123456789abcde\",\"htm\":\"GET\",\"htu\":\"https://h/p\",\"iat\":1}" },
    { "a jti with a space", HEADER,
      "{\"jti\":\"0123456789 abcdef\",\"htm\":\"GET\",\"htu\":\"https://h/p\",\"iat\":1}" },
    { "a jti that is a number", HEADER,
      "{\"jti\":1234567890123456,\"htm\":\"GET\",\"htu\":\"https://h/p\",\"iat\":1}" },
    { "no method", HEADER, "{\"jti\":\"0123456789abcdef\",\"htu\":\"https://h/p\",\"iat\":1}" },
    { "a long method", HEADER,
      "{\"jti\":\"0123456789abcdef\",\"htm\":\"GETGETGETGETGETGET\",\"htu\":\"https://h/p\","
      "\"iat\":1}" },
    { "no URL", HEADER, "{\"jti\":\"0123456789abcdef\",\"htm\":\"GET\",\"iat\":1}" },
    { "no time", HEADER, "{\"jti\":\"0123456789abcdef\",\"htm\":\"GET\",\"htu\":\"https://h/p\"}" },
    { "a time before time", HEADER,
      "{\"jti\":\"0123456789abcdef\",\"htm\":\"GET\",\"htu\":\"https://h/p\",\"iat\":-1}" },
    { "half an ath", HEADER, CLAIMS ",\"ath\":\"AAAAAAAAAAAAAAAAAAAAAAAA\"}" },
    { "an ath of null", HEADER, CLAIMS ",\"ath\":null}" },
    { "an exporter that is not canonical", HEADER,
      CLAIMS ",\"tls-exporter\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB\"}" },
    { "17 claims", HEADER,
      CLAIMS ",\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1,\"j\":1,"
             "\"k\":1,\"l\":1,\"m\":1}" },
    { "depth", HEADER, CLAIMS ",\"a\":[[[[[[1]]]]]]}" },
};

static void
forms_are_refused(void **state)
{
    char text[16384];
    cpn_proof p;

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++) {
        compose(refused[i].header, refused[i].claims, text);
        if (cpn_proof_parse(&p, cpn_view_str(text), NULL) != CPN_INVALID)
            fail_msg("%s", refused[i].why);
        assert_false(p.thumb.set);
        assert_false(cpn_proof_signed(&p));
    }
    compose(HEADER, CLAIMS ",\"more\":\"is ignored\"}", text);
    assert_int_equal(cpn_proof_parse(&p, cpn_view_str(text), NULL), CPN_OK);
    assert_false(cpn_proof_signed(&p));
}

static void
texts_are_refused(void **state)
{
    char long_one[CPN_PROOF_MAX + 2], four[4096], padded[4096];
    cpn_proof p;

    (void)state;
    memset(long_one, 'a', sizeof(long_one));
    snprintf(four, sizeof(four), "%s.AA", TUNNEL.text);
    snprintf(padded, sizeof(padded), "%s=", TUNNEL.text);
    assert_int_equal(cpn_proof_parse(&p, (cpn_view){ (uint8_t *)long_one, sizeof(long_one) }, NULL),
                     CPN_INVALID);
    assert_int_equal(cpn_proof_parse(&p, cpn_view_str(four), NULL), CPN_INVALID);
    assert_int_equal(cpn_proof_parse(&p, cpn_view_str(padded), NULL), CPN_INVALID);
    assert_int_equal(cpn_proof_parse(&p, cpn_view_str(""), NULL), CPN_INVALID);
    assert_int_equal(cpn_proof_parse(&p, cpn_view_str(".."), NULL), CPN_INVALID);
    for (size_t n = strlen(TUNNEL.text) - 1; n > 0; n -= CPN_MIN(n, (size_t)7))
        assert_int_equal(cpn_proof_parse(&p, (cpn_view){ (const uint8_t *)TUNNEL.text, n }, NULL),
                         CPN_INVALID);
}

static void
one_bit_off_is_not_signed(void **state)
{
    char text[4096];
    cpn_proof p;

    (void)state;
    snprintf(text, sizeof(text), "%s", TUNNEL.text);
    assert_int_equal(cpn_proof_parse(&p, cpn_view_str(text), NULL), CPN_OK);
    for (size_t i = 0; i < sizeof(p.signature); i++) {
        p.signature[i] ^= 1;
        assert_false(cpn_proof_signed(&p));
        p.signature[i] ^= 1;
    }
    p.key[0] ^= 1;
    assert_false(cpn_proof_signed(&p));
    p.key[0] ^= 1;
    text[p.signed_part.n - 1] = text[p.signed_part.n - 1] == 'Q' ? 'R' : 'Q';
    assert_false(cpn_proof_signed(&p));
}

static void
vectors_are_what_we_make(void **state)
{
    cpn_proof_key k = { .set = true };
    uint8_t exporter[32], token[32];
    char text[CPN_PROOF_MAX + 1], jkt[CPN_THUMB_TEXT];
    cpn_proof p;

    (void)state;
    for (unsigned i = 0; i < 32; i++) {
        k.seed[i] = (uint8_t)i;
        exporter[i] = (uint8_t)(0xe0 + i);
    }
    for (size_t i = 0; i < CPN_COUNT(proof_vectors); i++) {
        const struct proof_vector *v = &proof_vectors[i];
        cpn_proof_say say = { .method = v->method,
                              .url = v->url,
                              .jti = v->jti,
                              .iat = v->iat,
                              .token = v->token ? token : NULL,
                              .exporter = v->exporter ? exporter : NULL };

        cpn_sha256(cpn_view_str(v->token), token);
        assert_int_equal(cpn_proof_make(&k, &say, text, NULL), CPN_OK);
        assert_string_equal(text, v->text);
        assert_int_equal(cpn_proof_parse(&p, cpn_view_str(v->text), NULL), CPN_OK);
        assert_true(cpn_proof_signed(&p));
        assert_string_equal(cpn_thumb_text(&p.thumb, jkt), VECTOR_JKT);
        assert_true(p.has_token == (v->token != NULL) && p.has_exporter == v->exporter);
        assert_true(p.iat == v->iat && strcmp(p.url, v->url) == 0);
    }
}

static void
thumbs_of_nothing_match_nothing(void **state)
{
    cpn_thumb none = { 0 }, also = { 0 }, one;

    (void)state;
    assert_false(cpn_thumb_eq(&none, &also));
    assert_int_equal(cpn_thumb_read(&one, CPN_VIEW_LIT("")), CPN_INVALID);
    assert_int_equal(cpn_thumb_read(&one, CPN_VIEW_LIT("AAAA")), CPN_INVALID);
    assert_false(one.set);
    assert_int_equal(cpn_thumb_read(&one, CPN_VIEW_LIT(VECTOR_JKT)), CPN_OK);
    assert_false(cpn_thumb_eq(&one, &none));
    assert_true(cpn_thumb_eq(&one, &one));
}

/* ---- what it holds for ---- */

static const uint8_t here[32] = { [0] = 0xe0, 0xe1, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7,
                                  0xe8,       0xe9, 0xea, 0xeb, 0xec, 0xed, 0xee, 0xef,
                                  0xf0,       0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7,
                                  0xf8,       0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff };

static cpn_holder_ask
tunnel_ask(void)
{
    return (cpn_holder_ask){ .proof = cpn_view_str(TUNNEL.text),
                             .method = CPN_VIEW_LIT("GET"),
                             .path = CPN_VIEW_LIT("/v1/tunnel"),
                             .host = "bastion.example.test",
                             .token = CPN_VIEW_LIT("token"),
                             .exporter = { here, sizeof(here) },
                             .now_s = NOW };
}

/* In a memory of its own. */
static cpn_held
held(const cpn_holder_ask *ask)
{
    cpn_holders *h = cpn_holders_new(1, false);
    cpn_thumb key;
    cpn_held got = cpn_holder_check(h, ask, &key, NULL);

    assert_true(key.set == (got != CPN_HELD_NOT));
    cpn_holders_free(h);
    return got;
}

static void
other_requests_are_refused(void **state)
{
    cpn_thumb other = { .set = true }, none = { 0 };
    cpn_holder_ask good = tunnel_ask(), a;

    (void)state;
#define NOT(member, value) (a = good, a.member = (value), assert_int_equal(held(&a), CPN_HELD_NOT))
    NOT(proof, CPN_VIEW_LIT(""));
    NOT(proof, CPN_VIEW_LIT("nonsense"));
    NOT(method, CPN_VIEW_LIT("POST"));
    NOT(method, CPN_VIEW_LIT("get"));
    NOT(path, CPN_VIEW_LIT("/v1/tunnel/"));
    NOT(path, CPN_VIEW_LIT("/v1/Tunnel"));
    NOT(path, CPN_VIEW_LIT(""));
    NOT(host, "bastion.example.test:8443");
    NOT(host, "elsewhere.example.test");
    NOT(token, CPN_VIEW_LIT(""));
    NOT(token, CPN_VIEW_LIT("Token"));
    NOT(expect, &other);
    NOT(expect, &none);
    NOT(now_s, NOW - CPN_PROOF_WINDOW_S - 1); /* the future, over any connection */
#undef NOT
    a = good;
    a.exporter.n = 0;
    a.now_s = NOW + CPN_PROOF_WINDOW_S + 1;
    assert_int_equal(held(&a), CPN_HELD_NOT);
}

static void
here_or_elsewhere(void **state)
{
    uint8_t other[32] = { 0 };
    cpn_holder_ask a = tunnel_ask();
    cpn_thumb expect;

    (void)state;
    assert_int_equal(cpn_thumb_read(&expect, CPN_VIEW_LIT(VECTOR_JKT)), CPN_OK);
    a.expect = &expect;
    assert_int_equal(held(&a), CPN_HELD_HERE);
    a.now_s = NOW + 86400; /* the connection is as fresh as anything */
    assert_int_equal(held(&a), CPN_HELD_HERE);
    a.exporter.p = other;
    assert_int_equal(held(&a), CPN_HELD_NOT);
    a.now_s = NOW + CPN_PROOF_WINDOW_S;
    assert_int_equal(held(&a), CPN_HELD_ELSEWHERE);
    a.now_s = NOW - CPN_PROOF_WINDOW_S;
    assert_int_equal(held(&a), CPN_HELD_ELSEWHERE);
    a.exporter.n = 31;
    assert_int_equal(held(&a), CPN_HELD_ELSEWHERE);
    a.exporter.n = 0;
    assert_int_equal(held(&a), CPN_HELD_ELSEWHERE);
}

static void
a_proof_serves_once(void **state)
{
    cpn_holders *h = cpn_holders_new(1, false);
    cpn_holder_ask a = tunnel_ask(), elsewhere = tunnel_ask();
    cpn_thumb key;

    (void)state;
    elsewhere.exporter.n = 0;
    assert_int_equal(cpn_holder_check(h, &a, &key, NULL), CPN_HELD_HERE);
    /* seen in one connection, it opens no other while it would be fresh there */
    assert_int_equal(cpn_holder_check(h, &elsewhere, &key, NULL), CPN_HELD_NOT);
    elsewhere.now_s = NOW + CPN_PROOF_WINDOW_S;
    assert_int_equal(cpn_holder_check(h, &elsewhere, &key, NULL), CPN_HELD_NOT);
    elsewhere.now_s++;
    assert_int_equal(cpn_holder_check(h, &elsewhere, &key, NULL), CPN_HELD_NOT);
    cpn_holders_free(h);
}

/* Its iat is old when it comes for the first time: the memory counts from then. */
static void
a_slow_clock_makes_no_proof_serve_again(void **state)
{
    cpn_holders *h = cpn_holders_new(1, false);
    cpn_holder_ask a = tunnel_ask();
    cpn_thumb key;

    (void)state;
    a.now_s = NOW + 86400;
    assert_int_equal(cpn_holder_check(h, &a, &key, NULL), CPN_HELD_HERE);
    assert_int_equal(cpn_holder_check(h, &a, &key, NULL), CPN_HELD_NOT);
    a.now_s += CPN_PROOF_WINDOW_S;
    assert_int_equal(cpn_holder_check(h, &a, &key, NULL), CPN_HELD_NOT);
    a.now_s++; /* which holder.h admits */
    assert_int_equal(cpn_holder_check(h, &a, &key, NULL), CPN_HELD_HERE);
    cpn_holders_free(h);
}

/* A proof with its own jti for the exporter given. */
static cpn_held
check_number(cpn_holders *h, unsigned number, const uint8_t *exporter)
{
    cpn_proof_key k = { .set = true };
    char jti[32], text[CPN_PROOF_MAX + 1];
    cpn_proof_say say = { .method = "GET",
                          .url = "https://bastion.example.test/v1/tunnel",
                          .jti = jti,
                          .iat = NOW,
                          .exporter = exporter };
    cpn_holder_ask a = tunnel_ask();
    cpn_thumb key;

    snprintf(jti, sizeof(jti), "number-%016u", number);
    assert_int_equal(cpn_proof_make(&k, &say, text, NULL), CPN_OK);
    a.proof = cpn_view_str(text);
    a.token.n = 0;
    return cpn_holder_check(h, &a, &key, NULL);
}

static void
a_full_memory_refuses_or_forgets(void **state)
{
    cpn_holders *h = cpn_holders_new(1, false), *open = cpn_holders_new(1, true);

    (void)state;
    for (unsigned i = 0; i < CPN_HOLDER_WAYS; i++) {
        assert_int_equal(check_number(h, i, NULL), CPN_HELD_ELSEWHERE);
        assert_int_equal(check_number(open, i, NULL), CPN_HELD_ELSEWHERE);
    }
    assert_int_equal(check_number(h, 100, NULL), CPN_HELD_NOT);
    assert_int_equal(check_number(h, 100, here), CPN_HELD_HERE);
    assert_int_equal(check_number(open, 100, NULL), CPN_HELD_ELSEWHERE);
    cpn_holders_free(h);
    cpn_holders_free(open);
    cpn_holders_free(NULL);
}

/* ---- the setting ---- */

static void
the_setting_decides(void **state)
{
    static const struct {
        cpn_binding_rule rule;
        bool has_key;
        cpn_held held;
        cpn_reason why;
        cpn_binding binding;
    } rows[] = {
        { CPN_BINDING_NOBODY, false, CPN_HELD_NOT, CPN_WHY_INTERNAL, CPN_BINDING_NONE },
        { CPN_BINDING_NOBODY, true, CPN_HELD_HERE, CPN_WHY_INTERNAL, CPN_BINDING_NONE },
        { (cpn_binding_rule)9, true, CPN_HELD_HERE, CPN_WHY_INTERNAL, CPN_BINDING_NONE },
        { CPN_BINDING_REQUIRE, false, CPN_HELD_NOT, CPN_WHY_KEY_MISSING, CPN_BINDING_NONE },
        { CPN_BINDING_REQUIRE, false, CPN_HELD_HERE, CPN_WHY_KEY_MISSING, CPN_BINDING_NONE },
        { CPN_BINDING_REQUIRE, true, CPN_HELD_NOT, CPN_WHY_KEY_PROOF, CPN_BINDING_NONE },
        { CPN_BINDING_REQUIRE, true, (cpn_held)9, CPN_WHY_KEY_PROOF, CPN_BINDING_NONE },
        { CPN_BINDING_REQUIRE, true, CPN_HELD_ELSEWHERE, CPN_WHY_TLS_OPENED, CPN_BINDING_NONE },
        { CPN_BINDING_PREFER, true, CPN_HELD_NOT, CPN_WHY_KEY_PROOF, CPN_BINDING_NONE },
        { CPN_BINDING_PREFER, true, CPN_HELD_ELSEWHERE, CPN_WHY_NONE, CPN_BINDING_NONE },
        { CPN_BINDING_PREFER, false, CPN_HELD_NOT, CPN_WHY_NONE, CPN_BINDING_NONE },
        { CPN_BINDING_PREFER, false, CPN_HELD_HERE, CPN_WHY_NONE, CPN_BINDING_NONE },
        { CPN_BINDING_PREFER, true, CPN_HELD_HERE, CPN_WHY_NONE, CPN_BINDING_EXPORTER },
        { CPN_BINDING_REQUIRE, true, CPN_HELD_HERE, CPN_WHY_NONE, CPN_BINDING_EXPORTER },
    };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(rows); i++) {
        cpn_binding b = CPN_BINDING_EXPORTER;

        assert_int_equal(cpn_binding_decide(rows[i].rule, rows[i].has_key, rows[i].held, &b),
                         rows[i].why);
        assert_int_equal(b, rows[i].binding);
    }
    assert_int_equal(cpn_binding_rule_of(""), CPN_BINDING_NOBODY);
    assert_int_equal(cpn_binding_rule_of("Require"), CPN_BINDING_NOBODY);
    assert_int_equal(cpn_binding_rule_of("require"), CPN_BINDING_REQUIRE);
    assert_int_equal(cpn_binding_rule_of("prefer"), CPN_BINDING_PREFER);
    assert_int_equal(cpn_binding_of("Exporter"), CPN_BINDING_NONE);
    assert_int_equal(cpn_binding_of(cpn_binding_word(CPN_BINDING_EXPORTER)), CPN_BINDING_EXPORTER);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_are_refused),
        cmocka_unit_test(texts_are_refused),
        cmocka_unit_test(one_bit_off_is_not_signed),
        cmocka_unit_test(vectors_are_what_we_make),
        cmocka_unit_test(thumbs_of_nothing_match_nothing),
        cmocka_unit_test(other_requests_are_refused),
        cmocka_unit_test(here_or_elsewhere),
        cmocka_unit_test(a_proof_serves_once),
        cmocka_unit_test(a_slow_clock_makes_no_proof_serve_again),
        cmocka_unit_test(a_full_memory_refuses_or_forgets),
        cmocka_unit_test(the_setting_decides),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
