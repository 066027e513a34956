/* caponier vm list: the machines that the caller may see, with their addresses. */
#include "client/out.h"
#include "client/vm.h"
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
list(cpn_api *a, cpn_err *err)
{
    json_auto_t *all = NULL;
    cpn_rc rc = cpn_rows(a, CPN_KIND_MACHINE, NULL, &all, err);

    if (rc == CPN_OK)
        rc = cpn_vm_add_addresses(a, all, err);
    if (rc != CPN_OK)
        return rc;
    cpn_rows_keep(all, "resourceGroup", cpn_args_get(&a->cli->args, "resource-group"));
    return cpn_out_rows(a->cli, all, cpn_vm_columns, err);
}

static cpn_rc
vm_list_run(cpn_cli *cli, cpn_err *err)
{
    return cpn_api_with(cli, list, err);
}

const cpn_cmd cpn_cmd_vm_list = {
    .name = "vm list",
    .brief = "List the machines that you may see",
    .flags = CPN_CMD_CALLS | CPN_CMD_PRINTS,
    .opts = opts,
    .examples =
        (const cpn_example[]){ { "caponier vm list -g lab", "the machines of one group" }, { 0 } },
    .run = vm_list_run,
};
