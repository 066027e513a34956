/* caponier account clear: end and forget every stored sign-in. */
#include "client/api.h"
#include "client/printable.h"

/* One context: at its own gateway, with its own trust. One that somebody has ended meanwhile is no
 * failure. */
static cpn_rc
clear_one(cpn_cli *cli, const char *dir, const json_t *row, cpn_err *err)
{
    cpn_api a = { 0 };
    cpn_rc rc = cpn_api_stored(&a, cli, json_string_value(json_object_get(row, "gateway")),
                               json_string_value(json_object_get(row, "user")), err);

    if (rc == CPN_OK)
        rc = cpn_api_sign_out(&a, err);
    else /* an address or a CA file that is good no more must not keep it here */
        rc = cpn_contexts_forget(dir, json_string_value(json_object_get(row, "gateway")),
                                 json_string_value(json_object_get(row, "user")), err);
    cpn_api_fini(&a);
    return rc == CPN_NOT_FOUND || rc == CPN_UNAUTHENTICATED ? CPN_OK : rc;
}

static cpn_rc
account_clear_run(cpn_cli *cli, cpn_err *err)
{
    char dir[4096];
    json_auto_t *rows = NULL;
    const json_t *row;
    size_t i;
    cpn_rc rc;

    if (cpn_args_has(&cli->args, "gateway") || cpn_args_has(&cli->args, "account"))
        return cpn_fail(err, CPN_INVALID,
                        "this ends all sign-ins; 'caponier logout' takes --gateway and --account");
    rc = cpn_contexts_dir(dir, sizeof(dir), err);

    if (rc == CPN_OK)
        rc = cpn_contexts_list(dir, &rows, err);
    json_array_foreach(rows, i, row)
    {
        cpn_err why = { 0 };
        cpn_rc one = clear_one(cli, dir, row, &why);

        if (rc != CPN_OK || one == CPN_OK)
            continue;
        rc = one; /* the first is said; the others are ended all the same */
        *err = why;
    }
    return rc;
}

const cpn_cmd cpn_cmd_account_clear = {
    .name = "account clear",
    .brief = "End every stored sign-in and forget it",
    .flags = CPN_CMD_CALLS,
    .examples =
        (const cpn_example[]){ { "caponier account clear", "before a machine is handed over" },
                               { 0 } },
    .run = account_clear_run,
};
