/* caponier user list: users, groups and service principals. */
#include "client/out.h"
#include "client/rows.h"
#include "model/resource.h"

static cpn_rc
user_list_run(cpn_cli *cli, cpn_err *err)
{
    static const cpn_column columns[] = {
        { "Name", "name" },       { "Type", "type" },   { "DisplayName", "displayName" },
        { "Enabled", "enabled" }, { "ObjectId", "id" }, { 0 }
    };
    cpn_api a = { 0 };
    json_auto_t *all = NULL;
    cpn_rc rc = cpn_api_open(&a, cli, err);

    if (rc == CPN_OK)
        rc = cpn_rows(&a, CPN_KIND_PRINCIPAL, NULL, &all, err);
    if (rc == CPN_OK)
        rc = cpn_out_rows(cli, all, columns, err);
    cpn_api_fini(&a);
    return rc;
}

const cpn_cmd cpn_cmd_user_list = {
    .name = "user list",
    .brief = "List users, groups and service principals",
    .flags = CPN_CMD_CALLS | CPN_CMD_PRINTS,
    .examples = (const cpn_example[]){ { "caponier user list", "name, kind, object id" }, { 0 } },
    .run = user_list_run,
};
