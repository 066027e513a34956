/* codec/units.h -- times and sizes as people write them. Pure. */
#ifndef CPN_CODEC_UNITS_H
#define CPN_CODEC_UNITS_H

#include "base/err.h"
#include "base/view.h"

/* "250ms", "30s", "5m", "8h", "2d" to ms: one number without sign or leading zero, one unit, no
 * space. False otherwise, or beyond 64 bits. */
bool cpn_units_time(cpn_view text, uint64_t *ms);
/* "512B", "64KiB", "256MiB", "1GiB" to bytes. */
bool cpn_units_size(cpn_view text, uint64_t *bytes);
/* The shortest such text. */
#define CPN_UNITS_TEXT 32
const char *cpn_units_time_text(uint64_t ms, char out[CPN_UNITS_TEXT]);
const char *cpn_units_size_text(uint64_t bytes, char out[CPN_UNITS_TEXT]);

#endif
