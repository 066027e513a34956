/* The bytes of a TLS connection: the gathering BIO, one recv or send for many records. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <sys/socket.h>

#include "net/tls_priv.h"

/* Kept free in the output for what OpenSSL itself has to say (alerts, key updates). */
#define OUT_RESERVE 1024u
/* Longest record on the wire: header, padding type byte, tag. TLS 1.2 adds an explicit nonce. */
#define RECORD_OVERHEAD 40u
#define RECORD_WIRE (CPN_TLS_RECORD + RECORD_OVERHEAD)

/* Four records a turn while somebody types. */
#define TYPING_INTAKE (4 * RECORD_WIRE)

/* What was read to be sent lies this far behind the output: more than a gathering's records are
 * longer than their plain bytes, and what OpenSSL itself may say between them. */
#define AREA_GAP (2 * OUT_RESERVE)

static int
bio_read(BIO *bio, char *p, size_t n, size_t *got)
{
    cpn_tls *t = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    *got = 0;
    if (!t->in || t->in->n == 0) {
        if (!t->tcp_eof)
            BIO_set_retry_read(bio);
        return 0;
    }
    *got = CPN_MIN(n, t->in->n);
    memcpy(p, t->in->p + t->in->at, *got);
    t->in->at += *got;
    t->in->n -= *got;
    return 1;
}

static bool
out_block(cpn_tls *t)
{
    return t->out || (t->out = cpn_pool_take(cpn_loop_pool(t->loop), CPN_BLOCK_LARGE));
}

static int
bio_write(BIO *bio, const char *p, size_t n, size_t *put)
{
    cpn_tls *t = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    *put = 0;
    if (!out_block(t))
        return 0;
    if (n > cpn_block_room(t->out)) {
        BIO_set_retry_write(bio);
        return 0;
    }
    memcpy(t->out->p + t->out->at + t->out->n, p, n);
    t->out->n += n;
    *put = n;
    return 1;
}

static long
bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
    (void)bio;
    (void)num;
    (void)ptr;
    return cmd == BIO_CTRL_FLUSH;
}

BIO *
cpn_tls_bio_new(cpn_tls *t)
{
    static BIO_METHOD *method; /* one a process; roles are single-threaded */
    BIO *bio;

    if (!method) {
        method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "gathering");
        if (!method || !BIO_meth_set_read_ex(method, bio_read) ||
            !BIO_meth_set_write_ex(method, bio_write) || !BIO_meth_set_ctrl(method, bio_ctrl))
            return NULL;
    }
    bio = BIO_new(method);
    if (bio) {
        BIO_set_data(bio, t);
        BIO_set_init(bio, 1);
    }
    return bio;
}

/* --- in ------------------------------------------------------------------------------------- */

/* The socket's error; what was received before it is still delivered. */
static void
recv_failed(cpn_tls *t, int e)
{
    if (e == EAGAIN || e == EINTR)
        return;
    if (e == ETIMEDOUT)
        cpn_tls_ending(t, CPN_TLS_END_TIMEOUT, "the peer stopped answering");
    else
        cpn_tls_ending(t, CPN_TLS_END_RESET, "the connection broke: %s", strerror(e));
}

/* Plain and cipher text move to a block of this size. */
static bool
in_block(cpn_tls *t, size_t size)
{
    cpn_pool *pool = cpn_loop_pool(t->loop);
    cpn_block *b = cpn_pool_take(pool, size);

    if (!b)
        return false;
    b->at = t->plain + RECORD_WIRE;
    if (t->in) {
        memcpy(b->p, t->in->p, t->plain);
        memcpy(b->p + b->at, t->in->p + t->in->at, t->in->n);
        b->n = t->in->n;
        explicit_bzero(t->in->p, t->plain); /* whoever consumes the text wipes the other copy */
        cpn_pool_give(pool, &t->in);
    }
    t->in = b;
    return true;
}

/* A block for the plain text that waits and n bytes of cipher text, a record's length behind it:
 * one that OpenSSL holds most of may come out first. From there on decryption takes more than it
 * gives, so that its output never reaches what it has not read yet. The last record wants its room,
 * too. */
static size_t
in_size(const cpn_tls *t, size_t n)
{
    return t->plain + RECORD_WIRE + n + CPN_TLS_RECORD;
}

static bool
in_room(cpn_tls *t, size_t ask)
{
    size_t need = CPN_MIN(in_size(t, ask), CPN_BLOCK_LARGE);

    if (t->in && t->in->size >= need) {
        t->in->at = t->plain + RECORD_WIRE;
        return true;
    }
    return in_block(t, need);
}

bool
cpn_tls_thirsty(const cpn_tls *t)
{
    return !(t->in && t->in->n > 0) && t->plain <= CPN_TLS_UNCONSUMED;
}

void
cpn_tls_recv(cpn_tls *t)
{
    size_t most = CPN_TLS_GATHER + 16 * RECORD_OVERHEAD, ask;
    ssize_t got;

    if (!cpn_tls_thirsty(t))
        return;
    ask = cpn_pool_tight(cpn_loop_pool(t->loop)) ? CPN_TLS_INTAKE_MIN : t->intake;
    if (cpn_loop_typing(t->loop))
        ask = CPN_MIN(ask, TYPING_INTAKE);
    if (!in_room(t, ask)) {
        cpn_tls_ending(t, CPN_TLS_END_RESET, "out of memory");
        return;
    }
    ask = CPN_MIN(ask, t->in->size - in_size(t, 0));
    got = recv(t->fd, t->in->p + t->in->at, ask, 0);
    if (got < 0)
        recv_failed(t, errno);
    if (got == 0 && t->write_error)
        recv_failed(t, t->write_error);
    if (got == 0)
        t->tcp_eof = true;
    t->in->n = (size_t)CPN_MAX(got, 0);
    if (t->in->n == t->intake)
        t->intake = CPN_MIN(t->intake * 2, most);
}

/* Classify what OpenSSL answered; true: it only wants more bytes. */
static bool
only_waiting(cpn_tls *t, int ret, const char *doing)
{
    int kind = SSL_get_error(t->ssl, ret);
    char why[128];

    if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE)
        return true;
    if (kind == SSL_ERROR_ZERO_RETURN) {
        cpn_tls_ending(t, CPN_TLS_END_CLOSED, "the peer closed the connection");
    } else if (t->tcp_eof && (!t->in || t->in->n == 0)) {
        ERR_clear_error();
        cpn_tls_ending(t, CPN_TLS_END_TRUNCATED, "the connection ended during the %s", doing);
    } else {
        cpn_tls_ending(t, CPN_TLS_END_FAILED, "TLS %s: %s", doing, cpn_tls_why(why, sizeof(why)));
    }
    return false;
}

static void
shake(cpn_tls *t)
{
    int ret;

    ERR_clear_error();
    ret = SSL_do_handshake(t->ssl);
    if (ret == 1) {
        t->ready = true;
        uv_timer_stop(&t->timer);
    } else {
        only_waiting(t, ret, "handshake");
    }
    cpn_tls_flush(t);
    if (t->ready && t->events && t->events->on_ready)
        t->events->on_ready(t->owner, t);
}

/* Hand out the plain text; what the owner leaves moves to the front. */
static void
hand_out(cpn_tls *t)
{
    uint8_t *p = t->in->p;
    size_t used = t->events->on_bytes(t->owner, t, p, t->plain);

    if (t->dead)
        return;
    used = CPN_MIN(used, t->plain);
    t->plain -= used;
    if (used > 0 && t->plain > 0)
        memmove(p, p + used, t->plain);
}

/* Decrypt as many records as there are, to behind the plain text. */
static void
decrypt(cpn_tls *t)
{
    ERR_clear_error(); /* once: what succeeds adds nothing */
    while (t->in->size - t->plain >= CPN_TLS_RECORD) {
        int got = SSL_read(t->ssl, t->in->p + t->plain, (int)CPN_TLS_RECORD);

        if (got <= 0) {
            only_waiting(t, got, "transfer");
            break;
        }
        t->plain += (size_t)got;
    }
}

static void
deliver(cpn_tls *t)
{
    size_t before;

    if (!t->in && !in_room(t, CPN_TLS_INTAKE_MIN)) {
        cpn_tls_ending(t, CPN_TLS_END_RESET, "out of memory");
        return;
    }
    do {
        before = t->in->n;
        if (t->end == CPN_TLS_END_NONE)
            decrypt(t);
        if (t->plain > 0)
            hand_out(t);
        if (t->dead)
            return;
    } while (!t->paused && t->events && t->end == CPN_TLS_END_NONE &&
             t->plain <= CPN_TLS_UNCONSUMED && t->in->n > 0 && t->in->n < before);
    if (!t->paused && t->plain > CPN_TLS_UNCONSUMED)
        cpn_tls_ending(t, CPN_TLS_END_FAILED, "the peer sent more than it may at once");
}

/* Between turns a partial record needs no more than a small block, nothing needs none. */
static void
shrink_intake(cpn_tls *t)
{
    cpn_block *b = t->in;

    if (b && b->n + t->plain == 0)
        cpn_pool_give(cpn_loop_pool(t->loop), &t->in);
    else if (b && b->size > CPN_BLOCK_SMALL && in_size(t, b->n) <= CPN_BLOCK_SMALL)
        in_block(t, CPN_BLOCK_SMALL);
}

void
cpn_tls_digest(cpn_tls *t)
{
    if (!t->ready && t->end == CPN_TLS_END_NONE)
        shake(t);
    if (t->dead)
        return;
    if (t->ready && t->events && !t->paused)
        deliver(t);
    if (t->dead)
        return;
    if (t->paused)
        t->intake = CPN_TLS_INTAKE_MIN * 2;
    shrink_intake(t);
    if (t->out && !t->stuck)
        cpn_loop_later(t->loop, &t->flush, CPN_LATER_BULK);
}

/* --- out ------------------------------------------------------------------------------------ */

bool
cpn_tls_writable(const cpn_tls *t)
{
    return t->end <= CPN_TLS_END_CLOSED && t->write_error == 0;
}

size_t
cpn_tls_room(const cpn_tls *t)
{
    bool less = cpn_pool_tight(cpn_loop_pool(t->loop)) || cpn_loop_typing(t->loop);
    size_t room = 0, appetite = less ? CPN_TLS_APPETITE_MIN : t->appetite;

    if (t->ready && !t->stuck && t->backlog.n == 0 && !t->shut_wanted && cpn_tls_writable(t) &&
        t->gathered < appetite)
        room = appetite - t->gathered;
    if (room == 0)
        ((cpn_tls *)t)->room_wanted = true;
    return room;
}

/* Bytes on the wire for n plain bytes, at most. */
static size_t
wire_size(size_t n)
{
    return n + (n / CPN_TLS_RECORD + 1) * RECORD_OVERHEAD;
}

uint8_t *
cpn_tls_area(cpn_tls *t)
{
    return out_block(t) ? t->out->p + t->out->at + t->out->n + AREA_GAP : NULL;
}

static cpn_rc
encrypt(cpn_tls *t, const uint8_t *p, size_t n)
{
    size_t room = t->out ? cpn_block_room(t->out) : CPN_BLOCK_LARGE;

    if (room < OUT_RESERVE || wire_size(n) > room - OUT_RESERVE)
        return CPN_AGAIN;
    ERR_clear_error();
    for (size_t put = 0; put < n;) {
        int ret = SSL_write(t->ssl, p + put, (int)CPN_MIN(n - put, CPN_TLS_RECORD));

        if (ret <= 0) {
            if (only_waiting(t, ret, "transfer"))
                cpn_tls_ending(t, CPN_TLS_END_RESET, "out of memory");
            return CPN_EOF;
        }
        put += (size_t)ret;
    }
    t->gathered += n;
    return CPN_OK;
}

cpn_rc
cpn_tls_write(cpn_tls *t, const uint8_t *p, size_t n)
{
    cpn_rc rc;

    if (t->dead || t->shut_wanted || !cpn_tls_writable(t))
        return CPN_EOF;
    if (!t->ready || t->backlog.n > 0) {
        t->room_wanted = true;
        return CPN_AGAIN;
    }
    if ((rc = encrypt(t, p, n)) == CPN_OK)
        cpn_loop_later(t->loop, &t->flush, CPN_LATER_BULK);
    else
        t->room_wanted = true;
    return rc;
}

cpn_rc
cpn_tls_write_all(cpn_tls *t, cpn_view v, size_t max)
{
    cpn_rc rc;

    if (t->dead || t->shut_wanted || !cpn_tls_writable(t))
        return CPN_EOF;
    t->backlog.max = CPN_MIN(max, 16u << 20);
    if ((rc = cpn_buf_append(&t->backlog, v)) != CPN_OK)
        return rc;
    cpn_loop_later(t->loop, &t->flush, CPN_LATER_BULK);
    return CPN_OK;
}

/* Move the backlog into records, as far as one gathering goes. */
static void
work_off_backlog(cpn_tls *t)
{
    while (t->ready && t->backlog.n > 0 && t->gathered < t->appetite) {
        size_t n = CPN_MIN(t->backlog.n - t->backlog_at, CPN_TLS_RECORD);

        if (encrypt(t, t->backlog.p + t->backlog_at, n) != CPN_OK)
            return;
        t->backlog_at += n;
        if (t->backlog_at == t->backlog.n) {
            cpn_buf_fini(&t->backlog);
            t->backlog_at = 0;
        }
    }
}

/* The kernel took less than there was: ask less next time, and keep only what is needed. */
static void
stay_stuck(cpn_tls *t, size_t taken)
{
    cpn_pool *pool = cpn_loop_pool(t->loop);
    cpn_block *small;

    t->stuck = true;
    t->appetite =
        CPN_MAX(CPN_MIN(taken & ~(size_t)(CPN_TLS_RECORD - 1), t->appetite), CPN_TLS_APPETITE_MIN);
    if (t->out->size == CPN_BLOCK_SMALL || t->out->n > CPN_BLOCK_SMALL - 2 * OUT_RESERVE ||
        !(small = cpn_pool_take(pool, CPN_BLOCK_SMALL)))
        return;
    memcpy(small->p, t->out->p + t->out->at, t->out->n);
    small->n = t->out->n;
    cpn_pool_give(pool, &t->out);
    t->out = small;
}

static void
send_once(cpn_tls *t)
{
    ssize_t put;

    if (t->out->n == 0) { /* there was nothing to read into it */
        cpn_pool_give(cpn_loop_pool(t->loop), &t->out);
        return;
    }
    put = send(t->fd, t->out->p + t->out->at, t->out->n, MSG_NOSIGNAL);

    if (put < 0 && errno != EAGAIN && errno != EINTR) {
        t->write_error = errno; /* reading goes on: what the peer sent before counts */
        cpn_pool_give(cpn_loop_pool(t->loop), &t->out);
        t->stuck = false;
        return;
    }
    put = CPN_MAX(put, 0);
    t->out->at += (size_t)put;
    t->out->n -= (size_t)put;
    if (t->out->n > 0) {
        stay_stuck(t, (size_t)put);
        return;
    }
    if (t->gathered >= t->appetite && !t->stuck)
        t->appetite = CPN_MIN(t->appetite * 2, CPN_TLS_GATHER);
    t->stuck = false;
    t->gathered = 0;
    cpn_pool_give(cpn_loop_pool(t->loop), &t->out);
}

static bool
wants_more(const cpn_tls *t)
{
    return t->ready && (t->backlog.n > 0 || (t->shut_wanted && !t->shut_tls));
}

/* close_notify, behind the last there is to say and with it. */
static void
say_goodbye(cpn_tls *t)
{
    if (!t->ready || !t->shut_wanted || t->shut_tls || !cpn_tls_writable(t) || t->backlog.n > 0 ||
        (t->out && cpn_block_room(t->out) < OUT_RESERVE))
        return;
    t->shut_tls = true;
    ERR_clear_error();
    SSL_shutdown(t->ssl);
}

void
cpn_tls_send(cpn_tls *t)
{
    do {
        if (!t->stuck) {
            work_off_backlog(t);
            say_goodbye(t);
        }
        if (t->out)
            send_once(t);
    } while (!t->stuck && cpn_tls_writable(t) && (t->out || wants_more(t)));
    if (!t->out && t->shut_tls && !t->shut_tcp) {
        t->shut_tcp = true;
        shutdown(t->fd, SHUT_WR);
    }
    if (!t->stuck && t->room_wanted && t->ready && !t->dead)
        cpn_loop_later(t->loop, &t->room, CPN_LATER_BULK);
    if (!t->stuck && t->in && t->in->n > 0 && !t->paused && !t->dead)
        cpn_loop_later(t->loop, &t->deliver, CPN_LATER_FIRST);
}
