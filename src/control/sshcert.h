/* control/sshcert.h -- SSH certificates: the CA of this gateway, and who gets what in one. */
#ifndef CPN_CONTROL_SSHCERT_H
#define CPN_CONTROL_SSHCERT_H

#include "control/core.h"
#include "identity/oauth.h"

/* Open the CA as the settings have it, into c->ssh_ca. Without ssh-keygen, or switched off: CPN_OK
 * and a line in the log. Blocking; start-up only. */
cpn_rc cpn_sshcert_open(cpn_control *c, cpn_err *err) CPN_MUST_CHECK;
void cpn_sshcert_close(cpn_control *c);

/* cpn_oauth.certify, with the control as owner: ask policy, sign, report. With a target the whole
 * decision of a connect request to its port 22 is asked for, and rule 5 with it. */
void cpn_sshcert_certify(void *owner, const cpn_principal *who, const cpn_ssh_ask *ask,
                         cpn_oauth_certified *certified, void *call);

#endif
