/* front: Caponier's own door, from the upgrade to the end of a stream. */
#include "frontrelay.h"

#include "net/carrier.h"

#define TUNNEL                                                                                     \
    GET("/v1/tunnel") UP "Sec-WebSocket-Protocol: caponier.v1\r\nAuthorization: Bearer t\r\n\r\n"

/* The client's end of one stream. */
typedef struct flow {
    cpn_stream *s;
    int app;
    bool opened;
    bool ended;
    cpn_stream_why why;
    char text[512];
} flow;

typedef struct tunnel {
    client c;
    cpn_carrier *carrier;
    bool ended;
    unsigned code;
} tunnel;

static void
opened(void *owner, cpn_stream *s, cpn_view json)
{
    (void)owner;
    (void)json;
    ((flow *)cpn_stream_user(s))->opened = true;
}

static void
stream_ended(void *owner, cpn_stream *s, const cpn_stream_end *end)
{
    flow *w = cpn_stream_user(s);

    (void)owner;
    w->ended = true;
    w->why = end->why;
    assert_true(cpn_view_copy(end->text, w->text, sizeof(w->text)));
}

static void
carrier_ended(void *owner, cpn_carrier_why why, unsigned code, const char *text)
{
    tunnel *n = owner;

    (void)why;
    (void)text;
    n->ended = true;
    n->code = code;
}

static const cpn_carrier_events carrier_events = { .on_opened = opened,
                                                   .on_stream_end = stream_ended,
                                                   .on_end = carrier_ended };

static uint32_t
tunnel_start(fronttest *t, tunnel *n)
{
    cpn_carrier_opts opts = { .role = CPN_WS_CLIENT, .events = &carrier_events, .owner = n };
    cpn_msg ok = { .type = CPN_MSG_CARRIER_OK };
    said *s;

    memset(n, 0, sizeof(*n));
    client_start(t, &n->c);
    client_send(t, &n->c, TUNNEL);
    s = heard(t, CPN_MSG_CARRIER);
    assert_string_equal(s->text[0], "t");
    assert_int_equal(t->f.slots.used, 1);
    ok.CARRIER_OK.conn = s->m.CARRIER.conn;
    tell(t, &ok, -1);
    client_sees(t, &n->c, "Sec-WebSocket-Protocol: caponier.v1\r\n");
    client_sees(t, &n->c, "\r\n\r\n");
    client_sees(t, &n->c, "HTTP/1.1 101 ");
    assert_int_equal(t->f.slots.used, 0);
    assert_int_equal(cpn_carrier_new(&n->carrier, t->nt.loop, cpn_steal(&n->c.tls), &opts, NULL),
                     CPN_OK);
    return s->m.CARRIER.conn;
}

static void
tunnel_stop(fronttest *t, tunnel *n)
{
    cpn_carrier_free(cpn_steal(&n->carrier));
    nettest_turns(&t->nt, 6);
}

/* Ask for a stream with these first bytes; returns the front's question. */
static said *
ask(fronttest *t, tunnel *n, flow *w, const char *first)
{
    said *s;
    int fd[2];

    memset(w, 0, sizeof(*w));
    nettest_sockets(fd);
    w->app = fd[0];
    assert_int_equal(write(fd[0], first, strlen(first)), strlen(first));
    assert_int_equal(
        cpn_carrier_open(n->carrier, &w->s,
                         &(cpn_carrier_ask){ .target = CPN_VIEW_LIT("{\"port\":22}"), .user = w },
                         fd[1], NULL),
        CPN_OK);
    s = heard(t, CPN_MSG_OPEN);
    assert_string_equal(s->text[0], "{\"port\":22}");
    return s;
}

static void
a_carrier_is_refused_in_http(void **state)
{
    fronttest *t = front_start();
    static client c;
    cpn_msg no = { .type = CPN_MSG_REFUSED,
                   .REFUSED = { .why = CPN_WHY_TOKEN_EXPIRED,
                                .status = 401,
                                .answer = CPN_VIEW_LIT("{\"error\":1}") } };

    (void)state;
    client_start(t, &c);
    client_send(t, &c, TUNNEL);
    no.REFUSED.conn = heard(t, CPN_MSG_CARRIER)->m.CARRIER.conn;
    tell(t, &no, -1);
    client_sees(t, &c, "HTTP/1.1 401 ");
    client_sees(t, &c, "WWW-Authenticate: Bearer\r\n");
    client_sees(t, &c, "{\"error\":1}");
    client_is_closed(t, &c);
    client_stop(t, &c);
    assert_int_equal(t->read_n, t->got_n);
    front_stop(t);
}

static void
a_stream_is_refused_and_the_carrier_lives(void **state)
{
    fronttest *t = front_start();
    tunnel n;
    flow w;
    uint32_t conn;
    cpn_msg no = { .type = CPN_MSG_REFUSED,
                   .REFUSED = { .why = CPN_WHY_PORT,
                                .status = 403,
                                .answer = CPN_VIEW_LIT("{\"code\":\"port_not_allowed\"}") } };

    (void)state;
    conn = tunnel_start(t, &n);
    no.REFUSED.conn = conn;
    no.REFUSED.stream = ask(t, &n, &w, "")->m.OPEN.stream;
    tell(t, &no, -1);
    nettest_until(&t->nt, &w.ended);
    assert_int_equal(w.why, CPN_STREAM_REFUSED);
    assert_string_equal(w.text, "{\"code\":\"port_not_allowed\"}");
    close(w.app);
    assert_int_equal(t->read_n, t->got_n);
    tunnel_stop(t, &n);
    assert_int_equal(heard(t, CPN_MSG_GONE)->m.GONE.conn, conn);
    front_stop(t);
}

/* relay_memory is used up: control is not even asked. With a byte left
 * beside the block that the request is read into, it is. */
static void
without_memory_a_stream_is_refused(void **state)
{
    fronttest *t = front_start();
    tunnel n;
    flow w = { 0 };
    uint32_t conn = tunnel_start(t, &n);
    size_t before = t->f.memory.used;
    int fd[2];

    (void)state;
    nettest_sockets(fd);
    t->f.memory.used = before + t->f.memory.max - CPN_BLOCK_SMALL;
    assert_int_equal(
        cpn_carrier_open(n.carrier, &w.s,
                         &(cpn_carrier_ask){ .target = CPN_VIEW_LIT("{}"), .user = &w }, fd[1],
                         NULL),
        CPN_OK);
    nettest_until(&t->nt, &w.ended);
    assert_int_equal(w.why, CPN_STREAM_REFUSED);
    assert_non_null(strstr(w.text, "\"code\":\"busy\""));
    close(fd[0]);
    assert_int_equal(t->read_n, t->got_n);
    assert_int_equal(t->f.count.streams_refused, 1);
    t->f.memory.used -= 1;
    (void)ask(t, &n, &w, "");
    close(w.app);
    t->f.memory.used -= t->f.memory.max - CPN_BLOCK_SMALL - 1;
    tunnel_stop(t, &n);
    assert_int_equal(heard(t, CPN_MSG_GONE)->m.GONE.conn, conn);
    front_stop(t);
}

static void
bytes_flow_and_are_counted(void **state)
{
    fronttest *t = front_start();
    tunnel n;
    flow w;
    uint32_t conn;
    int target;

    (void)state;
    conn = tunnel_start(t, &n);
    target = say_yes(t, conn, ask(t, &n, &w, SSH_HELLO)->m.OPEN.stream, 77, true);
    nettest_until(&t->nt, &w.opened);
    assert_int_equal(heard(t, CPN_MSG_SPOKE)->m.SPOKE.protocol, CPN_PROTOCOL_SSH);
    reads(t, target, SSH_HELLO);
    assert_int_equal(write(target, "hello\r\nSSH-2.0-sshd\r\n", 21), 21);
    reads(t, w.app, "hello\r\nSSH-2.0-sshd\r\n");
    assert_int_equal(t->tally.slots[3].up, strlen(SSH_HELLO));
    assert_int_equal(t->tally.slots[3].down, 21);
    assert_int_equal(t->tally.slots[3].stream, 77);
    close(w.app);
    close(target);
    ended(t, 77, CPN_WHY_CLOSED, strlen(SSH_HELLO), 21);
    tunnel_stop(t, &n);
    heard(t, CPN_MSG_GONE);
    front_stop(t);
}

static void
only_ssh_and_rdp_pass(void **state)
{
    fronttest *t = front_start();
    tunnel n;
    flow w;
    uint32_t conn;
    int target;

    (void)state;
    conn = tunnel_start(t, &n);
    target = say_yes(t, conn, ask(t, &n, &w, "GET / HTTP/1.1\r\n")->m.OPEN.stream, 1, true);
    ended(t, 1, CPN_WHY_PROTOCOL_CLIENT, 0, 0);
    nettest_until(&t->nt, &w.ended);
    assert_non_null(strstr(w.text, "\"code\":\"protocol_client\""));
    reads_nothing(t, target);
    close(w.app);
    close(target);
    target = say_yes(t, conn, ask(t, &n, &w, "")->m.OPEN.stream, 2, true);
    nettest_until(&t->nt, &w.opened);
    assert_int_equal(write(target, "HTTP/1.1 200 OK\r\n\x01", 18), 18);
    ended(t, 2, CPN_WHY_PROTOCOL_TARGET, 0, 0);
    nettest_until(&t->nt, &w.ended);
    reads_nothing(t, w.app);
    close(w.app);
    close(target);
    target = say_yes(t, conn, ask(t, &n, &w, "GET /\r\n")->m.OPEN.stream, 3, false);
    reads(t, target, "GET /\r\n"); /* protocols: any */
    close(w.app);
    close(target);
    heard(t, CPN_MSG_ENDED);
    tunnel_stop(t, &n);
    front_stop(t);
}

static void
silence_ends_a_stream(void **state)
{
    fronttest *t = front_start();
    tunnel n;
    flow w;
    uint32_t conn;
    int target;

    (void)state;
    t->f.set.first_bytes_ms = 1;
    conn = tunnel_start(t, &n);
    target = say_yes(t, conn, ask(t, &n, &w, "S")->m.OPEN.stream, 9, true);
    ended(t, 9, CPN_WHY_SILENT, 0, 0);
    nettest_until(&t->nt, &w.ended);
    assert_int_equal(w.why, CPN_STREAM_RESET_PEER);
    reads_nothing(t, target);
    close(w.app);
    close(target);
    tunnel_stop(t, &n);
    front_stop(t);
}

static void
a_cut_tells_the_client_why(void **state)
{
    fronttest *t = front_start();
    tunnel n;
    flow w;
    uint32_t conn;
    int target;
    cpn_msg cut = { .type = CPN_MSG_CUT,
                    .CUT = { .session = { { 9 } },
                             .why = CPN_WHY_CUT_ADMIN,
                             .sentence = CPN_VIEW_LIT("bob ended it"),
                             .answer = CPN_VIEW_LIT("{\"by\":\"bob\"}") } };

    (void)state;
    conn = tunnel_start(t, &n);
    target = say_yes(t, conn, ask(t, &n, &w, SSH_HELLO)->m.OPEN.stream, 5, true);
    heard(t, CPN_MSG_SPOKE);
    reads(t, target, SSH_HELLO);
    tell(t, &cut, -1); /* another session */
    nettest_turns(&t->nt, 8);
    assert_false(w.ended);
    cut.CUT.session = session;
    tell(t, &cut, -1);
    nettest_until(&t->nt, &w.ended);
    assert_int_equal(w.why, CPN_STREAM_RESET_PEER);
    assert_string_equal(w.text, "{\"by\":\"bob\"}");
    ended(t, 5, CPN_WHY_CUT_ADMIN, strlen(SSH_HELLO), 0);
    reads_nothing(t, target);
    close(w.app);
    close(target);
    tunnel_stop(t, &n);
    front_stop(t);
}

/* A stream that the front refuses by itself, control unasked; the carrier lives. */
static void
refuses(fronttest *t, tunnel *n, const char *code)
{
    flow w = { 0 };
    int fd[2];

    nettest_sockets(fd);
    assert_int_equal(
        cpn_carrier_open(n->carrier, &w.s,
                         &(cpn_carrier_ask){ .target = CPN_VIEW_LIT("{}"), .user = &w }, fd[1],
                         NULL),
        CPN_OK);
    nettest_until(&t->nt, &w.ended);
    assert_int_equal(w.why, CPN_STREAM_REFUSED);
    if (!strstr(w.text, code))
        fail_msg("%s instead of %s", w.text, code);
    assert_int_equal(t->read_n, t->got_n);
    close(fd[0]);
}

/* Each OPEN costs control an answer, also where the client has taken it back: no more than a
 * session may have streams are with it at once. */
static void
opens_without_end_wait_for_control(void **state)
{
    fronttest *t = front_start();
    cpn_msg no = { .type = CPN_MSG_REFUSED,
                   .REFUSED = { .why = CPN_WHY_PORT, .answer = CPN_VIEW_LIT("{}") } };
    tunnel n;
    flow w;

    (void)state;
    no.REFUSED.conn = tunnel_start(t, &n);
    for (int i = 0; i < CPN_SESSION_STREAMS_MAX; i++) {
        no.REFUSED.stream = ask(t, &n, &w, "")->m.OPEN.stream;
        cpn_stream_reset(w.s, CPN_VIEW_LIT(""));
        nettest_turns(&t->nt, 6);
        close(w.app);
    }
    refuses(t, &n, "\"code\":\"busy\"");
    tell(t, &no, -1);
    nettest_turns(&t->nt, 6);
    ask(t, &n, &w, "");
    refuses(t, &n, "\"code\":\"busy\"");
    close(w.app);
    tunnel_stop(t, &n);
    front_stop(t);
}

static void
a_client_that_breaks_the_protocol_has_not_gone(void **state)
{
    static const uint8_t unmasked[] = { 0x82, 0x00 };
    fronttest *t = front_start();
    tunnel n;
    flow w;
    uint32_t conn = tunnel_start(t, &n);
    int target = say_yes(t, conn, ask(t, &n, &w, SSH_HELLO)->m.OPEN.stream, 5, true);

    (void)state;
    heard(t, CPN_MSG_SPOKE);
    reads(t, target, SSH_HELLO);
    assert_int_equal(cpn_tls_write(cpn_carrier_tls(n.carrier), unmasked, 2), CPN_OK);
    ended(t, 5, CPN_WHY_PROTOCOL_ERROR, strlen(SSH_HELLO), 0);
    nettest_until(&t->nt, &n.ended);
    assert_int_equal(n.code, CPN_WS_CLOSE_PROTO);
    close(w.app);
    close(target);
    tunnel_stop(t, &n);
    front_stop(t);
}

static void
an_answer_that_comes_too_late_is_ended(void **state)
{
    fronttest *t = front_start();
    tunnel n;
    flow w;
    uint32_t conn, stream;
    int target;

    (void)state;
    conn = tunnel_start(t, &n);
    stream = ask(t, &n, &w, "")->m.OPEN.stream;
    cpn_stream_reset(w.s, CPN_VIEW_LIT(""));
    nettest_turns(&t->nt, 10);
    target = say_yes(t, conn, stream, 6, true);
    ended(t, 6, CPN_WHY_CLIENT_GONE, 0, 0);
    reads_nothing(t, target);
    close(target);
    close(w.app);
    tunnel_stop(t, &n);
    heard(t, CPN_MSG_GONE);
    target = say_yes(t, conn, stream, 7, true); /* the whole connection has gone */
    ended(t, 7, CPN_WHY_CLIENT_GONE, 0, 0);
    close(target);
    front_stop(t);
}

/* Clients leave a carrier for another when they hear this word, and only then. */
static void
a_carrier_that_control_does_not_know_says_so(void **state)
{
    fronttest *t = front_start();
    tunnel n;
    flow w;
    uint32_t conn;
    int target;

    (void)state;
    conn = tunnel_start(t, &n);
    target = say_yes(t, conn, ask(t, &n, &w, SSH_HELLO)->m.OPEN.stream, 5, true);
    heard(t, CPN_MSG_SPOKE);
    cpn_channel_free(cpn_steal(&t->control));
    while (t->f.link.channel)
        uv_run(&t->nt.uv, UV_RUN_ONCE);
    refuses(t, &n, "\"code\":\"control_away\"");
    control_start(t);
    control_setup(t);
    refuses(t, &n, "\"code\":\"control_away\"");
    assert_false(w.ended);
    close(w.app);
    close(target);
    nettest_until(&t->nt, &n.ended);
    assert_int_equal(n.code, CPN_WS_CLOSE_NORMAL);
    tunnel_stop(t, &n);
    front_stop(t);
}

static void
relays_outlive_control(void **state)
{
    fronttest *t = front_start();
    tunnel n;
    flow w, late;
    uint32_t conn;
    int target;

    (void)state;
    conn = tunnel_start(t, &n);
    target = say_yes(t, conn, ask(t, &n, &w, SSH_HELLO)->m.OPEN.stream, 5, true);
    heard(t, CPN_MSG_SPOKE);
    reads(t, target, SSH_HELLO);
    ask(t, &n, &late, "");
    cpn_channel_free(cpn_steal(&t->control));
    nettest_until(&t->nt, &late.ended); /* it was being asked for */
    assert_non_null(strstr(late.text, "\"code\":\"control_away\""));
    assert_int_equal(write(target, "SSH-2.0-s\r\n", 11), 11);
    reads(t, w.app, "SSH-2.0-s\r\n");
    close(w.app);
    close(target);
    nettest_until(&t->nt, &w.ended);
    nettest_turns(&t->nt, 8);
    control_start(t); /* the end was kept for it */
    ended(t, 5, CPN_WHY_CLOSED, strlen(SSH_HELLO), 11);
    nettest_until(&t->nt, &n.ended);
    assert_int_equal(n.code, CPN_WS_CLOSE_NORMAL);
    close(late.app);
    tunnel_stop(t, &n);
    front_stop(t);
}

static void
a_drain_says_goodbye(void **state)
{
    fronttest *t = front_start();
    tunnel n;
    flow w;
    uint32_t conn;
    int target;

    (void)state;
    conn = tunnel_start(t, &n);
    target = say_yes(t, conn, ask(t, &n, &w, SSH_HELLO)->m.OPEN.stream, 5, true);
    heard(t, CPN_MSG_SPOKE);
    tell(t, &(cpn_msg){ .type = CPN_MSG_DRAIN, .DRAIN = { .ms = 300 } }, -1);
    while (!t->f.draining)
        uv_run(&t->nt.uv, UV_RUN_ONCE);
    refuses(t, &n, "\"code\":\"shutdown\"");
    nettest_until(&t->nt, &w.ended);
    assert_non_null(strstr(w.text, "\"code\":\"shutdown\""));
    assert_int_equal(heard(t, CPN_MSG_ENDED)->m.ENDED.why, CPN_WHY_SHUTDOWN);
    nettest_until(&t->nt, &n.ended);
    close(w.app);
    close(target);
    tunnel_stop(t, &n);
    assert_int_equal(t->f.live, 0);
    front_stop(t);
}

/* What the front says it has moved, and what it wants. */
static void
spent_is(fronttest *t, uint32_t serial, const char *wants, uint64_t up, uint64_t down)
{
    const cpn_msg_SPENT *m = &heard(t, CPN_MSG_SPENT)->m.SPENT;

    assert_int_equal(m->id, 77);
    assert_int_equal(m->serial, serial);
    assert_int_equal(m->wants_up, strchr(wants, 'u') != NULL);
    assert_int_equal(m->wants_down, strchr(wants, 'd') != NULL);
    assert_int_equal(m->up, up);
    assert_int_equal(m->down, down);
}

static void
allow(fronttest *t, uint32_t serial, bool report, uint64_t up, uint64_t down)
{
    cpn_msg m = { .type = CPN_MSG_ALLOW,
                  .ALLOW = {
                      .id = 77, .serial = serial, .report = report, .up = up, .down = down } };

    tell(t, &m, -1);
}

static void
nothing_goes_beyond_what_is_allowed(void **state)
{
    fronttest *t = front_start();
    tunnel n;
    flow w;
    uint32_t conn = tunnel_start(t, &n);
    uint32_t stream = ask(t, &n, &w, "0123456789")->m.OPEN.stream;
    int target = say_yes(t, conn, stream, 77, false);

    (void)state;
    reads(t, target, "0123456789");
    /* Called back: both ways stand where they are, then ask; the second question comes while the
     * answer to the first is on its way, and is asked again. */
    allow(t, 1, true, 0, 0);
    spent_is(t, 1, "", 10, 0);
    assert_int_equal(write(w.app, "abc", 3), 3);
    spent_is(t, 1, "u", 10, 0);
    reads_nothing(t, target);
    assert_int_equal(write(target, "xyz", 3), 3);
    spent_is(t, 1, "ud", 10, 0);
    reads_nothing(t, w.app);
    allow(t, 2, false, 12, 0);
    spent_is(t, 2, "d", 12, 0);
    reads(t, target, "ab");
    spent_is(t, 2, "ud", 12, 0);
    allow(t, 3, false, 13, 2);
    reads(t, target, "c");
    reads(t, w.app, "xy");
    spent_is(t, 3, "d", 13, 2);
    allow(t, 4, false, CPN_NO_LIMIT, CPN_NO_LIMIT);
    reads(t, w.app, "z");
    close(w.app);
    close(target);
    tunnel_stop(t, &n);
    front_stop(t);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_goes_beyond_what_is_allowed),
        cmocka_unit_test(a_carrier_is_refused_in_http),
        cmocka_unit_test(a_stream_is_refused_and_the_carrier_lives),
        cmocka_unit_test(without_memory_a_stream_is_refused),
        cmocka_unit_test(only_ssh_and_rdp_pass),
        cmocka_unit_test(bytes_flow_and_are_counted),
        cmocka_unit_test(silence_ends_a_stream),
        cmocka_unit_test(a_cut_tells_the_client_why),
        cmocka_unit_test(opens_without_end_wait_for_control),
        cmocka_unit_test(a_client_that_breaks_the_protocol_has_not_gone),
        cmocka_unit_test(an_answer_that_comes_too_late_is_ended),
        cmocka_unit_test(a_carrier_that_control_does_not_know_says_so),
        cmocka_unit_test(relays_outlive_control),
        cmocka_unit_test(a_drain_says_goodbye),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
