/* control/arm_bastion.h -- Azure's shape of a bastion, in and out. Pure.
 *
 * The network of a bastion is that of the AzureBastionSubnet in its one ipConfiguration, or, with
 * the SKU Developer, properties.virtualNetwork. What Azure has and Caponier has not (shareable
 * links, Kerberos, recording, private only, address lists) is read as false, and refused as true:
 * it would be promised and not be there. enableFileCopy and disableCopyPaste are kept as given:
 * they speak of clients that this gateway does not have. Two properties are our own: protocols and
 * ports (docs/inventory.md); a body without them leaves them as they are. */
#ifndef CPN_CONTROL_ARM_BASTION_H
#define CPN_CONTROL_ARM_BASTION_H

#include "control/arm_types.h"

/* What is wrong with a request, in ARM's words; code NULL: nothing. */
typedef struct cpn_arm_wrong {
    int status;
    const char *code;
    char sentence[640];
} cpn_arm_wrong;

/* False, so that it can be returned. */
bool cpn_arm_wrong_set(cpn_arm_wrong *w, int status, const char *code, const char *fmt, ...)
    CPN_PRINTF(4, 5);

/* The stored body that a PUT's body means; a new reference. subnet: the id of the subnet that the
 * bastion joins. `now` is the bastion's stored body, NULL for a new one. False: *wrong says why. */
bool cpn_arm_bastion_read(json_t **out, char subnet[CPN_ID_MAX + 1], const json_t *asked,
                          const json_t *now, cpn_arm_wrong *wrong);

#endif
