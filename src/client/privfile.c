/* Reads and replaces files that hold secrets, and refuses those that others could have touched. */
#include "client/privfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PATH_SIZE 4096
#define LOCK_WAIT_NS 10000000L /* between two tries */
#define LOCK_TRIES 500         /* 5 s: it is held while a file is written */
#define LOCK_TRIES_FILE 2000   /* 20 s: it is held while the gateway is asked */

static cpn_rc
check(int fd, const char *name, mode_t kind, cpn_err *err)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return cpn_fail(err, CPN_E_SYS, "%s: %s", name, strerror(errno));
    if ((st.st_mode & S_IFMT) != kind)
        return cpn_fail(err, CPN_E_CONF, "%s is not a %s", name,
                        kind == S_IFDIR ? "folder" : "regular file");
    if (st.st_uid != geteuid())
        return cpn_fail(err, CPN_E_CONF, "%s belongs to another user (uid %u)", name,
                        (unsigned)st.st_uid);
    if (st.st_mode & 077)
        return cpn_fail(err, CPN_E_CONF, "%s is open to other users (mode %04o); chmod %s it", name,
                        (unsigned)(st.st_mode & 07777), kind == S_IFDIR ? "0700" : "0600");
    return CPN_OK;
}

static cpn_rc
open_failed(const char *name, cpn_err *err)
{
    if (errno == ENOENT)
        return cpn_fail(err, CPN_NOT_FOUND, "%s: not there", name);
    if (errno == ELOOP || errno == ENOTDIR)
        return cpn_fail(err, CPN_E_CONF, "%s is a symbolic link or not what it should be; refused",
                        name);
    return cpn_fail(err, CPN_E_SYS, "%s: %s", name, strerror(errno));
}

/* mkdir -p: parents that exist may be symlinks and of any mode, like ~/.config. */
static cpn_rc
make_path(const char *path, cpn_err *err)
{
    char part[PATH_SIZE];
    size_t n = strlen(path);

    if (n >= sizeof(part))
        return cpn_fail(err, CPN_E_CONF, "the path of the configuration folder is too long");
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0700) < 0 && errno != EEXIST)
            return cpn_fail(err, CPN_E_SYS, "cannot make %s: %s", part, strerror(errno));
    }
    return CPN_OK;
}

cpn_rc
cpn_privdir_open(const char *path, bool make, int *out, cpn_err *err)
{
    CPN_AUTO(cpn_auto_fd) int fd = -1;
    cpn_rc rc;

    if (make && (rc = make_path(path, err)) != CPN_OK)
        return rc;
    fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return open_failed(path, err);
    if ((rc = check(fd, path, S_IFDIR, err)) != CPN_OK)
        return rc;
    *out = cpn_steal_fd(&fd);
    return CPN_OK;
}

static cpn_rc
lock_within(int fd, int tries, cpn_err *err)
{
    struct timespec wait = { 0, LOCK_WAIT_NS };

    for (int i = 0; i < tries; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return CPN_OK;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return cpn_fail(err, CPN_E_SYS, "locking the configuration folder: %s",
                            strerror(errno));
        nanosleep(&wait, NULL);
    }
    return cpn_fail(err, CPN_UNAVAILABLE, "another caponier holds the configuration folder");
}

cpn_rc
cpn_privdir_lock(int dirfd, cpn_err *err)
{
    return lock_within(dirfd, LOCK_TRIES, err);
}

cpn_rc
cpn_privfile_lock(int dirfd, const char *name, int *out, cpn_err *err)
{
    CPN_AUTO(cpn_auto_fd)
    int fd = openat(dirfd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    cpn_rc rc;

    if (fd < 0)
        return open_failed(name, err);
    if ((rc = check(fd, name, S_IFREG, err)) != CPN_OK ||
        (rc = lock_within(fd, LOCK_TRIES_FILE, err)) != CPN_OK)
        return rc;
    *out = cpn_steal_fd(&fd);
    return CPN_OK;
}

/* To the end, or one byte beyond the maximum. */
static cpn_rc
read_all(int fd, const char *name, cpn_buf *out, cpn_err *err)
{
    uint8_t chunk[4096];
    ssize_t n;
    cpn_rc rc = CPN_OK;

    while (rc == CPN_OK && (n = read(fd, chunk, sizeof(chunk))) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            rc = cpn_fail(err, CPN_E_SYS, "%s: %s", name, strerror(errno));
        else if (cpn_buf_append(out, (cpn_view){ chunk, (size_t)n }) != CPN_OK)
            rc = cpn_fail(err, CPN_E_CONF, "%s is longer than %zu bytes", name, out->max);
    }
    explicit_bzero(chunk, sizeof(chunk));
    return rc;
}

cpn_rc
cpn_privfile_read(int dirfd, const char *name, cpn_buf *out, cpn_err *err)
{
    /* O_NONBLOCK: a FIFO must not hang us before it is refused. */
    CPN_AUTO(cpn_auto_fd)
    int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    cpn_rc rc;

    if (fd < 0)
        return open_failed(name, err);
    if ((rc = check(fd, name, S_IFREG, err)) != CPN_OK)
        return rc;
    return read_all(fd, name, out, err);
}

static cpn_rc
write_all(int fd, cpn_view v, cpn_err *err)
{
    while (v.n > 0) {
        ssize_t n = write(fd, v.p, v.n);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return cpn_fail(err, CPN_E_SYS, "writing: %s", strerror(errno));
        v = cpn_view_skip(v, (size_t)n);
    }
    if (fsync(fd) < 0)
        return cpn_fail(err, CPN_E_SYS, "writing: %s", strerror(errno));
    return CPN_OK;
}

cpn_rc
cpn_privfile_write(int dirfd, const char *name, cpn_view content, cpn_err *err)
{
    char temp[256];
    CPN_AUTO(cpn_auto_fd) int fd = -1;
    cpn_rc rc;

    if ((size_t)snprintf(temp, sizeof(temp), ".%s.new", name) >= sizeof(temp))
        return cpn_fail(err, CPN_INVALID, "the name of a file is too long");
    /* Left behind by one that died; the lock says that nobody is at it now. */
    (void)unlinkat(dirfd, temp, 0);
    fd = openat(dirfd, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return cpn_fail(err, CPN_E_SYS, "%s: %s", temp, strerror(errno));
    rc = write_all(fd, content, err);
    if (rc == CPN_OK && renameat(dirfd, temp, dirfd, name) < 0)
        rc = cpn_fail(err, CPN_E_SYS, "%s: %s", name, strerror(errno));
    if (rc == CPN_OK)
        (void)fsync(dirfd); /* losing the rename costs a sign-in, nothing else */
    else
        (void)unlinkat(dirfd, temp, 0);
    return rc;
}
