/* The Azure door: tokens, tickets, their one use, reuse, denial, and the end. Refusals first. */
#include "control_fixture.h"

#include "control/azdoor.h"

#define HOST_CONNECT(ip) LAB "/providers/Microsoft.Network/bh-hostConnect/" ip

/* POST /api/tokens by who (NULL: no aztoken) with the rest of the form. */
static int
tokens_as(const char *who, const char *form, json_t **answer)
{
    char token[4096], body[4096];

    snprintf(body, sizeof(body), "%s&aztoken=%s", form, token_of(who, token));
    return ask_as(NULL, "POST", "/api/tokens", NULL, body, answer);
}

#define FORM "resourceId=$web1&protocol=tcptunnel&workloadHostPort=22"

static const struct {
    const char *who;
    const char *form;
    int status;
} refused[] = {
    { NULL, FORM, 401 },
    { "$off", FORM, 401 },
    { "$ada", "resourceId=$web1&workloadHostPort=22", 400 },
    { "$ada", "resourceId=$web1&protocol=http&workloadHostPort=22", 400 },
    { "$ada", "resourceId=$web1&protocol=tcptunnel", 400 },
    { "$ada", "resourceId=$web1&protocol=tcptunnel&workloadHostPort=0", 400 },
    { "$ada", "resourceId=$web1&protocol=tcptunnel&workloadHostPort=65536", 400 },
    { "$ada", "resourceId=$web1&protocol=tcptunnel&workloadHostPort=22x", 400 },
    { "$ada", "resourceId=$web1&protocol=tcptunnel&workloadHostPort=022", 400 },
    { "$ada", "protocol=tcptunnel&workloadHostPort=22", 400 },
    { "$ada", "resourceId=not+an+id&protocol=tcptunnel&workloadHostPort=22", 400 },
    { "$ada", "resourceId=/subscriptions/../x&protocol=tcptunnel&workloadHostPort=22", 400 },
    { "$ada",
      "resourceId=" HOST_CONNECT("10.0.1.4") "&hostname=10.0.1.5&protocol=tcptunnel&"
                                             "workloadHostPort=22",
      400 },
    { "$ada", "resourceId=" HOST_CONNECT("web1") "&protocol=tcptunnel&workloadHostPort=22", 400 },
};

static void
forms_are_refused_with_a_message(void **state)
{
    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++) {
        json_t *answer = NULL;
        int got = tokens_as(refused[i].who, refused[i].form, &answer);

        if (got != refused[i].status)
            fail_msg("%s: %d", refused[i].form, got);
        assert_true(cpn_json_string(answer, "message")[0] != '\0');
        json_decref(answer);
    }
    assert_int_equal(HASH_COUNT(st.c->sessions->by_id), 0);
}

static uint32_t
upgrade_by(const char *ticket, bool own_client)
{
    cpn_msg m = { .type = CPN_MSG_UPGRADE,
                  .UPGRADE = { .conn = ++st.conn, .own_client = own_client } };

    m.UPGRADE.ticket = cpn_view_str(ticket);
    say(&st.front, &m, -1);
    return st.conn;
}

static uint32_t
upgrade_with(const char *ticket)
{
    return upgrade_by(ticket, false);
}

/* Through ticket, dial and row to an open stream. */
static cpn_msg
upgrade_opens(const char *ticket)
{
    uint32_t conn = upgrade_with(ticket);
    cpn_msg dial = expect(&st.keeper, CPN_MSG_DIAL), opened;

    dialed(&dial);
    opened = expect(&st.front, CPN_MSG_OPENED);
    close(st.front.fd);
    assert_int_equal(opened.OPENED.conn, conn);
    assert_int_equal(opened.OPENED.stream, 1);
    return opened;
}

typedef struct issued {
    char auth[64];
    char ticket[64];
} issued;

static issued
issue(const char *who, const char *form)
{
    json_t *answer = NULL;
    issued out;

    assert_int_equal(tokens_as(who, form, &answer), 200);
    snprintf(out.auth, sizeof(out.auth), "%s", cpn_json_string(answer, "authToken"));
    snprintf(out.ticket, sizeof(out.ticket), "%s", cpn_json_string(answer, "websocketToken"));
    assert_true(cpn_json_string(answer, "nodeId")[0] != '\0');
    assert_int_equal(strlen(out.ticket), 43);
    json_decref(answer);
    return out;
}

static void
expect_ticket_refused(const char *ticket)
{
    cpn_msg m;

    upgrade_with(ticket);
    m = expect(&st.front, CPN_MSG_REFUSED);
    assert_int_equal(m.REFUSED.why, CPN_WHY_TICKET_INVALID);
    assert_int_equal(m.REFUSED.status, 403);
    assert_int_equal(m.REFUSED.denied_session, 0);
}

static void
a_ticket_is_used_once(void **state)
{
    issued t = issue("$ada", FORM);

    (void)state;
    (void)upgrade_opens(t.ticket);
    expect_ticket_refused(t.ticket);
    expect_ticket_refused("made-up");
    expect_ticket_refused("");
}

static void
a_ticket_expires(void **state)
{
    issued t;
    uint64_t until;

    (void)state;
    st.c->set.ticket_ttl = 5;
    t = issue("$ada", FORM);
    for (until = cpn_mono_ms() + 10; cpn_mono_ms() < until;)
        uv_run(&st.loop, UV_RUN_NOWAIT);
    expect_ticket_refused(t.ticket);
}

static void
one_auth_token_is_one_session(void **state)
{
    issued first = issue("$ada", FORM), second;
    cpn_msg one = upgrade_opens(first.ticket), two;
    char form[512], path[128];
    json_t *records;

    (void)state;
    snprintf(form, sizeof(form), FORM "&token=%s", first.auth);
    second = issue("$ada", form);
    assert_string_equal(second.auth, first.auth);
    assert_string_not_equal(second.ticket, first.ticket);
    two = upgrade_opens(second.ticket);
    assert_true(cpn_uuid_eq(&one.OPENED.session, &two.OPENED.session));
    assert_int_not_equal(one.OPENED.id, two.OPENED.id);
    assert_int_not_equal(one.OPENED.tally, two.OPENED.tally);
    records = audit_of("session.start");
    assert_int_equal(json_array_size(records), 1);
    json_decref(records);
    /* One DELETE, without a bearer, ends both; a second finds nothing. */
    snprintf(path, sizeof(path), "/api/tokens/%s", first.auth);
    assert_int_equal(ask_as(NULL, "DELETE", path, NULL, NULL, NULL), 204);
    (void)expect(&st.keeper, CPN_MSG_SHUT);
    (void)expect(&st.front, CPN_MSG_CUT);
    assert_int_equal(ask_as(NULL, "DELETE", path, NULL, NULL, NULL), 404);
    assert_int_equal(ask_as(NULL, "DELETE", "/api/tokens/never-was", NULL, NULL, NULL), 404);
}

static void
a_foreign_token_starts_a_new_session(void **state)
{
    issued mine = issue("$ada", FORM), other;
    char form[512];

    (void)state;
    snprintf(form, sizeof(form), FORM "&token=%s", mine.auth);
    other = issue("$bob", form);
    assert_string_not_equal(other.auth, mine.auth);
    snprintf(form, sizeof(form),
             "resourceId=$web1&protocol=tcptunnel&workloadHostPort=2222&token=%s", mine.auth);
    other = issue("$ada", form);
    assert_string_not_equal(other.auth, mine.auth);
    other = issue("$ada", FORM "&token=unknown");
    assert_string_not_equal(other.auth, mine.auth);
}

static void
a_deleted_session_opens_no_more(void **state)
{
    issued t = issue("$ada", FORM);
    char path[128];

    (void)state;
    snprintf(path, sizeof(path), "/api/tokens/%s", t.auth);
    assert_int_equal(ask_as(NULL, "DELETE", path, NULL, NULL, NULL), 204);
    expect_ticket_refused(t.ticket);
    assert_int_equal(HASH_COUNT(st.c->sessions->by_id), 0);
}

static void
policy_is_asked_again_at_the_upgrade(void **state)
{
    issued t = issue("$bob", FORM);
    cpn_msg m;

    (void)state;
    assert_int_equal(
        ask_as("$ada", "DELETE", "/v1/role-assignments",
               "id=%2Fproviders%2FMicrosoft.Authorization%2FroleAssignments%2F" GUID_OF("a2"), NULL,
               NULL),
        204);
    upgrade_with(t.ticket);
    m = expect(&st.front, CPN_MSG_REFUSED);
    assert_true(m.REFUSED.why == CPN_WHY_ROLE_MISSING || m.REFUSED.why == CPN_WHY_TICKET_INVALID);
    assert_false(came(&st.keeper, CPN_MSG_DIAL));
}

static void
denial_is_a_session_that_says_no(void **state)
{
    issued t = issue("$ci", FORM);
    json_t *records;
    cpn_msg m;

    (void)state;
    upgrade_with(t.ticket);
    m = expect(&st.front, CPN_MSG_REFUSED);
    assert_int_equal(m.REFUSED.denied_session, 1);
    assert_int_equal(m.REFUSED.why, CPN_WHY_ROLE_MISSING);
    assert_non_null(memmem(m.REFUSED.sentence.p, m.REFUSED.sentence.n, "Reader", 6));
    assert_false(came(&st.keeper, CPN_MSG_DIAL));
    records = audit_of("session.refused");
    assert_int_equal(json_array_size(records), 1);
    json_decref(records);
    expect_ticket_refused(t.ticket);
}

static cpn_msg
dial_fails(cpn_reason why, bool own_client)
{
    issued t = issue("$ada", FORM);
    cpn_msg dial, m;

    upgrade_by(t.ticket, own_client);
    dial = expect(&st.keeper, CPN_MSG_DIAL);
    say(&st.keeper,
        &(cpn_msg){ .type = CPN_MSG_DIALED,
                    .DIALED = { .session = dial.DIAL.session,
                                .stream = dial.DIAL.stream,
                                .why = (uint16_t)why } },
        -1);
    m = expect(&st.front, CPN_MSG_REFUSED);
    assert_int_equal(m.REFUSED.why, why);
    assert_int_equal(m.REFUSED.status, cpn_reason_http(why));
    assert_true(cpn_view_is(m.REFUSED.sentence, cpn_reason_sentence(why)));
    return m;
}

/* The Azure CLI prints nothing of an HTTP refusal, and its user's program hangs. */
static void
a_failed_dial_is_a_session_that_says_no(void **state)
{
    static const cpn_reason each[] = { CPN_WHY_DIAL_REFUSED, CPN_WHY_DIAL_TIMEOUT,
                                       CPN_WHY_DIAL_UNREACHABLE, CPN_WHY_DIAL_FAILED,
                                       CPN_WHY_FENCE };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(each); i++) {
        assert_int_equal(dial_fails(each[i], true).REFUSED.denied_session, 0);
        assert_int_equal(dial_fails(each[i], false).REFUSED.denied_session, 1);
    }
}

static void
one_connection_too_many_is_told_so(void **state)
{
    issued first = issue("$ada", FORM), second;
    char form[512];

    (void)state;
    st.c->set.streams_per_session = 1;
    (void)upgrade_opens(first.ticket);
    snprintf(form, sizeof(form), FORM "&token=%s", first.auth);
    for (unsigned own = 0; own < 2; own++) {
        cpn_msg m;

        second = issue("$ada", form);
        upgrade_by(second.ticket, own);
        m = expect(&st.front, CPN_MSG_REFUSED);
        assert_int_equal(m.REFUSED.why, CPN_WHY_LIMIT_STREAMS);
        assert_int_equal(m.REFUSED.denied_session, !own);
    }
}

static void
denied_sessions_are_bounded(void **state)
{
    (void)state;
    st.c->set.denied_sessions_max = 4;
    for (unsigned i = 0; i < 4; i++)
        (void)issue("$ci", FORM);
    assert_int_equal(tokens_as("$ci", FORM, NULL), 403);
    st.c->set.denied_sessions_max = 5; /* a reload */
    (void)issue("$ci", FORM);
    assert_int_equal(tokens_as("$ci", FORM, NULL), 403);
}

static void
tickets_of_a_user_are_limited(void **state)
{
    (void)state;
    st.c->set.tickets_per_minute = 3;
    for (unsigned i = 0; i < 3; i++)
        (void)issue("$ada", FORM);
    (void)issue("$ada", FORM); /* of a session that says no */
    assert_int_equal(HASH_COUNT(st.c->sessions->by_id), 3);
    st.c->set.denied_sessions_max = 1;
    assert_int_equal(tokens_as("$ada", FORM, NULL), 429);
    (void)issue("$bob", FORM);
}

static void
addresses_connect_through_their_network(void **state)
{
    issued t = issue("$ada", "resourceId=" HOST_CONNECT("10.0.1.4") "&hostname=10.0.1.4&"
                                                                    "protocol=tcptunnel&"
                                                                    "workloadHostPort=22");
    cpn_msg opened = upgrade_opens(t.ticket);
    cpn_session *s = cpn_session_find(st.c, &opened.OPENED.session);

    (void)state;
    assert_string_equal(s->want.target_ip, "10.0.1.4");
    assert_string_equal(s->host, "web1");
    assert_int_equal(s->door, CPN_DOOR_AZURE);
}

static void
unused_and_idle_sessions_are_reaped(void **state)
{
    issued unused = issue("$ada", FORM), used = issue("$ada", FORM);
    cpn_msg opened = upgrade_opens(used.ticket);

    (void)state;
    (void)unused;
    assert_int_equal(HASH_COUNT(st.c->sessions->by_id), 2);
    cpn_sessions_tick(st.c, cpn_mono_ms() + st.c->set.ticket_ttl);
    assert_int_equal(HASH_COUNT(st.c->sessions->by_id), 2); /* its ticket may still be used */
    cpn_sessions_tick(st.c, cpn_mono_ms() + st.c->set.ticket_ttl + CPN_AZ_IDLE_MS + 1000);
    assert_int_equal(HASH_COUNT(st.c->sessions->by_id), 1);
    say(&st.front,
        &(cpn_msg){ .type = CPN_MSG_ENDED,
                    .ENDED = { .id = opened.OPENED.id, .why = CPN_WHY_CLOSED, .up = 1 } },
        -1);
    (void)expect(&st.keeper, CPN_MSG_RELEASE);
    cpn_sessions_tick(st.c, cpn_mono_ms());
    assert_false(cpn_session_find(st.c, &opened.OPENED.session)->ended);
    cpn_sessions_tick(st.c, cpn_mono_ms() + CPN_AZ_IDLE_MS + 100);
    (void)came(&st.keeper, CPN_MSG_NONE);
    assert_int_equal(HASH_COUNT(st.c->sessions->by_id), 0);
}

static void
the_door_can_be_closed(void **state)
{
    (void)state;
    st.c->set.az_clients = false;
    assert_int_equal(tokens_as("$ada", FORM, NULL), 404);
    upgrade_with("x");
    assert_int_equal(expect(&st.front, CPN_MSG_REFUSED).REFUSED.why, CPN_WHY_TICKET_INVALID);
}

#define ON_STAGE(f) cmocka_unit_test_setup_teardown(f, stage_up, stage_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        ON_STAGE(forms_are_refused_with_a_message),
        ON_STAGE(a_ticket_is_used_once),
        ON_STAGE(a_ticket_expires),
        ON_STAGE(one_auth_token_is_one_session),
        ON_STAGE(a_foreign_token_starts_a_new_session),
        ON_STAGE(a_deleted_session_opens_no_more),
        ON_STAGE(policy_is_asked_again_at_the_upgrade),
        ON_STAGE(denial_is_a_session_that_says_no),
        ON_STAGE(a_failed_dial_is_a_session_that_says_no),
        ON_STAGE(one_connection_too_many_is_told_so),
        ON_STAGE(denied_sessions_are_bounded),
        ON_STAGE(tickets_of_a_user_are_limited),
        ON_STAGE(addresses_connect_through_their_network),
        ON_STAGE(unused_and_idle_sessions_are_reaped),
        ON_STAGE(the_door_can_be_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
