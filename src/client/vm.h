/* client/vm.h -- machines as rows with their private addresses. */
#ifndef CPN_CLIENT_VM_H
#define CPN_CLIENT_VM_H

#include "client/out.h"
#include "client/rows.h"

extern const cpn_column cpn_vm_columns[];

/* Add "privateIPAddress" and "virtualNetwork" to each row, from the first interface that the caller
 * may see. */
cpn_rc cpn_vm_add_addresses(cpn_api *a, json_t *rows, cpn_err *err) CPN_MUST_CHECK;
/* The same for one row, without reading every interface. */
cpn_rc cpn_vm_add_address(cpn_api *a, json_t *row, cpn_err *err) CPN_MUST_CHECK;

#endif
