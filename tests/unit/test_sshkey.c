/* sshkey: what is no key to certify, then the lines that ssh-keygen would write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codec/b64url.h"
#include "codec/sshkey.h"
#include "identity/sshask.h"

/* RFC 8037, appendix A. */
#define X "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"

/* base64url of a modulus of so many bytes: first, …, last. */
static char *
modulus(size_t bytes, uint8_t first, uint8_t last)
{
    static char text[CPN_B64_SIZE(1024)];
    uint8_t raw[1024];

    memset(raw, 0x5a, sizeof(raw));
    raw[0] = first;
    raw[bytes - 1] = last;
    assert_true(cpn_b64url_encode((cpn_view){ raw, bytes }, text, sizeof(text)));
    return text;
}

static cpn_rc
read_rsa(const char *n, const char *e, const char *more, cpn_sshkey *out)
{
    char json[8192];
    cpn_err err = { 0 };

    snprintf(json, sizeof(json), "{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"%s}", n, e, more);
    return cpn_sshkey_read(out, cpn_view_str(json), &err);
}

static void
texts_that_are_no_key(void **state)
{
    static const char *const refused[] = {
        "",
        "null",
        "[]",
        "{}",
        "{\"kty\":\"RSA\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X "\"}",
        "{\"kty\":\"oct\",\"k\":\"AAAA\"}",
        "{\"kty\":1}",
        "{\"kty\":\"OKP\",\"x\":\"" X "\"}",
        "{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"" X "\"}",
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"\"}",
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" X "AA\"}",
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\" " X "\"}",
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":"
        "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":"
        "\"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"7P_______________________________________"
        "38\"}",
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" X "\",\"d\":\"" X "\"}",
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" X "\",\"n\":\"AQAB\"}",
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" X "\",\"x\":\"" X "\"}",
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" X "\",\"kid\":7}",
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" X "\",\"kid\":\"a\\nb\"}",
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" X "\"} x",
    };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++) {
        cpn_err err = { 0 };
        cpn_sshkey k;

        if (cpn_sshkey_read(&k, cpn_view_str(refused[i]), &err) != CPN_INVALID)
            fail_msg("%s was taken", refused[i]);
        assert_int_equal(k.kind, CPN_SSHKEY_NONE);
        assert_string_not_equal(err.msg, "");
    }
}

static void
rsa_keys_that_are_refused(void **state)
{
    cpn_sshkey k;

    (void)state;
    assert_int_equal(read_rsa(modulus(128, 0x80, 1), "AQAB", "", &k), CPN_INVALID); /* 1024 bits */
    assert_int_equal(read_rsa(modulus(256, 0x7f, 1), "AQAB", "", &k), CPN_INVALID); /* 2047 */
    assert_int_equal(read_rsa(modulus(513, 0x01, 1), "AQAB", "", &k), CPN_INVALID); /* 4097 */
    assert_int_equal(read_rsa(modulus(1024, 0x80, 1), "AQAB", "", &k), CPN_INVALID);
    assert_int_equal(read_rsa(modulus(256, 0x80, 2), "AQAB", "", &k), CPN_INVALID); /* even */
    assert_int_equal(read_rsa(modulus(258, 0x00, 1), "AQAB", "", &k), CPN_INVALID); /* 00 5a … */
    assert_int_equal(read_rsa("", "AQAB", "", &k), CPN_INVALID);
    assert_int_equal(read_rsa("====", "AQAB", "", &k), CPN_INVALID);
    assert_int_equal(read_rsa(modulus(256, 0x80, 1), "", "", &k), CPN_INVALID);
    assert_int_equal(read_rsa(modulus(256, 0x80, 1), "AQ", "", &k), CPN_INVALID);      /* 1 */
    assert_int_equal(read_rsa(modulus(256, 0x80, 1), "Aw", "", &k), CPN_INVALID);      /* 3 */
    assert_int_equal(read_rsa(modulus(256, 0x80, 1), "AQAA", "", &k), CPN_INVALID);    /* even */
    assert_int_equal(read_rsa(modulus(256, 0x80, 1), "AQAAAAE", "", &k), CPN_INVALID); /* 33 bits */
    assert_int_equal(read_rsa(modulus(256, 0x80, 1), "AQA+", "", &k), CPN_INVALID);
    assert_int_equal(read_rsa(modulus(256, 0x80, 1), "AQAB", ",\"d\":\"AQAB\"", &k), CPN_INVALID);
    assert_int_equal(read_rsa(modulus(256, 0x80, 1), "AQAB", ",\"p\":\"AQAB\"", &k), CPN_INVALID);
    assert_int_equal(read_rsa(modulus(256, 0x80, 1), "AQAB", ",\"x\":\"" X "\"", &k), CPN_INVALID);
}

static void
lines_are_openssh_s(void **state)
{
    static const char *const want =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea";
    char padded[CPN_B64_SIZE(600)];
    uint8_t raw[257];
    cpn_sshkey k, same;
    cpn_err err = { 0 };

    (void)state;
    assert_int_equal(cpn_sshkey_read(&k,
                                     CPN_VIEW_LIT("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" X
                                                  "\",\"kid\":\"me\"}"),
                                     &err),
                     CPN_OK);
    assert_string_equal(k.line, want);
    assert_string_equal(k.kid, "me");
    assert_int_equal(read_rsa(modulus(256, 0x80, 1), "AQAB", "", &k), CPN_OK);
    assert_int_equal(k.bits, 2048);
    assert_memory_equal(k.line, "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQCA", 40);
    /* as the ssh extension of the Azure CLI writes it: a zero in front, and padding */
    memset(raw, 0x5a, sizeof(raw));
    raw[0] = 0;
    raw[1] = 0x80;
    raw[256] = 1;
    assert_true(cpn_b64url_encode((cpn_view){ raw, sizeof(raw) }, padded, sizeof(padded)));
    memcpy(padded + strlen(padded), "=", 2);
    assert_int_equal(read_rsa(padded, "AQAB", ",\"kid\":\"k\"", &same), CPN_OK);
    assert_string_equal(same.line, k.line);
    assert_int_equal(read_rsa(modulus(512, 0xff, 0xff), "_____w", "", &k), CPN_OK);
    assert_int_equal(k.bits, 4096);
    assert_true(strlen(k.line) < sizeof(k.line) - 1);
}

static void
bodies_of_lines(void **state)
{
    cpn_view body;

    (void)state;
    assert_false(cpn_sshkey_body(CPN_VIEW_LIT(""), "a", &body));
    assert_false(cpn_sshkey_body(CPN_VIEW_LIT("a"), "a", &body));
    assert_false(cpn_sshkey_body(CPN_VIEW_LIT("a "), "a", &body));
    assert_false(cpn_sshkey_body(CPN_VIEW_LIT("b AAAA"), "a", &body));
    assert_false(cpn_sshkey_body(CPN_VIEW_LIT("a AA\"A"), "a", &body));
    assert_false(cpn_sshkey_body(CPN_VIEW_LIT("x\na AAAA"), "a", &body));
    assert_true(cpn_sshkey_body(CPN_VIEW_LIT("a AAAA comment\nmore"), "a", &body));
    assert_true(cpn_view_is(body, "AAAA"));
}

#define LINUX "https://pas.windows.net/CheckMyAccess/Linux/.default"
#define WISH                                                                                       \
    "token_type=ssh-cert&req_cnf=%7b%22kty%22:%22OKP%22,%22crv%22:%22Ed25519%22,%22x%22:%22" X     \
    "%22%7d"

static void
wishes_for_a_certificate(void **state)
{
    static const struct {
        const char *form, *scope, *error; /* NULL: it is one */
    } cases[] = {
        { "token_type=pop", LINUX, "invalid_request" },
        { "token_type=SSH-cert", LINUX, "invalid_request" },
        { "token_type=", LINUX, "invalid_request" },
        { "token_type=ssh-cert", LINUX, "invalid_request" },
        { "token_type=ssh-cert&req_cnf=%7b%7d", LINUX, "invalid_request" },
        { WISH, "", "invalid_scope" },
        { WISH, LINUX "2", "invalid_scope" },
        { WISH, "https://pas.windows.net/CheckMyAccess/Windows/.default", "invalid_scope" },
        { WISH "&key_id=a%0ab", LINUX, "invalid_request" },
        { WISH "&target=web1", LINUX, "invalid_request" },
        { WISH "&target=", LINUX, "invalid_request" },
        { WISH "&target=%2fsubscriptions%2f..%2fx", LINUX, "invalid_request" },
        { WISH, "openid " LINUX " profile", NULL },
        { WISH, "https://pas.chinacloudapi.cn/CheckMyAccess/Linux/.default", NULL },
        { WISH, "https://pasff.usgovcloudapi.net/CheckMyAccess/Linux/.default", NULL },
    };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(cases); i++) {
        char *text = strdup(cases[i].form);
        const char *error = "";
        cpn_err err = { 0 };
        cpn_ssh_ask ask;
        cpn_form form;
        cpn_rc rc;

        assert_int_equal(cpn_form_parse((uint8_t *)text, strlen(text), &form, NULL), CPN_OK);
        rc = cpn_ssh_ask_read(&ask, &form, cpn_view_str(cases[i].scope), &error, &err);
        if (cases[i].error ? rc != CPN_INVALID || strcmp(error, cases[i].error) != 0
                           : rc != CPN_OK || !ask.wanted)
            fail_msg("%s: %d %s %s", cases[i].form, rc, error, err.msg);
        free(text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_that_are_no_key),    cmocka_unit_test(rsa_keys_that_are_refused),
        cmocka_unit_test(lines_are_openssh_s),      cmocka_unit_test(bodies_of_lines),
        cmocka_unit_test(wishes_for_a_certificate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
