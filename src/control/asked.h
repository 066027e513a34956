/* control/asked.h -- what calls of the API say of a connection that could be made. */
#ifndef CPN_CONTROL_ASKED_H
#define CPN_CONTROL_ASKED_H

#include "control/call.h"
#include "control/open.h"

/* The verdict, and the number of a decision that was a refusal. New reference. */
json_t *cpn_asked_json(const cpn_asked *a);
/* Decide for the caller. connect: they are about to, and will not when refused; so the refusal is
 * one of a connection, with its record and its number, of which there are at most
 * tickets_per_minute. New reference. */
json_t *cpn_call_decision(cpn_call *call, const cpn_want *want, bool connect);

#endif
