/* caponier bastion show: one bastion. */
#include "client/out.h"
#include "client/rows.h"
#include "model/resource.h"

static const cpn_opt opts[] = {
    { .name = "name",
      .letter = 'n',
      .arg = "BASTION",
      .help = "the bastion, as the Azure CLI names it" },
    { .name = "resource-group",
      .letter = 'g',
      .arg = "GROUP",
      .def = "any",
      .help = "the bastion's group" },
    { .name = "subscription",
      .arg = "ID",
      .help = "accepted for the Azure CLI's sake; ids are unique" },
    { 0 },
};

static const cpn_column columns[] = {
    { "Name", "name" },
    { "ResourceGroup", "resourceGroup" },
    { "Network", "virtualNetwork" },
    { "Sku", "sku" },
    { "ScaleUnits", "scaleUnits" },
    { "NativeClient", "enableTunneling" },
    { "IpConnect", "enableIpConnect" },
    { "Protocols", "protocols" },
    { "Ports", "ports" },
    { "Id", "id" },
    { 0 },
};

static cpn_rc
bastion_show_run(cpn_cli *cli, cpn_err *err)
{
    cpn_api a = { 0 };
    json_auto_t *row = NULL;
    const char *name;
    cpn_rc rc = cpn_args_name(&cli->args, &name, err);

    if (rc == CPN_OK)
        rc = cpn_api_open(&a, cli, err);
    if (rc == CPN_OK)
        rc = cpn_row_find(&a, CPN_KIND_BASTION, name, cpn_args_get(&cli->args, "resource-group"),
                          &row, err);
    if (rc == CPN_OK)
        rc = cpn_out_object(cli, row, columns, err);
    cpn_api_fini(&a);
    return rc;
}

const cpn_cmd cpn_cmd_bastion_show = {
    .name = "bastion show",
    .brief = "Show one bastion",
    .flags = CPN_CMD_CALLS | CPN_CMD_PRINTS,
    .opts = opts,
    .args = "[NAME]",
    .names = "bastions",
    .args_help = "the bastion, by short name or resource id",
    .max_args = 1,
    .examples =
        (const cpn_example[]){
            { "caponier network bastion show --name door --resource-group lab", "its settings" },
            { 0 } },
    .run = bastion_show_run,
};
