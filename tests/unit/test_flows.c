/* Pending sign-ins: user codes, redirect URIs, escaping, and the state machine by a given clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "codec/digest.h"
#include "codec/html.h"
#include "identity/flows.h"

#define AZ "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
#define HOME "http://localhost:8400"
#define VERIFIER "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" /* RFC 7636 appendix B */
#define T0 1000000ull

static const uint8_t mine[32] = { 1 }, other[32] = { 2 };
static cpn_flows *flows;

static cpn_flow_ask
ask_from(uint8_t last, bool device)
{
    cpn_flow_ask a = { .device = device,
                       .source = { { [10] = 0xff, 0xff, 192, 0, 2, last } },
                       .client_id = AZ };

    if (!device) {
        snprintf(a.redirect_uri, sizeof(a.redirect_uri), HOME);
        cpn_sha256(CPN_VIEW_LIT(VERIFIER), a.challenge);
    }
    return a;
}

static cpn_flow_answer
poll(const char *code, uint64_t now, cpn_flow **out)
{
    return cpn_flow_poll(flows, cpn_view_str(code), AZ, now, out);
}

static cpn_flow_answer
redeem(const char *code, const char *uri, const char *verifier, uint64_t now)
{
    cpn_flow_proof p = { cpn_view_str(code), cpn_view_str(uri), cpn_view_str(verifier), AZ };
    cpn_flow *out;

    return cpn_flow_redeem(flows, &p, now, &out);
}

/* ---- texts ---- */

static void
redirect_uris_elsewhere_are_refused(void **state)
{
    static const char *const refused[] = {
        "",
        "https://127.0.0.1/",
        "http://example.org/",
        "http://127.0.0.1.example.org/",
        "http://localhost.example.org:8400",
        "http://localhost@example.org/",
        "http://localhost:8400@example.org/",
        "http://127.0.0.1:8400\\@example.org/",
        "http://127.1/",
        "http://0177.0.0.1/",
        "http://2130706433/",
        "http://127.0.0.2/",
        "http://0.0.0.0/",
        "http://LOCALHOST/",
        "HTTP://localhost/",
        "http://[::1].example.org/",
        "http://[::]/",
        "http://[0:0::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://localhost:0/",
        "http://localhost:65536/",
        "http://localhost:/",
        "http://localhost:84 00/",
        "http://localhost#x",
        "http://localhost/#x",
        "http://localhost/?x=1",
        "http://localhost?x",
        "http://localhost/;x",
        "http://localhost/%0",
        "http://localhost/\"onclick=",
        "http://localhost/a,b",
        "javascript:alert(1)",
        "localhost:8400",
        "//localhost/",
        "urn:ietf:wg:oauth:2.0:oob",
    };
    char origin[CPN_URL_ORIGIN_SIZE], lang[CPN_LOOPBACK_MAX + 2];

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++)
        if (cpn_loopback_check(cpn_view_str(refused[i]), origin, NULL) != CPN_INVALID || origin[0])
            fail_msg("taken: %s", refused[i]);
    memset(lang, 'a', sizeof(lang));
    memcpy(lang, "http://localhost/", 17);
    assert_int_equal(
        cpn_loopback_check((cpn_view){ (uint8_t *)lang, CPN_LOOPBACK_MAX + 1 }, origin, NULL),
        CPN_INVALID);
    assert_int_equal(
        cpn_loopback_check((cpn_view){ (uint8_t *)lang, CPN_LOOPBACK_MAX }, origin, NULL), CPN_OK);
    assert_int_equal(cpn_loopback_check(CPN_VIEW_LIT("http://[::1]:49152/a/b%20c"), origin, NULL),
                     CPN_OK);
    assert_string_equal(origin, "http://[::1]:49152");
    assert_int_equal(cpn_loopback_check(CPN_VIEW_LIT(HOME), origin, NULL), CPN_OK);
    assert_string_equal(origin, HOME);
    assert_int_equal(cpn_loopback_check(CPN_VIEW_LIT("http://127.0.0.1/cb"), origin, NULL), CPN_OK);
    assert_string_equal(origin, "http://127.0.0.1");
}

static void
user_codes_are_read_as_people_type_them(void **state)
{
    static const char *const refused[] = { "",
                                           "BCDF",
                                           "BCDF-GHJ",
                                           "BCDF-GHJA",
                                           "BCDF-GHJKL",
                                           "BCDF_GHJK",
                                           "BCDF-GHJ0",
                                           "<b>BCDF-GHJK",
                                           "BCDF-GHJ\xc3\x84",
                                           "--------",
                                           "BCDFGHJKBCDFGHJK" };
    char out[CPN_USER_CODE], made[CPN_USER_CODE];

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++)
        if (cpn_user_code_read(cpn_view_str(refused[i]), out) || out[0])
            fail_msg("taken: %s", refused[i]);
    assert_false(cpn_user_code_read((cpn_view){ (const uint8_t *)"BCDF\0GHJK", 9 }, out));
    assert_false(
        cpn_user_code_read(CPN_VIEW_LIT("B C D F - - - - - - - - - - - - - - - - G H J K"), out));
    assert_true(cpn_user_code_read(CPN_VIEW_LIT(" bcdf ghjk "), out));
    assert_string_equal(out, "BCDF-GHJK");
    for (int i = 0; i < 100; i++) {
        cpn_user_code_new(made);
        assert_true(cpn_user_code_read(cpn_view_str(made), out));
        assert_string_equal(out, made);
    }
}

static void
values_never_become_markup(void **state)
{
    static const struct {
        const char *in, *out;
    } each[] = {
        { "<script>alert('x')</script>", "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" },
        { "\"><img src=x onerror=\"y", "&quot;&gt;&lt;img src=x onerror=&quot;y" },
        { "a & b &amp; c", "a &amp; b &amp;amp; c" },
        { "line\nnext\ttab\x7f", "line\xef\xbf\xbdnext\xef\xbf\xbdtab\xef\xbf\xbd" },
        { "\xff\xfe\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
        { "\xc0\xbcscript", "\xef\xbf\xbd\xef\xbf\xbdscript" }, /* an overlong '<' */
        { "\xe2\x80\xaegpj.exe", "\xef\xbf\xbdgpj.exe" },       /* right to left */
        { "pay\xe2\x80\x8bpal", "pay\xef\xbf\xbdpal" },
        { "\xc2\x85x", "\xef\xbf\xbdx" },
        { "J\xc3\xbcrgen \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x94\x91",
          "J\xc3\xbcrgen \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x94\x91" },
    };
    cpn_buf small = { .max = 8 };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(each); i++) {
        CPN_AUTO(cpn_buf_fini) cpn_buf b = { .max = 1024 };

        assert_int_equal(cpn_html_put(&b, cpn_view_str(each[i].in)), CPN_OK);
        assert_int_equal(cpn_buf_append(&b, (cpn_view){ (const uint8_t *)"", 1 }), CPN_OK);
        assert_string_equal((char *)b.p, each[i].out);
    }
    assert_int_equal(cpn_html_put(&small, CPN_VIEW_LIT("abc<<<")), CPN_LIMIT);
    assert_int_equal(small.n, 0);
    cpn_buf_fini(&small);
}

/* ---- device codes ---- */

static void
device_codes_are_refused_in_every_wrong_way(void **state)
{
    char code[CPN_FLOW_SECRET], none[CPN_FLOW_SECRET];
    cpn_flow_ask a = ask_from(1, true);
    cpn_flow *flow, *out;

    (void)state;
    assert_int_equal(cpn_flow_device(flows, &a, T0, code, &flow), CPN_OK);
    assert_int_equal(poll("", T0, &out), CPN_FLOW_BAD);
    assert_int_equal(poll("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", T0, &out), CPN_FLOW_BAD);
    assert_int_equal(cpn_flow_poll(flows, cpn_view_str(code), "another", T0, &out), CPN_FLOW_BAD);
    assert_int_equal(redeem(code, HOME, VERIFIER, T0), CPN_FLOW_BAD); /* not that kind */
    assert_int_equal(poll(code, T0, &out), CPN_FLOW_PENDING);
    /* Too fast: 5, then 10 seconds; each impatience costs 5 more. */
    assert_int_equal(poll(code, T0 + 1000, &out), CPN_FLOW_SLOWER);
    assert_int_equal(poll(code, T0 + 8000, &out), CPN_FLOW_SLOWER);
    assert_int_equal(flow->interval_s, 15);
    assert_int_equal(poll(code, T0 + 23000, &out), CPN_FLOW_PENDING);
    /* Codes that nobody has; another browser; the wrong order. */
    assert_int_equal(cpn_flow_claim(flows, "BCDF-GHJK", mine, T0, &out), CPN_NOT_FOUND);
    assert_int_equal(cpn_flow_claim(flows, "", mine, T0, &out), CPN_NOT_FOUND);
    assert_null(cpn_flow_find(flows, cpn_view_str(flow->id), mine, CPN_FLOW_CLAIMED, T0));
    assert_int_equal(cpn_flow_claim(flows, flow->user_code, mine, T0, &out), CPN_OK);
    assert_int_equal(cpn_flow_claim(flows, flow->user_code, mine, T0, &out), CPN_EXISTS);
    assert_ptr_equal(out, flow);
    assert_int_equal(cpn_flow_claim(flows, flow->user_code, other, T0, &out), CPN_NOT_FOUND);
    assert_null(cpn_flow_find(flows, cpn_view_str(flow->id), other, CPN_FLOW_CLAIMED, T0));
    assert_null(cpn_flow_find(flows, cpn_view_str(flow->id), mine, CPN_FLOW_PROVED, T0));
    assert_null(cpn_flow_find(flows, CPN_VIEW_LIT(""), mine, CPN_FLOW_CLAIMED, T0));
    assert_ptr_equal(cpn_flow_find(flows, cpn_view_str(flow->id), mine, CPN_FLOW_CLAIMED, T0),
                     flow);
    cpn_flow_proved(flow, "0a1b2c3d-0000-4000-8000-00000000000a", "ada", 7);
    assert_int_equal(poll(code, T0 + 40000, &out), CPN_FLOW_PENDING); /* proved is not approved */
    cpn_flow_decide(flow, false, T0 + 40000, none);
    assert_string_equal(none, "");
    assert_int_equal(poll(code, T0 + 60000, &out), CPN_FLOW_REFUSED);
    assert_int_equal(cpn_flow_claim(flows, flow->user_code, mine, T0, &out), CPN_NOT_FOUND);
}

static void
device_codes_expire(void **state)
{
    uint64_t end = T0 + CPN_FLOW_DEVICE_S * 1000;
    char code[CPN_FLOW_SECRET], next[CPN_FLOW_SECRET];
    cpn_flow_ask a = ask_from(1, true);
    cpn_flow *flow, *out;

    (void)state;
    assert_int_equal(cpn_flow_device(flows, &a, T0, code, &flow), CPN_OK);
    assert_int_equal(poll(code, end - 1, &out), CPN_FLOW_PENDING);
    assert_int_equal(poll(code, end, &out), CPN_FLOW_EXPIRED);
    assert_int_equal(cpn_flow_claim(flows, flow->user_code, mine, end, &out), CPN_NOT_FOUND);
    /* Forgotten in the end. */
    assert_int_equal(cpn_flow_device(flows, &a, end + CPN_FLOW_KEPT_S * 1000, next, &flow), CPN_OK);
    assert_int_equal(poll(code, end + CPN_FLOW_KEPT_S * 1000, &out), CPN_FLOW_BAD);
}

static void
an_approved_device_code_is_given_once(void **state)
{
    char code[CPN_FLOW_SECRET], none[CPN_FLOW_SECRET];
    cpn_flow_ask a = ask_from(1, true);
    cpn_flow *flow, *out;

    (void)state;
    assert_int_equal(cpn_flow_device(flows, &a, T0, code, &flow), CPN_OK);
    assert_int_equal(cpn_flow_claim(flows, flow->user_code, mine, T0, &out), CPN_OK);
    cpn_flow_proved(flow, "0a1b2c3d-0000-4000-8000-00000000000a", "ada", 7);
    cpn_flow_decide(flow, true, T0, none);
    assert_int_equal(poll(code, T0 + 1000, &out), CPN_FLOW_GIVEN);
    assert_ptr_equal(out, flow);
    assert_string_equal(out->object_id, "0a1b2c3d-0000-4000-8000-00000000000a");
    assert_int_equal(out->epoch, 7);
    assert_int_equal(poll(code, T0 + 9000, &out), CPN_FLOW_BAD);
    assert_null(out);
}

/* ---- authorization codes ---- */

static cpn_flow *
approved(char code[CPN_FLOW_SECRET])
{
    cpn_flow_ask a = ask_from(1, false);
    cpn_flow *flow;

    assert_int_equal(cpn_flow_authorize(flows, &a, mine, T0, &flow), CPN_OK);
    assert_ptr_equal(cpn_flow_find(flows, cpn_view_str(flow->id), mine, CPN_FLOW_CLAIMED, T0),
                     flow);
    cpn_flow_proved(flow, "0a1b2c3d-0000-4000-8000-00000000000a", "ada", 7);
    cpn_flow_decide(flow, true, T0, code);
    assert_int_equal(strlen(code), CPN_FLOW_SECRET - 1);
    return flow;
}

static void
authorization_codes_are_bound(void **state)
{
    char code[CPN_FLOW_SECRET], longer[130];
    cpn_flow *out;
    cpn_flow_proof stranger;

    (void)state;
    (void)approved(code);
    memset(longer, 'a', sizeof(longer));
    longer[129] = '\0';
    stranger = (cpn_flow_proof){ cpn_view_str(code), CPN_VIEW_LIT(HOME), CPN_VIEW_LIT(VERIFIER),
                                 "another" };
    assert_int_equal(cpn_flow_redeem(flows, &stranger, T0, &out), CPN_FLOW_BAD);
    assert_int_equal(redeem("", HOME, VERIFIER, T0), CPN_FLOW_BAD);
    assert_int_equal(redeem(code, HOME "/", VERIFIER, T0), CPN_FLOW_BAD);
    assert_int_equal(redeem(code, "", VERIFIER, T0), CPN_FLOW_BAD);
    assert_int_equal(redeem(code, HOME, "", T0), CPN_FLOW_BAD);
    assert_int_equal(redeem(code, HOME, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", T0),
                     CPN_FLOW_BAD); /* the challenge itself */
    assert_int_equal(redeem(code, HOME, longer, T0), CPN_FLOW_BAD);
    assert_int_equal(redeem(code, HOME, VERIFIER, T0 + CPN_FLOW_CODE_S * 1000), CPN_FLOW_BAD);
    assert_int_equal(poll(code, T0, &out), CPN_FLOW_BAD); /* not that kind */
    assert_int_equal(redeem(code, HOME, VERIFIER, T0 + CPN_FLOW_CODE_S * 1000 - 1), CPN_FLOW_GIVEN);
}

static void
a_reused_code_says_what_it_gave(void **state)
{
    char code[CPN_FLOW_SECRET];
    cpn_flow_proof p = { .redirect_uri = CPN_VIEW_LIT(HOME), .client_id = AZ };
    cpn_flow *out;

    (void)state;
    (void)approved(code);
    p.code = cpn_view_str(code);
    p.verifier = CPN_VIEW_LIT(VERIFIER);
    assert_int_equal(cpn_flow_redeem(flows, &p, T0, &out), CPN_FLOW_GIVEN);
    cpn_flow_gave(out, "family");
    assert_int_equal(cpn_flow_redeem(flows, &p, T0 + 1, &out), CPN_FLOW_REUSED);
    assert_string_equal(out->family, "family");
    /* Also by somebody who has only the code, and after it has run out. */
    assert_int_equal(redeem(code, "", "", T0 + 120000), CPN_FLOW_REUSED);
}

/* ---- bounds ---- */

static void
open_flows_are_bounded(void **state)
{
    char code[CPN_FLOW_SECRET];
    cpn_flow_ask a = ask_from(1, true), b = ask_from(2, true);
    cpn_flow_ask six = { .device = true, .source = { { 0x20, 0x01, 0x0d, 0xb8 } } };
    cpn_flow *flow;

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(cpn_flow_device(flows, &a, T0, code, &flow), CPN_OK);
    assert_int_equal(cpn_flow_device(flows, &a, T0, code, &flow), CPN_DENIED);
    assert_int_equal(cpn_flow_authorize(flows, &a, mine, T0, &flow), CPN_DENIED);
    for (int i = 0; i < 3; i++) { /* one /56 is one source */
        six.source.b[15] = (uint8_t)i;
        assert_int_equal(cpn_flow_device(flows, &six, T0, code, &flow), CPN_OK);
    }
    assert_int_equal(cpn_flow_device(flows, &six, T0, code, &flow), CPN_DENIED);
    for (int i = 0; i < 2; i++)
        assert_int_equal(cpn_flow_device(flows, &b, T0, code, &flow), CPN_OK);
    assert_int_equal(cpn_flow_device(flows, &b, T0, code, &flow), CPN_LIMIT);
    assert_int_equal(cpn_flows_open(flows, T0), 8);
    /* Expired ones are in nobody's way, and are dropped for new ones. */
    for (int i = 0; i < 3; i++)
        assert_int_equal(cpn_flow_device(flows, &a, T0 + 900000, code, &flow), CPN_OK);
    assert_int_equal(cpn_flows_open(flows, T0 + 900000), 3);
    cpn_flows_bounds(flows, 3, 3);
    assert_int_equal(cpn_flow_device(flows, &b, T0 + 900000, code, &flow), CPN_LIMIT);
}

static int
setup(void **state)
{
    (void)state;
    flows = cpn_flows_new(8, 3);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    cpn_flows_free(flows);
    return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(redirect_uris_elsewhere_are_refused),
        TEST(user_codes_are_read_as_people_type_them),
        TEST(values_never_become_markup),
        TEST(device_codes_are_refused_in_every_wrong_way),
        TEST(device_codes_expire),
        TEST(an_approved_device_code_is_given_once),
        TEST(authorization_codes_are_bound),
        TEST(a_reused_code_says_what_it_gave),
        TEST(open_flows_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
