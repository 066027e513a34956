/* The rate a carrier is held to on a long path: what it never does first. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/pacing.h"

#define MBIT UINT64_C(125000)
#define RTT_MS 100
#define FLOOR ((uint64_t)CPN_PACING_FLIGHT * 1000 / RTT_MS)

static uint64_t
sample_at(cpn_pacing *p, uint64_t rate, uint32_t rtt_ms)
{
    cpn_pacing_path path = { rate, rtt_ms * 1000, rtt_ms * 1000 };

    return cpn_pacing_sample(p, &path, 0);
}

static uint64_t
sample(cpn_pacing *p, uint64_t rate)
{
    return sample_at(p, rate, RTT_MS);
}

/* A path of that rate, of which TCP gets as much as it is let: what a hold lets out is seen two
 * samples later. Returns the samples until all of it came through. */
static unsigned
found_in(cpn_pacing *p, uint64_t first, uint64_t path)
{
    uint64_t rate = first, next = first;
    unsigned n = 0;

    for (; rate < path && n < 100; n++) {
        uint64_t held = sample(p, rate);

        rate = next;
        next = held < path ? held : path;
    }
    return n;
}

static void
never_holds_below_what_came_through(void **state)
{
    static const uint64_t rates[] = { 1, 400, 900, 5, 1000, 1000, 1000, 999, 1001, 1u << 20, 5 };
    cpn_pacing p = { 0 };
    uint64_t best = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        uint64_t rate = rates[i] * MBIT;

        best = rate > best ? rate : best;
        assert_true(sample(&p, rate) >= best + best / 4);
    }
}

/* What a slow destination took says nothing of the path. */
static void
never_holds_below_its_floor(void **state)
{
    cpn_pacing p = { 0 };

    (void)state;
    for (unsigned i = 0; i < 50; i++)
        assert_int_equal(sample(&p, 1), FLOOR);
    assert_in_range(found_in(&p, FLOOR, 1000 * MBIT), 1, 5);
}

static void
a_near_path_is_left_alone(void **state)
{
    cpn_pacing p = { 0 };

    (void)state;
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(sample_at(&p, 1000 * MBIT, 19), 0);
    assert_true(sample_at(&p, 1000 * MBIT, 20) > 0);
    assert_true(sample_at(&p, 1000 * MBIT, 19) == CPN_PACING_FREE); /* it has come near: once */
    assert_int_equal(sample_at(&p, 1000 * MBIT, 19), 0);
    assert_true(sample(&p, 1000 * MBIT) > 0);
    assert_true(sample(&p, 0) == CPN_PACING_FREE); /* TCP does not say */
}

/* Only bytes make a sample due, and never two in a round trip. */
static void
little_is_never_due(void **state)
{
    cpn_pacing p = { 0 };

    (void)state;
    p.sent = CPN_PACING_SAMPLE - 1;
    assert_false(cpn_pacing_due(&p, 1000000));
    p.sent++;
    assert_false(cpn_pacing_due(&p, 19));
    assert_true(cpn_pacing_due(&p, 20));
    cpn_pacing_sample(&p, &(cpn_pacing_path){ MBIT, 150000, 100000 }, 5000);
    assert_int_equal(p.sent, 0);
    p.sent = CPN_PACING_SAMPLE;
    assert_false(cpn_pacing_due(&p, 5149));
    assert_true(cpn_pacing_due(&p, 5150));
}

static void
a_path_is_found_fast(void **state)
{
    cpn_pacing p = { 0 };

    (void)state;
    assert_in_range(found_in(&p, 8 * MBIT, 1000 * MBIT), 1, 7);
}

static void
a_steady_rate_is_held_to_a_quarter_more(void **state)
{
    cpn_pacing p = { 0 };

    (void)state;
    assert_int_equal(sample(&p, 1000 * MBIT), 3000 * MBIT);
    assert_int_equal(sample(&p, 1120 * MBIT), 3360 * MBIT);
    assert_int_equal(sample(&p, 1100 * MBIT), 3360 * MBIT);
    assert_int_equal(sample(&p, 900 * MBIT), 1400 * MBIT);
    assert_int_equal(sample(&p, 10 * MBIT), 1400 * MBIT);
}

static void
a_wider_path_is_found_again(void **state)
{
    cpn_pacing p = { 0 };

    (void)state;
    for (unsigned i = 0; i < 50; i++)
        (void)sample(&p, 400 * MBIT);
    assert_in_range(found_in(&p, 400 * MBIT, 4000 * MBIT), 1, 12);
}

static void
loopback_is_near(void **state)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof(at);
    int l = socket(AF_INET, SOCK_STREAM, 0), from = socket(AF_INET, SOCK_STREAM, 0), to;
    cpn_pacing p = { 0 };
    cpn_pacing_path path;
    char byte = 0;

    (void)state;
    assert_int_equal(bind(l, (struct sockaddr *)&at, n), 0);
    assert_int_equal(listen(l, 1), 0);
    assert_int_equal(getsockname(l, (struct sockaddr *)&at, &n), 0);
    assert_int_equal(connect(from, (struct sockaddr *)&at, n), 0);
    to = accept(l, NULL, NULL);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(write(from, "x", 1), 1);
        assert_int_equal(read(to, &byte, 1), 1);
        assert_int_equal(write(to, "y", 1), 1);
        assert_int_equal(read(from, &byte, 1), 1);
    }
    path = cpn_pacing_ask(from);
    assert_true(path.rtt_us > 0 && path.near_us > 0 && path.rate > 0);
    assert_true(path.near_us < CPN_PACING_RTT_MIN_US);
    assert_int_equal(cpn_pacing_sample(&p, &path, 0), 0);
    cpn_pacing_hold(from, 1u << 30);
    close(l);
    close(from);
    close(to);
    path = cpn_pacing_ask(-1);
    assert_int_equal(path.rate, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(never_holds_below_what_came_through),
        cmocka_unit_test(never_holds_below_its_floor),
        cmocka_unit_test(a_near_path_is_left_alone),
        cmocka_unit_test(little_is_never_due),
        cmocka_unit_test(a_path_is_found_fast),
        cmocka_unit_test(a_steady_rate_is_held_to_a_quarter_more),
        cmocka_unit_test(a_wider_path_is_found_again),
        cmocka_unit_test(loopback_is_near),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
