/* Runs the user's ssh or scp through the gateway. */
#include "client/sshrun.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/program.h"
#include "client/sshconfig.h"
#include "client/sshscan.h"
#include "codec/digest.h"

#define PATH_BYTES 4096
#define HTTPS_PORT 443

/* ---- arguments ---- */

cpn_rc
cpn_sshrun_add(cpn_sshrun *r, cpn_err *err, const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;
    int n;

    if (r->n == CPN_SSHRUN_ARGS)
        return cpn_fail(err, CPN_LIMIT, "more than %d arguments", CPN_SSHRUN_ARGS);
    va_start(ap, fmt);
    n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n < 0)
        return cpn_fail(err, CPN_E_NOMEM, "arguments");
    r->argv[r->n++] = text;
    return CPN_OK;
}

void
cpn_sshrun_fini(cpn_sshrun *r)
{
    for (unsigned i = 0; i < r->n; i++)
        free(r->argv[i]);
    *r = (cpn_sshrun){ 0 };
}

/* As a word that neither ssh nor a shell takes for anything else. */
static void
alias_of(const cpn_target *t, char *out, size_t size)
{
    size_t n = 0;

    if (!isalnum((unsigned char)t->label[0]))
        out[n++] = 'm';
    for (const char *p = t->label; *p && n + 1 < size; p++)
        out[n++] = isalnum((unsigned char)*p) || *p == '.' || *p == '-' ? *p : '_';
    out[n] = '\0';
}

/* The gateway's own name, as alias_of has a machine's. */
static void
gateway_of(const cpn_api *a, char *out, size_t size)
{
    char port[8] = "";
    char *p = out;

    if (a->url.port != HTTPS_PORT)
        snprintf(port, sizeof(port), "_%u", (unsigned)a->url.port);
    snprintf(out, size, "%s%s", a->url.host, port);
    for (; *p; p++)
        *p = isalnum((unsigned char)*p) || *p == '.' || *p == '-' ? *p : '_';
}

static cpn_rc
put_word(cpn_buf *b, const char *option, const char *text, cpn_err *err)
{
    cpn_rc rc;

    if (!text || !text[0])
        return CPN_OK;
    if (!cpn_ssh_text_ok(text))
        return cpn_fail(err, CPN_INVALID, "'%s' cannot stand in an option of ssh", text);
    rc = cpn_buf_printf(b, " %s'", option);
    if (rc == CPN_OK)
        rc = cpn_ssh_put_percent(b, text);
    if (rc == CPN_OK)
        rc = cpn_buf_append(b, CPN_VIEW_LIT("'"));
    return rc == CPN_OK ? CPN_OK : cpn_fail(err, CPN_INVALID, "the ProxyCommand is too long");
}

/* This program's connect, with everything resolved. */
static cpn_rc
add_proxy(cpn_sshrun *r, const cpn_api *a, const cpn_target *t, cpn_err *err)
{
    cpn_buf b = { .max = PATH_BYTES * 4 };
    const char *ca = cpn_args_get(&a->cli->args, "ca");
    char self[PATH_BYTES], real[PATH_BYTES];
    cpn_rc rc = cpn_ssh_self(self, sizeof(self), err);

    if (rc == CPN_OK && ca && !realpath(ca, real)) /* PATH_MAX is 4096 */
        rc = cpn_fail(err, CPN_INVALID, "--ca: there is no %s", ca);
    if (rc == CPN_OK)
        rc = put_word(&b, "", self, err);
    if (rc == CPN_OK)
        rc = put_word(&b, "connect --gateway=", a->origin, err);
    if (rc == CPN_OK)
        rc = put_word(&b, "--account=", cpn_args_get(&a->cli->args, "account"), err);
    if (rc == CPN_OK && ca)
        rc = put_word(&b, "--ca=", real, err);
    if (rc == CPN_OK)
        rc = put_word(&b, "--name=", t->bastion, err);
    if (rc == CPN_OK)
        rc = put_word(&b, "--target-resource-id=", t->resource, err);
    if (rc == CPN_OK)
        rc = put_word(&b, "--target-ip-address=", t->address, err);
    if (rc == CPN_OK)
        rc = cpn_sshrun_add(r, err, "-oProxyCommand=%.*s --resource-port=%u",
                            CPN_VIEW_ARG(cpn_buf_view(&b)), t->port);
    cpn_buf_fini(&b);
    return rc;
}

/* The host's name for ssh, of which it makes that of a shared connection (ControlPath %h, %C): one
 * that exists already leads nowhere but to this machine, gateway and account, and to this port. */
static cpn_rc
add_name(cpn_sshrun *r, const cpn_api *a, const cpn_target *t, cpn_err *err)
{
    char gateway[CPN_URL_HOSTPORT_SIZE], hex[CPN_SHA256_HEX_SIZE];
    CPN_AUTO(cpn_buf_fini) cpn_buf b = { .max = PATH_BYTES };
    cpn_rc rc = cpn_buf_printf(&b, "%s\n%s\n%s\n%s", a->origin, t->resource, t->address,
                               a->ctx.user ? a->ctx.user : "");

    if (rc != CPN_OK)
        return cpn_fail(err, CPN_INVALID, "the account's name is too long");
    cpn_sha256_hex(cpn_buf_view(&b), hex);
    gateway_of(a, gateway, sizeof(gateway));
    rc = cpn_sshrun_add(r, err, "-oHostName=%s.%.8s.%s", r->alias, hex, gateway);
    return rc == CPN_OK ? cpn_sshrun_add(r, err, "-oPort=%u", t->port) : rc;
}

cpn_rc
cpn_sshrun_begin(cpn_sshrun *r, const char *program, const cpn_api *a, const cpn_target *t,
                 cpn_err *err)
{
    cpn_rc rc = cpn_hostkeys_folder(r->folder, sizeof(r->folder), err);

    alias_of(t, r->alias, sizeof(r->alias));
    if (rc == CPN_OK)
        rc = cpn_sshrun_add(r, err, "%s", program);
    if (rc == CPN_OK)
        rc = add_proxy(r, a, t, err);
    return rc == CPN_OK ? add_name(r, a, t, err) : rc;
}

/* ---- host keys ---- */

cpn_rc
cpn_sshrun_known_hosts(cpn_sshrun *r, const char *file, cpn_err *err)
{
    cpn_buf b = { .max = PATH_BYTES * 2 };
    cpn_rc rc;

    if (!cpn_ssh_text_ok(r->folder))
        return cpn_fail(err, CPN_INVALID, "'%s' cannot stand in an option of ssh", r->folder);
    rc = cpn_ssh_put_percent(&b, r->folder);
    if (rc == CPN_OK)
        rc = cpn_sshrun_add(r, err, "-oUserKnownHostsFile=\"%.*s/%s\"",
                            CPN_VIEW_ARG(cpn_buf_view(&b)), file);
    cpn_buf_fini(&b);
    return rc;
}

void
cpn_sshrun_file(const cpn_api *a, const cpn_target *t, const char *use, char out[96])
{
    char hex[CPN_SHA256_HEX_SIZE], text[CPN_URL_ORIGIN_SIZE + CPN_ID_MAX + 80];

    snprintf(text, sizeof(text), "%s\n%s\n%s", a->origin, t->resource, t->address);
    cpn_sha256_hex(cpn_view_str(text), hex);
    snprintf(out, 96, "%s-%.32s", use, hex);
}

/* Against the gateway's keys, whatever the user's configuration has. */
static cpn_rc
check_strictly(cpn_sshrun *r, const char *file, cpn_err *err)
{
    static const char *const fixed[] = {
        "-oStrictHostKeyChecking=yes", "-oGlobalKnownHostsFile=/dev/null",
        "-oKnownHostsCommand=none",    "-oCheckHostIP=no",
        "-oUpdateHostKeys=no",         "-oVerifyHostKeyDNS=no"
    };
    cpn_rc rc = cpn_sshrun_add(r, err, "-oHostKeyAlias=%s", r->alias);

    for (size_t i = 0; i < CPN_COUNT(fixed) && rc == CPN_OK; i++)
        rc = cpn_sshrun_add(r, err, "%s", fixed[i]);
    return rc == CPN_OK ? cpn_sshrun_known_hosts(r, file, err) : rc;
}

/* No machine of the gateway's: the user's own known_hosts decides, and ssh asks, as for every host
 * that is new to it. Networks behind other gateways may have the same address. */
static cpn_rc
check_as_ever(cpn_sshrun *r, const cpn_api *a, cpn_err *err)
{
    char gateway[CPN_URL_HOSTPORT_SIZE];
    cpn_rc rc;

    gateway_of(a, gateway, sizeof(gateway));
    rc = cpn_sshrun_add(r, err, "-oHostKeyAlias=%s.%s", r->alias, gateway);
    if (rc == CPN_OK)
        rc = cpn_sshrun_add(r, err, "-oCheckHostIP=no");
    return rc == CPN_OK ? cpn_sshrun_add(r, err, "-oVerifyHostKeyDNS=no") : rc;
}

cpn_rc
cpn_sshrun_check_keys(cpn_sshrun *r, const cpn_api *a, const cpn_target *t, const json_t *said,
                      cpn_err *err)
{
    const json_t *keys = json_object_get(said, "sshHostKeys");
    char file[96];
    cpn_rc rc;

    if (t->address[0] && !json_object_get(said, "targetResourceId"))
        return check_as_ever(r, a, err);
    if (json_array_size(keys) == 0)
        return cpn_sshscan_refuse(a, t, err);
    cpn_sshrun_file(a, t, "ssh", file);
    rc = cpn_hostkeys_keep(r->folder, file, r->alias, keys, err);
    return rc == CPN_OK ? check_strictly(r, file, err) : rc;
}

/* ---- running ---- */

cpn_rc
cpn_sshrun_exec(cpn_sshrun *r, cpn_err *err)
{
    char program[CPN_PROGRAM_PATH];

    if (cpn_program_find(r->argv[0], program) != CPN_OK)
        return cpn_fail(err, CPN_E_SYS, "there is no %s in PATH; Debian has it in openssh-client",
                        r->argv[0]);
    r->argv[r->n] = NULL;
    signal(SIGPIPE, SIG_DFL); /* ignored ones stay so across exec */
    fflush(NULL);
    execv(program, r->argv);
    return cpn_fail(err, CPN_E_SYS, "%s: %s", program, strerror(errno));
}
