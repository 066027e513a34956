/* Proves, started by hand, that the sandbox kills. */
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "front/front.h"
#include "net/sandbox_front.h"

int
cpn_front_selftest(const char *what)
{
    char *const argv[] = { (char *)(uintptr_t) "true", NULL };
    const struct linger long_one = { .l_onoff = 1, .l_linger = 60 };
    CPN_AUTO(cpn_auto_fd) int held = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cpn_err err = { 0 };

    if (cpn_sandbox_front(&err) < 0) {
        cpn_log(CPN_LOG_ERROR, "selftest.failed", CPN_KE(&err));
        return 2;
    }
    if (strcmp(what, "open") == 0)
        (void)!open("/dev/null", O_RDWR | O_CLOEXEC);
    else if (strcmp(what, "socket") == 0)
        (void)!socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    else if (strcmp(what, "exec") == 0)
        (void)!execve("/bin/true", argv, environ);
    else if (strcmp(what, "linger") == 0)
        setsockopt(held, SOL_SOCKET, SO_LINGER, &long_one, sizeof(long_one));
    else
        return 2;
    return 1;
}
