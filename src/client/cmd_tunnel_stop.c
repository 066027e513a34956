/* caponier tunnel stop: end running tunnels of this user. */
#include <stdio.h>

#include "client/out.h"
#include "client/running.h"

static const cpn_opt opts[] = {
    { .name = "all", .help = "every tunnel of yours, instead of ID" },
    { 0 },
};

static void
append(json_t *all, json_t *some)
{
    if (some)
        json_array_extend(all, some);
    json_decref(some);
}

/* Each one that is there, whatever becomes of the others; the first failure is the result. */
static cpn_rc
stop_each(const cpn_args *args, json_t *ended, cpn_err *err)
{
    cpn_err later = { 0 };
    cpn_rc first = CPN_OK;

    for (unsigned i = 0; i < args->args; i++) {
        json_t *some = NULL;
        cpn_rc rc = cpn_running_stop(args->arg[i], &some, first == CPN_OK ? err : &later);

        append(ended, some);
        first = first == CPN_OK ? rc : first;
    }
    return first;
}

static cpn_rc
tunnel_stop_run(cpn_cli *cli, cpn_err *err)
{
    static const cpn_column columns[] = {
        { "Id", "id" },
        { "Targets", "targets" },
        { "Bytes up", "bytesUp" },
        { "Bytes down", "bytesDown" },
        { 0 },
    };
    json_auto_t *ended = json_array();
    json_t *some = NULL;
    cpn_rc rc, printed = CPN_OK;

    if (cpn_args_has(&cli->args, "all") == (cli->args.args > 0))
        return cpn_fail(err, CPN_INVALID, "give the ids of tunnels, or --all");
    if (cli->args.args > 0) {
        rc = stop_each(&cli->args, ended, err);
    } else {
        rc = cpn_running_stop(NULL, &some, err);
        append(ended, some);
    }
    if (cli->format != CPN_FORMAT_TABLE || json_array_size(ended) > 0)
        printed = cpn_out_rows(cli, ended, columns, rc == CPN_OK ? err : NULL);
    return rc == CPN_OK ? printed : rc;
}

const cpn_cmd cpn_cmd_tunnel_stop = {
    .name = "tunnel stop",
    .brief = "End running tunnels of yours",
    .flags = CPN_CMD_PRINTS,
    .opts = opts,
    .args = "[ID...]",
    .args_help = "the tunnels, as 'tunnel list' shows them",
    .names = "tunnels",
    .max_args = CPN_ARGS_MAX,
    .examples = (const cpn_example[]){ { "caponier tunnel stop 3f9a2c",
                                         "its sessions are ended on the gateway first" },
                                       { "caponier tunnel stop --all", "every one" },
                                       { 0 } },
    .run = tunnel_stop_run,
};
