/* Forms, base64, hexadecimal, digests, URLs and percent-encoding, refusals first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codec/b64url.h"
#include "codec/chars.h"
#include "codec/digest.h"
#include "codec/form.h"
#include "codec/url.h"

static void
odd_forms_are_refused(void **state)
{
    static const char *const refused[] = {
        "a",     "=b",    "a=b&",  "&a=b",  "a=b&&c=d",   "a=b&a=c", "a=1&%61=2",   "a=%", "a=%4",
        "a=%4g", "a=%00", "%00=a", "a=b\n", "a=\xc3\xa4", "a=b c",   "a=b;c=d\x7f", "%=a"
    };
    cpn_form form;

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++) {
        uint8_t *body = (uint8_t *)strdup(refused[i]);
        if (cpn_form_parse(body, strlen(refused[i]), &form, NULL) != CPN_INVALID)
            fail_msg("%s: accepted", refused[i]);
        assert_int_equal(form.fields, 0);
        free(body);
    }
}

static void
forms_are_bounded(void **state)
{
    CPN_AUTO(cpn_buf_fini) cpn_buf body = { .max = 4096 };
    char name[8];
    cpn_form form;

    (void)state;
    for (int i = 0; i < CPN_FORM_MAX + 1; i++) {
        CPN_AUTO(cpn_buf_fini) cpn_buf copy = { .max = 4096 };
        snprintf(name, sizeof(name), "n%d", i);
        assert_int_equal(cpn_form_put(&body, name, CPN_VIEW_LIT("a b&\xff")), CPN_OK);
        assert_int_equal(cpn_buf_append(&copy, cpn_buf_view(&body)), CPN_OK);
        assert_int_equal(cpn_form_parse(copy.p, copy.n, &form, NULL),
                         i < CPN_FORM_MAX ? CPN_OK : CPN_INVALID);
        assert_true(i == CPN_FORM_MAX || cpn_view_is(cpn_form_get(&form, name), "a b&\xff"));
    }
}

static void
forms_decode_in_place(void **state)
{
    uint8_t body[] = "resourceId=%2fsubs%2Fx&protocol=tcp+tunnel&empty=&a%20b=c=d";
    cpn_form form;

    (void)state;
    assert_int_equal(cpn_form_parse(body, 0, &form, NULL), CPN_OK);
    assert_int_equal(form.fields, 0);
    assert_int_equal(cpn_form_parse(body, sizeof(body) - 1, &form, NULL), CPN_OK);
    assert_int_equal(form.fields, 4);
    assert_true(cpn_view_is(cpn_form_get(&form, "resourceId"), "/subs/x"));
    assert_true(cpn_view_is(cpn_form_get(&form, "protocol"), "tcp tunnel"));
    assert_true(cpn_view_is(cpn_form_get(&form, "a b"), "c=d"));
    assert_non_null(cpn_form_get(&form, "empty").p);
    assert_null(cpn_form_get(&form, "resourceid").p);
}

static void
base64_has_one_spelling(void **state)
{
    static const char *const url_refused[] = { "A",   "AB",   "ABC",  "AAAAA", "AA==", "AA=",
                                               "A A", "AA\n", "+AAA", "/AAA",  "AA.A", "AAB" };
    static const char *const std_refused[] = { "A",    "AA",       "AAA",  "AB==", "AAB=",
                                               "A===", "====",     "=AAA", "AA=A", "-AAA",
                                               "_AAA", "AA==AAAA", "AAA\n" };
    uint8_t out[8];
    size_t n = 1;

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(url_refused); i++)
        if (cpn_b64url_decode(cpn_view_str(url_refused[i]), out, sizeof(out), &n) != CPN_INVALID)
            fail_msg("%s: accepted", url_refused[i]);
    for (size_t i = 0; i < CPN_COUNT(std_refused); i++)
        if (cpn_b64_decode(cpn_view_str(std_refused[i]), out, sizeof(out), &n) != CPN_INVALID)
            fail_msg("%s: accepted", std_refused[i]);
    assert_int_equal(n, 0);
    assert_int_equal(cpn_b64url_decode(CPN_VIEW_LIT("AAAAAAAAAAAA"), out, 8, &n), CPN_LIMIT);
    assert_int_equal(cpn_b64url_decode(CPN_VIEW_LIT("AAAAAAAAAAA"), out, 8, &n), CPN_OK);
    assert_int_equal(n, 8);
}

static void
base64_round_trips(void **state)
{
    static const struct {
        const char *plain, *std, *url;
    } rows[] = {
        { "", "", "" },
        { "f", "Zg==", "Zg" },
        { "fo", "Zm8=", "Zm8" },
        { "foo", "Zm9v", "Zm9v" },
        { "foobar", "Zm9vYmFy", "Zm9vYmFy" },
        { "\xfb\xff\xfe", "+//+", "-__-" },
    };
    uint8_t out[16];
    char text[16];
    size_t n;

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(rows); i++) {
        cpn_view plain = cpn_view_str(rows[i].plain);
        assert_true(cpn_b64_encode(plain, text, CPN_B64_SIZE(plain.n)));
        assert_string_equal(text, rows[i].std);
        assert_int_equal(cpn_b64_decode(cpn_view_str(text), out, sizeof(out), &n), CPN_OK);
        assert_true(cpn_view_eq((cpn_view){ out, n }, plain));
        assert_true(cpn_b64url_encode(plain, text, CPN_B64_SIZE(plain.n)));
        assert_string_equal(text, rows[i].url);
        assert_int_equal(cpn_b64url_decode(cpn_view_str(text), out, sizeof(out), &n), CPN_OK);
        assert_true(cpn_view_eq((cpn_view){ out, n }, plain));
        assert_false(cpn_b64_encode(plain, text, CPN_B64_SIZE(plain.n) - 1));
    }
}

static void
digests_and_hex(void **state)
{
    const cpn_view pieces[] = { CPN_VIEW_LIT("a"), { NULL, 0 }, CPN_VIEW_LIT("bc") };
    uint8_t digest[CPN_SHA256_BYTES], back[CPN_SHA256_BYTES];
    char hex[CPN_SHA256_HEX_SIZE];

    (void)state;
    cpn_sha256_hex((cpn_view){ NULL, 0 }, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    cpn_sha256_hex(CPN_VIEW_LIT("abc"), hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    cpn_sha256_pieces(pieces, CPN_COUNT(pieces), digest);
    assert_true(cpn_hex_decode(cpn_view_str(hex), back, sizeof(back)));
    assert_memory_equal(back, digest, sizeof(digest));
    assert_false(cpn_hex_decode(CPN_VIEW_LIT("abc"), back, 1));
    assert_false(cpn_hex_decode(CPN_VIEW_LIT("abcd"), back, 1));
    assert_false(cpn_hex_decode(CPN_VIEW_LIT("0g"), back, 1));
    assert_true(cpn_hex_decode(CPN_VIEW_LIT("aB"), back, 1));
    assert_int_equal(back[0], 0xab);
    assert_false(cpn_hex_encode(CPN_VIEW_LIT("ab"), hex, 4));
}

static void
odd_urls_are_refused(void **state)
{
    static const char *const refused[] = {
        "",
        "https",
        "https:/x",
        "ftp://x",
        "//x",
        "https://",
        "https:///x",
        "https://:443",
        "https://x:",
        "https://x:0",
        "https://x:65536",
        "https://x:-1",
        "https://x:08",
        "https://u@x",
        "https://u:p@x",
        "https://[::1",
        "https://[::g]",
        "https://[fe80::1%eth0]",
        "https://[::1]x",
        "https://::1",
        "https://x y",
        "https://x\\y",
        "https://.x",
        "https://-oProxyCommand=x",
        "https://x\n",
        "https://\xc3\xa4",
        "https://x#f",
        "https://x?q",
        "https://x/a",
        "https://x//",
        "https://x/#f",
        " https://x",
    };
    CPN_AUTO(cpn_buf_fini) cpn_buf longest = { .max = 1024 };
    cpn_url u;

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++)
        if (cpn_url_parse(cpn_view_str(refused[i]), &u, NULL) != CPN_INVALID)
            fail_msg("%s: accepted", refused[i]);
    assert_int_equal(cpn_buf_printf(&longest, "https://%0255d", 0), CPN_OK);
    assert_int_equal(cpn_url_parse(cpn_buf_view(&longest), &u, NULL), CPN_OK);
    assert_int_equal(cpn_buf_append(&longest, CPN_VIEW_LIT("0")), CPN_OK);
    assert_int_equal(cpn_url_parse(cpn_buf_view(&longest), &u, NULL), CPN_INVALID);
}

static void
urls_are_read(void **state)
{
    static const struct {
        const char *in, *host, *hostport, *origin;
        unsigned port;
        bool tls, ipv6;
    } rows[] = {
        { "https://Gw.Example", "gw.example", "gw.example", "https://gw.example", 443, true,
          false },
        { "https://gw:8443/", "gw", "gw:8443", "https://gw:8443", 8443, true, false },
        { "HTTP://10.0.0.1:80", "10.0.0.1", "10.0.0.1", "http://10.0.0.1", 80, false, false },
        { "http://x:443", "x", "x:443", "http://x:443", 443, false, false },
        { "https://[FD00:0::1]:8443", "fd00::1", "[fd00::1]:8443", "https://[fd00::1]:8443", 8443,
          true, true },
    };
    char text[CPN_URL_ORIGIN_SIZE];
    cpn_view rest;
    cpn_url u;

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(rows); i++) {
        assert_int_equal(cpn_url_parse(cpn_view_str(rows[i].in), &u, NULL), CPN_OK);
        assert_string_equal(u.host, rows[i].host);
        assert_true(u.port == rows[i].port && u.tls == rows[i].tls && u.ipv6 == rows[i].ipv6);
        assert_string_equal(cpn_url_hostport(&u, text), rows[i].hostport);
        assert_string_equal(cpn_url_origin(&u, text), rows[i].origin);
    }
    assert_int_equal(cpn_url_split(CPN_VIEW_LIT("https://x/a/b?c"), &u, &rest, NULL), CPN_OK);
    assert_true(cpn_view_is(rest, "/a/b?c"));
}

static void
percents_round_trip(void **state)
{
    CPN_AUTO(cpn_buf_fini) cpn_buf out = { .max = 10 };
    char text[8];

    (void)state;
    assert_int_equal(cpn_percent_decode(CPN_VIEW_LIT("%00"), text, sizeof(text)), CPN_INVALID);
    assert_int_equal(cpn_percent_decode(CPN_VIEW_LIT("%4"), text, sizeof(text)), CPN_INVALID);
    assert_int_equal(cpn_percent_decode(CPN_VIEW_LIT("12345678"), text, sizeof(text)), CPN_LIMIT);
    assert_string_equal(text, "");
    assert_int_equal(cpn_percent_put(&out, CPN_VIEW_LIT("a/b c\xff")), CPN_LIMIT);
    assert_int_equal(out.n, 0);
    assert_int_equal(cpn_percent_put(&out, CPN_VIEW_LIT("a/~ \xff")), CPN_LIMIT);
    assert_int_equal(cpn_percent_put(&out, CPN_VIEW_LIT("a/~\xff")), CPN_OK);
    assert_true(cpn_view_is(cpn_buf_view(&out), "a%2F~%FF"));
    assert_int_equal(cpn_percent_decode(cpn_buf_view(&out), text, sizeof(text)), CPN_OK);
    assert_string_equal(text, "a/~\xff");
}

static void
utf8_is_well_formed(void **state)
{
    static const char *const refused[] = { "\x80",
                                           "\xc0\xaf",
                                           "\xc1\xbf",
                                           "\xc3",
                                           "\xe0\x9f\xbf",
                                           "\xed\xa0\x80",
                                           "\xe2\x82",
                                           "\xf0\x8f\xbf\xbf",
                                           "\xf4\x90\x80\x80",
                                           "\xf5\x80\x80\x80",
                                           "\xff",
                                           "\xc3\x28",
                                           "\xe2\x82\x28" };
    char cut[] = "no account name: \xc3\xbc\xe6", whole[] = "J\xc3\xbcrgen";

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++)
        if (cpn_is_utf8(cpn_view_str(refused[i])))
            fail_msg("row %zu: accepted", i);
    assert_true(cpn_is_utf8(cpn_view_str("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf")));
    assert_true(cpn_is_plain((cpn_view){ NULL, 0 }) && cpn_is_plain(CPN_VIEW_LIT("a \xc3\xa4")));
    assert_false(cpn_is_plain(CPN_VIEW_LIT("a\n")) || cpn_is_plain(CPN_VIEW_LIT("\x7f")) ||
                 cpn_is_plain(CPN_VIEW_LIT("\xc3")));
    /* Cut through a character, and whole. */
    cpn_utf8_mend(cut);
    assert_string_equal(cut, "no account name: ???");
    cpn_utf8_mend(whole);
    assert_string_equal(whole, "J\xc3\xbcrgen");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(odd_forms_are_refused), cmocka_unit_test(forms_are_bounded),
        cmocka_unit_test(forms_decode_in_place), cmocka_unit_test(base64_has_one_spelling),
        cmocka_unit_test(base64_round_trips),    cmocka_unit_test(digests_and_hex),
        cmocka_unit_test(odd_urls_are_refused),  cmocka_unit_test(urls_are_read),
        cmocka_unit_test(percents_round_trip),   cmocka_unit_test(utf8_is_well_formed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
