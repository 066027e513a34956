/* A front in somebody else's hands: whatever it says to control, in whatever order, it reaches
 * nothing that its users may not, and no session of another front feels it. The same messages on
 * every run: a seed is printed when a rule is broken. */
#include "control_fixture.h"

#include <sys/socket.h>

#define HOSTILE (FRONT + 1)
#define ROUNDS 3000
#define LATE_MAX 4
#define KNOWN_MAX 16

/* Words that the fields are filled with: right ones, wrong ones, none. */
static const char *const methods[] = { "GET", "POST", "PUT", "DELETE", "PATCH", "get", "" };
static const char *const paths[] = { "/v1/whoami",
                                     "/v1/sessions",
                                     "/v1/sessions/disconnect",
                                     "/v1/audit",
                                     "/v1/role-assignments",
                                     "/v1/apply",
                                     "/v1/users",
                                     "/v1/can-i",
                                     "/v1/resolve",
                                     "/api/tokens",
                                     "/api/tokens/x",
                                     "/adfs/oauth2/devicecode",
                                     "/metrics",
                                     "/v1/enrol",
                                     "/signin/decide",
                                     "/device",
                                     "/nowhere",
                                     "" };
static const char *const bodies[] = {
    "",
    "{}",
    "{'all':true}",
    "{'userName':'ada@example.test'}",
    "{'principalId':'$bob','role':'Owner','scope':'/'}",
    WEB1,
    "resourceId=$web1&protocol=tcptunnel&workloadHostPort=22&aztoken=x",
    "{'bastion':'$front','targetResourceId':'$isl1','port':22}",
    "{'bastion':'$front','targetIpAddress':'169.254.169.254','port':80}",
    "{'bastion':'$front','targetIpAddress':'127.0.0.1','port':22}",
    "[[[[[[[[",
};

typedef struct cpn_hostile {
    uint64_t dice;
    int sock;
    cpn_msg late[LATE_MAX];
    size_t late_n;
    uint64_t known[KNOWN_MAX]; /* streams that control named to it */
    size_t known_n;
    uint32_t conns, streams; /* numbers that it has used */
    uint32_t carrier;        /* the connection that asked to be one last */
    char token[2][4096];     /* of bob, who may read everything, and of ci, who may nothing */
    char text[4096];
    unsigned dials, deaths;
    cpn_msg honest; /* the OPENED of the other front's session */
} cpn_hostile;

static cpn_hostile h;

/* Below `most`; xorshift, so that a seed says it all. */
static uint32_t
dice(uint32_t most)
{
    h.dice ^= h.dice << 13;
    h.dice ^= h.dice >> 7;
    h.dice ^= h.dice << 17;
    return (uint32_t)((h.dice >> 11) % most);
}

#define ONE_OF(list) cpn_view_str((list)[dice(CPN_COUNT(list))])

static void
hostile_up(void)
{
    int fds[2], tally = -1;

    assert_int_equal(cpn_channel_pair(fds, NULL), CPN_OK);
    assert_int_equal(cpn_tally_create(&tally, NULL), CPN_OK);
    h.sock = fds[0];
    h.known_n = 0;
    h.conns = 8;
    say(&st.keeper,
        &(cpn_msg){ .type = CPN_MSG_FRONT_UP, .FRONT_UP = { .front = HOSTILE, .pid = 2 } }, fds[1]);
    say(&st.keeper, &(cpn_msg){ .type = CPN_MSG_FRONT_TALLY, .FRONT_TALLY = { .front = HOSTILE } },
        tally);
}

static void
hostile_down(void)
{
    close(h.sock);
    h.deaths++;
    say(&st.keeper,
        &(cpn_msg){ .type = CPN_MSG_FRONT_DOWN, .FRONT_DOWN = { .front = HOSTILE, .status = 9 } },
        -1);
}

/* ---- what it says ---- */

/* Mostly a new number, else control has soon had enough of it; sometimes one in use. */
static uint32_t
new_conn(void)
{
    return dice(40) ? ++h.conns : h.conns - dice(4);
}

static uint32_t
old_conn(void)
{
    return h.conns - dice(6);
}

/* Whence its clients come is its word alone. */
static cpn_addr
peer(void)
{
    return (cpn_addr){ { [10] = 0xff, 0xff, 10, (uint8_t)dice(256), (uint8_t)dice(256), 1 } };
}

static cpn_view
bearer(void)
{
    switch (dice(5)) {
    case 0:
        return CPN_VIEW_LIT("a.b.c");
    case 1:
        return (cpn_view){ 0 };
    default:
        return cpn_view_str(h.token[dice(4) == 0]);
    }
}

/* The number of a stream: its own, the other front's, or none. */
static uint64_t
stream(void)
{
    if (dice(3) && h.known_n)
        return h.known[dice((uint32_t)h.known_n)];
    return h.honest.OPENED.id + dice(8) - 4;
}

static cpn_view
spelt(void)
{
    return cpn_view_str(spell(h.text, dice(3) ? bodies[dice(CPN_COUNT(bodies))] : WEB1));
}

static cpn_msg
request(void)
{
    return (cpn_msg){ .type = CPN_MSG_REQUEST,
                      .REQUEST = { .conn = new_conn(),
                                   .peer = peer(),
                                   .peer_port = (uint16_t)dice(65536),
                                   .admin = (uint8_t)dice(3),
                                   .last = (uint8_t)dice(3),
                                   .length = dice(2) ? dice(200) : UINT64_MAX - dice(2),
                                   .method = ONE_OF(methods),
                                   .path = ONE_OF(paths),
                                   .query = ONE_OF(methods),
                                   .bearer = bearer(),
                                   .content_type = dice(2) ? CPN_VIEW_LIT("application/json")
                                                           : CPN_VIEW_LIT("x") } };
}

static cpn_msg
about_a_connection(void)
{
    switch (dice(12)) {
    case 0:
        return (
            cpn_msg){ .type = CPN_MSG_BODY,
                      .BODY = { .conn = old_conn(), .last = (uint8_t)dice(3), .body = spelt() } };
    case 1:
    case 2:
        h.carrier = new_conn();
        return (cpn_msg){ .type = CPN_MSG_CARRIER,
                          .CARRIER = { .conn = h.carrier, .peer = peer(), .bearer = bearer() } };
    case 3:
        return (cpn_msg){ .type = CPN_MSG_UPGRADE,
                          .UPGRADE = { .conn = new_conn(), .ticket = ONE_OF(paths) } };
    case 4:
        return (cpn_msg){ .type = CPN_MSG_GONE, .GONE = { .conn = old_conn() } };
    default:
        return (cpn_msg){ .type = CPN_MSG_OPEN,
                          .OPEN = { .conn = dice(8) ? h.carrier : old_conn(),
                                    .stream = dice(40) ? ++h.streams : h.streams,
                                    .target = spelt() } };
    }
}

static cpn_msg
about_a_stream(void)
{
    switch (dice(4)) {
    case 0:
        return (cpn_msg){ .type = CPN_MSG_SPOKE,
                          .SPOKE = { .id = stream(), .protocol = (uint8_t)dice(256) } };
    case 1:
        return (cpn_msg){ .type = CPN_MSG_SPENT,
                          .SPENT = { .id = stream(),
                                     .serial = dice(4),
                                     .wants_up = (uint8_t)dice(3),
                                     .wants_down = (uint8_t)dice(3),
                                     .up = dice(2) ? UINT64_MAX : dice(1000),
                                     .down = dice(1000) } };
    case 2:
        return (cpn_msg){ .type = CPN_MSG_COUNTERS, .COUNTERS = { .accepted = UINT64_MAX } };
    default:
        return (cpn_msg){ .type = CPN_MSG_ENDED,
                          .ENDED = { .id = stream(),
                                     .why = (uint16_t)dice(65536),
                                     .up = dice(2) ? UINT64_MAX : 1,
                                     .down = UINT64_MAX } };
    }
}

static cpn_msg
anything(void)
{
    switch (dice(9)) {
    case 0:
        return (cpn_msg){ .type = CPN_MSG_READY };
    case 1:
    case 2:
        return request();
    case 3:
    case 4:
    case 5:
        return about_a_stream();
    default:
        return about_a_connection();
    }
}

static void
hostile_says(void)
{
    uint8_t packet[CPN_IPC_PACKET_MAX];
    cpn_msg m = anything();
    size_t n = 0;

    assert_int_equal(cpn_msg_encode(&m, packet, sizeof(packet), &n, NULL), CPN_OK);
    if (dice(200) == 0)
        packet[dice((uint32_t)n)] ^= (uint8_t)(1u << dice(8));
    if (dice(400) == 0)
        n -= dice((uint32_t)n);
    (void)send(h.sock, packet, n, MSG_DONTWAIT | MSG_NOSIGNAL); /* control may have had enough */
}

/* It reads, so that only what it says is held against it. */
static void
hostile_hears(void)
{
    uint8_t packet[CPN_IPC_PACKET_MAX];
    ssize_t n;
    cpn_msg m;

    while ((n = recv(h.sock, packet, sizeof(packet), MSG_DONTWAIT)) > 0) {
        assert_int_equal(cpn_msg_decode(&m, (cpn_view){ packet, (size_t)n }, NULL), CPN_OK);
        if (m.type != CPN_MSG_OPENED)
            continue;
        assert_true(m.OPENED.id != h.honest.OPENED.id);
        h.known[h.known_n < KNOWN_MAX ? h.known_n++ : dice(KNOWN_MAX)] = m.OPENED.id;
    }
}

/* ---- what keeper sees of it ---- */

static void
answer_dial(const cpn_msg *m)
{
    if (dice(3))
        dialed(m);
    else
        say(&st.keeper,
            &(cpn_msg){ .type = CPN_MSG_DIALED,
                        .DIALED = { .session = m->DIAL.session,
                                    .stream = m->DIAL.stream,
                                    .why = CPN_WHY_DIAL_REFUSED } },
            -1);
}

static void
answer_late_dials(size_t keep)
{
    while (h.late_n > keep)
        answer_dial(&h.late[--h.late_n]);
}

static void
keeper_sees(const cpn_msg *m)
{
    static const cpn_addr web1 = { { [10] = 0xff, 0xff, 10, 0, 1, 4 } };
    const cpn_uuid *honest = &h.honest.OPENED.session;

    switch (m->type) {
    case CPN_MSG_DIAL:
        /* Bob's one machine: nothing else that was named may be dialled, and nothing for ci. */
        assert_true(cpn_addr_eq(&m->DIAL.addr, &web1) && m->DIAL.port == 22);
        h.dials++;
        h.late[h.late_n++] = *m;
        answer_late_dials(dice(3)); /* bob may have three sessions: some of them get on */
        return;
    case CPN_MSG_SHUT:
        assert_false(cpn_uuid_eq(&m->SHUT.session, honest));
        return;
    case CPN_MSG_RELEASE:
        assert_false(cpn_uuid_eq(&m->RELEASE.session, honest));
        return;
    case CPN_MSG_KILL_FRONT:
        assert_int_equal(m->KILL_FRONT.front, HOSTILE);
        hostile_down();
        hostile_up();
        return;
    default:
        return;
    }
}

static void
a_turn(void)
{
    st.tally->heartbeat_ms = cpn_mono_ms();
    if (dice(8) == 0) /* the store is done with what waits for it */
        (void)came(&st.keeper, CPN_MSG_NONE);
    else
        uv_run(&st.loop, UV_RUN_NOWAIT);
    for (unsigned i = 0; i < st.keeper.n; i++) {
        cpn_msg m;

        assert_int_equal(
            cpn_msg_decode(&m, (cpn_view){ st.keeper.got[i].packet, st.keeper.got[i].n }, NULL),
            CPN_OK);
        keeper_sees(&m);
    }
    box_empty(&st.keeper);
    hostile_hears();
}

/* ---- the play ---- */

static void
the_honest_session_is_what_it_was(void)
{
    cpn_session *s, *next, *honest = cpn_session_find(st.c, &h.honest.OPENED.session);

    assert_non_null(honest);
    assert_false(honest->ended);
    assert_int_equal(honest->streams_n, 1);
    assert_int_equal(honest->up, 0);
    assert_int_equal(honest->down, 0);
    assert_int_equal(st.front.n, 0); /* the other front has heard nothing of it */
    HASH_ITER (hh, st.c->sessions->by_id, s, next)
        assert_true(s == honest || s->streams_n == 0);
    say(&st.front,
        &(cpn_msg){ .type = CPN_MSG_ENDED,
                    .ENDED = { .id = h.honest.OPENED.id, .why = CPN_WHY_CLOSED, .up = 5 } },
        -1);
    assert_true(came(&st.keeper, CPN_MSG_RELEASE));
    assert_null(cpn_session_find(st.c, &h.honest.OPENED.session));
}

static void
play(uint64_t seed)
{
    memset(&h, 0, sizeof(h));
    h.dice = seed;
    /* What it may do is to be tried, not how often. */
    st.c->set.carriers_per_user = st.c->set.sessions_per_user = 10000;
    st.c->set.tickets_per_minute = 100000;
    h.honest = open_session(carrier_of("$ada"), 1);
    (void)token_of("$bob", h.token[0]);
    (void)token_of("$ci", h.token[1]);
    hostile_up();
    a_turn();
    for (unsigned i = 0; i < ROUNDS; i++) {
        hostile_says();
        if (dice(2))
            a_turn();
    }
    while (came(&st.keeper, CPN_MSG_DIAL) || h.late_n) {
        a_turn();
        answer_late_dials(0);
    }
    hostile_down();
    (void)came(&st.keeper, CPN_MSG_NONE);
    a_turn();
    print_message("# seed %llu: %u dials, %u deaths\n", (unsigned long long)seed, h.dials,
                  h.deaths);
    assert_true(h.dials > 10 && h.deaths > 1); /* it came that far */
    the_honest_session_is_what_it_was();
}

static void
anything_at_all(void **state)
{
    (void)state;
    play(20261122);
}

static void
anything_else(void **state)
{
    (void)state;
    play(0x9e3779b97f4a7c15);
}

#define ON_STAGE(f) cmocka_unit_test_setup_teardown(f, stage_up, stage_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        ON_STAGE(anything_at_all),
        ON_STAGE(anything_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
