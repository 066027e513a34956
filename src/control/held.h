/* control/held.h -- what a request proves about the key of its token (identity/holder.h). A proof
 * that does not hold leaves one line in the log. */
#ifndef CPN_CONTROL_HELD_H
#define CPN_CONTROL_HELD_H

#include "control/call.h"

/* A call with a bearer: false when its token has a key and the call does not prove it. */
bool cpn_held_call(cpn_control *c, const cpn_msg_REQUEST *m, const cpn_claims *claims);
/* A carrier: NOT also when its token has no key. */
cpn_held cpn_held_carrier(cpn_control *c, const cpn_msg_CARRIER *m, const cpn_claims *claims);
/* A request for tokens: *key is not set when it brings no proof. CPN_INVALID: it brings a wrong
 * one, err says why. */
cpn_rc cpn_held_token(cpn_call *call, cpn_thumb *key, cpn_err *err) CPN_MUST_CHECK;

#endif
