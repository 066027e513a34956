/* GET /v1/ssh-ca: the public key that machines trust, as their TrustedUserCAKeys takes it. */
#include <stdio.h>

#include "control/reply.h"
#include "identity/sshca.h"

static void
ssh_ca_show(cpn_call *call)
{
    char line[CPN_SSH_CA_LINE_MAX + 2];

    if (!call->c->ssh_ca) {
        cpn_reply_rc(call, CPN_NOT_FOUND, "this gateway signs no SSH certificates", NULL);
        return;
    }
    snprintf(line, sizeof(line), "%s\n", cpn_ssh_ca_public(call->c->ssh_ca));
    cpn_reply_text(call, "text/plain; charset=utf-8", line);
}

const cpn_route cpn_routes_ssh_ca[] = {
    { "GET", "/v1/ssh-ca", CPN_SCOPE_ANYONE, NULL, CPN_BODY_NONE, 0, NULL, CPN_ERRORS_API,
      ssh_ca_show },
    { 0 },
};
