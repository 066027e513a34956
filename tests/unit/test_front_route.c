/* front/route and front/slots: what a request may look like, and how many may wait. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "front/route.h"
#include "front/slots.h"

#define HOST "Host: gate.test:8443\r\n"
#define UP                                                                                         \
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"                   \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define SUB "Sec-WebSocket-Protocol: caponier.v1\r\n"
#define AUTH "Authorization: Bearer abc\r\n"

static void
route(const char *text, bool az, bool admin, cpn_route *r)
{
    static cpn_http_head head;
    cpn_route_facts facts = {
        .host = "gate.test:8443", .az_clients = az, .admin = admin, .body_max = 65536
    };
    cpn_rc rc = cpn_http_request_parse(cpn_view_str(text), NULL, &head, NULL);

    if (rc != CPN_OK)
        fail_msg("the head parser refused: %s", text);
    cpn_route_of(&head, &facts, r);
}

static const struct {
    const char *why;
    int status;
    const char *text;
} refused[] = {
    { "another host", 421, "GET /v1/version HTTP/1.1\r\nHost: evil.example\r\n\r\n" },
    { "the port is missing", 421, "GET / HTTP/1.1\r\nHost: gate.test\r\n\r\n" },
    { "another port", 421, "GET / HTTP/1.1\r\nHost: gate.test:443\r\n\r\n" },
    { "its address", 421, "GET / HTTP/1.1\r\nHost: 127.0.0.1:8443\r\n\r\n" },
    { "origin on the API", 403, "GET /v1/x HTTP/1.1\r\n" HOST "Origin: https://a.example\r\n\r\n" },
    { "our own origin on the API", 403,
      "GET /v1/x HTTP/1.1\r\n" HOST "Origin: https://gate.test:8443\r\n\r\n" },
    { "our own origin on the tunnel", 403,
      "GET /v1/tunnel HTTP/1.1\r\n" HOST UP SUB AUTH "Origin: https://gate.test:8443\r\n\r\n" },
    { "another origin at the Azure door", 403,
      "GET /webtunnelv2/abc HTTP/1.1\r\n" HOST UP "Origin: https://evil.example\r\n\r\n" },
    { "origin null at the Azure door", 403,
      "GET /webtunnelv2/abc HTTP/1.1\r\n" HOST UP "Origin: null\r\n\r\n" },
    { "origin with a longer name", 403,
      "GET /webtunnelv2/abc HTTP/1.1\r\n" HOST UP "Origin: http://gate.test:84430\r\n\r\n" },
    { "another origin on a sign-in page", 403,
      "POST /device HTTP/1.1\r\n" HOST "Origin: https://evil.example\r\n\r\n" },
    { "origin null on a sign-in page", 403,
      "POST /signin/decide HTTP/1.1\r\n" HOST "Origin: null\r\n\r\n" },
    { "our origin without TLS on a sign-in page", 403,
      "POST /device HTTP/1.1\r\n" HOST "Origin: http://gate.test:8443\r\n\r\n" },
    { "our origin beside the sign-in pages", 403,
      "GET /devices HTTP/1.1\r\n" HOST "Origin: https://gate.test:8443\r\n\r\n" },
    { "our origin at the token endpoint", 403,
      "POST /adfs/oauth2/token HTTP/1.1\r\n" HOST "Origin: https://gate.test:8443\r\n\r\n" },
    { "body over 64 KiB", 413, "POST /v1/users HTTP/1.1\r\n" HOST "Content-Length: 65537\r\n\r\n" },
    { "apply over 32 MiB", 413,
      "POST /v1/apply HTTP/1.1\r\n" HOST "Content-Length: 33554433\r\n\r\n" },
    { "apply's limit for a longer path", 413,
      "POST /v1/apply/x HTTP/1.1\r\n" HOST "Content-Length: 65537\r\n\r\n" },
    { "another expectation", 417,
      "POST /v1/x HTTP/1.1\r\n" HOST "Content-Length: 1\r\nExpect: tea\r\n\r\n" },
    { "tunnel without upgrade", 426, "GET /v1/tunnel HTTP/1.1\r\n" HOST AUTH "\r\n" },
    { "tunnel by POST", 405, "POST /v1/tunnel HTTP/1.1\r\n" HOST AUTH "\r\n" },
    { "tunnel without subprotocol", 400, "GET /v1/tunnel HTTP/1.1\r\n" HOST UP AUTH "\r\n" },
    { "tunnel with another subprotocol", 400,
      "GET /v1/tunnel HTTP/1.1\r\n" HOST UP AUTH "Sec-WebSocket-Protocol: caponier.v2\r\n\r\n" },
    { "tunnel without bearer", 401, "GET /v1/tunnel HTTP/1.1\r\n" HOST UP SUB "\r\n" },
    { "tunnel with a body", 400,
      "GET /v1/tunnel HTTP/1.1\r\n" HOST UP SUB AUTH "Content-Length: 1\r\n\r\n" },
    { "no ticket of the other way", 404, "GET /omni/webtunnel/ HTTP/1.1\r\n" HOST UP "\r\n" },
    { "the other way with a path", 404, "GET /omni/webtunnel/a/b HTTP/1.1\r\n" HOST UP "\r\n" },
    { "the other way from a page", 403,
      "GET /omni/webtunnel/abc HTTP/1.1\r\n" HOST UP "Origin: https://evil.example\r\n\r\n" },
    { "no ticket", 404, "GET /webtunnelv2/ HTTP/1.1\r\n" HOST UP "\r\n" },
    { "a ticket with a path", 404, "GET /webtunnelv2/a/b HTTP/1.1\r\n" HOST UP "\r\n" },
    { "an encoded ticket", 404, "GET /webtunnelv2/a%41 HTTP/1.1\r\n" HOST UP "\r\n" },
    { "ticket without upgrade", 426, "GET /webtunnelv2/abc HTTP/1.1\r\n" HOST "\r\n" },
    { "WebSocket version 12", 426,
      "GET /webtunnelv2/abc HTTP/1.1\r\n" HOST
      "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 12\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" },
    { "a short key", 400,
      "GET /webtunnelv2/abc HTTP/1.1\r\n" HOST
      "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Key: dGhl\r\n\r\n" },
};

static void
requests_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++) {
        cpn_route r;

        route(refused[i].text, true, false, &r);
        if (r.kind != CPN_ROUTE_REFUSE || r.status != refused[i].status || !r.sentence)
            fail_msg("%s: kind %d, status %d", refused[i].why, r.kind, r.status);
    }
}

/* A longer segment does not pass the head parser. */
static void
the_longest_ticket_is_taken(void **state)
{
    char text[2048], ticket[CPN_ROUTE_TICKET_MAX + 1];
    cpn_route r;

    (void)state;
    memset(ticket, 'a', sizeof(ticket));
    ticket[sizeof(ticket) - 1] = '\0';
    snprintf(text, sizeof(text), "GET /webtunnelv2/%s HTTP/1.1\r\n" HOST UP "\r\n", ticket);
    route(text, true, false, &r);
    assert_int_equal(r.kind, CPN_ROUTE_WEBTUNNEL);
    assert_int_equal(r.ticket.n, CPN_ROUTE_TICKET_MAX);
}

#define COOKIE "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-_"

/* Our cookie, on the pages of signing in; secrets in fields, where a service proves itself. */
static void
secrets_pass_where_they_belong(void **state)
{
    static const struct {
        const char *text;
        bool cookie, basic, identity;
    } each[] = {
        { "GET /device HTTP/1.1\r\n" HOST "Cookie: a=b; __Host-caponier=" COOKIE "; c=d\r\n\r\n",
          true, false, false },
        { "GET /x/oauth2/v2.0/authorize HTTP/1.1\r\n" HOST "Cookie: __Host-caponier=" COOKIE
          "\r\n\r\n",
          true, false, false },
        { "GET /signin/callback HTTP/1.1\r\n" HOST "Cookie: __Host-caponier=" COOKIE
          "\r\nAuthorization: Basic YTpi\r\n\r\n",
          true, false, false },
        { "GET /device HTTP/1.1\r\n" HOST "Cookie: __Host-caponier=" COOKIE "a\r\n\r\n", false,
          false, false },
        { "GET /device HTTP/1.1\r\n" HOST "Cookie: x__Host-caponier=" COOKIE "\r\n\r\n", false,
          false, false },
        { "GET /device HTTP/1.1\r\n" HOST "Cookie: \r\n\r\n", false, false, false },
        { "GET /v1/whoami HTTP/1.1\r\n" HOST "Cookie: __Host-caponier=" COOKIE
          "\r\nAuthorization: Basic YTpi\r\n\r\n",
          false, false, false },
        { "GET /adfs/oauth2/msi HTTP/1.1\r\n" HOST "Authorization: basic YTpi\r\n\r\n", false, true,
          true },
        { "POST /x/oauth2/v2.0/token HTTP/1.1\r\n" HOST "Authorization: Basic YTpi\r\n\r\n", false,
          true, false },
        { "POST /adfs/oauth2/token HTTP/1.1\r\n" HOST "Authorization: Bearer YTpi\r\n\r\n", false,
          false, false },
    };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(each); i++) {
        cpn_route r;

        route(each[i].text, true, false, &r);
        assert_int_equal(r.kind, CPN_ROUTE_API);
        assert_int_equal(r.cookie.n, each[i].cookie ? CPN_ROUTE_COOKIE_BYTES : 0);
        assert_int_equal(r.basic.n > 0, each[i].basic);
        assert_int_equal(r.identity, each[i].identity);
    }
    route("POST /signin/decide HTTP/1.1\r\n" HOST "Origin: https://gate.test:8443\r\n\r\n", false,
          false, &(cpn_route){ 0 });
}

static void
each_door_is_found(void **state)
{
    cpn_route r;

    (void)state;
    route("GET /v1/tunnel HTTP/1.1\r\n" HOST UP SUB AUTH "Cookie: a=b\r\n\r\n", false, false, &r);
    assert_int_equal(r.kind, CPN_ROUTE_TUNNEL);
    assert_true(cpn_view_is(r.bearer, "abc"));
    assert_true(cpn_view_is(r.key, "dGhlIHNhbXBsZSBub25jZQ=="));
    route("GET /webtunnelv2/a_-9?a=b&X-Node-Id=n1 HTTP/1.1\r\n" HOST UP
          "Origin: http://gate.test:8443\r\n\r\n",
          true, false, &r);
    assert_int_equal(r.kind, CPN_ROUTE_WEBTUNNEL);
    assert_true(cpn_view_is(r.ticket, "a_-9") && cpn_view_is(r.node, "n1") && r.azure);
    route("GET /omni/webtunnel/a_-9?a=b HTTP/1.1\r\n" HOST UP
          "Origin: http://gate.test:8443\r\n\r\n",
          true, false, &r);
    assert_int_equal(r.kind, CPN_ROUTE_WEBTUNNEL);
    assert_true(cpn_view_is(r.ticket, "a_-9") && r.azure);
    route("GET /omni/webtunnel/a_-9 HTTP/1.1\r\n" HOST UP "\r\n", false, false, &r);
    assert_int_equal(r.status, 404);
    route("GET /webtunnelv2/a_-9 HTTP/1.1\r\n" HOST UP "\r\n", false, false, &r);
    assert_int_equal(r.status, 404);
    route("POST /api/tokens HTTP/1.1\r\nHost: GATE.test:8443\r\nContent-Length: 65536\r\n"
          "Origin: https://gate.test:8443\r\n\r\n",
          true, false, &r);
    assert_int_equal(r.kind, CPN_ROUTE_API);
    assert_true(r.azure);
    route("POST /v1/apply HTTP/1.1\r\n" HOST
          "Content-Length: 33554432\r\nExpect: 100-Continue\r\n\r\n",
          true, false, &r);
    assert_int_equal(r.kind, CPN_ROUTE_API);
    assert_true(r.expects);
}

static void
the_default_port_may_be_written(void **state)
{
    static cpn_http_head head;
    cpn_route_facts facts = { .host = "gate.test" };
    cpn_route r;

    (void)state;
    assert_int_equal(
        cpn_http_request_parse(CPN_VIEW_LIT("GET / HTTP/1.1\r\nHost: gate.test:443\r\n\r\n"), NULL,
                               &head, NULL),
        CPN_OK);
    cpn_route_of(&head, &facts, &r);
    assert_int_equal(r.kind, CPN_ROUTE_API);
}

static void
the_operators_listener_has_three_paths(void **state)
{
    cpn_route r;

    (void)state;
    route("GET /v1/version HTTP/1.1\r\nHost: x\r\n\r\n", true, true, &r);
    assert_int_equal(r.status, 404);
    route("POST /metrics HTTP/1.1\r\nHost: x\r\n\r\n", true, true, &r);
    assert_int_equal(r.status, 405);
    route("GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n", true, true, &r);
    assert_int_equal(r.status, 413);
    route("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", true, true, &r);
    assert_int_equal(r.kind, CPN_ROUTE_HEALTH);
    route("HEAD /readyz HTTP/1.1\r\nHost: x\r\n\r\n", true, true, &r);
    assert_int_equal(r.kind, CPN_ROUTE_READY);
    route("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", true, true, &r);
    assert_int_equal(r.kind, CPN_ROUTE_METRICS);
    route("GET /healthz HTTP/1.1\r\n" HOST "\r\n", true, false, &r);
    assert_int_equal(r.kind, CPN_ROUTE_API); /* control knows no such path */
}

static void
slots_are_bounded_by_source_and_in_all(void **state)
{
    cpn_slots s = { .max = 5, .source_max = 2 };
    cpn_slot_source *held[5], *none;
    cpn_addr a, b, c, d;

    (void)state;
    assert_int_equal(cpn_addr_parse(&a, CPN_VIEW_LIT("192.0.2.1"), NULL), CPN_OK);
    assert_int_equal(cpn_addr_parse(&b, CPN_VIEW_LIT("192.0.2.2"), NULL), CPN_OK);
    assert_int_equal(cpn_addr_parse(&c, CPN_VIEW_LIT("2001:db8:0:ab01::1"), NULL), CPN_OK);
    assert_int_equal(cpn_addr_parse(&d, CPN_VIEW_LIT("2001:db8:0:abff::2"), NULL), CPN_OK);
    assert_int_equal(cpn_slot_take(&s, &a, &held[0]), CPN_OK);
    assert_int_equal(cpn_slot_take(&s, &a, &held[1]), CPN_OK);
    assert_int_equal(cpn_slot_take(&s, &a, &none), CPN_LIMIT);
    assert_int_equal(cpn_slot_take(&s, &c, &held[2]), CPN_OK);
    assert_int_equal(cpn_slot_take(&s, &d, &held[3]), CPN_OK);
    assert_int_equal(cpn_slot_take(&s, &c, &none), CPN_LIMIT); /* one /56 */
    assert_int_equal(cpn_slot_take(&s, &b, &held[4]), CPN_OK);
    assert_int_equal(cpn_slot_take(&s, &b, &none), CPN_LIMIT); /* in all */
    cpn_slot_give(&s, &held[0]);
    assert_null(held[0]);
    cpn_slot_give(&s, &held[0]);
    assert_int_equal(cpn_slot_take(&s, &b, &held[0]), CPN_OK);
    for (size_t i = 0; i < CPN_COUNT(held); i++)
        cpn_slot_give(&s, &held[i]);
    assert_int_equal(s.used, 0);
    assert_null(s.sources);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_refused),
        cmocka_unit_test(the_longest_ticket_is_taken),
        cmocka_unit_test(secrets_pass_where_they_belong),
        cmocka_unit_test(each_door_is_found),
        cmocka_unit_test(the_default_port_may_be_written),
        cmocka_unit_test(the_operators_listener_has_three_paths),
        cmocka_unit_test(slots_are_bounded_by_source_and_in_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
