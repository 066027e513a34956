/* Takes the answer of a browser's sign-in on a loopback port. */
#include "client/callback.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "client/printable.h"
#include "codec/b64url.h"
#include "codec/form.h"
#include "codec/httphead.h"

#define ACCEPTS 64 /* a turn */

typedef struct caller {
    int fd; /* -1: free */
    uint64_t since_ms;
    size_t n;
    uint8_t b[CPN_CALLBACK_BYTES];
} caller;

typedef struct waiting {
    cpn_callback *c;
    cpn_callback_answer *out;
    pid_t browser; /* 0: it has ended */
    bool told;     /* of a caller who was refused */
    caller callers[CPN_CALLBACK_CALLERS];
} waiting;

cpn_rc
cpn_callback_open(cpn_callback *c, cpn_err *err)
{
    cpn_addr loopback;
    uint8_t state[32];

    if (cpn_addr_parse(&loopback, CPN_VIEW_LIT("127.0.0.1"), err) != CPN_OK)
        return CPN_E_SYS;
    cpn_random(state, sizeof(state));
    if (!cpn_b64url_encode((cpn_view){ state, sizeof(state) }, c->state, sizeof(c->state)))
        return cpn_fail(err, CPN_E_SYS, "the state");
    return cpn_inlet_tcp(&c->inlet, &loopback, 0, err);
}

void
cpn_callback_close(cpn_callback *c)
{
    cpn_inlet_close(&c->inlet);
    explicit_bzero(c->state, sizeof(c->state));
}

/* ---- one request ---- */

static void
copy_or_cut(cpn_view v, char *out, size_t size)
{
    v.n = CPN_MIN(v.n, size - 1);
    if (!cpn_view_copy(v, out, size))
        out[0] = '\0';
}

/* What the query says, decoded in place. */
static cpn_rc
read_query(const cpn_callback *c, uint8_t *text, size_t n, cpn_callback_answer *out)
{
    cpn_form q;
    cpn_view code, error;

    if (cpn_form_parse(text, n, &q, NULL) != CPN_OK ||
        !cpn_ct_eq(cpn_form_get(&q, "state"), cpn_view_str(c->state)))
        return CPN_INVALID;
    code = cpn_form_get(&q, "code");
    error = cpn_form_get(&q, "error");
    if ((code.n > 0) == (error.n > 0) || code.n > CPN_CALLBACK_CODE)
        return CPN_INVALID;
    copy_or_cut(error, out->error, sizeof(out->error));
    copy_or_cut(cpn_form_get(&q, "error_description"), out->said, sizeof(out->said));
    return cpn_secret_set(&out->code, code) == CPN_OK ? CPN_OK : CPN_INVALID;
}

cpn_rc
cpn_callback_read(const cpn_callback *c, cpn_view request, cpn_callback_answer *out, int *status)
{
    uint8_t text[CPN_CALLBACK_BYTES];
    char own[32];
    cpn_http_head head;
    cpn_rc rc = cpn_http_request_parse(request, NULL, &head, NULL);

    if (rc == CPN_AGAIN && request.n < CPN_CALLBACK_BYTES)
        return CPN_AGAIN;
    *status = rc == CPN_AGAIN ? 431 : rc == CPN_OK ? 400 : head.http_status;
    /* A page elsewhere may have this address under a name of its own. */
    snprintf(own, sizeof(own), "127.0.0.1:%u", c->inlet.port);
    if (rc != CPN_OK || !cpn_view_is(head.host, own) || head.body > 0)
        return CPN_INVALID;
    if (!cpn_view_is(head.path, "/") || !cpn_view_is(head.method, "GET")) {
        *status = cpn_view_is(head.path, "/") ? 405 : 404;
        return CPN_INVALID;
    }
    if (head.query.n > sizeof(text))
        return CPN_INVALID;
    if (head.query.n)
        memcpy(text, head.query.p, head.query.n);
    rc = read_query(c, text, head.query.n, out);
    explicit_bzero(text, sizeof(text));
    if (rc == CPN_OK)
        *status = 200;
    return rc;
}

/* ---- callers ---- */

static void
hang_up(caller *k)
{
    if (k->fd >= 0)
        close(k->fd);
    explicit_bzero(k->b, sizeof(k->b));
    k->fd = -1;
    k->n = 0;
}

/* A page of a few bytes: it fits the socket's buffer, and one that it does not fit is lost. */
static void
tell(const caller *k, int status, const char *sentence)
{
    CPN_AUTO(cpn_buf_fini) cpn_buf more = { .max = 512 };
    CPN_AUTO(cpn_buf_fini) cpn_buf out = { .max = 2048 };
    char page[512];
    int n = snprintf(page, sizeof(page),
                     "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">"
                     "<title>Caponier</title></head><body><p>%s</p></body></html>\n",
                     sentence);
    cpn_http_answer a = { .status = status,
                          .content_type = "text/html; charset=utf-8",
                          .body = (uint64_t)n,
                          .close = true };

    if (cpn_http_line_put(&more, "Content-Security-Policy", CPN_VIEW_LIT("default-src 'none'")) ||
        cpn_http_line_put(&more, "Referrer-Policy", CPN_VIEW_LIT("no-referrer")))
        return;
    a.more = cpn_buf_view(&more);
    if (cpn_http_answer_put(&out, &a) != CPN_OK ||
        cpn_buf_append(&out, cpn_view_str(page)) != CPN_OK)
        return;
    (void)send(k->fd, out.p, out.n, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)shutdown(k->fd, SHUT_WR);
}

/* The place of a new caller: a free one, else that of who waits longest. */
static caller *
place(waiting *w)
{
    caller *oldest = &w->callers[0];

    for (size_t i = 0; i < CPN_COUNT(w->callers); i++) {
        if (w->callers[i].fd < 0)
            return &w->callers[i];
        if (w->callers[i].since_ms < oldest->since_ms)
            oldest = &w->callers[i];
    }
    hang_up(oldest);
    return oldest;
}

static void
take_callers(waiting *w)
{
    for (int i = 0; i < ACCEPTS; i++) {
        CPN_AUTO(cpn_auto_fd)
        int fd = accept4(w->c->inlet.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        caller *k;
        cpn_rc rc;

        if (fd < 0)
            return;
        rc = cpn_peer_may(fd, &w->c->inlet.peers, NULL);
        if (rc == CPN_DENIED && !w->told) {
            cpn_say("a program of another user called in the browser's place and was refused");
            w->told = true;
        }
        if (rc != CPN_OK)
            continue;
        k = place(w);
        k->fd = cpn_steal_fd(&fd);
        k->since_ms = cpn_mono_ms();
    }
}

/* CPN_OK: the answer is there. */
static cpn_rc
hear(waiting *w, caller *k)
{
    ssize_t n = recv(k->fd, k->b + k->n, sizeof(k->b) - k->n, MSG_DONTWAIT);
    int status = 400;
    cpn_rc rc;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return CPN_AGAIN;
    if (n <= 0) {
        hang_up(k);
        return CPN_AGAIN;
    }
    k->n += (size_t)n;
    rc = cpn_callback_read(w->c, (cpn_view){ k->b, k->n }, w->out, &status);
    if (rc == CPN_AGAIN)
        return rc;
    if (rc == CPN_OK)
        cpn_callback_close(w->c); /* no second answer, not even a refused one */
    tell(k, status,
         rc == CPN_OK ? "The answer has reached caponier. You can close this window and go back to "
                        "the terminal."
                      : "This is not the answer that caponier waits for.");
    hang_up(k);
    return rc == CPN_OK ? CPN_OK : CPN_AGAIN;
}

static void
end_silent(waiting *w)
{
    uint64_t now = cpn_mono_ms();

    for (size_t i = 0; i < CPN_COUNT(w->callers); i++)
        if (w->callers[i].fd >= 0 && now - w->callers[i].since_ms >= CPN_CALLBACK_CALLER_MS)
            hang_up(&w->callers[i]);
}

/* ---- the wait ---- */

/* CPN_NOT_FOUND: the browser's program has failed. */
static cpn_rc
reap(waiting *w, cpn_err *err)
{
    int status = 0;

    if (w->browser <= 0 || waitpid(w->browser, &status, WNOHANG) != w->browser)
        return CPN_OK;
    w->browser = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return CPN_OK;
    return cpn_fail(err, CPN_NOT_FOUND, "the browser could not be opened");
}

/* One turn. CPN_AGAIN: nothing yet. */
static cpn_rc
turn(waiting *w, int wait_ms, const sigset_t *mask, cpn_err *err)
{
    struct pollfd fds[1 + CPN_CALLBACK_CALLERS] = { { w->c->inlet.fd, POLLIN, 0 } };
    struct timespec wait = { wait_ms / 1000, wait_ms % 1000 * 1000000L };
    cpn_rc rc = CPN_AGAIN;

    for (size_t i = 0; i < CPN_CALLBACK_CALLERS; i++)
        fds[1 + i] = (struct pollfd){ w->callers[i].fd, POLLIN, 0 };
    if (ppoll(fds, CPN_COUNT(fds), &wait, mask) < 0 && errno != EINTR)
        return cpn_fail(err, CPN_E_SYS, "poll: %s", strerror(errno));
    for (size_t i = 0; i < CPN_CALLBACK_CALLERS && rc == CPN_AGAIN; i++)
        if (w->callers[i].fd >= 0 && fds[1 + i].revents)
            rc = hear(w, &w->callers[i]);
    if (rc != CPN_AGAIN)
        return rc;
    if (fds[0].revents)
        take_callers(w);
    end_silent(w);
    rc = reap(w, err);
    return rc == CPN_OK ? CPN_AGAIN : rc;
}

static void
woken(int sig)
{
    (void)sig;
}

static cpn_rc
wait_for_it(waiting *w, const sigset_t *mask, cpn_err *err)
{
    uint64_t end = cpn_mono_ms() + CPN_CALLBACK_WAIT_MS, now;
    cpn_rc rc = CPN_AGAIN;

    while (rc == CPN_AGAIN && (now = cpn_mono_ms()) < end)
        rc = turn(w, (int)CPN_MIN(end - now, (uint64_t)CPN_CALLBACK_CALLER_MS), mask, err);
    if (rc == CPN_AGAIN)
        return cpn_fail(err, CPN_UNAVAILABLE, "nobody signed in by the browser in %d minutes",
                        CPN_CALLBACK_WAIT_MS / 60000);
    return rc;
}

cpn_rc
cpn_callback_wait(cpn_callback *c, pid_t browser, cpn_callback_answer *out, cpn_err *err)
{
    struct sigaction act = { .sa_handler = woken }, old;
    waiting w = { .c = c, .out = out, .browser = browser };
    sigset_t child, before, during;
    cpn_rc rc;

    for (size_t i = 0; i < CPN_COUNT(w.callers); i++)
        w.callers[i].fd = -1;
    /* Outside ppoll it is blocked, so that an end between two turns is not missed. */
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigaction(SIGCHLD, &act, &old);
    sigprocmask(SIG_BLOCK, &child, &before);
    during = before;
    sigdelset(&during, SIGCHLD);
    rc = reap(&w, err);
    if (rc == CPN_OK)
        rc = wait_for_it(&w, &during, err);
    for (size_t i = 0; i < CPN_COUNT(w.callers); i++)
        hang_up(&w.callers[i]);
    sigprocmask(SIG_SETMASK, &before, NULL);
    sigaction(SIGCHLD, &old, NULL);
    return rc;
}
