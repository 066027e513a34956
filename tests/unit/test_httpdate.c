/* codec/httpdate: texts that are no date, then both ways against the C library's calendar. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "codec/httpdate.h"

static void
texts_that_are_no_date(void **state)
{
    static const char *const refused[] = {
        "",
        "now",
        "Sun, 06 Nov 1994 08:49:37",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Mon, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 6  Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:60 GMT",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun,\t06 Nov 1994 08:49:37 GMT",
        "Wed, 31 Nov 1994 08:49:37 GMT",
        "Thu, 00 Nov 1994 08:49:37 GMT",
        "Mon, 29 Feb 1999 08:49:37 GMT",
        "Mon, 29 Feb 2100 08:49:37 GMT",
        "Wed, 31 Dec 1969 23:59:59 GMT",
        "Sun, +6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMTx",
    };
    int64_t s = -7;

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++)
        if (cpn_httpdate_read(cpn_view_str(refused[i]), &s) != CPN_INVALID || s != -7)
            fail_msg("%s", refused[i]);
}

static void
both_ways_as_the_c_library(void **state)
{
    static const int64_t edges[] = { 0,         86399,       86400,        68255999,
                                     951782400, 951868799,   4107542399,   4107542400,
                                     784111777, 32503679999, 253402300799, 1700000000 };
    char ours[CPN_HTTPDATE_SIZE], theirs[64];

    (void)state;
    assert_string_equal(cpn_httpdate_put(784111777, ours), "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_string_equal(cpn_httpdate_put(-5, ours), "Thu, 01 Jan 1970 00:00:00 GMT");
    assert_string_equal(cpn_httpdate_put(INT64_MAX, ours), "Fri, 31 Dec 9999 23:59:59 GMT");
    for (size_t i = 0; i < CPN_COUNT(edges) + 3000; i++) {
        /* Beyond the edges: steps of a little over a month. */
        time_t t = (time_t)(i < CPN_COUNT(edges) ? edges[i] : (int64_t)i * 2700001);
        int64_t back = -1;
        struct tm tm;

        gmtime_r(&t, &tm);
        strftime(theirs, sizeof(theirs), "%a, %d %b %Y %H:%M:%S GMT", &tm);
        assert_string_equal(cpn_httpdate_put(t, ours), theirs);
        assert_int_equal(cpn_httpdate_read(cpn_view_str(ours), &back), CPN_OK);
        assert_int_equal(back, t);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_that_are_no_date),
        cmocka_unit_test(both_ways_as_the_c_library),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
