/* Keys, trust and parameters of TLS, read from memory or from the machine's certificate directory.
 */
#include "net/tls_ctx.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <string.h>
#include <unistd.h>

#include "codec/ossl.h"
#include "net/gcm.h"
#include "net/tls_priv.h"

#define CERT_DIR "/etc/ssl/certs"
#define CHAIN_MAX 8 /* intermediates behind the leaf */

#define SUITES_13 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define SUITES_12_AES128 "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
#define SUITES_12                                                                                  \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                                   \
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"

static const uint8_t alpn_http11[] = { 8, 'h', 't', 't', 'p', '/', '1', '.', '1' };

const char *
cpn_tls_why(char *out, size_t size)
{
    unsigned long e = ERR_peek_last_error();
    const char *text = ERR_reason_error_string(e);

    snprintf(out, size, "%s", text ? text : e ? "unknown TLS failure" : "no reason given");
    ERR_clear_error();
    return out;
}

/* A client that offers protocols without ours is told so by the alert of RFC 7301. */
static int
choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *n, const unsigned char *in,
            unsigned in_n, void *arg)
{
    (void)ssl;
    (void)arg;
    for (unsigned at = 0; at < in_n && in[at] < in_n - at; at += 1u + in[at]) {
        if (in[at] == 8 && memcmp(in + at + 1, alpn_http11 + 1, 8) == 0) {
            *out = in + at + 1;
            *n = 8;
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static cpn_rc
ctx_common(cpn_tls_ctx **out, bool server, unsigned options, cpn_err *err)
{
    CPN_AUTO(cpn_tls_ctx_auto) cpn_tls_ctx *ctx = calloc(1, sizeof(*ctx));
    const char *aes = options & CPN_TLS_OPENSSL_AES ? NULL : cpn_gcm_query();
    char why[128];

    if (!ctx)
        return cpn_fail(err, CPN_E_NOMEM, "TLS");
    ctx->refs = 1;
    ctx->server = server;
    ERR_clear_error();
    ctx->ssl = SSL_CTX_new_ex(NULL, aes, server ? TLS_server_method() : TLS_client_method());
    if (!ctx->ssl ||
        !SSL_CTX_set_min_proto_version(ctx->ssl,
                                       options & CPN_TLS_12 ? TLS1_2_VERSION : TLS1_3_VERSION) ||
        !SSL_CTX_set_max_proto_version(ctx->ssl, TLS1_3_VERSION) ||
        !SSL_CTX_set_ciphersuites(ctx->ssl, SUITES_13) ||
        !SSL_CTX_set_cipher_list(ctx->ssl, aes ? SUITES_12 : SUITES_12_AES128 SUITES_12) ||
        !SSL_CTX_set1_groups_list(ctx->ssl, "X25519:P-256"))
        return cpn_fail(err, CPN_E_CRYPTO, "TLS parameters: %s", cpn_tls_why(why, sizeof(why)));
    SSL_CTX_set_options(ctx->ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                      SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                      SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_num_tickets(ctx->ssl, 0);
    SSL_CTX_set_session_cache_mode(ctx->ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(ctx->ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                   SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    *out = cpn_steal(&ctx);
    return CPN_OK;
}

static cpn_rc
use_chain(SSL_CTX *ssl, cpn_view pem, cpn_err *err)
{
    BIO *bio = BIO_new_mem_buf(pem.p, (int)CPN_MIN(pem.n, 1u << 20));
    X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, cpn_no_passphrase, NULL) : NULL;
    bool good = cert && SSL_CTX_use_certificate(ssl, cert) == 1;
    char why[128];

    X509_free(cert);
    for (int i = 0; good && i < CHAIN_MAX; i++) {
        cert = PEM_read_bio_X509(bio, NULL, cpn_no_passphrase, NULL);
        if (!cert)
            break;
        good = SSL_CTX_add0_chain_cert(ssl, cert) == 1;
        if (!good)
            X509_free(cert);
    }
    BIO_free(bio);
    if (!good)
        return cpn_fail(err, CPN_E_CONF, "the TLS certificate cannot be used: %s",
                        cpn_tls_why(why, sizeof(why)));
    ERR_clear_error();
    return CPN_OK;
}

static cpn_rc
use_key(SSL_CTX *ssl, cpn_view pem, cpn_err *err)
{
    BIO *bio = BIO_new_mem_buf(pem.p, (int)CPN_MIN(pem.n, 1u << 20));
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, cpn_no_passphrase, NULL) : NULL;
    bool read = key,
         fits = key && SSL_CTX_use_PrivateKey(ssl, key) == 1 && SSL_CTX_check_private_key(ssl) == 1;
    char why[128];

    EVP_PKEY_free(key);
    BIO_free(bio);
    if (!read)
        return cpn_fail(err, CPN_E_CONF,
                        "the TLS key cannot be read (PEM, without pass phrase): %s",
                        cpn_tls_why(why, sizeof(why)));
    if (!fits)
        return cpn_fail(err, CPN_E_CONF, "the TLS key does not belong to the certificate: %s",
                        cpn_tls_why(why, sizeof(why)));
    return CPN_OK;
}

cpn_rc
cpn_tls_ctx_server(cpn_tls_ctx **out, cpn_view cert, cpn_view key, unsigned options, cpn_err *err)
{
    CPN_AUTO(cpn_tls_ctx_auto) cpn_tls_ctx *ctx = NULL;
    cpn_rc rc;

    if ((rc = ctx_common(&ctx, true, options, err)) < 0 ||
        (rc = use_chain(ctx->ssl, cert, err)) < 0 || (rc = use_key(ctx->ssl, key, err)) < 0)
        return rc;
    SSL_CTX_set_alpn_select_cb(ctx->ssl, choose_alpn, NULL);
    SSL_CTX_set_verify(ctx->ssl, SSL_VERIFY_NONE, NULL);
    *out = cpn_steal(&ctx);
    return CPN_OK;
}

static cpn_rc
trust_pem(X509_STORE *store, cpn_view pem, cpn_err *err)
{
    BIO *bio = BIO_new_mem_buf(pem.p, (int)CPN_MIN(pem.n, 1u << 20));
    unsigned n = 0;

    for (X509 *cert; bio && (cert = PEM_read_bio_X509(bio, NULL, cpn_no_passphrase, NULL)); n++) {
        X509_STORE_add_cert(store, cert);
        X509_free(cert);
    }
    BIO_free(bio);
    ERR_clear_error();
    if (n == 0)
        return cpn_fail(err, CPN_E_CONF, "no CA certificate in the PEM text");
    return CPN_OK;
}

static cpn_rc
set_trust(SSL_CTX *ssl, const cpn_tls_trust *trust, cpn_err *err)
{
    char why[128];

    if (trust && trust->ca_pem.n)
        return trust_pem(SSL_CTX_get_cert_store(ssl), trust->ca_pem, err);
    if (trust && trust->ca_file) {
        if (access(trust->ca_file, R_OK) < 0) /* of which OpenSSL says "system lib" */
            return cpn_fail(err, CPN_E_CONF, "the CA file %s: %s", trust->ca_file, strerror(errno));
        if (SSL_CTX_load_verify_file(ssl, trust->ca_file) == 1)
            return CPN_OK;
        return cpn_fail(err, CPN_E_CONF, "the CA file %s cannot be used: %s", trust->ca_file,
                        cpn_tls_why(why, sizeof(why)));
    }
    if (SSL_CTX_load_verify_dir(ssl, trust && trust->dir ? trust->dir : CERT_DIR) == 1)
        return CPN_OK;
    return cpn_fail(err, CPN_E_CONF, "the certificate directory cannot be used: %s",
                    cpn_tls_why(why, sizeof(why)));
}

cpn_rc
cpn_tls_ctx_client(cpn_tls_ctx **out, const cpn_tls_trust *trust, unsigned options, cpn_err *err)
{
    CPN_AUTO(cpn_tls_ctx_auto) cpn_tls_ctx *ctx = NULL;
    cpn_rc rc;

    if ((rc = ctx_common(&ctx, false, options | CPN_TLS_12, err)) < 0 ||
        (rc = set_trust(ctx->ssl, trust, err)) < 0)
        return rc;
    if (SSL_CTX_set_alpn_protos(ctx->ssl, alpn_http11, sizeof(alpn_http11)) != 0)
        return cpn_fail(err, CPN_E_CRYPTO, "TLS parameters: ALPN");
    SSL_CTX_set_verify(ctx->ssl, SSL_VERIFY_PEER, NULL);
    *out = cpn_steal(&ctx);
    return CPN_OK;
}

cpn_tls_ctx *
cpn_tls_ctx_ref(cpn_tls_ctx *ctx)
{
    ctx->refs++;
    return ctx;
}

void
cpn_tls_ctx_free(cpn_tls_ctx *ctx)
{
    if (!ctx || --ctx->refs > 0)
        return;
    SSL_CTX_free(ctx->ssl);
    free(ctx);
}
