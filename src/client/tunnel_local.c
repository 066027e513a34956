/* One local connection: its first bytes tell the protocol, then it is a stream of the carrier; when
 * the answer is no, it is told in that protocol's words. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/tunnel_impl.h"

#define PEEK 255

static void
local_closed(uv_handle_t *h)
{
    cpn_local *l = h->data;

    if (--l->handles > 0)
        return;
    if (l->fd >= 0)
        close(l->fd);
    close(l->own_fd);
    cpn_buf_fini(&l->first);
    free(l);
}

static void
end_in_order(const cpn_local *l)
{
    struct linger off = { 0 };

    setsockopt(l->own_fd, SOL_SOCKET, SO_LINGER, &off, sizeof(off));
}

/* The last thing that happens to it. */
static void
local_drop(cpn_local *l)
{
    cpn_tunnel *t = l->tunnel;
    cpn_local **p = &t->locals;

    if (l->state == CPN_LOCAL_GONE)
        return;
    if (l->state == CPN_LOCAL_LAST) /* the refused stream had it end in a reset */
        end_in_order(l);
    l->state = CPN_LOCAL_GONE;
    cpn_tunnel_session_over(t, l, NULL);
    while (*p != l)
        p = &(*p)->next;
    *p = l->next;
    uv_close((uv_handle_t *)&l->poll, local_closed);
    uv_close((uv_handle_t *)&l->timer, local_closed);
    if (t->locals_n-- == t->locals_max)
        cpn_tunnel_accept(t, true);
    if (t->stdio)
        cpn_stdio_over(t->stdio);
}

static void
on_last_timer(uv_timer_t *timer)
{
    local_drop(timer->data);
}

/* Read away what comes until the program has ended: closing earlier could destroy our last words
 * on their way. */
static void
on_last_bytes(uv_poll_t *poll, int status, int what)
{
    cpn_local *l = poll->data;
    uint8_t chunk[4096];
    ssize_t n = recv(l->own_fd, chunk, sizeof(chunk), MSG_DONTWAIT);

    (void)what;
    if (status < 0 || n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        local_drop(l);
}

/* Say no in the protocol of the program, and wait a little for it to end. Behind standard output
 * nobody waits for words of a protocol; stderr has been told. */
static void
say_no(cpn_local *l, const char *sentence)
{
    cpn_buf words = { .max = 4096 };
    bool rdp;
    cpn_rc rc;

    if (l->tunnel->stdio) {
        l->tunnel->failed = true;
        local_drop(l);
        return;
    }
    rdp = l->speech == CPN_SPEECH_RDP ||
          (l->speech == CPN_SPEECH_NONE && l->inlet->inlet->target.port == 3389);
    rc = rdp ? cpn_first_refuse_rdp(&words) : cpn_first_refuse_ssh(&words, sentence);
    if (rc == CPN_OK)
        (void)!send(l->own_fd, words.p, words.n, MSG_NOSIGNAL | MSG_DONTWAIT);
    cpn_buf_fini(&words);
    shutdown(l->own_fd, SHUT_WR);
    l->state = CPN_LOCAL_LAST;
    uv_poll_start(&l->poll, UV_READABLE, on_last_bytes);
    uv_timer_start(&l->timer, on_last_timer, CPN_LOCAL_LAST_MS, 0);
}

static void
local_open(cpn_local *l, cpn_carrier *carrier)
{
    cpn_tunnel *t = l->tunnel;
    cpn_stream *s;
    cpn_err err = { 0 };
    cpn_carrier_ask ask = { .target = cpn_view_str(l->inlet->open_json),
                            .first = cpn_buf_view(&l->first),
                            .user = l };
    cpn_rc rc = cpn_carrier_open(carrier, &s, &ask, cpn_steal_fd(&l->fd), &err);

    cpn_buf_fini(&l->first);
    if (rc == CPN_OK) {
        l->stream = s;
        l->state = CPN_LOCAL_STREAM;
        return;
    }
    cpn_tunnel_say_once(t, err.msg);
    say_no(l, err.msg);
}

/* Enough is known: ask for the stream, now or when there is a carrier. */
static void
local_ready(cpn_local *l)
{
    uv_poll_stop(&l->poll);
    uv_timer_stop(&l->timer);
    l->state = CPN_LOCAL_WAITS;
    cpn_tunnel_advance(l->tunnel);
}

static void
on_first_timer(uv_timer_t *timer)
{
    local_ready(timer->data);
}

static void
on_first_bytes(uv_poll_t *poll, int status, int what)
{
    cpn_local *l = poll->data;
    uint8_t first[PEEK];
    ssize_t n = recv(l->own_fd, first, sizeof(first), MSG_PEEK | MSG_DONTWAIT);

    (void)what;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (status < 0 || n <= 0) { /* came and went: nobody needs a session for that */
        local_drop(l);
        return;
    }
    if (cpn_first_client((cpn_view){ first, (size_t)n }, &l->speech) != CPN_FIRST_MORE)
        local_ready(l);
    else /* level-triggered: look again when more has come, not before */
        uv_poll_stop(&l->poll);
}

/* Is the program at the other end one that may? One that has gone meanwhile is nobody's loss. */
static bool
peer_may(const cpn_tunnel_inlet *in, int fd)
{
    cpn_err err = { 0 };
    cpn_rc rc = cpn_peer_may(fd, &in->inlet->peers, &err);

    if (rc != CPN_OK && rc != CPN_NOT_FOUND)
        cpn_tunnel_say_once(in->tunnel, err.msg);
    return rc == CPN_OK;
}

/* A local of the inlet, not yet waiting for anything. NULL: no memory or descriptor; fd is consumed
 * all the same. */
static cpn_local *
local_add(const cpn_tunnel_inlet *in, CPN_TAKES int fd)
{
    CPN_AUTO(cpn_auto_fd) int owned = fd;
    CPN_AUTO(cpn_auto_fd) int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    cpn_tunnel *t = in->tunnel;
    cpn_local *l = own < 0 ? NULL : calloc(1, sizeof(*l));

    if (!l || uv_poll_init(&t->uv, &l->poll, own) != 0) {
        free(l);
        return NULL;
    }
    uv_timer_init(&t->uv, &l->timer);
    l->tunnel = t;
    l->inlet = in;
    l->poll.data = l->timer.data = l;
    l->handles = 2;
    l->fd = cpn_steal_fd(&owned);
    l->own_fd = cpn_steal_fd(&own);
    l->since_ms = uv_now(&t->uv);
    l->next = t->locals;
    t->locals = l;
    if (++t->locals_n == t->locals_max)
        cpn_tunnel_accept(t, false);
    return l;
}

void
cpn_local_new(const cpn_tunnel_inlet *in, CPN_TAKES int fd)
{
    cpn_local *l;
    int on = 1;

    if (!peer_may(in, fd)) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    l = local_add(in, fd);
    if (!l)
        return;
    uv_poll_start(&l->poll, UV_READABLE, on_first_bytes);
    uv_timer_start(&l->timer, on_first_timer, CPN_LOCAL_FIRST_MS, 0);
    cpn_tunnel_advance(in->tunnel);
}

bool
cpn_local_join(const cpn_tunnel_inlet *in, CPN_TAKES int fd)
{
    cpn_local *l = local_add(in, fd);

    if (l)
        local_ready(l);
    return l != NULL;
}

void
cpn_locals_open(cpn_tunnel *t)
{
    cpn_carrier *carrier;
    cpn_local *next;

    for (cpn_local *l = t->locals; l; l = next) {
        next = l->next;
        if (l->state != CPN_LOCAL_WAITS)
            continue;
        if (!(carrier = cpn_tunnel_room(t)))
            return;
        local_open(l, carrier);
    }
}

bool
cpn_locals_wait(const cpn_tunnel *t)
{
    for (const cpn_local *l = t->locals; l; l = l->next)
        if (l->state == CPN_LOCAL_WAITS || l->state == CPN_LOCAL_FIRST)
            return true;
    return false;
}

void
cpn_locals_fail(cpn_tunnel *t, const char *sentence, uint64_t older_ms)
{
    cpn_local *next;

    for (cpn_local *l = t->locals; l; l = next) {
        next = l->next;
        if (l->state == CPN_LOCAL_WAITS && uv_now(&t->uv) - l->since_ms >= older_ms)
            say_no(l, sentence);
    }
}

void
cpn_locals_drop(cpn_tunnel *t)
{
    while (t->locals)
        local_drop(t->locals);
}

/* The stream that was refused has let its descriptor go, and had it end in a reset. */
static void
on_again(uv_timer_t *timer)
{
    cpn_local *l = timer->data;
    const char *why;

    end_in_order(l);
    l->fd = fcntl(l->own_fd, F_DUPFD_CLOEXEC, 3);
    if (l->fd >= 0) {
        local_ready(l);
        return;
    }
    why = strerror(errno);
    cpn_tunnel_say_once(l->tunnel, why);
    say_no(l, why);
}

/* A carrier that the gateway does not know any more, or whose token has ended, says nothing of the
 * target. Once: what another carrier answers is the answer. */
static bool
try_another(cpn_local *l, const cpn_stream_end *end)
{
    l->first.max = CPN_CARRIER_AGAIN_MAX;
    if (l->again || !end->again || cpn_buf_append(&l->first, end->first) != CPN_OK)
        return false;
    l->again = true;
    l->state = CPN_LOCAL_FIRST;
    l->since_ms = uv_now(&l->tunnel->uv);
    uv_timer_start(&l->timer, on_again, 0, 0);
    return true;
}

void
cpn_local_stream_end(cpn_tunnel *t, cpn_local *l, const cpn_stream_end *end, bool stale_carrier)
{
    char sentence[CPN_LAST_WORDS];

    cpn_tunnel_session_over(t, l, end);
    if (stale_carrier && try_another(l, end))
        return;
    if (end->why == CPN_STREAM_REFUSED) {
        cpn_reason_sentence_of(end->text, sentence);
        cpn_tunnel_say_refused(t, &l->inlet->inlet->target, end->text);
        say_no(l, sentence);
        return;
    }
    if (end->why == CPN_STREAM_RESET_PEER)
        cpn_tunnel_say_reset(&l->inlet->inlet->target, end->text);
    t->failed |= end->why != CPN_STREAM_CLOSED;
    local_drop(l);
}
