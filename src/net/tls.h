/* net/tls.h -- one TLS connection over a non-blocking TCP socket, moving many records per system
 * call: one recv of up to 256 KiB feeds as many records as it holds; what is written in a turn is
 * gathered and leaves in one send.
 *
 * A connection holds a pooled block only while a partial record, undelivered plain text or unsent
 * cipher text remains. It sets TCP_NODELAY, TCP_USER_TIMEOUT (loop.h) and TCP_NOTSENT_LOWAT.
 *
 * Life: cpn_tls_new -> handshake -> on_ready -> on_bytes... -> on_end exactly once -> cpn_tls_free
 * by the owner (also allowed at any time before, also inside a callback; nothing is called then).
 * An owner may hand the connection on with cpn_tls_set_owner: bytes it did not consume go to the
 * new one, as does an end that was not reported yet. */
#ifndef CPN_NET_TLS_H
#define CPN_NET_TLS_H

#include "net/loop.h"
#include "net/tls_ctx.h"

#define CPN_TLS_RECORD 16384u      /* plain bytes of a full record */
#define CPN_TLS_GATHER 262144u     /* plain bytes gathered for one send */
#define CPN_TLS_UNCONSUMED 131072u /* plain bytes an owner may leave unconsumed */
#define CPN_TLS_NOTSENT_LOWAT 524288

typedef struct cpn_tls cpn_tls;

typedef enum cpn_tls_end {
    CPN_TLS_END_NONE = 0,
    CPN_TLS_END_CLOSED,    /* close_notify: nothing is missing */
    CPN_TLS_END_TRUNCATED, /* TCP ended without it: the tail may be missing */
    CPN_TLS_END_RESET,     /* ECONNRESET, EPIPE */
    CPN_TLS_END_TIMEOUT,   /* handshake deadline, or the kernel gave up on unacknowledged bytes */
    CPN_TLS_END_FAILED     /* handshake refused, certificate not trusted, bad record */
} cpn_tls_end;

typedef struct cpn_tls_events {
    /* The handshake is done and, for a client, the peer's name verified. May be NULL. */
    void (*on_ready)(void *owner, cpn_tls *t);
    /* Everything received and not yet consumed, in one piece, writable until return. Returns how
     * many bytes from the start are consumed (all of n, as a rule); the rest comes again with more
     * behind it. An owner that leaves more than CPN_TLS_UNCONSUMED ends the connection. */
    size_t (*on_bytes)(void *owner, cpn_tls *t, uint8_t *p, size_t n);
    /* There is room in the output again after cpn_tls_room() had been 0, or a write CPN_AGAIN. At
     * the end of the turn. May be NULL. */
    void (*on_room)(void *owner, cpn_tls *t);
    /* The peer is gone or the connection failed; err has the sentence. Bytes received before were
     * delivered before. Reading is over; after CPN_TLS_END_CLOSED writing still works. */
    void (*on_end)(void *owner, cpn_tls *t, cpn_tls_end why, const cpn_err *err);
} cpn_tls_events;

typedef struct cpn_tls_opts {
    cpn_tls_ctx *ctx;             /* a reference is taken; says server or client */
    const char *server_name;      /* client: name or numeric address to verify; required there */
    unsigned handshake_ms;        /* deadline; 0: 5000 */
    const cpn_tls_events *events; /* static */
    void *owner;
} cpn_tls_opts;

/* Start the handshake on a connected socket. fd is consumed whatever the result. */
cpn_rc cpn_tls_new(cpn_tls **out, cpn_loop *loop, CPN_TAKES int fd, const cpn_tls_opts *opts,
                   cpn_err *err) CPN_MUST_CHECK;
/* Send what the kernel takes at once, shut the socket down, free at the end of the turn. Nothing
 * is called any more. NULL is fine. */
void cpn_tls_free(cpn_tls *t);

/* events NULL: nobody for now; what comes waits. */
void cpn_tls_set_owner(cpn_tls *t, const cpn_tls_events *events, void *owner);
/* Stop taking bytes from the socket, and on_bytes; false: go on, with what was left first. */
void cpn_tls_pause(cpn_tls *t, bool paused);

/* Plain bytes that may be written now: what is left of what one send is likely to take, up to
 * CPN_TLS_GATHER; 0 while earlier ones are stuck. */
size_t cpn_tls_room(const cpn_tls *t);
/* Where to read what is to be written, as much as cpn_tls_room tells, in slots of CPN_TLS_RECORD or
 * multiples: written slot by slot from the first one on it is encrypted without a second large
 * buffer, the output follows close behind what was read. Valid until flush, for what is written
 * next. NULL: no memory. */
uint8_t *cpn_tls_area(cpn_tls *t);
/* Encrypt n bytes into the output: records of at most CPN_TLS_RECORD, so write in those units.
 * Small messages (control frames, answers) may exceed the room by up to 16 KiB in all, beyond:
 * CPN_AGAIN and nothing was taken. CPN_EOF: the connection has ended. Goes out at the end of the
 * turn or at flush. */
cpn_rc cpn_tls_write(cpn_tls *t, const uint8_t *p, size_t n) CPN_MUST_CHECK;
/* Like cpn_tls_write for answers of any length: what has no room is kept (bounded by max, at most
 * 16 MiB) and goes out as room appears, before on_room. CPN_LIMIT: over max; CPN_EOF as above. Not
 * for the relay. */
cpn_rc cpn_tls_write_all(cpn_tls *t, cpn_view v, size_t max) CPN_MUST_CHECK;
/* Send now what is gathered. */
void cpn_tls_flush(cpn_tls *t);
/* Bytes that wait to be sent: the kernel has not taken them. */
size_t cpn_tls_unsent(const cpn_tls *t);
/* These, and what the kernel holds that the peer has not acknowledged. */
size_t cpn_tls_untaken(const cpn_tls *t);
/* After everything written: close_notify and FIN. on_end comes when the peer ends too. */
void cpn_tls_shutdown(cpn_tls *t);

/* For counters and records. */
int cpn_tls_fd(const cpn_tls *t); /* borrowed: getpeername, getsockopt */
const char *cpn_tls_version(const cpn_tls *t);
/* Who issued the peer's certificate: "CN=Example CA,O=Example", printable ASCII, cut where it is
 * longer. False: the peer showed none. */
#define CPN_TLS_ISSUER_SIZE 192
bool cpn_tls_issuer(const cpn_tls *t, char out[CPN_TLS_ISSUER_SIZE]);
/* RFC 9266 tls-exporter; false before the handshake is done, and for TLS 1.2 without extended
 * master secret. */
bool cpn_tls_exporter(const cpn_tls *t, uint8_t out[32]);

#endif
