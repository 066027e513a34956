/* Writes amounts, rates and the live line of a tunnel. */
#include "client/meter.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

const char *
cpn_amount(uint64_t bytes, char out[CPN_AMOUNT_SIZE])
{
    static const char *const units[] = { "kB", "MB", "GB", "TB", "PB", "EB" };
    uint64_t tenths;
    size_t unit = 0;

    if (bytes < 1000) {
        snprintf(out, CPN_AMOUNT_SIZE, "%u B", (unsigned)bytes);
        return out;
    }
    /* Rounded down, so that 999,999 is not a thousand of anything. */
    for (tenths = bytes / 100; tenths >= 10000; tenths /= 1000)
        unit++;
    if (tenths < 1000)
        snprintf(out, CPN_AMOUNT_SIZE, "%u.%u %s", (unsigned)(tenths / 10), (unsigned)(tenths % 10),
                 units[unit]);
    else
        snprintf(out, CPN_AMOUNT_SIZE, "%u %s", (unsigned)(tenths / 10), units[unit]);
    return out;
}

void
cpn_meter_note(cpn_meter *m, uint64_t now_ms, uint64_t up, uint64_t down)
{
    const cpn_meter_sample *last = m->n ? &m->at[m->n - 1] : NULL;

    if (last && (now_ms < last->ms || up < last->up || down < last->down))
        m->n = 0;
    else if (last && now_ms == last->ms)
        m->n--;
    if (m->n == CPN_METER_SAMPLES) {
        memmove(m->at, m->at + 1, sizeof(m->at) - sizeof(m->at[0]));
        m->n--;
    }
    m->at[m->n++] = (cpn_meter_sample){ now_ms, up, down };
}

static uint64_t
rate(uint64_t bytes, uint64_t ms)
{
    /* In this order, so that a large count does not wrap. */
    return ms == 0 ? 0 : bytes / ms * 1000 + bytes % ms * 1000 / ms;
}

uint64_t
cpn_meter_up(const cpn_meter *m)
{
    return m->n < 2 ? 0 : rate(m->at[m->n - 1].up - m->at[0].up, m->at[m->n - 1].ms - m->at[0].ms);
}

uint64_t
cpn_meter_down(const cpn_meter *m)
{
    return m->n < 2 ? 0
                    : rate(m->at[m->n - 1].down - m->at[0].down, m->at[m->n - 1].ms - m->at[0].ms);
}

/* ", 1.2 MB up (340 kB/s)" */
static void
put_way(char *out, size_t size, uint64_t bytes, const char *way, uint64_t a_second)
{
    char total[CPN_AMOUNT_SIZE], speed[CPN_AMOUNT_SIZE];

    cpn_amount(bytes, total);
    if (a_second)
        snprintf(out, size, ", %s %s (%s/s)", total, way, cpn_amount(a_second, speed));
    else
        snprintf(out, size, ", %s %s", total, way);
}

size_t
cpn_meter_line(const cpn_meter *m, unsigned sessions, unsigned columns, char *out, size_t size)
{
    cpn_meter_sample now = m->n ? m->at[m->n - 1] : (cpn_meter_sample){ 0 };
    char up[64], down[64];
    size_t n;

    put_way(up, sizeof(up), now.up, "up", cpn_meter_up(m));
    put_way(down, sizeof(down), now.down, "down", cpn_meter_down(m));
    snprintf(out, size, "%u session%s%s%s", sessions, sessions == 1 ? "" : "s", up, down);
    n = CPN_MIN(strlen(out), (size_t)columns);
    out[n] = '\0';
    return n;
}
