/* Answers `tunnel list` and `tunnel stop` while a tunnel runs. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "client/out.h"
#include "client/printable.h"
#include "client/tunnel_impl.h"

#define GUESTS_MAX 16 /* at once; a further one is sent away */

struct cpn_ctlsock_guest {
    cpn_tunnel *tunnel;
    int fd;
    uv_poll_t poll;
    cpn_ctlsock_guest *next;
};

static void
guest_closed(uv_handle_t *h)
{
    cpn_ctlsock_guest *g = h->data;

    close(g->fd);
    free(g);
}

static void
guest_drop(cpn_ctlsock_guest *g)
{
    cpn_ctlsock_guest **p = &g->tunnel->guests;

    while (*p != g)
        p = &(*p)->next;
    *p = g->next;
    g->tunnel->guests_n--;
    uv_close((uv_handle_t *)&g->poll, guest_closed);
}

static json_t *
status_json(const cpn_tunnel *t)
{
    cpn_tunnel_counts now = cpn_tunnel_count(t);
    char since[CPN_TIME_SIZE], where[CPN_INLET_TEXT];
    json_t *targets = json_array(), *listening = json_array();

    for (unsigned i = 0; i < t->inlets_n; i++) {
        const cpn_inlet *in = t->inlets[i].inlet;

        json_array_append_new(targets, json_sprintf("%s:%u", in->target.label, in->target.port));
        json_array_append_new(listening, json_string(cpn_inlet_text(in, where)));
    }
    return json_pack("{s:s, s:i, s:o, s:o, s:s, s:s, s:s?, s:i, s:I, s:I, s:I}", "id",
                     t->plan->ctlsock->id, "pid", (int)getpid(), "targets", targets, "listening",
                     listening, "started", cpn_time_rfc3339(t->plan->ctlsock->since_ms, since),
                     "gateway", t->api->origin, "account", t->api->ctx.user, "sessions",
                     (int)now.sessions, "sessionsTotal", (json_int_t)now.sessions_total, "bytesUp",
                     (json_int_t)now.up, "bytesDown", (json_int_t)now.down);
}

/* In one go or not at all: who asks reads at once. */
static void
answer(const cpn_tunnel *t, int fd)
{
    json_auto_t *status = status_json(t);
    cpn_buf b = { .max = CPN_CTLSOCK_ANSWER };

    if (cpn_out_json(&b, status, false) == CPN_OK &&
        cpn_buf_append(&b, CPN_VIEW_LIT("\n")) == CPN_OK)
        (void)!send(fd, b.p, b.n, MSG_NOSIGNAL | MSG_DONTWAIT);
    cpn_buf_fini(&b);
}

static void
on_word(uv_poll_t *poll, int status, int what)
{
    cpn_ctlsock_guest *g = poll->data;
    cpn_tunnel *t = g->tunnel;
    char word[CPN_CTLSOCK_WORD];
    ssize_t n = status < 0 ? 0 : recv(g->fd, word, sizeof(word), MSG_DONTWAIT);
    cpn_view said = { (const uint8_t *)word, n > 0 ? (size_t)n : 0 };
    bool stop = cpn_view_is(said, CPN_CTLSOCK_STOP);

    (void)what;
    if (stop || cpn_view_is(said, CPN_CTLSOCK_STATUS))
        answer(t, g->fd);
    guest_drop(g);
    if (!stop)
        return;
    cpn_say("ended by 'tunnel stop'");
    cpn_tunnel_stop(t, "stop");
}

static void
guest_new(cpn_tunnel *t, CPN_TAKES int fd)
{
    CPN_AUTO(cpn_auto_fd) int owned = fd;
    cpn_ctlsock_guest *g;

    if (t->guests_n == GUESTS_MAX ||
        cpn_peer_may(fd, &t->plan->ctlsock->inlet.peers, NULL) != CPN_OK)
        return;
    g = cpn_xcalloc(1, sizeof(*g));
    if (uv_poll_init(&t->uv, &g->poll, owned) != 0) {
        free(g);
        return;
    }
    g->tunnel = t;
    g->fd = cpn_steal_fd(&owned);
    g->next = t->guests;
    g->poll.data = g;
    t->guests = g;
    t->guests_n++;
    uv_poll_start(&g->poll, UV_READABLE, on_word);
}

static void
on_guest(uv_poll_t *poll, int status, int what)
{
    cpn_tunnel *t = poll->data;
    int fd;

    (void)what;
    for (int i = 0; i < GUESTS_MAX && status == 0; i++) {
        fd = accept4(t->plan->ctlsock->inlet.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        guest_new(t, fd);
    }
}

cpn_rc
cpn_tunnel_ctlsock_start(cpn_tunnel *t, cpn_err *err)
{
    if (!t->plan->ctlsock)
        return CPN_OK;
    if (uv_poll_init(&t->uv, &t->ctlsock, t->plan->ctlsock->inlet.fd) != 0)
        return cpn_fail(err, CPN_E_SYS, "the tunnel's socket cannot be watched");
    t->ctlsock.data = t;
    uv_poll_start(&t->ctlsock, UV_READABLE, on_guest);
    return CPN_OK;
}

void
cpn_tunnel_ctlsock_stop(cpn_tunnel *t)
{
    while (t->guests)
        guest_drop(t->guests);
}
