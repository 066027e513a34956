/* net/rawrelay: WebSocket rules, both directions, ends, judgement, back-pressure. */
#include "nettest.h"

#include "net/rawrelay.h"
#include "net/wslink.h"

typedef struct fixture {
    nettest nt;
    cpn_rawrelay *r[2]; /* 0: server, 1: client */
    int sock[2];        /* far ends: target, app */
    bool ended[2];
    cpn_raw_why why[2];
    uint64_t up, down;
} fixture;

static void
on_end(void *owner, cpn_rawrelay *r, const cpn_raw_end *end)
{
    fixture *f = owner;
    int side = r == f->r[1];

    assert_false(f->ended[side]);
    f->ended[side] = true;
    f->why[side] = end->why;
    if (side == 0) {
        f->up = end->up;
        f->down = end->down;
    }
}

static void
attach(fixture *f, int side)
{
    int fd[2];

    nettest_sockets(fd);
    f->sock[side] = fd[0];
    cpn_rawrelay_attach(f->r[side], fd[1]);
}

static unsigned close_ms; /* of the gateway's end in the next start */

/* hand_side: let a peer that speaks by hand be the client instead. */
static cpn_tls *
start(fixture *f, const cpn_judge *judge, hand *h, unsigned ping_ms)
{
    cpn_raw_opts opts = { .role = CPN_WS_SERVER,
                          .on_end = on_end,
                          .owner = f,
                          .ping_ms = ping_ms,
                          .close_ms = close_ms };
    cpn_tls *t[2];
    cpn_err err = { 0 };

    memset(f, 0, sizeof(*f));
    nettest_start(&f->nt);
    nettest_tls(&f->nt, &t[0], &t[1], "gate.test");
    if (judge)
        opts.judge = *judge;
    assert_int_equal(cpn_rawrelay_new(&f->r[0], f->nt.loop, t[0], &opts, &err), CPN_OK);
    if (h) {
        memset(h, 0, sizeof(*h));
        cpn_tls_set_owner(t[1], &hand_events, h);
        while (cpn_tls_room(t[1]) == 0)
            uv_run(&f->nt.uv, UV_RUN_ONCE);
        return t[1];
    }
    opts = (cpn_raw_opts){ .role = CPN_WS_CLIENT, .on_end = on_end, .owner = f };
    assert_int_equal(cpn_rawrelay_new(&f->r[1], f->nt.loop, t[1], &opts, &err), CPN_OK);
    attach(f, 1);
    return NULL;
}

static void
stop(fixture *f)
{
    for (int i = 0; i < 2; i++) {
        if (f->sock[i] > 0)
            close(f->sock[i]);
        cpn_rawrelay_free(f->r[i]);
    }
    nettest_stop(&f->nt);
}

static void
websocket_rules_are_kept(void **state)
{
    static const struct {
        const char *why;
        size_t n;
        uint8_t b[16];
        unsigned code;
    } refused[] = {
        { "unmasked", 2, { 0x82, 0x00 }, 1002 },
        { "text", 6, { 0x81, 0x80 }, 1003 },
        { "reserved", 6, { 0xf2, 0x80 }, 1002 },
        { "continuation of nothing", 6, { 0x80, 0x80 }, 1002 },
        { "message in a message", 12, { 0x02, 0x80, 0, 0, 0, 0, 0x82, 0x80 }, 1002 },
        { "long ping", 8, { 0x89, 0xfe, 0, 126 }, 1002 },
    };
    static hand h;

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++) {
        fixture f;
        cpn_tls *t = start(&f, NULL, &h, 0);

        attach(&f, 0);
        assert_int_equal(cpn_tls_write(t, refused[i].b, refused[i].n), CPN_OK);
        nettest_until(&f.nt, &f.ended[0]);
        if (f.why[0] != CPN_RAW_PROTOCOL)
            fail_msg("%s: %d", refused[i].why, f.why[0]);
        nettest_until(&f.nt, &h.ended);
        if (h.got[0] != 0x88 || (unsigned)(h.got[2] << 8 | h.got[3]) != refused[i].code)
            fail_msg("%s: %02x %u", refused[i].why, h.got[0], (unsigned)(h.got[2] << 8 | h.got[3]));
        cpn_tls_free(t);
        stop(&f);
    }
}

static cpn_verdict
never(void *arg, cpn_view first, bool last)
{
    char *got = arg;

    (void)last;
    snprintf(got, 64, "%.*s", (int)CPN_MIN(first.n, 60), (const char *)first.p);
    return CPN_VERDICT_NO;
}

static cpn_verdict
at_eight(void *arg, cpn_view first, bool last)
{
    (void)arg;
    (void)last;
    return first.n < 8 ? CPN_VERDICT_MORE : CPN_VERDICT_PASS;
}

static void
first_bytes_may_come_in_pieces(void **state)
{
    cpn_judge judge = { .up = at_eight };
    fixture f;
    char b[16];

    (void)state;
    for (int attach_late = 0; attach_late < 2; attach_late++) {
        start(&f, &judge, NULL, 0);
        if (!attach_late)
            attach(&f, 0);
        for (const char *said = "SSH-2.0-x\r\n"; *said; said++) {
            assert_int_equal(write(f.sock[1], said, 1), 1);
            nettest_turns(&f.nt, 8);
        }
        if (attach_late)
            attach(&f, 0);
        nettest_turns(&f.nt, 8);
        assert_int_equal(read(f.sock[0], b, sizeof(b)), 11);
        assert_memory_equal(b, "SSH-2.0-x\r\n", 11);
        stop(&f);
    }
}

/* A denied session has no target: its first bytes are seen, it is told no, it is closed. */
static void
denied_sessions_are_answered(void **state)
{
    static const uint8_t frame[] = { 0x82, 0x84, 0, 0, 0, 0, 'S', 'S', 'H', '-' };
    char got[64] = "";
    cpn_judge judge = { .up = never, .arg = got };
    static hand h;
    fixture f;
    cpn_tls *t = start(&f, &judge, &h, 0);

    (void)state;
    assert_int_equal(cpn_tls_write(t, frame, sizeof(frame)), CPN_OK);
    nettest_turns(&f.nt, 5);
    assert_string_equal(got, "SSH-");
    cpn_rawrelay_say(f.r[0], CPN_VIEW_LIT("no"));
    cpn_rawrelay_close(f.r[0], CPN_WS_CLOSE_POLICY, "denied");
    while (h.n < 14)
        uv_run(&f.nt.uv, UV_RUN_ONCE);
    assert_memory_equal(h.got,
                        "\x82\x02no\x88\x08\x03\xf0"
                        "denied",
                        14);
    cpn_tls_free(t);
    nettest_until(&f.nt, &f.ended[0]);
    assert_int_equal(f.why[0], CPN_RAW_ENDED);
    stop(&f);
}

static void
fragments_and_pings_are_accepted(void **state)
{
    static const uint8_t frames[] = { 0x02, 0x81, 0, 0,    0,    0, 'a',     0x00,   0x80, 0,
                                      0,    0,    0, 0x89, 0x81, 0, 0,       0,      0,    'p',
                                      0x80, 0x82, 1, 2,    3,    4, 'b' ^ 1, 'c' ^ 2 };
    static hand h;
    fixture f;
    char b[8];
    cpn_tls *t = start(&f, NULL, &h, 0);

    (void)state;
    attach(&f, 0);
    for (size_t i = 0; i < sizeof(frames); i++) {
        assert_int_equal(cpn_tls_write(t, frames + i, 1), CPN_OK);
        nettest_turns(&f.nt, 2);
    }
    nettest_turns(&f.nt, 5);
    assert_int_equal(read(f.sock[0], b, sizeof(b)), 3);
    assert_memory_equal(b, "abc", 3);
    assert_memory_equal(h.got, "\x8a\x01p", 3);
    cpn_tls_free(t);
    nettest_until(&f.nt, &f.ended[0]);
    assert_int_equal(f.why[0], CPN_RAW_CLOSED_CLIENT);
    assert_int_equal(f.up, 3);
    stop(&f);
}

/* Half of a frame, then the end: no orderly one, whether TLS was closed in order or not. */
static void
a_cut_frame_is_a_broken_connection(void **state)
{
    static const uint8_t half[] = { 0x82, 0x84, 0, 0, 0, 0, 'S', 'S' };
    static hand h;
    fixture f;
    char b[8];

    (void)state;
    for (int in_order = 0; in_order < 2; in_order++) {
        cpn_tls *t = start(&f, NULL, &h, 0);

        attach(&f, 0);
        assert_int_equal(cpn_tls_write(t, half, sizeof(half)), CPN_OK);
        nettest_turns(&f.nt, 5);
        assert_int_equal(read(f.sock[0], b, sizeof(b)), 2);
        if (in_order)
            cpn_tls_shutdown(t);
        nettest_turns(&f.nt, 5);
        cpn_tls_free(t);
        nettest_until(&f.nt, &f.ended[0]);
        assert_int_equal(f.why[0], CPN_RAW_RESET_CLIENT);
        stop(&f);
    }
}

static void
bytes_arrive_and_ends_are_passed_on(void **state)
{
    static uint8_t a[65536], b[65536];
    uint64_t sent = 0, got = 0, total = 20u << 20;
    fixture f;

    (void)state;
    for (size_t i = 0; i < sizeof(a); i++)
        a[i] = (uint8_t)(i * 7 >> 3);
    for (int from = 0; from < 2; from++) {
        start(&f, NULL, NULL, 0);
        attach(&f, 0);
        sent = got = 0;
        while (got < total) {
            ssize_t n = 0;

            if (sent < total)
                n = write(f.sock[from], a + sent % 65536,
                          (size_t)CPN_MIN(65536 - sent % 65536, total - sent));
            sent += (uint64_t)CPN_MAX(n, 0);
            if (sent == total)
                shutdown(f.sock[from], SHUT_WR);
            n = read(f.sock[!from], b, (size_t)(65536 - got % 65536));
            if (n > 0)
                assert_memory_equal(b, a + got % 65536, (size_t)n);
            got += (uint64_t)CPN_MAX(n, 0);
            nettest_turns(&f.nt, 1);
        }
        nettest_until(&f.nt, &f.ended[0]);
        nettest_until(&f.nt, &f.ended[1]);
        assert_int_equal(f.why[0], from == 0 ? CPN_RAW_CLOSED_TARGET : CPN_RAW_CLOSED_CLIENT);
        assert_int_equal(from == 0 ? f.down : f.up, total);
        assert_int_equal(f.nt.quota.used, 0);
        stop(&f);
    }
}

/* The client's program writes until nobody on the way takes any more; returns how much. */
static uint64_t
fill(fixture *f)
{
    static uint8_t chunk[65536];
    uint64_t sent = 0;

    for (int idle = 0; idle < 50; idle++) {
        ssize_t n = write(f->sock[1], chunk, sizeof(chunk));

        if (n > 0)
            idle = 0;
        sent += (uint64_t)CPN_MAX(n, 0);
        nettest_turns(&f->nt, 1);
    }
    return sent;
}

typedef struct last_words {
    uint8_t tail[9];
    bool ended;
} last_words;

static size_t
words_bytes(void *owner, cpn_tls *t, uint8_t *p, size_t n)
{
    last_words *w = owner;

    (void)t;
    if (n >= sizeof(w->tail))
        memcpy(w->tail, p + n - sizeof(w->tail), sizeof(w->tail));
    return n;
}

static void
words_end(void *owner, cpn_tls *t, cpn_tls_end why, const cpn_err *err)
{
    (void)t;
    (void)err;
    assert_int_equal(why, CPN_TLS_END_CLOSED);
    ((last_words *)owner)->ended = true;
}

/* A close for which there is no room yet is sent all the same, and TLS is shut behind it. */
static void
a_close_waits_for_room(void **state)
{
    static const cpn_tls_events words = { .on_bytes = words_bytes, .on_end = words_end };
    static const cpn_tls_events none = { .on_bytes = hand_bytes, .on_end = hand_end };
    static uint8_t zeros[16384];
    static hand h;
    last_words w = { .ended = false };
    nettest nt;
    cpn_tls *t[2];
    cpn_wslink l;

    (void)state;
    nettest_start(&nt);
    nettest_tls(&nt, &t[0], &t[1], "gate.test");
    cpn_wslink_init(&l, nt.loop, t[0], CPN_WS_SERVER);
    cpn_tls_set_owner(t[0], &none, &h);
    cpn_tls_set_owner(t[1], &words, &w);
    while (cpn_tls_room(t[0]) == 0)
        uv_run(&nt.uv, UV_RUN_ONCE);
    nettest_turns(&nt, 8);
    cpn_tls_pause(t[1], true);
    for (size_t n = sizeof(zeros); n > 0; n /= 2) { /* until nothing more fits, however small */
        while (cpn_tls_write(t[0], zeros, n) == CPN_OK)
            nettest_turns(&nt, 2);
    }
    cpn_wslink_close(&l, CPN_WS_CLOSE_POLICY, "later");
    nettest_turns(&nt, 4);
    assert_true(l.waiting.n > 0);
    cpn_tls_pause(t[1], false);
    for (uint64_t end = cpn_mono_ms() + 20000; !w.ended && cpn_mono_ms() < end;) {
        cpn_wslink_push(&l);
        uv_run(&nt.uv, UV_RUN_NOWAIT);
    }
    assert_true(w.ended);
    assert_memory_equal(w.tail, "\x88\x07\x03\xf0later", sizeof(w.tail));
    cpn_wslink_fini(&l);
    cpn_tls_free(t[1]);
    nettest_stop(&nt);
}

static void
a_full_target_stops_the_client(void **state)
{
    static uint8_t chunk[65536];
    uint64_t sent;
    fixture f;

    (void)state;
    start(&f, NULL, NULL, 0);
    attach(&f, 0);
    sent = fill(&f);
    assert_true(f.nt.quota.used <= 3 * CPN_BLOCK_LARGE);
    shutdown(f.sock[1], SHUT_WR);
    for (uint64_t got = 0; got < sent;) {
        ssize_t n = read(f.sock[0], chunk, sizeof(chunk));

        got += (uint64_t)CPN_MAX(n, 0);
        nettest_turns(&f.nt, 1);
    }
    nettest_until(&f.nt, &f.ended[0]);
    assert_int_equal(f.up, sent);
    stop(&f);
}

static void
rang(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

/* What a machine said before it closed has not been taken yet: that is a stall of the client, which
 * has not even seen the close frame that it does not answer. */
static void
what_a_target_said_last_is_not_dropped(void **state)
{
    static const uint8_t end[] = { 0x88, 0x80, 0, 0, 0, 0 };
    static uint8_t chunk[60000];
    static hand h;
    uv_timer_t timer;
    bool over = false;
    fixture f;
    cpn_tls *t;

    (void)state;
    close_ms = 10;
    t = start(&f, NULL, &h, 0);
    close_ms = 0;
    cpn_loop_stall(f.nt.loop, 30000);
    attach(&f, 0);
    cpn_tls_pause(t, true);
    assert_int_equal(write(f.sock[0], chunk, sizeof(chunk)), sizeof(chunk));
    close(f.sock[0]);
    f.sock[0] = 0;
    uv_timer_init(&f.nt.uv, &timer);
    timer.data = &over;
    uv_timer_start(&timer, rang, 100, 0); /* ten times over */
    nettest_until(&f.nt, &over);
    assert_false(f.ended[0]);
    cpn_tls_pause(t, false);
    while (h.n < sizeof(chunk) + 4)
        uv_run(&f.nt.uv, UV_RUN_ONCE);
    assert_int_equal(cpn_tls_write(t, end, sizeof(end)), CPN_OK);
    nettest_until(&f.nt, &f.ended[0]);
    assert_int_equal(f.down, sizeof(chunk));
    assert_int_equal(f.why[0], CPN_RAW_CLOSED_TARGET);
    uv_close((uv_handle_t *)&timer, NULL);
    cpn_tls_free(t);
    stop(&f);
}

/* What the client sends before it hears of the cut goes nowhere, and does not hasten the end. */
static void
a_cut_waits_for_the_clients_close(void **state)
{
    static const uint8_t frame[] = { 0x82, 0x81, 0, 0, 0, 0, 'x' },
                         end[] = { 0x88, 0x80, 0, 0, 0, 0 };
    static hand h;
    fixture f;
    char b;
    cpn_tls *t = start(&f, NULL, &h, 0);

    (void)state;
    attach(&f, 0);
    cpn_rawrelay_close(f.r[0], CPN_WS_CLOSE_POLICY, "cut");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(cpn_tls_write(t, frame, sizeof(frame)), CPN_OK);
        nettest_turns(&f.nt, 5);
        assert_false(f.ended[0]);
    }
    assert_memory_equal(h.got,
                        "\x88\x05\x03\xf0"
                        "cut",
                        7);
    assert_int_equal(read(f.sock[0], &b, 1), 0);
    assert_int_equal(cpn_tls_write(t, end, sizeof(end)), CPN_OK);
    nettest_turns(&f.nt, 10);
    assert_true(f.ended[0]);
    assert_int_equal(f.why[0], CPN_RAW_ENDED);
    cpn_tls_free(t);
    stop(&f);
}

/* The client's answer stands behind an upload that nobody takes any more: it is not awaited in
 * vain, and nothing of it is left unread to turn the close into a reset. */
static void
a_cut_in_an_upload_is_answered(void **state)
{
    fixture f;

    (void)state;
    start(&f, NULL, NULL, 0);
    attach(&f, 0);
    fill(&f);
    cpn_rawrelay_close(f.r[0], CPN_WS_CLOSE_POLICY, "cut");
    nettest_until(&f.nt, &f.ended[1]);
    assert_int_equal(f.why[1], CPN_RAW_CLOSED_CLIENT);
    cpn_rawrelay_free(cpn_steal(&f.r[1]));
    nettest_turns(&f.nt, 50);
    assert_true(f.ended[0]); /* not by the clock */
    assert_int_equal(f.why[0], CPN_RAW_ENDED);
    stop(&f);
}

/* The client hears the last words and the reason, although it goes on sending. */
static void
what_a_broken_target_said_arrives(void **state)
{
    static const uint8_t frame[] = { 0x82, 0x81, 0, 0, 0, 0, 'x' };
    static hand h;
    fixture f;
    cpn_tls *t = start(&f, NULL, &h, 0);

    (void)state;
    attach(&f, 0);
    assert_int_equal(cpn_tls_write(t, frame, sizeof(frame)), CPN_OK);
    nettest_turns(&f.nt, 8);
    assert_int_equal(cpn_tls_write(t, frame, sizeof(frame)), CPN_OK);
    assert_int_equal(write(f.sock[0], "goodbye", 7), 7);
    close(f.sock[0]);
    f.sock[0] = 0;
    while (h.n < 13)
        uv_run(&f.nt.uv, UV_RUN_ONCE);
    assert_memory_equal(h.got, "\x82\x07goodbye\x88", 10);
    assert_int_equal(h.got[11] << 8 | h.got[12], CPN_WS_CLOSE_INTERNAL);
    assert_int_equal(cpn_tls_write(t, frame, sizeof(frame)), CPN_OK);
    nettest_turns(&f.nt, 8);
    assert_false(f.ended[0]); /* it waits for the client's close */
    cpn_tls_free(t);
    nettest_until(&f.nt, &f.ended[0]);
    assert_int_equal(f.why[0], CPN_RAW_RESET_TARGET);
    stop(&f);
}

static void
broken_targets_and_silent_clients_end_it(void **state)
{
    static hand h;
    fixture f;
    cpn_tls *t;

    (void)state;
    start(&f, NULL, NULL, 0);
    attach(&f, 0);
    nettest_turns(&f.nt, 10);
    close(f.sock[0]);
    f.sock[0] = 0;
    assert_int_equal(write(f.sock[1], "x", 1), 1);
    nettest_until(&f.nt, &f.ended[0]);
    assert_true(f.why[0] == CPN_RAW_CLOSED_TARGET || f.why[0] == CPN_RAW_RESET_TARGET);
    stop(&f);

    t = start(&f, NULL, &h, 200); /* a slow handshake must not look like silence */
    attach(&f, 0);
    nettest_until(&f.nt, &f.ended[0]);
    assert_int_equal(f.why[0], CPN_RAW_DEAD);
    assert_true(h.n >= 5);
    assert_memory_equal(h.got,
                        "\x89\x03"
                        "cpn",
                        5);
    cpn_tls_free(t);
    stop(&f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(websocket_rules_are_kept),
        cmocka_unit_test(first_bytes_may_come_in_pieces),
        cmocka_unit_test(denied_sessions_are_answered),
        cmocka_unit_test(fragments_and_pings_are_accepted),
        cmocka_unit_test(a_cut_frame_is_a_broken_connection),
        cmocka_unit_test(bytes_arrive_and_ends_are_passed_on),
        cmocka_unit_test(a_close_waits_for_room),
        cmocka_unit_test(a_full_target_stops_the_client),
        cmocka_unit_test(what_a_target_said_last_is_not_dropped),
        cmocka_unit_test(a_cut_waits_for_the_clients_close),
        cmocka_unit_test(a_cut_in_an_upload_is_answered),
        cmocka_unit_test(what_a_broken_target_said_arrives),
        cmocka_unit_test(broken_targets_and_silent_clients_end_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
