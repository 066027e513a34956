/* client/sshaad.h -- identity sign-in for a run of ssh or scp: --auth-type aad. */
#ifndef CPN_CLIENT_SSHAAD_H
#define CPN_CLIENT_SSHAAD_H

#include "client/sshid.h"
#include "client/sshrun.h"

/* Was it asked for? The Azure CLI writes it in capitals. */
bool cpn_sshaad_wanted(const cpn_args *args);
/* The id of the machine that a certificate would be for, borrowed from t or said (as in
 * cpn_target_resolve). CPN_INVALID: the target is no machine of the gateway's. */
cpn_rc cpn_sshaad_machine(const cpn_target *t, const json_t *said, const char **machine,
                          cpn_err *err) CPN_MUST_CHECK;
/* Get a certificate for the machine (said as in cpn_target_resolve), start the agent that holds it
 * and point the run at it alone. login is the account that the certificate is for, for a run that
 * names none; CPN_INVALID: none is named, and the certificate has none either; the target is no
 * machine of the gateway's. CPN_DENIED: the role is missing. */
cpn_rc cpn_sshaad_add(cpn_sshrun *r, cpn_api *a, const cpn_target *t, const json_t *said,
                      char login[CPN_SSHID_LOGIN_MAX + 1], cpn_err *err) CPN_MUST_CHECK;

#endif
