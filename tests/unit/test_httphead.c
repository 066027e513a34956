/* HTTP heads: 44 forms of refusal first, then what is left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codec/httphead.h"

#define H "Host: x\r\n"
#define GET "GET / HTTP/1.1\r\n" H
#define POST "POST /api/tokens HTTP/1.1\r\n" H

/* The bytes in an allocation of their own size, so that a read past the end shows. */
static cpn_rc
parse(cpn_view in, cpn_http_head *out, cpn_err *err)
{
    static uint8_t *kept;
    cpn_rc rc;

    free(kept);
    kept = malloc(in.n ? in.n : 1);
    assert_non_null(kept);
    if (in.n)
        memcpy(kept, in.p, in.n);
    rc = cpn_http_request_parse((cpn_view){ kept, in.n }, NULL, out, err);
    return rc;
}

/* The forms that two parsers are known to read differently, and those that the RFC leaves to the
 * server. */
static void
the_refusal_matrix(void **state)
{
    const struct {
        const char *why;
        cpn_view in;
        int status;
    } refused[] = {
#define ROW(why, text, status) { why, CPN_VIEW_LIT(text), status }
        ROW("length, then encoding", POST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            400),
        ROW("encoding, then length", POST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
            400),
        ROW("length twice, same", POST "Content-Length: 3\r\nContent-Length: 3\r\n\r\n", 400),
        ROW("length twice, other", POST "Content-Length: 3\r\nContent-Length: 4\r\n\r\n", 400),
        ROW("length in a list", POST "Content-Length: 3, 3\r\n\r\n", 400),
        ROW("length +3", POST "Content-Length: +3\r\n\r\n", 400),
        ROW("length -1", POST "Content-Length: -1\r\n\r\n", 400),
        ROW("length 0x10", POST "Content-Length: 0x10\r\n\r\n", 400),
        ROW("length empty", POST "Content-Length:\r\n\r\n", 400),
        ROW("length with a leading zero", POST "Content-Length: 03\r\n\r\n", 400),
        ROW("length of 20 digits", POST "Content-Length: 18446744073709551616\r\n\r\n", 413),
        ROW("chunked", POST "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 411),
        ROW("encoding xchunked", POST "Transfer-Encoding: xchunked\r\n\r\n", 411),
        ROW("encoding identity", POST "Transfer-Encoding: identity\r\n\r\n", 411),
        ROW("encoding listed", POST "Transfer-Encoding: gzip, chunked\r\n\r\n", 411),
        ROW("encoding twice", POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n",
            400),
        ROW("chunk size overflow", POST "Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n",
            411),
        ROW("chunk size ended by CR and a byte",
            POST "Transfer-Encoding: chunked\r\n\r\n5\rXhello\r\n", 411),
        ROW("chunk extension with LF", POST "Transfer-Encoding: chunked\r\n\r\n5;a\nb\r\n", 411),
        ROW("NUL in a value", GET "A: b\0c\r\n\r\n", 400),
        ROW("NUL in a name", GET "A\0: b\r\n\r\n", 400),
        ROW("NUL in the target", "GET /a\0b HTTP/1.1\r\n" H "\r\n", 400),
        ROW("space before the colon", GET "Content-Length : 3\r\n\r\n", 400),
        ROW("tab before the colon", GET "A\t: 3\r\n\r\n", 400),
        ROW("bare LF at all lines", "GET / HTTP/1.1\nHost: x\n\n", 400),
        ROW("bare LF at one line", GET "A: b\nC: d\r\n\r\n", 400),
        ROW("bare LF as the last line", GET "\n", 400),
        ROW("bare CR in a value", GET "A: b\rC: d\r\n\r\n", 400),
        ROW("empty value, lone CR, a smuggled field", GET "A:\rTransfer-Encoding: chunked\r\n\r\n",
            400),
        ROW("head ended by CRLF CR and a byte", GET "A: b\r\n\rX", 400),
        ROW("target ended by LF, no version", "GET /\nHost: x\r\n\r\n", 400),
        ROW("folded field", GET "A: b\r\n c\r\n\r\n", 400),
        ROW("folded first field", "GET / HTTP/1.1\r\n Host: x\r\n\r\n", 400),
        ROW("empty field name", GET ": b\r\n\r\n", 400),
        ROW("field name with a space", GET "A B: c\r\n\r\n", 400),
        ROW("field without a colon", GET "AB\r\n\r\n", 400),
        ROW("no Host", "GET / HTTP/1.1\r\nA: b\r\n\r\n", 400),
        ROW("two Hosts", GET "host: y\r\n\r\n", 400),
        ROW("encoding in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 505),
        ROW("version 9.9", "GET / HTTP/9.9\r\n" H "\r\n", 505),
        ROW("no version (0.9)", "GET /\r\n", 400),
        ROW("8-bit target", "GET /\xc3\xa4 HTTP/1.1\r\n" H "\r\n", 400),
        ROW("two spaces", "GET  / HTTP/1.1\r\n" H "\r\n", 400),
        ROW("space behind the version", "GET / HTTP/1.1 \r\n" H "\r\n", 400),
#undef ROW
    };
    _Static_assert(CPN_COUNT(refused) == 44, "the matrix has 44 forms");

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++) {
        cpn_http_head head;
        cpn_err err = { 0 };
        cpn_rc rc = parse(refused[i].in, &head, &err);
        if (rc != CPN_INVALID || head.http_status != refused[i].status || !err.msg[0])
            fail_msg("%s: rc %d, status %d (%s)", refused[i].why, rc, head.http_status, err.msg);
    }
}

static void
other_heads_are_refused(void **state)
{
    static const struct {
        const char *why;
        const char *in;
        int status;
    } refused[] = {
        { "lower-case method", "get / HTTP/1.1\r\n" H "\r\n", 400 },
        { "method of 17 letters", "ABCDEFGHIJKLMNOPQ / HTTP/1.1\r\n" H "\r\n", 400 },
        { "no method", " / HTTP/1.1\r\n" H "\r\n", 400 },
        { "version 1.0", "GET / HTTP/1.0\r\n" H "\r\n", 505 },
        { "version 1.2", "GET / HTTP/1.2\r\n" H "\r\n", 505 },
        { "lower-case version", "GET / http/1.1\r\n" H "\r\n", 400 },
        { "HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505 },
        { "SSH banner", "SSH-2.0-OpenSSH_9.2\r\n", 400 },
        { "first byte of TLS", "\x16\x03\x01", 400 },
        { "first byte not a letter", "1", 400 },
        { "empty first line", "\r\nGET / HTTP/1.1\r\n" H "\r\n", 400 },
        { "absolute form", "GET http://x/ HTTP/1.1\r\n" H "\r\n", 400 },
        { "authority form", "CONNECT x:443 HTTP/1.1\r\n" H "\r\n", 400 },
        { "asterisk form", "OPTIONS * HTTP/1.1\r\n" H "\r\n", 400 },
        { "empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400 },
        { "Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400 },
        { "Host with user", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400 },
        { "Host with port 0", "GET / HTTP/1.1\r\nHost: a:0\r\n\r\n", 400 },
        { "Host with port 65536", "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", 400 },
        { "Host with an empty port", "GET / HTTP/1.1\r\nHost: a:\r\n\r\n", 400 },
        { "Host with a zone", "GET / HTTP/1.1\r\nHost: [fe80::1%25eth0]\r\n\r\n", 400 },
        { "Host of two", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400 },
        { "two authorizations", GET "Authorization: a\r\nauthorization: b\r\n\r\n", 400 },
        { "DEL in a value", GET "A: \x7f\r\n\r\n", 400 },
        { "8-bit value", GET "A: \xe4\r\n\r\n", 400 },
    };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++) {
        cpn_http_head head;
        cpn_rc rc = parse(cpn_view_str(refused[i].in), &head, NULL);
        if (rc != CPN_INVALID || head.http_status != refused[i].status)
            fail_msg("%s: rc %d, status %d", refused[i].why, rc, head.http_status);
    }
}

static cpn_rc
parse_target(const char *target, cpn_http_head *head)
{
    CPN_AUTO(cpn_buf_fini) cpn_buf in = { .max = 4096 };

    assert_int_equal(cpn_buf_printf(&in, "GET %s HTTP/1.1\r\n" H "\r\n", target), CPN_OK);
    return parse(cpn_buf_view(&in), head, NULL);
}

static void
ambiguous_targets_are_refused(void **state)
{
    static const char *const refused[] = {
        "api",
        "",
        "/api/../x",
        "/..",
        "/.",
        "/a/.",
        "/a/./b",
        "/%2e%2e/x",
        "/%2E",
        "/.%2e",
        "/a%2fb",
        "/a%2Fb",
        "/a%5cb",
        "/a%00",
        "/%",
        "/%4",
        "/%zz",
        "/a%4",
        "//",
        "//x",
        "/a//b",
        "//metadata/endpointsx",
        "//metadata//endpoints",
        "///metadata/endpoints",
        "//metadata/endpoints/",
        "//subscriptions/s",
        "//t/.well-known/openid-configurations",
        "///.well-known/openid-configuration",
        "///t/.well-known/openid-configuration",
        "//t//.well-known/openid-configuration",
        "/adfs///.well-known/openid-configuration",
        "/x//t/.well-known/openid-configuration",
        "/subscriptions//x",
        "/subscriptions/s/providers//x",
        "/subscriptions/s/providers/P///x",
        "/subscriptions/s/providers/P/T//x",
        "/subscriptions/s/providers/P//x//y",
        "/a/providers/P//x",
        "/a;b",
        "/a%3bb",
        "/a\\b",
        "/a#b",
        "/a?b#c",
        "/%252e",
        "/%25",
        "/%0d%0a",
        "/%7f",
        "/%c0%af",
        "/%e0%80%af",
        "/%ed%a0%80",
        "/%ff",
        "/<a>",
        "/\"",
        "/a?b=%00",
        "/a?b=%",
        "/a?b=%g0",
        "/a?b=\"c",
        "/a?b=<",
        "/a?b=\\",
        "/a|b",
        "/a^b",
        "/{id}",
        "/a?b=%4",
        "/a/../../b",
        "/%2e./b",
        "/a/%2E%2E/",
        "/a%09b",
    };
    cpn_http_head head;

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++)
        if (parse_target(refused[i], &head) != CPN_INVALID || head.http_status != 400)
            fail_msg("%s: accepted", refused[i]);
}

static void
plain_targets_pass(void **state)
{
    static const struct {
        const char *target, *path, *query;
    } passed[] = {
        { "/", "/", NULL },
        { "/a?", "/a", "" },
        { "/a/", "/a/", NULL },
        { "/...", "/...", NULL },
        { "/.well-known/openid-configuration", "/.well-known/openid-configuration", NULL },
        { "/a?b=/../x//;c", "/a", "b=/../x//;c" },
        { "/subscriptions/s/providers/P//x/y", "/subscriptions/s/providers/P//x/y", NULL },
        { "//metadata/endpoints?a=b", "//metadata/endpoints", "a=b" },
        { "//t/.well-known/openid-configuration", "//t/.well-known/openid-configuration", NULL },
        { "/adfs//adfs/.well-known/openid-configuration",
          "/adfs//adfs/.well-known/openid-configuration", NULL },
        { "/a%20b/%C3%A4", "/a%20b/%C3%A4", NULL },
        { "/webtunnelv2/x-_9?X-Node-Id=1", "/webtunnelv2/x-_9", "X-Node-Id=1" },
        { "/a?$filter=n%20eq%20'x'&api-version=2022-01-01", "/a",
          "$filter=n%20eq%20'x'&api-version=2022-01-01" },
        { "/r/(x)/a:b@c,d", "/r/(x)/a:b@c,d", NULL },
    };
    cpn_http_head head;

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(passed); i++) {
        if (parse_target(passed[i].target, &head) != CPN_OK)
            fail_msg("%s: refused", passed[i].target);
        assert_true(cpn_view_is(head.path, passed[i].path));
        assert_int_equal(head.query.p != NULL, passed[i].query != NULL);
        assert_true(!passed[i].query || cpn_view_is(head.query, passed[i].query));
    }
}

static void
limits_are_exact(void **state)
{
    static char many[70000];
    cpn_http_limits small = { sizeof(GET) - 1 + 2, 1 };
    cpn_http_head head;
    size_t n = 0;

    (void)state;
    assert_int_equal(cpn_http_request_parse(cpn_view_str(GET "\r\n"), &small, &head, NULL), CPN_OK);
    small.head--;
    assert_int_equal(cpn_http_request_parse(cpn_view_str(GET "\r\n"), &small, &head, NULL),
                     CPN_INVALID);
    assert_int_equal(head.http_status, 431);
    assert_int_equal(cpn_http_request_parse(cpn_view_str(GET "A: b\r\n\r\n"), NULL, &head, NULL),
                     CPN_OK);
    small.head = 1000;
    assert_int_equal(cpn_http_request_parse(cpn_view_str(GET "A: b\r\n\r\n"), &small, &head, NULL),
                     CPN_INVALID);
    assert_int_equal(head.http_status, 431);

    memcpy(many, GET, sizeof(GET) - 1);
    n = sizeof(GET) - 1;
    for (int i = 0; i < 63; i++, n += 6)
        memcpy(many + n, "A: b\r\n", 6);
    memcpy(many + n, "\r\n", 2);
    assert_int_equal(parse((cpn_view){ (uint8_t *)many, n + 2 }, &head, NULL), CPN_OK);
    assert_int_equal(head.fields, 64);
    memcpy(many + n, "A: b\r\n\r\n", 8);
    assert_int_equal(parse((cpn_view){ (uint8_t *)many, n + 8 }, &head, NULL), CPN_INVALID);
    assert_int_equal(head.http_status, 431);

    memset(many, 'A', sizeof(many));
    memcpy(many, "GET /", 5);
    assert_int_equal(parse((cpn_view){ (uint8_t *)many, 16383 }, &head, NULL), CPN_AGAIN);
    assert_int_equal(parse((cpn_view){ (uint8_t *)many, 16384 }, &head, NULL), CPN_INVALID);
    assert_int_equal(head.http_status, 414);
    memcpy(many, GET, sizeof(GET) - 1);
    assert_int_equal(parse((cpn_view){ (uint8_t *)many, 65536 }, &head, NULL), CPN_INVALID);
    assert_int_equal(head.http_status, 431);
}

static void
every_prefix_waits(void **state)
{
    static const char whole[] = "POST /api/tokens?a=b HTTP/1.1\r\nHost: gw.example:8443\r\n"
                                "Content-Length: 5\r\nConnection: Close\r\nA:  b \t\r\n"
                                "Authorization: Bearer abc.def-_~+/==\r\n\r\nhello";
    cpn_http_head head;
    size_t used = sizeof(whole) - 1 - 5;

    (void)state;
    for (size_t n = 0; n < used; n++)
        if (parse((cpn_view){ (const uint8_t *)whole, n }, &head, NULL) != CPN_AGAIN)
            fail_msg("%zu bytes: not AGAIN", n);
    assert_int_equal(parse(cpn_view_str(whole), &head, NULL), CPN_OK);
    assert_int_equal(head.used, used);
    assert_int_equal(head.body, 5);
    assert_true(head.has_length && head.close);
    assert_true(cpn_view_is(head.method, "POST") && cpn_view_is(head.path, "/api/tokens"));
    assert_true(cpn_view_is(head.query, "a=b") && cpn_view_is(head.host, "gw.example:8443"));
    assert_true(cpn_view_is(cpn_http_header(&head, "a"), "b"));
    assert_null(cpn_http_header(&head, "b").p);
    assert_true(cpn_view_is(cpn_http_bearer(&head), "abc.def-_~+/=="));
    assert_int_equal(head.http_status, 0);
}

static void
bearers_that_are_none(void **state)
{
    static const char *const none[] = { "",           "Basic YQ==", "Bearer",     "Bearer ",
                                        "Bearer a b", "Bearer  a",  "Bearer a,b", "Bearer ==",
                                        "Bearer a=b", "Bearer\ta" };
    cpn_http_head head = { .fields = 1 };

    (void)state;
    head.field[0].name = CPN_VIEW_LIT("Authorization");
    for (size_t i = 0; i < CPN_COUNT(none); i++) {
        head.field[0].value = cpn_view_str(none[i]);
        if (cpn_http_bearer(&head).p)
            fail_msg("'%s': taken", none[i]);
    }
    head.field[0].value = CPN_VIEW_LIT("bearer a");
    assert_true(cpn_view_is(cpn_http_bearer(&head), "a"));
}

static void
responses_are_held_to_the_same(void **state)
{
    static const char *const refused[] = {
        "HTTP/1.0 200 OK\r\n\r\n",
        "HTTP/1.1 200\r\n\r\n",
        "HTTP/1.1 99 x\r\n\r\n",
        "HTTP/1.1 600 x\r\n\r\n",
        "HTTP/1.1 2000 x\r\n\r\n",
        "HTTP/1.1 200 OK\n\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        "SSH-2.0-x\r\n",
        "x",
    };
    cpn_http_head head;
    cpn_err err;

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++) {
        cpn_rc rc = cpn_http_response_parse(cpn_view_str(refused[i]), NULL, &head, &err);
        if (rc != CPN_E_PROTO)
            fail_msg("%s: rc %d", refused[i], rc);
        assert_int_equal(err.rc, CPN_E_PROTO);
    }
    assert_int_equal(cpn_http_response_parse(cpn_view_str("HTTP/1.1 503 Service Unavailable\r\n"
                                                          "Content-Length: 2\r\n\r\n{}"),
                                             NULL, &head, NULL),
                     CPN_OK);
    assert_int_equal(head.status, 503);
    assert_true(cpn_view_is(head.reason, "Service Unavailable") && !head.until_close);
    assert_int_equal(
        cpn_http_response_parse(cpn_view_str("HTTP/1.1 200 \r\n\r\n"), NULL, &head, NULL), CPN_OK);
    assert_true(head.until_close);
    assert_int_equal(
        cpn_http_response_parse(cpn_view_str("HTTP/1.1 204 No\r\n\r\n"), NULL, &head, NULL),
        CPN_OK);
    assert_false(head.until_close);
}

static void
answers_are_written(void **state)
{
    CPN_AUTO(cpn_buf_fini) cpn_buf out = { .max = 1024 };
    CPN_AUTO(cpn_buf_fini) cpn_buf more = { .max = 1024 };
    cpn_http_answer a = { .status = 404, .content_type = "application/json", .body = 2 };

    (void)state;
    assert_int_equal(cpn_http_line_put(&more, "A", CPN_VIEW_LIT("b\r\nC: d")), CPN_INVALID);
    assert_int_equal(cpn_http_line_put(&more, "A B", CPN_VIEW_LIT("b")), CPN_INVALID);
    assert_int_equal(more.n, 0);
    assert_int_equal(cpn_http_answer_put(&out, &a), CPN_OK);
    assert_true(cpn_view_is(cpn_buf_view(&out), "HTTP/1.1 404 Not Found\r\n"
                                                "Content-Type: application/json\r\n"
                                                "Content-Length: 2\r\n"
                                                "Cache-Control: no-store\r\n\r\n"));
    out.n = 0;
    assert_int_equal(cpn_http_line_put(&more, "Cache-Control", CPN_VIEW_LIT("max-age=60")), CPN_OK);
    a = (cpn_http_answer){ .status = 204, .close = true, .more = cpn_buf_view(&more) };
    assert_int_equal(cpn_http_answer_put(&out, &a), CPN_OK);
    assert_true(cpn_view_is(cpn_buf_view(&out), "HTTP/1.1 204 No Content\r\nConnection: close\r\n"
                                                "Cache-Control: max-age=60\r\n\r\n"));
    out.n = 0;
    out.max = 40;
    assert_int_equal(cpn_http_answer_put(&out, &a), CPN_LIMIT);
    assert_int_equal(out.n, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_refusal_matrix),
        cmocka_unit_test(other_heads_are_refused),
        cmocka_unit_test(ambiguous_targets_are_refused),
        cmocka_unit_test(plain_targets_pass),
        cmocka_unit_test(limits_are_exact),
        cmocka_unit_test(every_prefix_waits),
        cmocka_unit_test(bearers_that_are_none),
        cmocka_unit_test(responses_are_held_to_the_same),
        cmocka_unit_test(answers_are_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
