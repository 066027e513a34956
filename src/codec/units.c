/* Numbers with a unit behind them. */
#include "codec/units.h"

#include <inttypes.h>
#include <stdio.h>

typedef struct unit {
    const char *name;
    uint64_t factor;
} unit;

/* From the largest, for writing. */
static const unit times[] = {
    { "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 }
};
static const unit sizes[] = {
    { "GiB", 1u << 30 }, { "MiB", 1u << 20 }, { "KiB", 1u << 10 }, { "B", 1 }
};

static bool
read_number(cpn_view text, const unit *units, size_t n, uint64_t *out)
{
    size_t digits = 0;
    uint64_t v;

    while (digits < text.n && text.p[digits] >= '0' && text.p[digits] <= '9')
        digits++;
    if (!cpn_view_u64((cpn_view){ text.p, digits }, UINT64_MAX, &v))
        return false;
    for (size_t i = 0; i < n; i++)
        if (cpn_view_is(cpn_view_skip(text, digits), units[i].name))
            return !__builtin_mul_overflow(v, units[i].factor, out);
    return false;
}

static const char *
write_number(uint64_t v, const unit *units, size_t n, char out[CPN_UNITS_TEXT])
{
    size_t i = 0;

    while (i < n - 1 && v % units[i].factor)
        i++;
    if (v == 0)
        i = n == CPN_COUNT(times) ? 3 : n - 1; /* "0s" and "0B" */
    snprintf(out, CPN_UNITS_TEXT, "%" PRIu64 "%s", v / units[i].factor, units[i].name);
    return out;
}

bool
cpn_units_time(cpn_view text, uint64_t *ms)
{
    return read_number(text, times, CPN_COUNT(times), ms);
}

bool
cpn_units_size(cpn_view text, uint64_t *bytes)
{
    return read_number(text, sizes, CPN_COUNT(sizes), bytes);
}

const char *
cpn_units_time_text(uint64_t ms, char out[CPN_UNITS_TEXT])
{
    return write_number(ms, times, CPN_COUNT(times), out);
}

const char *
cpn_units_size_text(uint64_t bytes, char out[CPN_UNITS_TEXT])
{
    return write_number(bytes, sizes, CPN_COUNT(sizes), out);
}
