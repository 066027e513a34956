/* What no chain can beat: the library's and the kernel's own cost, on this machine, in this minute.
 *
 *   micro handshake N          N full TLS 1.3 handshakes in memory (P-256, X25519): server CPU us
 *   micro relay IN OUT [seal|seal-openssl]
 *                              serve on 127.0.0.1:IN, relay each connection to 127.0.0.1:OUT, 256
 *                              KiB a call: a gateway's work less cipher and protocol. seal: each
 *                              16 KiB also go through AES-128-GCM once, the one that Caponier
 *                              uses or OpenSSL's own, and what comes out is dropped
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

#include "net/gcm.h"

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

static EVP_CIPHER_CTX *cipher; /* NULL: none is asked for */

static void
cipher_start(const char *query)
{
    static const uint8_t key[16];
    EVP_CIPHER *aes = EVP_CIPHER_fetch(NULL, "AES-128-GCM", query);

    cipher = EVP_CIPHER_CTX_new();
    need(cipher && EVP_EncryptInit_ex2(cipher, aes, key, NULL, NULL) == 1, "cipher");
}

/* What TLS does to n bytes, without TLS. */
static void
seal(const uint8_t *p, size_t n)
{
    static uint8_t out[16384 + 16], iv[12], tag[16];
    int got;

    for (size_t part; n > 0; p += part, n -= part) {
        part = n < 16384 ? n : 16384;
        iv[0]++;
        need(EVP_EncryptInit_ex(cipher, NULL, NULL, NULL, iv) == 1 &&
                 EVP_EncryptUpdate(cipher, out, &got, p, (int)part) == 1 &&
                 EVP_EncryptFinal_ex(cipher, out + got, &got) == 1 &&
                 EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, 16, tag) == 1,
             "seal");
    }
}

/* ---- plain relay ---- */

/* One direction of a connection: what was read from `from` and not yet taken by `to`. */
typedef struct way {
    int from, to;
    uint8_t *kept;
    size_t at, n;
    uint32_t watched; /* of `from` */
} way;

static uint8_t chunk[CHUNK];
static way *way_from[20000]; /* by the descriptor that is read */

static struct sockaddr_in
local(const char *port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

    a.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
    return a;
}

static void
watch(int ep, int op, int fd, uint32_t what)
{
    struct epoll_event ev = { .events = what, .data.fd = fd };

    epoll_ctl(ep, op, fd, &ev);
}

/* Read a descriptor unless its own way is full; write to it while the other way is. */
static void
rewatch(int ep, int fd)
{
    way *mine = way_from[fd], *other = way_from[mine->to];
    uint32_t want = (mine->n ? 0 : EPOLLIN) | (other->n ? EPOLLOUT : 0);

    if (want == mine->watched)
        return;
    mine->watched = want;
    watch(ep, EPOLL_CTL_MOD, fd, want);
}

static void
way_new(int from, int to)
{
    int one = 1;

    need((way_from[from] = calloc(1, sizeof(way))) != NULL, "out of memory");
    need((way_from[from]->kept = malloc(CHUNK)) != NULL, "out of memory");
    way_from[from]->from = from;
    way_from[from]->to = to;
    way_from[from]->watched = EPOLLIN;
    setsockopt(from, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static void
pair_up(int ep, int fd, const char *out)
{
    struct sockaddr_in a = local(out);
    int to = socket(AF_INET, SOCK_STREAM, 0);

    need(to >= 0 && connect(to, (struct sockaddr *)&a, sizeof(a)) == 0, "connect");
    way_new(fd, to);
    way_new(to, fd);
    watch(ep, EPOLL_CTL_ADD, fd, EPOLLIN);
    watch(ep, EPOLL_CTL_ADD, to, EPOLLIN);
}

static void
way_free(int fd)
{
    free(way_from[fd]->kept);
    free(way_from[fd]);
    way_from[fd] = NULL;
    close(fd);
}

static void
part(way *w)
{
    int from = w->from, to = w->to;

    way_free(from);
    way_free(to);
}

/* Send n bytes, keep what is not taken. False: it broke. */
static int
put(way *w, const uint8_t *p, size_t n)
{
    ssize_t took = send(w->to, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (took < 0 && errno != EAGAIN)
        return 0;
    took = took < 0 ? 0 : took;
    w->n = n - (size_t)took;
    w->at = p == chunk ? 0 : w->at + (size_t)took;
    if (p == chunk && w->n)
        memcpy(w->kept, chunk + took, w->n);
    return 1;
}

static void
pass_on(int ep, int fd, uint32_t ready)
{
    way *mine = way_from[fd], *other;
    ssize_t got;

    if (!mine) /* it went while this turn's events were handled */
        return;
    other = way_from[mine->to];
    if ((ready & EPOLLOUT) && other->n && !put(other, other->kept + other->at, other->n)) {
        part(mine);
        return;
    }
    if (!mine->n && (ready & (EPOLLIN | EPOLLHUP | EPOLLERR))) {
        got = recv(fd, chunk, sizeof(chunk), MSG_DONTWAIT);
        if (got > 0 && cipher)
            seal(chunk, (size_t)got);
        if (got == 0 || (got < 0 && errno != EAGAIN) ||
            (got > 0 && !put(mine, chunk, (size_t)got))) {
            part(mine);
            return;
        }
    }
    rewatch(ep, fd);
    rewatch(ep, mine->to);
}

static void
relay(const char *in, const char *out)
{
    struct sockaddr_in a = local(in);
    int ep = epoll_create1(0), ls = socket(AF_INET, SOCK_STREAM, 0), one = 1, fd;
    struct epoll_event ev[64];

    setsockopt(ls, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    need(bind(ls, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(ls, 64) == 0, "listen");
    watch(ep, EPOLL_CTL_ADD, ls, EPOLLIN);
    for (;;) {
        int n = epoll_wait(ep, ev, 64, -1);

        for (int i = 0; i < n; i++) {
            if (ev[i].data.fd != ls)
                pass_on(ep, ev[i].data.fd, ev[i].events);
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
    else if (argc >= 4 && !strcmp(argv[1], "relay")) {
        if (argc > 4)
            cipher_start(strcmp(argv[4], "seal") == 0 ? cpn_gcm_query() : NULL);
        relay(argv[2], argv[3]);
    } else
        return 2;
}
