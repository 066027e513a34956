/* Reads host keys by running ssh, without signing in. */
#include "client/sshscan.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/hint.h"
#include "client/privfile.h"
#include "client/sshrun.h"

#define LINE_MAX_BYTES 8192

static cpn_rc
run_and_wait(cpn_sshrun *r, cpn_err *err)
{
    cpn_err lost = { 0 };
    int status = 0;
    pid_t pid = fork();

    if (pid < 0)
        return cpn_fail(err, CPN_E_SYS, "fork: %s", strerror(errno));
    if (pid == 0) {
        (void)!freopen("/dev/null", "r", stdin);
        (void)!freopen("/dev/null", "w", stdout);
        if (cpn_sshrun_exec(r, &lost) != CPN_OK)
            _exit(127);
    }
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return cpn_fail(err, CPN_E_SYS, "waitpid: %s", strerror(errno));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return cpn_fail(err, CPN_E_SYS, "ssh cannot be run");
    return CPN_OK;
}

/* The first line of what ssh wrote: "ALIAS TYPE BASE64". */
static cpn_rc
read_scan(int dirfd, const char *file, const char *alias, char *out, size_t size, cpn_err *err)
{
    cpn_buf b = { .max = LINE_MAX_BYTES };
    cpn_view line, rest, name, key;
    cpn_hostkey k;
    cpn_rc rc = cpn_privfile_read(dirfd, file, &b, err);

    if (rc == CPN_OK) {
        cpn_view_cut(cpn_buf_view(&b), '\n', &line, &rest);
        if (!cpn_view_cut(line, ' ', &name, &key) || !cpn_view_is(name, alias) ||
            cpn_hostkey_parse(&k, key, NULL) != CPN_OK || !cpn_view_copy(key, out, size))
            rc = cpn_fail(err, CPN_UNAVAILABLE, "it shows no host key that can be approved");
    }
    cpn_buf_fini(&b);
    return rc;
}

static cpn_rc
scan_with(cpn_sshrun *r, const cpn_api *a, const cpn_target *t, const char *file, cpn_err *err)
{
    static const char *const fixed[] = { "-Fnone",
                                         "-oStrictHostKeyChecking=no",
                                         "-oGlobalKnownHostsFile=/dev/null",
                                         "-oHashKnownHosts=no",
                                         "-oUpdateHostKeys=no",
                                         "-oCheckHostIP=no",
                                         "-oBatchMode=yes",
                                         "-oPreferredAuthentications=none",
                                         "-oPubkeyAuthentication=no",
                                         "-oLogLevel=QUIET",
                                         "-oConnectTimeout=20",
                                         "-lcaponier-host-key" };
    cpn_rc rc = cpn_sshrun_begin(r, "ssh", a, t, err);

    if (rc == CPN_OK)
        rc = cpn_sshrun_known_hosts(r, file, err);
    for (size_t i = 0; i < CPN_COUNT(fixed) && rc == CPN_OK; i++)
        rc = cpn_sshrun_add(r, err, "%s", fixed[i]);
    if (rc == CPN_OK)
        rc = cpn_sshrun_add(r, err, "-oHostKeyAlias=%s", r->alias);
    if (rc == CPN_OK)
        rc = cpn_sshrun_add(r, err, "%s", r->alias);
    return rc == CPN_OK ? run_and_wait(r, err) : rc;
}

cpn_rc
cpn_sshscan(const cpn_api *a, const cpn_target *t, char *out, size_t size, cpn_err *err)
{
    cpn_sshrun r = { 0 };
    char file[96], use[32], folder[sizeof(r.folder)];
    CPN_AUTO(cpn_auto_fd) int dirfd = -1;
    cpn_rc rc = cpn_hostkeys_folder(folder, sizeof(folder), err);

    snprintf(use, sizeof(use), "scan%d", (int)getpid());
    cpn_sshrun_file(a, t, use, file);
    if (rc == CPN_OK)
        rc = cpn_privdir_open(folder, true, &dirfd, err);
    if (rc == CPN_OK)
        rc = cpn_privfile_write(dirfd, file, (cpn_view){ 0 }, err);
    if (rc == CPN_OK)
        rc = scan_with(&r, a, t, file, err);
    if (rc == CPN_OK)
        rc = read_scan(dirfd, file, r.alias, out, size, err);
    if (dirfd >= 0)
        (void)unlinkat(dirfd, file, 0);
    cpn_sshrun_fini(&r);
    return rc;
}

cpn_rc
cpn_sshscan_refuse(const cpn_api *a, const cpn_target *t, cpn_err *err)
{
    char line[CPN_HOSTKEY_MAX], more[CPN_HOSTKEY_PRINT + 16];
    cpn_hostkey k;
    cpn_rc rc = cpn_sshscan(a, t, line, sizeof(line), err);

    if (rc == CPN_OK)
        rc = cpn_hostkey_parse(&k, cpn_view_str(line), err);
    if (rc != CPN_OK)
        return cpn_ctx(err, rc, "the gateway has no host key of %s", t->label);
    snprintf(more, sizeof(more), "--fingerprint %s", k.print);
    cpn_hint_next(a->cli, "vm hostkey approve", t, more);
    return cpn_fail(err, CPN_DENIED,
                    "the gateway has no host key of %s, which shows %.*s %s; if that is right:",
                    t->label, CPN_VIEW_ARG(k.type), k.print);
}
