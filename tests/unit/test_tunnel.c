/* caponier.v1: what a frame may be, byte for byte, and what a stream may do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codec/digest.h"
#include "codec/flow.h"
#include "codec/tunnel.h"

#include "tunnel_vectors.h"

static size_t
unhex(const char *hex, uint8_t *out)
{
    size_t n = strlen(hex) / 2;

    assert_true(cpn_hex_decode(cpn_view_str(hex), out, n));
    return n;
}

static void
odd_frames_are_refused(void **state)
{
    static const struct {
        const char *why;
        const char *hex;
    } refused[] = {
        { "empty message", "" },
        { "one byte short of a head", "090000000000000000000000000000" },
        { "type 0", "00000000000000010000000000000000" },
        { "type 11", "0b000000000000010000000000000000" },
        { "type 255", "ff000000000000010000000000000000" },
        { "flags", "09010000000000000000000000000000" },
        { "reserved, high", "09008000000000000000000000000000" },
        { "reserved, low", "09000001000000000000000000000000" },
        { "ping on a stream", "09000000000000010000000000000000" },
        { "pong on a stream", "0a000000000000010000000000000000" },
        { "open on the carrier", "0100000000000000000000000001000000017b" },
        { "data on the carrier", "0400000000000000000000000000000061" },
        { "credit on the carrier", "07000000000000000000000000000000" },
        { "ping with a body", "0900000000000000000000000000000000" },
        { "fin with a body", "0500000000000001000000000000000000" },
        { "credit with a body", "0700000000000001000000000000000000" },
        { "ack with a body", "0800000000000001000000000000000000" },
        { "data without a body", "04000000000000010000000000000000" },
        { "refused without a body", "03000000000000010000000000000000" },
        { "refused with a value", "030000000000000100000000000000017b7d" },
        { "reset with a value", "06000000000000010000000000000001" },
        { "offset of 2^63", "05000000000000018000000000000000" },
        { "credit of 2^64-1", "0700000000000001ffffffffffffffff" },
        { "data that ends over 2^63", "04000000000000017fffffffffffffff61" },
        { "open without a target", "010000000000000100000000000100000000" },
        { "open with a target of none and a first byte", "01000000000000010000000000010000000041" },
        { "open of one body byte", "0100000000000001000000000001000000" },
        { "open whose target runs out", "010000000000000100000000000100000003"
                                        "4142" },
        { "open whose target is too long", "010000000000000100000000000100000801" },
    };
    uint8_t bytes[64];

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++) {
        cpn_tunnel_frame f;
        cpn_err err = { 0 };
        size_t n = unhex(refused[i].hex, bytes);
        if (cpn_tunnel_parse((cpn_view){ bytes, n }, &f, &err) != CPN_E_PROTO)
            fail_msg("%s: accepted", refused[i].why);
        assert_int_equal(f.type, CPN_TUNNEL_NONE);
        assert_true(err.msg[0] != '\0');
    }
}

static cpn_rc
sized(cpn_tunnel_type type, size_t body)
{
    uint8_t *bytes = calloc(1, CPN_TUNNEL_HEAD + body);
    cpn_tunnel_frame f;
    cpn_rc rc;

    assert_non_null(bytes);
    cpn_tunnel_head(bytes, type, 1, 0);
    rc = cpn_tunnel_parse((cpn_view){ bytes, CPN_TUNNEL_HEAD + body }, &f, NULL);
    free(bytes);
    return rc;
}

static void
sizes_stop_at_their_limits(void **state)
{
    static const struct {
        cpn_tunnel_type type;
        size_t max;
    } limits[] = { { CPN_TUNNEL_OPENED, 1024 },
                   { CPN_TUNNEL_REFUSED, 4096 },
                   { CPN_TUNNEL_DATA, 65536 },
                   { CPN_TUNNEL_RESET, 4096 } };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(limits); i++) {
        assert_int_equal(sized(limits[i].type, limits[i].max), CPN_OK);
        assert_int_equal(sized(limits[i].type, limits[i].max + 1), CPN_E_PROTO);
    }
}

static void
open_stops_at_its_limits(void **state)
{
    static uint8_t many[CPN_TUNNEL_FIRST_MAX + 1];
    CPN_AUTO(cpn_buf_fini) cpn_buf out = { .max = CPN_TUNNEL_MESSAGE_MAX };
    cpn_tunnel_frame f = { .stream = 1, .target = { many, 2048 }, .first = { many, 16384 } }, back;

    (void)state;
    assert_int_equal(cpn_tunnel_put_open(&out, &f, NULL), CPN_OK);
    assert_int_equal(cpn_tunnel_parse(cpn_buf_view(&out), &back, NULL), CPN_OK);
    assert_int_equal(back.target.n, 2048);
    assert_int_equal(back.first.n, 16384);
    out.n = 0;
    f.first.n++;
    assert_int_equal(cpn_tunnel_put_open(&out, &f, NULL), CPN_E_PROTO);
    f.first.n = 0;
    f.target.n++;
    assert_int_equal(cpn_tunnel_put_open(&out, &f, NULL), CPN_E_PROTO);
    f.target.n = 0;
    assert_int_equal(cpn_tunnel_put_open(&out, &f, NULL), CPN_E_PROTO);
    assert_int_equal(out.n, 0);
}

static void
golden_frames_read_and_write(void **state)
{
    uint8_t bytes[128];

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(tunnel_vectors); i++) {
        const struct tunnel_vector *v = &tunnel_vectors[i];
        CPN_AUTO(cpn_buf_fini) cpn_buf out = { .max = CPN_TUNNEL_MESSAGE_MAX };
        cpn_view message = { bytes, unhex(v->hex, bytes) };
        cpn_tunnel_frame f;
        cpn_rc rc;

        if (cpn_tunnel_parse(message, &f, NULL) != CPN_OK)
            fail_msg("%s: refused", v->meaning);
        assert_int_equal(f.type, v->type);
        assert_int_equal(f.stream, v->stream);
        assert_true(f.value == v->value);
        if (v->body)
            assert_true(cpn_view_is(f.body, v->body));
        if (v->target)
            assert_true(cpn_view_is(f.target, v->target) && cpn_view_is(f.first, v->first));
        rc = v->target ? cpn_tunnel_put_open(&out, &f, NULL) : cpn_tunnel_put(&out, &f, NULL);
        assert_int_equal(rc, CPN_OK);
        assert_true(cpn_view_eq(cpn_buf_view(&out), message));
    }
}

static void
a_stream_refuses_what_was_not_granted(void **state)
{
    cpn_flow f;

    (void)state;
    cpn_flow_init(&f, CPN_FLOW_WINDOW_MAX);
    assert_int_equal(cpn_flow_on_data(&f, 1, 1, NULL), CPN_E_PROTO);
    assert_int_equal(cpn_flow_on_data(&f, 0, 65537, NULL), CPN_E_PROTO);
    assert_int_equal(cpn_flow_on_data(&f, 0, UINT64_MAX, NULL), CPN_E_PROTO);
    assert_int_equal(cpn_flow_on_data(&f, 0, 100, NULL), CPN_OK);
    assert_int_equal(cpn_flow_on_data(&f, 99, 10, NULL), CPN_E_PROTO);
    assert_int_equal(cpn_flow_on_data(&f, 100, 65437, NULL), CPN_E_PROTO);
    assert_int_equal(cpn_flow_on_fin(&f, 99, NULL), CPN_E_PROTO);
    assert_int_equal(cpn_flow_on_fin(&f, 101, NULL), CPN_E_PROTO);
    assert_int_equal(cpn_flow_on_ack(&f, 1, NULL), CPN_E_PROTO);
    assert_int_equal(cpn_flow_on_credit(&f, 1ull << 63, NULL), CPN_E_PROTO);
    assert_int_equal(f.received, 100);
    assert_int_equal(cpn_flow_on_fin(&f, 100, NULL), CPN_OK);
    assert_int_equal(cpn_flow_on_fin(&f, 100, NULL), CPN_E_PROTO);
    assert_int_equal(cpn_flow_on_data(&f, 100, 1, NULL), CPN_E_PROTO);
}

static void
sending_follows_credit(void **state)
{
    cpn_flow f;

    (void)state;
    cpn_flow_init(&f, 0);
    assert_int_equal(cpn_flow_may_send(&f, 10), 0);
    cpn_flow_sent_first(&f, 16384);
    assert_int_equal(cpn_flow_may_send(&f, 10), 0);
    assert_int_equal(cpn_flow_on_credit(&f, 16390, NULL), CPN_OK);
    assert_int_equal(cpn_flow_on_credit(&f, 100, NULL), CPN_OK); /* backwards: ignored */
    assert_int_equal(cpn_flow_may_send(&f, 10), 6);
    cpn_flow_sent(&f, 6);
    assert_int_equal(cpn_flow_may_send(&f, 10), 0);
    assert_int_equal(cpn_flow_on_ack(&f, 16390, NULL), CPN_OK);
    assert_int_equal(cpn_flow_on_ack(&f, 5, NULL), CPN_OK);
    assert_int_equal(f.acked, 16390);
    assert_int_equal(cpn_flow_on_credit(&f, 20000, NULL), CPN_OK);
    cpn_flow_sent_fin(&f);
    assert_int_equal(cpn_flow_may_send(&f, 10), 0);
}

static const cpn_flow_pace near = { .room = true, .rtt_ms = -1 };
static const cpn_flow_pace tight = { .room = false, .rtt_ms = -1 };

/* n more bytes came in and were written at this time. */
static void
pass(cpn_flow *f, uint64_t n, uint64_t now_ms, int rtt_ms)
{
    cpn_flow_pace pace = { .room = true, .now_ms = now_ms, .rtt_ms = rtt_ms };
    uint64_t credit;

    assert_int_equal(cpn_flow_on_data(f, f->received, n, NULL), CPN_OK);
    cpn_flow_delivered(f, n);
    (void)cpn_flow_grant(f, &pace, &credit);
}

/* Beyond what a near gateway needs, a window grows only while it is what limits. */
static void
a_far_gateway_gets_a_larger_window(void **state)
{
    cpn_flow f;
    uint64_t now = 0, seen;

    (void)state;
    cpn_flow_init(&f, CPN_FLOW_WINDOW_MAX);
    while (f.window < CPN_FLOW_WINDOW_NEAR)
        pass(&f, f.window / 2, now, -1);
    pass(&f, f.window, ++now, -1); /* unknown: it stays */
    pass(&f, f.window, ++now, 0);  /* near: it stays */
    assert_int_equal(f.window, CPN_FLOW_WINDOW_NEAR);
    pass(&f, f.window / 2, now += 200, 100); /* slow: the path is what limits */
    assert_int_equal(f.window, CPN_FLOW_WINDOW_NEAR);
    pass(&f, f.window / 2 - 1, now += 150, 100);
    assert_int_equal(f.window, CPN_FLOW_WINDOW_NEAR);
    pass(&f, 1, now += 49,
         100); /* half of it in less than two round trips: byte for byte from here */
    assert_int_equal(f.window, CPN_FLOW_WINDOW_NEAR + 1);
    pass(&f, 1000, now += 1, 100);
    assert_int_equal(f.window, CPN_FLOW_WINDOW_NEAR + 1001);
    pass(&f, 1000, now += 200, 100); /* it trickles: what was judged is over */
    assert_int_equal(f.window, CPN_FLOW_WINDOW_NEAR + 1001);
    pass(&f, 1000, now += 1, 100);
    assert_int_equal(f.window, CPN_FLOW_WINDOW_NEAR + 1001);
    pass(&f, f.window / 2 - 3000, now += 200, 100); /* slow again: it stays from here */
    seen = f.window;
    pass(&f, 1000, now += 1, 100);
    assert_int_equal(f.window, seen);
    for (unsigned trips = 0; f.window < CPN_FLOW_WINDOW_MAX; trips++) {
        assert_in_range(trips, 0, 4); /* what goes by grows, too */
        for (unsigned part = 0; part < 10; part++)
            pass(&f, f.window / 10, now += 10, 100);
    }
    pass(&f, f.window / 2, now += 100, 100);
    assert_int_equal(f.window, CPN_FLOW_WINDOW_MAX);
    assert_true(f.recv_limit - f.delivered <= CPN_FLOW_WINDOW_MAX);
}

/* A further stream of the path opens in a few round trips, by what its destination has taken. */
static void
a_known_path_opens_the_window_by_what_went_by(void **state)
{
    cpn_flow_pace pace = { .room = true, .rtt_ms = 100, .known = 8 * CPN_FLOW_WINDOW_NEAR };
    uint64_t credit = 0;
    cpn_flow f;

    (void)state;
    cpn_flow_init(&f, CPN_FLOW_WINDOW_MAX);
    assert_false(
        cpn_flow_grant(&f, &pace, &credit)); /* nothing was taken: nothing is known of it */
    assert_int_equal(f.recv_limit, CPN_FLOW_WINDOW_MIN);
    assert_int_equal(cpn_flow_on_data(&f, 0, CPN_FLOW_WINDOW_MIN, NULL), CPN_OK);
    cpn_flow_delivered(&f, 1000);
    (void)cpn_flow_grant(&f, &pace, &credit);
    assert_int_equal(f.window, CPN_FLOW_WINDOW_MIN + 4000);
    for (int trips = 0; trips < 4; trips++) {
        assert_int_equal(cpn_flow_on_data(&f, f.received, f.recv_limit - f.received, NULL), CPN_OK);
        cpn_flow_delivered(&f, f.received - f.delivered);
        (void)cpn_flow_grant(&f, &pace, &credit);
    }
    assert_int_equal(f.window, pace.known); /* and no further by this way */
}

/* Of a large window no quarter lies idle. */
static void
a_large_window_is_granted_in_small_steps(void **state)
{
    uint64_t credit = 0;
    cpn_flow f;

    (void)state;
    cpn_flow_init(&f, CPN_FLOW_WINDOW_MAX);
    f.window = CPN_FLOW_WINDOW_MAX;
    f.recv_limit = f.window;
    assert_int_equal(cpn_flow_on_data(&f, 0, 2 * CPN_FLOW_WINDOW_NEAR, NULL), CPN_OK);
    cpn_flow_delivered(&f, CPN_FLOW_WINDOW_NEAR - 1);
    assert_false(cpn_flow_grant(&f, &near, &credit));
    cpn_flow_delivered(&f, 1);
    assert_true(cpn_flow_grant(&f, &near, &credit));
    assert_int_equal(credit, CPN_FLOW_WINDOW_NEAR + CPN_FLOW_WINDOW_MAX);
}

static void
credit_is_due_by_quarters_and_grows(void **state)
{
    uint64_t credit = 0, ack = 0;
    cpn_flow f;

    (void)state;
    cpn_flow_init(&f, 131072);
    assert_int_equal(cpn_flow_on_data(&f, 0, 40000, NULL), CPN_OK);
    assert_false(cpn_flow_grant(&f, &near, &credit)); /* received is not delivered */
    cpn_flow_delivered(&f, 4095);
    assert_false(cpn_flow_grant(&f, &near, &credit));
    cpn_flow_delivered(&f, 1);
    assert_true(cpn_flow_grant(&f, &near, &credit)); /* four more for each that went by */
    assert_int_equal(credit, 4096 + 65536 + 4 * 4096);
    assert_false(cpn_flow_grant(&f, &near, &credit));
    cpn_flow_delivered(&f, 12288);
    assert_true(cpn_flow_grant(&f, &near, &credit));
    assert_int_equal(credit, 16384 + 131072);
    assert_int_equal(f.window, 131072);
    assert_false(cpn_flow_ack(&f, &ack));
    cpn_flow_delivered(&f, 16384);
    assert_true(cpn_flow_ack(&f, &ack)); /* a quarter */
    assert_int_equal(ack, 32768);
    assert_false(cpn_flow_grant(&f, &near, &credit));
    cpn_flow_delivered(&f, UINT64_MAX); /* no more than what was received */
    assert_int_equal(f.delivered, 40000);
    assert_false(cpn_flow_grant(&f, &tight, &credit)); /* no room: nothing new, nothing withdrawn */
    assert_int_equal(f.window, 65536);
    assert_int_equal(f.recv_limit, 16384 + 131072);
}

static void
the_rest_is_acknowledged_at_fin(void **state)
{
    uint64_t ack = 0, credit = 0;
    cpn_flow f;

    (void)state;
    cpn_flow_init(&f, 0);
    assert_int_equal(cpn_flow_on_data(&f, 0, 3, NULL), CPN_OK);
    assert_int_equal(cpn_flow_on_fin(&f, 3, NULL), CPN_OK);
    cpn_flow_delivered(&f, 2);
    assert_false(cpn_flow_ack(&f, &ack));
    cpn_flow_delivered(&f, 1);
    assert_true(cpn_flow_ack(&f, &ack));
    assert_int_equal(ack, 3);
    assert_false(cpn_flow_ack(&f, &ack));
    assert_false(cpn_flow_grant(&f, &near, &credit));
    assert_false(cpn_flow_done(&f));
    cpn_flow_sent_fin(&f);
    assert_true(cpn_flow_done(&f));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(odd_frames_are_refused),
        cmocka_unit_test(sizes_stop_at_their_limits),
        cmocka_unit_test(open_stops_at_its_limits),
        cmocka_unit_test(golden_frames_read_and_write),
        cmocka_unit_test(a_stream_refuses_what_was_not_granted),
        cmocka_unit_test(sending_follows_credit),
        cmocka_unit_test(credit_is_due_by_quarters_and_grows),
        cmocka_unit_test(a_far_gateway_gets_a_larger_window),
        cmocka_unit_test(a_known_path_opens_the_window_by_what_went_by),
        cmocka_unit_test(a_large_window_is_granted_in_small_steps),
        cmocka_unit_test(the_rest_is_acknowledged_at_fin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
