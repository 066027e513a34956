/* What no chain can beat: the library's and the kernel's own cost, on this machine, in this minute.
 *
 *   micro handshake N       N full TLS 1.3 handshakes in memory (P-256, X25519): server CPU us each
 *   micro aead S            AES-128-GCM over 16 KiB blocks for S seconds: GB/s
 *   micro relay IN OUT      serve on 127.0.0.1:IN, relay each connection to 127.0.0.1:OUT without
 * TLS, 256 KiB a call: the gateway's work less the cipher and the protocol
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CHUNK (256 * 1024)

static double
clock_s(clockid_t which)
{
    struct timespec ts;

    clock_gettime(which, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void
need(int good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "micro: %s\n", what);
    exit(1);
}

/* ---- handshake ---- */

static SSL_CTX *
server_ctx(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();

    need(ctx && key && cert, "out of memory");
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), 0);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    need(X509_sign(cert, key, EVP_sha256()) > 0, "sign");
    need(SSL_CTX_use_certificate(ctx, cert) == 1 && SSL_CTX_use_PrivateKey(ctx, key) == 1, "use");
    SSL_CTX_set_num_tickets(ctx, 0);
    X509_free(cert);
    EVP_PKEY_free(key);
    return ctx;
}

/* One handshake; returns the server's part of it in seconds of CPU. */
static double
handshake_once(SSL_CTX *sc, SSL_CTX *cc)
{
    BIO *a = NULL, *b = NULL;
    SSL *server = SSL_new(sc), *client = SSL_new(cc);
    double cpu = 0, t;

    need(server && client && BIO_new_bio_pair(&a, 65536, &b, 65536) == 1, "out of memory");
    SSL_set_bio(server, a, a);
    SSL_set_bio(client, b, b);
    SSL_set_accept_state(server);
    SSL_set_connect_state(client);
    for (int i = 0; i < 10 && !(SSL_is_init_finished(server) && SSL_is_init_finished(client));
         i++) {
        SSL_do_handshake(client);
        t = clock_s(CLOCK_PROCESS_CPUTIME_ID);
        SSL_do_handshake(server);
        cpu += clock_s(CLOCK_PROCESS_CPUTIME_ID) - t;
    }
    need(SSL_is_init_finished(server), "handshake");
    t = clock_s(CLOCK_PROCESS_CPUTIME_ID);
    SSL_free(server);
    cpu += clock_s(CLOCK_PROCESS_CPUTIME_ID) - t;
    SSL_free(client);
    return cpu;
}

static void
handshakes(long n)
{
    SSL_CTX *sc = server_ctx(), *cc = SSL_CTX_new(TLS_client_method());
    double cpu = 0;

    for (long i = 0; i < 50; i++)
        handshake_once(sc, cc);
    for (long i = 0; i < n; i++)
        cpu += handshake_once(sc, cc);
    printf("%.1f\n", cpu / (double)n * 1e6);
}

/* ---- cipher ---- */

static void
aead(double seconds)
{
    static uint8_t block[16384], out[16384 + 16], key[16], iv[12], tag[16];
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    double start, end;
    uint64_t n = 0;
    int got;

    need(c && EVP_EncryptInit_ex(c, EVP_aes_128_gcm(), NULL, key, iv) == 1, "cipher");
    start = clock_s(CLOCK_PROCESS_CPUTIME_ID);
    for (end = start; end < start + seconds; end = clock_s(CLOCK_PROCESS_CPUTIME_ID)) {
        for (int i = 0; i < 64; i++) {
            iv[0]++;
            need(EVP_EncryptInit_ex(c, NULL, NULL, NULL, iv) == 1 &&
                     EVP_EncryptUpdate(c, out, &got, block, sizeof(block)) == 1 &&
                     EVP_EncryptFinal_ex(c, out + got, &got) == 1 &&
                     EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, 16, tag) == 1,
                 "seal");
            n += sizeof(block);
        }
    }
    printf("%.3f\n", (double)n / (end - start) / 1e9);
}

/* ---- plain relay ---- */

static uint8_t chunk[CHUNK];
static int other[20000];

static struct sockaddr_in
local(const char *port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

    a.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
    return a;
}

static void
watch(int ep, int fd)
{
    struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };
    int one = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
}

static void
pair_up(int ep, int fd, const char *out)
{
    struct sockaddr_in a = local(out);
    int to = socket(AF_INET, SOCK_STREAM, 0);

    need(to >= 0 && connect(to, (struct sockaddr *)&a, sizeof(a)) == 0, "connect");
    other[fd] = to;
    other[to] = fd;
    watch(ep, fd);
    watch(ep, to);
}

/* Writes block: with one stream that is the back-pressure, with more it only makes this slower. */
static void
pass_on(int fd)
{
    ssize_t n = recv(fd, chunk, sizeof(chunk), MSG_DONTWAIT);

    if (n < 0 && errno == EAGAIN)
        return;
    if (n > 0 && send(other[fd], chunk, (size_t)n, MSG_NOSIGNAL) == n)
        return;
    close(fd);
    close(other[fd]);
}

static void
relay(const char *in, const char *out)
{
    struct sockaddr_in a = local(in);
    int ep = epoll_create1(0), ls = socket(AF_INET, SOCK_STREAM, 0), one = 1, fd;
    struct epoll_event ev[64];

    setsockopt(ls, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    need(bind(ls, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(ls, 64) == 0, "listen");
    watch(ep, ls);
    for (;;) {
        int n = epoll_wait(ep, ev, 64, -1);

        for (int i = 0; i < n; i++) {
            if (ev[i].data.fd != ls)
                pass_on(ev[i].data.fd);
            else if ((fd = accept(ls, NULL, NULL)) >= 0)
                pair_up(ep, fd, out);
        }
    }
}

int
main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    if (argc == 3 && !strcmp(argv[1], "handshake"))
        handshakes(strtol(argv[2], NULL, 10));
    else if (argc == 3 && !strcmp(argv[1], "aead"))
        aead(strtod(argv[2], NULL));
    else if (argc == 4 && !strcmp(argv[1], "relay"))
        relay(argv[2], argv[3]);
    else
        return 2;
}
