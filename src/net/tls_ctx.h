/* net/tls_ctx.h -- keys, trust and parameters that TLS connections of one kind share.
 *
 * Both kinds: TLS 1.3 (1.2 with AEAD suites when asked for), ALPN http/1.1 only, X25519 and P-256,
 * AES-128-GCM first (with TLS 1.2 only where OpenSSL does it, see net/gcm.h), no tickets, no
 * session cache, no renegotiation, no compression. */
#ifndef CPN_NET_TLS_CTX_H
#define CPN_NET_TLS_CTX_H

#include "base/err.h"
#include "base/view.h"

typedef struct cpn_tls_ctx cpn_tls_ctx;

/* Options of both kinds; a client's always has CPN_TLS_12. */
enum {
    CPN_TLS_12 = 1,          /* TLS 1.2, too, with AEAD suites */
    CPN_TLS_OPENSSL_AES = 2, /* AES-128-GCM by OpenSSL, also where net/gcm.h has a faster one */
};

/* cert: PEM, leaf first, then intermediates. key: PEM, not encrypted; wiped by the caller after
 * the call. CPN_E_CONF says what is wrong, also when they do not belong together. */
cpn_rc cpn_tls_ctx_server(cpn_tls_ctx **out, cpn_view cert, cpn_view key, unsigned options,
                          cpn_err *err) CPN_MUST_CHECK;

typedef struct cpn_tls_trust {
    const char *dir;     /* hashed certificate directory; NULL: /etc/ssl/certs */
    const char *ca_file; /* PEM file; replaces the directory when set */
    cpn_view ca_pem;     /* PEM text; replaces the directory when set */
} cpn_tls_trust;

/* trust NULL: the machine's directory. CPN_E_CONF: the file cannot be read or holds nothing. */
cpn_rc cpn_tls_ctx_client(cpn_tls_ctx **out, const cpn_tls_trust *trust, unsigned options,
                          cpn_err *err) CPN_MUST_CHECK;

/* Connections hold a reference of their own, so a reload may drop the old one at once. */
cpn_tls_ctx *cpn_tls_ctx_ref(cpn_tls_ctx *ctx);
void cpn_tls_ctx_free(cpn_tls_ctx *ctx);
CPN_DEFINE_AUTO(cpn_tls_ctx, cpn_tls_ctx)

#endif
