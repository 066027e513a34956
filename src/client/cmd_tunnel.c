/* caponier tunnel: a local port that leads to a private machine. */
#include <ctype.h>
#include <stdio.h>
#include <unistd.h>

#include "client/out.h"
#include "client/tunnel.h"

#define TIMEOUT_MAX 31536000 /* a year */

static const cpn_opt opts[] = {
    CPN_TARGET_OPTS,
    { .name = "port",
      .arg = "PORT",
      .def = "0",
      .help = "the port of 127.0.0.1 to listen on; 0 picks a free one" },
    { .name = "timeout",
      .arg = "SECONDS",
      .def = "0",
      .help = "end after so long; 0: when interrupted" },
    { 0 },
};

/* Ask before anything connects, so that a refusal is told at the start. */
static cpn_rc
ask(cpn_api *a, const cpn_target *t, cpn_err *err)
{
    json_auto_t *question = cpn_target_json(t);
    json_auto_t *answer = NULL;
    const char *message;
    cpn_rc rc = cpn_api_call(a, "POST", "/v1/can-i", question, &answer, err);

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
tell_ready(const cpn_cli *cli, const cpn_target *t, unsigned port, cpn_err *err)
{
    char alias[sizeof(t->label)];
    json_auto_t *event = NULL;

    alias_of(t, alias, sizeof(alias));
    if (cli->format == CPN_FORMAT_JSON) {
        event = json_pack("{s:s, s:i, s:s, s:s, s:s, s:s, s:i}", "event", "ready", "port",
                          (int)port, "address", "127.0.0.1", "bastion", t->bastion, "target",
                          t->resource[0] ? t->resource : t->address, "hostKeyAlias", alias,
                          "resourcePort", (int)t->port);
        return cpn_out_event(event, err);
    }
    if (cli->format == CPN_FORMAT_TSV) {
        printf("%u\n", port);
    } else {
        printf("Listening on 127.0.0.1:%u for %s, port %u. Ctrl-C ends it.\n", port, alias,
               t->port);
        if (isatty(STDOUT_FILENO) && t->port == 3389)
            printf("  xfreerdp /v:127.0.0.1:%u\n", port);
        else if (isatty(STDOUT_FILENO))
            printf("  ssh -p %u -o HostKeyAlias=%s USER@127.0.0.1\n", port, alias);
    }
    fflush(stdout);
    return CPN_OK;
}

static cpn_rc
serve(cpn_cli *cli, cpn_target *t, int listen_fd, unsigned port, cpn_err *err)
{
    CPN_AUTO(cpn_auto_fd) int owned = listen_fd;
    cpn_api a = { 0 };
    unsigned timeout = 0;
    cpn_rc rc = cpn_args_number(&cli->args, "timeout", 0, TIMEOUT_MAX, &timeout, err);

    if (rc == CPN_OK)
        rc = cpn_api_open(&a, cli, err);
    if (rc == CPN_OK)
        rc = cpn_target_resolve(t, &a, err);
    if (rc == CPN_OK)
        rc = ask(&a, t, err);
    if (rc == CPN_OK)
        rc = tell_ready(cli, t, port, err);
    if (rc == CPN_OK)
        rc = cpn_tunnel_run(&a, t, cpn_steal_fd(&owned), timeout, err);
    cpn_api_fini(&a);
    return rc;
}

static cpn_rc
tunnel_run(cpn_cli *cli, cpn_err *err)
{
    cpn_target t;
    unsigned port = 0, timeout = 0;
    int fd = -1;
    cpn_rc rc = cpn_target_read(&t, cli, err);

    if (rc == CPN_OK)
        rc = cpn_args_number(&cli->args, "port", 0, 65535, &port, err);
    if (rc == CPN_OK)
        rc = cpn_args_number(&cli->args, "timeout", 0, TIMEOUT_MAX, &timeout, err);
    if (rc == CPN_OK)
        rc = cpn_tunnel_listen(&port, &fd, err);
    return rc == CPN_OK ? serve(cli, &t, fd, port, err) : rc;
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
            { "caponier tunnel --target-ip-address 10.0.1.4 --resource-port 3389 --port 0 -o json",
              "by address; one line of JSON says the port when it is ready" },
            { 0 } },
    .run = tunnel_run,
};
