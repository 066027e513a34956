/* caponier role remove: take role assignments away; their sessions are cut. */
#include "client/api.h"

static const cpn_opt opts[] = {
    { .name = "ids",
      .arg = "ID",
      .help = "the assignment's id, as role list shows it; several: separate them by commas",
      .must = true },
    { 0 },
};

static cpn_rc
remove_one(cpn_api *a, cpn_view id, cpn_err *err)
{
    cpn_buf target = { .max = 4096 };
    cpn_rc rc = cpn_buf_printf(&target, "/v1/role-assignments?id=");

    if (rc == CPN_OK)
        rc = cpn_percent_put(&target, id);
    if (rc == CPN_OK)
        rc = cpn_buf_append(&target, (cpn_view){ (const uint8_t *)"", 1 });
    if (rc != CPN_OK)
        rc = cpn_fail(err, CPN_INVALID, "--ids: too long");
    else
        rc = cpn_api_call(a, "DELETE", (const char *)target.p, NULL, NULL, err);
    cpn_buf_fini(&target);
    return rc;
}

static cpn_rc
role_remove_run(cpn_cli *cli, cpn_err *err)
{
    const char *ids = cpn_args_get(&cli->args, "ids");
    cpn_view rest = cpn_view_str(ids);
    cpn_api a = { 0 };
    cpn_view one;
    bool more = true;
    cpn_rc rc;

    rc = cpn_api_open(&a, cli, err);
    while (rc == CPN_OK && more) {
        more = cpn_view_cut(rest, ',', &one, &rest);
        rc = remove_one(&a, one, err);
    }
    cpn_api_fini(&a);
    return rc;
}

const cpn_cmd cpn_cmd_role_remove = {
    .name = "role remove",
    .brief = "Take role assignments away; sessions that relied on them are cut",
    .flags = CPN_CMD_CALLS,
    .opts = opts,
    .examples =
        (const cpn_example[]){ { "caponier role remove --ids ID", "an id from role list" }, { 0 } },
    .run = role_remove_run,
};
