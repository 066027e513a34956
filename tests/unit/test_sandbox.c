/* net/sandbox_front: what it kills, and that a TLS server lives in it. */
#include "nettest.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "base/log.h"
#include "front/front.h"
#include "net/pacing.h"
#include "net/sandbox_front.h"

#ifndef CPN_LEAKCHECK

static int
status_of(void (*run)(const char *what), const char *what)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        run(what);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void
selftest(const char *what)
{
    _exit(cpn_front_selftest(what));
}

/* Further calls that must be the last one. */
static void
call(const char *what)
{
    int listener = socket(AF_INET, SOCK_STREAM, 0), pair[2], on = 1;
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9) };

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0 || cpn_sandbox_front(NULL) != CPN_OK)
        _exit(2);
    if (strcmp(what, "connect") == 0)
        (void)!connect(listener, (struct sockaddr *)&to, sizeof(to));
    else if (strcmp(what, "bind") == 0)
        (void)!bind(listener, (struct sockaddr *)&to, sizeof(to));
    else if (strcmp(what, "sendto") == 0)
        (void)!sendto(listener, "x", 1, 0, (struct sockaddr *)&to, sizeof(to));
    else if (strcmp(what, "fastopen") == 0)
        (void)!sendto(listener, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&to, sizeof(to));
    else if (strcmp(what, "option") == 0)
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
}

static void
calls_that_reach_out_are_the_last(void **state)
{
    static const char *const hidden[] = { "open", "socket", "exec", "linger" };
    static const char *const others[] = { "connect", "bind", "sendto", "fastopen", "option" };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(hidden); i++) {
        int status = status_of(selftest, hidden[i]);

        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
            fail_msg("%s: status %x", hidden[i], status);
    }
    for (size_t i = 0; i < CPN_COUNT(others); i++) {
        int status = status_of(call, others[i]);

        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
            fail_msg("%s: status %x", others[i], status);
    }
}

static size_t
on_bytes(void *owner, cpn_tls *t, uint8_t *p, size_t n)
{
    (void)t;
    *(bool *)owner = n == 5 && memcmp(p, "hello", 5) == 0;
    return n;
}

static const cpn_tls_events events = { .on_bytes = on_bytes };

/* From the certificate's PEM on, everything happens inside. */
static void
serve(const char *what)
{
    static nettest nt;
    cpn_tls *server, *client;
    cpn_tls_trust trust;
    bool got = false;
    int fd[2];

    (void)what;
    alarm(20);
    nettest_pem(&nt, "gate.test");
    uv_loop_init(&nt.uv);
    nt.quota.max = 64u << 20;
    if (cpn_loop_new(&nt.loop, &nt.uv, &nt.quota, NULL) != CPN_OK)
        _exit(2);
    trust = (cpn_tls_trust){ .ca_pem = cpn_view_str(nt.cert) };
    if (cpn_tls_ctx_client(&nt.client, &trust, 0, NULL) != CPN_OK)
        _exit(3);
    {
        cpn_tls_opts so = { .ctx = NULL }, co = { .ctx = nt.client, .server_name = "gate.test" };

        nettest_sockets(fd);
        if (cpn_sandbox_front(NULL) != CPN_OK ||
            cpn_tls_ctx_server(&nt.server, cpn_view_str(nt.cert), cpn_view_str(nt.key), CPN_TLS_12,
                               NULL) != CPN_OK)
            _exit(4);
        so.ctx = nt.server;
        if (cpn_tls_new(&server, nt.loop, fd[0], &so, NULL) != CPN_OK ||
            cpn_tls_new(&client, nt.loop, fd[1], &co, NULL) != CPN_OK)
            _exit(5);
    }
    cpn_tls_set_owner(server, &events, &got);
    (void)cpn_pacing_ask(fd[0]); /* what only a long path asks for */
    cpn_pacing_hold(fd[0], 1u << 30);
    while (cpn_tls_write(client, (const uint8_t *)"hello", 5) != CPN_OK)
        uv_run(&nt.uv, UV_RUN_ONCE);
    while (!got)
        uv_run(&nt.uv, UV_RUN_ONCE);
    cpn_log(CPN_LOG_DEBUG, "sandbox.served", CPN_KI("yes", 1));
    cpn_tls_free(server);
    cpn_tls_free(client);
    nettest_turns(&nt, 4);
    _exit(0);
}

static void
tls_works_inside(void **state)
{
    int status;

    (void)state;
    status = status_of(serve, "");
    if (status != 0)
        fail_msg("status %x", status);
}

#else

static void
calls_that_reach_out_are_the_last(void **state)
{
    (void)state;
    skip();
}

static void
tls_works_inside(void **state)
{
    (void)state;
    skip();
}

#endif

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_that_reach_out_are_the_last),
        cmocka_unit_test(tls_works_inside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
