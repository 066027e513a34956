/* Reads and replaces a file of the user's own. */
#include "client/userfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static cpn_rc
check(const struct stat *st, const char *path, cpn_err *err)
{
    if (!S_ISREG(st->st_mode))
        return cpn_fail(err, CPN_E_CONF, "%s is not a file", path);
    if (st->st_uid != geteuid() && st->st_uid != 0)
        return cpn_fail(err, CPN_E_CONF, "%s belongs to uid %u, not to you", path,
                        (unsigned)st->st_uid);
    if (st->st_mode & (S_IWGRP | S_IWOTH))
        return cpn_fail(err, CPN_E_CONF, "others may write %s (mode %04o)", path,
                        (unsigned)st->st_mode & 07777);
    return CPN_OK;
}

cpn_rc
cpn_userfile_read(const char *path, cpn_buf *out, cpn_err *err)
{
    CPN_AUTO(cpn_auto_fd) int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    uint8_t chunk[4096];
    struct stat st;
    ssize_t n;
    cpn_rc rc;

    if (fd < 0 && errno == ENOENT)
        return CPN_OK;
    if (fd < 0 || fstat(fd, &st) < 0)
        return cpn_fail(err, CPN_E_SYS, "%s: %s", path, strerror(errno));
    rc = check(&st, path, err);
    while (rc == CPN_OK && (n = read(fd, chunk, sizeof(chunk))) != 0) {
        if (n < 0)
            rc = cpn_fail(err, CPN_E_SYS, "%s: %s", path, strerror(errno));
        else if (cpn_buf_append(out, (cpn_view){ chunk, (size_t)n }) != CPN_OK)
            rc = cpn_fail(err, CPN_E_CONF, "%s is longer than %zu bytes", path, out->max);
    }
    return rc;
}

/* Where the file really lies, behind links; its folder is made when the last one is missing. */
static cpn_rc
real_place(const char *path, char out[PATH_MAX], cpn_err *err)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;

    if (realpath(path, out))
        return CPN_OK;
    if (n == 0 || n >= sizeof(folder) || !slash[1])
        return cpn_fail(err, CPN_INVALID, "'%s' is not the absolute path of a file", path);
    memcpy(folder, path, n);
    folder[n] = '\0';
    if (mkdir(folder, 0700) < 0 && errno != EEXIST)
        return cpn_fail(err, CPN_E_SYS, "%s: %s", folder, strerror(errno));
    if (!realpath(folder, out))
        return cpn_fail(err, CPN_E_SYS, "%s: %s", folder, strerror(errno));
    n = strlen(out);
    if ((size_t)snprintf(out + n, PATH_MAX - n, "%s", slash) >= PATH_MAX - n)
        return cpn_fail(err, CPN_INVALID, "the path is too long");
    return CPN_OK;
}

static cpn_rc
fill(int fd, mode_t mode, cpn_view v, cpn_err *err)
{
    while (v.n > 0) {
        ssize_t n = write(fd, v.p, v.n);

        if (n < 0 && errno != EINTR)
            return cpn_fail(err, CPN_E_SYS, "writing: %s", strerror(errno));
        v = cpn_view_skip(v, n < 0 ? 0 : (size_t)n);
    }
    if (fchmod(fd, mode) < 0 || fsync(fd) < 0)
        return cpn_fail(err, CPN_E_SYS, "writing: %s", strerror(errno));
    return CPN_OK;
}

cpn_rc
cpn_userfile_write(const char *path, cpn_view content, cpn_err *err)
{
    char real[PATH_MAX], temp[PATH_MAX];
    CPN_AUTO(cpn_auto_fd) int fd = -1;
    struct stat st = { .st_mode = 0600 };
    cpn_rc rc = real_place(path, real, err);

    if (rc != CPN_OK)
        return rc;
    if (stat(real, &st) == 0 && (rc = check(&st, real, err)) != CPN_OK)
        return rc;
    if ((size_t)snprintf(temp, sizeof(temp), "%s.caponier-XXXXXX", real) >= sizeof(temp))
        return cpn_fail(err, CPN_INVALID, "the path is too long");
    fd = mkostemp(temp, O_CLOEXEC);
    if (fd < 0)
        return cpn_fail(err, CPN_E_SYS, "%s: %s", temp, strerror(errno));
    rc = fill(fd, st.st_mode & 0777, content, err);
    if (rc == CPN_OK && rename(temp, real) < 0)
        rc = cpn_fail(err, CPN_E_SYS, "%s: %s", real, strerror(errno));
    if (rc != CPN_OK)
        unlink(temp);
    return rc;
}
