/* caponier rdp: a private machine's desktop in FreeRDP. */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/hint.h"
#include "client/printable.h"
#include "client/program.h"
#include "client/rdp.h"
#include "client/tunnel.h"
#include "client/userfile.h"

#define FILE_PORT 53389 /* of a .rdp file that names none */

static const cpn_opt opts[] = {
    CPN_TARGET_OPTS_TO("3389", 0),
    { .name = "username",
      .letter = 'u',
      .arg = "USER",
      .def = "the saved one, else FreeRDP asks",
      .help = "who signs in on the machine" },
    { .name = "size",
      .arg = "WIDTHxHEIGHT",
      .def = "the saved one, else FreeRDP's own",
      .help = "of the desktop" },
    { .name = "full-screen", .letter = 'f', .help = "the whole screen" },
    { .name = "multi-monitor", .help = "all screens; never unless you say so" },
    { .name = "password-stdin", .help = "let FreeRDP read what it needs from standard input" },
    { .name = "port",
      .arg = "PORT",
      .def = "the saved one, else one of the machine's own, and 53389 for --file",
      .help = "the local port between; 0 picks a free one" },
    { .name = "configure", .help = "save these settings for the machine, instead of connecting" },
    { .name = "file", .arg = "FILE", .help = "only write a .rdp file (-: to standard output)" },
    { 0 },
};

/* ---- FreeRDP ---- */

static cpn_rc
find(char out[CPN_PROGRAM_PATH], cpn_err *err)
{
    static const char *const for_x11[] = { "xfreerdp3", "xfreerdp" };
    static const char *const for_wayland[] = { "wlfreerdp3", "wlfreerdp" };

    for (size_t i = 0; i < CPN_COUNT(for_x11); i++)
        if (cpn_program_find(for_x11[i], out) == CPN_OK)
            return CPN_OK;
    for (size_t i = 0; i < CPN_COUNT(for_wayland); i++)
        if (cpn_program_find(for_wayland[i], out) == CPN_OK)
            return CPN_OK;
    return cpn_fail(err, CPN_E_CONF,
                    "FreeRDP is not installed: no xfreerdp3, xfreerdp, wlfreerdp3 or wlfreerdp in "
                    "PATH (on Debian: apt install freerdp2-x11)");
}

/* What FreeRDP means by its exit status (client/X11/xfreerdp.h). NULL: nothing more than that. */
static const char *
meaning(int status)
{
    switch (status) {
    case 132:
    case 134:
    case 154:
        return "the machine did not accept the user or the password";
    case 133:
        return "FreeRDP and the machine agree on no kind of security";
    case 135:
        return "the machine has locked the account";
    case 143:
        return "no TLS with the machine: its certificate was not trusted, or it has ended the "
               "handshake";
    case 148:
    case 149:
    case 152:
        return "the password has expired on the machine";
    default:
        return NULL;
    }
}

/* Below 16 are the ways in which a desktop session ends by itself; but what FreeRDP cannot even
 * try, for want of a display or for an option that it does not know, is 1, too. */
static cpn_rc
judge(const cpn_tunnel_ran *ran, cpn_err *err)
{
    int status = ran->status;

    if (status == 1 && !ran->connected)
        return cpn_fail(err, CPN_E_SYS, "FreeRDP ended before it connected");
    switch (status) {
    case 0:  /* closed */
    case 1:  /* disconnected by an administrator of the machine or by the user */
    case 2:  /* signed out */
    case 3:  /* idle */
    case 5:  /* taken over by another connection */
    case 11: /* disconnected by the user, from inside */
    case 12:
    case 13:
    case -SIGINT: /* it was told to end, or we were */
    case -SIGTERM:
    case -SIGHUP:
        return CPN_OK;
    default:
        break;
    }
    if (status < 0)
        return cpn_fail(err, CPN_E_SYS, "FreeRDP was ended by signal %d", -status);
    if (meaning(status))
        return cpn_fail(err, CPN_E_SYS, "%s", meaning(status));
    return cpn_fail(err, CPN_E_SYS, "FreeRDP ended with status %d", status);
}

static cpn_rc
connect_desktop(cpn_api *a, cpn_inlet *in, const cpn_rdp *r, const char *program, cpn_err *err)
{
    CPN_AUTO(cpn_auto_mem) cpn_rdp_argv *argv = cpn_xcalloc(1, sizeof(*argv));
    cpn_tunnel_ran ran = { 0 };
    cpn_rc rc = cpn_rdp_argv_make(argv, r, &in->target, program, in->port,
                                  cpn_args_has(&a->cli->args, "password-stdin"), err);

    if (rc == CPN_OK)
        rc = cpn_tunnel_with(a, in, argv->at, &ran, err);
    return rc == CPN_OK ? judge(&ran, err) : rc;
}

/* ---- a file instead ---- */

static void
say_first(const cpn_target *t, unsigned port)
{
    CPN_AUTO(cpn_buf_fini) cpn_buf label = { .max = sizeof(t->label) * 4 };

    if (cpn_hint_put(&label, t->label) == CPN_OK)
        cpn_say("first: caponier tunnel%.*s --resource-port %u --port %u",
                CPN_VIEW_ARG(cpn_buf_view(&label)), t->port, port);
}

static cpn_rc
write_file(const cpn_rdp *r, const cpn_target *t, const char *path, unsigned port, cpn_err *err)
{
    CPN_AUTO(cpn_buf_fini) cpn_buf b = { .max = 8192 };
    char full[PATH_MAX], here[PATH_MAX];
    cpn_rc rc;

    port = port ? port : FILE_PORT;
    rc = cpn_rdp_file(r, port, &b, err);
    if (rc != CPN_OK)
        return rc;
    if (strcmp(path, "-") == 0) {
        if (fwrite(b.p, 1, b.n, stdout) != b.n || fflush(stdout) != 0)
            return cpn_fail(err, CPN_E_SYS, "standard output");
        return CPN_OK;
    }
    if (path[0] == '/')
        here[0] = '\0';
    else if (!getcwd(here, sizeof(here)))
        return cpn_fail(err, CPN_E_SYS, "the current folder is gone");
    if ((size_t)snprintf(full, sizeof(full), "%s%s%s", here, here[0] ? "/" : "", path) >=
        sizeof(full))
        return cpn_fail(err, CPN_INVALID, "the path is too long");
    rc = cpn_userfile_write(full, cpn_buf_view(&b), err);
    if (rc == CPN_OK)
        say_first(t, port);
    return rc;
}

/* ---- the command ---- */

static cpn_rc
listen_here(const cpn_api *a, cpn_inlet *in, const cpn_rdp *r, cpn_err *err)
{
    const cpn_addr loopback = { { [10] = 0xff, 0xff, 127, 0, 0, 1 } };
    cpn_err why = { 0 };

    if (r->port || r->any_port)
        return cpn_inlet_tcp(in, &loopback, r->port, err);
    if (cpn_inlet_tcp(in, &loopback, cpn_rdp_own_port(a, &in->target), &why) == CPN_OK)
        return CPN_OK;
    cpn_say("%s; on another port FreeRDP does not know the certificate again", why.msg);
    return cpn_inlet_tcp(in, &loopback, 0, err);
}

static cpn_rc
run(cpn_api *a, cpn_inlet *in, cpn_rdp *r, const char *program, cpn_err *err)
{
    const cpn_args *args = &a->cli->args;
    const char *file = cpn_args_get(args, "file");
    bool connects = !file && !cpn_args_has(args, "configure");
    cpn_rc rc = connects ? cpn_target_ask(&in->target, a, err)
                         : cpn_target_resolve(&in->target, a, NULL, err);

    if (rc == CPN_OK)
        rc = cpn_rdp_load(r, a, &in->target, err);
    if (rc == CPN_OK)
        rc = cpn_rdp_read(r, a->cli, err);
    if (rc == CPN_OK && cpn_args_has(args, "configure")) {
        rc = cpn_rdp_save(r, a, &in->target, err);
        if (rc == CPN_OK)
            cpn_say("saved for %s", in->target.label);
        return rc;
    }
    if (rc != CPN_OK || file)
        return rc == CPN_OK ? write_file(r, &in->target, file, r->port, err) : rc;
    rc = listen_here(a, in, r, err);
    return rc == CPN_OK ? connect_desktop(a, in, r, program, err) : rc;
}

/* With the machine named by an option every argument is FreeRDP's. */
static cpn_rc
read_target(cpn_target *t, cpn_cli *cli, cpn_err *err)
{
    unsigned args = cli->args.args;
    cpn_rc rc;

    cli->args.args = cpn_args_has(&cli->args, "target-resource-id") ||
                             cpn_args_has(&cli->args, "target-ip-address")
                         ? 0
                         : CPN_MIN(args, 1u);
    rc = cpn_target_read(t, cli, err);
    cli->args.args = args;
    return rc;
}

static cpn_rc
rdp_run(cpn_cli *cli, cpn_err *err)
{
    cpn_inlet in = CPN_INLET_NONE;
    char program[CPN_PROGRAM_PATH] = "";
    cpn_rdp r = { 0 };
    cpn_api a = { 0 };
    bool only = cpn_args_has(&cli->args, "file") || cpn_args_has(&cli->args, "configure");
    cpn_rc rc = read_target(&in.target, cli, err);

    if (rc == CPN_OK) {
        cpn_rdp typed = { 0 };

        rc = cpn_rdp_read(&typed, cli, err); /* before anything connects */
    }
    if (rc == CPN_OK && !only)
        rc = find(program, err);
    if (rc == CPN_OK)
        rc = cpn_api_open(&a, cli, err);
    if (rc == CPN_OK)
        rc = run(&a, &in, &r, program, err);
    cpn_inlet_close(&in);
    cpn_rdp_fini(&r);
    cpn_api_fini(&a);
    return rc;
}

const cpn_cmd cpn_cmd_rdp = {
    .name = "rdp",
    .brief = "Open a private machine's desktop with FreeRDP",
    .flags = CPN_CMD_CALLS,
    .opts = opts,
    .args = "[TARGET] [-- ARGS]",
    .others = "options of FreeRDP go behind --, as in 'caponier rdp TARGET -- /sound'",
    .names = "machines",
    .args_help = "the machine, by short name, resource id or address; ARGS go to FreeRDP",
    .max_args = CPN_RDP_ARGS_MAX + 1,
    .examples =
        (const cpn_example[]){
            { "caponier rdp win1 --username ada", "FreeRDP asks for the password" },
            { "caponier rdp win1 --username ada --size 1600x900 --configure",
              "from now on: caponier rdp win1" },
            { "caponier rdp win1 --file win1.rdp --port 53389", "for another program" },
            { "caponier rdp win1 -- /sound /drive:work,/home/ada/work", "whatever FreeRDP can do" },
            { 0 } },
    .run = rdp_run,
};
