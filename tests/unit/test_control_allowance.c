/* control: a session's limits among its streams: never passed, and nobody is cut before them. */
#include "control_fixture.h"

#include "control/cut.h"
#include "control/open.h"

#define NONE CPN_NO_LIMIT

static void
limit_everybody(uint64_t up, uint64_t down)
{
    cpn_snapshot_edit *e = cpn_snapshot_edit_new(st.c->snapshot);
    char body[256];
    int n = snprintf(body, sizeof(body), "{'principalId':'$ada','role':'Owner'");
    cpn_snapshot *s;

    if (up != NONE)
        n += snprintf(body + n, sizeof(body) - (size_t)n, ",'maxUploadBytes':%llu",
                      (unsigned long long)up);
    if (down != NONE)
        n += snprintf(body + n, sizeof(body) - (size_t)n, ",'maxDownloadBytes':%llu",
                      (unsigned long long)down);
    snprintf(body + n, sizeof(body) - (size_t)n, "}");
    put_ok(e, CPN_KIND_ASSIGNMENT, ASSIGNMENTS GUID_OF("a1"), body);
    s = seal_ok(e);
    cpn_snapshot_unref(st.c->snapshot);
    st.c->snapshot = s;
}

static void
spent(const cpn_msg *opened, uint32_t serial, const char *wants, uint64_t up, uint64_t down)
{
    say(&st.front,
        &(cpn_msg){ .type = CPN_MSG_SPENT,
                    .SPENT = { .id = opened->OPENED.id,
                               .serial = serial,
                               .wants_up = strchr(wants, 'u') != NULL,
                               .wants_down = strchr(wants, 'd') != NULL,
                               .up = up,
                               .down = down } },
        -1);
}

static void
allows(const cpn_msg *opened, uint32_t serial, bool report, uint64_t up, uint64_t down)
{
    cpn_msg m = expect(&st.front, CPN_MSG_ALLOW);

    assert_int_equal(m.ALLOW.id, opened->OPENED.id);
    assert_int_equal(m.ALLOW.serial, serial);
    assert_int_equal(m.ALLOW.report, report);
    assert_int_equal(m.ALLOW.up, up);
    assert_int_equal(m.ALLOW.down, down);
}

static void
cuts(cpn_reason why, const char *sentence)
{
    cpn_msg m = expect(&st.front, CPN_MSG_CUT);

    assert_int_equal(m.CUT.why, why);
    (void)expect(&st.keeper, CPN_MSG_SHUT);
    if (sentence) {
        json_t *records = audit_of("session.end");

        assert_int_equal(json_array_size(records), 1);
        assert_string_equal(cpn_json_string(json_array_get(records, 0), "reason"),
                            cpn_reason_word(why));
        assert_string_equal(cpn_json_string(json_array_get(records, 0), "message"), sentence);
        json_decref(records);
    }
}

static void
our_own_door_has_it_all_and_no_more(void **state)
{
    cpn_msg o;

    (void)state;
    limit_everybody(1048576, NONE);
    o = open_session(carrier_of("$ada"), 1);
    assert_int_equal(o.OPENED.up, 1048576);
    assert_int_equal(o.OPENED.down, NONE);
    spent(&o, 0, "u", 1048576, NONE);
    cuts(CPN_WHY_LIMIT_UPLOAD,
         "this session has reached the limit of 1MiB that your role may upload");
}

static void
a_download_is_told_as_one(void **state)
{
    cpn_msg o;

    (void)state;
    limit_everybody(NONE, 1000);
    o = open_session(carrier_of("$ada"), 1);
    spent(&o, 0, "d", NONE, 1000);
    cuts(CPN_WHY_LIMIT_DOWNLOAD,
         "this session has reached the limit of 1000B that your role may download");
}

static void
no_limit_no_word(void **state)
{
    cpn_msg o;

    (void)state;
    o = open_session(carrier_of("$ada"), 1);
    assert_int_equal(o.OPENED.up, NONE);
    assert_int_equal(o.OPENED.down, NONE);
    assert_false(came(&st.front, CPN_MSG_ALLOW));
}

/* A second stream of the session, as the Azure door makes them. */
static cpn_msg
join(const cpn_msg *first, uint32_t conn)
{
    cpn_session *s = cpn_session_find(st.c, &first->OPENED.session);
    cpn_place to = { .at = { FRONT, conn, 1 } };

    cpn_stream_begin(st.c, s, &to);
    return opened_by_keeper();
}

static cpn_msg
azure_session(void)
{
    cpn_msg o;

    o = open_session(carrier_of("$ada"), 1);
    cpn_session_find(st.c, &o.OPENED.session)->door = CPN_DOOR_AZURE;
    return o;
}

#define MIB 1048576u

static void
streams_share_and_are_called_back(void **state)
{
    cpn_msg a, b;

    (void)state;
    limit_everybody(MIB, NONE);
    a = azure_session(); /* was our own door's when it opened: has all */
    b = join(&a, 8);
    assert_int_equal(a.OPENED.up, MIB);
    assert_int_equal(b.OPENED.up, 0);
    assert_int_equal(b.OPENED.down, NONE);
    /* b wants some: a is asked what it has not used, once. */
    spent(&b, 0, "u", 0, NONE);
    allows(&a, 1, true, 0, 0);
    spent(&b, 0, "u", 0, NONE);
    assert_false(came(&st.front, CPN_MSG_ALLOW));
    /* A word from before the call is no answer. */
    spent(&a, 0, "", 5, 0);
    assert_false(came(&st.front, CPN_MSG_ALLOW));
    spent(&a, 1, "", 100000, 0);
    allows(&b, 1, false, 262144, NONE);
    /* a wants again: from what is left. */
    spent(&a, 1, "u", 100000, 0);
    allows(&a, 2, false, 362144, NONE);
    /* Until nothing is left, with nobody holding any. */
    spent(&a, 2, "u", 362144, 0);
    allows(&a, 3, false, 624288, NONE);
    spent(&a, 3, "u", 624288, 0);
    allows(&a, 4, false, 624288 + 162144, NONE);
    spent(&a, 4, "u", 624288 + 162144, 0);
    allows(&b, 2, true, 0, 0);
    spent(&b, 2, "", 262144, 0);
    cuts(CPN_WHY_LIMIT_UPLOAD, NULL);
}

static void
what_ended_counts(void **state)
{
    cpn_msg a, b;
    cpn_msg end = { .type = CPN_MSG_ENDED };

    (void)state;
    limit_everybody(NONE, 1000);
    a = azure_session();
    b = join(&a, 8);
    end.ENDED = (cpn_msg_ENDED){ .id = a.OPENED.id, .why = CPN_WHY_CLOSED, .down = 400 };
    say(&st.front, &end, -1);
    spent(&b, 0, "d", 0, 0);
    allows(&b, 1, false, NONE, 600);
    spent(&b, 1, "d", 0, 600);
    cuts(CPN_WHY_LIMIT_DOWNLOAD, NULL);
}

static void
another_limit_holds_at_once(void **state)
{
    cpn_session *s;
    cpn_msg o;

    (void)state;
    o = open_session(carrier_of("$ada"), 1);
    limit_everybody(5000, NONE);
    cpn_cut_recheck(st.c, 0);
    allows(&o, 1, true, 0, 0);
    s = cpn_session_find(st.c, &o.OPENED.session);
    assert_int_equal(s->limits.up, 5000);
    /* It goes on as far as that, and both ways. */
    spent(&o, 1, "u", 3000, 70);
    allows(&o, 2, false, 5000, NONE);
    /* Less than has gone: over. */
    limit_everybody(4000, NONE);
    cpn_cut_recheck(st.c, 0);
    allows(&o, 3, true, 0, 0);
    spent(&o, 3, "u", 4500, 70);
    cuts(CPN_WHY_LIMIT_UPLOAD, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(our_own_door_has_it_all_and_no_more, stage_up, stage_down),
        cmocka_unit_test_setup_teardown(a_download_is_told_as_one, stage_up, stage_down),
        cmocka_unit_test_setup_teardown(no_limit_no_word, stage_up, stage_down),
        cmocka_unit_test_setup_teardown(streams_share_and_are_called_back, stage_up, stage_down),
        cmocka_unit_test_setup_teardown(what_ended_counts, stage_up, stage_down),
        cmocka_unit_test_setup_teardown(another_limit_holds_at_once, stage_up, stage_down),
    };

    return cmocka_run_group_tests_name("control_allowance", tests, NULL, NULL);
}
