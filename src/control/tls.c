/* Reads the configured certificate, or keeps a CA and a leaf of our own. */
#include "control/tls.h"

#include <errno.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/secret.h"
#include "codec/ossl.h"
#include "codec/url.h"
#include "store/private_file.h"

#define FILE_MAX 65536
#define CERT_MAX 16384 /* bounds of SETUP */
#define KEY_MAX 8192
#define CA_DAYS 3650
#define PATH_SIZE (CPN_CONFIG_TEXT + 32)

static void
x509_auto(X509 **x)
{
    X509_free(*x);
}

static void
buf_auto(cpn_buf *b)
{
    cpn_buf_fini(b);
}

/* ---- reading ---- */

/* A file that anyone may read. */
static cpn_rc
file_read(const char *path, cpn_buf *out, cpn_err *err)
{
    FILE *f = fopen(path, "re");
    uint8_t *at;
    size_t n;

    if (!f)
        return errno == ENOENT ? CPN_NOT_FOUND
                               : cpn_fail(err, CPN_E_CONF, "%s: %s", path, strerror(errno));
    if (cpn_buf_reserve(out, out->max, &at) != CPN_OK) {
        fclose(f);
        return cpn_fail(err, CPN_E_NOMEM, "%s", path);
    }
    n = fread(at, 1, out->max, f);
    out->n = n;
    fclose(f);
    return n < out->max ? CPN_OK : cpn_fail(err, CPN_E_CONF, "%s: too long", path);
}

static X509 *
cert_parse(const cpn_buf *pem)
{
    BIO *b = BIO_new_mem_buf(pem->p, (int)pem->n);
    X509 *x = b ? PEM_read_bio_X509(b, NULL, cpn_no_passphrase, NULL) : NULL;

    BIO_free(b);
    return x;
}

static EVP_PKEY *
key_parse(const cpn_buf *pem)
{
    BIO *b = BIO_new_mem_buf(pem->p, (int)pem->n);
    EVP_PKEY *k = b ? PEM_read_bio_PrivateKey(b, NULL, cpn_no_passphrase, NULL) : NULL;

    BIO_free(b);
    return k;
}

static char *
text_of(const cpn_buf *b)
{
    return cpn_xstrndup((const char *)b->p, b->n);
}

static cpn_rc
pair_out(const char *where, const cpn_buf *cert, const cpn_buf *key, char **cert_pem,
         char **key_pem, cpn_err *err)
{
    CPN_AUTO(x509_auto) X509 *x = cert_parse(cert);
    CPN_AUTO(cpn_pkey_auto) EVP_PKEY *k = key_parse(key);

    if (!x)
        return cpn_fail(err, CPN_E_CONF, "%s: no certificate in it", where);
    if (!k)
        return cpn_fail(err, CPN_E_CONF, "%s: its key is not an unencrypted PEM key", where);
    if (X509_check_private_key(x, k) != 1)
        return cpn_fail(err, CPN_E_CONF, "%s: certificate and key do not belong together", where);
    if (X509_cmp_current_time(X509_get0_notAfter(x)) < 0)
        return cpn_fail(err, CPN_E_CONF, "%s: the certificate has expired", where);
    if (cert->n > CERT_MAX || key->n > KEY_MAX)
        return cpn_fail(err, CPN_E_CONF, "%s: longer than fronts take", where);
    *cert_pem = text_of(cert);
    *key_pem = text_of(key);
    return CPN_OK;
}

/* ---- making ---- */

static bool
extension(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *e;
    bool ok;

    X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
    e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    ok = e && X509_add_ext(x, e, -1) == 1;
    X509_EXTENSION_free(e);
    return ok;
}

/* A certificate without extensions and signature. */
static X509 *
cert_begin(const char *name, EVP_PKEY *key, long days)
{
    X509 *x = X509_new();
    uint8_t serial[16];
    BIGNUM *n;
    X509_NAME *subject = x ? X509_get_subject_name(x) : NULL;

    cpn_random(serial, sizeof(serial));
    serial[0] &= 0x7f;
    n = BN_bin2bn(serial, sizeof(serial), NULL);
    if (!x || !n || X509_set_version(x, X509_VERSION_3) != 1 ||
        !BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x)) ||
        !X509_gmtime_adj(X509_getm_notBefore(x), -300) ||
        !X509_gmtime_adj(X509_getm_notAfter(x), days * 86400) ||
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const uint8_t *)name, -1, -1,
                                   0) != 1 ||
        X509_set_pubkey(x, key) != 1) {
        X509_free(x);
        x = NULL;
    }
    BN_free(n);
    return x;
}

static X509 *
ca_make(EVP_PKEY *key)
{
    X509 *x = cert_begin("Caponier gateway CA", key, CA_DAYS);

    if (x && X509_set_issuer_name(x, X509_get_subject_name(x)) == 1 &&
        extension(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
        extension(x, x, NID_key_usage, "critical,keyCertSign,cRLSign") &&
        extension(x, x, NID_subject_key_identifier, "hash") && X509_sign(x, key, EVP_sha256()) > 0)
        return x;
    X509_free(x);
    return NULL;
}

/* "DNS:localhost,IP:…", the host of public_url with them. */
static void
alt_names(const cpn_config *set, char *out, size_t size)
{
    cpn_url url = { 0 };
    cpn_err err = { 0 };
    cpn_addr numeric;
    const char *rest = "DNS:localhost,IP:127.0.0.1,IP:::1";

    if (cpn_url_parse(cpn_view_str(set->public_url), &url, &err) != CPN_OK ||
        strcmp(url.host, "localhost") == 0)
        snprintf(out, size, "%s", rest);
    else if (cpn_addr_parse(&numeric, cpn_view_str(url.host), &err) == CPN_OK)
        snprintf(out, size, "IP:%s,%s", url.host, rest);
    else
        snprintf(out, size, "DNS:%s,%s", url.host, rest);
}

static X509 *
leaf_make(const cpn_config *set, EVP_PKEY *key, X509 *ca, EVP_PKEY *ca_key)
{
    X509 *x = cert_begin("Caponier gateway", key, CPN_TLS_LEAF_DAYS);
    char names[CPN_URL_HOST_SIZE + 64];

    alt_names(set, names, sizeof(names));
    if (x && X509_set_issuer_name(x, X509_get_subject_name(ca)) == 1 &&
        extension(x, ca, NID_basic_constraints, "critical,CA:FALSE") &&
        extension(x, ca, NID_key_usage, "critical,digitalSignature") &&
        extension(x, ca, NID_ext_key_usage, "serverAuth") &&
        extension(x, ca, NID_subject_alt_name, names) &&
        extension(x, ca, NID_subject_key_identifier, "hash") &&
        extension(x, ca, NID_authority_key_identifier, "keyid:always") &&
        X509_sign(x, ca_key, EVP_sha256()) > 0)
        return x;
    X509_free(x);
    return NULL;
}

/* ---- keeping ---- */

static cpn_rc
bio_out(BIO *b, cpn_buf *out, cpn_err *err)
{
    char *p = NULL;
    long n = BIO_get_mem_data(b, &p);
    cpn_rc rc = n > 0 ? cpn_buf_append(out, (cpn_view){ (uint8_t *)p, (size_t)n }) : CPN_E_CRYPTO;

    if (rc != CPN_OK)
        return cpn_fail(err, CPN_E_CRYPTO, "writing PEM");
    return CPN_OK;
}

static cpn_rc
pem_of(X509 *x, EVP_PKEY *k, cpn_buf *out, cpn_err *err)
{
    BIO *b = BIO_new(x ? BIO_s_mem() : BIO_s_secmem());
    bool ok = b && (!x || PEM_write_bio_X509(b, x) == 1) &&
              (!k || PEM_write_bio_PKCS8PrivateKey(b, k, NULL, NULL, 0, NULL, NULL) == 1);
    cpn_rc rc = ok ? bio_out(b, out, err) : cpn_fail(err, CPN_E_CRYPTO, "writing PEM");

    BIO_free(b);
    return rc;
}

typedef struct kept {
    char cert_path[PATH_SIZE];
    char key_path[PATH_SIZE];
    X509 *cert;
    EVP_PKEY *key;
    cpn_buf cert_pem, key_pem;
} kept;

static void
kept_auto(kept *k)
{
    X509_free(k->cert);
    EVP_PKEY_free(k->key);
    cpn_buf_fini(&k->cert_pem);
    cpn_buf_fini(&k->key_pem);
}

/* CPN_NOT_FOUND: one of the two is missing or unusable. */
static cpn_rc
kept_read(kept *k, cpn_err *err)
{
    cpn_rc rc = file_read(k->cert_path, &k->cert_pem, err);

    if (rc == CPN_OK)
        rc = cpn_private_file_read(k->key_path, &k->key_pem, err);
    if (rc != CPN_OK)
        return rc;
    k->cert = cert_parse(&k->cert_pem);
    k->key = key_parse(&k->key_pem);
    if (!k->cert || !k->key || X509_check_private_key(k->cert, k->key) != 1)
        return CPN_NOT_FOUND;
    return CPN_OK;
}

/* Keeps what is in cert and key, both just made. */
static cpn_rc
kept_write(kept *k, cpn_err *err)
{
    cpn_rc rc;

    cpn_buf_consume(&k->cert_pem, k->cert_pem.n);
    cpn_buf_consume(&k->key_pem, k->key_pem.n);
    if (!k->cert || !k->key)
        return cpn_fail(err, CPN_E_CRYPTO, "%s: making it", k->cert_path);
    if ((rc = pem_of(k->cert, NULL, &k->cert_pem, err)) != CPN_OK ||
        (rc = pem_of(NULL, k->key, &k->key_pem, err)) != CPN_OK ||
        (rc = cpn_private_file_write(k->key_path, cpn_buf_view(&k->key_pem), err)) != CPN_OK ||
        (rc = cpn_private_file_write(k->cert_path, cpn_buf_view(&k->cert_pem), err)) != CPN_OK)
        return rc;
    if (chmod(k->cert_path, 0644) < 0)
        return cpn_fail(err, CPN_E_SYS, "%s: %s", k->cert_path, strerror(errno));
    return CPN_OK;
}

static void
kept_init(kept *k, const cpn_config *set, const char *cert, const char *key)
{
    memset(k, 0, sizeof(*k));
    k->cert_pem.max = k->key_pem.max = FILE_MAX;
    snprintf(k->cert_path, sizeof(k->cert_path), "%s/%s", set->state_dir, cert);
    snprintf(k->key_path, sizeof(k->key_path), "%s/%s", set->state_dir, key);
}

/* Is the leaf still the one that we would make, and for long enough? */
static bool
leaf_good(const kept *leaf, const kept *ca, const cpn_config *set)
{
    cpn_url url = { 0 };
    cpn_err err = { 0 };
    time_t soon = time(NULL) + CPN_TLS_RENEW_DAYS * 86400;

    if (X509_cmp_time(X509_get0_notAfter(leaf->cert), &soon) < 0 ||
        X509_cmp_current_time(X509_get0_notBefore(leaf->cert)) > 0 ||
        X509_verify(leaf->cert, ca->key) != 1)
        return false;
    if (cpn_url_parse(cpn_view_str(set->public_url), &url, &err) != CPN_OK)
        return true;
    return X509_check_host(leaf->cert, url.host, 0, 0, NULL) == 1 ||
           X509_check_ip_asc(leaf->cert, url.host, 0) == 1;
}

static cpn_rc
own_identity(const cpn_config *set, char **cert_pem, char **key_pem, cpn_err *err)
{
    CPN_AUTO(kept_auto) kept ca, leaf;
    cpn_rc rc;

    kept_init(&leaf, set, "tls.pem", "tls-key.pem");
    kept_init(&ca, set, "ca.pem", "ca-key.pem");
    rc = kept_read(&ca, err);
    if (rc == CPN_NOT_FOUND) {
        EVP_PKEY_free(ca.key);
        X509_free(ca.cert);
        ca.key = EVP_EC_gen("P-256");
        ca.cert = ca.key ? ca_make(ca.key) : NULL;
        rc = kept_write(&ca, err);
        cpn_log(CPN_LOG_INFO, "tls.ca_made", CPN_KV("file", ca.cert_path));
    }
    if (rc != CPN_OK)
        return cpn_ctx(err, rc < 0 ? rc : CPN_E_CONF, "the gateway's own CA");
    rc = kept_read(&leaf, err);
    if (rc < 0)
        return cpn_ctx(err, rc, "the gateway's certificate");
    if (rc != CPN_OK || !leaf_good(&leaf, &ca, set)) {
        EVP_PKEY_free(leaf.key);
        X509_free(leaf.cert);
        leaf.key = EVP_EC_gen("P-256");
        leaf.cert = leaf.key ? leaf_make(set, leaf.key, ca.cert, ca.key) : NULL;
        if ((rc = kept_write(&leaf, err)) != CPN_OK)
            return cpn_ctx(err, rc, "the gateway's certificate");
        cpn_log(CPN_LOG_INFO, "tls.certificate_made", CPN_KV("file", leaf.cert_path));
    }
    return pair_out(leaf.cert_path, &leaf.cert_pem, &leaf.key_pem, cert_pem, key_pem, err);
}

cpn_rc
cpn_tls_identity(const cpn_config *set, char **cert_pem, char **key_pem, cpn_err *err)
{
    CPN_AUTO(buf_auto) cpn_buf cert = { .max = FILE_MAX };
    CPN_AUTO(buf_auto) cpn_buf key = { .max = FILE_MAX };
    cpn_rc rc;

    if (!set->tls_cert[0] && !set->tls_key[0])
        return own_identity(set, cert_pem, key_pem, err);
    if (!set->tls_cert[0] || !set->tls_key[0])
        return cpn_fail(err, CPN_E_CONF, "tls_cert and tls_key go together");
    if ((rc = file_read(set->tls_cert, &cert, err)) != CPN_OK)
        return rc < 0 ? rc : cpn_fail(err, CPN_E_CONF, "tls_cert: %s is missing", set->tls_cert);
    if ((rc = cpn_private_file_read(set->tls_key, &key, err)) != CPN_OK)
        return rc < 0 ? rc : cpn_fail(err, CPN_E_CONF, "tls_key: %s is missing", set->tls_key);
    return pair_out(set->tls_cert, &cert, &key, cert_pem, key_pem, err);
}
