/* Dates of HTTP heads, without locale, time zone or the C library's calendar. */
#include "codec/httpdate.h"

#include <stdio.h>

#include "codec/chars.h"

#define DAY_S 86400
#define LAST_S 253402300799 /* the last second of 9999 */

static const char days[7][4] = { "Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed" }; /* 1970 first */
static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

static bool
leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int
days_of(int year, int month)
{
    static const uint8_t n[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

    return n[month] + (month == 1 && leap(year));
}

/* Days from 1970 to the first of January of a year. */
static int64_t
days_before(int year)
{
    int64_t y = year - 1;

    return y * 365 + y / 4 - y / 100 + y / 400 - 719162;
}

const char *
cpn_httpdate_put(int64_t unix_s, char out[CPN_HTTPDATE_SIZE])
{
    int64_t s = CPN_MIN(CPN_MAX(unix_s, 0), LAST_S);
    int64_t day = s / DAY_S;
    int year = (int)(1970 + day / 366), month = 0, left;

    while (days_before(year + 1) <= day)
        year++;
    left = (int)(day - days_before(year));
    for (; left >= days_of(year, month); month++)
        left -= days_of(year, month);
    s %= DAY_S;
    snprintf(out, CPN_HTTPDATE_SIZE, "%s, %02u %s %04u %02u:%02u:%02u GMT", days[day % 7],
             (unsigned)(left + 1) % 100, months[month], (unsigned)year % 10000,
             (unsigned)(s / 3600) % 100, (unsigned)(s / 60 % 60), (unsigned)(s % 60));
    return out;
}

/* n digits at p; -1: not digits. */
static int
number(const uint8_t *p, int n)
{
    int v = 0;

    for (int i = 0; i < n; i++) {
        if (!cpn_is_digit(p[i]))
            return -1;
        v = v * 10 + (p[i] - '0');
    }
    return v;
}

static int
month_of(const uint8_t *p)
{
    for (int i = 0; i < 12; i++)
        if (memcmp(p, months[i], 3) == 0)
            return i;
    return -1;
}

cpn_rc
cpn_httpdate_read(cpn_view in, int64_t *unix_s)
{
    char again[CPN_HTTPDATE_SIZE];
    int day, month, year, h, m, s;
    int64_t at;

    if (in.n != CPN_HTTPDATE_SIZE - 1)
        return CPN_INVALID;
    day = number(in.p + 5, 2);
    month = month_of(in.p + 8);
    year = number(in.p + 12, 4);
    h = number(in.p + 17, 2);
    m = number(in.p + 20, 2);
    s = number(in.p + 23, 2);
    if (day < 1 || month < 0 || year < 1970 || day > days_of(year, month) || h < 0 || h > 23 ||
        m < 0 || m > 59 || s < 0 || s > 59)
        return CPN_INVALID;
    at = days_before(year) + day - 1;
    for (int i = 0; i < month; i++)
        at += days_of(year, i);
    at = at * DAY_S + h * 3600 + m * 60 + s;
    /* Separators and the day of the week: as we would write them. */
    if (memcmp(cpn_httpdate_put(at, again), in.p, in.n) != 0)
        return CPN_INVALID;
    *unix_s = at;
    return CPN_OK;
}
