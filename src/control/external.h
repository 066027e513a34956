/* control/external.h -- from what a provider said of a person to a principal of ours.
 *
 * The only name is (issuer, subject). Somebody unknown is refused, or, with oidc_provision: create,
 * becomes a user without roles: called "external:" and the name the provider shows, with a part of
 * a digest behind it when that is taken, so that no local name and no other person's is ever taken
 * over. The groups of this sign-in replace those of the last one; a change is a change of policy
 * like any other, and live sessions are decided again. */
#ifndef CPN_CONTROL_EXTERNAL_H
#define CPN_CONTROL_EXTERNAL_H

#include "control/call.h"
#include "identity/idtoken.h"

#define CPN_EXTERNAL_PREFIX "external:"

/* CPN_OK with their object id; CPN_NOT_FOUND: unknown here; CPN_EXISTS, CPN_INVALID, CPN_LIMIT,
 * CPN_E_STORE: err says why. Comes once, maybe before cpn_external_enter returns. */
typedef void cpn_external_done(void *owner, cpn_rc rc, const char *object_id, const cpn_err *err);
/* who is copied. call: whose audit record a change carries; it must live until done. */
void cpn_external_enter(cpn_call *call, const cpn_idtoken *who, cpn_external_done *done,
                        void *owner);

#endif
