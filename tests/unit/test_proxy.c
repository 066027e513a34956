/* codec/proxy and net/proxy: names and answers that are refused, who is spared, what is asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/proxy.h"

static void
names_are_refused(void **state)
{
    static const struct {
        const char *why;
        const char *name;
        const char *says;
    } refused[] = {
        { "SOCKS", "socks5://u:hunter2@p:1080", "no SOCKS; set https_proxy to one" },
        { "SOCKS with names", "socks5h://p:1080", "into NO_PROXY" },
        { "SOCKS 4", "SOCKS4A://p:1080", "no SOCKS" },
        { "TLS to the proxy in capitals", "HTTPS://p:3128", "name its plain port with http://" },
        { "TLS to the proxy", "https://u:hunter2@p:3128", "over TLS" },
        { "SOCKS", "socks5h://u:hunter2@p:1080", "SOCKS" },
        { "no host", "http://", "HOST:PORT" },
        { "no host behind the user", "http://u:hunter2@", "HOST:PORT" },
        { "port 0", "http://p:0", "HOST:PORT" },
        { "port over 65535", "http://u:hunter2@p:65536", "HOST:PORT" },
        { "a path", "http://p:3128/x", "HOST:PORT" },
        { "a line break", "http://u:hunter2@p:3128\r\nX: y", "printable" },
        { "a broken percent", "http://u:hunter%2@p:3128", "malformed" },
        { "an encoded NUL", "http://u:hunter%002@p:3128", "malformed" },
        { "a colon in the user", "http://a%3Ab:hunter2@p:3128", "malformed" },
        { "a space", "http://p 1:3128", "HOST:PORT" },
        { "half an IPv6 address", "http://[::1:3128", "HOST:PORT" },
    };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++) {
        cpn_proxy p;
        cpn_err err = { 0 };
        cpn_rc rc = cpn_proxy_parse(&p, cpn_view_str(refused[i].name), &err);

        if (rc != CPN_INVALID || !strstr(err.msg, refused[i].says) || p.url.host[0] || p.basic.n)
            fail_msg("%s: %d %s", refused[i].why, rc, err.msg);
        if (strstr(err.msg, "hunter"))
            fail_msg("%s: the password is told: %s", refused[i].why, err.msg);
    }
}

static void
long_names_are_refused(void **state)
{
    static char name[CPN_PROXY_NAME_MAX + 2];
    cpn_proxy p;

    (void)state;
    memset(name, 'a', sizeof(name) - 1);
    assert_int_equal(cpn_proxy_parse(&p, cpn_view_str(name), NULL), CPN_INVALID);
    memcpy(name, "http://", 7); /* USER:PASSWORD of more than 512 bytes */
    memcpy(name + 600, ":x@p:1", 7);
    assert_int_equal(cpn_proxy_parse(&p, cpn_view_str(name), NULL), CPN_INVALID);
}

static void
names_are_read_and_asked_with(void **state)
{
    static const struct {
        const char *name, *host;
        uint16_t port;
        const char *to, *head;
    } read[] = {
        { "http://P.example:3128/", "p.example", 3128, "gw.example",
          "CONNECT gw.example:443 HTTP/1.1\r\nHost: gw.example:443\r\n"
          "User-Agent: caponier/" CPN_VERSION "\r\n\r\n" },
        { "10.0.0.1:8080", "10.0.0.1", 8080, "2001:db8::1",
          "CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n"
          "User-Agent: caponier/" CPN_VERSION "\r\n\r\n" },
        { "http://Aladdin:open%20sesame@[::1]", "::1", 80, "gw",
          "CONNECT gw:443 HTTP/1.1\r\nHost: gw:443\r\nUser-Agent: caponier/" CPN_VERSION
          "\r\nProxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n" },
        { "only:@p", "p", 80, "gw",
          "CONNECT gw:443 HTTP/1.1\r\nHost: gw:443\r\nUser-Agent: caponier/" CPN_VERSION
          "\r\nProxy-Authorization: Basic b25seTo=\r\n\r\n" },
    };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(read); i++) {
        cpn_buf out = { .max = 4096 };
        cpn_err err = { 0 };
        cpn_proxy p;

        if (cpn_proxy_parse(&p, cpn_view_str(read[i].name), &err) != CPN_OK)
            fail_msg("%s: %s", read[i].name, err.msg);
        assert_string_equal(p.url.host, read[i].host);
        assert_int_equal(p.url.port, read[i].port);
        assert_int_equal(cpn_proxy_connect_put(&out, &p, read[i].to, 443), CPN_OK);
        if (!cpn_view_is(cpn_buf_view(&out), read[i].head))
            fail_msg("%.*s", CPN_VIEW_ARG(cpn_buf_view(&out)));
        assert_int_equal(cpn_proxy_connect_put(&out, &p, "gw\r\nX: y", 443), CPN_INVALID);
        assert_int_equal(out.n, strlen(read[i].head));
        cpn_buf_fini(&out);
        cpn_proxy_wipe(&p);
    }
}

static void
answers_are_judged(void **state)
{
    static const struct {
        const char *why;
        const char *in;
        cpn_rc want;
        int status;
        bool basic, others;
    } answers[] = {
        { "SSH", "SSH-2.0-x\r\n", CPN_E_PROTO, 0, false, false },
        { "TLS alert", "\x15\x03\x01", CPN_E_PROTO, 0, false, false },
        { "HTTP/2", "HTTP/2 200\r\n\r\n", CPN_E_PROTO, 0, false, false },
        { "HTTP/1.2", "HTTP/1.2 200 OK\r\n\r\n", CPN_E_PROTO, 0, false, false },
        { "two digits", "HTTP/1.1 20 OK\r\n\r\n", CPN_E_PROTO, 0, false, false },
        { "four digits", "HTTP/1.1 2000 OK\r\n\r\n", CPN_E_PROTO, 0, false, false },
        { "status 100", "HTTP/1.1 100 Continue\r\n\r\n", CPN_E_PROTO, 0, false, false },
        { "status 600", "HTTP/1.1 600 X\r\n\r\n", CPN_E_PROTO, 0, false, false },
        { "escape in a line", "HTTP/1.1 200 \033[2J\r\n\r\n", CPN_E_PROTO, 0, false, false },
        { "line without a colon", "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", CPN_E_PROTO, 0, false,
          false },
        { "folded line", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", CPN_E_PROTO, 0, false, false },
        { "bare LF", "HTTP/1.1 200 OK\nA: b\n\n", CPN_AGAIN, 0, false, false },
        { "nothing", "", CPN_AGAIN, 0, false, false },
        { "a beginning", "HTT", CPN_AGAIN, 0, false, false },
        { "half", "HTTP/1.1 200 OK\r\nA: b\r\n", CPN_AGAIN, 200, false, false },
        { "tinyproxy", "HTTP/1.0 200 Connection established\r\nProxy-agent: t\r\n\r\n", CPN_OK, 200,
          false, false },
        { "no words", "HTTP/1.1 204\r\n\r\n", CPN_OK, 204, false, false },
        { "a body is announced",
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 7\r\n\r\n", CPN_OK, 200,
          false, false },
        { "Basic and others",
          "HTTP/1.1 407 x\r\nProxy-Authenticate: Negotiate\r\nproxy-authenticate:  basic "
          "realm=\"x\"\r\n\r\n",
          CPN_OK, 407, true, true },
        { "others", "HTTP/1.1 407 x\r\nProxy-Authenticate: NTLM\r\n\r\n", CPN_OK, 407, false,
          true },
    };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(answers); i++) {
        cpn_proxy_answer a;
        cpn_rc rc = cpn_proxy_answer_parse(cpn_view_str(answers[i].in), &a, NULL);

        if (rc != answers[i].want || (rc != CPN_E_PROTO && a.status != answers[i].status))
            fail_msg("%s: %d, status %d", answers[i].why, rc, a.status);
        if (rc == CPN_OK && (a.asks_basic != answers[i].basic ||
                             a.asks_others != answers[i].others || a.used != strlen(answers[i].in)))
            fail_msg("%s: %d %d %zu", answers[i].why, a.asks_basic, a.asks_others, a.used);
    }
}

static void
long_answers_are_refused(void **state)
{
    static char in[CPN_PROXY_HEAD_MAX + 100] = "HTTP/1.1 200 OK\r\nA: ";
    cpn_view v = { (uint8_t *)in, CPN_PROXY_HEAD_MAX };
    size_t n = strlen(in);
    cpn_proxy_answer a;

    (void)state;
    memset(in + n, 'x', sizeof(in) - n);
    assert_int_equal(cpn_proxy_answer_parse((cpn_view){ v.p, v.n - 1 }, &a, NULL), CPN_AGAIN);
    assert_int_equal(cpn_proxy_answer_parse(v, &a, NULL), CPN_E_PROTO);
    memcpy(in + CPN_PROXY_HEAD_MAX - 4, "\r\n\r\n", 4);
    assert_int_equal(cpn_proxy_answer_parse(v, &a, NULL), CPN_OK);
    memcpy(in + CPN_PROXY_HEAD_MAX - 4, "xxx\r\n\r\n", 7);
    v.n += 3;
    assert_int_equal(cpn_proxy_answer_parse(v, &a, NULL), CPN_E_PROTO);
}

static void
some_hosts_are_spared(void **state)
{
    static const struct {
        const char *list, *host;
        uint16_t port;
        bool spared;
    } cases[] = {
        { "", "gw.example.org", 443, false },
        { ",, ,", "gw.example.org", 443, false },
        { "org.example", "gw.example.org", 443, false },
        { "ample.org", "gw.example.org", 443, false },
        { "gw.example.org.other", "gw.example.org", 443, false },
        { ".", "gw.example.org", 443, false },
        { "*.", "gw.example.org", 443, false },
        { "gw.example.org:8443", "gw.example.org", 443, false },
        { "gw.example.org:", "gw.example.org", 443, false },
        { "gw.example.org:99999", "gw.example.org", 443, false },
        { "10.0.0.0/8", "11.0.0.1", 443, false },
        { "10.0.0.0/33", "10.0.0.1", 443, false },
        { "10.0.0.0/", "10.0.0.1", 443, false },
        { "10.0.0.0/8", "10.example.org", 443, false },
        { "0.0.0.1", "10.0.0.1", 443, false },
        { "::/0", "10.0.0.1", 443, false },
        { "[::1]:80", "::1", 443, false },
        { "[", "::1", 443, false },
        { "]", "::1", 443, false },
        { "[]", "::1", 443, false },
        { ":", "::1", 443, false },
        { "*", "gw.example.org", 443, true },
        { "a, *", "10.0.0.1", 443, true },
        { "GW.Example.ORG", "gw.example.org", 443, true },
        { "example.org", "gw.example.org", 443, true },
        { ".example.org", "gw.example.org", 443, true },
        { ".example.org", "example.org", 443, true },
        { "*.example.org.", "gw.example.org", 443, true },
        { "example.org", "gw.example.org.", 443, true },
        { "x y,gw.example.org:443", "gw.example.org", 443, true },
        { "x 10.0.0.1", "10.0.0.1", 443, true },
        { "10.0.0.1:443", "10.0.0.1", 443, true },
        { "10.1.2.3/8", "10.0.0.1", 443, true },
        { "0.0.0.0/0", "10.0.0.1", 443, true },
        { "::1", "::1", 443, true },
        { "[::1]", "::1", 443, true },
        { "[::1]:443", "::1", 443, true },
        { "2001:db8::/32", "2001:db8:1::2", 443, true },
        { "2001:DB8:0::1", "2001:db8::1", 443, true },
    };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(cases); i++)
        if (cpn_proxy_spared(cpn_view_str(cases[i].list), cases[i].host, cases[i].port) !=
            cases[i].spared)
            fail_msg("'%s' and %s", cases[i].list, cases[i].host);
}

static void
set(const char *name, const char *value)
{
    if (value)
        assert_int_equal(setenv(name, value, 1), 0);
    else
        unsetenv(name);
}

static void
the_environment_chooses(void **state)
{
    static const struct {
        const char *lower, *upper, *all, *no, *host; /* host "": none */
    } cases[] = {
        { NULL, NULL, NULL, NULL, "" },
        { "", "", "", NULL, "" },
        { "http://a", "http://b", "http://c", NULL, "a" },
        { "", "http://b", "http://c", NULL, "b" },
        { NULL, NULL, "c:3128", NULL, "c" },
        { "http://a", NULL, NULL, "other,example.org", "" },
        { "http://a", NULL, NULL, "other", "a" },
        { "socks5://a", NULL, NULL, "*", "" },
    };
    cpn_proxy p;
    cpn_err err = { 0 };

    (void)state;
    unsetenv("no_proxy");
    unsetenv("all_proxy");
    for (size_t i = 0; i < CPN_COUNT(cases); i++) {
        set("https_proxy", cases[i].lower);
        set("HTTPS_PROXY", cases[i].upper);
        set("ALL_PROXY", cases[i].all);
        set("NO_PROXY", cases[i].no);
        assert_int_equal(cpn_proxy_choose(&p, "gw.example.org", 443, &err), CPN_OK);
        assert_string_equal(p.url.host, cases[i].host);
    }
    set("https_proxy", NULL);
    set("NO_PROXY", NULL);
    set("ALL_PROXY", "socks5://me:hunter2@p");
    assert_int_equal(cpn_proxy_choose(&p, "gw.example.org", 443, &err), CPN_INVALID);
    assert_non_null(strstr(err.msg, "ALL_PROXY: "));
    assert_null(strstr(err.msg, "hunter2"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_refused),       cmocka_unit_test(long_names_are_refused),
        cmocka_unit_test(answers_are_judged),      cmocka_unit_test(long_answers_are_refused),
        cmocka_unit_test(some_hosts_are_spared),   cmocka_unit_test(names_are_read_and_asked_with),
        cmocka_unit_test(the_environment_chooses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
