/* policy/sshname.h -- the account name that one principal has to itself. Internal to src/policy. */
#ifndef CPN_POLICY_SSHNAME_H
#define CPN_POLICY_SSHNAME_H

#include "policy/snapshot_impl.h"
#include "policy/sshlogin.h"

/* cpn_ssh_login_name, refused when it is reserved or another principal's as well. CPN_DENIED. */
cpn_rc cpn_ssh_login_take(const cpn_snapshot *s, const cpn_principal *who, const char *reserved,
                          char out[CPN_SSH_LOGIN_SIZE], cpn_err *err) CPN_MUST_CHECK;

#endif
