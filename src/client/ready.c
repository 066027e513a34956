/* Says that a tunnel listens. */
#include "client/ready.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "client/out.h"
#define FD_MAX 1048576

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
tell_json(const cpn_inlet *in, const char *alias, const char *id, cpn_err *err)
{
    const cpn_target *t = &in->target;
    char address[CPN_ADDR_TEXT], now[CPN_TIME_SIZE];
    json_auto_t *event =
        json_pack("{s:s, s:s, s:s, s:s, s:i, s:i}", "event", "ready", "bastion", t->bastion,
                  "target", t->resource[0] ? t->resource : t->address, "hostKeyAlias", alias,
                  "resourcePort", (int)t->port, "pid", (int)getpid());

    if (in->path[0]) {
        json_object_set_new(event, "socket", json_string(in->path));
    } else {
        json_object_set_new(event, "port", json_integer(in->port));
        json_object_set_new(event, "address", json_string(cpn_addr_text(&in->address, address)));
    }
    if (id[0])
        json_object_set_new(event, "id", json_string(id));
    json_object_set_new(event, "time", json_string(cpn_time_rfc3339(cpn_wall_ms(), now)));
    return cpn_out_event(event, err);
}

static void
tell_person(const cpn_inlet *in, const char *alias, const char *id, bool detached)
{
    char address[CPN_ADDR_TEXT], where[CPN_INLET_TEXT];

    cpn_inlet_text(in, where);
    printf("Listening on %s for %s, port %u.", where, alias, in->target.port);
    if (detached)
        printf(" 'caponier tunnel stop %s' ends it.\n", id);
    else
        printf(" Ctrl-C ends it.\n");
    if (!isatty(STDOUT_FILENO) || in->path[0])
        return;
    if (in->target.port == 3389)
        printf("  xfreerdp /v:%s\n", where);
    else
        printf("  ssh -p %u -o HostKeyAlias=%s USER@%s\n", in->port, alias,
               cpn_addr_text(&in->address, address));
}

static cpn_rc
tell_one(const cpn_cli *cli, const cpn_inlet *in, const char *id, bool detached, cpn_err *err)
{
    char alias[sizeof(in->target.label)];

    alias_of(&in->target, alias, sizeof(alias));
    if (cli->format == CPN_FORMAT_JSON)
        return tell_json(in, alias, id, err);
    if (cli->format == CPN_FORMAT_TABLE)
        tell_person(in, alias, id, detached);
    else if (in->path[0])
        printf("%s\n", in->path);
    else
        printf("%u\n", in->port);
    return CPN_OK;
}

cpn_rc
cpn_ready_tell(const cpn_cli *cli, const cpn_inlet *in, unsigned n, const char *id, bool detached,
               cpn_err *err)
{
    cpn_rc rc = CPN_OK;

    for (unsigned i = 0; i < n && rc == CPN_OK; i++)
        rc = tell_one(cli, &in[i], id, detached, err);
    /* A reader that has gone meanwhile is one that has seen enough. */
    if (rc == CPN_OK && fflush(stdout) != 0 && errno != EPIPE)
        return cpn_fail(err, CPN_E_SYS, "stdout: %s", strerror(errno));
    return rc;
}

cpn_rc
cpn_ready_fd(const cpn_cli *cli, int *out, cpn_err *err)
{
    unsigned n = 0;
    int flags;
    cpn_rc rc;

    *out = -1;
    if (!cpn_args_has(&cli->args, "ready-fd"))
        return CPN_OK;
    rc = cpn_args_number(&cli->args, "ready-fd", 3, FD_MAX, &n, err);
    if (rc != CPN_OK)
        return rc;
    flags = fcntl((int)n, F_GETFL);
    if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY || (flags & O_PATH))
        return cpn_fail(err, CPN_INVALID,
                        "--ready-fd %u: not a descriptor that is open for writing", n);
    (void)fcntl((int)n, F_SETFD, FD_CLOEXEC);
    *out = (int)n;
    return CPN_OK;
}

void
cpn_ready_write(CPN_TAKES int fd, const cpn_inlet *in, unsigned n)
{
    CPN_AUTO(cpn_auto_fd) int owned = fd;
    CPN_AUTO(cpn_buf_fini) cpn_buf b = { .max = (size_t)CPN_INLETS_MAX * CPN_INLET_TEXT };
    struct pollfd p = { .fd = owned, .events = POLLOUT };
    char where[CPN_INLET_TEXT];
    cpn_rc rc = CPN_OK;

    for (unsigned i = 0; i < n && rc == CPN_OK; i++)
        rc = cpn_buf_printf(&b, "%s%s", i ? "\t" : "", cpn_inlet_text(&in[i], where));
    if (rc == CPN_OK)
        rc = cpn_buf_append(&b, CPN_VIEW_LIT("\n"));
    if (rc == CPN_OK && poll(&p, 1, 0) == 1 && (p.revents & POLLOUT))
        (void)!write(owned, b.p, b.n);
}
