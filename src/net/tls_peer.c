/* Who vouches for the other end of a TLS connection, in words. */
#include <stdio.h>

#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include "net/tls_priv.h"

/* RFC 2253 text, all but printable ASCII escaped. */
static void
issuer_of(const X509 *cert, char *out, size_t size)
{
    BIO *bio = cert ? BIO_new(BIO_s_mem()) : NULL;
    int n = 0;

    if (bio && X509_NAME_print_ex(bio, X509_get_issuer_name(cert), 0, XN_FLAG_RFC2253) >= 0)
        n = BIO_read(bio, out, (int)size - 1);
    out[CPN_MAX(n, 0)] = '\0';
    BIO_free(bio);
    ERR_clear_error();
}

int
cpn_tls_verify(int good, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    char issuer[CPN_TLS_ISSUER_SIZE];

    if (good)
        return 1;
    issuer_of(X509_STORE_CTX_get0_cert(store), issuer, sizeof(issuer));
    cpn_tls_ending(SSL_get_app_data(ssl), CPN_TLS_END_FAILED,
                   "its certificate is not trusted: %s (issued by %s)",
                   X509_verify_cert_error_string(X509_STORE_CTX_get_error(store)), issuer);
    return 0;
}

bool
cpn_tls_issuer(const cpn_tls *t, char out[CPN_TLS_ISSUER_SIZE])
{
    issuer_of(SSL_get0_peer_certificate(t->ssl), out, CPN_TLS_ISSUER_SIZE);
    return out[0] != '\0';
}
