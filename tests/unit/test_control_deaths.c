/* What is given back and what goes on when fronts die, or control itself. */
#include "control_fixture.h"

static void
expect_shut(const cpn_uuid *session)
{
    cpn_msg m = expect(&st.keeper, CPN_MSG_SHUT);

    assert_true(cpn_uuid_eq(&m.SHUT.session, session));
}

/* ---- fronts ---- */

static void
a_dead_front_ends_its_sessions_with_the_tallys_bytes(void **state)
{
    cpn_msg opened = open_session(carrier_of("$ada"), 1);
    cpn_tally_slot *slot = &st.tally->slots[opened.OPENED.tally];
    json_t *records;

    (void)state;
    slot->stream = opened.OPENED.id;
    slot->up = 100;
    slot->down = 200;
    say(&st.keeper,
        &(cpn_msg){ .type = CPN_MSG_FRONT_DOWN, .FRONT_DOWN = { .front = FRONT, .status = 9 } },
        -1);
    (void)expect(&st.keeper, CPN_MSG_RELEASE);
    (void)came(&st.keeper, CPN_MSG_NONE);
    records = audit_of("session.end");
    assert_string_equal(cpn_json_string(json_array_get(records, 0), "reason"), "front_died");
    assert_int_equal(json_integer_value(json_object_get(json_array_get(records, 0), "bytesUp")),
                     100);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(records, 0), "bytesDown")),
                     200);
    json_decref(records);
    assert_null(cpn_front_find(st.c, FRONT));
}

/* The front dies and another comes up in its place. */
static void
front_replaced(void)
{
    say(&st.keeper,
        &(cpn_msg){ .type = CPN_MSG_FRONT_DOWN, .FRONT_DOWN = { .front = FRONT, .status = 9 } },
        -1);
    (void)came(&st.keeper, CPN_MSG_NONE);
    cpn_channel_free(st.front.channel);
    box_empty(&st.front);
    stage_front(FRONT);
    st.conn = 0;
}

static void
a_dead_front_gives_its_carriers_back(void **state)
{
    (void)state;
    st.c->set.carriers_per_user = 1;
    (void)carrier_of("$ada");
    front_replaced();
    (void)carrier_of("$ada");
}

static void
what_a_dead_front_was_opening_is_in_nobodys_way(void **state)
{
    cpn_msg dial;

    (void)state;
    open_on(carrier_of("$ada"), 1, WEB1);
    dial = expect(&st.keeper, CPN_MSG_DIAL);
    front_replaced();
    open_on(carrier_of("$ada"), 1, WEB1);
    (void)expect(&st.keeper, CPN_MSG_DIAL);
    dialed(&dial);
    assert_false(came(&st.front, CPN_MSG_OPENED));
    assert_false(came(&st.front, CPN_MSG_REFUSED));
    assert_false(came(&st.keeper, CPN_MSG_KILL_FRONT));
}

static void
a_session_outlives_one_of_its_fronts(void **state)
{
    cpn_msg opened = open_session(carrier_of("$ada"), 1);
    cpn_tally_slot *slot = &st.tally->slots[opened.OPENED.tally];
    cpn_session *s = cpn_session_find(st.c, &opened.OPENED.session);
    cpn_place_key at = { FRONT + 1, 1, 1 };
    cpn_stream *other = cpn_stream_add(st.c, s, &at, cpn_stream_number(st.c));

    (void)state;
    cpn_stream_opened(st.c, other);
    slot->stream = opened.OPENED.id;
    slot->up = 100;
    cpn_sessions_front_down(st.c, cpn_front_find(st.c, FRONT));
    assert_false(s->ended);
    assert_int_equal(s->streams_n, 1);
    assert_int_equal(s->up, 100);
    cpn_stream_ended(st.c, FRONT + 1,
                     &(cpn_msg_ENDED){ .id = other->id, .why = CPN_WHY_CLOSED, .up = 20 });
    (void)came(&st.keeper, CPN_MSG_NONE);
    assert_null(cpn_session_find(st.c, &opened.OPENED.session));
}

static void
a_full_page_is_told(void **state)
{
    uint32_t conn = carrier_of("$ada");

    (void)state;
    memset(cpn_front_find(st.c, FRONT)->slots_used, 0xff,
           sizeof(cpn_front_find(st.c, FRONT)->slots_used));
    open_on(conn, 1, WEB1);
    dialed(&(cpn_msg){ .DIAL = expect(&st.keeper, CPN_MSG_DIAL).DIAL });
    assert_int_equal(expect(&st.front, CPN_MSG_REFUSED).REFUSED.why, CPN_WHY_BUSY);
}

/* ---- control's restart ---- */

static const char row[] = "{\"door\":\"own\",\"bastion\":\"x\",\"objectId\":\"o\","
                          "\"targetIpAddress\":\"10.0.1.4\",\"clientAddress\":\"192.0.2.1\","
                          "\"port\":22,\"startMs\":1}";

/* What the front's page says of a stream that it carries. */
static void
carried(uint64_t stream, uint32_t slot)
{
    st.tally->slots[slot].stream = stream;
    st.tally->slots[slot].last_ms = 1;
}

static void
stored(cpn_uuid *session)
{
    cpn_batch *b = cpn_batch_new();

    cpn_uuid_new(session);
    cpn_batch_session_start(b, session, CPN_VIEW_LIT(row));
    assert_int_equal(cpn_store_commit_wait(st.store, b, NULL), CPN_OK);
}

static void
expect_end(const char *reason)
{
    json_t *records;

    (void)came(&st.keeper, CPN_MSG_NONE);
    records = audit_of("session.end");
    assert_int_equal(json_array_size(records), 1);
    assert_string_equal(cpn_json_string(json_array_get(records, 0), "reason"), reason);
    json_decref(records);
    assert_int_equal(HASH_COUNT(st.c->sessions->by_id), 0);
    assert_int_equal(HASH_COUNT(st.c->sessions->streams), 0);
}

static void
an_adopted_stream_that_no_front_has_ends(void **state)
{
    cpn_uuid session;

    (void)state;
    stored(&session);
    cpn_sessions_rows(st.c);
    cpn_sessions_alive(st.c, &(cpn_msg_ALIVE){ .session = session, .stream = 77 });
    cpn_sessions_alive_end(st.c);
    expect_shut(&session);
    (void)expect(&st.keeper, CPN_MSG_RELEASE);
    expect_end("front_died");
}

static void
an_adopted_stream_that_had_ended_ends(void **state)
{
    cpn_uuid session;

    (void)state;
    stored(&session);
    carried(77, 5);
    st.tally->slots[5].last_ms = 0;
    cpn_sessions_rows(st.c);
    cpn_sessions_alive(st.c, &(cpn_msg_ALIVE){ .session = session, .stream = 77 });
    cpn_sessions_alive_end(st.c);
    expect_shut(&session);
    expect_end("closed");
}

static void
an_end_before_keepers_list_counts(void **state)
{
    cpn_uuid session;

    (void)state;
    stored(&session);
    carried(77, 5);
    cpn_sessions_rows(st.c);
    cpn_stream_ended(st.c, FRONT, &(cpn_msg_ENDED){ .id = 77, .why = CPN_WHY_RESET_TARGET });
    cpn_sessions_alive(st.c, &(cpn_msg_ALIVE){ .session = session, .stream = 77 });
    cpn_sessions_alive_end(st.c);
    expect_end("reset_target");
}

/* An authToken with two WebSockets, and the end of one was told to the control that died. */
static void
an_adopted_session_goes_on_with_what_is_left_of_it(void **state)
{
    cpn_uuid session;

    (void)state;
    stored(&session);
    carried(78, 5);
    carried(77, 6);
    st.tally->slots[6].last_ms = 0;
    st.tally->slots[6].up = 10;
    cpn_sessions_rows(st.c);
    cpn_sessions_alive(st.c, &(cpn_msg_ALIVE){ .session = session, .stream = 77 });
    cpn_sessions_alive(st.c, &(cpn_msg_ALIVE){ .session = session, .stream = 78 });
    cpn_sessions_alive_end(st.c);
    assert_int_equal(expect(&st.keeper, CPN_MSG_RELEASE).RELEASE.stream, 77);
    assert_false(came(&st.keeper, CPN_MSG_SHUT));
    assert_null(cpn_stream_find(st.c, 77));
    assert_non_null(cpn_stream_find(st.c, 78));
    assert_false(cpn_session_find(st.c, &session)->ended);
    assert_int_equal(cpn_session_find(st.c, &session)->up, 10);
    cpn_stream_ended(st.c, FRONT + 1, &(cpn_msg_ENDED){ .id = 78, .why = CPN_WHY_CLOSED });
    assert_non_null(cpn_stream_find(st.c, 78)); /* another front's word counts for nothing */
    cpn_stream_ended(st.c, FRONT, &(cpn_msg_ENDED){ .id = 78, .why = CPN_WHY_CLOSED });
    expect_end("closed");
}

static void
adopts_what_lives_and_ends_the_rest(void **state)
{
    cpn_uuid lives, gone, unknown;
    cpn_batch *b = cpn_batch_new();
    json_t *records;

    (void)state;
    cpn_uuid_new(&lives);
    cpn_uuid_new(&gone);
    cpn_uuid_new(&unknown);
    cpn_batch_session_start(b, &lives, CPN_VIEW_LIT(row));
    cpn_batch_session_start(b, &gone, CPN_VIEW_LIT(row));
    assert_int_equal(cpn_store_commit_wait(st.store, b, NULL), CPN_OK);
    carried(77, 5);
    cpn_sessions_rows(st.c);
    cpn_sessions_alive(st.c, &(cpn_msg_ALIVE){ .session = lives, .stream = 77 });
    cpn_sessions_alive(st.c, &(cpn_msg_ALIVE){ .session = unknown, .stream = 78 });
    cpn_sessions_alive_end(st.c);
    expect_shut(&unknown);
    assert_false(cpn_session_find(st.c, &lives)->ended);
    (void)came(&st.keeper, CPN_MSG_NONE);
    assert_null(cpn_session_find(st.c, &gone));
    records = audit_of("session.end");
    assert_int_equal(json_array_size(records), 1);
    assert_string_equal(cpn_json_string(json_array_get(records, 0), "reason"), "keeper_died");
    json_decref(records);
    cpn_stream_ended(st.c, FRONT, &(cpn_msg_ENDED){ .id = 77, .why = CPN_WHY_CLOSED });
    (void)came(&st.keeper, CPN_MSG_NONE);
    assert_null(cpn_session_find(st.c, &lives));
}

#define ON_STAGE(f) cmocka_unit_test_setup_teardown(f, stage_up, stage_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        ON_STAGE(a_dead_front_ends_its_sessions_with_the_tallys_bytes),
        ON_STAGE(a_dead_front_gives_its_carriers_back),
        ON_STAGE(what_a_dead_front_was_opening_is_in_nobodys_way),
        ON_STAGE(a_session_outlives_one_of_its_fronts),
        ON_STAGE(a_full_page_is_told),
        ON_STAGE(an_adopted_stream_that_no_front_has_ends),
        ON_STAGE(an_adopted_stream_that_had_ended_ends),
        ON_STAGE(an_end_before_keepers_list_counts),
        ON_STAGE(an_adopted_session_goes_on_with_what_is_left_of_it),
        ON_STAGE(adopts_what_lives_and_ends_the_rest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
