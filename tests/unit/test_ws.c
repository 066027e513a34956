/* WebSocket: frames, messages, close payloads and the upgrade, refusals first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "codec/ws.h"
#include "codec/wsupgrade.h"

#define B(...)                                                                                     \
    {                                                                                              \
        (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })                 \
    }

static void
odd_frames_are_refused(void **state)
{
    const struct {
        const char *why;
        cpn_view in;
        cpn_ws_role role;
        cpn_rc want;
    } refused[] = {
        { "unmasked client frame", B(0x82, 0x00), CPN_WS_SERVER, CPN_E_PROTO },
        { "masked server frame", B(0x82, 0x80), CPN_WS_CLIENT, CPN_E_PROTO },
        { "no role, masked", B(0x82, 0x80, 0, 0, 0, 0), CPN_WS_NO_ROLE, CPN_E_PROTO },
        { "no role, unmasked", B(0x82, 0x00), CPN_WS_NO_ROLE, CPN_E_PROTO },
        { "RSV1", B(0xc2, 0x80), CPN_WS_SERVER, CPN_E_PROTO },
        { "RSV2", B(0xa2, 0x80), CPN_WS_SERVER, CPN_E_PROTO },
        { "RSV3", B(0x92, 0x80), CPN_WS_SERVER, CPN_E_PROTO },
        { "opcode 3", B(0x83, 0x80), CPN_WS_SERVER, CPN_E_PROTO },
        { "opcode 7", B(0x87, 0x80), CPN_WS_SERVER, CPN_E_PROTO },
        { "opcode 11", B(0x8b, 0x80), CPN_WS_SERVER, CPN_E_PROTO },
        { "opcode 15", B(0x8f, 0x80), CPN_WS_SERVER, CPN_E_PROTO },
        { "fragmented ping", B(0x09, 0x80), CPN_WS_SERVER, CPN_E_PROTO },
        { "ping of 126", B(0x89, 0xfe), CPN_WS_SERVER, CPN_E_PROTO },
        { "close of one byte", B(0x88, 0x81), CPN_WS_SERVER, CPN_E_PROTO },
        { "length 125 in 16 bits", B(0x82, 0xfe, 0, 125), CPN_WS_SERVER, CPN_E_PROTO },
        { "length 5 in 64 bits", B(0x82, 0xff, 0, 0, 0, 0, 0, 0, 0, 5), CPN_WS_SERVER,
          CPN_E_PROTO },
        { "length 65535 in 64 bits", B(0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff), CPN_WS_SERVER,
          CPN_E_PROTO },
        { "length 2^63", B(0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0), CPN_WS_SERVER, CPN_E_PROTO },
        { "payload over the cap", B(0x82, 0xfe, 0x10, 1, 0, 0, 0, 0), CPN_WS_SERVER, CPN_LIMIT },
        { "empty", { NULL, 0 }, CPN_WS_SERVER, CPN_AGAIN },
        { "one byte", B(0x82), CPN_WS_SERVER, CPN_AGAIN },
        { "key one byte short", B(0x82, 0x81, 0, 0, 0), CPN_WS_SERVER, CPN_AGAIN },
        { "length one byte short", B(0x82, 0xff, 0, 0, 0, 0, 0, 1, 0), CPN_WS_SERVER, CPN_AGAIN },
    };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++) {
        cpn_ws_head h;
        cpn_rc rc = cpn_ws_head_parse(refused[i].in, refused[i].role, 4096, &h, NULL);
        if (rc != refused[i].want)
            fail_msg("%s: got %d, want %d", refused[i].why, rc, refused[i].want);
        assert_int_equal(h.used, 0);
    }
}

static void
heads_round_trip(void **state)
{
    static const uint64_t sizes[] = { 0, 1, 125, 126, 127, 65535, 65536, 1ull << 40, INT64_MAX };
    const uint8_t key[4] = { 1, 2, 3, 4 };
    uint8_t out[CPN_WS_HEAD_MAX];
    cpn_ws_head h;

    (void)state;
    for (size_t i = 0; i < 2 * CPN_COUNT(sizes); i++) {
        bool masked = i % 2;
        cpn_ws_role reader = masked ? CPN_WS_SERVER : CPN_WS_CLIENT;
        size_t n = cpn_ws_head_write(out, CPN_WS_BINARY, i & 2, sizes[i / 2], masked ? key : NULL);

        assert_int_equal(n, cpn_ws_head_size(sizes[i / 2], masked));
        for (size_t k = 0; k < n; k++)
            assert_int_equal(cpn_ws_head_parse((cpn_view){ out, k }, reader, UINT64_MAX, &h, NULL),
                             CPN_AGAIN);
        assert_int_equal(cpn_ws_head_parse((cpn_view){ out, n }, reader, UINT64_MAX, &h, NULL),
                         CPN_OK);
        assert_true(h.used == n && h.n == sizes[i / 2] && h.masked == masked);
        assert_true(h.op == CPN_WS_BINARY && h.fin == ((i & 2) != 0));
        assert_true(!masked || memcmp(h.key, key, 4) == 0);
    }
    /* RFC 6455 5.7: an unmasked text "Hello", and 65536 bytes of binary. */
    assert_int_equal(cpn_ws_head_write(out, CPN_WS_TEXT, true, 5, NULL), 2);
    assert_memory_equal(out, "\x81\x05", 2);
    assert_int_equal(cpn_ws_head_write(out, CPN_WS_BINARY, true, 65536, NULL), 10);
    assert_memory_equal(out, "\x82\x7f\0\0\0\0\0\1\0\0", 10);
}

static void
masking_in_pieces_is_masking(void **state)
{
    const uint8_t key[4] = { 0x37, 0xfa, 0x21, 0x3d };
    uint8_t hello[] = { 0x7f, 0x9f, 0x4d, 0x51, 0x58 }; /* RFC 6455 5.7 */
    uint8_t bytes[131], want[131];

    (void)state;
    cpn_ws_mask(hello, sizeof(hello), key, 0);
    assert_memory_equal(hello, "Hello", 5);
    for (size_t cut = 0; cut <= sizeof(bytes); cut++) {
        for (size_t i = 0; i < sizeof(bytes); i++) {
            bytes[i] = (uint8_t)(i * 7);
            want[i] = (uint8_t)(bytes[i] ^ key[i & 3]);
        }
        cpn_ws_mask(bytes, cut, key, 0);
        cpn_ws_mask(bytes + cut, sizeof(bytes) - cut, key, cut);
        assert_memory_equal(bytes, want, sizeof(want));
    }
}

static cpn_rc
step(cpn_ws_message *m, cpn_ws_op op, bool fin, uint64_t n)
{
    const cpn_ws_head h = { .op = op, .fin = fin, .n = n };

    return cpn_ws_step(m, &h, 100, NULL);
}

static void
fragments_follow_their_rules(void **state)
{
    cpn_ws_message m = { 0 };

    (void)state;
    assert_int_equal(step(&m, CPN_WS_CONTINUATION, true, 1), CPN_E_PROTO);
    assert_int_equal(step(&m, CPN_WS_BINARY, true, 101), CPN_LIMIT);
    assert_int_equal(step(&m, CPN_WS_BINARY, false, 60), CPN_OK);
    assert_int_equal(step(&m, CPN_WS_BINARY, true, 1), CPN_E_PROTO);
    assert_int_equal(step(&m, CPN_WS_TEXT, true, 1), CPN_E_PROTO);
    assert_int_equal(step(&m, CPN_WS_PING, true, 125), CPN_OK);
    assert_int_equal(step(&m, CPN_WS_CONTINUATION, false, 41), CPN_LIMIT);
    assert_int_equal(step(&m, CPN_WS_CONTINUATION, true, 40), CPN_OK);
    assert_true(!m.inside && m.n == 100 && m.op == CPN_WS_BINARY);
    assert_int_equal(step(&m, CPN_WS_CONTINUATION, true, 0), CPN_E_PROTO);
    assert_int_equal(step(&m, CPN_WS_TEXT, false, 0), CPN_OK);
    assert_int_equal(m.op, CPN_WS_TEXT);
    for (int i = 1; i < CPN_WS_FRAGMENTS_MAX; i++)
        assert_int_equal(step(&m, CPN_WS_CONTINUATION, false, 0), CPN_OK);
    assert_int_equal(step(&m, CPN_WS_CONTINUATION, false, 0), CPN_E_PROTO);
    assert_int_equal(step(&m, CPN_WS_CLOSE, true, 0), CPN_OK);
    assert_int_equal(step(&m, CPN_WS_PING, true, 0), CPN_E_PROTO);
    assert_int_equal(step(&m, CPN_WS_CLOSE, true, 0), CPN_E_PROTO);
}

static void
close_codes_are_checked(void **state)
{
    static const unsigned refused[] = { 0,    999,  1004, 1005, 1006, 1015,
                                        1016, 1100, 2000, 2999, 5000, 65535 };
    static const unsigned passed[] = { 1000, 1003, 1007, 1011, 1014, 3000, 3999, 4000, 4999 };
    uint8_t out[CPN_WS_CONTROL_MAX];
    char longer[200];
    unsigned code;
    cpn_view reason;

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++) {
        const uint8_t p[2] = { (uint8_t)(refused[i] >> 8), (uint8_t)refused[i] };
        assert_int_equal(cpn_ws_close_parse((cpn_view){ p, 2 }, &code, &reason, NULL), CPN_E_PROTO);
    }
    assert_int_equal(cpn_ws_close_parse(CPN_VIEW_LIT("\x03"), &code, &reason, NULL), CPN_E_PROTO);
    assert_int_equal(cpn_ws_close_parse(CPN_VIEW_LIT("\x03\xe8\xc0\xaf"), &code, &reason, NULL),
                     CPN_E_PROTO);
    assert_int_equal(cpn_ws_close_parse((cpn_view){ NULL, 0 }, &code, &reason, NULL), CPN_OK);
    assert_int_equal(code, CPN_WS_CLOSE_NONE);
    for (size_t i = 0; i < CPN_COUNT(passed); i++) {
        size_t n = cpn_ws_close_write(out, passed[i], CPN_VIEW_LIT("why \xc3\xa4"));
        assert_int_equal(cpn_ws_close_parse((cpn_view){ out, n }, &code, &reason, NULL), CPN_OK);
        assert_int_equal(code, passed[i]);
        assert_true(cpn_view_is(reason, "why \xc3\xa4"));
    }
    assert_int_equal(cpn_ws_close_write(out, CPN_WS_CLOSE_NONE, CPN_VIEW_LIT("x")), 0);
    assert_int_equal(cpn_ws_close_write(out, 1006, (cpn_view){ NULL, 0 }), 2);
    assert_memory_equal(out, "\x03\xf3", 2);
    for (size_t i = 0; i < sizeof(longer); i += 2)
        memcpy(longer + i, "\xc3\xa4", 2);
    assert_int_equal(cpn_ws_close_write(out, 1000, (cpn_view){ (uint8_t *)longer, 200 }), 124);
}

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define UPGRADE                                                                                    \
    "GET /v1/tunnel HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
#define V13 "Sec-WebSocket-Version: 13\r\n"
#define K "Sec-WebSocket-Key: " KEY "\r\n"

static void
odd_upgrades_are_refused(void **state)
{
    static const struct {
        const char *why, *in;
        int status;
    } refused[] = {
        { "POST",
          "POST / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n" V13 K,
          405 },
        { "no Upgrade", "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\n" V13 K, 400 },
        { "no Connection", "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n" V13 K, 400 },
        { "Upgrade: h2c",
          "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: upgrade\r\n" V13 K, 400 },
        { "no version", UPGRADE K, 400 },
        { "version 12", UPGRADE "Sec-WebSocket-Version: 12\r\n" K, 426 },
        { "version 013", UPGRADE "Sec-WebSocket-Version: 013\r\n" K, 426 },
        { "no key", UPGRADE V13, 400 },
        { "empty key", UPGRADE V13 "Sec-WebSocket-Key:\r\n", 400 },
        { "short key", UPGRADE V13 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j\r\n", 400 },
        { "unpadded key", UPGRADE V13 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ\r\n", 400 },
        { "key of 17 bytes", UPGRADE V13 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQQ=\r\n", 400 },
        { "key not canonical", UPGRADE V13 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==\r\n", 400 },
        { "key in base64url", UPGRADE V13 "Sec-WebSocket-Key: _GhlIHNhbXBsZSBub25jZQ==\r\n", 400 },
        { "body", UPGRADE V13 K "Content-Length: 1\r\n", 400 },
    };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++) {
        CPN_AUTO(cpn_buf_fini) cpn_buf in = { .max = 4096 };
        cpn_http_head head;
        cpn_view key;
        int status = 0;
        assert_int_equal(cpn_buf_printf(&in, "%s\r\n", refused[i].in), CPN_OK);
        assert_int_equal(cpn_http_request_parse(cpn_buf_view(&in), NULL, &head, NULL), CPN_OK);
        if (cpn_ws_request_check(&head, &key, &status, NULL) != CPN_INVALID ||
            status != refused[i].status)
            fail_msg("%s: status %d", refused[i].why, status);
    }
}

static void
both_sides_agree_on_an_upgrade(void **state)
{
    CPN_AUTO(cpn_buf_fini) cpn_buf out = { .max = 4096 };
    CPN_AUTO(cpn_buf_fini) cpn_buf more = { .max = 4096 };
    cpn_ws_ask ask = { .host = "gw:8443",
                       .target = "/v1/tunnel",
                       .key = KEY,
                       .subprotocol = "caponier.v1",
                       .bearer = CPN_VIEW_LIT("a.b.c") };
    cpn_http_head head;
    cpn_view key;
    int status;

    (void)state;
    assert_int_equal(cpn_http_line_put(&more, "Caponier-Client", CPN_VIEW_LIT("1")), CPN_OK);
    ask.more = cpn_buf_view(&more);
    assert_int_equal(cpn_ws_request_put(&out, &ask, NULL), CPN_OK);
    assert_int_equal(cpn_http_request_parse(cpn_buf_view(&out), NULL, &head, NULL), CPN_OK);
    assert_true(cpn_ws_wanted(&head));
    assert_int_equal(cpn_ws_request_check(&head, &key, &status, NULL), CPN_OK);
    assert_true(cpn_view_is(key, KEY) && cpn_view_is(cpn_http_bearer(&head), "a.b.c"));
    assert_true(cpn_ws_offers(&head, "caponier.v1"));
    assert_false(cpn_ws_offers(&head, "Caponier.v1"));
    assert_false(cpn_ws_offers(&head, "caponier.v"));

    out.n = 0;
    assert_int_equal(
        cpn_ws_response_put(&out, cpn_view_str(KEY), "caponier.v1", (cpn_view){ NULL, 0 }), CPN_OK);
    assert_true(cpn_view_is(cpn_buf_view(&out),
                            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                            "Connection: Upgrade\r\n"
                            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                            "Sec-WebSocket-Protocol: caponier.v1\r\n\r\n"));
    assert_int_equal(cpn_http_response_parse(cpn_buf_view(&out), NULL, &head, NULL), CPN_OK);
    assert_int_equal(cpn_ws_response_check(&head, &ask, NULL), CPN_OK);
    ask.subprotocol = NULL;
    assert_int_equal(cpn_ws_response_check(&head, &ask, NULL), CPN_E_PROTO);
    ask.subprotocol = "caponier.v2";
    assert_int_equal(cpn_ws_response_check(&head, &ask, NULL), CPN_E_PROTO);
    ask.subprotocol = "caponier.v1";
    ask.key = "AAAAAAAAAAAAAAAAAAAAAA==";
    assert_int_equal(cpn_ws_response_check(&head, &ask, NULL), CPN_E_PROTO);
}

static void
requests_that_would_break_are_not_written(void **state)
{
    CPN_AUTO(cpn_buf_fini) cpn_buf out = { .max = 4096 };
    const cpn_ws_ask good = { .host = "gw", .target = "/", .key = KEY };
    cpn_ws_ask ask = good;

    (void)state;
    ask.host = "gw\r\nA: b";
    assert_int_equal(cpn_ws_request_put(&out, &ask, NULL), CPN_INVALID);
    ask = good;
    ask.target = "/ HTTP/1.1\r\nHost: y\r\n\r\n";
    assert_int_equal(cpn_ws_request_put(&out, &ask, NULL), CPN_INVALID);
    ask = good;
    ask.bearer = CPN_VIEW_LIT("a\nb");
    assert_int_equal(cpn_ws_request_put(&out, &ask, NULL), CPN_INVALID);
    ask = good;
    ask.more = CPN_VIEW_LIT("A: b\r\n\r\nGET");
    assert_int_equal(cpn_ws_request_put(&out, &ask, NULL), CPN_INVALID);
    assert_int_equal(out.n, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(odd_frames_are_refused),
        cmocka_unit_test(heads_round_trip),
        cmocka_unit_test(masking_in_pieces_is_masking),
        cmocka_unit_test(fragments_follow_their_rules),
        cmocka_unit_test(close_codes_are_checked),
        cmocka_unit_test(odd_upgrades_are_refused),
        cmocka_unit_test(both_sides_agree_on_an_upgrade),
        cmocka_unit_test(requests_that_would_break_are_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
