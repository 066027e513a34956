/* caponier account renew: get a new access token when the stored one is about to end. */
#include "client/api.h"

static cpn_rc
account_renew_run(cpn_cli *cli, cpn_err *err)
{
    cpn_api a = { 0 };
    cpn_rc rc = cpn_api_open(&a, cli, err);

    cpn_api_fini(&a);
    return rc;
}

const cpn_cmd cpn_cmd_account_renew = {
    .name = "account renew",
    .brief = "Renew the sign-in when it is about to end",
    .flags = CPN_CMD_CALLS,
    .examples =
        (const cpn_example[]){ { "caponier account renew", "exit status 5 says that it has ended" },
                               { 0 } },
    .run = account_renew_run,
};
