/* Finds the running tunnels of this user and asks them. */
#include "client/running.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "client/ctlsock.h"
#include "client/printable.h"
#include "client/rundir.h"

/* One look through the folders. */
typedef struct search {
    const char *id; /* NULL: all */
    bool stop;
    json_t *found;
    unsigned n;
    unsigned failed; /* did not answer, or did not end */
} search;

/* ---- one tunnel ---- */

/* Nobody listens there any more; but in a folder that machines share it may be another's. So it is
 * removed only from file systems that are known to be one machine's. */
static void
remove_stale(int dirfd, const char *name)
{
    static const uint32_t own[] = { BTRFS_SUPER_MAGIC,     EXT4_SUPER_MAGIC, F2FS_SUPER_MAGIC,
                                    OVERLAYFS_SUPER_MAGIC, TMPFS_MAGIC,      XFS_SUPER_MAGIC };
    struct statfs fs;

    if (fstatfs(dirfd, &fs) < 0)
        return;
    for (size_t i = 0; i < CPN_COUNT(own); i++)
        if ((uint32_t)fs.f_type == own[i])
            (void)unlinkat(dirfd, name, 0);
}

/* CPN_NOT_FOUND: no tunnel of ours. *pid: of the process that listens. */
static cpn_rc
visit(int dirfd, const char *name, int *out, pid_t *pid)
{
    CPN_AUTO(cpn_auto_fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    struct timeval most = { CPN_RUNNING_ASK_MS / 1000, CPN_RUNNING_ASK_MS % 1000 * 1000 };
    char path[CPN_INLET_TEXT];
    struct ucred who;
    socklen_t n = sizeof(who);
    struct stat st;

    cpn_ctlsock_path(dirfd, name, path);
    if (fd < 0 || strlen(path) >= sizeof(at.sun_path) ||
        fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISSOCK(st.st_mode) ||
        st.st_uid != geteuid())
        return CPN_NOT_FOUND;
    memcpy(at.sun_path, path, strlen(path) + 1);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof(most));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof(most));
    if (connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
        if (errno == ECONNREFUSED)
            remove_stale(dirfd, name);
        return errno == EAGAIN ? CPN_UNAVAILABLE : CPN_NOT_FOUND;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) < 0 || who.uid != geteuid())
        return CPN_NOT_FOUND;
    *pid = who.pid;
    *out = cpn_steal_fd(&fd);
    return CPN_OK;
}

/* One line of JSON, whole. NULL: none came in time. */
static json_t *
ask(int fd, const char *word)
{
    CPN_AUTO(cpn_buf_fini) cpn_buf b = { .max = CPN_CTLSOCK_ANSWER };
    uint64_t until = cpn_mono_ms() + CPN_RUNNING_ASK_MS;
    uint8_t chunk[4096];
    json_t *answer;
    ssize_t n = send(fd, word, strlen(word), MSG_NOSIGNAL);

    while (n > 0 && cpn_mono_ms() < until && (n = recv(fd, chunk, sizeof(chunk), 0)) > 0)
        if (cpn_buf_append(&b, (cpn_view){ chunk, (size_t)n }) != CPN_OK)
            return NULL;
    if (n != 0)
        return NULL;
    answer = json_loadb((const char *)b.p, b.n, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(answer) && json_is_string(json_object_get(answer, "id")))
        return answer;
    json_decref(answer);
    return NULL;
}

/* pidfd: opened while the tunnel still answered, so it is that process and no later one. */
static bool
gone(int pidfd)
{
    struct pollfd p = { .fd = pidfd, .events = POLLIN };

    return poll(&p, 1, CPN_RUNNING_END_MS) == 1;
}

static void
meet(search *s, int dirfd, const char *name, const char *id)
{
    CPN_AUTO(cpn_auto_fd) int fd = -1;
    CPN_AUTO(cpn_auto_fd) int pidfd = -1;
    pid_t pid = 0;
    json_t *answer;
    cpn_rc rc = visit(dirfd, name, &fd, &pid);

    if (rc == CPN_NOT_FOUND)
        return;
    s->n++;
    pidfd = rc == CPN_OK ? pidfd_open(pid, 0) : -1;
    answer = rc == CPN_OK ? ask(fd, s->stop ? CPN_CTLSOCK_STOP : CPN_CTLSOCK_STATUS) : NULL;
    if (!answer) {
        cpn_say("tunnel %s (process %d) does not answer", id, (int)pid);
        s->failed++;
    } else if (s->stop && pidfd >= 0 && !gone(pidfd)) {
        cpn_say("tunnel %s (process %d) has not ended within %d s", id, (int)pid,
                CPN_RUNNING_END_MS / 1000);
        s->failed++;
    } else {
        json_array_append(s->found, answer);
    }
    json_decref(answer);
}

/* ---- all of them ---- */

static cpn_rc
look_in(search *s, cpn_rundir which, cpn_err *err)
{
    CPN_AUTO(cpn_auto_fd) int dirfd = -1;
    int again;
    DIR *dir;
    const struct dirent *e;
    const char *id;
    cpn_rc rc = cpn_rundir_open(which, false, &dirfd, err);

    if (rc != CPN_OK)
        return rc;
    again = fcntl(dirfd, F_DUPFD_CLOEXEC, 3);
    dir = again < 0 ? NULL : fdopendir(again);
    if (!dir)
        return cpn_fail(err, CPN_E_SYS, "the folder of tunnels: %s", strerror(errno));
    while (s->n < CPN_RUNNING_MAX && (e = readdir(dir)))
        if (cpn_ctlsock_is(e->d_name, &id) && (!s->id || strcmp(id, s->id) == 0))
            meet(s, dirfd, e->d_name, id);
    closedir(dir);
    return CPN_OK;
}

static cpn_rc
look(search *s, cpn_err *err)
{
    s->found = json_array();
    for (cpn_rundir which = 0; which < CPN_RUNDIR_N; which++) {
        cpn_rc rc = look_in(s, which, err);

        if (rc != CPN_OK && rc != CPN_NOT_FOUND) {
            json_decref(s->found);
            return rc;
        }
        if (err && rc == CPN_NOT_FOUND)
            *err = (cpn_err){ 0 };
    }
    return CPN_OK;
}

cpn_rc
cpn_running_list(json_t **out, cpn_err *err)
{
    search s = { 0 };
    cpn_rc rc = look(&s, err);

    if (rc == CPN_OK)
        *out = s.found;
    return rc;
}

cpn_rc
cpn_running_stop(const char *id, json_t **out, cpn_err *err)
{
    search s = { .id = id, .stop = true };
    cpn_rc rc = look(&s, err);

    if (rc != CPN_OK)
        return rc;
    *out = s.found;
    if (id && s.n == 0)
        return cpn_fail(err, CPN_NOT_FOUND,
                        "no tunnel of yours has the id '%s'; 'caponier tunnel list' shows them",
                        id);
    /* Which one it was has been told. */
    return s.failed ? CPN_UNAVAILABLE : CPN_OK;
}
