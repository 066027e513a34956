/* control/named.h -- what people call things: a short name, a sign-in name, or an id. */
#ifndef CPN_CONTROL_NAMED_H
#define CPN_CONTROL_NAMED_H

#include "control/core.h"

#define CPN_CANDIDATES_MAX 20

/* A resource of a kind that `who` may read (NULL: any), by id or by the last name of its id.
 * CPN_NOT_FOUND; CPN_EXISTS: several, *candidates (unless NULL) is a new array of their ids. */
cpn_rc cpn_named_resource(const cpn_snapshot *s, const cpn_principal *who, const char *kind,
                          const char *name, char id[CPN_ID_MAX + 1],
                          json_t **candidates) CPN_MUST_CHECK;
/* A principal by object id, sign-in name, appId, or the name of its document. CPN_NOT_FOUND;
 * CPN_EXISTS: several have that name. */
cpn_rc cpn_named_principal(const cpn_snapshot *s, const char *name,
                           const cpn_principal **out) CPN_MUST_CHECK;
/* Does the last name of the id equal name, without case? */
bool cpn_last_name_is(const char *id, const char *name);

#endif
