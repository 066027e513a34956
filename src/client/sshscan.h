/* client/sshscan.h -- the host key that a machine shows, read through the gateway by ssh itself. */
#ifndef CPN_CLIENT_SSHSCAN_H
#define CPN_CLIENT_SSHSCAN_H

#include "client/target.h"

/* The key that the machine shows now, "TYPE BASE64" into out, without signing in; the target is
 * resolved. CPN_UNAVAILABLE: it shows none; stderr may have been told why. */
cpn_rc cpn_sshscan(const cpn_api *a, const cpn_target *t, char *out, size_t size,
                   cpn_err *err) CPN_MUST_CHECK;
/* CPN_DENIED, since the gateway has no key of this machine: err names the one that it shows, and
 * cli->next is the command that approves it. As above when it shows none. */
cpn_rc cpn_sshscan_refuse(const cpn_api *a, const cpn_target *t, cpn_err *err) CPN_MUST_CHECK;

#endif
