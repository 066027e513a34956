/* caponier tunnel list: the running tunnels of this user. */
#include "client/out.h"
#include "client/running.h"

static cpn_rc
tunnel_list_run(cpn_cli *cli, cpn_err *err)
{
    static const cpn_column columns[] = {
        { "Id", "id" },
        { "Pid", "pid" },
        { "Targets", "targets" },
        { "Listening", "listening" },
        { "Started", "started" },
        { "Sessions", "sessions" },
        { "Bytes up", "bytesUp" },
        { "Bytes down", "bytesDown" },
        { 0 },
    };
    json_auto_t *found = NULL;
    cpn_rc rc = cpn_running_list(&found, err);

    return rc == CPN_OK ? cpn_out_rows(cli, found, columns, err) : rc;
}

const cpn_cmd cpn_cmd_tunnel_list = {
    .name = "tunnel list",
    .brief = "List your running tunnels",
    .flags = CPN_CMD_PRINTS,
    .examples =
        (const cpn_example[]){ { "caponier tunnel list", "id, process, where it leads, bytes" },
                               { "caponier tunnel list -o tsv | cut -f 1", "the ids" },
                               { 0 } },
    .run = tunnel_list_run,
};
