/* client/meter: amounts, rates with a clock of the test's, and the line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "client/meter.h"

static void
amounts(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *want;
    } rows[] = {
        { 0, "0 B" },
        { 999, "999 B" },
        { 1000, "1.0 kB" },
        { 1049, "1.0 kB" },
        { 1099, "1.0 kB" },
        { 1100, "1.1 kB" },
        { 99999, "99.9 kB" },
        { 100000, "100 kB" },
        { 999999, "999 kB" },
        { 1000000, "1.0 MB" },
        { 12345678, "12.3 MB" },
        { 3400000000, "3.4 GB" },
        { 999999999999, "999 GB" },
        { UINT64_MAX, "18.4 EB" },
    };
    char text[CPN_AMOUNT_SIZE];

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(rows); i++)
        assert_string_equal(cpn_amount(rows[i].bytes, text), rows[i].want);
}

static void
no_rate_without_two_times(void **state)
{
    cpn_meter m = { 0 };

    (void)state;
    assert_int_equal(cpn_meter_up(&m), 0);
    cpn_meter_note(&m, 1000, 5000, 7000);
    assert_int_equal(cpn_meter_down(&m), 0);
    cpn_meter_note(&m, 1000, 6000, 8000); /* the same time again: the newer count holds */
    assert_int_equal(cpn_meter_up(&m), 0);
    cpn_meter_note(&m, 1500, 7000, 8000);
    assert_int_equal(cpn_meter_up(&m), 2000);
    assert_int_equal(cpn_meter_down(&m), 0);
}

static void
what_goes_back_starts_anew(void **state)
{
    static const cpn_meter_sample back[] = { { 999, 10, 10 }, { 2000, 9, 10 }, { 2000, 10, 9 } };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(back); i++) {
        cpn_meter m = { 0 };

        cpn_meter_note(&m, 0, 0, 0);
        cpn_meter_note(&m, 1000, 10, 10);
        cpn_meter_note(&m, back[i].ms, back[i].up, back[i].down);
        assert_int_equal(m.n, 1);
        assert_int_equal(cpn_meter_up(&m) + cpn_meter_down(&m), 0);
    }
}

static void
the_rate_is_of_the_last_samples(void **state)
{
    cpn_meter m = { 0 };
    uint64_t now = 0;

    (void)state;
    for (int i = 0; i < 20; i++)
        cpn_meter_note(&m, now += 250, (uint64_t)i * 250000, 0);
    assert_int_equal(m.n, CPN_METER_SAMPLES);
    assert_int_equal(cpn_meter_up(&m), 1000000);
    for (int i = 1; i < CPN_METER_SAMPLES; i++) { /* and comes down to nothing */
        assert_true(cpn_meter_up(&m) > 0);
        cpn_meter_note(&m, now += 250, UINT64_C(19) * 250000, 0);
    }
    assert_int_equal(cpn_meter_up(&m), 0);
}

static void
rates_do_not_wrap(void **state)
{
    cpn_meter m = { 0 };

    (void)state;
    cpn_meter_note(&m, 0, 0, 0);
    cpn_meter_note(&m, 1000, UINT64_MAX, UINT64_MAX);
    assert_int_equal(cpn_meter_up(&m), UINT64_MAX);
}

static void
lines(void **state)
{
    cpn_meter m = { 0 };
    char text[128];

    (void)state;
    cpn_meter_line(&m, 0, 80, text, sizeof(text));
    assert_string_equal(text, "0 sessions, 0 B up, 0 B down");
    cpn_meter_note(&m, 0, 1200000, 3060000000);
    cpn_meter_note(&m, 1000, 1200000, 3400000000);
    cpn_meter_line(&m, 1, 80, text, sizeof(text));
    assert_string_equal(text, "1 session, 1.2 MB up, 3.4 GB down (340 MB/s)");
    assert_int_equal(cpn_meter_line(&m, 2, 14, text, sizeof(text)), 14);
    assert_string_equal(text, "2 sessions, 1.");
    assert_int_equal(cpn_meter_line(&m, 2, 0, text, sizeof(text)), 0);
    assert_int_equal(cpn_meter_line(&m, 2, 80, text, 8), 7); /* never beyond its room */
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_rate_without_two_times),
        cmocka_unit_test(what_goes_back_starts_anew),
        cmocka_unit_test(rates_do_not_wrap),
        cmocka_unit_test(the_rate_is_of_the_last_samples),
        cmocka_unit_test(amounts),
        cmocka_unit_test(lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
