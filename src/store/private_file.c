/* Opens, checks and replaces files that only this user may read. */
#include "store/private_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static cpn_rc
fail_errno(cpn_err *err, const char *what, const char *path)
{
    return cpn_fail(err, CPN_E_SYS, "%s %s: %s", what, path, strerror(errno));
}

/* The directory's descriptor, checked. */
static cpn_rc
open_dir(const char *path, int *out, cpn_err *err)
{
    char copy[PATH_MAX];
    CPN_AUTO(cpn_auto_fd) int fd = -1;
    const char *dir;
    struct stat st;

    if (!cpn_view_copy(cpn_view_str(path), copy, sizeof(copy)))
        return cpn_fail(err, CPN_E_CONF, "%.100s…: the path is too long", path);
    dir = dirname(copy);
    if ((fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0 || fstat(fd, &st) < 0)
        return fail_errno(err, "opening the directory", dir);
    if (st.st_uid != geteuid() && st.st_uid != 0)
        return cpn_fail(err, CPN_E_CONF, "%s belongs to another user (uid %u): chown it to uid %u",
                        dir, (unsigned)st.st_uid, (unsigned)geteuid());
    if (st.st_mode & (S_IWGRP | S_IWOTH))
        return cpn_fail(err, CPN_E_CONF, "%s can be written by other users: chmod go-w %s", dir,
                        dir);
    *out = cpn_steal_fd(&fd);
    return CPN_OK;
}

cpn_rc
cpn_private_dir_check(const char *path, cpn_err *err)
{
    CPN_AUTO(cpn_auto_fd) int dir = -1;

    return open_dir(path, &dir, err);
}

static cpn_rc
check_open_file(int fd, const char *path, cpn_err *err)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return fail_errno(err, "looking at", path);
    if (!S_ISREG(st.st_mode))
        return cpn_fail(err, CPN_E_CONF, "%s is not a regular file", path);
    if (st.st_nlink != 1)
        return cpn_fail(err, CPN_E_CONF, "%s has a second name (hard link)", path);
    if (st.st_uid != geteuid())
        return cpn_fail(err, CPN_E_CONF, "%s belongs to another user (uid %u)", path,
                        (unsigned)st.st_uid);
    if (st.st_mode & 077)
        return cpn_fail(err, CPN_E_CONF, "%s is open to other users (mode %04o): chmod 600 %s",
                        path, (unsigned)(st.st_mode & 07777), path);
    return CPN_OK;
}

static cpn_rc
open_checked(const char *path, int flags, int *out, cpn_err *err)
{
    /* O_NONBLOCK: a FIFO in its place must not hold us. */
    CPN_AUTO(cpn_auto_fd)
    int fd = open(path, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0600);
    cpn_rc rc;

    if (fd < 0 && errno == ENOENT)
        return cpn_fail(err, CPN_NOT_FOUND, "%s does not exist", path);
    if (fd < 0 && errno == ELOOP)
        return cpn_fail(err, CPN_E_CONF, "%s is a symbolic link", path);
    if (fd < 0)
        return fail_errno(err, "opening", path);
    if ((rc = check_open_file(fd, path, err)) != CPN_OK)
        return rc;
    *out = cpn_steal_fd(&fd);
    return CPN_OK;
}

cpn_rc
cpn_private_file_check(const char *path, bool create, cpn_err *err)
{
    CPN_AUTO(cpn_auto_fd) int fd = -1;

    return open_checked(path, O_RDWR | (create ? O_CREAT : 0), &fd, err);
}

cpn_rc
cpn_private_file_read(const char *path, cpn_buf *out, cpn_err *err)
{
    CPN_AUTO(cpn_auto_fd) int fd = -1;
    uint8_t piece[4096];
    ssize_t n;
    cpn_rc rc = open_checked(path, O_RDONLY, &fd, err);

    while (rc == CPN_OK && (n = read(fd, piece, sizeof(piece))) != 0) {
        if (n < 0)
            rc = fail_errno(err, "reading", path);
        else if (cpn_buf_append(out, (cpn_view){ piece, (size_t)n }) != CPN_OK)
            rc = cpn_fail(err, CPN_LIMIT, "%s is longer than %zu bytes", path, out->max);
    }
    explicit_bzero(piece, sizeof(piece));
    return rc;
}

static cpn_rc
write_all(int fd, cpn_view v, const char *path, cpn_err *err)
{
    while (v.n) {
        ssize_t n = write(fd, v.p, v.n);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return fail_errno(err, "writing", path);
        v = cpn_view_skip(v, (size_t)n);
    }
    return fsync(fd) < 0 ? fail_errno(err, "syncing", path) : CPN_OK;
}

cpn_rc
cpn_private_file_write(const char *path, cpn_view content, cpn_err *err)
{
    CPN_AUTO(cpn_auto_fd) int dir = -1;
    CPN_AUTO(cpn_auto_fd) int fd = -1;
    char fresh[PATH_MAX];
    cpn_rc rc = open_dir(path, &dir, err);

    if (rc != CPN_OK)
        return rc;
    if ((size_t)snprintf(fresh, sizeof(fresh), "%s.new", path) >= sizeof(fresh))
        return cpn_fail(err, CPN_E_CONF, "%.100s…: the path is too long", path);
    if (unlink(fresh) < 0 && errno != ENOENT)
        return fail_errno(err, "removing", fresh);
    fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail_errno(err, "making", fresh);
    if (fchmod(fd, 0600) < 0)
        rc = fail_errno(err, "setting the mode of", fresh);
    else
        rc = write_all(fd, content, fresh, err);
    if (rc == CPN_OK && rename(fresh, path) < 0)
        rc = fail_errno(err, "renaming", fresh);
    if (rc != CPN_OK) {
        unlink(fresh);
        return rc;
    }
    return fsync(dir) < 0 ? fail_errno(err, "syncing the directory of", path) : CPN_OK;
}
