/* Readiness, to whoever started us. */
#include "keeper/ready.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"

static cpn_rc
append_lines(cpn_buf *to, const char *key, const char *lines)
{
    cpn_view left = cpn_view_str(lines), line;
    cpn_rc rc = CPN_OK;

    while (left.n && rc == CPN_OK) {
        cpn_view_cut(left, '\n', &line, &left);
        rc = cpn_buf_printf(to, "%s=%.*s\n", key, CPN_VIEW_ARG(line));
    }
    return rc;
}

void
cpn_ready_write(CPN_TAKES int fd, const char *listen, const char *admin)
{
    CPN_AUTO(cpn_auto_fd) int owned = fd;
    cpn_buf text = { .max = 2048 };

    if (owned < 0)
        return;
    if (cpn_buf_printf(&text, "READY=1\n") == CPN_OK &&
        append_lines(&text, "LISTEN", listen) == CPN_OK &&
        append_lines(&text, "ADMIN", admin) == CPN_OK) {
        ssize_t n = write(owned, text.p, text.n);
        (void)n; /* whoever asked and went away does not need it */
    }
    cpn_buf_fini(&text);
}

void
cpn_ready_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    size_t n = path ? strlen(path) : 0;

    if (n < 2 || n >= sizeof(sa.sun_path) || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(sa.sun_path, path, n);
    if (path[0] == '@')
        sa.sun_path[0] = '\0';
    CPN_AUTO(cpn_auto_fd) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&sa,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
}
