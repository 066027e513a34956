/* front: the Azure door, from the upgrade to the end. */
#include "frontrelay.h"

#include "net/rawrelay.h"

#define WEBTUNNEL GET("/webtunnelv2/tick?X-Node-Id=n7") UP "\r\n"
#define OF_OUR_CLIENT GET("/webtunnelv2/tick?X-Node-Id=n7") "Caponier-Client: 1\r\n" UP "\r\n"

typedef struct raw {
    client c;
    cpn_rawrelay *relay;
    int app;
    bool ended;
    cpn_raw_why why;
} raw;

static void
raw_ended(void *owner, cpn_rawrelay *r, const cpn_raw_end *end)
{
    raw *x = owner;

    (void)r;
    x->ended = true;
    x->why = end->why;
}

static uint32_t
raw_ask(fronttest *t, raw *x, const char *request, bool own_client)
{
    said *s;

    memset(x, 0, sizeof(*x));
    client_start(t, &x->c);
    client_send(t, &x->c, request);
    s = heard(t, CPN_MSG_UPGRADE);
    assert_int_equal(s->m.UPGRADE.own_client, own_client);
    assert_string_equal(s->text[0], "tick");
    assert_string_equal(s->text[1], "n7");
    return s->m.UPGRADE.conn;
}

static uint32_t
raw_start(fronttest *t, raw *x)
{
    return raw_ask(t, x, WEBTUNNEL, false);
}

/* The 101 has come: the client's program is behind x->app. */
static void
raw_run(fronttest *t, raw *x)
{
    cpn_raw_opts opts = { .role = CPN_WS_CLIENT, .on_end = raw_ended, .owner = x };
    int fd[2];

    client_sees(t, &x->c, "\r\n\r\n");
    client_sees(t, &x->c, "HTTP/1.1 101 ");
    assert_null(memmem(x->c.got, x->c.n, "Protocol:", 9));
    nettest_sockets(fd);
    x->app = fd[0];
    assert_int_equal(cpn_rawrelay_new(&x->relay, t->nt.loop, cpn_steal(&x->c.tls), &opts, NULL),
                     CPN_OK);
    cpn_rawrelay_attach(x->relay, fd[1]);
}

static void
raw_stop(fronttest *t, raw *x)
{
    cpn_rawrelay_free(cpn_steal(&x->relay));
    close(x->app);
    nettest_turns(&t->nt, 6);
}

static void
refuse_upgrade(fronttest *t, uint32_t conn, bool denied_session)
{
    cpn_msg m = { .type = CPN_MSG_REFUSED,
                  .REFUSED = { .conn = conn,
                               .why = CPN_WHY_ROLE_MISSING,
                               .status = 403,
                               .denied_session = denied_session,
                               .sentence = CPN_VIEW_LIT("you need Reader on web1"),
                               .answer = CPN_VIEW_LIT("{\"message\":\"no\"}") } };

    tell(t, &m, -1);
}

static void
a_bad_ticket_is_refused_in_http(void **state)
{
    fronttest *t = front_start();
    static raw x;

    (void)state;
    refuse_upgrade(t, raw_ask(t, &x, OF_OUR_CLIENT, true), false);
    client_sees(t, &x.c, "HTTP/1.1 403 ");
    client_sees(t, &x.c, "{\"message\":\"no\"}");
    client_is_closed(t, &x.c);
    client_stop(t, &x.c);
    assert_int_equal(t->read_n, t->got_n);
    front_stop(t);
}

/* Control answers when keeper has dialled, which may take all of dial_timeout. */
static void
an_upgrade_waits_for_the_dial(void **state)
{
    fronttest *t = front_start();
    static raw x;
    uint32_t conn = raw_start(t, &x);

    (void)state;
    assert_in_range(cpn_conn_by_number(&t->f, conn)->deadline.at_ms,
                    cpn_loop_now_ms(t->f.loop) + t->f.set.dial_ms, UINT64_MAX);
    refuse_upgrade(t, conn, false);
    client_sees(t, &x.c, "HTTP/1.1 403 ");
    client_stop(t, &x.c);
    front_stop(t);
}

/* relay_memory is used up: control is not even asked. With a byte left
 * beside the block that the request is read into, it is. */
static void
without_memory_the_answer_is_503(void **state)
{
    fronttest *t = front_start();
    static raw x;

    (void)state;
    assert_int_equal(t->f.memory.used, 0);
    t->f.memory.used = t->f.memory.max - CPN_BLOCK_SMALL;
    client_start(t, &x.c);
    client_send(t, &x.c, WEBTUNNEL);
    client_sees(t, &x.c, "HTTP/1.1 503 ");
    client_sees(t, &x.c, cpn_reason_sentence(CPN_WHY_BUSY));
    client_is_closed(t, &x.c);
    client_stop(t, &x.c);
    assert_int_equal(t->read_n, t->got_n);
    assert_int_equal(t->f.count.streams_refused, 1);
    t->f.memory.used -= CPN_BLOCK_SMALL + 1;
    refuse_upgrade(t, raw_start(t, &x), false);
    client_sees(t, &x.c, "HTTP/1.1 403 ");
    client_stop(t, &x.c);
    t->f.memory.used -= t->f.memory.max - CPN_BLOCK_SMALL - 1;
    front_stop(t);
}

static void
a_denied_session_says_no_in_ssh(void **state)
{
    fronttest *t = front_start();
    static raw x;
    char got[1024] = "";
    ssize_t last;
    size_t n = 0;

    (void)state;
    refuse_upgrade(t, raw_start(t, &x), true);
    raw_run(t, &x);
    assert_int_equal(t->f.denied.used, 1);
    assert_int_equal(write(x.app, SSH_HELLO, strlen(SSH_HELLO)), strlen(SSH_HELLO));
    while (!x.ended) {
        ssize_t k = read(x.app, got + n, sizeof(got) - n);

        n += (size_t)CPN_MAX(k, 0);
        uv_run(&t->nt.uv, UV_RUN_ONCE);
    }
    last = read(x.app, got + n, sizeof(got) - n);
    n += (size_t)CPN_MAX(last, 0);
    if (n <= 8 || memcmp(got, "SSH-2.0-", 8) != 0)
        fail_msg("%zu bytes, why %d: %s", n, x.why, got);
    assert_non_null(memmem(got, n, "you need Reader on web1", 23));
    raw_stop(t, &x);
    assert_int_equal(t->f.denied.used, 0);
    assert_int_equal(t->read_n, t->got_n);
    front_stop(t);
}

static void
a_denied_session_of_another_protocol_is_closed(void **state)
{
    fronttest *t = front_start();
    static raw x;

    (void)state;
    refuse_upgrade(t, raw_start(t, &x), true);
    raw_run(t, &x);
    assert_int_equal(write(x.app, "GET /", 5), 5);
    nettest_until(&t->nt, &x.ended);
    reads_nothing(t, x.app);
    raw_stop(t, &x);
    t->f.denied.used = t->f.denied.max; /* too many: in HTTP */
    refuse_upgrade(t, raw_start(t, &x), true);
    client_sees(t, &x.c, "HTTP/1.1 403 ");
    client_stop(t, &x.c);
    t->f.denied.used = 0;
    front_stop(t);
}

static void
a_webtunnel_relays_and_counts(void **state)
{
    fronttest *t = front_start();
    static raw x;
    int target;

    (void)state;
    target = say_yes(t, raw_start(t, &x), 1, 40, true);
    raw_run(t, &x);
    assert_int_equal(write(target, "SSH-2.0-sshd\r\n", 14), 14);
    reads(t, x.app, "SSH-2.0-sshd\r\n");
    heard(t, CPN_MSG_SPOKE);
    assert_int_equal(write(x.app, SSH_HELLO, strlen(SSH_HELLO)), strlen(SSH_HELLO));
    reads(t, target, SSH_HELLO);
    assert_int_equal(t->f.slots.used, 0);
    shutdown(target, SHUT_WR);
    ended(t, 40, CPN_WHY_CLOSED, strlen(SSH_HELLO), 14);
    close(target);
    raw_stop(t, &x);
    assert_int_equal(t->read_n, t->got_n);
    front_stop(t);
}

static void
a_webtunnel_takes_only_ssh_and_rdp(void **state)
{
    fronttest *t = front_start();
    static raw x;
    int target;

    (void)state;
    target = say_yes(t, raw_start(t, &x), 1, 41, true);
    raw_run(t, &x);
    assert_int_equal(write(x.app, "GET / HTTP/1.1\r\n", 16), 16);
    ended(t, 41, CPN_WHY_PROTOCOL_CLIENT, 0, 0);
    nettest_until(&t->nt, &x.ended);
    reads_nothing(t, target);
    close(target);
    raw_stop(t, &x);
    target = say_yes(t, raw_start(t, &x), 1, 42, true);
    raw_run(t, &x);
    assert_int_equal(write(x.app, SSH_HELLO, strlen(SSH_HELLO)), strlen(SSH_HELLO));
    reads(t, target, SSH_HELLO);
    heard(t, CPN_MSG_SPOKE);
    assert_int_equal(write(target, "\x01\x02", 2), 2);
    ended(t, 42, CPN_WHY_PROTOCOL_TARGET, strlen(SSH_HELLO), 0);
    nettest_until(&t->nt, &x.ended);
    reads(t, x.app, "SSH-2.0-"); /* the refusal, in its words */
    close(target);
    raw_stop(t, &x);
    front_stop(t);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bad_ticket_is_refused_in_http),
        cmocka_unit_test(an_upgrade_waits_for_the_dial),
        cmocka_unit_test(without_memory_the_answer_is_503),
        cmocka_unit_test(a_denied_session_says_no_in_ssh),
        cmocka_unit_test(a_denied_session_of_another_protocol_is_closed),
        cmocka_unit_test(a_webtunnel_relays_and_counts),
        cmocka_unit_test(a_webtunnel_takes_only_ssh_and_rdp),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
