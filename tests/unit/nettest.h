/* What the tests of net/ share: a loop, a throw-away certificate, a TLS pair over a socketpair. */
#ifndef CPN_TESTS_NETTEST_H
#define CPN_TESTS_NETTEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/tls.h"

typedef struct nettest {
    uv_loop_t uv;
    cpn_quota quota;
    cpn_loop *loop;
    cpn_tls_ctx *server;
    cpn_tls_ctx *client;
    char cert[4096];
    char key[1024];
} nettest;

static CPN_UNUSED void
nettest_pem(nettest *nt, const char *name)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    X509V3_CTX v3;
    char san[128];
    X509_EXTENSION *ext;
    BIO *bio = BIO_new(BIO_s_mem());
    int n;

    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_set_version(x, X509_VERSION_3);
    X509_gmtime_adj(X509_getm_notBefore(x), -60);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (uint8_t *)"test", -1,
                               -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    X509V3_set_ctx(&v3, x, x, NULL, NULL, 0);
    snprintf(san, sizeof(san), "DNS:%s,IP:127.0.0.1", name);
    ext = X509V3_EXT_conf_nid(NULL, &v3, NID_subject_alt_name, san);
    X509_add_ext(x, ext, -1);
    X509_EXTENSION_free(ext);
    X509_sign(x, key, EVP_sha256());
    PEM_write_bio_X509(bio, x);
    n = BIO_read(bio, nt->cert, sizeof(nt->cert) - 1);
    nt->cert[n] = '\0';
    PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
    n = BIO_read(bio, nt->key, sizeof(nt->key) - 1);
    nt->key[n] = '\0';
    BIO_free(bio);
    X509_free(x);
    EVP_PKEY_free(key);
}

static CPN_UNUSED void
nettest_start(nettest *nt)
{
    cpn_err err = { 0 };
    cpn_tls_trust trust;

    alarm(60); /* a test that waits for ever fails */
    memset(nt, 0, sizeof(*nt));
    nettest_pem(nt, "gate.test");
    uv_loop_init(&nt->uv);
    nt->quota.max = 64u << 20;
    assert_int_equal(cpn_loop_new(&nt->loop, &nt->uv, &nt->quota, &err), CPN_OK);
    assert_int_equal(
        cpn_tls_ctx_server(&nt->server, cpn_view_str(nt->cert), cpn_view_str(nt->key), false, &err),
        CPN_OK);
    trust = (cpn_tls_trust){ .ca_pem = cpn_view_str(nt->cert) };
    assert_int_equal(cpn_tls_ctx_client(&nt->client, &trust, 0, &err), CPN_OK);
}

/* Everything made on the loop must have been freed: proves that nothing is left open or charged. */
static CPN_UNUSED void
nettest_stop(nettest *nt)
{
    for (int i = 0; i < 4; i++)
        uv_run(&nt->uv, UV_RUN_NOWAIT);
    assert_int_equal(nt->quota.used, 0);
    cpn_loop_free(nt->loop);
    uv_run(&nt->uv, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&nt->uv), 0);
    cpn_tls_ctx_free(nt->server);
    cpn_tls_ctx_free(nt->client);
}

/* Turn the loop until *flag, at most 20 s. */
static CPN_UNUSED void
nettest_until(nettest *nt, const bool *flag)
{
    uint64_t deadline = cpn_mono_ms() + 20000;

    while (!*flag) {
        if (cpn_mono_ms() > deadline)
            fail_msg("nothing happened for 20 s");
        uv_run(&nt->uv, UV_RUN_ONCE);
    }
}

static CPN_UNUSED void
nettest_turns(nettest *nt, int n)
{
    while (n-- > 0)
        uv_run(&nt->uv, UV_RUN_NOWAIT);
}

static CPN_UNUSED void
nettest_sockets(int fd[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
}

/* Both ends of a TLS connection, handshake not done yet. */
static CPN_UNUSED void
nettest_tls(nettest *nt, cpn_tls **server, cpn_tls **client, const char *name)
{
    cpn_tls_opts so = { .ctx = nt->server }, co = { .ctx = nt->client, .server_name = name };
    cpn_err err = { 0 };
    int fd[2];

    nettest_sockets(fd);
    assert_int_equal(cpn_tls_new(server, nt->loop, fd[0], &so, &err), CPN_OK);
    assert_int_equal(cpn_tls_new(client, nt->loop, fd[1], &co, &err), CPN_OK);
}

/* A peer that speaks by hand: keeps what it gets. */
typedef struct hand {
    uint8_t got[65536];
    size_t n;
    bool ended;
} hand;

static CPN_UNUSED size_t
hand_bytes(void *owner, cpn_tls *t, uint8_t *p, size_t n)
{
    hand *h = owner;

    (void)t;
    memcpy(h->got + h->n, p, CPN_MIN(n, sizeof(h->got) - h->n));
    h->n += CPN_MIN(n, sizeof(h->got) - h->n);
    return n;
}

static CPN_UNUSED void
hand_end(void *owner, cpn_tls *t, cpn_tls_end why, const cpn_err *err)
{
    (void)t;
    (void)why;
    (void)err;
    ((hand *)owner)->ended = true;
}

static CPN_UNUSED const cpn_tls_events hand_events = { .on_bytes = hand_bytes, .on_end = hand_end };

#endif
