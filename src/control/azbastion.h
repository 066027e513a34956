/* control/azbastion.h -- which bastion serves a request of the Azure door.
 *
 * A token request names none, and all bastions have the gateway's one name, so that its Host says
 * nothing either. The candidates are those that the caller may read: first the one that the caller
 * named for this target by /api/connection, for the SKUs Developer and QuickConnect; then those in
 * the group that an address names; then the one of the session that goes on; for a port of neither
 * SSH nor RDP those that carry any protocol; in the target's network before a peered one; with
 * native client before without; by id. The first that policy allows, with its SKU, ports and
 * limits, serves. If it allows none, the first of all says why. */
#ifndef CPN_CONTROL_AZBASTION_H
#define CPN_CONTROL_AZBASTION_H

#include "control/open.h"

/* Candidates that are asked; those behind them are as if they were not there. */
#define CPN_AZ_CANDIDATES 64

/* Who named which bastion for what: the newest of each caller and target, CPN_AZ_NAMED_MAX in all.
 */
#define CPN_AZ_NAMED_MAX 256
typedef struct cpn_az_named cpn_az_named;

cpn_az_named *cpn_az_named_new(void);
void cpn_az_named_free(cpn_az_named *named);
void cpn_az_name(cpn_control *c, const char *object_id, const char *target, const char *bastion);

/* Fills want->bastion; "" when the caller may read none. hint: the bastion's group, for an address;
 * NULL: any. going_on: the live session that the request continues; NULL: a new one. */
void cpn_az_bastion(cpn_control *c, const cpn_principal *who, cpn_want *want,
                    const cpn_resource_id *hint, const cpn_session *going_on);

#endif
