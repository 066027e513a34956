/* Watches processes of this user, and keeps this one from being ended. */
#include "client/process.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

/* The real uid of the process that has this number now. */
static bool
owner_of(pid_t pid, unsigned *out)
{
    char path[64], line[256];
    bool found = false;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    if (!(f = fopen(path, "re")))
        return false;
    while (!found && fgets(line, sizeof(line), f))
        found = sscanf(line, "Uid:\t%u", out) == 1;
    fclose(f);
    return found;
}

static bool
has_ended(int pidfd)
{
    struct pollfd p = { .fd = pidfd, .events = POLLIN };

    return poll(&p, 1, 0) != 0;
}

cpn_rc
cpn_process_open(pid_t pid, int *out, cpn_err *err)
{
    CPN_AUTO(cpn_auto_fd) int fd = pidfd_open(pid, 0);
    unsigned uid = 0;
    bool known;

    if (fd < 0 && errno != ESRCH && errno != EINVAL)
        return cpn_fail(err, CPN_E_SYS, "--exit-with %d: %s", (int)pid, strerror(errno));
    /* Opened first: if it lives after the look, the look was at this process and no later one. */
    known = fd >= 0 && owner_of(pid, &uid);
    if (fd < 0 || !known || has_ended(fd))
        return cpn_fail(err, CPN_INVALID, "--exit-with %d: there is no such process", (int)pid);
    if (uid != getuid())
        return cpn_fail(err, CPN_INVALID, "--exit-with %d: a process of another user (uid %u)",
                        (int)pid, uid);
    *out = cpn_steal_fd(&fd);
    return CPN_OK;
}

sigset_t
cpn_process_hold(void)
{
    static const int polite[] = { SIGINT, SIGTERM, SIGHUP };
    sigset_t set, before;

    sigemptyset(&set);
    for (size_t i = 0; i < CPN_COUNT(polite); i++)
        sigaddset(&set, polite[i]);
    pthread_sigmask(SIG_BLOCK, &set, &before);
    return before;
}

void
cpn_process_release(const sigset_t *before)
{
    pthread_sigmask(SIG_SETMASK, before, NULL);
}
