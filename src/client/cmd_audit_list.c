/* caponier audit list: the record of who reached what. */
#include <stdio.h>

#include "client/api.h"
#include "client/out.h"

static const cpn_opt opts[] = {
    { .name = "after", .arg = "SEQ", .def = "0", .help = "records behind this number" },
    { .name = "limit", .arg = "N", .def = "100", .help = "at most so many, 1 to 1000" },
    { .name = "user", .arg = "NAME", .def = "all", .help = "only this user's" },
    { 0 },
};

static cpn_rc
list(cpn_api *a, cpn_err *err)
{
    static const cpn_column columns[] = { { "Seq", "seq" },
                                          { "Time", "time" },
                                          { "Operation", "operationName" },
                                          { "User", "userEmail" },
                                          { "From", "clientIpAddress" },
                                          { "Target", "targetResourceId" },
                                          { "Address", "targetVMIPAddress" },
                                          { "Message", "message" },
                                          { 0 } };
    const char *user = cpn_args_get(&a->cli->args, "user");
    cpn_buf target = { .max = 2048 };
    json_auto_t *answer = NULL;
    unsigned after = 0, limit = 0;
    cpn_rc rc = cpn_args_number(&a->cli->args, "after", 0, UINT32_MAX, &after, err);

    if (rc == CPN_OK)
        rc = cpn_args_number(&a->cli->args, "limit", 1, 1000, &limit, err);
    if (rc != CPN_OK)
        return rc;
    rc = cpn_buf_printf(&target, "/v1/audit?after=%u&limit=%u%s", after, limit,
                        user ? "&user=" : "");
    if (rc == CPN_OK && user)
        rc = cpn_percent_put(&target, cpn_view_str(user));
    if (rc == CPN_OK)
        rc = cpn_buf_append(&target, (cpn_view){ (const uint8_t *)"", 1 });
    if (rc != CPN_OK)
        rc = cpn_fail(err, CPN_INVALID, "--user: too long");
    else
        rc = cpn_api_call(a, "GET", (const char *)target.p, NULL, &answer, err);
    cpn_buf_fini(&target);
    return rc == CPN_OK ? cpn_out_rows(a->cli, answer, columns, err) : rc;
}

static cpn_rc
audit_list_run(cpn_cli *cli, cpn_err *err)
{
    return cpn_api_with(cli, list, err);
}

const cpn_cmd cpn_cmd_audit_list = {
    .name = "audit list",
    .brief = "List records of the audit",
    .flags = CPN_CMD_CALLS | CPN_CMD_PRINTS,
    .opts = opts,
    .examples = (const cpn_example[]){ { "caponier audit list --limit 20", "the first twenty" },
                                       { "caponier audit list --after 20 -o json",
                                         "what follows them; `next` is where to go on" },
                                       { 0 } },
    .run = audit_list_run,
};
