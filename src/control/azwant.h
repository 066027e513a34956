/* control/azwant.h -- who asks through the Azure door, and for what. */
#ifndef CPN_CONTROL_AZWANT_H
#define CPN_CONTROL_AZWANT_H

#include "control/call.h"
#include "control/sessions.h"

/* A machine's id, or .../Microsoft.Network/bh-hostConnect/ADDRESS with host (empty: not given) the
 * same address. The bastion is left open; hint: the id taken apart, borrowed from it; hinted: its
 * group is the bastion's, as it is for addresses. CPN_INVALID with a sentence. */
cpn_rc cpn_az_want(cpn_want *want, cpn_view id, cpn_view host, uint16_t port, cpn_resource_id *hint,
                   bool *hinted, cpn_err *err) CPN_MUST_CHECK;
/* The token that stands in a body is this door's bearer. False: answered. */
bool cpn_az_identify(cpn_call *call, cpn_view token) CPN_MUST_CHECK;

#endif
