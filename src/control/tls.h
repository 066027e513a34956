/* control/tls.h -- the certificate that fronts present.
 *
 * With tls_cert and tls_key: those files, whole and matching, the key readable by nobody else.
 * Without: a CA of our own in state_dir (ca.pem 0644, ca-key.pem 0600, ECDSA P-256, ten years),
 * and a leaf it signs (tls.pem, tls-key.pem) for the host of public_url, localhost, 127.0.0.1 and
 * ::1, 90 days, made anew at the start, a reload, hourly or after a jump of the wall clock when
 * fewer than 30 are left or it is not valid yet. Clients trust STATE/ca.pem. */
#ifndef CPN_CONTROL_TLS_H
#define CPN_CONTROL_TLS_H

#include "config/config.h"

#define CPN_TLS_LEAF_DAYS 90
#define CPN_TLS_RENEW_DAYS 30

/* The chain and the key as PEM; the caller frees both, the key after wiping it. Blocking.
 * CPN_E_CONF or CPN_E_SYS with the file's name. */
cpn_rc cpn_tls_identity(const cpn_config *set, char **cert_pem, char **key_pem,
                        cpn_err *err) CPN_MUST_CHECK;

#endif
