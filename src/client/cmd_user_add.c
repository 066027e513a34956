/* caponier user add: a new local user. */
#include "client/login.h"
#include "client/out.h"

static const cpn_opt opts[] = {
    { .name = "display-name",
      .arg = "NAME",
      .def = "the sign-in name",
      .help = "the name that people see" },
    CPN_PASSWORD_OPTS,
    { 0 },
};

static cpn_rc
add(cpn_api *a, cpn_err *err)
{
    static const cpn_column columns[] = { { "Id", "id" }, { "Name", "body.name" }, { 0 } };
    CPN_AUTO(cpn_secret_wipe) cpn_secret password = { 0 };
    const char *name = a->cli->args.arg[0];
    const char *shown = cpn_args_get(&a->cli->args, "display-name");
    json_auto_t *ask = NULL;
    json_auto_t *answer = NULL;
    cpn_rc rc = cpn_login_password(a->cli, "password of the new user", true, &password, err);

    if (rc != CPN_OK)
        return rc;
    ask = json_pack("{s:s, s:s, s:s%}", "name", name, "displayName", shown ? shown : name,
                    "password", password.b, password.n);
    if (!ask)
        return cpn_fail(err, CPN_INVALID, "the name or the password is not UTF-8");
    rc = cpn_api_call(a, "POST", "/v1/users", ask, &answer, err);
    return rc == CPN_OK ? cpn_out_object(a->cli, answer, columns, err) : rc;
}

static cpn_rc
user_add_run(cpn_cli *cli, cpn_err *err)
{
    return cpn_api_with(cli, add, err);
}

const cpn_cmd cpn_cmd_user_add = {
    .name = "user add",
    .brief = "Add a local user",
    .flags = CPN_CMD_CALLS | CPN_CMD_PRINTS,
    .opts = opts,
    .args = "NAME",
    .args_help = "the sign-in name",
    .min_args = 1,
    .max_args = 1,
    .examples =
        (const cpn_example[]){
            { "caponier user add ada@example.test", "asks for the password twice" }, { 0 } },
    .run = user_add_run,
};
