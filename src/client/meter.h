/* client/meter.h -- bytes and sessions as a line that people read. Pure: the caller has the clock.
 *
 * Amounts are decimal (1 kB = 1,000 bytes); a rate is that of the last second or so. */
#ifndef CPN_CLIENT_METER_H
#define CPN_CLIENT_METER_H

#include <stddef.h>
#include <stdint.h>

#define CPN_AMOUNT_SIZE 16
#define CPN_METER_SAMPLES 5 /* the rate is that between the oldest and the newest of them */

typedef struct cpn_meter_sample {
    uint64_t ms;
    uint64_t up, down;
} cpn_meter_sample;

/* All zero: nothing seen yet. */
typedef struct cpn_meter {
    cpn_meter_sample at[CPN_METER_SAMPLES]; /* oldest first */
    unsigned n;
} cpn_meter;

/* "0 B", "999 B", "1.0 kB", "12.3 MB", "123 GB"; never more than three digits before the unit. */
const char *cpn_amount(uint64_t bytes, char out[CPN_AMOUNT_SIZE]);
/* The totals at this time. A clock or a count that goes back starts anew. */
void cpn_meter_note(cpn_meter *m, uint64_t now_ms, uint64_t up, uint64_t down);
/* Bytes a second, 0 until two different times were noted. */
uint64_t cpn_meter_up(const cpn_meter *m);
uint64_t cpn_meter_down(const cpn_meter *m);
/* "2 sessions, 1.2 MB up (340 kB/s), 3.4 GB down": totals as last noted, rates that are not 0; of
 * ASCII, and cut to at most `columns`. Returns its length, less than size. */
size_t cpn_meter_line(const cpn_meter *m, unsigned sessions, unsigned columns, char *out,
                      size_t size);

#endif
