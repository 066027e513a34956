/* Runs ssh-keygen apart from everything: no terminal, no environment, no descriptor, no shell. */
#include "identity/sshkeygen.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SAID "errors"
#define SAID_MAX 240

/* ---- the folder ---- */

cpn_rc
cpn_keygen_dir_make(cpn_keygen_dir *out, const char *parent, cpn_err *err)
{
    int n = snprintf(out->path, sizeof(out->path), "%s/XXXXXX", parent);

    if (n < 0 || (size_t)n >= sizeof(out->path)) {
        out->path[0] = '\0';
        return cpn_fail(err, CPN_E_CONF, "%s: the path is too long", parent);
    }
    if ((mkdir(parent, 0700) < 0 && errno != EEXIST) || !mkdtemp(out->path)) {
        out->path[0] = '\0';
        return cpn_fail(err, CPN_E_SYS, "%s: %s", parent, strerror(errno));
    }
    return CPN_OK;
}

cpn_rc
cpn_keygen_dir_put(const cpn_keygen_dir *d, const char *name, cpn_view content, cpn_err *err)
{
    CPN_AUTO(cpn_auto_fd) int dir = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CPN_AUTO(cpn_auto_fd)
    int fd = dir < 0 ? -1 : openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0 || write(fd, content.p, content.n) != (ssize_t)content.n)
        return cpn_fail(err, CPN_E_SYS, "%s/%s: %s", d->path, name, strerror(errno));
    return CPN_OK;
}

/* Files in the folder, which then goes itself; links are never followed. */
static void
remove_flat(int parent, const char *name)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *e;

    if (!d) {
        if (fd >= 0)
            close(fd);
        (void)unlinkat(parent, name, 0);
        return;
    }
    while ((e = readdir(d)) != NULL)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            (void)unlinkat(fd, e->d_name, 0);
    closedir(d);
    (void)unlinkat(parent, name, AT_REMOVEDIR);
}

void
cpn_keygen_dir_wipe(cpn_keygen_dir *d)
{
    if (d->path[0])
        remove_flat(AT_FDCWD, d->path);
    d->path[0] = '\0';
}

void
cpn_keygen_dirs_sweep(const char *parent)
{
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *e;

    if (!d) {
        if (fd >= 0)
            close(fd);
        return;
    }
    while ((e = readdir(d)) != NULL)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            remove_flat(fd, e->d_name);
    closedir(d);
}

/* ---- the child ---- */

/* The first line of what it said, printable. */
static void
said_read(const char *path, char out[SAID_MAX])
{
    CPN_AUTO(cpn_auto_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n = fd >= 0 ? read(fd, out, SAID_MAX - 1) : -1;
    size_t end = 0;

    while ((ssize_t)end < n && out[end] != '\n' && out[end] != '\r') {
        if ((unsigned char)out[end] < 0x20 || (unsigned char)out[end] > 0x7e)
            out[end] = '?';
        end++;
    }
    out[end] = '\0';
}

/* Wait at most so long, then kill. False: it took too long. */
static bool
wait_for(pid_t pid, unsigned timeout_ms, int *status)
{
    CPN_AUTO(cpn_auto_fd) int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd p = { .fd = fd, .events = POLLIN };
    int n;
    bool ended;

    do
        n = fd >= 0 ? poll(&p, 1, (int)timeout_ms) : 0;
    while (n < 0 && errno == EINTR);
    ended = n == 1;
    if (!ended)
        kill(pid, SIGKILL);
    while (waitpid(pid, status, 0) < 0 && errno == EINTR)
        ;
    return ended;
}

/* 0, or the number of what went wrong. */
static int
start(pid_t *pid, const char *program, const char *const argv[], const char *said,
      char *const environment[])
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none, all;
    int rc;

    if ((rc = posix_spawn_file_actions_init(&files)) != 0)
        return rc;
    if ((rc = posix_spawnattr_init(&attr)) != 0) {
        posix_spawn_file_actions_destroy(&files);
        return rc;
    }
    sigemptyset(&none);
    sigfillset(&all);
    if ((rc = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0)) == 0 &&
        (rc = posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0)) == 0 &&
        (rc = posix_spawn_file_actions_addopen(&files, 2, said, O_WRONLY | O_CREAT | O_EXCL,
                                               0600)) == 0 &&
        (rc = posix_spawn_file_actions_addclosefrom_np(&files, 3)) == 0 &&
        (rc = posix_spawnattr_setsigmask(&attr, &none)) == 0 &&
        (rc = posix_spawnattr_setsigdefault(&attr, &all)) == 0 &&
        (rc = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
                                                  POSIX_SPAWN_SETSIGDEF)) == 0)
        rc = posix_spawn(pid, program, &files, &attr, (char *const *)(uintptr_t)argv, environment);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&files);
    return rc;
}

cpn_rc
cpn_keygen_run(const char *program, const char *const argv[], const cpn_keygen_dir *dir,
               const char *agent, unsigned timeout_ms, cpn_err *err)
{
    char said[CPN_KEYGEN_PATH + 16], sock[CPN_KEYGEN_PATH + 16], text[SAID_MAX];
    char *environment[] = { (char *)(uintptr_t) "LC_ALL=C",
                            (char *)(uintptr_t) "PATH=/usr/bin:/bin", NULL, NULL };
    int status = 0, rc;
    pid_t pid;

    snprintf(said, sizeof(said), "%s/" SAID, dir->path);
    snprintf(sock, sizeof(sock), "SSH_AUTH_SOCK=%s", agent);
    if (agent[0])
        environment[2] = sock;
    rc = start(&pid, program, argv, said, environment);
    if (rc == ENOENT)
        return cpn_fail(err, CPN_NOT_FOUND, "%s: there is no such program", program);
    if (rc != 0)
        return cpn_fail(err, CPN_E_SYS, "%s: %s", program, strerror(rc));
    if (!wait_for(pid, timeout_ms, &status))
        return cpn_fail(err, CPN_UNAVAILABLE, "ssh-keygen took longer than %u ms", timeout_ms);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return CPN_OK;
    said_read(said, text);
    return cpn_fail(err, CPN_E_SYS, "ssh-keygen ended with %d: %s",
                    WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), text);
}
