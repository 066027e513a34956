/* caponier login: sign in, or enrol as the first administrator. */
#include <stdio.h>
#include <unistd.h>

#include "client/login.h"
#include "client/out.h"
#include "client/printable.h"
#include "client/prompt.h"

static const cpn_opt opts[] = {
    { .name = "username",
      .letter = 'u',
      .arg = "NAME",
      .help = "sign in with a password, by this name; or a service principal's application id" },
    { .name = "use-device-code",
      .help = "show a code that a browser on any machine can approve, instead of opening one" },
    { .name = "service-principal", .help = "sign in as a service principal" },
    { .name = "enrol", .help = "become the first administrator, with the gateway's one-time code" },
    { .name = "code-file",
      .arg = "FILE",
      .def = "asked for",
      .help = "read the one-time code from the first line of FILE" },
    { .name = "tenant",
      .letter = 't',
      .arg = "ID",
      .help = "accepted for the Azure CLI's sake; a gateway has one tenant" },
    CPN_PASSWORD_OPTS,
    { 0 },
};

static cpn_rc
enrol(cpn_api *a, const char *name, const cpn_secret *password, cpn_err *err)
{
    CPN_AUTO(cpn_secret_wipe) cpn_secret code = { 0 };
    const char *file = cpn_args_get(&a->cli->args, "code-file");
    json_auto_t *ask = NULL;
    cpn_rc rc = file ? cpn_secret_from_file(file, &code, err)
                     : cpn_ask_secret("one-time code", "--code-file", &code, err);

    if (rc != CPN_OK)
        return rc;
    ask = json_pack("{s:s%, s:s, s:s%}", "code", code.b, code.n, "name", name, "password",
                    password->b, password->n);
    if (!ask)
        return cpn_fail(err, CPN_INVALID, "the code, the name or the password is not UTF-8");
    return cpn_api_call(a, "POST", "/v1/enrol", ask, NULL, err);
}

static cpn_rc
get_name(const cpn_cli *cli, char out[CPN_USER_NAME_SIZE], cpn_err *err)
{
    const char *name = cpn_args_get(&cli->args, "username");

    if (!name)
        return cpn_ask_line("name", "--username", out, CPN_USER_NAME_SIZE, err);
    if (!cpn_view_copy(cpn_view_str(name), out, CPN_USER_NAME_SIZE) || !name[0])
        return cpn_fail(err, CPN_INVALID, "--username is empty or too long");
    return CPN_OK;
}

/* Here, or where none can be opened by a code. */
static cpn_rc
by_browser(cpn_api *a, cpn_err *err)
{
    cpn_rc rc;

    if (!isatty(STDIN_FILENO))
        return cpn_fail(err, CPN_INVALID,
                        "standard input is not a terminal, so no browser is opened; use "
                        "--use-device-code, or --username with --password-stdin or "
                        "--password-file");
    rc = cpn_login_browser(a, err);
    if (rc != CPN_NOT_FOUND)
        return rc;
    cpn_say("%s; signing in with a code instead", err->msg);
    err->msg[0] = '\0';
    return cpn_login_device(a, err);
}

static cpn_rc
by_secret(cpn_api *a, bool first, bool service, cpn_err *err)
{
    CPN_AUTO(cpn_secret_wipe) cpn_secret password = { 0 };
    char name[CPN_USER_NAME_SIZE];
    cpn_rc rc = get_name(a->cli, name, err);

    if (rc == CPN_OK)
        rc = cpn_login_password(a->cli, service ? "secret" : "password", first, &password, err);
    if (rc == CPN_OK && first)
        rc = enrol(a, name, &password, err);
    return rc == CPN_OK ? cpn_login_grant(a, name, service, &password, err) : rc;
}

static cpn_rc
login(cpn_api *a, cpn_err *err)
{
    const cpn_args *args = &a->cli->args;
    bool first = cpn_args_has(args, "enrol");
    bool service = cpn_args_has(args, "service-principal");
    bool secret = first || service || cpn_args_has(args, "username") ||
                  cpn_args_has(args, "password-stdin") || cpn_args_has(args, "password-file");

    if (first && service)
        return cpn_fail(err, CPN_INVALID, "--enrol and --service-principal exclude each other");
    if (secret && cpn_args_has(args, "use-device-code"))
        return cpn_fail(err, CPN_INVALID,
                        "--use-device-code is for people without a password here; it excludes "
                        "--username, --password-stdin, --password-file, --service-principal and "
                        "--enrol");
    cpn_login_begin(a);
    if (secret)
        return by_secret(a, first, service, err);
    return cpn_args_has(args, "use-device-code") ? cpn_login_device(a, err) : by_browser(a, err);
}

static cpn_rc
login_run(cpn_cli *cli, cpn_err *err)
{
    static const cpn_column columns[] = {
        { "Gateway", "gateway" }, { "User", "user" }, { "Subscription", "subscription" }, { 0 }
    };
    cpn_api a = { 0 };
    json_auto_t *done = NULL;
    cpn_rc rc = cpn_api_init(&a, cli, err);

    if (rc == CPN_OK)
        rc = login(&a, err);
    if (rc == CPN_OK) {
        done = json_pack("{s:s, s:s, s:s, s:s?}", "gateway", a.origin, "user", a.ctx.user,
                         "objectId", a.ctx.object_id, "subscription", a.ctx.subscription);
        rc = cpn_out_object(cli, done, columns, err);
    }
    cpn_api_fini(&a);
    return rc;
}

const cpn_cmd cpn_cmd_login = {
    .name = "login",
    .brief = "Sign in to a gateway",
    .flags = CPN_CMD_CALLS | CPN_CMD_PRINTS,
    .opts = opts,
    .examples =
        (const cpn_example[]){
            { "caponier login --gateway https://bastion.example.test",
              "opens a browser, or shows a code where there is none" },
            { "caponier login --use-device-code", "approve the code in a browser anywhere" },
            { "caponier login --username ada@example.test", "asks for the password" },
            { "caponier login --enrol", "the first administrator: asks for the one-time code too" },
            { "caponier login --service-principal --username APPID --password-file secret",
              "from a script" },
            { 0 } },
    .run = login_run,
};
