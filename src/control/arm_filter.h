/* control/arm_filter.h -- which resources a $filter leaves in a list of all of them. Pure. */
#ifndef CPN_CONTROL_ARM_FILTER_H
#define CPN_CONTROL_ARM_FILTER_H

#include <jansson.h>

#include "codec/odata.h"

/* The filter's clauses compare resourceType, name, location, resourceGroup, tagName or tagValue
 * with a text, and nothing else. CPN_INVALID with a sentence. */
cpn_rc cpn_arm_resources_filter(cpn_odata *out, cpn_view text, cpn_err *err) CPN_MUST_CHECK;
/* tagName and tagValue only, as for resource groups. */
cpn_rc cpn_arm_tags_filter(cpn_odata *out, cpn_view text, cpn_err *err) CPN_MUST_CHECK;
/* item: a resource's envelope (arm_types.h). Texts compare without case,
 * locations without spaces besides, values of tags as they are; a name and a value are
 * those of one tag. */
bool cpn_arm_resource_fits(const cpn_odata *filter, const json_t *item);

#endif
