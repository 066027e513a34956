/* The list of sessions, page by page, while sessions come and go. */
#include "control_fixture.h"

#define PAGE 1000

/* One more session like this one, begun `later` ms after it. */
static cpn_session *
another(const cpn_session *like, int64_t later)
{
    cpn_session *s = cpn_xcalloc(1, sizeof(*s));

    *s = *like;
    cpn_uuid_new(&s->id);
    s->start_wall_ms += later;
    s->counted = false;
    s->streams = NULL;
    s->streams_n = 0;
    HASH_ADD(hh, st.c->sessions->by_id, id, sizeof(s->id), s);
    return s;
}

/* GET, its answer put together from its pieces. New reference. */
static json_t *
page(const char *query)
{
    static char body[1 << 20], token[4096];
    cpn_msg m = { .type = CPN_MSG_REQUEST,
                  .REQUEST = { .conn = ++st.conn,
                               .last = 1,
                               .method = CPN_VIEW_LIT("GET"),
                               .path = CPN_VIEW_LIT("/v1/sessions"),
                               .query = cpn_view_str(query),
                               .bearer = cpn_view_str(token_of("$ada", token)) } };
    size_t n;
    bool last;

    say(&st.front, &m, -1);
    m = expect(&st.front, CPN_MSG_REPLY);
    assert_int_equal(m.REPLY.status, 200);
    memcpy(body, m.REPLY.body.p, n = m.REPLY.body.n);
    for (last = m.REPLY.last; !last; last = m.REPLY_BODY.last) {
        m = expect(&st.front, CPN_MSG_REPLY_BODY);
        assert_true(n + m.REPLY_BODY.body.n < sizeof(body));
        memcpy(body + n, m.REPLY_BODY.body.p, m.REPLY_BODY.body.n);
        n += m.REPLY_BODY.body.n;
    }
    return json_loadb(body, n, 0, NULL);
}

static const char *
id_at(const json_t *answer, size_t i)
{
    return cpn_json_string(json_array_get(json_object_get(answer, "value"), i), "sessionId");
}

static void
tokens_of_others_are_refused(void **state)
{
    static const char *const wrong[] = {
        "%24skiptoken=1000",
        "%24skiptoken=x.y",
        "%24skiptoken=1.2",
        "%24skiptoken=-1.00000000-0000-4000-8000-000000000000",
        "%24skiptoken=99999999999999999999.00000000-0000-4000-8000-000000000000",
        "%24skiptoken=1.00000000-0000-4000-8000-0000000000001",
        "%24skiptoken=1.00000000-0000-4000-8000-000000000000-and-so-on-longer-than-any-of-ours",
        "%24skiptoken=",
    };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(wrong); i++)
        assert_int_equal(ask_as("$ada", "GET", "/v1/sessions", wrong[i], NULL, NULL), 400);
}

/* What was on the first page ends before the second is asked for: nobody is left out, nobody is
 * shown twice. */
static void
pages_begin_behind_a_session(void **state)
{
    cpn_msg opened = open_session(carrier_of("$ada"), 1);
    cpn_session *first = cpn_session_find(st.c, &opened.OPENED.session), *all[PAGE + 6];
    char id[CPN_UUID_TEXT];
    json_t *one, *two;
    const char *link;

    (void)state;
    all[0] = first;
    for (size_t i = CPN_COUNT(all) - 1; i > 0; i--) /* they need not have come in order */
        all[i] = another(first, (int64_t)(i + 1) / 2);
    one = page("");
    link = cpn_json_string(one, "nextLink");
    assert_int_equal(json_array_size(json_object_get(one, "value")), PAGE);
    assert_string_equal(id_at(one, 0), cpn_uuid_text(&first->id, id));
    for (size_t i = 3; i < 300; i++)
        all[i]->ended = all[i]->end_durable = true;
    assert_non_null(strchr(link, '?'));
    two = page(strchr(link, '?') + 1);
    assert_int_equal(json_array_size(json_object_get(two, "value")), 6);
    for (size_t i = 0; i < 6; i++)
        for (size_t k = 0; k < PAGE; k++)
            assert_string_not_equal(id_at(two, i), id_at(one, k));
    assert_false(json_is_string(json_object_get(two, "nextLink")));
    json_decref(one);
    json_decref(two);
}

#define ON_STAGE(f) cmocka_unit_test_setup_teardown(f, stage_up, stage_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        ON_STAGE(tokens_of_others_are_refused),
        ON_STAGE(pages_begin_behind_a_session),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
