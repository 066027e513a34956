/* keeper/fence.h -- what the gateway never dials, whatever policy says: asked with the binary
 * address right before connect(). */
#ifndef CPN_KEEPER_FENCE_H
#define CPN_KEEPER_FENCE_H

#include "model/addr.h"

#define CPN_FENCE_DENY_MAX 256
#define CPN_FENCE_OWN_MAX 32

/* Zero-initialised, it holds the built-in fence and nothing else. */
typedef struct cpn_fence {
    bool allow_loopback; /* 127/8 and ::1, for tests and the rootless demo */
    size_t deny_n;
    cpn_prefix deny[CPN_FENCE_DENY_MAX];
    size_t own_n; /* our own listening sockets; they matter when loopback may be dialled */
    struct {
        cpn_addr addr;
        uint16_t port;
    } own[CPN_FENCE_OWN_MAX];
} cpn_fence;

/* NULL when the address may be dialled, else why not: a static word for the log. Pure. */
const char *cpn_fence_check(const cpn_fence *f, const cpn_addr *a, uint16_t port);
/* Is it an address of this machine, or a broadcast address of one of its links? The kernel is asked
 * by bind(), so an address that was added a moment ago counts. CPN_OK: no. CPN_DENIED: yes.
 * CPN_E_SYS: it cannot be told; do not dial. */
cpn_rc cpn_fence_own(const cpn_addr *a, cpn_err *err) CPN_MUST_CHECK;
/* CPN_E_CONF: net.ipv4.ip_nonlocal_bind (or its IPv6 twin) is on, so that bind() tells nothing. */
cpn_rc cpn_fence_can_tell(cpn_err *err) CPN_MUST_CHECK;
/* Replace the further denied prefixes by "prefix\n" lines. CPN_INVALID, CPN_LIMIT: f is unchanged.
 */
cpn_rc cpn_fence_set_deny(cpn_fence *f, cpn_view lines, cpn_err *err) CPN_MUST_CHECK;
/* CPN_LIMIT: more than CPN_FENCE_OWN_MAX. */
cpn_rc cpn_fence_add_own(cpn_fence *f, const cpn_addr *a, uint16_t port) CPN_MUST_CHECK;

#endif
