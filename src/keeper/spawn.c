/* fork and exec, with the descriptors where the child expects them. */
#include "keeper/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* Above every number that is handed out. */
#define PARKING 128

cpn_rc
cpn_spawn_self(int *exe, cpn_err *err)
{
    *exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (*exe < 0)
        return cpn_fail(err, CPN_E_SYS, "opening our own executable: %s", strerror(errno));
    return CPN_OK;
}

/* Between fork and exec: async-signal-safe calls only. */
static void __attribute__((noreturn))
child(pid_t parent, int exe, const char *const argv[], const int *fds, size_t n)
{
    static const int ours[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD };
    int parked[CPN_SPAWN_FDS_MAX];
    sigset_t none;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(126);
    setpgid(0, 0); /* a terminal's Ctrl-C is for keeper alone */
    for (size_t i = 0; i < CPN_COUNT(ours); i++)
        signal(ours[i], SIG_DFL);
    for (size_t i = 0; i < n; i++)
        if ((parked[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, PARKING)) < 0)
            _exit(126);
    if ((exe = fcntl(exe, F_DUPFD_CLOEXEC, PARKING)) < 0)
        _exit(126);
    for (size_t i = 0; i < n; i++)
        if (dup2(parked[i], CPN_SPAWN_FIRST_FD + (int)i) < 0)
            _exit(126);
    close_range(CPN_SPAWN_FIRST_FD + (unsigned)n, ~0u, CLOSE_RANGE_CLOEXEC);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    fexecve(exe, (char *const *)(uintptr_t)argv, environ);
    _exit(126);
}

cpn_rc
cpn_spawn(pid_t *out, int exe, const char *const argv[], const int *fds, size_t n, cpn_err *err)
{
    pid_t parent = getpid(), pid;
    sigset_t all, before;

    if (n > CPN_SPAWN_FDS_MAX)
        return cpn_fail(err, CPN_E_SYS, "too many descriptors for a child");
    /* The child must not run our handlers: they would write into our own wake-up pipe. */
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid = fork();
    if (pid == 0)
        child(parent, exe, argv, fds, n);
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (pid < 0)
        return cpn_fail(err, CPN_E_SYS, "fork: %s", strerror(errno));
    *out = pid;
    return CPN_OK;
}
