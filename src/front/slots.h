/* front/slots.h -- how many connections may be here before control has said yes to them: in all,
 * and from one source (an IPv4 address, an IPv6 /56). */
#ifndef CPN_FRONT_SLOTS_H
#define CPN_FRONT_SLOTS_H

#include "model/addr.h"

typedef struct cpn_slot_source cpn_slot_source;

/* Zero-initialise and set the two bounds; a bound of 0 refuses everybody. */
typedef struct cpn_slots {
    size_t max;
    size_t source_max;
    size_t used;
    cpn_slot_source *sources; /* only those that hold a slot */
} cpn_slots;

/* *out: give it back once. CPN_LIMIT: no slot, in all or for this source. */
cpn_rc cpn_slot_take(cpn_slots *slots, const cpn_addr *peer, cpn_slot_source **out) CPN_MUST_CHECK;
/* Whose connection should go so that peer's may come: the source with the most slots, when all are
 * taken and even without that one it would hold more than peer has now. Else NULL. */
const cpn_slot_source *cpn_slot_greediest(const cpn_slots *slots, const cpn_addr *peer);
/* Sets *source to NULL; *source NULL is fine. */
void cpn_slot_give(cpn_slots *slots, cpn_slot_source **source);

#endif
