/* control/arm_filter.h -- $filter of a list of resources: comparisons joined by "and".
 *
 *     resourceType eq 'Microsoft.Network/bastionHosts' and name eq 'door'
 *
 * Properties: resourceType, name, location, resourceGroup, tagName, tagValue; only eq. A quote in a
 * text is doubled. */
#ifndef CPN_CONTROL_ARM_FILTER_H
#define CPN_CONTROL_ARM_FILTER_H

#include <jansson.h>

#include "base/err.h"
#include "base/view.h"

#define CPN_ARM_FILTER_MAX 8 /* comparisons */

typedef enum cpn_arm_property {
    CPN_ARM_BY_TYPE,
    CPN_ARM_BY_NAME,
    CPN_ARM_BY_LOCATION,
    CPN_ARM_BY_GROUP,
    CPN_ARM_BY_TAG,
    CPN_ARM_BY_TAG_VALUE
} cpn_arm_property;

typedef struct cpn_arm_filter {
    unsigned n;
    struct {
        cpn_arm_property by;
        char value[257];
    } at[CPN_ARM_FILTER_MAX];
} cpn_arm_filter;

/* CPN_INVALID with a sentence. An empty text filters nothing. */
cpn_rc cpn_arm_filter_read(cpn_arm_filter *out, cpn_view text, cpn_err *err) CPN_MUST_CHECK;
/* item: a resource's envelope. */
bool cpn_arm_filter_fits(const cpn_arm_filter *f, const json_t *item);

#endif
