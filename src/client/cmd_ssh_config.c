/* caponier ssh-config: teaches plain ssh, and all that builds on it, the way through the gateway.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "client/agent.h"
#include "client/hostkeys.h"
#include "client/printable.h"
#include "client/sshaad.h"
#include "client/sshconfig.h"
#include "client/userfile.h"

#define PATH_BYTES 4096

static const cpn_opt opts[] = {
    { .name = "suffix",
      .arg = "SUFFIX",
      .def = "the gateway's host name",
      .help = "machines are NAME.SUFFIX" },
    { .name = "auth-type",
      .arg = "TYPE",
      .def = "what ssh itself tries",
      .help = "aad: your sign-in at the gateway, by a certificate; no key of yours is needed" },
    { .name = "username",
      .letter = 'u',
      .arg = "USER",
      .def = "with aad the account that certificates name, else what ssh itself takes",
      .help = "who signs in on the machines; USER@NAME.SUFFIX says another" },
    { .name = "file", .arg = "FILE", .def = "~/.ssh/config", .help = "the file to write" },
    { .name = "print", .help = "print the stanza instead of writing it" },
    { .name = "remove", .help = "take the stanza out again" },
    { 0 },
};

static cpn_rc
file_of(const cpn_cli *cli, char out[PATH_BYTES], cpn_err *err)
{
    const char *given = cpn_args_get(&cli->args, "file");
    const char *home = getenv("HOME");
    int n;

    if (given && given[0] != '/')
        return cpn_fail(err, CPN_INVALID, "--file: an absolute path is expected");
    if (!given && (!home || home[0] != '/'))
        return cpn_fail(err, CPN_INVALID, "HOME names no folder; say --file");
    n = given ? snprintf(out, PATH_BYTES, "%s", given)
              : snprintf(out, PATH_BYTES, "%s/.ssh/config", home);
    return n < PATH_BYTES ? CPN_OK : cpn_fail(err, CPN_INVALID, "the path is too long");
}

/* As certificates name it by default: what stands before the @, in small letters. NULL: no account
 * can have that name. */
static const char *
login_of(const char *account, char out[CPN_SSHID_LOGIN_MAX + 1])
{
    size_t n = account ? strcspn(account, "@") : 0;

    if (n == 0 || n > CPN_SSHID_LOGIN_MAX)
        return NULL;
    for (size_t i = 0; i < n; i++)
        out[i] = (char)tolower((unsigned char)account[i]);
    out[n] = '\0';
    return cpn_ssh_login_ok(out) ? out : NULL;
}

/* Identity sign-in, if it is asked for. */
static cpn_rc
add_identity(const cpn_api *a, cpn_ssh_stanza *s, char agents[PATH_BYTES],
             char login[CPN_SSHID_LOGIN_MAX + 1], cpn_err *err)
{
    cpn_rc rc;

    s->user = cpn_args_get(&a->cli->args, "username");
    if (!cpn_args_has(&a->cli->args, "auth-type"))
        return CPN_OK;
    if (!cpn_sshaad_wanted(&a->cli->args))
        return cpn_fail(err, CPN_INVALID, "--auth-type: expected aad");
    rc = cpn_contexts_folder(CPN_AGENT_DIR, agents, PATH_BYTES, err);
    s->agents = agents;
    if (!s->user && (!a->ctx.type || strcasecmp(a->ctx.type, "user") == 0))
        s->user = login_of(a->ctx.user, login);
    return rc;
}

static cpn_rc
stanza_of(cpn_api *a, const char *suffix, cpn_buf *out, cpn_err *err)
{
    char program[PATH_BYTES], folder[PATH_BYTES], ca[PATH_BYTES], agents[PATH_BYTES];
    char login[CPN_SSHID_LOGIN_MAX + 1];
    const char *given = cpn_args_get(&a->cli->args, "ca");
    cpn_ssh_stanza s = { .suffix = suffix,
                         .name = a->cli->args.arg,
                         .names = a->cli->args.args,
                         .program = program,
                         .gateway = a->origin,
                         .account = cpn_args_get(&a->cli->args, "account"),
                         .folder = folder };
    cpn_rc rc = cpn_ssh_self(program, sizeof(program), err);

    if (rc == CPN_OK)
        rc = cpn_hostkeys_folder(folder, sizeof(folder), err);
    if (rc == CPN_OK)
        rc = add_identity(a, &s, agents, login, err);
    if (rc == CPN_OK && given) {
        if (!realpath(given, ca)) /* PATH_MAX is 4096 */
            return cpn_fail(err, CPN_INVALID, "--ca: there is no %s", given);
        s.ca = ca;
    }
    return rc == CPN_OK ? cpn_ssh_stanza_put(out, &s, err) : rc;
}

static cpn_rc
write_it(const cpn_cli *cli, const char *suffix, cpn_view block, cpn_err *err)
{
    cpn_buf now = { .max = CPN_SSHCONFIG_MAX }, then = { .max = CPN_SSHCONFIG_MAX * 2 };
    char path[PATH_BYTES];
    bool had = false;
    cpn_rc rc = file_of(cli, path, err);

    if (rc == CPN_OK)
        rc = cpn_userfile_read(path, &now, err);
    if (rc == CPN_OK)
        rc = cpn_ssh_stanza_in(&then, cpn_buf_view(&now), suffix, block, &had, err);
    if (rc == CPN_INVALID)
        rc = cpn_ctx(err, rc, "%s", path);
    if (rc == CPN_OK && block.n == 0 && !had)
        rc = cpn_fail(err, CPN_NOT_FOUND, "%s has no stanza for %s", path, suffix);
    if (rc == CPN_OK && !cpn_view_eq(cpn_buf_view(&now), cpn_buf_view(&then)))
        rc = cpn_userfile_write(path, cpn_buf_view(&then), err);
    if (rc == CPN_OK && block.n)
        cpn_say("%s: 'ssh NAME.%s' reaches the machine NAME", path, suffix);
    cpn_buf_fini(&now);
    cpn_buf_fini(&then);
    return rc;
}

static cpn_rc
ssh_config_run(cpn_cli *cli, cpn_err *err)
{
    const char *suffix = cpn_args_get(&cli->args, "suffix");
    cpn_buf block = { .max = CPN_SSHCONFIG_MAX };
    cpn_api a = { 0 };
    cpn_rc rc = cpn_api_init(&a, cli, err);

    if (rc == CPN_OK && !suffix)
        suffix = a.url.host;
    if (rc == CPN_OK && cpn_args_has(&cli->args, "remove") && cpn_args_has(&cli->args, "print"))
        rc = cpn_fail(err, CPN_INVALID, "either --print or --remove");
    if (rc == CPN_OK && !cpn_args_has(&cli->args, "remove"))
        rc = stanza_of(&a, suffix, &block, err);
    if (rc == CPN_OK && cpn_args_has(&cli->args, "print"))
        fwrite(block.p, 1, block.n, stdout);
    else if (rc == CPN_OK)
        rc = write_it(cli, suffix, cpn_buf_view(&block), err);
    cpn_buf_fini(&block);
    cpn_api_fini(&a);
    return rc;
}

const cpn_cmd cpn_cmd_ssh_config = {
    .name = "ssh-config",
    .brief = "Teach plain ssh, scp, rsync, git and Ansible the way to the machines",
    .flags = CPN_CMD_CALLS,
    .opts = opts,
    .args = "[NAME...]",
    .names = "machines",
    .args_help = "machines that are reached by their own name too",
    .max_args = CPN_ARGS_MAX,
    .examples =
        (const cpn_example[]){ { "caponier ssh-config",
                                 "then: ssh USER@web1.GATEWAY, scp, sftp, rsync, git, VS Code" },
                               { "caponier ssh-config --auth-type aad",
                                 "the same without any key or password on the machines" },
                               { "caponier ssh-config --suffix lab web1 db1",
                                 "then: ssh web1, ssh db1, ssh NAME.lab" },
                               { "caponier ssh-config --remove", "as before" },
                               { 0 } },
    .run = ssh_config_run,
};
