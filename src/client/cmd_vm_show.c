/* caponier vm show: one machine. */
#include "client/out.h"
#include "client/vm.h"
#include "model/resource.h"

static const cpn_opt opts[] = {
    { .name = "name",
      .letter = 'n',
      .arg = "MACHINE",
      .help = "the machine, as the Azure CLI names it" },
    { .name = "resource-group",
      .letter = 'g',
      .arg = "GROUP",
      .def = "any",
      .help = "the machine's group" },
    { 0 },
};

static cpn_rc
show(cpn_api *a, cpn_err *err)
{
    static const cpn_column columns[] = {
        { "Name", "name" },
        { "ResourceGroup", "resourceGroup" },
        { "Address", "privateIPAddress" },
        { "Network", "virtualNetwork" },
        { "Id", "id" },
        { "Interfaces", "networkInterfaces" },
        { "HostKeys", "sshHostKeys" },
        { 0 },
    };
    json_auto_t *row = NULL;
    const char *name;
    cpn_rc rc = cpn_args_name(&a->cli->args, &name, err);

    if (rc == CPN_OK)
        rc = cpn_row_find(a, CPN_KIND_MACHINE, name, cpn_args_get(&a->cli->args, "resource-group"),
                          &row, err);
    if (rc == CPN_OK)
        rc = cpn_vm_add_address(a, row, err);
    return rc == CPN_OK ? cpn_out_object(a->cli, row, columns, err) : rc;
}

static cpn_rc
vm_show_run(cpn_cli *cli, cpn_err *err)
{
    return cpn_api_with(cli, show, err);
}

const cpn_cmd cpn_cmd_vm_show = {
    .name = "vm show",
    .brief = "Show one machine",
    .flags = CPN_CMD_CALLS | CPN_CMD_PRINTS,
    .opts = opts,
    .args = "[NAME]",
    .names = "machines",
    .args_help = "the machine, by short name or resource id",
    .max_args = 1,
    .examples = (const cpn_example[]){ { "caponier vm show web1", "its address, network and keys" },
                                       { 0 } },
    .run = vm_show_run,
};
