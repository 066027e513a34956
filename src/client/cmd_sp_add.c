/* caponier sp add: a new service principal; its secret is shown once. */
#include "client/api.h"
#include "client/out.h"

static cpn_rc
sp_add_run(cpn_cli *cli, cpn_err *err)
{
    static const cpn_column columns[] = {
        { "AppId", "appId" }, { "Secret", "secret" }, { "ObjectId", "objectId" }, { 0 }
    };
    json_auto_t *ask = json_pack("{s:s}", "name", cli->args.arg[0]);
    json_auto_t *answer = NULL;
    cpn_api a = { 0 };
    cpn_rc rc;

    if (!ask)
        return cpn_fail(err, CPN_INVALID, "the name is not UTF-8");
    rc = cpn_api_open(&a, cli, err);
    if (rc == CPN_OK)
        rc = cpn_api_call(&a, "POST", "/v1/service-principals", ask, &answer, err);
    if (rc == CPN_OK)
        rc = cpn_out_object(cli, answer, columns, err);
    cpn_api_fini(&a);
    return rc;
}

const cpn_cmd cpn_cmd_sp_add = {
    .name = "sp add",
    .brief = "Add a service principal; its secret is shown this once",
    .flags = CPN_CMD_CALLS | CPN_CMD_PRINTS,
    .args = "NAME",
    .args_help = "its name",
    .min_args = 1,
    .max_args = 1,
    .examples =
        (const cpn_example[]){ { "caponier sp add ci -o json", "application id and secret" },
                               { 0 } },
    .run = sp_add_run,
};
