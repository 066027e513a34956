/* Reads time windows and tells whether one is open. */
#include "policy/window.h"

#include <stdio.h>

#include "codec/chars.h"

#define MINUTES_A_DAY 1440
#define SECONDS_A_DAY 86400

static const char *const day_names[7] = { "mon", "tue", "wed", "thu", "fri", "sat", "sun" };

static bool
read_clock(const char *t, uint16_t max, uint16_t *out)
{
    unsigned h, m;

    if (strlen(t) != 5 || t[2] != ':')
        return false;
    for (int i = 0; i < 5; i++)
        if (i != 2 && !cpn_is_digit((uint8_t)t[i]))
            return false;
    h = (unsigned)(t[0] - '0') * 10 + (unsigned)(t[1] - '0');
    m = (unsigned)(t[3] - '0') * 10 + (unsigned)(t[4] - '0');
    if (m > 59 || h * 60 + m > max)
        return false;
    *out = (uint16_t)(h * 60 + m);
    return true;
}

static cpn_rc
read_days(cpn_window *w, const cpn_shape *s, const char *path, const json_t *days)
{
    char at[CPN_PATH_MAX];
    cpn_rc rc;

    if ((rc = cpn_shape_count(s, path, days, 1, 7)) != CPN_OK)
        return rc;
    for (size_t i = 0; i < json_array_size(days); i++) {
        const json_t *v = json_array_get(days, i);
        const char *name = json_string_value(v);
        unsigned d = 0;

        while (name && d < 7 && strcmp(day_names[d], name) != 0)
            d++;
        if (!name || d == 7)
            return cpn_shape_bad(s, cpn_shape_at(at, path, i), v,
                                 "one of mon, tue, wed, thu, fri, sat, sun");
        if (w->days & (1u << d))
            return cpn_shape_bad(s, cpn_shape_at(at, path, i), v, "each day once");
        w->days = (uint8_t)(w->days | (1u << d));
    }
    return CPN_OK;
}

cpn_rc
cpn_window_read(cpn_window *out, const cpn_shape *s, const char *path, const json_t *value)
{
    static const cpn_field fields[] = { { "days", CPN_FIELD_ARRAY, false },
                                        { "from", CPN_FIELD_STRING, true },
                                        { "to", CPN_FIELD_STRING, true } };
    cpn_window w = { .limited = true };
    const json_t *days, *from, *to;
    char at[CPN_PATH_MAX];
    cpn_rc rc;

    if ((rc = cpn_shape_fields(s, path, value, fields, CPN_COUNT(fields))) != CPN_OK)
        return rc;
    days = json_object_get(value, "days");
    from = json_object_get(value, "from");
    to = json_object_get(value, "to");
    snprintf(at, sizeof(at), "%s.days", path);
    if (!days)
        w.days = 0x7f;
    else if ((rc = read_days(&w, s, at, days)) != CPN_OK)
        return rc;
    snprintf(at, sizeof(at), "%s.from", path);
    if (!read_clock(json_string_value(from), MINUTES_A_DAY - 1, &w.from_min))
        return cpn_shape_bad(s, at, from, "a time from 00:00 to 23:59");
    snprintf(at, sizeof(at), "%s.to", path);
    if (!read_clock(json_string_value(to), MINUTES_A_DAY, &w.to_min))
        return cpn_shape_bad(s, at, to, "a time from 00:00 to 24:00");
    if (w.from_min == w.to_min)
        return cpn_shape_bad(s, at, to, "a time that differs from the window's start");
    *out = w;
    return CPN_OK;
}

bool
cpn_window_open(const cpn_window *w, int64_t now_s)
{
    int64_t day = now_s / SECONDS_A_DAY - (now_s % SECONDS_A_DAY < 0);
    unsigned minute = (unsigned)((now_s - day * SECONDS_A_DAY) / 60);
    /* 1970-01-01 was a Thursday */
    unsigned today = (unsigned)(((day + 3) % 7 + 7) % 7);
    unsigned yesterday = (today + 6) % 7;

    if (!w->limited)
        return true;
    if (w->from_min < w->to_min)
        return (w->days >> today & 1) && minute >= w->from_min && minute < w->to_min;
    return ((w->days >> today & 1) && minute >= w->from_min) ||
           ((w->days >> yesterday & 1) && minute < w->to_min);
}
