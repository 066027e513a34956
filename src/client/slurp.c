/* Reads a whole file that the user names. */
#include "client/slurp.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define CHUNK 65536

cpn_rc
cpn_slurp(const char *path, cpn_buf *out, cpn_err *err)
{
    CPN_AUTO(cpn_auto_fd) int fd = -1;
    uint8_t chunk[CHUNK];
    ssize_t n;

    fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return cpn_fail(err, errno == ENOENT ? CPN_NOT_FOUND : CPN_INVALID, "%s: %s", path,
                        strerror(errno));
    while ((n = read(fd, chunk, sizeof(chunk))) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return cpn_fail(err, CPN_INVALID, "%s: %s", path, strerror(errno));
        if (cpn_buf_append(out, (cpn_view){ chunk, (size_t)n }) != CPN_OK)
            return cpn_fail(err, CPN_INVALID, "%s is longer than %zu bytes", path, out->max);
    }
    return CPN_OK;
}
