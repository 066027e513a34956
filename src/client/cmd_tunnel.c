/* caponier tunnel: a local port that leads to a private machine. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/out.h"
#include "client/printable.h"
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
    { 0 },
};

/* Ask before anything connects, so that a refusal is told at the start. What was resolved comes
 * with the decision; a name that could not be still has one, which says why not. */
static cpn_rc
ask(cpn_api *a, cpn_target *t, cpn_err *err)
{
    json_auto_t *said = NULL;
    json_auto_t *question = NULL;
    json_auto_t *answer = NULL;
    const char *message;
    cpn_rc rc = cpn_target_resolve(t, a, &said, err);

    answer = json_incref(json_object_get(said, "decision"));
    if (rc == CPN_OK && !answer) {
        question = cpn_target_json(t);
        rc = cpn_api_call(a, "POST", "/v1/can-i", question, &answer, err);
    }
    if (rc != CPN_OK || json_is_true(json_object_get(answer, "allowed")))
        return rc;
    message = json_string_value(json_object_get(answer, "message"));
    if (cpn_cli_roles_missing(answer))
        message = "you need these roles";
    rc = cpn_fail(err, CPN_DENIED, "%s, port %u: refused: %s", t->label, t->port,
                  message ? message : "the gateway does not say why");
    a->cli->problem = cpn_steal(&answer);
    return rc;
}

/* As a word that no shell takes apart. */
static void
alias_of(const cpn_target *t, char *out, size_t size)
{
    size_t n = 0;

    for (; t->label[n] && n + 1 < size; n++)
        out[n] = isalnum((unsigned char)t->label[n]) || t->label[n] == '.' || t->label[n] == '-'
                     ? t->label[n]
                     : '_';
    out[n] = '\0';
}

static cpn_rc
tell_json(const cpn_inlet *in, const char *alias, cpn_err *err)
{
    const cpn_target *t = &in->target;
    char address[CPN_ADDR_TEXT];
    json_auto_t *event = json_pack("{s:s, s:s, s:s, s:s, s:i}", "event", "ready", "bastion",
                                   t->bastion, "target", t->resource[0] ? t->resource : t->address,
                                   "hostKeyAlias", alias, "resourcePort", (int)t->port);

    if (in->path[0]) {
        json_object_set_new(event, "socket", json_string(in->path));
    } else {
        json_object_set_new(event, "port", json_integer(in->port));
        json_object_set_new(event, "address", json_string(cpn_addr_text(&in->address, address)));
    }
    return cpn_out_event(event, err);
}

static void
tell_person(const cpn_inlet *in, const char *alias)
{
    char address[CPN_ADDR_TEXT];
    char where[CPN_MAX(sizeof(in->path), CPN_ADDR_TEXT)];

    cpn_addr_text(&in->address, address);
    if (in->path[0])
        snprintf(where, sizeof(where), "%s", in->path);
    else
        cpn_addr_port_text(&in->address, (uint16_t)in->port, where);
    printf("Listening on %s for %s, port %u. Ctrl-C ends it.\n", where, alias, in->target.port);
    if (!isatty(STDOUT_FILENO) || in->path[0])
        return;
    if (in->target.port == 3389)
        printf("  xfreerdp /v:%s\n", where);
    else
        printf("  ssh -p %u -o HostKeyAlias=%s USER@%s\n", in->port, alias, address);
}

static cpn_rc
tell_ready(const cpn_cli *cli, const cpn_inlet *in, cpn_err *err)
{
    char alias[sizeof(in->target.label)];

    alias_of(&in->target, alias, sizeof(alias));
    if (cli->format == CPN_FORMAT_JSON)
        return tell_json(in, alias, err);
    if (cli->format == CPN_FORMAT_TABLE)
        tell_person(in, alias);
    else if (in->path[0])
        printf("%s\n", in->path);
    else
        printf("%u\n", in->port);
    fflush(stdout);
    return CPN_OK;
}

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

static cpn_rc
serve(cpn_cli *cli, cpn_inlet *in, unsigned n, unsigned timeout, cpn_err *err)
{
    cpn_api a = { 0 };
    cpn_rc rc = cpn_api_open(&a, cli, err);

    for (unsigned i = 0; i < n && rc == CPN_OK; i++)
        rc = ask(&a, &in[i].target, err);
    for (unsigned i = 0; i < n && rc == CPN_OK; i++)
        rc = tell_ready(cli, &in[i], err);
    if (rc == CPN_OK && in[0].peers.everybody)
        cpn_say("everybody who reaches this address uses the tunnel with your rights");
    if (rc == CPN_OK)
        rc = cpn_tunnel_run(&a, in, n, timeout, err);
    cpn_api_fini(&a);
    return rc;
}

static cpn_rc
tunnel_run(cpn_cli *cli, cpn_err *err)
{
    cpn_inlet *in = cpn_xcalloc(CPN_INLETS_MAX, sizeof(*in));
    unsigned n = 0, timeout = 0;
    cpn_rc rc = cpn_args_number(&cli->args, "timeout", 0, TIMEOUT_MAX, &timeout, err);

    for (unsigned i = 0; i < CPN_INLETS_MAX; i++)
        in[i] = CPN_INLET_NONE;
    if (rc == CPN_OK)
        rc = listen_all(in, &n, cli, err);
    if (rc == CPN_OK)
        rc = serve(cli, in, n, timeout, err);
    for (unsigned i = 0; i < CPN_INLETS_MAX; i++)
        cpn_inlet_close(&in[i]);
    free(in);
    return rc;
}

const cpn_cmd cpn_cmd_tunnel = {
    .name = "tunnel",
    .brief = "Open a local port that leads to a private machine",
    .flags = CPN_CMD_CALLS | CPN_CMD_PRINTS,
    .opts = opts,
    .args = "[TARGET]",
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
            { 0 } },
    .run = tunnel_run,
};
