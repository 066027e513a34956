/* The lines of a report. */
#include "client/doctor.h"

#include <stdarg.h>
#include <stdio.h>

#define DETAIL_MAX (CPN_ID_MAX + 1024)

void
cpn_doctor_line(cpn_doctor *d, const char *check, cpn_health health, const char *hint,
                const char *fmt, ...)
{
    static const char *const words[] = { "fail", "warn", "ok" };
    char detail[DETAIL_MAX];
    json_t *line, *text;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(detail, sizeof(detail), fmt, ap);
    va_end(ap);
    /* A peer's words may be no UTF-8, or cut in the middle of a character. */
    text = json_string(detail);
    line = json_pack("{s:s, s:s, s:o, s:s*}", "check", check, "state", words[health], "detail",
                     text ? text : json_string("(not readable)"), "hint", hint);
    json_array_append_new(d->lines, line);
    if (health >= d->worst)
        return;
    d->worst = health;
    snprintf(d->advice, sizeof(d->advice), "%.*s", (int)sizeof(d->advice) - 1,
             hint ? hint : detail);
}
