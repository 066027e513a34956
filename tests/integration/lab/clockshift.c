/* Moves the clocks of the programs it is preloaded into by the nanoseconds that stand in the file
 * CPN_CLOCK_SHIFT: an int64 for the wall clock, then one for CLOCK_BOOTTIME, which goes ahead of
 * CLOCK_MONOTONIC while a machine sleeps. A test may change them while the programs run. Built for
 * the tests alone: no product program knows of it. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define NS 1000000000ll
#define OVER __attribute__((visibility("default")))

enum { WALL, BOOT, SHIFTS };

static const int64_t *page;

/* Before main, so before a sandbox closes. */
__attribute__((constructor)) static void
map_page(void)
{
    const char *path = getenv("CPN_CLOCK_SHIFT");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *at;

    if (fd < 0)
        abort(); /* a test of a clock that never moves would prove nothing */
    at = mmap(NULL, SHIFTS * sizeof(*page), PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (at == MAP_FAILED)
        abort();
    page = at;
}

/* Which of the two moves this clock; SHIFTS: neither does. */
static unsigned
shift_of(clockid_t id)
{
    switch (id) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
        return WALL;
    case CLOCK_BOOTTIME:
        return BOOT;
    default:
        return SHIFTS;
    }
}

OVER int
clock_gettime(clockid_t id, struct timespec *ts)
{
    long rc = syscall(SYS_clock_gettime, id, ts);
    unsigned which = shift_of(id);

    if (rc == 0 && page && which != SHIFTS) {
        int64_t ns = (int64_t)ts->tv_sec * NS + ts->tv_nsec +
                     __atomic_load_n(&page[which], __ATOMIC_RELAXED);

        *ts = (struct timespec){ ns / NS, ns % NS };
    }
    return (int)rc;
}

OVER int
gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
    struct timespec ts;

    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &ts) != 0)
        return -1;
    *tv = (struct timeval){ ts.tv_sec, ts.tv_nsec / 1000 };
    return 0;
}

OVER time_t
time(time_t *out)
{
    struct timespec ts = { 0 };

    clock_gettime(CLOCK_REALTIME, &ts);
    if (out)
        *out = ts.tv_sec;
    return ts.tv_sec;
}
