/* client/gateway.h -- which gateway: --gateway, then CAPONIER_GATEWAY, then the sign-in that was
 * made last, then /etc/caponier/client.yaml. */
#ifndef CPN_CLIENT_GATEWAY_H
#define CPN_CLIENT_GATEWAY_H

#include "client/cli.h"
#include "codec/url.h"

#define CPN_CLIENT_YAML "/etc/caponier/client.yaml"

typedef struct cpn_gateway_file {
    char gateway[CPN_URL_ORIGIN_SIZE]; /* empty: not named */
    char ca[4096];                     /* empty: not named */
} cpn_gateway_file;

/* Read client.yaml: `gateway:` and `ca:`, nothing else. A file that is not there is empty.
 * CPN_INVALID: it cannot be read. CPN_E_CONF: FILE:LINE:COL: what. */
cpn_rc cpn_gateway_file_read(const char *path, cpn_gateway_file *out, cpn_err *err) CPN_MUST_CHECK;

/* flag, stored: NULL when there is none. CPN_INVALID: nobody names one, or it is not an https URL
 * of a host. */
cpn_rc cpn_gateway_choose(const char *flag, const char *stored, const cpn_gateway_file *file,
                          cpn_url *out, cpn_err *err) CPN_MUST_CHECK;

#endif
