/* caponier ssh: the user's own ssh to a machine, by name, host key checked. */
#include <stdio.h>
#include <string.h>

#include "client/sshaad.h"

static const cpn_opt opts[] = {
    CPN_TARGET_OPTS_TO("22", 'p'),
    { .name = "username",
      .letter = 'u',
      .also = 'l',
      .arg = "USER",
      .def = "what ssh itself takes",
      .help = "who signs in on the machine; USER@TARGET says the same" },
    { .name = "auth-type",
      .arg = "TYPE",
      .def = "what ssh itself tries",
      .help = "password, ssh-key or aad (your sign-in at the gateway, by a certificate): that "
              "and nothing else" },
    { .name = "ssh-key",
      .letter = 'i',
      .arg = "FILE",
      .help = "sign in with this private key; means --auth-type ssh-key" },
    { 0 },
};

/* "ada@web1" is ada on web1. */
static cpn_rc
split_user(cpn_cli *cli, char *user, size_t size, const char **who, cpn_err *err)
{
    const char *given = cli->args.args ? cli->args.arg[0] : NULL;
    const char *at = given ? strrchr(given, '@') : NULL;

    *who = cpn_args_get(&cli->args, "username");
    if (at && *who)
        return cpn_fail(err, CPN_INVALID, "say the user once: by USER@TARGET or --username");
    if (at) {
        if ((size_t)(at - given) >= size)
            return cpn_fail(err, CPN_INVALID, "the user's name is too long");
        memcpy(user, given, (size_t)(at - given));
        user[at - given] = '\0';
        *who = user;
        cli->args.arg[0] = at + 1;
    }
    return CPN_OK;
}

static cpn_rc
check_user(const char *who, cpn_err *err)
{
    if (who && (!who[0] || who[0] == '-' || strpbrk(who, "\n\r\t ")))
        return cpn_fail(err, CPN_INVALID, "'%s' cannot be a user's name", who);
    return CPN_OK;
}

static cpn_rc
add_all(cpn_sshrun *r, const char *const *text, size_t n, cpn_err *err)
{
    cpn_rc rc = CPN_OK;

    for (size_t i = 0; i < n && rc == CPN_OK; i++)
        rc = cpn_sshrun_add(r, err, "%s", text[i]);
    return rc;
}

/* What was asked for, and nothing else. */
static cpn_rc
add_auth(cpn_sshrun *r, const cpn_cli *cli, cpn_err *err)
{
    static const char *const password[] = {
        "-oPreferredAuthentications=keyboard-interactive,password", "-oPubkeyAuthentication=no"
    };
    static const char *const with_key[] = { "-oPreferredAuthentications=publickey",
                                            "-oIdentitiesOnly=yes" };
    const char *type = cpn_args_get(&cli->args, "auth-type");
    const char *key = cpn_args_get(&cli->args, "ssh-key");
    cpn_rc rc;

    if (cpn_sshaad_wanted(&cli->args) && !key)
        return CPN_OK; /* once it is known who signs in */
    if (type && strcmp(type, "password") == 0 && !key)
        return add_all(r, password, CPN_COUNT(password), err);
    if (type && strcmp(type, "ssh-key") != 0)
        return cpn_fail(err, CPN_INVALID,
                        key ? "--ssh-key goes with --auth-type ssh-key"
                            : "--auth-type: expected password, ssh-key or aad");
    if (!key)
        return type ? add_all(r, with_key, 1, err) : CPN_OK;
    rc = add_all(r, with_key, CPN_COUNT(with_key), err);
    return rc == CPN_OK ? cpn_sshrun_add(r, err, "-i%s", key) : rc;
}

static cpn_rc
run_ssh(cpn_sshrun *r, cpn_api *a, cpn_target *t, const char *who, cpn_err *err)
{
    json_auto_t *said = NULL;
    const cpn_args *args = &a->cli->args;
    char login[CPN_SSHID_LOGIN_MAX + 1] = "";
    cpn_rc rc = cpn_target_resolve(t, a, &said, err);

    if (rc == CPN_OK)
        rc = cpn_sshrun_begin(r, "ssh", a, t, err);
    if (rc == CPN_OK)
        rc = cpn_sshrun_check_keys(r, a, t, said, err);
    if (rc == CPN_OK)
        rc = add_auth(r, a->cli, err);
    if (rc == CPN_OK && cpn_sshaad_wanted(args)) {
        rc = cpn_sshaad_add(r, a, t, said, login, err);
        who = who ? who : login;
    }
    if (rc == CPN_OK && who && !who[0])
        rc = cpn_fail(err, CPN_INVALID, "the certificate names no account; say USER@TARGET");
    if (rc == CPN_OK && who)
        rc = cpn_sshrun_add(r, err, "-l%s", who);
    if (rc == CPN_OK)
        rc = cpn_sshrun_add(r, err, "%s", r->alias);
    for (unsigned i = cpn_args_has(args, "target-resource-id") ||
                              cpn_args_has(args, "target-ip-address")
                          ? 0
                          : 1;
         i < args->args && rc == CPN_OK; i++)
        rc = cpn_sshrun_add(r, err, "%s", args->arg[i]);
    return rc == CPN_OK ? cpn_sshrun_exec(r, err) : rc;
}

/* With the machine named by an option every argument is ssh's. */
static cpn_rc
read_target(cpn_target *t, cpn_cli *cli, cpn_err *err)
{
    unsigned args = cli->args.args;
    cpn_rc rc;

    if (cpn_args_has(&cli->args, "target-resource-id") ||
        cpn_args_has(&cli->args, "target-ip-address"))
        cli->args.args = 0;
    rc = cpn_target_read(t, cli, err);
    cli->args.args = args;
    return rc;
}

static cpn_rc
ssh_run(cpn_cli *cli, cpn_err *err)
{
    cpn_sshrun r = { 0 };
    cpn_api a = { 0 };
    cpn_target t;
    char user[256];
    const char *who = NULL;
    bool by_option = cpn_args_has(&cli->args, "target-resource-id") ||
                     cpn_args_has(&cli->args, "target-ip-address");
    cpn_rc rc = CPN_OK;

    if (by_option)
        who = cpn_args_get(&cli->args, "username");
    else
        rc = split_user(cli, user, sizeof(user), &who, err);
    if (rc == CPN_OK)
        rc = check_user(who, err);
    if (rc == CPN_OK) {
        cpn_sshrun typed = { 0 };

        rc = add_auth(&typed, cli, err); /* before anything connects */
        cpn_sshrun_fini(&typed);
    }
    if (rc == CPN_OK)
        rc = read_target(&t, cli, err);
    if (rc == CPN_OK)
        rc = cpn_api_open(&a, cli, err);
    if (rc == CPN_OK)
        rc = run_ssh(&r, &a, &t, who, err);
    cpn_api_fini(&a);
    cpn_sshrun_fini(&r);
    return rc;
}

const cpn_cmd cpn_cmd_ssh = {
    .name = "ssh",
    .brief = "Sign in on a private machine with your own ssh",
    .flags = CPN_CMD_CALLS | CPN_CMD_REMOTE | CPN_CMD_RUNS,
    .opts = opts,
    .args = "[USER@]TARGET [COMMAND...] [-- ARGS]",
    .others = "options of ssh go behind --, as in 'caponier ssh TARGET -- -v'",
    .names = "machines",
    .args_help = "the machine, by short name, resource id or address, and a command with its own "
                 "options; ARGS go to ssh",
    .max_args = CPN_ARGS_MAX,
    .examples =
        (const cpn_example[]){
            { "caponier ssh ada@web1", "a shell" },
            { "caponier ssh web1 --auth-type aad", "as who is signed in; no key, no password" },
            { "caponier ssh web1 ls -la", "one command; its exit status" },
            { "caponier ssh web1 -- -L 8080:localhost:80 -N", "whatever ssh can do" },
            { 0 } },
    .run = ssh_run,
};
