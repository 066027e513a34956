/* base/clock.h -- deadlines and windows by the monotonic clock; the wall clock only for token
 * times, certificates and audit. */
#ifndef CPN_BASE_CLOCK_H
#define CPN_BASE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CPN_NS_PER_MS 1000000ull
#define CPN_NS_PER_S 1000000000ull

uint64_t cpn_mono_ns(void);
uint64_t cpn_mono_ms(void);
/* Like cpn_mono_ns, but the machine's sleep counts too (CLOCK_BOOTTIME). */
uint64_t cpn_boot_ns(void);
/* Unix time. */
int64_t cpn_wall_s(void);
int64_t cpn_wall_ms(void);
/* Sees the wall clock jump: how far it moved against the boot clock since the last look, in ms; 0
 * at the first look and for a move of at most CPN_CLOCK_JUMP_MS. */
#define CPN_CLOCK_JUMP_MS 300000
typedef struct cpn_clock_watch {
    bool started;
    int64_t offset_ms;
} cpn_clock_watch;
int64_t cpn_clock_jump(cpn_clock_watch *w, int64_t wall_ms, int64_t boot_ms);

/* "2026-11-22T16:01:02.345Z" for a Unix time in ms. */
#define CPN_TIME_SIZE 32
const char *cpn_time_rfc3339(int64_t wall_ms, char out[CPN_TIME_SIZE]);
/* "2026-11-22 16:01 UTC", for people. */
const char *cpn_time_minutes(int64_t wall_ms, char out[CPN_TIME_SIZE]);

#endif
