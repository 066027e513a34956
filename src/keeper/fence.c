/* The address fence: built-in denies that no setting lifts, configured ones, and our own addresses.
 */
#include "keeper/fence.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define V4(a, b, c, d)                                                                             \
    {                                                                                              \
        {                                                                                          \
            [10] = 0xff, 0xff, a, b, c, d                                                          \
        }                                                                                          \
    }
#define V6(...)                                                                                    \
    {                                                                                              \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

static const struct {
    cpn_prefix prefix;
    const char *why;
} denied[] = {
    { { V4(0, 0, 0, 0), 96 + 8 }, "this network" },
    { { V4(127, 0, 0, 0), 96 + 8 }, "loopback" },
    { { V4(169, 254, 0, 0), 96 + 16 }, "link-local" },
    { { V4(168, 63, 129, 16), 96 + 32 }, "metadata" },
    { { V4(100, 100, 100, 200), 96 + 32 }, "metadata" },
    { { V4(192, 0, 0, 0), 96 + 24 }, "protocol assignments" }, /* 192.0.0.192: metadata */
    { { V4(192, 88, 99, 0), 96 + 24 }, "6to4 relay" },
    { { V4(224, 0, 0, 0), 96 + 4 }, "multicast" },
    { { V4(240, 0, 0, 0), 96 + 4 }, "reserved" },
    { { V6([15] = 0), 128 }, "unspecified" },
    { { V6([15] = 1), 128 }, "loopback" },
    { { V6([15] = 0), 96 }, "v4-compatible" },
    { { V6([8] = 0xff, 0xff), 96 }, "v4-translated" },
    { { V6(0x00, 0x64, 0xff, 0x9b), 96 }, "NAT64" },
    { { V6(0x00, 0x64, 0xff, 0x9b, 0x00, 0x01), 48 }, "NAT64" },
    { { V6(0x01, 0x00), 64 }, "discard" },
    { { V6(0x20, 0x01, 0x00, 0x00), 32 }, "Teredo" },
    { { V6(0x20, 0x02), 16 }, "6to4" },
    { { V6(0xfe, 0x80), 10 }, "link-local" },
    { { V6(0xfe, 0xc0), 10 }, "site-local" },
    { { V6(0xff), 8 }, "multicast" },
    { { V6(0xfd, 0x00, 0x0e, 0xc2), 32 }, "metadata" },
    { { V6(0xfd, 0x20, 0x00, 0xce), 32 }, "metadata" },
    { { V6(0xfd, 0x00, 0x00, 0xc1), 32 }, "metadata" },
    { { V6(0xfd, 0x00, 0x00, 0x42, [15] = 0x42), 128 }, "metadata" },
};

/* ISATAP: an IPv4 address in the interface identifier, behind 0000:5efe or 0200:5efe. */
static bool
is_isatap(const cpn_addr *a)
{
    return !cpn_addr_is_v4(a) && (a->b[8] & 0xfd) == 0 && a->b[9] == 0 && a->b[10] == 0x5e &&
           a->b[11] == 0xfe;
}

static bool
is_own_listener(const cpn_fence *f, const cpn_addr *a, uint16_t port)
{
    for (size_t i = 0; i < f->own_n; i++)
        if (f->own[i].port == port && cpn_addr_eq(&f->own[i].addr, a))
            return true;
    return false;
}

const char *
cpn_fence_check(const cpn_fence *f, const cpn_addr *a, uint16_t port)
{
    if (port == 0)
        return "port 0";
    if (is_own_listener(f, a, port))
        return "own listener";
    for (size_t i = 0; i < f->deny_n; i++)
        if (cpn_prefix_holds(&f->deny[i], a))
            return "fence_deny";
    if (f->allow_loopback && cpn_addr_is_loopback(a))
        return NULL;
    for (size_t i = 0; i < CPN_COUNT(denied); i++)
        if (cpn_prefix_holds(&denied[i].prefix, a))
            return denied[i].why;
    return is_isatap(a) ? "ISATAP" : NULL;
}

/* 0, or what bind() said. */
static int
try_bind(const cpn_addr *a)
{
    struct sockaddr_storage sa;
    socklen_t n = cpn_addr_to_sockaddr(a, 0, &sa);
    CPN_AUTO(cpn_auto_fd) int fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    return fd < 0 || bind(fd, (struct sockaddr *)&sa, n) < 0 ? errno : 0;
}

cpn_rc
cpn_fence_own(const cpn_addr *a, cpn_err *err)
{
    int e = try_bind(a);

    if (e == EADDRNOTAVAIL)
        return CPN_OK;
    if (e == 0)
        return CPN_DENIED;
    return cpn_fail(err, CPN_E_SYS, "asking whether the address is our own: %s", strerror(e));
}

cpn_rc
cpn_fence_can_tell(cpn_err *err)
{
    /* Nobody has these: class E, and the discard prefix of RFC 6666. */
    static const cpn_addr nobodys[] = { V4(240, 0, 0, 1), V6(0x01, 0x00, [15] = 1) };

    for (size_t i = 0; i < CPN_COUNT(nobodys); i++)
        if (try_bind(&nobodys[i]) == 0)
            return cpn_fail(err, CPN_E_CONF,
                            "net.ipv%d.ip_nonlocal_bind is on: the gateway could not tell its own "
                            "addresses from others; switch it off in its network namespace",
                            i == 0 ? 4 : 6);
    return CPN_OK;
}

cpn_rc
cpn_fence_set_deny(cpn_fence *f, cpn_view lines, cpn_err *err)
{
    cpn_prefix deny[CPN_FENCE_DENY_MAX];
    size_t n = 0;
    cpn_view line;

    while (lines.n) {
        cpn_rc rc;
        cpn_view_cut(lines, '\n', &line, &lines);
        if (line.n == 0)
            continue;
        if (n == CPN_COUNT(deny))
            return cpn_fail(err, CPN_LIMIT, "more than %zu denied prefixes", CPN_COUNT(deny));
        if ((rc = cpn_prefix_parse(&deny[n++], line, err)) != CPN_OK)
            return rc;
    }
    memcpy(f->deny, deny, n * sizeof(deny[0]));
    f->deny_n = n;
    return CPN_OK;
}

cpn_rc
cpn_fence_add_own(cpn_fence *f, const cpn_addr *a, uint16_t port)
{
    if (f->own_n == CPN_FENCE_OWN_MAX)
        return CPN_LIMIT;
    f->own[f->own_n].addr = *a;
    f->own[f->own_n++].port = port;
    return CPN_OK;
}
