/* caponier scp: copies files to or from a private machine with the user's own scp. */
#include <stdio.h>
#include <string.h>

#include "client/sshaad.h"

static const cpn_opt opts[] = {
    CPN_TARGET_OPTS,
    { .name = "recursive", .letter = 'r', .help = "folders with all that is in them" },
    { .name = "preserve", .letter = 'p', .help = "keep times and modes" },
    { .name = "auth-type",
      .arg = "TYPE",
      .def = "what ssh itself tries",
      .help = "aad: as who is signed in at the gateway, by a certificate" },
    { .name = "ssh-key", .letter = 'i', .arg = "FILE", .help = "the private key to sign in with" },
    { 0 },
};

/* "[USER@]NAME:PATH". *user is empty when not said; NULL *path: a local file, as scp sees it. */
static void
split(const char *arg, cpn_view *user, cpn_view *name, const char **path)
{
    const char *colon = strchr(arg, ':'), *slash = strchr(arg, '/'), *at;

    *user = *name = (cpn_view){ 0 };
    *path = NULL;
    if (!colon || colon == arg || (slash && slash < colon))
        return;
    at = memrchr(arg, '@', (size_t)(colon - arg));
    if (at)
        *user = (cpn_view){ (const uint8_t *)arg, (size_t)(at - arg) + 1 };
    *name =
        (cpn_view){ (const uint8_t *)(at ? at + 1 : arg), (size_t)(colon - (at ? at + 1 : arg)) };
    *path = colon + 1;
}

/* The one machine that the arguments name. */
static cpn_rc
find_machine(const cpn_cli *cli, char *out, size_t size, cpn_err *err)
{
    cpn_view user, name;
    const char *path;

    out[0] = '\0';
    for (unsigned i = 0; i < cli->args.args; i++) {
        split(cli->args.arg[i], &user, &name, &path);
        if (!path)
            continue;
        if (out[0] && !cpn_view_is(name, out))
            return cpn_fail(err, CPN_INVALID, "one machine at a time: %s or %.*s", out,
                            CPN_VIEW_ARG(name));
        if (!cpn_view_copy(name, out, size) || !out[0])
            return cpn_fail(err, CPN_INVALID, "'%s' names no machine", cli->args.arg[i]);
    }
    if (!out[0])
        return cpn_fail(err, CPN_INVALID, "name the machine in one of them: NAME:PATH");
    return CPN_OK;
}

/* login: of the arguments that name no user; NULL: scp decides. */
static cpn_rc
add_files(cpn_sshrun *r, const cpn_cli *cli, const char *login, cpn_err *err)
{
    cpn_rc rc = cpn_sshrun_add(r, err, "--");

    for (unsigned i = 0; i < cli->args.args && rc == CPN_OK; i++) {
        cpn_view user, name;
        const char *path;

        split(cli->args.arg[i], &user, &name, &path);
        if (path && user.n && user.p[0] == '-')
            return cpn_fail(err, CPN_INVALID, "'%s' names no user", cli->args.arg[i]);
        if (path && !user.n && login && !login[0])
            return cpn_fail(err, CPN_INVALID, "the certificate names no account; say USER@NAME:");
        if (path && !user.n && login)
            rc = cpn_sshrun_add(r, err, "%s@%s:%s", login, r->alias, path);
        else
            rc = path ? cpn_sshrun_add(r, err, "%.*s%s:%s", CPN_VIEW_ARG(user), r->alias, path)
                      : cpn_sshrun_add(r, err, "%s", cli->args.arg[i]);
    }
    return rc;
}

static cpn_rc
run_scp(cpn_sshrun *r, cpn_api *a, cpn_target *t, cpn_err *err)
{
    json_auto_t *said = NULL;
    const char *key = cpn_args_get(&a->cli->args, "ssh-key");
    char login[CPN_SSHID_LOGIN_MAX + 1] = "";
    bool aad = cpn_sshaad_wanted(&a->cli->args);
    cpn_rc rc = cpn_target_resolve(t, a, &said, err);

    if (rc == CPN_OK)
        rc = cpn_sshrun_begin(r, "scp", a, t, err);
    if (rc == CPN_OK)
        rc = cpn_sshrun_check_keys(r, a, t, said, err);
    if (rc == CPN_OK && aad)
        rc = cpn_sshaad_add(r, a, t, said, login, err);
    if (rc == CPN_OK && cpn_args_has(&a->cli->args, "recursive"))
        rc = cpn_sshrun_add(r, err, "-r");
    if (rc == CPN_OK && cpn_args_has(&a->cli->args, "preserve"))
        rc = cpn_sshrun_add(r, err, "-p");
    if (rc == CPN_OK && key)
        rc = cpn_sshrun_add(r, err, "-i%s", key);
    if (rc == CPN_OK && key)
        rc = cpn_sshrun_add(r, err, "-oIdentitiesOnly=yes");
    if (rc == CPN_OK)
        rc = add_files(r, a->cli, aad ? login : NULL, err);
    return rc == CPN_OK ? cpn_sshrun_exec(r, err) : rc;
}

static cpn_rc
scp_run(cpn_cli *cli, cpn_err *err)
{
    cpn_sshrun r = { 0 };
    cpn_api a = { 0 };
    cpn_target t;
    char machine[CPN_ID_MAX + 1];
    unsigned port = 0;
    cpn_rc rc = find_machine(cli, machine, sizeof(machine), err);

    if (rc == CPN_OK && (cpn_args_has(&cli->args, "target-resource-id") ||
                         cpn_args_has(&cli->args, "target-ip-address")))
        rc = cpn_fail(err, CPN_INVALID, "the machine is named in the arguments: NAME:PATH");
    if (rc == CPN_OK && cpn_args_has(&cli->args, "auth-type") &&
        (!cpn_sshaad_wanted(&cli->args) || cpn_args_has(&cli->args, "ssh-key")))
        rc = cpn_fail(err, CPN_INVALID, "--auth-type: expected aad, without --ssh-key");
    if (rc == CPN_OK)
        rc = cpn_args_number(&cli->args, "resource-port", 1, 65535, &port, err);
    if (rc == CPN_OK)
        rc = cpn_target_named(&t, cli, machine, port, err);
    if (rc == CPN_OK)
        rc = cpn_api_open(&a, cli, err);
    if (rc == CPN_OK)
        rc = run_scp(&r, &a, &t, err);
    cpn_api_fini(&a);
    cpn_sshrun_fini(&r);
    return rc;
}

const cpn_cmd cpn_cmd_scp = {
    .name = "scp",
    .brief = "Copy files to or from a private machine with your own scp",
    .flags = CPN_CMD_CALLS | CPN_CMD_REMOTE,
    .opts = opts,
    .args = "SOURCE... TARGET",
    .names = "machines",
    .args_help = "files; those of the machine are [USER@]NAME:PATH",
    .min_args = 2,
    .max_args = CPN_ARGS_MAX,
    .examples = (const cpn_example[]){ { "caponier scp notes.txt ada@web1:", "up" },
                                       { "caponier scp -r web1:/var/log/nginx .", "down" },
                                       { "caponier scp --auth-type aad notes.txt web1:",
                                         "as who is signed in; no key, no password" },
                                       { 0 } },
    .run = scp_run,
};
