/* front/denied.h -- a denied session of the Azure door (docs/protocol.md): its client understands
 * no HTTP refusal, so the upgrade is answered 101, its first bytes are awaited, and it is told no
 * in the protocol that it speaks. It dials nothing; denied_sessions_max at once. */
#ifndef CPN_FRONT_DENIED_H
#define CPN_FRONT_DENIED_H

#include "front/conn.h"

/* How long the first bytes are awaited. */
#define CPN_DENIED_WAIT_MS 5000
/* And then the client's close. */
#define CPN_DENIED_CLOSE_MS 3000

/* From UPGRADE to DENIED. False: there are too many, nothing was done. */
bool cpn_denied_start(cpn_conn *c, cpn_view sentence);
/* No bytes came: close 1008. The second time: the end. */
void cpn_denied_expired(cpn_conn *c);
/* NULL is fine. */
void cpn_denied_free(cpn_denied *d);

#endif
