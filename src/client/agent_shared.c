/* Finds the agent that serves a machine already, or starts one that outlives us. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "client/agent.h"
#include "client/hostkeys.h"
#include "client/privfile.h"

#define ANSWER_MS 10000 /* it may have to renew its certificate first */

/* ---- the one that is there ---- */

static int
call_at(const char *path)
{
    CPN_AUTO(cpn_auto_fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    const cpn_peer_rule own = { 0 };

    if (fd < 0 || strlen(path) >= sizeof(at.sun_path))
        return -1;
    memcpy(at.sun_path, path, strlen(path) + 1);
    if (connect(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 ||
        cpn_peer_may(fd, &own, NULL) != CPN_OK)
        return -1;
    return cpn_steal_fd(&fd);
}

/* Its whole answer to a list request into in. */
static cpn_rc
ask_list(int fd, cpn_buf *in, cpn_view *cert, cpn_view *comment)
{
    CPN_AUTO(cpn_buf_fini) cpn_buf ask = { .max = 16 };
    uint64_t end = cpn_boot_ns() + ANSWER_MS * CPN_NS_PER_MS;
    cpn_rc rc = cpn_agent_put_ask_list(&ask);

    if (rc != CPN_OK || send(fd, ask.p, ask.n, MSG_NOSIGNAL) != (ssize_t)ask.n)
        return CPN_UNAVAILABLE;
    while ((rc = cpn_agent_read_list(cpn_buf_view(in), cert, comment, NULL)) == CPN_AGAIN) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        uint64_t now = cpn_boot_ns();
        uint8_t part[4096];
        ssize_t n;

        if (now >= end || poll(&p, 1, (int)((end - now) / CPN_NS_PER_MS) + 1) < 0)
            return CPN_UNAVAILABLE;
        n = recv(fd, part, sizeof(part), 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (n <= 0 || cpn_buf_append(in, (cpn_view){ part, (size_t)n }) != CPN_OK)
            return CPN_UNAVAILABLE;
    }
    return rc;
}

/* Does somebody serve this identity at the path? Being asked keeps it there. */
static bool
serves(const char *path, cpn_view want)
{
    CPN_AUTO(cpn_auto_fd) int fd = call_at(path);
    CPN_AUTO(cpn_buf_fini) cpn_buf in = { .max = CPN_AGENT_FRAME_MAX + 4 };
    cpn_view cert, comment;

    return fd >= 0 && ask_list(fd, &in, &cert, &comment) == CPN_OK && cert.n > 0 &&
           cpn_view_eq(comment, want);
}

/* ---- another one ---- */

/* In its folder, whose lock is held: what is at the path is of no use, or nobody's. */
static cpn_rc
take_place(int dirfd, const char *path, const char *name, cpn_agent_place *at, cpn_err *err)
{
    struct stat st;
    cpn_rc rc;

    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(st.st_mode))
        (void)unlinkat(dirfd, name, 0);
    rc = cpn_inlet_unix(&at->inlet, path, err);
    return rc == CPN_OK ? CPN_OK : cpn_ctx(err, rc, "the agent");
}

static cpn_rc
start(cpn_api *a, const char *target, int dirfd, const char *path, unsigned idle_s, cpn_err *err)
{
    CPN_AUTO(cpn_sshid_auto) cpn_sshid *id = NULL;
    cpn_agent_place at = { .inlet = CPN_INLET_NONE, .idle_s = idle_s };
    cpn_rc rc = cpn_sshid_new(&id, a, target, err);

    if (rc == CPN_OK)
        rc = take_place(dirfd, path, strrchr(path, '/') + 1, &at, err);
    return rc == CPN_OK ? cpn_agent_run(&at, cpn_steal(&id), a, err) : rc;
}

static cpn_rc
open_folder(const char *path, int *dirfd, cpn_err *err)
{
    const char *slash = strrchr(path, '/');
    char folder[CPN_AGENT_PATH_SIZE];

    if (path[0] != '/' || !cpn_hostkeys_name_ok(slash + 1))
        return cpn_fail(err, CPN_INVALID, "'%s' cannot be an agent's socket", path);
    if (strlen(path) >= sizeof(folder))
        return cpn_fail(err, CPN_INVALID,
                        "%s is too long for a socket; set XDG_CONFIG_HOME to a shorter path and "
                        "run 'caponier ssh-config' again",
                        path);
    memcpy(folder, path, (size_t)(slash - path));
    folder[slash - path] = '\0';
    return cpn_privdir_open(folder, true, dirfd, err);
}

cpn_rc
cpn_agent_share(cpn_api *a, const char *target, const char *path, unsigned idle_s, cpn_err *err)
{
    CPN_AUTO(cpn_buf_fini) cpn_buf want = { .max = CPN_AGENT_FRAME_MAX };
    CPN_AUTO(cpn_auto_fd) int dirfd = -1;
    CPN_AUTO(cpn_auto_fd) int lock = -1;
    cpn_rc rc = open_folder(path, &dirfd, err);

    if (rc == CPN_OK && cpn_agent_comment(a, target, &want) != CPN_OK)
        rc = cpn_fail(err, CPN_INVALID, "the machine's id is too long");
    if (rc != CPN_OK || serves(path, cpn_buf_view(&want)))
        return rc;
    rc = cpn_privfile_lock(dirfd, CPN_AGENT_LOCK, &lock, err);
    if (rc != CPN_OK || serves(path, cpn_buf_view(&want))) /* another run was first */
        return rc;
    return start(a, target, dirfd, path, idle_s, err);
}
