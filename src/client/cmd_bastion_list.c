/* caponier bastion list: the bastions that the caller may see. */
#include "client/out.h"
#include "client/rows.h"
#include "model/resource.h"

static const cpn_opt opts[] = {
    { .name = "resource-group",
      .letter = 'g',
      .arg = "GROUP",
      .def = "all",
      .help = "only this group's" },
    { 0 },
};

static cpn_rc
bastion_list_run(cpn_cli *cli, cpn_err *err)
{
    static const cpn_column columns[] = { { "Name", "name" },
                                          { "ResourceGroup", "resourceGroup" },
                                          { "Sku", "sku" },
                                          { "ScaleUnits", "scaleUnits" },
                                          { "NativeClient", "enableTunneling" },
                                          { "IpConnect", "enableIpConnect" },
                                          { 0 } };
    cpn_api a = { 0 };
    json_auto_t *all = NULL;
    cpn_rc rc = cpn_api_open(&a, cli, err);

    if (rc == CPN_OK)
        rc = cpn_rows(&a, CPN_KIND_BASTION, NULL, &all, err);
    if (rc == CPN_OK) {
        cpn_rows_keep(all, "resourceGroup", cpn_args_get(&cli->args, "resource-group"));
        rc = cpn_out_rows(cli, all, columns, err);
    }
    cpn_api_fini(&a);
    return rc;
}

const cpn_cmd cpn_cmd_bastion_list = {
    .name = "bastion list",
    .brief = "List the bastions that you may see",
    .flags = CPN_CMD_CALLS | CPN_CMD_PRINTS,
    .opts = opts,
    .examples =
        (const cpn_example[]){ { "caponier network bastion list -g lab", "one group's" }, { 0 } },
    .run = bastion_list_run,
};
