/* Splits off a process that goes on in the background, and waits until it can. */
#include "client/detach.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The child's status, whatever it died of. */
static int
wait_for(pid_t child)
{
    int status;

    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return 1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The parent's whole life from now on. */
static _Noreturn void
wait_and_exit(int channel, pid_t child)
{
    char byte;
    ssize_t n;

    do
        n = read(channel, &byte, 1);
    while (n < 0 && errno == EINTR);
    _exit(n == 1 ? 0 : wait_for(child));
}

/* Everything from 3 on but these two. */
static void
close_others(int a, int b)
{
    unsigned low = (unsigned)CPN_MIN(a, b), high = (unsigned)CPN_MAX(a, b);

    if (a < 0 || b < 0)
        low = high;
    if (low > 3)
        (void)close_range(3, low - 1, 0);
    if (high > low + 1)
        (void)close_range(low + 1, high - 1, 0);
    (void)close_range(high + 1, ~0u, 0);
}

cpn_rc
cpn_detach_begin(int keep, int *channel, cpn_err *err)
{
    int ends[2];
    pid_t child;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return cpn_fail(err, CPN_E_SYS, "--detach: %s", strerror(errno));
    fflush(NULL);
    child = fork();
    if (child < 0) {
        close(ends[0]);
        close(ends[1]);
        return cpn_fail(err, CPN_E_SYS, "--detach: %s", strerror(errno));
    }
    if (child > 0) {
        close(ends[1]);
        wait_and_exit(ends[0], child);
    }
    close_others(ends[1], keep);
    *channel = ends[1];
    return CPN_OK;
}

cpn_rc
cpn_detach_done(int channel, cpn_err *err)
{
    CPN_AUTO(cpn_auto_fd) int owned = channel;
    CPN_AUTO(cpn_auto_fd) int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    fflush(stdout);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 || setsid() < 0)
        return cpn_fail(err, CPN_E_SYS, "--detach: %s", strerror(errno));
    if (write(owned, "", 1) != 1)
        return cpn_fail(err, CPN_E_SYS, "--detach: nobody waits any more");
    return CPN_OK;
}
