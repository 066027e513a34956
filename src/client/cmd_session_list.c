/* caponier session list: who is connected to what, now. */
#include "client/api.h"
#include "client/out.h"
#include "client/rows.h"

static const cpn_opt opts[] = {
    { .name = "user", .arg = "NAME", .def = "all", .help = "only this user's" },
    { 0 },
};

static cpn_rc
session_list_run(cpn_cli *cli, cpn_err *err)
{
    static const cpn_column columns[] = { { "Session", "sessionId" },
                                          { "Start", "startTime" },
                                          { "User", "userName" },
                                          { "Machine", "targetHostName" },
                                          { "Address", "targetIpAddress" },
                                          { "Port", "port" },
                                          { "Protocol", "protocol" },
                                          { "From", "clientAddress" },
                                          { "Up", "bytesUp" },
                                          { "Down", "bytesDown" },
                                          { "State", "state" },
                                          { "Binding", "binding" },
                                          { 0 } };
    cpn_api a = { 0 };
    json_auto_t *all = NULL;
    cpn_rc rc = cpn_api_open(&a, cli, err);

    if (rc == CPN_OK)
        rc = cpn_api_list(&a, "/v1/sessions", &all, err);
    if (rc == CPN_OK) {
        cpn_rows_keep(json_object_get(all, "value"), "userName", cpn_args_get(&cli->args, "user"));
        rc = cpn_out_rows(cli, all, columns, err);
    }
    cpn_api_fini(&a);
    return rc;
}

const cpn_cmd cpn_cmd_session_list = {
    .name = "session list",
    .brief = "List live sessions: your own, and those of bastions that you may read",
    .flags = CPN_CMD_CALLS | CPN_CMD_PRINTS,
    .opts = opts,
    .examples = (const cpn_example[]){ { "caponier session list --user ada@example.test -o tsv",
                                         "one user's, for a script" },
                                       { 0 } },
    .run = session_list_run,
};
