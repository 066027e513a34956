/* net/carrier: every way to break caponier.v1 ends the carrier, with the right close code. */
#include "carriertest.h"

#include "codec/tunnel.h"

#define F(type, stream, value, ...)                                                                \
    {                                                                                              \
        0x82, 0x80 | (sizeof((uint8_t[]){ __VA_ARGS__ }) + 16 - 1), 0, 0, 0, 0, type, 0, 0, 0, 0,  \
            0, 0, stream, 0, 0, 0, 0, 0, 0, 0, value, __VA_ARGS__                                  \
    }
#define OPEN_BODY 0, 7, '{', '"', 't', '"', ':', '1', '}'

/* Behind the pings: short frames without a mask. NULL: none came. */
static uint8_t *
close_frame(hand *h)
{
    size_t at = 0;

    while (at + 4 <= h->n && h->got[at] != 0x88)
        at += 2 + (h->got[at + 1] & 0x7f);
    return at + 4 <= h->n ? h->got + at : NULL;
}

static void
protocol_violations_close(void **state)
{
    /* The last byte of each frame is padding that is not sent. */
    static const uint8_t open1[] = F(CPN_TUNNEL_OPEN, 1, 0, OPEN_BODY, 0);
    static const struct {
        const char *why;
        bool after_open;
        size_t n;
        uint8_t b[64];
        unsigned code;
    } refused[] = {
        { "unmasked", false, 2, { 0x82, 0x00 }, 1002 },
        { "reserved bit", false, 2, { 0xc2, 0x80 }, 1002 },
        { "text", false, 6, { 0x81, 0x80 }, 1003 },
        { "too long", false, 14, { 0x82, 0xff, 0, 0, 0, 0, 0, 2, 0, 0 }, 1009 },
        { "short frame", false, 7, { 0x82, 0x81, 0, 0, 0, 0, 1 }, 1002 },
        { "DATA of no stream", false, 23, F(CPN_TUNNEL_DATA, 1, 0, 'x', 0), 1002 },
        { "CREDIT of no stream", false, 22, F(CPN_TUNNEL_CREDIT, 9, 9, 0), 1002 },
        { "OPENED from the opener", true, 22, F(CPN_TUNNEL_OPENED, 1, 9, 0), 1002 },
        { "OPEN again", true, 31, F(CPN_TUNNEL_OPEN, 1, 0, OPEN_BODY, 0), 1002 },
        { "DATA with a gap", true, 23, F(CPN_TUNNEL_DATA, 1, 5, 'x', 0), 1002 },
        { "FIN elsewhere", true, 22, F(CPN_TUNNEL_FIN, 1, 5, 0), 1002 },
        { "ACK beyond", true, 22, F(CPN_TUNNEL_ACK, 1, 5, 0), 1002 },
        { "PING of a stream", true, 22, F(CPN_TUNNEL_PING, 1, 5, 0), 1002 },
        { "unknown type", true, 22, F(77, 1, 5, 0), 1002 },
    };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++) {
        fixture f;
        hand h = { 0 };
        cpn_tls *t;
        uint8_t *close_at;

        start(&f, 0, false);
        f.hold_open = true;
        t = (cpn_tls *)(void *)f.c[1];
        f.c[1] = NULL;
        cpn_tls_set_owner(t, &hand_events, &h);
        while (cpn_tls_room(t) == 0)
            uv_run(&f.nt.uv, UV_RUN_ONCE);
        if (refused[i].after_open)
            assert_int_equal(cpn_tls_write(t, open1, sizeof(open1) - 1), CPN_OK);
        assert_int_equal(cpn_tls_write(t, refused[i].b, refused[i].n), CPN_OK);
        nettest_until(&f.nt, &f.ended[0]);
        if (f.why[0] != CPN_CARRIER_PROTOCOL)
            fail_msg("%s: %d", refused[i].why, f.why[0]);
        nettest_until(&f.nt, &h.ended);
        assert_int_equal(f.asked, refused[i].after_open);
        if (refused[i].after_open)
            assert_int_equal(f.p[0].why[0], CPN_STREAM_PROTOCOL);
        close_at = close_frame(&h);
        assert_non_null(close_at);
        if ((unsigned)(close_at[2] << 8 | close_at[3]) != refused[i].code)
            fail_msg("%s: close %u", refused[i].why, (unsigned)(close_at[2] << 8 | close_at[3]));
        cpn_tls_free(t);
        stop(&f);
    }
}

static void
overrunning_the_window_closes(void **state)
{
    static const uint8_t open1[] = F(CPN_TUNNEL_OPEN, 1, 0, OPEN_BODY, 0);
    fixture f;
    hand h = { 0 };
    cpn_tls *t;
    uint8_t frame[8 + 16 + 16384] = { 0x82, 0xfe, 0x40, 0x10 };
    bool opened = true;

    (void)state;
    start(&f, 0, false);
    f.hold_open = true;
    t = (cpn_tls *)(void *)f.c[1];
    f.c[1] = NULL;
    cpn_tls_set_owner(t, &hand_events, &h);
    while (cpn_tls_room(t) == 0)
        uv_run(&f.nt.uv, UV_RUN_ONCE);
    assert_int_equal(cpn_tls_write(t, open1, sizeof(open1) - 1), CPN_OK);
    for (uint64_t at = 0; at <= CPN_FLOW_WINDOW_MIN; at += 16384) {
        cpn_tunnel_head(frame + 8, CPN_TUNNEL_DATA, 1, at);
        assert_false(f.ended[0]);
        while (cpn_tls_write(t, frame, sizeof(frame)) != CPN_OK && opened)
            uv_run(&f.nt.uv, UV_RUN_ONCE);
        nettest_turns(&f.nt, 3);
        assert_true(f.nt.quota.used <= 2 * CPN_BLOCK_SMALL);
    }
    nettest_until(&f.nt, &f.ended[0]);
    assert_int_equal(f.why[0], CPN_CARRIER_PROTOCOL);
    cpn_tls_free(t);
    stop(&f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(protocol_violations_close),
        cmocka_unit_test(overrunning_the_window_closes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
