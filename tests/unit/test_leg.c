/* net/leg: the limit in bytes each way, to the byte. */
#include "nettest.h"

#include "net/leg.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

typedef struct fixture {
    nettest nt;
    cpn_leg *leg;
    int far; /* the machine */
    unsigned spent, readable, failed;
} fixture;

static void
on_readable(void *owner)
{
    ((fixture *)owner)->readable++;
}

static void
on_written(void *owner, size_t n)
{
    (void)owner;
    (void)n;
}

static void
on_failed(void *owner, int error)
{
    (void)error;
    ((fixture *)owner)->failed++;
}

static void
on_spent(void *owner)
{
    ((fixture *)owner)->spent++;
}

static const cpn_leg_events events = { on_readable, on_written, on_failed, on_spent };

static void
begin(fixture *f, uint64_t up, uint64_t down)
{
    int fd[2];

    memset(f, 0, sizeof(*f));
    nettest_start(&f->nt);
    nettest_sockets(fd);
    f->far = fd[0];
    f->leg = cpn_leg_new(f->nt.loop, true, &events, f);
    cpn_leg_allow(f->leg, &(cpn_byte_limits){ up, down });
    cpn_leg_attach(f->leg, fd[1]);
}

static void
finish(fixture *f)
{
    cpn_leg_free(f->leg, false);
    if (f->far >= 0)
        close(f->far);
    nettest_stop(&f->nt);
}

static void
turns(fixture *f)
{
    for (int i = 0; i < 8; i++)
        uv_run(&f->nt.uv, UV_RUN_NOWAIT);
}

static void
put(fixture *f, const char *text)
{
    char copy[64];
    struct iovec iov[2];
    size_t n = strlen(text), half = n / 2;

    memcpy(copy, text, n);
    iov[0] = (struct iovec){ copy, half };
    iov[1] = (struct iovec){ copy + half, n - half };
    cpn_leg_put(f->leg, iov, 2);
    turns(f);
}

/* What the machine has got since. */
static void
arrived(fixture *f, const char *text)
{
    char got[64] = "";
    ssize_t n = recv(f->far, got, sizeof(got) - 1, MSG_DONTWAIT);

    assert_int_equal(n < 0 ? 0 : n, strlen(text));
    assert_string_equal(got, text);
}

/* What a client gets now. */
static void
takes(fixture *f, const char *text)
{
    char got[64] = "";
    struct iovec iov = { got, sizeof(got) - 1 };
    ssize_t n;

    turns(f);
    n = cpn_leg_take(f->leg, &iov, 1, iov.iov_len);
    assert_int_equal(n < 0 ? 0 : n, strlen(text));
    assert_string_equal(got, text);
    turns(f);
}

static void
the_byte_after_the_last_goes_nowhere_up(void **state)
{
    fixture f;

    (void)state;
    begin(&f, 10, CPN_NO_LIMIT);
    put(&f, "0123456789");
    arrived(&f, "0123456789");
    assert_int_equal(f.spent, 0);
    assert_false(cpn_leg_wants(f.leg, true));
    put(&f, "x");
    arrived(&f, "");
    assert_int_equal(f.spent, 1);
    assert_true(cpn_leg_wants(f.leg, true));
    assert_false(cpn_leg_wants(f.leg, false));
    assert_int_equal(cpn_leg_up(f.leg), 10);
    put(&f, "y");
    arrived(&f, "");
    assert_int_equal(f.spent, 1);
    finish(&f);
}

static void
one_write_across_the_limit_is_cut_there(void **state)
{
    fixture f;

    (void)state;
    begin(&f, 5, CPN_NO_LIMIT);
    put(&f, "0123456789");
    arrived(&f, "01234");
    assert_int_equal(f.spent, 1);
    /* The rest goes on, in order, when there is more. */
    cpn_leg_allow(f.leg, &(cpn_byte_limits){ 9, CPN_NO_LIMIT });
    turns(&f);
    arrived(&f, "5678");
    assert_int_equal(f.spent, 2);
    cpn_leg_allow(f.leg, &(cpn_byte_limits){ CPN_NO_LIMIT, CPN_NO_LIMIT });
    turns(&f);
    arrived(&f, "9");
    assert_false(cpn_leg_wants(f.leg, true));
    finish(&f);
}

static void
the_byte_after_the_last_is_not_read_down(void **state)
{
    fixture f;

    (void)state;
    begin(&f, CPN_NO_LIMIT, 10);
    assert_int_equal(write(f.far, "0123456789", 10), 10);
    takes(&f, "0123456789");
    assert_int_equal(f.spent, 0);
    takes(&f, "");
    assert_int_equal(f.spent, 0);
    assert_int_equal(write(f.far, "x", 1), 1);
    takes(&f, "");
    assert_int_equal(f.spent, 1);
    assert_true(cpn_leg_wants(f.leg, false));
    assert_false(cpn_leg_may_take(f.leg));
    assert_int_equal(cpn_leg_down(f.leg), 10);
    /* It has not gone anywhere. */
    cpn_leg_allow(f.leg, &(cpn_byte_limits){ CPN_NO_LIMIT, 11 });
    assert_true(cpn_leg_may_take(f.leg));
    takes(&f, "x");
    finish(&f);
}

static void
an_end_at_the_limit_is_an_end(void **state)
{
    fixture f;
    char byte;
    struct iovec iov = { &byte, 1 };

    (void)state;
    begin(&f, CPN_NO_LIMIT, 3);
    assert_int_equal(write(f.far, "abc", 3), 3);
    shutdown(f.far, SHUT_WR);
    takes(&f, "abc");
    assert_int_equal(cpn_leg_take(f.leg, &iov, 1, 1), 0);
    assert_int_equal(f.spent, 0);
    /* So is ours. */
    cpn_leg_allow(f.leg, &(cpn_byte_limits){ 2, 3 });
    put(&f, "uv");
    cpn_leg_put_end(f.leg);
    arrived(&f, "uv");
    assert_int_equal(recv(f.far, &byte, 1, MSG_DONTWAIT), 0);
    assert_int_equal(f.spent, 0);
    finish(&f);
}

static void
less_than_has_gone_stops_it_here(void **state)
{
    fixture f;

    (void)state;
    begin(&f, CPN_NO_LIMIT, CPN_NO_LIMIT);
    put(&f, "0123456789");
    arrived(&f, "0123456789");
    cpn_leg_allow(f.leg, &(cpn_byte_limits){ 0, 0 });
    put(&f, "x");
    arrived(&f, "");
    assert_int_equal(write(f.far, "y", 1), 1);
    takes(&f, "");
    assert_int_equal(f.spent, 2);
    assert_true(cpn_leg_wants(f.leg, true) && cpn_leg_wants(f.leg, false));
    /* A word that gives nothing wakes nothing. */
    cpn_leg_allow(f.leg, &(cpn_byte_limits){ 10, 0 });
    turns(&f);
    arrived(&f, "");
    assert_int_equal(f.spent, 2);
    assert_int_equal(f.failed, 0);
    finish(&f);
}

/* Who cuts a session shuts its socket and says why: the shut socket is no end of the machine's. */
static void
an_end_that_comes_while_it_stands_still_waits(void **state)
{
    fixture f;
    char byte;
    struct iovec iov = { &byte, 1 };

    (void)state;
    for (int broken = 0; broken < 2; broken++) {
        begin(&f, 2, broken ? 1 : CPN_NO_LIMIT);
        put(&f, "uvw");
        assert_int_equal(f.spent, 1);
        if (broken) {
            assert_int_equal(write(f.far, "ab", 2), 2);
            takes(&f, "a");
            takes(&f, "");
            assert_int_equal(f.spent, 2);
        }
        close(f.far);
        turns(&f);
        assert_int_equal(cpn_leg_take(f.leg, &iov, 1, 1), -1);
        assert_int_equal(f.failed, 0);
        assert_false(cpn_leg_may_take(f.leg));
        /* When it goes on, it is one. */
        cpn_leg_allow(f.leg, &(cpn_byte_limits){ CPN_NO_LIMIT, CPN_NO_LIMIT });
        turns(&f);
        while (!f.failed && cpn_leg_take(f.leg, &iov, 1, 1) > 0)
            turns(&f);
        assert_true(f.failed || cpn_leg_take(f.leg, &iov, 1, 1) == 0);
        f.far = -1;
        finish(&f);
    }
}

/* A machine that answers and goes, our last words unread, breaks the connection behind its own. */
static void
what_came_before_a_broken_write_is_taken(void **state)
{
    static char chunk[65536];
    struct iovec iov = { chunk, sizeof(chunk) };
    fixture f;

    (void)state;
    for (int kept = 0; kept < 2; kept++) {
        begin(&f, CPN_NO_LIMIT, CPN_NO_LIMIT);
        put(&f, "uvw");
        while (kept && cpn_leg_kept(f.leg) == 0)
            cpn_leg_put(f.leg, &(struct iovec){ chunk, sizeof(chunk) }, 1);
        assert_int_equal(write(f.far, "goodbye", 7), 7);
        close(f.far);
        f.far = -1;
        put(&f, "x");
        assert_int_equal(f.failed, 0);
        assert_int_equal(cpn_leg_kept(f.leg), 0);
        takes(&f, "goodbye");
        assert_int_equal(cpn_leg_take(f.leg, &iov, 1, iov.iov_len), -1);
        assert_int_equal(f.failed, 1);
        assert_false(cpn_leg_may_take(f.leg));
        put(&f, "y");
        assert_int_equal(f.failed, 1);
        finish(&f);
    }
}

static void
a_write_that_breaks_after_the_end_fails_at_once(void **state)
{
    char byte;
    struct iovec iov = { &byte, 1 };
    fixture f;

    (void)state;
    begin(&f, CPN_NO_LIMIT, CPN_NO_LIMIT);
    shutdown(f.far, SHUT_WR);
    turns(&f);
    assert_int_equal(cpn_leg_take(f.leg, &iov, 1, 1), 0);
    assert_int_equal(f.failed, 0);
    close(f.far);
    f.far = -1;
    put(&f, "x");
    assert_int_equal(f.failed, 1);
    finish(&f);
}

static unsigned
timeout_of(nettest *nt, bool at_gateway)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), seen = dup(fd);
    cpn_leg *leg = cpn_leg_new(nt->loop, at_gateway, &events, NULL);
    unsigned out = 1;
    socklen_t n = sizeof(out);

    cpn_leg_attach(leg, fd);
    assert_int_equal(getsockopt(seen, IPPROTO_TCP, TCP_USER_TIMEOUT, &out, &n), 0);
    cpn_leg_free(leg, false);
    close(seen);
    return out;
}

/* Somebody stops scp for an hour: that is no stall of a machine's. */
static void
a_program_may_stand_still(void **state)
{
    nettest nt;

    (void)state;
    nettest_start(&nt);
    cpn_loop_stall(nt.loop, 30000);
    assert_int_equal(timeout_of(&nt, true), 30000);
    assert_int_equal(timeout_of(&nt, false), 0);
    nettest_stop(&nt);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_may_stand_still),
        cmocka_unit_test(the_byte_after_the_last_goes_nowhere_up),
        cmocka_unit_test(one_write_across_the_limit_is_cut_there),
        cmocka_unit_test(the_byte_after_the_last_is_not_read_down),
        cmocka_unit_test(an_end_at_the_limit_is_an_end),
        cmocka_unit_test(less_than_has_gone_stops_it_here),
        cmocka_unit_test(an_end_that_comes_while_it_stands_still_waits),
        cmocka_unit_test(what_came_before_a_broken_write_is_taken),
        cmocka_unit_test(a_write_that_breaks_after_the_end_fails_at_once),
    };

    return cmocka_run_group_tests_name("leg", tests, NULL, NULL);
}
