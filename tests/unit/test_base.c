/* base: bounded buffers, strict numbers, unforgeable log lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/quota.h"

static void
numbers_are_refused(void **state)
{
    static const char *const refused[] = { "",        "-1",   "+1",  " 1",  "1 ",
                                           "01",      "0x10", "1e3", "256", "18446744073709551616",
                                           "\xd9\xa1" };
    uint64_t n = 7;

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++)
        assert_false(cpn_view_u64(cpn_view_str(refused[i]), 255, &n));
    assert_int_equal(n, 7);
    assert_true(cpn_view_u64(cpn_view_str("255"), 255, &n));
    assert_int_equal(n, 255);
    assert_true(cpn_view_u64(cpn_view_str("0"), 255, &n));
    assert_int_equal(n, 0);
}

static void
buffers_stop_at_their_maximum(void **state)
{
    cpn_buf b = { .max = 10 };

    (void)state;
    assert_int_equal(cpn_buf_append(&b, CPN_VIEW_LIT("0123456789a")), CPN_LIMIT);
    assert_int_equal(b.n, 0);
    assert_int_equal(cpn_buf_append(&b, CPN_VIEW_LIT("0123456789")), CPN_OK);
    assert_int_equal(cpn_buf_append(&b, CPN_VIEW_LIT("x")), CPN_LIMIT);
    cpn_buf_consume(&b, 4);
    assert_true(cpn_view_is(cpn_buf_view(&b), "456789"));
    cpn_buf_fini(&b);
}

static void
log_lines_cannot_be_forged(void **state)
{
    char line[512];
    cpn_kv kv[] = { CPN_KV("user", "a\nlevel=error \"x\" \xe2\x80\xae"),
                    CPN_KI("port", 22),
                    { 0 } };
    size_t n = cpn_log_format(line, sizeof(line), CPN_LOG_INFO, "login.failed", kv);

    (void)state;
    assert_int_equal(line[n - 1], '\n');
    line[n - 1] = '\0';
    assert_null(strchr(line, '\n'));
    assert_non_null(strstr(line, "user=\"a\\u000alevel=error \\\"x\\\" \\u00e2\\u0080\\u00ae\""));
    assert_non_null(strstr(line, " port=22"));
}

static void
quotas_never_wrap(void **state)
{
    cpn_quota q = { .max = 100 };

    (void)state;
    assert_int_equal(cpn_quota_take(&q, SIZE_MAX), CPN_LIMIT);
    assert_int_equal(cpn_quota_take(&q, 100), CPN_OK);
    assert_int_equal(cpn_quota_take(&q, 1), CPN_LIMIT);
    cpn_quota_give(&q, 1000);
    assert_int_equal(q.used, 0);
}

static void
errors_gather_context(void **state)
{
    cpn_err err = { 0 };

    (void)state;
    assert_int_equal(cpn_fail(&err, CPN_NOT_FOUND, "no '%s'", "x"), CPN_NOT_FOUND);
    assert_int_equal(cpn_ctx(&err, CPN_NOT_FOUND, "loading"), CPN_NOT_FOUND);
    assert_string_equal(err.msg, "loading: no 'x'");
    assert_int_equal(cpn_rc_http(CPN_NOT_FOUND), 404);
    assert_int_equal(cpn_rc_exit(CPN_DENIED), 3);
}

static void
times_for_people(void **state)
{
    char out[CPN_TIME_SIZE];

    (void)state;
    assert_string_equal(cpn_time_minutes(1795379999688, out), "2026-11-22 20:39 UTC");
    assert_string_equal(cpn_time_minutes(0, out), "1970-01-01 00:00 UTC");
}

static void
clock_jumps_are_seen(void **state)
{
    cpn_clock_watch w = { 0 };

    (void)state;
    assert_int_equal(cpn_clock_jump(&w, 1700000000000, 5000), 0);
    assert_int_equal(cpn_clock_jump(&w, 1700000001000, 6000), 0); /* a second passed on both */
    assert_int_equal(cpn_clock_jump(&w, 1700000301000, 6000), 0); /* five minutes: told no more */
    assert_int_equal(cpn_clock_jump(&w, 1700003902000, 7000), 3600000); /* an hour ahead */
    assert_int_equal(cpn_clock_jump(&w, 1699999902000, 8000), -4001000);
    assert_int_equal(cpn_clock_jump(&w, 1699999903000, 9000), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_refused),
        cmocka_unit_test(buffers_stop_at_their_maximum),
        cmocka_unit_test(log_lines_cannot_be_forged),
        cmocka_unit_test(quotas_never_wrap),
        cmocka_unit_test(errors_gather_context),
        cmocka_unit_test(times_for_people),
        cmocka_unit_test(clock_jumps_are_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
