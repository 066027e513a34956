/* caponier connect: a machine's port on standard input and output, for ProxyCommand. */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "client/agent.h"
#include "client/hint.h"
#include "client/hostkeys.h"
#include "client/sshaad.h"
#include "client/sshscan.h"
#include "client/tunnel.h"

static const cpn_opt opts[] = {
    CPN_TARGET_OPTS,
    { .name = "suffix",
      .arg = "SUFFIX",
      .help = "cut .SUFFIX off the machine's name; what ssh-config writes" },
    { .name = "known-hosts",
      .arg = "FILE",
      .help = "keep the machine's host keys there first, under the file's name as the host's, "
              "for ssh to check" },
    { .name = "identity-agent",
      .arg = "FILE",
      .help = "see to it that an agent serves there with a certificate for the machine" },
    { .name = "identity-idle",
      .arg = "SECONDS",
      .def = "60",
      .help = "the agent ends so long after the last sign-in" },
    { 0 },
};

/* "web1.SUFFIX" becomes "web1". */
static cpn_rc
cut_suffix(cpn_cli *cli, char *name, size_t size, cpn_err *err)
{
    const char *suffix = cpn_args_get(&cli->args, "suffix");
    const char *given = cli->args.args ? cli->args.arg[0] : NULL;
    size_t n, cut;

    if (!suffix || !given)
        return CPN_OK;
    n = strlen(given);
    cut = strlen(suffix) + 1;
    if (n >= size)
        return cpn_fail(err, CPN_INVALID, "the machine's name is too long");
    memcpy(name, given, n + 1);
    if (n > cut && name[n - cut] == '.' && strcasecmp(name + n - cut + 1, suffix) == 0)
        name[n - cut] = '\0';
    cli->args.arg[0] = name;
    return CPN_OK;
}

/* The second argument is the port. */
static cpn_rc
read_port(cpn_target *t, const cpn_cli *cli, cpn_err *err)
{
    uint64_t port;

    if (cli->args.args < 2)
        return CPN_OK;
    if (cpn_args_has(&cli->args, "resource-port"))
        return cpn_fail(err, CPN_INVALID, "say the port once: by PORT or --resource-port");
    if (!cpn_view_u64(cpn_view_str(cli->args.arg[1]), 65535, &port) || port == 0)
        return cpn_fail(err, CPN_INVALID, "'%s' is not a port", cli->args.arg[1]);
    t->port = (unsigned)port;
    return CPN_OK;
}

/* Here and not by ssh, which has no word of what would help. */
static cpn_rc
refuse_unknown(cpn_api *a, const cpn_target *t, const json_t *said, cpn_err *err)
{
    if (!t->address[0] || json_object_get(said, "targetResourceId"))
        return cpn_sshscan_refuse(a, t, err);
    cpn_hint_next(a->cli, "ssh", t, "");
    return cpn_fail(err, CPN_DENIED,
                    "%s is no machine that the gateway knows, so nobody has approved a host key of "
                    "it; to be asked about the one that it shows:",
                    t->label);
}

/* The keys go where ssh looks, under the host's name as ssh has it, which is the file's, before it
 * can ask. */
static cpn_rc
keep_keys(cpn_api *a, const cpn_target *t, const json_t *said, cpn_err *err)
{
    const char *path = cpn_args_get(&a->cli->args, "known-hosts");
    const char *slash = path ? strrchr(path, '/') : NULL;
    char folder[4096];
    size_t n = slash ? (size_t)(slash - path) : 0;
    cpn_rc rc;

    if (!path)
        return CPN_OK;
    if (n == 0 || n >= sizeof(folder))
        return cpn_fail(err, CPN_INVALID, "--known-hosts: the path of a file");
    memcpy(folder, path, n);
    folder[n] = '\0';
    rc = cpn_hostkeys_keep(folder, slash + 1, slash + 1, json_object_get(said, "sshHostKeys"), err);
    if (rc != CPN_OK || json_array_size(json_object_get(said, "sshHostKeys")) > 0)
        return rc;
    return refuse_unknown(a, t, said, err);
}

/* Before the first byte goes to ssh, which asks the agent once it knows the machine. */
static cpn_rc
share_agent(cpn_api *a, const cpn_target *t, const json_t *said, cpn_err *err)
{
    const char *path = cpn_args_get(&a->cli->args, "identity-agent");
    const char *machine = NULL;
    unsigned idle_s = CPN_AGENT_IDLE_S;
    cpn_rc rc = cpn_args_number(&a->cli->args, "identity-idle", 1, 86400, &idle_s, err);

    if (rc != CPN_OK || !path)
        return rc;
    rc = cpn_sshaad_machine(t, said, &machine, err);
    return rc == CPN_OK ? cpn_agent_share(a, machine, path, idle_s, err) : rc;
}

/* Everything that the stream needs from the gateway before it. */
static cpn_rc
first(cpn_api *a, cpn_inlet *inlet, void *owner, cpn_err *err)
{
    json_auto_t *said = NULL;
    cpn_rc rc = cpn_api_renew(a, false, err);

    (void)owner;
    if (rc == CPN_OK)
        rc = cpn_target_resolve(&inlet->target, a, &said, err);
    if (rc == CPN_OK)
        rc = keep_keys(a, &inlet->target, said, err);
    return rc == CPN_OK ? share_agent(a, &inlet->target, said, err) : rc;
}

static cpn_rc
relay(cpn_cli *cli, cpn_inlet *inlet, cpn_err *err)
{
    static const int ends[] = { STDIN_FILENO, STDOUT_FILENO };
    cpn_api a = { 0 };
    cpn_rc rc = cpn_api_init(&a, cli, err);

    if (rc == CPN_OK)
        rc = cpn_tunnel_stdio(&a, inlet, first, NULL, ends, err);
    cpn_api_fini(&a);
    return rc;
}

static cpn_rc
connect_run(cpn_cli *cli, cpn_err *err)
{
    cpn_inlet inlet = CPN_INLET_NONE;
    char name[CPN_ID_MAX + 1];
    cpn_rc rc = cut_suffix(cli, name, sizeof(name), err);

    if (rc == CPN_OK)
        rc = cpn_target_read(&inlet.target, cli, err);
    if (rc == CPN_OK)
        rc = read_port(&inlet.target, cli, err);
    return rc == CPN_OK ? relay(cli, &inlet, err) : rc;
}

const cpn_cmd cpn_cmd_connect = {
    .name = "connect",
    .brief = "Join standard input and output to a private machine's port",
    .flags = CPN_CMD_CALLS | CPN_CMD_REMOTE,
    .opts = opts,
    .args = "[TARGET] [PORT]",
    .names = "machines",
    .args_help = "the machine, by short name, resource id or address, and its port (22)",
    .max_args = 2,
    .examples =
        (const cpn_example[]){
            { "ssh -o ProxyCommand='caponier connect %h %p' -o HostKeyAlias=web1 USER@web1",
              "ssh to web1 without a local port; 'caponier ssh-config' makes that permanent" },
            { "caponier connect db1 2222", "another port" },
            { 0 } },
    .run = connect_run,
};
