/* control/cut.h -- ending live sessions from above.
 *
 * CUT to the front, so that the client hears why; SHUT to keeper at the same time, so that nothing
 * flows any more whatever the front does: a front that hangs delays neither. The session's end is
 * recorded with the time from the request to the moment when keeper had SHUT. */
#ifndef CPN_CONTROL_CUT_H
#define CPN_CONTROL_CUT_H

#include "control/sessions.h"

/* by: a name for the record, or "". asked_ms: when the request came. Returns the measured
 * milliseconds. The session may be gone afterwards. */
uint64_t cpn_cut(cpn_control *c, cpn_session *s, cpn_reason why, const char *by, uint64_t asked_ms);
/* The same for a user who is done: no cut in counters and record. */
void cpn_cut_closed(cpn_control *c, cpn_session *s);
/* Decide every live session again by the current snapshot and cut those it refuses. */
void cpn_cut_recheck(cpn_control *c, uint64_t asked_ms);

#endif
