/* net/proxy.h -- the HTTP proxy between us and the gateway: which one, and the way through it.
 *
 * As curl(1) has it: https_proxy, HTTPS_PROXY, all_proxy, ALL_PROXY, the first that is set and not
 * empty; not for hosts that no_proxy or NO_PROXY (the first that is set) names. Its parts, with
 * commas or spaces between them: "*"; a host, which also means all names below it (a "." or "*." in
 * front changes nothing); an address; a prefix "10.0.0.0/8"; a host or address may end in ":PORT".
 * Names are not looked up for it. Parts that are none of these mean nothing. */
#ifndef CPN_NET_PROXY_H
#define CPN_NET_PROXY_H

#include "codec/proxy.h"
#include "net/loop.h"

/* What the environment says of a host (name, or address without brackets); host "" in *out: no
 * proxy. CPN_INVALID: the proxy is malformed or of a kind that we do not speak; err names the
 * variable, never its value. Wipe *out afterwards. */
cpn_rc cpn_proxy_choose(cpn_proxy *out, const char *host, uint16_t port,
                        cpn_err *err) CPN_MUST_CHECK;
/* Does a NO_PROXY list name this host? */
bool cpn_proxy_spared(cpn_view list, const char *host, uint16_t port);

typedef struct cpn_proxy_hop cpn_proxy_hop;
/* fd: what was given, now a way to the host; or -1 and a sentence in err, with CPN_UNAVAILABLE
 * where trying again may help, else CPN_DENIED (sign-in to the proxy, or its rules) or CPN_E_PROTO.
 */
typedef void cpn_proxy_done(void *owner, CPN_TAKES int fd, const cpn_err *err);

typedef struct cpn_proxy_ask {
    const cpn_proxy *proxy;
    const char *host; /* of the gateway: name, or address without brackets */
    uint16_t port;
    cpn_proxy_done *done;
    void *owner;
} cpn_proxy_ask;

/* Ask the proxy at the other end of fd (non-blocking, consumed) for a way to the host. done is
 * called once, never from within this call; the time is the caller's to bound. */
cpn_rc cpn_proxy_hop_start(cpn_proxy_hop **out, cpn_loop *loop, CPN_TAKES int fd,
                           const cpn_proxy_ask *ask, cpn_err *err) CPN_MUST_CHECK;
/* Before done only; done is not called. NULL is fine. */
void cpn_proxy_hop_cancel(cpn_proxy_hop *h);

#endif
