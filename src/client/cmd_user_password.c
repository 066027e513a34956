/* caponier user password: change a password, one's own or (as Owner) somebody's. */
#include "client/login.h"

#include "client/printable.h"
#include "client/prompt.h"

static const cpn_opt opts[] = {
    { .name = "old-password-file",
      .arg = "FILE",
      .def = "asked for",
      .help = "read your present password from the first line of FILE" },
    CPN_PASSWORD_OPTS,
    { 0 },
};

/* One's own password is changed by who knows the present one. */
static cpn_rc
ask_old(const cpn_cli *cli, cpn_secret *old, cpn_err *err)
{
    const char *file = cpn_args_get(&cli->args, "old-password-file");

    if (file)
        return cpn_secret_from_file(file, old, err);
    return cpn_ask_secret("present password", "--old-password-file", old, err);
}

static cpn_rc
change(cpn_api *a, cpn_err *err)
{
    CPN_AUTO(cpn_secret_wipe) cpn_secret old = { 0 };
    CPN_AUTO(cpn_secret_wipe) cpn_secret fresh = { 0 };
    const char *who = a->cli->args.args > 0 ? a->cli->args.arg[0] : NULL;
    json_auto_t *ask = NULL;
    cpn_rc rc = who ? CPN_OK : ask_old(a->cli, &old, err);

    if (rc == CPN_OK)
        rc = cpn_login_password(a->cli, "new password", true, &fresh, err);
    if (rc != CPN_OK)
        return rc;
    ask = json_pack("{s:s%}", "password", fresh.b, fresh.n);
    if (ask && who)
        json_object_set_new(ask, "name", json_string(who));
    else if (ask)
        json_object_set_new(ask, "old", json_stringn((const char *)old.b, old.n));
    if (!ask)
        return cpn_fail(err, CPN_INVALID, "the password is not UTF-8");
    rc = cpn_api_call(a, "POST", "/v1/users/password", ask, NULL, err);
    if (rc == CPN_OK && !who)
        cpn_say("a new password ends every sign-in, this one too: run 'caponier login'");
    return rc;
}

static cpn_rc
user_password_run(cpn_cli *cli, cpn_err *err)
{
    return cpn_api_with(cli, change, err);
}

const cpn_cmd cpn_cmd_user_password = {
    .name = "user password",
    .brief = "Change your password, or as Owner somebody else's",
    .flags = CPN_CMD_CALLS,
    .opts = opts,
    .args = "[NAME]",
    .args_help = "whose; your own when left out",
    .max_args = 1,
    .examples =
        (const cpn_example[]){ { "caponier user password", "asks for the present and the new one" },
                               { 0 } },
    .run = user_password_run,
};
