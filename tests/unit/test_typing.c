/* Who counts as typing, so that bulk takes shorter turns. */
#include "nettest.h"

#include "net/leg.h"

typedef struct fixture {
    nettest nt;
    cpn_leg *leg;
    int far;
    uint64_t now;
} fixture;

static uint64_t
clock_of(void *arg)
{
    return ((fixture *)arg)->now;
}

static void
ignore(void *owner)
{
    (void)owner;
}

static void
ignore_written(void *owner, size_t n)
{
    (void)owner;
    (void)n;
}

static const cpn_leg_events events = { .on_readable = ignore, .on_written = ignore_written };

static void
start(fixture *f)
{
    int fd[2];

    nettest_start(&f->nt);
    f->now = 1000;
    cpn_loop_set_clock(f->nt.loop, clock_of, f);
    nettest_sockets(fd);
    f->far = fd[0];
    assert_non_null(f->leg = cpn_leg_new(f->nt.loop, true, &events, f));
    cpn_leg_attach(f->leg, fd[1]);
}

static void
stop(fixture *f)
{
    cpn_leg_free(f->leg, false);
    nettest_turns(&f->nt, 3);
    close(f->far);
    nettest_stop(&f->nt);
}

/* n bytes come from the far end and are taken. */
static void
take(fixture *f, size_t n)
{
    static uint8_t bytes[16384];
    struct iovec iov = { bytes, sizeof(bytes) };

    assert_int_equal(write(f->far, bytes, n), n);
    while (!cpn_leg_may_take(f->leg))
        uv_run(&f->nt.uv, UV_RUN_ONCE);
    assert_int_equal(cpn_leg_take(f->leg, &iov, 1, sizeof(bytes)), n);
}

static void
put(fixture *f, size_t n)
{
    static uint8_t bytes[16384];
    struct iovec iov = { bytes, n };

    assert_int_equal(cpn_leg_put(f->leg, &iov, 1), n);
    assert_int_equal(read(f->far, bytes, sizeof(bytes)), n);
}

static void
bulk_is_not_typing(void **state)
{
    fixture f;

    (void)state;
    start(&f);
    assert_false(cpn_loop_typing(f.nt.loop));
    take(&f, 8192);
    assert_false(cpn_loop_typing(f.nt.loop));
    take(&f, 40); /* what was left over of it */
    assert_false(cpn_loop_typing(f.nt.loop));
    put(&f, 8192);
    take(&f, 40); /* what a copy says back */
    assert_false(cpn_loop_typing(f.nt.loop));
    stop(&f);
}

static void
little_both_ways_is_typing_for_a_while(void **state)
{
    fixture f;

    (void)state;
    start(&f);
    put(&f, 1);
    assert_false(cpn_loop_typing(f.nt.loop));
    take(&f, 64);
    assert_true(cpn_loop_typing(f.nt.loop));
    f.now += CPN_LOOP_TYPING_MS - 1;
    assert_true(cpn_loop_typing(f.nt.loop));
    f.now++;
    assert_false(cpn_loop_typing(f.nt.loop));
    stop(&f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bulk_is_not_typing),
        cmocka_unit_test(little_both_ways_is_typing_for_a_while),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
