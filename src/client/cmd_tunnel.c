/* caponier tunnel: a local port that leads to a private machine. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/detach.h"
#include "client/printable.h"
#include "client/process.h"
#include "client/ready.h"
#include "client/tunlog.h"
#include "client/tunnel.h"

#define TIMEOUT_MAX 31536000 /* a year */

static const cpn_opt opts[] = {
    CPN_TARGET_OPTS,
    { .name = "port",
      .arg = "PORT",
      .def = "0",
      .help = "the local port to listen on; 0 picks a free one" },
    { .name = "bind",
      .arg = "ADDRESS",
      .def = "127.0.0.1",
      .help = "the local address to listen on" },
    { .name = "socket",
      .arg = "PATH",
      .help = "listen on a Unix socket instead, which only you may open" },
    { .name = "allow-uid",
      .arg = "UID,...",
      .help = "let programs of these users in too; else only yours and root's" },
    { .name = "allow-everybody",
      .help = "with --bind: whoever reaches the address uses the tunnel with your rights" },
    { .name = "local-forward",
      .letter = 'L',
      .arg = "LOCAL:MACHINE:PORT",
      .help = "instead of TARGET, once for each: a local port or path, and where it leads",
      .many = true },
    { .name = "timeout",
      .arg = "SECONDS",
      .def = "0",
      .help = "end after so long; 0: when interrupted" },
    { .name = "idle-timeout",
      .arg = "SECONDS",
      .def = "0",
      .help = "end when no session has been open for so long; 0: never" },
    { .name = "carriers",
      .arg = "N",
      .def = "1",
      .help = "connections to the gateway to share the local ones among, at most 64" },
    { .name = "exit-with", .arg = "PID", .help = "end when this process of yours ends" },
    { .name = "detach", .help = "go on in the background once it listens" },
    { .name = "ready-fd",
      .arg = "N",
      .help = "write where it listens to this open descriptor, one line, and close it" },
    { 0 },
};

/* On a path, or on a port of --bind. */
static cpn_rc
listen_at(cpn_inlet *in, const cpn_cli *cli, const char *path, unsigned port, cpn_err *err)
{
    const char *uids = cpn_args_get(&cli->args, "allow-uid");
    cpn_addr at;
    cpn_rc rc = CPN_OK;

    in->peers.everybody = cpn_args_has(&cli->args, "allow-everybody");
    if (path && (cpn_args_has(&cli->args, "bind") || in->peers.everybody))
        return cpn_fail(err, CPN_INVALID,
                        "--socket goes with neither --port, --bind nor --allow-everybody");
    if (uids)
        rc = cpn_peer_rule_add(&in->peers, uids, err);
    if (rc == CPN_OK && path)
        return cpn_inlet_unix(in, path, err);
    if (rc == CPN_OK &&
        cpn_addr_parse(&at, cpn_view_str(cpn_args_or_default(&cli->args, "bind")), err) != CPN_OK)
        rc = cpn_ctx(err, CPN_INVALID, "--bind");
    return rc == CPN_OK ? cpn_inlet_tcp(in, &at, port, err) : rc;
}

/* Bound before anything else is looked at. */
static cpn_rc
single(cpn_inlet *in, const cpn_cli *cli, cpn_err *err)
{
    const char *path = cpn_args_get(&cli->args, "socket");
    unsigned port = 0;
    cpn_rc rc = cpn_target_read(&in->target, cli, err);

    if (rc == CPN_OK && path && cpn_args_has(&cli->args, "port"))
        return cpn_fail(err, CPN_INVALID,
                        "--socket goes with neither --port, --bind nor --allow-everybody");
    if (rc == CPN_OK)
        rc = cpn_args_number(&cli->args, "port", 0, 65535, &port, err);
    return rc == CPN_OK ? listen_at(in, cli, path, port, err) : rc;
}

/* "50022:web1:22", "/run/me/web1.sock:web1:22", "0:[fd77::4]:22". */
static cpn_rc
forward(cpn_inlet *in, const cpn_cli *cli, const char *text, cpn_err *err)
{
    cpn_view local, rest, machine, port;
    char path[sizeof(in->path)], name[CPN_ID_MAX + 1];
    uint64_t from = 0, to = 0;
    bool is_path = strchr(text, '/') && strchr(text, '/') < strchr(text, ':');
    size_t cut;
    cpn_rc rc;

    if (!cpn_view_cut(cpn_view_str(text), ':', &local, &rest) || rest.n == 0)
        return cpn_fail(err, CPN_INVALID, "-L %s: LOCAL:MACHINE:PORT is expected", text);
    for (cut = rest.n; cut > 0 && rest.p[cut - 1] != ':';)
        cut--;
    machine = (cpn_view){ rest.p, cut ? cut - 1 : 0 };
    port = cpn_view_skip(rest, cut);
    if (machine.n > 2 && machine.p[0] == '[' && machine.p[machine.n - 1] == ']')
        machine = (cpn_view){ machine.p + 1, machine.n - 2 };
    if (!cpn_view_u64(port, 65535, &to) || to == 0 || !cpn_view_copy(machine, name, sizeof(name)) ||
        !name[0] ||
        !(is_path ? cpn_view_copy(local, path, sizeof(path)) : cpn_view_u64(local, 65535, &from)))
        return cpn_fail(err, CPN_INVALID, "-L %s: LOCAL:MACHINE:PORT is expected", text);
    rc = cpn_target_named(&in->target, cli, name, (unsigned)to, err);
    if (rc == CPN_OK)
        rc = listen_at(in, cli, is_path ? path : NULL, (unsigned)from, err);
    return rc == CPN_OK ? CPN_OK : cpn_ctx(err, rc, "-L %s", text);
}

static cpn_rc
listen_all(cpn_inlet *in, unsigned *n, const cpn_cli *cli, cpn_err *err)
{
    cpn_rc rc = CPN_OK;

    *n = cli->args.eachs;
    if (*n == 0) {
        *n = 1;
        return single(in, cli, err);
    }
    if (cli->args.args || cpn_args_has(&cli->args, "target-resource-id") ||
        cpn_args_has(&cli->args, "target-ip-address") || cpn_args_has(&cli->args, "port") ||
        cpn_args_has(&cli->args, "socket") || cpn_args_has(&cli->args, "resource-port"))
        return cpn_fail(err, CPN_INVALID, "-L says the machines and the ports; nothing else may");
    if (*n > CPN_INLETS_MAX)
        return cpn_fail(err, CPN_INVALID, "more than %d times -L", CPN_INLETS_MAX);
    for (unsigned i = 0; i < *n && rc == CPN_OK; i++)
        rc = forward(&in[i], cli, cli->args.each[i], err);
    return rc;
}

/* One run of the command. */
typedef struct run {
    cpn_cli *cli;
    cpn_inlet *in;
    unsigned n;
    cpn_tunnel_plan plan;
    cpn_ctlsock ctlsock;
    int ready_fd; /* -1: nobody waits there */
    int channel;  /* of the parent that waits; -1: we stay */
} run;

/* So that it is found; one in the foreground serves without. */
static cpn_rc
open_ctlsock(run *r, cpn_err *err)
{
    cpn_err why = { 0 };
    cpn_rc rc = cpn_ctlsock_open(&r->ctlsock, &why);

    if (rc != CPN_OK) {
        cpn_ctlsock_close(&r->ctlsock);
        if (r->channel >= 0)
            return cpn_fail(err, rc == CPN_NOT_FOUND ? CPN_E_CONF : rc, "--detach: %s", why.msg);
        cpn_say("'tunnel list' will not show this tunnel: %s", why.msg);
        return CPN_OK;
    }
    r->plan.ctlsock = &r->ctlsock;
    return r->channel >= 0 ? cpn_tunlog_open(r->ctlsock.id, err) : CPN_OK;
}

/* Relative paths must go on meaning what they do. */
static bool
may_leave_folder(const run *r)
{
    const char *ca = cpn_args_get(&r->cli->args, "ca");

    for (unsigned i = 0; i < r->n; i++)
        if (r->in[i].path[0] && r->in[i].path[0] != '/')
            return false;
    return !ca || ca[0] == '/';
}

static cpn_rc
tell_ready(run *r, cpn_err *err)
{
    cpn_rc rc;

    /* Whoever reads that it is ready may end it at once; that is to be done in order. */
    cpn_tunnel_hold_signals();
    rc = cpn_ready_tell(r->cli, r->in, r->n, r->ctlsock.id, r->channel >= 0, err);
    if (rc == CPN_OK && r->in[0].peers.everybody)
        cpn_say("everybody who reaches this address uses the tunnel with your rights");
    if (rc == CPN_OK && r->ready_fd >= 0)
        cpn_ready_write(cpn_steal_fd(&r->ready_fd), r->in, r->n);
    if (rc != CPN_OK || r->channel < 0)
        return rc;
    if (may_leave_folder(r) && chdir("/") < 0)
        return cpn_fail(err, CPN_E_SYS, "chdir /");
    rc = cpn_tunlog_take_stderr(err);
    return rc == CPN_OK ? cpn_detach_done(cpn_steal_fd(&r->channel), err) : rc;
}

static cpn_rc
serve(run *r, cpn_err *err)
{
    cpn_api a = { 0 };
    cpn_rc rc = cpn_api_open(&a, r->cli, err);

    for (unsigned i = 0; i < r->n && rc == CPN_OK; i++)
        rc = cpn_target_ask(&r->in[i].target, &a, err);
    if (rc == CPN_OK)
        rc = open_ctlsock(r, err);
    if (rc == CPN_OK)
        rc = tell_ready(r, err);
    if (rc == CPN_OK)
        rc = cpn_tunnel_run(&a, r->in, r->n, &r->plan, err);
    cpn_api_fini(&a);
    return rc;
}

/* What can be refused before anything is opened; then the process splits, if it is to. */
static cpn_rc
read_plan(run *r, cpn_err *err)
{
    const cpn_args *args = &r->cli->args;
    bool detach = cpn_args_has(args, "detach");
    unsigned pid = 0;
    cpn_rc rc = cpn_ready_fd(r->cli, &r->ready_fd, err);

    r->plan.events = r->cli->format == CPN_FORMAT_JSON && !detach;
    r->plan.line = r->cli->format == CPN_FORMAT_TABLE && !detach;
    if (rc == CPN_OK)
        rc = cpn_args_number(args, "timeout", 0, TIMEOUT_MAX, &r->plan.timeout_s, err);
    if (rc == CPN_OK)
        rc = cpn_args_number(args, "idle-timeout", 0, TIMEOUT_MAX, &r->plan.idle_s, err);
    if (rc == CPN_OK)
        rc = cpn_args_number(args, "carriers", 1, CPN_CARRIERS_WANTED_MAX, &r->plan.carriers, err);
    if (rc == CPN_OK && cpn_args_has(args, "exit-with"))
        rc = cpn_args_number(args, "exit-with", 1, INT_MAX, &pid, err);
    if (rc == CPN_OK && detach)
        rc = cpn_detach_begin(r->ready_fd, &r->channel, err);
    return rc == CPN_OK && pid ? cpn_process_open((pid_t)pid, &r->plan.exit_with, err) : rc;
}

static cpn_rc
tunnel_run(cpn_cli *cli, cpn_err *err)
{
    run r = { .cli = cli,
              .in = cpn_xcalloc(CPN_INLETS_MAX, sizeof(*r.in)),
              .plan.exit_with = -1,
              .ctlsock = CPN_CTLSOCK_NONE,
              .ready_fd = -1,
              .channel = -1 };
    cpn_rc rc = read_plan(&r, err);

    for (unsigned i = 0; i < CPN_INLETS_MAX; i++)
        r.in[i] = CPN_INLET_NONE;
    if (rc == CPN_OK)
        rc = listen_all(r.in, &r.n, cli, err);
    if (rc == CPN_OK)
        rc = serve(&r, err);
    for (unsigned i = 0; i < CPN_INLETS_MAX; i++)
        cpn_inlet_close(&r.in[i]);
    cpn_ctlsock_close(&r.ctlsock);
    cpn_auto_fd(&r.plan.exit_with);
    cpn_auto_fd(&r.ready_fd);
    cpn_auto_fd(&r.channel);
    free(r.in);
    return rc;
}

const cpn_cmd cpn_cmd_tunnel = {
    .name = "tunnel",
    .brief = "Open a local port that leads to a private machine",
    .flags = CPN_CMD_CALLS | CPN_CMD_PRINTS,
    .opts = opts,
    .args = "[TARGET]",
    .names = "machines",
    .args_help = "the machine, by short name or resource id",
    .max_args = 1,
    .examples =
        (const cpn_example[]){
            { "caponier tunnel web1 --port 50022",
              "then: ssh -p 50022 -o HostKeyAlias=web1 USER@127.0.0.1" },
            { "caponier network bastion tunnel --name door --resource-group lab "
              "--target-resource-id ID "
              "--resource-port 22 --port 50022",
              "as the Azure CLI spells it" },
            { "caponier tunnel -L 50022:web1:22 -L 50389:win1:3389",
              "two machines through one connection to the gateway" },
            { "caponier tunnel web1 --socket ~/web1.sock",
              "no port at all; only you can open the socket" },
            { "caponier tunnel --target-ip-address 10.0.1.4 --resource-port 3389 --port 0 -o json",
              "by address; one line of JSON says the port when it is ready" },
            { "caponier tunnel web1 --port 50022 --detach --idle-timeout 600",
              "in the background, until nobody has used it for ten minutes" },
            { 0 } },
    .run = tunnel_run,
};
