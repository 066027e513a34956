/* What a process gives up before it does anything else. */
#include "ipc/role.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef CPN_SANITIZED
/* The leak checker stops its own process by ptrace, which asks for a dumpable one. */
#define DUMPABLE 1
#else
#define DUMPABLE 0
#endif

/* What a front holds beside connections and streams, with room for those that are being closed. */
#define FRONT_OWN_FILES 128u

void
cpn_role_harden(const char *name)
{
    struct rlimit none = { 0, 0 }, files;

    prctl(PR_SET_NAME, name);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_DUMPABLE, DUMPABLE, 0, 0, 0);
    setrlimit(RLIMIT_CORE, &none);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    umask(077);
    signal(SIGPIPE, SIG_IGN);
}

size_t
cpn_role_front_half(void)
{
    struct rlimit files = { 0, 0 };

    if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur < 2 * FRONT_OWN_FILES)
        return FRONT_OWN_FILES / 2;
    return (size_t)CPN_MIN((files.rlim_cur - FRONT_OWN_FILES) / 2, SIZE_MAX);
}

static cpn_rc
drop_capabilities(cpn_err *err)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (syscall(SYS_capset, &head, none) < 0)
        return cpn_fail(err, CPN_E_SYS, "dropping capabilities: %s", strerror(errno));
    return CPN_OK;
}

static cpn_rc
become(const char *user, cpn_err *err)
{
    struct passwd pw, *found = NULL;
    char names[4096];
    int death = 0, rc = getpwnam_r(user, &pw, names, sizeof(names), &found);

    if (rc != 0 || !found)
        return cpn_fail(err, CPN_E_CONF, "user '%s' does not exist (setting user)", user);
    if (pw.pw_uid == 0)
        return cpn_fail(err, CPN_E_CONF, "user '%s' is root; name another one", user);
    /* The kernel forgets the parent's-death signal when the uid changes. */
    prctl(PR_GET_PDEATHSIG, &death);
    if (initgroups(user, pw.pw_gid) < 0 || setresgid(pw.pw_gid, pw.pw_gid, pw.pw_gid) < 0 ||
        setresuid(pw.pw_uid, pw.pw_uid, pw.pw_uid) < 0)
        return cpn_fail(err, CPN_E_SYS, "becoming user '%s': %s", user, strerror(errno));
    if (setuid(0) == 0 || setgid(0) == 0)
        return cpn_fail(err, CPN_E_SYS, "user '%s' could become root again", user);
    if (death)
        prctl(PR_SET_PDEATHSIG, death);
    prctl(PR_SET_DUMPABLE, DUMPABLE, 0, 0, 0);
    return CPN_OK;
}

cpn_rc
cpn_role_drop(const char *user, cpn_err *err)
{
    cpn_rc rc;

    if (geteuid() == 0 && !user[0])
        return CPN_OK;
    if (geteuid() == 0 && (rc = become(user, err)) != CPN_OK)
        return rc;
    return drop_capabilities(err);
}
