/* Takes connections off the shared queues, a bounded batch a turn, never spinning. */
#include "front/accept.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "front/conn.h"

typedef struct watched {
    uv_poll_t poll;
    cpn_accept *all;
    int fd;
    bool admin;
} watched;

struct cpn_accept {
    cpn_front *front;
    int spare;   /* to copy the reserve from: nothing can be opened in the sandbox */
    int reserve; /* given up for a moment to refuse a connection when descriptors run out */
    size_t conns_max;
    bool running;
    bool resting;
    cpn_deadline rest;
    size_t n;
    size_t open; /* handles not yet closed */
    watched *sock;
};

static void ready(uv_poll_t *poll, int status, int events);

static void
watch_all(cpn_accept *a)
{
    for (size_t i = 0; i < a->n; i++) {
        watched *w = &a->sock[i];

        if (!a->resting && (a->running || w->admin))
            uv_poll_start(&w->poll, UV_READABLE, ready);
        else
            uv_poll_stop(&w->poll);
    }
}

static void
rested(cpn_deadline *d)
{
    cpn_accept *a = cpn_container_of(d, cpn_accept, rest);

    a->resting = false;
    if (a->reserve < 0)
        a->reserve = fcntl(a->spare, F_DUPFD_CLOEXEC, 0);
    watch_all(a);
}

/* No descriptor is left: take one connection with the reserve and close it, so that its client
 * learns at once, then rest, since the queue would wake us for ever. */
static void
out_of_descriptors(cpn_accept *a, int listener)
{
    int fd;

    cpn_log(CPN_LOG_WARN, "accept.descriptors", CPN_KI("connections", HASH_COUNT(a->front->conns)));
    if (a->reserve >= 0) {
        close(a->reserve);
        fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0)
            close(fd);
        a->reserve = fcntl(a->spare, F_DUPFD_CLOEXEC, 0);
    }
    a->front->count.preauth_refused++;
    a->resting = true;
    cpn_deadline_set(a->front->deadlines, &a->rest, CPN_ACCEPT_REST_MS);
    watch_all(a);
}

static void
take(watched *w, CPN_TAKES int fd, const struct sockaddr *sa)
{
    CPN_AUTO(cpn_auto_fd) int owned = fd;
    cpn_front *f = w->all->front;
    cpn_slot_source *slot;
    cpn_slots *slots;
    cpn_addr peer;
    uint16_t port;
    int on = 1;

    f->count.accepted++;
    if (!cpn_addr_from_sockaddr(&peer, &port, sa))
        return;
    slots = w->admin ? &f->admin_slots : &f->slots;
    if (!w->admin)
        (void)cpn_conn_make_room(f, &peer);
    if ((!w->admin && f->live >= w->all->conns_max) ||
        cpn_slot_take(slots, &peer, &slot) != CPN_OK) {
        f->count.preauth_refused++;
        return;
    }
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    cpn_conn_start(f, cpn_steal_fd(&owned), &peer, port, slot, w->admin);
}

static void
ready(uv_poll_t *poll, int status, int events)
{
    watched *w = poll->data;

    (void)events;
    if (status < 0)
        return;
    for (unsigned i = 0; i < CPN_ACCEPT_BATCH; i++) {
        struct sockaddr_storage sa = { 0 };
        socklen_t n = sizeof(sa);
        int fd = accept4(w->fd, (struct sockaddr *)&sa, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            take(w, fd, (struct sockaddr *)&sa);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            out_of_descriptors(w->all, w->fd);
            return;
        } else if (errno != ECONNABORTED && errno != EINTR) {
            return;
        }
    }
}

static cpn_rc
add(cpn_accept *a, const int *fds, size_t n, bool admin, cpn_err *err)
{
    for (size_t i = 0; i < n; i++) {
        watched *w = &a->sock[a->n];
        int e = uv_poll_init(a->front->uv, &w->poll, fds[i]);

        if (e < 0)
            return cpn_fail(err, CPN_E_SYS, "watching a listening socket: %s", uv_strerror(e));
        w->poll.data = w;
        w->all = a;
        w->fd = fds[i];
        w->admin = admin;
        a->n++;
        a->open++;
    }
    return CPN_OK;
}

cpn_rc
cpn_accept_new(cpn_accept **out, cpn_front *f, const int *listen, size_t listens, const int *admin,
               size_t admins, cpn_err *err)
{
    cpn_accept *a = cpn_xcalloc(1, sizeof(*a));
    cpn_rc rc;

    a->front = f;
    a->conns_max = CPN_MIN(cpn_role_front_half(), CPN_FRONT_CONNS);
    a->rest.fn = rested;
    a->sock = cpn_xcalloc(listens + admins + 1, sizeof(*a->sock));
    a->spare = eventfd(0, EFD_CLOEXEC);
    a->reserve = a->spare < 0 ? -1 : fcntl(a->spare, F_DUPFD_CLOEXEC, 0);
    rc = add(a, listen, listens, false, err);
    if (rc == CPN_OK)
        rc = add(a, admin, admins, true, err);
    if (rc != CPN_OK) {
        cpn_accept_free(a);
        return rc;
    }
    watch_all(a);
    *out = a;
    return CPN_OK;
}

void
cpn_accept_run(cpn_accept *a, bool run)
{
    a->running = run;
    watch_all(a);
}

static void
closed(uv_handle_t *h)
{
    watched *w = h->data;
    cpn_accept *a = w->all;

    close(w->fd);
    if (--a->open > 0)
        return;
    free(a->sock);
    free(a);
}

void
cpn_accept_free(cpn_accept *a)
{
    size_t n = a ? a->n : 0;

    if (!a)
        return;
    cpn_deadline_clear(&a->rest);
    if (a->reserve >= 0)
        close(a->reserve);
    if (a->spare >= 0)
        close(a->spare);
    if (n == 0) {
        free(a->sock);
        free(a);
        return;
    }
    for (size_t i = 0; i < n; i++)
        uv_close((uv_handle_t *)&a->sock[i].poll, closed);
}
