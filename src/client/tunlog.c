/* Keeps what tunnels in the background have to say, in a file of bounded size. */
#include "client/tunlog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "client/printable.h"
#include "client/rundir.h"

#define NAME "tunnels.log"
#define OLD_NAME "tunnels.log.1"
#define LINE_MAX_BYTES 16384 /* one line goes out in one write */

static struct {
    char id[16];
    int dirfd;
    int fd; /* until it is stderr */
} own = { .dirfd = -1, .fd = -1 };

static char line_room[LINE_MAX_BYTES];

static cpn_rc
open_file(int *out, cpn_err *err)
{
    CPN_AUTO(cpn_auto_fd)
    int fd = openat(own.dirfd, NAME,
                    O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
                    0600);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return cpn_fail(err, errno == ELOOP ? CPN_E_CONF : CPN_E_SYS, NAME ": %s",
                        errno == ELOOP ? "a symbolic link; refused" : strerror(errno));
    if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077))
        return cpn_fail(err, CPN_E_CONF,
                        NAME " is not a regular file that only you can open; refused");
    *out = cpn_steal_fd(&fd);
    return CPN_OK;
}

/* Somebody else has put it aside; the new one is ours too. */
static void
follow(void)
{
    CPN_AUTO(cpn_auto_fd) int fd = -1;

    if (open_file(&fd, NULL) == CPN_OK)
        (void)dup2(fd, STDERR_FILENO);
}

/* One tunnel at a time puts the file aside, and only the one that stands there. */
static void
put_aside(const struct stat *mine)
{
    struct stat there;

    if (flock(STDERR_FILENO, LOCK_EX | LOCK_NB) < 0)
        return;
    if (fstatat(own.dirfd, NAME, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
        there.st_ino == mine->st_ino && there.st_dev == mine->st_dev)
        (void)renameat(own.dirfd, NAME, own.dirfd, OLD_NAME);
    flock(STDERR_FILENO, LOCK_UN);
    follow();
}

static void
before_line(void *arg)
{
    struct stat mine, there;
    char now[CPN_TIME_SIZE];

    (void)arg;
    if (fstat(STDERR_FILENO, &mine) < 0)
        return;
    if (fstatat(own.dirfd, NAME, &there, AT_SYMLINK_NOFOLLOW) < 0 || there.st_ino != mine.st_ino)
        follow();
    else if (mine.st_size >= CPN_TUNLOG_BYTES)
        put_aside(&mine);
    fprintf(stderr, "%s %s ", cpn_time_rfc3339(cpn_wall_ms(), now), own.id);
}

cpn_rc
cpn_tunlog_open(const char *id, cpn_err *err)
{
    cpn_rc rc = cpn_rundir_open(CPN_RUNDIR_STATE, true, &own.dirfd, err);

    snprintf(own.id, sizeof(own.id), "%s", id);
    return rc == CPN_OK ? open_file(&own.fd, err) : rc;
}

cpn_rc
cpn_tunlog_take_stderr(cpn_err *err)
{
    if (dup2(own.fd, STDERR_FILENO) < 0)
        return cpn_fail(err, CPN_E_SYS, NAME ": %s", strerror(errno));
    close(own.fd);
    own.fd = -1;
    setvbuf(stderr, line_room, _IOLBF, sizeof(line_room));
    cpn_say_before(before_line, NULL);
    return CPN_OK;
}
