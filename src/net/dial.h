/* net/dial.h -- from a host name to a TLS connection whose peer is verified.
 *
 * Addresses are tried in turn, families alternating (in the resolver's order otherwise), the next
 * one after 250 ms or at once when one fails; the first that connects wins (after RFC 8305). At
 * most 16 addresses. With a proxy it is the proxy that is looked up and connected to; it looks up
 * the host. For the client; the gateway's own targets are dialled by keeper. */
#ifndef CPN_NET_DIAL_H
#define CPN_NET_DIAL_H

#include "codec/proxy.h"
#include "net/tls.h"

#define CPN_DIAL_ADDRESSES 16
#define CPN_DIAL_NEXT_MS 250

typedef struct cpn_dial cpn_dial;

/* How far a dial has come. */
typedef enum cpn_dial_stage {
    CPN_DIAL_NAME = 0, /* looking the name up */
    CPN_DIAL_TCP,
    CPN_DIAL_PROXY, /* the proxy was asked */
    CPN_DIAL_TLS,
    CPN_DIAL_DONE
} cpn_dial_stage;

/* For those who explain a network: filled in while the dial goes on. */
typedef struct cpn_dial_trace {
    cpn_dial_stage stage;
    struct sockaddr_storage address[CPN_DIAL_ADDRESSES]; /* in the order of trying */
    int addresses;
    int error[CPN_DIAL_ADDRESSES]; /* errno of each that failed; 0: not, or not yet */
    int connected;                 /* which one won; -1: none */
    unsigned ms[CPN_DIAL_DONE];    /* that a finished stage took */
} cpn_dial_trace;

/* t NULL: err says why in a sentence for people (the name does not resolve, refused, no answer, the
 * certificate is not trusted and why); err->rc is CPN_UNAVAILABLE where trying again may help, else
 * CPN_E_CRYPTO (trust), CPN_DENIED or CPN_E_PROTO (the proxy) or CPN_E_SYS. t has no owner yet:
 * call cpn_tls_set_owner at once. */
typedef void cpn_dial_done(void *owner, CPN_TAKES cpn_tls *t, const cpn_err *err);

typedef struct cpn_dial_to {
    const char *host; /* name or numeric address, without brackets */
    uint16_t port;
    unsigned timeout_ms; /* for everything; 0: 15000 */
    cpn_tls_ctx *ctx;
    const cpn_proxy *proxy; /* NULL or one without a host: none */
    cpn_dial_trace *trace;  /* must live until done or cancel; NULL: not wanted */
} cpn_dial_to;

/* Strings are copied. done is called exactly once, never from within this call. */
cpn_rc cpn_dial_start(cpn_dial **out, cpn_loop *loop, const cpn_dial_to *to, cpn_dial_done *done,
                      void *owner, cpn_err *err) CPN_MUST_CHECK;
/* Give up before done was called; done is not called. NULL is fine. After done it must not be
 * called: the dial is gone. */
void cpn_dial_cancel(cpn_dial *d);

#endif
