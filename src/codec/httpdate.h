/* codec/httpdate.h -- the Date field: IMF-fixdate of RFC 9110 5.6.7, "Sun, 06 Nov 1994 08:49:37
 * GMT". Years 1970 to 9999; the two obsolete forms are not read. */
#ifndef CPN_CODEC_HTTPDATE_H
#define CPN_CODEC_HTTPDATE_H

#include "base/err.h"
#include "base/view.h"

#define CPN_HTTPDATE_SIZE 30

/* Unix time in seconds; what lies outside the years is taken as the nearest. Returns out. */
const char *cpn_httpdate_put(int64_t unix_s, char out[CPN_HTTPDATE_SIZE]);
/* CPN_INVALID: anything else, also a day that the month has not, or the wrong day of the week. */
cpn_rc cpn_httpdate_read(cpn_view in, int64_t *unix_s) CPN_MUST_CHECK;

#endif
