/* The clocks, in one place. */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static uint64_t
read_ns(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * CPN_NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t
cpn_mono_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

uint64_t
cpn_mono_ms(void)
{
    return cpn_mono_ns() / CPN_NS_PER_MS;
}

uint64_t
cpn_boot_ns(void)
{
    return read_ns(CLOCK_BOOTTIME);
}

int64_t
cpn_wall_ms(void)
{
    return (int64_t)(read_ns(CLOCK_REALTIME) / CPN_NS_PER_MS);
}

int64_t
cpn_wall_s(void)
{
    return cpn_wall_ms() / 1000;
}

int64_t
cpn_clock_jump(cpn_clock_watch *w, int64_t wall_ms, int64_t boot_ms)
{
    int64_t offset = wall_ms - boot_ms, moved = w->started ? offset - w->offset_ms : 0;

    w->started = true;
    w->offset_ms = offset;
    return moved > CPN_CLOCK_JUMP_MS || moved < -CPN_CLOCK_JUMP_MS ? moved : 0;
}

const char *
cpn_time_rfc3339(int64_t wall_ms, char out[CPN_TIME_SIZE])
{
    time_t s = (time_t)(wall_ms / 1000);
    struct tm tm;
    size_t n;

    gmtime_r(&s, &tm);
    n = strftime(out, CPN_TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, CPN_TIME_SIZE - n, ".%03dZ", (int)(wall_ms % 1000));
    return out;
}

const char *
cpn_time_minutes(int64_t wall_ms, char out[CPN_TIME_SIZE])
{
    time_t s = (time_t)(wall_ms / 1000);
    struct tm tm;

    gmtime_r(&s, &tm);
    strftime(out, CPN_TIME_SIZE, "%Y-%m-%d %H:%M UTC", &tm);
    return out;
}
