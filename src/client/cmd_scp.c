/* caponier scp: copies files to or from a private machine with the user's own scp. */
#include <stdio.h>
#include <string.h>

#include "client/sshaad.h"

static const cpn_opt opts[] = {
    CPN_TARGET_OPTS_TO("22", 'P'),
    { .name = "recursive", .letter = 'r', .help = "folders with all that is in them" },
    { .name = "preserve", .letter = 'p', .help = "keep times and modes" },
    { .name = "compress", .letter = 'C', .help = "compress on the way" },
    { .name = "quiet", .letter = 'q', .help = "no progress, no warnings" },
    { .name = "verbose", .letter = 'v', .help = "tell what scp and ssh do" },
    { .name = "old-protocol", .letter = 'O', .help = "scp's own protocol instead of SFTP's" },
    { .name = "limit", .letter = 'l', .arg = "KBITS", .help = "no more than so many Kbit/s" },
    { .name = "auth-type",
      .arg = "TYPE",
      .def = "what ssh itself tries",
      .help = "aad: as who is signed in at the gateway, by a certificate" },
    { .name = "ssh-key", .letter = 'i', .arg = "FILE", .help = "the private key to sign in with" },
    { 0 },
};

/* Where NAME of "[USER@]NAME:PATH" ends: at its colon, or the bracket of "[USER@][ADDRESS]:PATH".
 * NULL: it is a local file, as scp sees it. */
static const char *
name_end(const char *arg)
{
    const char *slash = strchrnul(arg, '/'), *colon = strchrnul(arg, ':');
    const char *in = arg[0] == '[' ? arg : strstr(arg, "@[");
    const char *end = in && in < colon ? strstr(in, "]:") : colon;

    return end && *end && end > arg && end < slash ? end : NULL;
}

/* *user is empty when not said, else with its @; NULL *path: a local file. */
static void
split(const char *arg, cpn_view *user, cpn_view *name, const char **path)
{
    const char *end = name_end(arg), *at;

    *user = *name = (cpn_view){ 0 };
    *path = NULL;
    if (!end)
        return;
    at = memrchr(arg, '@', (size_t)(end - arg));
    if (at)
        *user = (cpn_view){ (const uint8_t *)arg, (size_t)(at - arg) + 1 };
    at = at ? at + 1 : arg;
    *path = end + (*end == ']' ? 2 : 1);
    at += *end == ']';
    *name = (cpn_view){ (const uint8_t *)at, (size_t)(end - at) };
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

/* What scp calls the same. */
static cpn_rc
add_options(cpn_sshrun *r, const cpn_args *args, cpn_err *err)
{
    static const struct {
        const char *ours, *its;
    } same[] = { { "recursive", "-r" }, { "preserve", "-p" }, { "compress", "-C" },
                 { "quiet", "-q" },     { "verbose", "-v" },  { "old-protocol", "-O" } };
    const char *key = cpn_args_get(args, "ssh-key");
    const char *limit = cpn_args_get(args, "limit");
    cpn_rc rc = CPN_OK;

    for (size_t i = 0; i < CPN_COUNT(same) && rc == CPN_OK; i++)
        if (cpn_args_has(args, same[i].ours))
            rc = cpn_sshrun_add(r, err, "%s", same[i].its);
    if (rc == CPN_OK && limit)
        rc = cpn_sshrun_add(r, err, "-l%s", limit);
    if (rc == CPN_OK && key)
        rc = cpn_sshrun_add(r, err, "-i%s", key);
    if (rc == CPN_OK && key)
        rc = cpn_sshrun_add(r, err, "-oIdentitiesOnly=yes");
    return rc;
}

static cpn_rc
run_scp(cpn_sshrun *r, cpn_api *a, cpn_target *t, cpn_err *err)
{
    json_auto_t *said = NULL;
    char login[CPN_SSHID_LOGIN_MAX + 1] = "";
    bool aad = cpn_sshaad_wanted(&a->cli->args);
    cpn_rc rc = cpn_target_resolve(t, a, &said, err);

    if (rc == CPN_OK)
        rc = cpn_sshrun_begin(r, "scp", a, t, err);
    if (rc == CPN_OK)
        rc = cpn_sshrun_check_keys(r, a, t, said, err);
    if (rc == CPN_OK && aad)
        rc = cpn_sshaad_add(r, a, t, said, login, err);
    if (rc == CPN_OK)
        rc = add_options(r, &a->cli->args, err);
    if (rc == CPN_OK)
        rc = add_files(r, a->cli, aad ? login : NULL, err);
    return rc == CPN_OK ? cpn_sshrun_exec(r, err) : rc;
}

/* NAME in the arguments, or what an option says that NAME is. */
static cpn_rc
read_target(cpn_target *t, cpn_cli *cli, cpn_err *err)
{
    char machine[CPN_ID_MAX + 1];
    unsigned port = 0, args = cli->args.args;
    cpn_rc rc = find_machine(cli, machine, sizeof(machine), err);

    if (rc != CPN_OK)
        return rc;
    if (cpn_args_has(&cli->args, "target-resource-id") ||
        cpn_args_has(&cli->args, "target-ip-address")) {
        cli->args.args = 0;
        rc = cpn_target_read(t, cli, err);
        cli->args.args = args;
        return rc;
    }
    rc = cpn_args_number(&cli->args, "resource-port", 1, 65535, &port, err);
    return rc == CPN_OK ? cpn_target_named(t, cli, machine, port, err) : rc;
}

static cpn_rc
check_options(const cpn_args *args, cpn_err *err)
{
    unsigned limit;

    if (cpn_args_has(args, "auth-type") &&
        (!cpn_sshaad_wanted(args) || cpn_args_has(args, "ssh-key")))
        return cpn_fail(err, CPN_INVALID, "--auth-type: expected aad, without --ssh-key");
    return cpn_args_has(args, "limit") ? cpn_args_number(args, "limit", 1, 1000000000, &limit, err)
                                       : CPN_OK;
}

static cpn_rc
scp_run(cpn_cli *cli, cpn_err *err)
{
    cpn_sshrun r = { 0 };
    cpn_api a = { 0 };
    cpn_target t;
    cpn_rc rc = read_target(&t, cli, err);

    if (rc == CPN_OK)
        rc = check_options(&cli->args, err);
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
    .args_help = "files; those of the machine are [USER@]NAME:PATH, with [ADDRESS] for NAME where "
                 "it has colons; with --target-resource-id NAME is any word",
    .min_args = 2,
    .max_args = CPN_ARGS_MAX,
    .examples = (const cpn_example[]){ { "caponier scp notes.txt ada@web1:", "up" },
                                       { "caponier scp -r web1:/var/log/nginx .", "down" },
                                       { "caponier scp -C notes.txt 'ada@[fd77::4]:'",
                                         "by an IPv6 address, compressed" },
                                       { "caponier scp --auth-type aad notes.txt web1:",
                                         "as who is signed in; no key, no password" },
                                       { 0 } },
    .run = scp_run,
};
