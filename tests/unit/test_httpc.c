/* net/dial and net/httpc: sentences for what goes wrong, bounded answers, upgrades. */
#include "nettest.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "codec/wsupgrade.h"
#include "net/httpc.h"

/* A server that answers every request with the same bytes. */
typedef struct server {
    nettest nt;
    uv_poll_t listen;
    int fd;
    uint16_t port;
    const char *answer;
    bool upgrade;
    bool close; /* TLS close behind the answer; otherwise TCP is cut */
    bool keep;  /* neither: the next request may follow */
    unsigned accepted;
    cpn_tls *conn;
    char request[4096];
    size_t request_n;
    /* the client's side */
    bool done;
    cpn_err err;
    cpn_httpc_reply reply;
} server;

static size_t
on_request(void *owner, cpn_tls *t, uint8_t *p, size_t n)
{
    server *s = owner;
    cpn_buf out = { .max = 4096 };
    cpn_http_head head;
    cpn_view key;
    int status;

    if (cpn_http_request_parse((cpn_view){ p, n }, NULL, &head, NULL) != CPN_OK)
        return 0;
    memcpy(s->request, p, CPN_MIN(n, sizeof(s->request)));
    s->request_n = n;
    if (s->upgrade) {
        assert_int_equal(cpn_ws_request_check(&head, &key, &status, NULL), CPN_OK);
        assert_int_equal(cpn_ws_response_put(&out, key, "caponier.v1", (cpn_view){ NULL, 0 }),
                         CPN_OK);
    }
    assert_int_equal(cpn_buf_append(&out, cpn_view_str(s->answer)), CPN_OK);
    assert_int_equal(cpn_tls_write_all(t, cpn_buf_view(&out), 4096), CPN_OK);
    cpn_tls_flush(t);
    cpn_buf_fini(&out);
    if (s->close)
        cpn_tls_shutdown(t);
    else if (!s->upgrade && !s->keep)
        shutdown(cpn_tls_fd(t), SHUT_RDWR);
    return n;
}

static void
on_conn_end(void *owner, cpn_tls *t, cpn_tls_end why, const cpn_err *err)
{
    server *s = owner;

    (void)why;
    (void)err;
    cpn_tls_free(t);
    s->conn = NULL;
}

static const cpn_tls_events server_events = { .on_bytes = on_request, .on_end = on_conn_end };

static void
on_accept(uv_poll_t *poll, int status, int events)
{
    server *s = poll->data;
    cpn_tls_opts opts = { .ctx = s->nt.server, .events = &server_events, .owner = s };
    int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    cpn_err err;

    (void)status;
    (void)events;
    assert_true(fd >= 0);
    s->accepted++;
    assert_int_equal(cpn_tls_new(&s->conn, s->nt.loop, fd, &opts, &err), CPN_OK);
}

static void
start(server *s)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof(at);

    memset(s, 0, sizeof(*s));
    nettest_start(&s->nt);
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    for (uint16_t port = 20000 + (uint16_t)(getpid() % 8000); port < 32000; port++) {
        at.sin_port = htons(port);
        if (bind(s->fd, (struct sockaddr *)&at, n) == 0 && listen(s->fd, 8) == 0)
            break;
    }
    s->port = ntohs(at.sin_port);
    uv_poll_init(&s->nt.uv, &s->listen, s->fd);
    s->listen.data = s;
    uv_poll_start(&s->listen, UV_READABLE, on_accept);
}

static void
stop(server *s)
{
    cpn_httpc_reply_fini(&s->reply);
    cpn_tls_free(s->conn);
    uv_close((uv_handle_t *)&s->listen, NULL);
    nettest_turns(&s->nt, 3);
    close(s->fd);
    nettest_stop(&s->nt);
}

static void
on_done(void *owner, cpn_httpc_reply *reply, const cpn_err *err)
{
    server *s = owner;

    assert_false(s->done);
    s->done = true;
    s->err = *err;
    s->reply = *reply;
    *reply = (cpn_httpc_reply){ 0 };
}

static void
ask(server *s, const char *host, uint16_t port, const cpn_httpc_req *with)
{
    cpn_url url = { .tls = true, .port = port };
    cpn_httpc_req req = *with;
    cpn_httpc *h;
    cpn_err err = { 0 };

    snprintf(url.host, sizeof(url.host), "%s", host);
    cpn_httpc_reply_fini(&s->reply);
    s->done = false;
    req.gateway = &url;
    req.ctx = s->nt.client;
    if (!req.method)
        req.method = "GET";
    if (!req.target)
        req.target = "/v1/x";
    assert_int_equal(cpn_httpc_start(&h, s->nt.loop, &req, on_done, s, &err), CPN_OK);
    nettest_until(&s->nt, &s->done);
}

static void
what_goes_wrong_is_said(void **state)
{
    server s;
    cpn_httpc_req plain = { 0 };

    (void)state;
    start(&s);
    ask(&s, "127.0.0.1", 1, &plain);
    assert_int_equal(s.err.rc, CPN_UNAVAILABLE);
    assert_string_equal(s.err.msg,
                        "127.0.0.1 refuses connections on port 1; is the gateway running?");
    ask(&s, "localhost", s.port, &plain);
    assert_int_equal(s.err.rc, CPN_E_CRYPTO);
    assert_non_null(strstr(s.err.msg, "certificate is not trusted: hostname mismatch"));
    ask(&s, "bad..name", s.port, &plain);
    assert_int_equal(s.err.rc, CPN_UNAVAILABLE);
    assert_non_null(strstr(s.err.msg, "bad..name"));
    stop(&s);
}

static void
bad_answers_are_refused(void **state)
{
    static const struct {
        const char *why;
        const char *answer;
        bool close;
        cpn_rc want;
    } refused[] = {
        { "not HTTP", "SSH-2.0-x\r\n\r\n", true, CPN_E_PROTO },
        { "chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", true,
          CPN_E_PROTO },
        { "too long", "HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n", true, CPN_LIMIT },
        { "too long, unannounced",
          "HTTP/1.1 200 OK\r\n\r\n"
          "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567"
          "89012345678901",
          true, CPN_LIMIT },
        { "cut in the body", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", true,
          CPN_UNAVAILABLE },
        { "cut without close_notify", "HTTP/1.1 200 OK\r\n\r\nab", false, CPN_UNAVAILABLE },
        { "cut in the head", "HTTP/1.1 200 OK\r\n", true, CPN_UNAVAILABLE },
    };
    cpn_httpc_req req = { .response_max = 100 };
    server s;

    (void)state;
    start(&s);
    for (size_t i = 0; i < CPN_COUNT(refused); i++) {
        s.answer = refused[i].answer;
        s.close = refused[i].close;
        ask(&s, "127.0.0.1", s.port, &req);
        if (s.err.rc != refused[i].want)
            fail_msg("%s: %d %s", refused[i].why, s.err.rc, s.err.msg);
    }
    stop(&s);
}

static void
answers_are_read(void **state)
{
    cpn_httpc_req req = { .method = "POST",
                          .target = "/v1/things?x=1",
                          .content_type = "application/json",
                          .body = CPN_VIEW_LIT("{}"),
                          .bearer = CPN_VIEW_LIT("tok") };
    server s;

    (void)state;
    start(&s);
    s.close = true;
    s.answer = "HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\nRetry-After: 7\r\n\r\nhello";
    ask(&s, "127.0.0.1", s.port, &req);
    assert_int_equal(s.err.rc, CPN_OK);
    assert_int_equal(s.reply.status, 403);
    assert_true(cpn_view_is(cpn_buf_view(&s.reply.body), "hello"));
    assert_true(cpn_view_is(cpn_http_header(&s.reply.head, "retry-after"), "7"));
    assert_non_null(memmem(s.request, s.request_n, "Authorization: Bearer tok\r\n", 27));
    assert_non_null(memmem(s.request, s.request_n, "\r\n\r\n{}", 6));
    s.answer = "HTTP/1.1 204 No Content\r\n\r\n";
    ask(&s, "127.0.0.1", s.port, &req);
    assert_int_equal(s.reply.status, 204);
    s.answer = "HTTP/1.1 200 OK\r\n\r\nuntil the end";
    ask(&s, "127.0.0.1", s.port, &req);
    assert_true(cpn_view_is(cpn_buf_view(&s.reply.body), "until the end"));
    stop(&s);
}

static void
upgrades_hand_over_the_connection(void **state)
{
    cpn_httpc_req req = { .websocket = "caponier.v1", .bearer = CPN_VIEW_LIT("tok") };
    static hand h;
    server s;

    (void)state;
    start(&s);
    s.upgrade = true;
    s.answer = "behind";
    ask(&s, "127.0.0.1", s.port, &req);
    assert_int_equal(s.err.rc, CPN_OK);
    assert_int_equal(s.reply.status, 101);
    assert_non_null(s.reply.tls);
    nettest_turns(&s.nt, 3);
    cpn_tls_set_owner(s.reply.tls, &hand_events, &h);
    while (h.n < 6)
        uv_run(&s.nt.uv, UV_RUN_ONCE);
    assert_memory_equal(h.got, "behind", 6);
    s.upgrade = false;
    s.close = true;
    s.answer = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\n{}";
    ask(&s, "127.0.0.1", s.port, &req);
    assert_int_equal(s.reply.status, 401);
    assert_null(s.reply.tls);
    stop(&s);
}

static void
bad_requests_are_not_sent(void **state)
{
    cpn_url url = { .tls = true, .port = 1, .host = "127.0.0.1" };
    cpn_httpc_req req = { .gateway = &url, .method = "GET", .target = "/a b" };
    nettest nt;
    cpn_httpc *h = NULL;
    cpn_err err = { 0 };

    (void)state;
    nettest_start(&nt);
    req.ctx = nt.client;
    assert_int_not_equal(cpn_httpc_start(&h, nt.loop, &req, on_done, NULL, &err), CPN_OK);
    req.target = "/a";
    req.bearer = CPN_VIEW_LIT("x\r\nEvil: 1");
    assert_int_not_equal(cpn_httpc_start(&h, nt.loop, &req, on_done, NULL, &err), CPN_OK);
    assert_null(h);
    nettest_stop(&nt);
}

static void
blocking_calls_end(void **state)
{
    cpn_url url = { .tls = true, .port = 1, .host = "127.0.0.1" };
    cpn_httpc_req req = { .gateway = &url, .method = "GET", .target = "/" };
    cpn_httpc_reply reply = { 0 };
    cpn_err err = { 0 };
    nettest nt;

    (void)state;
    nettest_start(&nt);
    req.ctx = nt.client;
    assert_int_equal(cpn_httpc_call(&req, &reply, &err), CPN_UNAVAILABLE);
    assert_non_null(strstr(err.msg, "refuses"));
    nettest_stop(&nt);
}

#define ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"

static void
a_line_is_kept_when_both_ends_mean_to(void **state)
{
    static const struct {
        const char *why, *answer;
        bool kept;
    } rows[] = {
        { "as it should be", ANSWER "\r\n{}", true },
        { "nothing to say", "HTTP/1.1 204 x\r\n\r\n", true },
        { "the gateway closes", ANSWER "Connection: close\r\n\r\n{}", false },
        { "more than the answer", ANSWER "\r\n{}x", false },
        { "more than none", "HTTP/1.1 204 x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", false },
    };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(rows); i++) {
        server s;
        cpn_httpc_line line = { 0 };
        cpn_httpc_req req = { .line = &line };

        start(&s);
        s.keep = true;
        s.answer = rows[i].answer;
        ask(&s, "127.0.0.1", s.port, &req);
        assert_int_equal(s.err.rc, CPN_OK);
        if ((line.tls != NULL) != rows[i].kept)
            fail_msg("%s: kept %d", rows[i].why, line.tls != NULL);
        cpn_httpc_line_drop(&line);
        stop(&s);
    }
}

static void
a_kept_line_carries_the_next_request(void **state)
{
    server s;
    cpn_httpc_line line = { 0 };
    cpn_httpc_req req = { .line = &line };

    (void)state;
    start(&s);
    s.keep = true;
    s.answer = ANSWER "\r\n{}";
    for (int i = 0; i < 3; i++) {
        ask(&s, "127.0.0.1", s.port, &req);
        assert_int_equal(s.err.rc, CPN_OK);
        assert_non_null(line.tls);
    }
    assert_int_equal(s.accepted, 1);
    cpn_tls_free(cpn_steal(&s.conn)); /* what ended meanwhile is told, and the next one is new */
    nettest_turns(&s.nt, 3);
    ask(&s, "127.0.0.1", s.port, &req);
    assert_int_equal(s.err.rc, CPN_UNAVAILABLE);
    assert_null(line.tls);
    ask(&s, "127.0.0.1", s.port, &req);
    assert_int_equal(s.err.rc, CPN_OK);
    assert_int_equal(s.accepted, 2);
    cpn_httpc_line_drop(&line);
    stop(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_wrong_is_said),
        cmocka_unit_test(bad_answers_are_refused),
        cmocka_unit_test(bad_requests_are_not_sent),
        cmocka_unit_test(answers_are_read),
        cmocka_unit_test(upgrades_hand_over_the_connection),
        cmocka_unit_test(a_line_is_kept_when_both_ends_mean_to),
        cmocka_unit_test(a_kept_line_carries_the_next_request),
        cmocka_unit_test(blocking_calls_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
