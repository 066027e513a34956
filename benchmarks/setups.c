/* Set-ups that each bring TLS connections of their own, C at once, as fast as the gateway takes
 * them.
 *
 *   setups WAY PORT CA C S [HEAD FRAMES | POST HOST]      "count seconds p50_us"
 *
 *   handshake            a TLS handshake, and no more
 *   own HEAD FRAMES      a carrier: the request in HEAD, after its 101 the FRAMES, until DATA comes
 *   azure POST HOST      as the Azure CLI does: the request in POST, the upgrade with the token it
 *                        gave, an echoed byte, a close, and the DELETE: three connections
 *
 * A thread is one client: all it does is wait, for the gateway or for its turn on the one core.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define AT_ONCE_MAX 64
#define SAMPLES_MAX 200000
#define TEXT_MAX 16384

enum { FRAME_REFUSED = 3, FRAME_DATA = 4, FRAME_RESET = 6 }; /* of caponier.v1: docs/protocol.md */

typedef struct text {
    char p[TEXT_MAX];
    size_t n;
} text;

static SSL_CTX *tls;
static struct sockaddr_in gateway;
static text first, second; /* HEAD and FRAMES, or POST and HOST */
static void (*way)(void);
static double until;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static double samples[SAMPLES_MAX];
static size_t samples_n;

static double
now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void
need(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "setups: %s\n", what);
    exit(1);
}

static void
text_read(text *t, const char *path)
{
    FILE *f = fopen(path, "r");

    need(f != NULL, path);
    t->n = fread(t->p, 1, sizeof(t->p) - 1, f);
    fclose(f);
}

/* ---- one connection ---- */

static SSL *
conn_open(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    SSL *ssl = SSL_new(tls);

    need(fd >= 0 && connect(fd, (struct sockaddr *)&gateway, sizeof(gateway)) == 0, "connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    need(ssl && SSL_set_fd(ssl, fd) == 1 && SSL_set_tlsext_host_name(ssl, "localhost") == 1 &&
             SSL_connect(ssl) == 1,
         "no TLS");
    return ssl;
}

static void
conn_close(SSL *ssl)
{
    int fd = SSL_get_fd(ssl);

    SSL_free(ssl);
    close(fd);
}

static void
conn_send(SSL *ssl, const char *p, size_t n)
{
    need(SSL_write(ssl, p, (int)n) == (int)n, "write");
}

/* More of what comes, behind what is there. */
static void
conn_more(SSL *ssl, text *t)
{
    int got = SSL_read(ssl, t->p + t->n, (int)(sizeof(t->p) - 1 - t->n));

    need(got > 0, "the gateway closed");
    t->n += (size_t)got;
    t->p[t->n] = '\0';
}

/* The answer to a request; what follows its head stays in t. */
static void
conn_answer(SSL *ssl, text *t, const char *status)
{
    char *end;

    t->n = 0;
    do
        conn_more(ssl, t);
    while (!(end = strstr(t->p, "\r\n\r\n")));
    need(strncmp(t->p + 9, status, 3) == 0, t->p);
    end += 4;
    t->n -= (size_t)(end - t->p);
    memmove(t->p, end, t->n + 1);
}

static void
conn_fill(SSL *ssl, text *t, size_t n)
{
    while (t->n < n)
        conn_more(ssl, t);
}

/* Takes the first frame, shorter than 64 KiB, off t; returns its payload's first byte. */
static uint8_t
conn_frame(SSL *ssl, text *t)
{
    size_t head = 2, n;
    uint8_t got;

    conn_fill(ssl, t, head);
    n = (uint8_t)t->p[1];
    if (n == 126) {
        conn_fill(ssl, t, head = 4);
        n = (size_t)(uint8_t)t->p[2] << 8 | (uint8_t)t->p[3];
    }
    conn_fill(ssl, t, head + n);
    got = (uint8_t)t->p[head];
    t->n -= head + n;
    memmove(t->p, t->p + head + n, t->n);
    return got;
}

/* ---- ways ---- */

static void
handshake(void)
{
    conn_close(conn_open());
}

static void
own(void)
{
    SSL *ssl = conn_open();
    text t;
    uint8_t frame;

    conn_send(ssl, first.p, first.n);
    conn_answer(ssl, &t, "101");
    conn_send(ssl, second.p, second.n);
    while ((frame = conn_frame(ssl, &t)) != FRAME_DATA)
        need(frame != FRAME_REFUSED && frame != FRAME_RESET, "refused");
    conn_close(ssl);
}

/* The string of that name in an answer's JSON. */
static void
word(const text *t, const char *name, char out[static 1024])
{
    char key[64];
    const char *at;

    snprintf(key, sizeof(key), "\"%s\":", name);
    need((at = strstr(t->p, key)) != NULL, name);
    need(sscanf(at + strlen(key), " \"%1023[^\"]", out) == 1, name);
}

static void
azure(void)
{
    char socket_token[1024], auth_token[1024], node[1024], request[4096];
    SSL *ssl = conn_open();
    text t;
    int n;

    conn_send(ssl, first.p, first.n);
    conn_answer(ssl, &t, "200");
    while (!strchr(t.p, '}'))
        conn_more(ssl, &t);
    conn_close(ssl);
    word(&t, "websocketToken", socket_token);
    word(&t, "authToken", auth_token);
    word(&t, "nodeId", node);

    ssl = conn_open();
    n = snprintf(request, sizeof(request),
                 "GET /webtunnelv2/%s?X-Node-Id=%s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\n"
                 "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                 "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n",
                 socket_token, node, second.p);
    conn_send(ssl, request, (size_t)n);
    conn_answer(ssl, &t, "101");
    conn_send(ssl, "\x82\x81\0\0\0\0E", 7);
    need(conn_frame(ssl, &t) == 'E', "another echo");
    conn_send(ssl, "\x88\x82\0\0\0\0\x03\xe8", 8);
    conn_frame(ssl, &t);
    conn_close(ssl);

    ssl = conn_open();
    n = snprintf(request, sizeof(request), "DELETE /api/tokens/%s HTTP/1.1\r\nHost: %s\r\n\r\n",
                 auth_token, second.p);
    conn_send(ssl, request, (size_t)n);
    conn_answer(ssl, &t, "204");
    conn_close(ssl);
}

/* ---- all of them ---- */

static void *
client(void *unused)
{
    double began, ended;

    (void)unused;
    do {
        began = now();
        way();
        ended = now();
        pthread_mutex_lock(&lock);
        if (samples_n < SAMPLES_MAX)
            samples[samples_n++] = ended - began;
        pthread_mutex_unlock(&lock);
    } while (ended < until);
    return NULL;
}

static int
by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

int
main(int argc, char **argv)
{
    pthread_t clients[AT_ONCE_MAX];
    int at_once;
    double began;

    need(argc >= 6 && (strcmp(argv[1], "handshake") == 0 || argc == 8), "see the head of setups.c");
    way = strcmp(argv[1], "own") == 0 ? own : strcmp(argv[1], "azure") == 0 ? azure : handshake;
    gateway = (struct sockaddr_in){ .sin_family = AF_INET,
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                    .sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10)) };
    tls = SSL_CTX_new(TLS_client_method());
    need(tls && SSL_CTX_load_verify_locations(tls, argv[3], NULL) == 1, argv[3]);
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
    at_once = (int)strtol(argv[4], NULL, 10);
    need(at_once > 0 && at_once <= AT_ONCE_MAX, "1 to 64 at once");
    if (argc == 8) {
        text_read(&first, argv[6]);
        text_read(&second, argv[7]);
    }
    began = now();
    until = began + strtod(argv[5], NULL);
    for (int i = 0; i < at_once; i++)
        need(pthread_create(&clients[i], NULL, client, NULL) == 0, "a thread");
    for (int i = 0; i < at_once; i++)
        pthread_join(clients[i], NULL);
    qsort(samples, samples_n, sizeof(*samples), by_size);
    printf("%zu %.6f %.1f\n", samples_n, now() - began, samples[samples_n / 2] * 1e6);
    return 0;
}
