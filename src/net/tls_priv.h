/* net/tls_priv.h -- the inside of a TLS connection, shared by tls.c (its life) and tls_io.c (its
 * bytes). Nobody else includes this. */
#ifndef CPN_NET_TLS_PRIV_H
#define CPN_NET_TLS_PRIV_H

#include <openssl/ssl.h>
#include <stdlib.h>

#include "base/buf.h"
#include "net/tls.h"

struct cpn_tls_ctx {
    unsigned refs;
    bool server;
    SSL_CTX *ssl;
};

/* Appetites move between these: a stalled connection keeps little, a running one batches a lot. */
#define CPN_TLS_APPETITE_MIN 65536u
#define CPN_TLS_INTAKE_MIN 32768u

struct cpn_tls {
    cpn_loop *loop;
    cpn_tls_ctx *ctx;
    SSL *ssl;
    int fd;
    uv_poll_t poll;
    uv_timer_t timer;
    unsigned open_handles;
    int polled; /* what libuv watches now */
    const cpn_tls_events *events;
    void *owner;
    cpn_later deliver; /* after resume or a change of owner */
    cpn_later flush;
    cpn_later room;
    cpn_later reap;
    cpn_block *in;   /* plain text in front (see plain), at and n: cipher text not decrypted yet */
    cpn_block *out;  /* cipher text not sent yet */
    size_t plain;    /* bytes at the start of in that the owner has left */
    cpn_buf backlog; /* write_all: plain text without room */
    size_t backlog_at;
    size_t gathered; /* plain bytes in out */
    size_t appetite; /* plain bytes that one send is likely to take */
    size_t intake;   /* bytes to ask one recv for */
    cpn_tls_end end;
    cpn_err *end_err;
    int write_error;
    bool ready;
    bool paused;
    bool tcp_eof;
    bool busy;        /* inside a callback that settles at its end */
    bool stuck;       /* the kernel took less than we had */
    bool room_wanted; /* room was found to be 0 */
    bool shut_wanted;
    bool shut_tls;
    bool shut_tcp;
    bool end_told;
    bool dead;
};

/* tls.c */
void cpn_tls_watch(cpn_tls *t);
/* Note the first reason for the end; told when everything before it was delivered. */
void cpn_tls_ending(cpn_tls *t, cpn_tls_end why, const char *fmt, ...) CPN_PRINTF(3, 4);
/* The newest OpenSSL reason in words; empties the error queue. */
const char *cpn_tls_why(char *out, size_t size);

/* tls_peer.c */
/* OpenSSL's verify callback: tells who issued what is not trusted. */
int cpn_tls_verify(int good, X509_STORE_CTX *store);

/* tls_io.c */
BIO *cpn_tls_bio_new(cpn_tls *t);
/* Handshake and decryption with what is in t->in, then delivery. */
void cpn_tls_digest(cpn_tls *t);
/* One recv into t->in, if it is thirsty. */
void cpn_tls_recv(cpn_tls *t);
/* May more be received? Not before what is there was decrypted and, beyond a bound, taken. */
bool cpn_tls_thirsty(const cpn_tls *t);
/* Send t->out; follows up with backlog and shutdown. */
void cpn_tls_send(cpn_tls *t);
bool cpn_tls_writable(const cpn_tls *t);

#endif
