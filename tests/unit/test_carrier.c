/* net/carrier: refusals, streams in both directions, half-close, resets, back-pressure, judgement,
 * dead peers. */
#include "carriertest.h"

/* --- streams -------------------------------------------------------------------------------- */

static void
refusals_carry_their_reason(void **state)
{
    fixture f;
    leg_pair *p;
    char b;

    (void)state;
    start(&f, 0, true);
    f.refuse = true;
    p = open_stream(&f, "");
    nettest_until(&f.nt, &p->ended[1]);
    assert_int_equal(p->why[1], CPN_STREAM_REFUSED);
    assert_string_equal(p->text[1], "{\"code\":\"port_not_allowed\"}");
    assert_int_equal(p->why[0], CPN_STREAM_RESET_LOCAL);
    assert_int_equal(cpn_carrier_streams(f.c[0]) + cpn_carrier_streams(f.c[1]), 0);
    nettest_turns(&f.nt, 3);
    assert_true(read(p->app, &b, 1) <= 0);
    stop(&f);
}

/* Of another carrier, if the reason was the carrier: nothing is lost, and nothing said twice. */
static void
what_was_refused_can_be_asked_again(void **state)
{
    cpn_carrier_ask ask = { .target = CPN_VIEW_LIT("{\"t\":1}") };
    fixture f;
    leg_pair *p, *q;
    char b[16];
    int fd[2], again;

    (void)state;
    start(&f, 0, true);
    f.refuse = true;
    nettest_sockets(fd);
    again = dup(fd[1]);
    assert_int_equal(write(fd[0], "SSH-2.0-x", 9), 9);
    ask.user = p = &f.p[f.n++];
    assert_int_equal(cpn_carrier_open(f.c[1], &p->opener, &ask, fd[1], NULL), CPN_OK);
    nettest_until(&f.nt, &p->ended[1]);
    assert_string_equal(p->first[1], "SSH-2.0-x");
    f.refuse = false;
    ask.user = q = &f.p[f.n++];
    ask.first = cpn_view_str(p->first[1]);
    assert_int_equal(write(fd[0], "yz", 2), 2);
    q->app = fd[0];
    assert_int_equal(cpn_carrier_open(f.c[1], &q->opener, &ask, again, NULL), CPN_OK);
    nettest_until(&f.nt, &q->opened);
    nettest_turns(&f.nt, 5);
    assert_int_equal(read(q->target, b, sizeof(b)), 11);
    assert_memory_equal(b, "SSH-2.0-xyz", 11);
    assert_int_equal(cpn_stream_up(q->acceptor), 11);
    assert_int_equal(cpn_stream_up(q->opener), 11);
    stop(&f);
}

static void
first_bytes_travel_with_open(void **state)
{
    fixture f;
    leg_pair *p;
    char b[16];

    (void)state;
    start(&f, 0, true);
    p = open_stream(&f, "SSH-2.0-x");
    nettest_until(&f.nt, &p->opened);
    assert_string_equal(f.first, "SSH-2.0-x");
    assert_int_equal(read(p->target, b, sizeof(b)), 9);
    assert_memory_equal(b, "SSH-2.0-x", 9);
    assert_int_equal(cpn_stream_up(p->acceptor), 9);
    stop(&f);
}

/* Many programs start to talk in one turn: what does not fit into the OPENs comes behind them. */
static void
many_open_at_once(void **state)
{
    static char words[16001];
    fixture f;

    (void)state;
    memset(words, 'x', sizeof(words) - 1);
    start(&f, 0, true);
    for (int i = 0; i < STREAMS; i++)
        open_stream(&f, words);
    for (int i = 0; i < STREAMS; i++) {
        leg_pair *p = &f.p[i];

        nettest_until(&f.nt, &p->opened);
        for (size_t got = 0; got < sizeof(words) - 1;) {
            ssize_t n = read(f.p[i].target, words, sizeof(words) - 1 - got);

            got += (size_t)CPN_MAX(n, 0);
            nettest_turns(&f.nt, 1);
        }
        assert_false(p->ended[1]);
    }
    stop(&f);
}

/* Push total bytes through every stream both ways, from one process, with non-blocking sockets. */
typedef struct ferry {
    int from;
    int to;
    uint64_t sent;
    uint64_t got;
    uint64_t total;
    uint32_t seed;
    bool shut;
    bool eof;
} ferry;

static uint8_t
byte_at(const ferry *y, uint64_t i)
{
    return (uint8_t)((i * 2654435761u + y->seed) >> 7);
}

static void
ferry_turn(ferry *y)
{
    static uint8_t b[65536];
    ssize_t n;

    if (y->sent < y->total) {
        size_t want = (size_t)CPN_MIN(sizeof(b), y->total - y->sent);

        for (size_t i = 0; i < want; i++)
            b[i] = byte_at(y, y->sent + i);
        n = write(y->from, b, want);
        y->sent += (uint64_t)CPN_MAX(n, 0);
    } else if (!y->shut) {
        y->shut = true;
        shutdown(y->from, SHUT_WR);
    }
    n = read(y->to, b, sizeof(b));
    for (ssize_t i = 0; i < n; i++)
        if (b[i] != byte_at(y, y->got + (uint64_t)i))
            fail_msg("byte %ju differs", (uintmax_t)y->got + (uintmax_t)i);
    y->got += (uint64_t)CPN_MAX(n, 0);
    if (n == 0) {
        assert_int_equal(y->got, y->total);
        y->eof = true;
    }
}

/* Four streams at once, each both ways; returns the most relay memory that was in use. */
static size_t
ferry_all(size_t memory, uint64_t total)
{
    fixture f;
    ferry y[2 * 4] = { 0 };
    const int n = 4;
    bool busy = true;
    size_t most = 0;

    start(&f, 0, true);
    f.nt.quota.max = memory;
    for (int i = 0; i < n; i++) {
        leg_pair *p = open_stream(&f, "");

        nettest_until(&f.nt, &p->opened);
        y[2 * i] = (ferry){ .from = p->app, .to = p->target };
        y[2 * i + 1] = (ferry){ .from = p->target, .to = p->app };
    }
    for (int i = 0; i < 2 * n; i++) {
        y[i].total = total + (uint64_t)i * 1001;
        y[i].seed = (uint32_t)i * 77777;
    }
    while (busy) {
        busy = false;
        for (int i = 0; i < 2 * n; i++) {
            if (!y[i].eof)
                ferry_turn(&y[i]);
            busy |= !y[i].eof;
        }
        uv_run(&f.nt.uv, UV_RUN_NOWAIT);
        most = CPN_MAX(most, f.nt.quota.used);
    }
    for (int i = 0; i < n; i++) {
        nettest_until(&f.nt, &f.p[i].ended[0]);
        nettest_until(&f.nt, &f.p[i].ended[1]);
        assert_int_equal(f.p[i].why[0], CPN_STREAM_CLOSED);
        assert_int_equal(f.p[i].why[1], CPN_STREAM_CLOSED);
        for (int side = 0; side < 2; side++) {
            assert_int_equal(f.p[i].up[side], y[2 * i].total);
            assert_int_equal(f.p[i].down[side], y[2 * i + 1].total);
        }
    }
    assert_int_equal(f.nt.quota.used, 0);
    stop(&f);
    return most;
}

static void
every_byte_arrives_both_ways(void **state)
{
    (void)state;
    assert_true(ferry_all(64u << 20, 8u << 20) <=
                8 * (CPN_FLOW_WINDOW_NEAR + CPN_BLOCK_SMALL) + 4 * CPN_BLOCK_LARGE);
}

/* At the cap windows stay small and reads shrink, but everything still arrives. */
static void
little_memory_is_enough(void **state)
{
    (void)state;
    assert_true(ferry_all(100u << 10, 1u << 20) <=
                8 * (CPN_FLOW_WINDOW_MIN + CPN_BLOCK_SMALL) + 4 * CPN_BLOCK_LARGE);
}

static void
either_half_may_close_first(void **state)
{
    fixture f;
    leg_pair *p;
    char b[16];

    (void)state;
    start(&f, 0, true);
    for (int target_first = 0; target_first < 2; target_first++) {
        int from, to;

        p = open_stream(&f, "");
        nettest_until(&f.nt, &p->opened);
        from = target_first ? p->target : p->app;
        to = target_first ? p->app : p->target;
        assert_int_equal(write(from, "last", 4), 4);
        shutdown(from, SHUT_WR);
        nettest_turns(&f.nt, 10);
        assert_int_equal(read(to, b, sizeof(b)), 4);
        assert_int_equal(read(to, b, sizeof(b)), 0);
        assert_false(p->ended[0] || p->ended[1]);
        assert_int_equal(write(to, "still", 5), 5);
        nettest_turns(&f.nt, 10);
        assert_int_equal(read(from, b, sizeof(b)), 5);
        shutdown(to, SHUT_WR);
        nettest_until(&f.nt, &p->ended[0]);
        nettest_until(&f.nt, &p->ended[1]);
        assert_int_equal(p->why[0], CPN_STREAM_CLOSED);
        assert_int_equal(p->why[1], CPN_STREAM_CLOSED);
    }
    stop(&f);
}

static void
broken_targets_are_told(void **state)
{
    fixture f;
    leg_pair *p;

    (void)state;
    start(&f, 0, true);
    p = open_stream(&f, "");
    nettest_until(&f.nt, &p->opened);
    close(p->target);
    p->target = 0;
    assert_int_equal(write(p->app, "x", 1), 1);
    nettest_until(&f.nt, &p->ended[1]);
    assert_int_equal(p->why[0], CPN_STREAM_SOCKET_FAILED);
    assert_int_equal(p->why[1], CPN_STREAM_RESET_PEER);
    assert_string_equal(p->text[1], "{\"code\":\"reset_target\"}");
    stop(&f);
}

/* Its last words come before the reason, although there was more for it. */
static void
what_a_broken_target_said_arrives(void **state)
{
    static char chunk[65536];
    fixture f;
    leg_pair *p;
    int idle = 0;

    (void)state;
    start(&f, 0, true);
    p = open_stream(&f, "");
    nettest_until(&f.nt, &p->opened);
    while (idle < 50) {
        idle = write(p->app, chunk, sizeof(chunk)) > 0 ? 0 : idle + 1;
        nettest_turns(&f.nt, 1);
    }
    assert_int_equal(write(p->target, "goodbye", 7), 7);
    close(p->target);
    p->target = 0;
    nettest_until(&f.nt, &p->ended[1]);
    assert_int_equal(p->why[0], CPN_STREAM_SOCKET_FAILED);
    assert_int_equal(p->why[1], CPN_STREAM_RESET_PEER);
    assert_int_equal(read(p->app, chunk, sizeof(chunk)), 7);
    assert_memory_equal(chunk, "goodbye", 7);
    stop(&f);
}

static void
a_cut_carries_its_reason(void **state)
{
    fixture f;
    leg_pair *p, *q;

    (void)state;
    start(&f, 0, true);
    p = open_stream(&f, "");
    q = open_stream(&f, "");
    nettest_until(&f.nt, &p->opened);
    nettest_until(&f.nt, &q->opened);
    cpn_stream_reset(p->acceptor, CPN_VIEW_LIT("{\"code\":\"cut_admin\"}"));
    nettest_until(&f.nt, &p->ended[1]);
    assert_int_equal(p->why[0], CPN_STREAM_RESET_LOCAL);
    assert_string_equal(p->text[1], "{\"code\":\"cut_admin\"}");
    assert_false(q->ended[0] || q->ended[1]);
    assert_true(f.opens && !cpn_carrier_opens(f.c[0]));
    cpn_carrier_close(f.c[0], CPN_WS_CLOSE_AWAY, "bye", CPN_VIEW_LIT("{\"code\":\"shutdown\"}"));
    nettest_until(&f.nt, &f.ended[0]);
    nettest_until(&f.nt, &f.ended[1]);
    assert_string_equal(q->text[1], "{\"code\":\"shutdown\"}");
    assert_int_equal(f.why[1], CPN_CARRIER_CLOSED);
    assert_int_equal(f.code[1], CPN_WS_CLOSE_AWAY);
    assert_int_equal(f.why[0], CPN_CARRIER_CLOSED);
    stop(&f);
}

static void
draining_waits_for_streams(void **state)
{
    fixture f;
    leg_pair *p;
    cpn_stream *s;
    cpn_err err = { 0 };

    (void)state;
    start(&f, 0, true);
    p = open_stream(&f, "");
    nettest_until(&f.nt, &p->opened);
    cpn_carrier_drain(f.c[1]);
    assert_false(cpn_carrier_opens(f.c[1]));
    assert_int_equal(cpn_carrier_open(f.c[1], &s,
                                      &(cpn_carrier_ask){ .target = CPN_VIEW_LIT("{}") }, dup(0),
                                      &err),
                     CPN_UNAVAILABLE);
    nettest_turns(&f.nt, 5);
    assert_false(f.ended[1]);
    shutdown(p->app, SHUT_WR);
    shutdown(p->target, SHUT_WR);
    nettest_until(&f.nt, &f.ended[1]);
    assert_int_equal(f.why[0], CPN_CARRIER_CLOSED);
    assert_int_equal(f.code[0], CPN_WS_CLOSE_NORMAL);
    stop(&f);
}

/* A reader that stops: what is kept stays under the window, and another stream goes on. */
static void
a_stopped_reader_stops_its_writer(void **state)
{
    static uint8_t chunk[65536];
    fixture f;
    leg_pair *p, *q;
    uint64_t sent = 0;
    int idle = 0;
    char b[8];

    (void)state;
    start(&f, 0, true);
    p = open_stream(&f, "");
    q = open_stream(&f, "");
    nettest_until(&f.nt, &p->opened);
    nettest_until(&f.nt, &q->opened);
    while (idle < 50) {
        ssize_t n = write(p->app, chunk, sizeof(chunk));

        idle = n > 0 ? 0 : idle + 1;
        sent += (uint64_t)CPN_MAX(n, 0);
        nettest_turns(&f.nt, 1);
    }
    /* At most one window is under way, beside what the kernel's three sockets hold. */
    assert_true(f.nt.quota.used <= CPN_FLOW_WINDOW_NEAR + CPN_BLOCK_LARGE);
    assert_true(sent < 4u << 20);
    assert_int_equal(write(q->app, "ping", 4), 4);
    nettest_turns(&f.nt, 10);
    assert_int_equal(read(q->target, b, sizeof(b)), 4);
    shutdown(p->app, SHUT_WR);
    for (uint64_t got = 0; got < sent;) {
        ssize_t n = read(p->target, chunk, sizeof(chunk));

        got += (uint64_t)CPN_MAX(n, 0);
        nettest_turns(&f.nt, 1);
    }
    nettest_turns(&f.nt, 5);
    assert_int_equal(read(p->target, chunk, sizeof(chunk)), 0);
    assert_int_equal(f.nt.quota.used, 0);
    stop(&f);
}

/* Move n bytes from the programs behind the client to the machines, over each of the streams. */
static void
move_up(fixture *f, uint64_t n)
{
    static uint8_t chunk[65536];

    for (int i = 0; i < f->n; i++)
        for (uint64_t sent = 0, got = 0; got < n;) {
            ssize_t w = sent < n ? write(f->p[i].app, chunk, sizeof(chunk)) : 0, r;

            sent += (uint64_t)CPN_MAX(w, 0);
            nettest_turns(&f->nt, 1);
            r = read(f->p[i].target, chunk, sizeof(chunk));
            got += (uint64_t)CPN_MAX(r, 0);
        }
}

/* Windows were granted while the readers read; then all of them stop, and memory is short. */
static void
granted_windows_cannot_fill_more_than_the_memory(void **state)
{
    static uint8_t chunk[65536];
    const size_t memory = 2u << 20;
    uint64_t sent = 0, got = 0;
    fixture f;
    int idle = 0;

    (void)state;
    start(&f, 0, true);
    while (f.n < 12)
        nettest_until(&f.nt, &open_stream(&f, "")->opened);
    move_up(&f, 8u << 20);
    f.nt.quota.max = memory;
    for (int i = 0; idle < 50 * f.n; i++) {
        ssize_t n = write(f.p[i % f.n].app, chunk, sizeof(chunk));

        idle = n > 0 ? 0 : idle + 1;
        sent += (uint64_t)CPN_MAX(n, 0);
        nettest_turns(&f.nt, 1);
    }
    assert_true(f.nt.quota.used > memory / 2);
    assert_true(f.nt.quota.used <= memory + 4 * CPN_BLOCK_LARGE);
    for (int i = 0; got < sent; i++) {
        ssize_t n = read(f.p[i % f.n].target, chunk, sizeof(chunk));

        got += (uint64_t)CPN_MAX(n, 0);
        nettest_turns(&f.nt, 1);
    }
    nettest_turns(&f.nt, 5);
    assert_int_equal(f.nt.quota.used, 0);
    stop(&f);
}

static cpn_verdict
judge_ssh(void *arg, cpn_view first, bool last)
{
    (void)arg;
    (void)last;
    if (first.n < 4)
        return memcmp(first.p, "SSH-", first.n) == 0 ? CPN_VERDICT_MORE : CPN_VERDICT_NO;
    return memcmp(first.p, "SSH-", 4) == 0 ? CPN_VERDICT_PASS : CPN_VERDICT_NO;
}

static void
first_bytes_wait_for_judgement(void **state)
{
    fixture f;
    leg_pair *p;
    char b[32];

    (void)state;
    start(&f, 0, true);
    f.judge = (cpn_judge){ .up = judge_ssh, .down = judge_ssh };
    p = open_stream(&f, "SS");
    nettest_until(&f.nt, &p->opened);
    nettest_turns(&f.nt, 5);
    assert_true(read(p->target, b, sizeof(b)) < 0);
    assert_int_equal(write(p->app, "H-2.0-ok", 8), 8);
    nettest_turns(&f.nt, 10);
    assert_int_equal(read(p->target, b, sizeof(b)), 10);
    assert_memory_equal(b, "SSH-2.0-ok", 10);
    assert_int_equal(write(p->target, "SS", 2), 2);
    nettest_turns(&f.nt, 10);
    assert_true(read(p->app, b, sizeof(b)) < 0);
    assert_int_equal(write(p->target, "H-1", 3), 3);
    nettest_turns(&f.nt, 10);
    assert_int_equal(read(p->app, b, sizeof(b)), 5);

    p = open_stream(&f, "GET / HTTP/1.1\r\n");
    nettest_until(&f.nt, &p->opened);
    assert_int_equal(write(p->app, "more", 4), 4);
    nettest_turns(&f.nt, 10);
    assert_true(read(p->target, b, sizeof(b)) < 0);
    stop(&f);
}

static void
silent_peers_are_dead(void **state)
{
    fixture f;
    hand h = { 0 };
    cpn_tls *t;

    (void)state;
    start(&f, 5, false);
    t = (cpn_tls *)(void *)f.c[1];
    f.c[1] = NULL;
    cpn_tls_set_owner(t, &hand_events, &h);
    nettest_until(&f.nt, &f.ended[0]);
    assert_int_equal(f.why[0], CPN_CARRIER_DEAD);
    cpn_tls_free(t);
    stop(&f);

    start(&f, 5, true);
    while (cpn_carrier_rtt_ms(f.c[0]) < 0)
        uv_run(&f.nt.uv, UV_RUN_ONCE);
    assert_false(f.ended[0]);
    stop(&f);
}

static void
a_lost_connection_ends_its_streams(void **state)
{
    fixture f;
    leg_pair *p;
    char b;

    (void)state;
    start(&f, 0, true);
    p = open_stream(&f, "");
    nettest_until(&f.nt, &p->opened);
    cpn_carrier_free(cpn_steal(&f.c[1]));
    nettest_until(&f.nt, &f.ended[0]);
    assert_int_equal(p->why[0], CPN_STREAM_CARRIER_LOST);
    nettest_turns(&f.nt, 3);
    assert_true(read(p->target, &b, 1) <= 0);
    assert_true(read(p->app, &b, 1) <= 0);
    stop(&f);
}

/* It is told at the end of the turn; who asks for a stream meanwhile must take another carrier. */
static void
an_ended_carrier_opens_no_stream(void **state)
{
    fixture f;
    leg_pair *p;

    (void)state;
    start(&f, 0, true);
    p = open_stream(&f, "");
    nettest_until(&f.nt, &p->opened);
    assert_true(cpn_carrier_opens(f.c[1]));
    f.opens = true;
    cpn_carrier_free(cpn_steal(&f.c[0]));
    nettest_until(&f.nt, &p->ended[1]);
    assert_int_equal(p->why[1], CPN_STREAM_CARRIER_LOST);
    assert_false(f.opens);
    stop(&f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals_carry_their_reason),
        cmocka_unit_test(what_was_refused_can_be_asked_again),
        cmocka_unit_test(first_bytes_travel_with_open),
        cmocka_unit_test(many_open_at_once),
        cmocka_unit_test(every_byte_arrives_both_ways),
        cmocka_unit_test(little_memory_is_enough),
        cmocka_unit_test(either_half_may_close_first),
        cmocka_unit_test(broken_targets_are_told),
        cmocka_unit_test(what_a_broken_target_said_arrives),
        cmocka_unit_test(a_cut_carries_its_reason),
        cmocka_unit_test(draining_waits_for_streams),
        cmocka_unit_test(a_stopped_reader_stops_its_writer),
        cmocka_unit_test(granted_windows_cannot_fill_more_than_the_memory),
        cmocka_unit_test(first_bytes_wait_for_judgement),
        cmocka_unit_test(silent_peers_are_dead),
        cmocka_unit_test(a_lost_connection_ends_its_streams),
        cmocka_unit_test(an_ended_carrier_opens_no_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
