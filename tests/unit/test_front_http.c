/* front: the stages, requests and their answers, with control played by the test. */
#include "frontclient.h"

#include <signal.h>
#include <sys/wait.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: " FRONT_HOST "\r\n"
#define UP                                                                                         \
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"                   \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define TUNNEL                                                                                     \
    GET("/v1/tunnel") UP "Sec-WebSocket-Protocol: caponier.v1\r\nAuthorization: Bearer t\r\n\r\n"

/* ---- the table ------------------------------------------------------------------------------ */

static void
a_relay_follows_only_a_question_to_control(void **state)
{
    (void)state;
    for (int s = -1; s <= CPN_STAGE_N; s++) {
        bool asked = s == CPN_STAGE_CARRIER || s == CPN_STAGE_UPGRADE;

        assert_int_equal(cpn_stage_may((cpn_stage)s, CPN_STAGE_RELAY), asked);
        assert_int_equal(cpn_stage_may((cpn_stage)s, CPN_STAGE_DENIED), s == CPN_STAGE_UPGRADE);
        assert_false(cpn_stage_may((cpn_stage)s, CPN_STAGE_TLS));
        assert_false(cpn_stage_may((cpn_stage)s, CPN_STAGE_N));
        assert_false(cpn_stage_may(CPN_STAGE_CLOSED, (cpn_stage)s));
        if (s > CPN_STAGE_CLOSED && s < CPN_STAGE_N)
            assert_true(cpn_stage_may((cpn_stage)s, CPN_STAGE_CLOSED));
    }
    for (int s = 0; s < CPN_STAGE_N; s++) {
        bool http = s == CPN_STAGE_API || s == CPN_STAGE_CARRIER || s == CPN_STAGE_UPGRADE;

        assert_int_equal(cpn_stage_may(CPN_STAGE_HTTP, (cpn_stage)s),
                         http || s == CPN_STAGE_LINGER || s == CPN_STAGE_CLOSED);
        assert_int_equal(cpn_stage_may(CPN_STAGE_RELAY, (cpn_stage)s), s == CPN_STAGE_CLOSED);
    }
}

static int
death_of(cpn_stage from, cpn_stage to)
{
    static cpn_front f;
    cpn_conn c = { .front = &f, .stage = from };
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        signal(SIGABRT, SIG_DFL);
        cpn_conn_advance(&c, to);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void
an_illegal_step_aborts(void **state)
{
    (void)state;
    assert_int_equal(death_of(CPN_STAGE_HTTP, CPN_STAGE_RELAY), SIGABRT);
    assert_int_equal(death_of(CPN_STAGE_CLOSED, CPN_STAGE_HTTP), SIGABRT);
    assert_int_equal(death_of(CPN_STAGE_TLS, CPN_STAGE_API), SIGABRT);
    /* The table allows it, but control has not said yes. */
    assert_int_equal(death_of(CPN_STAGE_CARRIER, CPN_STAGE_RELAY), SIGABRT);
    assert_int_equal(death_of(CPN_STAGE_UPGRADE, CPN_STAGE_RELAY), SIGABRT);
}

/* ---- refusals of the front ------------------------------------------------------------------ */

static void
bad_requests_never_reach_control(void **state)
{
    static const struct {
        const char *text;
        const char *answer;
    } bad[] = {
        { "GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 505 " },
        { "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", "HTTP/1.1 421 " },
        { GET("/") "Transfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 411 " },
        { GET("/v1/x") "Origin: https://evil.example\r\n\r\n", "HTTP/1.1 403 " },
        { GET("/v1/x") "Content-Length: 70000\r\n\r\n", "HTTP/1.1 413 " },
        { GET("/v1/tunnel") "\r\n", "HTTP/1.1 426 " },
        { GET("/a/../b") "\r\n", "HTTP/1.1 400 " },
    };
    fronttest *t = front_start();
    static client c;

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(bad); i++) {
        client_start(t, &c);
        client_send(t, &c, bad[i].text);
        client_send(t, &c, GET("/second") "\r\n");
        client_sees(t, &c, bad[i].answer);
        client_sees(t, &c, "\r\nConnection: close\r\n");
        client_sees(t, &c, "{\"error\":{\"code\":\"");
        client_is_closed(t, &c);
        client_stop(t, &c);
    }
    assert_int_equal(t->got_n, 0);
    assert_int_equal(t->f.count.http_refused, CPN_COUNT(bad));
    front_stop(t);
}

static void
the_azure_door_says_message(void **state)
{
    fronttest *t = front_start();
    static client c;

    (void)state;
    client_start(t, &c);
    client_send(t, &c, GET("/webtunnelv2/abc") "\r\n");
    client_sees(t, &c, "{\"message\":\"this path");
    client_stop(t, &c);
    front_stop(t);
}

/* Whoever asks understands the answer, also where the head was not read to its end. */
static void
errors_are_in_the_askers_words(void **state)
{
    static const char door[] = "{\"message\":\"the request is not well formed\"}";
    static const char oauth[] =
        "{\"error\":\"invalid_request\",\"error_description\":\"the request";
    static const char arm[] = "{\"error\":{\"code\":\"";
    static const struct {
        const char *head;
        int status;
        const char *says;
        const char *code;
    } cases[] = {
        { "POST /api/tokens HTTP/1.1\r\nHost: gate.test:8443\r\nTransfer-Encoding: chunked\r\n\r\n",
          411, door, "" },
        { "DELETE /api/tokens/x HTTP/1.1\r\nHost : a\r\n\r\n", 400, door, "" },
        { "POST /adfs/oauth2/token HTTP/1.1\r\nContent-Length: +1\r\n\r\n", 400, oauth, "" },
        { "POST /x/oauth2/v2.0/token?a=b HTTP/1.1\r\n\r\n", 400, oauth, "" },
        { "GET /subscriptions/%2f HTTP/1.1\r\n\r\n", 400, arm, "BadRequest" },
        { "GET /Subscriptions HTTP/1.1\r\nHost: other\r\n\r\n", 421, arm, "MisdirectedRequest" },
        { "PUT /subscriptions/s HTTP/1.1\r\nHost: gate.test:8443\r\nContent-Length: 65537\r\n\r\n",
          413, arm, "RequestContentTooLarge" },
    };
    fronttest *t = front_start();
    static client c;

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(cases); i++) {
        char line[32], body[128];

        client_start(t, &c);
        client_send(t, &c, cases[i].head);
        snprintf(line, sizeof(line), "HTTP/1.1 %d ", cases[i].status);
        client_sees(t, &c, line);
        snprintf(body, sizeof(body), "%s%s", cases[i].says, cases[i].code);
        client_sees(t, &c, body);
        client_sees(t, &c, "; charset=utf-8\r\n");
        if (cases[i].says == arm)
            client_sees(t, &c, "x-ms-request-id: ");
        client_stop(t, &c);
    }
    front_stop(t);
}

static void
nothing_may_follow_an_upgrade(void **state)
{
    fronttest *t = front_start();
    static client c;

    (void)state;
    client_start(t, &c);
    client_send(t, &c, TUNNEL "x");
    client_sees(t, &c, "HTTP/1.1 400 ");
    heard(t, CPN_MSG_CARRIER);
    heard(t, CPN_MSG_GONE);
    client_stop(t, &c);
    client_start(t, &c);
    client_send(t, &c, GET("/webtunnelv2/abc") UP "\r\n");
    heard(t, CPN_MSG_UPGRADE);
    client_send(t, &c, "x");
    client_sees(t, &c, "HTTP/1.1 400 ");
    heard(t, CPN_MSG_GONE);
    client_stop(t, &c);
    front_stop(t);
}

/* ---- requests ------------------------------------------------------------------------------- */

static void
reply(fronttest *t, uint32_t conn, uint16_t status, const char *headers, const char *body)
{
    cpn_msg m = { .type = CPN_MSG_REPLY,
                  .REPLY = { .conn = conn,
                             .status = status,
                             .last = 1,
                             .length = strlen(body),
                             .headers = cpn_view_str(headers),
                             .body = cpn_view_str(body) } };

    tell(t, &m, -1);
}

static void
a_request_is_carried_and_answered(void **state)
{
    fronttest *t = front_start();
    static client c;
    said *s;

    (void)state;
    client_start(t, &c);
    client_send(t, &c,
                GET("/v1/sessions?a=b") "Authorization: Bearer tok\r\nCookie: x=y\r\n"
                                        "Caponier-Client: 1\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n"
                                        "GET /v1/next HTTP/1.1\r\nHost: " FRONT_HOST "\r\n\r\n");
    s = heard(t, CPN_MSG_REQUEST);
    assert_string_equal(s->text[0], "GET");
    assert_string_equal(s->text[1], "/v1/sessions");
    assert_string_equal(s->text[2], "a=b");
    assert_string_equal(s->text[3], "tok");
    assert_string_equal(s->text[4], "caponier-client: 1\r\n");
    assert_int_equal(s->m.REQUEST.last, 1);
    assert_int_equal(s->m.REQUEST.admin, 0);
    nettest_turns(&t->nt, 8);
    assert_int_equal(t->read_n, t->got_n); /* one request in flight */
    reply(t, s->m.REQUEST.conn, 200, "Content-Type: application/json\r\n", "{\"value\":[]}");
    client_sees(t, &c, "\r\n\r\n{\"value\":[]}");
    client_sees(t, &c, "HTTP/1.1 200 OK\r\n");
    client_sees(t, &c, "\r\nCache-Control: no-store\r\n");
    client_sees(t, &c, "\r\nX-Content-Type-Options: nosniff\r\n");
    client_sees(t, &c, "\r\nStrict-Transport-Security: max-age=");
    s = heard(t, CPN_MSG_REQUEST);
    assert_string_equal(s->text[1], "/v1/next");
    reply(t, s->m.REQUEST.conn, 404, "", "{}");
    client_sees(t, &c, "HTTP/1.1 404 ");
    client_is_closed(t, &c); /* an error is the last answer */
    client_stop(t, &c);
    assert_int_equal(t->read_n, t->got_n); /* no GONE for what was answered */
    front_stop(t);
}

static void
a_body_goes_in_pieces_and_so_does_the_answer(void **state)
{
    static char body[10001];
    fronttest *t = front_start();
    static client c;
    size_t got = 0;
    ptrdiff_t start;
    said *s;

    (void)state;
    memset(body, 'b', sizeof(body) - 1);
    client_start(t, &c);
    client_send(t, &c,
                "POST /v1/x HTTP/1.1\r\nHost: " FRONT_HOST "\r\nContent-Length: 50000\r\n"
                "Expect: 100-continue\r\n\r\n");
    s = heard(t, CPN_MSG_REQUEST);
    assert_int_equal(s->m.REQUEST.last, 0);
    assert_int_equal(s->m.REQUEST.length, 50000);
    client_sees(t, &c, "HTTP/1.1 100 Continue\r\n\r\n");
    for (int i = 0; i < 5; i++)
        client_send(t, &c, body);
    do {
        s = heard(t, CPN_MSG_BODY);
        assert_true(s->body_n <= 32768);
        got += s->body_n;
    } while (!s->m.BODY.last);
    assert_int_equal(got, 50000);
    tell(t,
         &(cpn_msg){ .type = CPN_MSG_REPLY,
                     .REPLY = { .conn = s->m.BODY.conn,
                                .status = 200,
                                .length = 10003,
                                .body = CPN_VIEW_LIT("{\"a") } },
         -1);
    tell(t,
         &(cpn_msg){ .type = CPN_MSG_REPLY_BODY,
                     .REPLY_BODY = { .conn = s->m.BODY.conn,
                                     .last = 1,
                                     .body = { (uint8_t *)body, 10000 } } },
         -1);
    client_sees(t, &c, "{\"abbbbbbbbbbbbbb");
    start = (uint8_t *)memmem(c.got, c.n, "{\"abbb", 6) - c.got;
    while (c.n - (size_t)start < 10003)
        uv_run(&t->nt.uv, UV_RUN_ONCE);
    client_send(t, &c, GET("/v1/again") "\r\n");
    heard(t, CPN_MSG_REQUEST);
    client_stop(t, &c);
    heard(t, CPN_MSG_GONE);
    front_stop(t);
}

static void
an_early_answer_ends_the_connection(void **state)
{
    fronttest *t = front_start();
    static client c;
    said *s;

    (void)state;
    client_start(t, &c);
    client_send(t, &c,
                "POST /v1/apply HTTP/1.1\r\nHost: " FRONT_HOST
                "\r\nContent-Length: 8000000\r\n\r\nabc");
    s = heard(t, CPN_MSG_REQUEST);
    heard(t, CPN_MSG_BODY);
    reply(t, s->m.REQUEST.conn, 401, "", "{}");
    client_sees(t, &c, "HTTP/1.1 401 ");
    client_sees(t, &c, "Connection: close\r\n");
    client_is_closed(t, &c);
    client_stop(t, &c);
    front_stop(t);
}

static void
an_answer_that_is_too_long_is_cut_off(void **state)
{
    fronttest *t = front_start();
    static client c;
    said *s;

    (void)state;
    client_start(t, &c);
    client_send(t, &c, GET("/v1/x") "\r\n");
    s = heard(t, CPN_MSG_REQUEST);
    tell(t,
         &(cpn_msg){ .type = CPN_MSG_REPLY,
                     .REPLY = { .conn = s->m.REQUEST.conn,
                                .status = 200,
                                .last = 1,
                                .length = 2,
                                .body = CPN_VIEW_LIT("abc") } },
         -1);
    nettest_until(&t->nt, &c.ended);
    client_stop(t, &c);
    front_stop(t);
}

/* The conn's deadline, as if its time had come. */
static void
time_is_up(fronttest *t)
{
    t->f.conns->deadline.fn(&t->f.conns->deadline);
    nettest_turns(&t->nt, 4);
}

/* Closing would drop what the kernel has not taken; a client that takes none of it is let go. */
static void
a_slow_client_gets_its_whole_answer(void **state)
{
    static char body[30001];
    fronttest *t = front_start();
    static client c;
    uint8_t some[4096];
    int little = 4096;
    size_t left;
    uint32_t conn;

    (void)state;
    memset(body, 'b', sizeof(body) - 1);
    client_start(t, &c);
    client_send(t, &c, GET("/v1/x") "\r\n");
    conn = heard(t, CPN_MSG_REQUEST)->m.REQUEST.conn;
    cpn_tls_pause(c.tls, true);
    setsockopt(cpn_tls_fd(t->f.conns->tls), SOL_SOCKET, SO_SNDBUF, &little, sizeof(little));
    reply(t, conn, 404, "", body);
    while (t->f.conns->stage != CPN_STAGE_LINGER)
        uv_run(&t->nt.uv, UV_RUN_ONCE);
    nettest_turns(&t->nt, 2);
    left = cpn_tls_unsent(t->f.conns->tls);
    while (cpn_tls_unsent(t->f.conns->tls) == left) {
        assert_true(recv(cpn_tls_fd(c.tls), some, sizeof(some), 0) > 0);
        nettest_turns(&t->nt, 2);
    }
    assert_in_range(cpn_tls_unsent(t->f.conns->tls), 1, left - 1);
    time_is_up(t);
    assert_non_null(t->f.conns);
    time_is_up(t);
    assert_null(t->f.conns);
    client_stop(t, &c);
    front_stop(t);
}

/* ---- control away --------------------------------------------------------------------------- */

static void
control_away_is_503_until_the_next_setup(void **state)
{
    fronttest *t = front_start();
    static client c;

    (void)state;
    client_start(t, &c);
    client_send(t, &c, GET("/v1/x") "\r\n");
    heard(t, CPN_MSG_REQUEST);
    cpn_channel_free(cpn_steal(&t->control));
    client_sees(t, &c, "HTTP/1.1 503 ");
    client_sees(t, &c, "\r\nRetry-After: 1\r\n");
    client_is_closed(t, &c);
    client_stop(t, &c);
    control_start(t); /* no SETUP yet */
    client_start(t, &c);
    client_send(t, &c, GET("/v1/x") "\r\n");
    client_sees(t, &c, "HTTP/1.1 503 ");
    client_stop(t, &c);
    assert_int_equal(t->read_n, t->got_n);
    control_setup(t);
    client_start(t, &c);
    client_send(t, &c, GET("/v1/x") "\r\n");
    heard(t, CPN_MSG_REQUEST);
    client_stop(t, &c);
    heard(t, CPN_MSG_GONE);
    front_stop(t);
}

/* What control tells keeper, and keeper the service manager. */
static void
ready_is_said_once_a_setup_was_taken(void **state)
{
    fronttest *t = front_start();
    cpn_msg bad = setup_msg(t);

    (void)state;
    control_start(t);
    t->ready = 0;
    bad.SETUP.key_pem = CPN_VIEW_LIT("no key");
    tell(t, &bad, -1);
    nettest_turns(&t->nt, 8);
    assert_int_equal(t->ready, 0);
    control_setup(t);
    nettest_turns(&t->nt, 8);
    assert_int_equal(t->ready, 1);
    control_setup(t); /* a certificate reload */
    nettest_turns(&t->nt, 8);
    assert_int_equal(t->ready, 1);
    front_stop(t);
}

/* ---- the operator's listener ---------------------------------------------------------------- */

static void
admin_get(fronttest *t, const char *path, const char *want)
{
    char ask[128], got[8192] = "";
    cpn_addr peer = { { 0 } };
    ssize_t n = 0, k;
    int fd[2];

    nettest_sockets(fd);
    cpn_conn_start(&t->f, fd[0], &peer, 1, NULL, true);
    snprintf(ask, sizeof(ask), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
    assert_int_equal(write(fd[1], ask, strlen(ask)), strlen(ask));
    while ((k = read(fd[1], got + n, sizeof(got) - 1 - (size_t)n)) != 0) {
        if (k > 0)
            n += k;
        uv_run(&t->nt.uv, UV_RUN_NOWAIT);
    }
    if (strncmp(got, want, strlen(want)) != 0)
        fail_msg("%s: %s", path, got);
    close(fd[1]);
    nettest_turns(&t->nt, 4);
}

static void
health_lives_while_control_is_away(void **state)
{
    fronttest *t = front_start();

    (void)state;
    admin_get(t, "/healthz", "HTTP/1.1 200 ");
    admin_get(t, "/readyz", "HTTP/1.1 200 ");
    admin_get(t, "/v1/version", "HTTP/1.1 404 ");
    cpn_channel_free(cpn_steal(&t->control));
    nettest_turns(&t->nt, 4);
    admin_get(t, "/healthz", "HTTP/1.1 200 ");
    admin_get(t, "/readyz", "HTTP/1.1 503 ");
    admin_get(t, "/metrics", "HTTP/1.1 200 ");
    control_start(t);
    admin_get(t, "/readyz", "HTTP/1.1 503 ");
    control_setup(t);
    admin_get(t, "/readyz", "HTTP/1.1 200 ");
    cpn_front_on_drain(&t->f, 1000);
    admin_get(t, "/readyz", "HTTP/1.1 503 ");
    front_stop(t);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_relay_follows_only_a_question_to_control),
        cmocka_unit_test(an_illegal_step_aborts),
        cmocka_unit_test(bad_requests_never_reach_control),
        cmocka_unit_test(the_azure_door_says_message),
        cmocka_unit_test(errors_are_in_the_askers_words),
        cmocka_unit_test(nothing_may_follow_an_upgrade),
        cmocka_unit_test(a_request_is_carried_and_answered),
        cmocka_unit_test(a_body_goes_in_pieces_and_so_does_the_answer),
        cmocka_unit_test(an_early_answer_ends_the_connection),
        cmocka_unit_test(an_answer_that_is_too_long_is_cut_off),
        cmocka_unit_test(a_slow_client_gets_its_whole_answer),
        cmocka_unit_test(control_away_is_503_until_the_next_setup),
        cmocka_unit_test(ready_is_said_once_a_setup_was_taken),
        cmocka_unit_test(health_lives_while_control_is_away),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
