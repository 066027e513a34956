/* What the audit has of calls: nobody fills it with what changes nothing, and nothing is missing
 * from it. */
#include "control_fixture.h"

#include "audit/record.h"
#include "control/penalties.h"
#include "control/usage.h"
#include "policy/sshlogin.h"
#include "store/store_core.h"

/* ---- what changes nothing ---- */

static const struct {
    const char *path, *body, *event;
    int status;
} idle[] = {
    { "/v1/apply", "{}", "policy.apply", 403 },
    { "/v1/can-i", "{'bastion':'$front','targetResourceId':'$web1'}", "policy.asked", 200 },
    { "/v1.0/directoryObjects/getByIds", "{'ids':['$ada']}", "directory.asked", 200 },
    { "/v1/sessions/disconnect", "{'user':'ada@example.test'}", "session.disconnect", 200 },
    { "/v1/resolve", "{'target':'web1'}", "inventory.resolved", 404 },
};

static void
an_account_without_a_role_fills_no_disk(void **state)
{
    (void)state;
    for (size_t i = 0; i < CPN_COUNT(idle); i++) {
        for (unsigned k = 0; k < 20; k++)
            assert_int_equal(ask_as("$ci", "POST", idle[i].path, NULL, idle[i].body, NULL),
                             idle[i].status);
        records_are(idle[i].event, 2, 20);
    }
}

static void
different_bodies_make_no_difference(void **state)
{
    char body[128];

    (void)state;
    for (unsigned k = 0; k < 20; k++) {
        snprintf(body, sizeof(body), "{'bastion':'$front','targetIpAddress':'10.1.1.%u'}", k);
        assert_int_equal(ask_as("$ci", "POST", "/v1/can-i", NULL, body, NULL), 200);
    }
    records_are("policy.asked", 2, 20);
}

static void
announced_connections_have_the_rate_of_real_ones(void **state)
{
    char body[128];
    json_t *answer = NULL;

    (void)state;
    st.c->set.tickets_per_minute = 3;
    for (unsigned k = 0; k < 6; k++) {
        json_decref(answer);
        answer = NULL;
        snprintf(body, sizeof(body),
                 "{'bastion':'$front','targetIpAddress':'10.1.1.%u','connect':true}", k);
        assert_int_equal(ask_as("$ci", "POST", "/v1/can-i", NULL, body, &answer), 200);
        assert_false(json_is_true(json_object_get(answer, "allowed")));
    }
    assert_string_equal(cpn_json_string(answer, "reason"), "limit_rate");
    json_decref(answer);
    records_are("session.refused", 3, 3);
}

#define LAB_NETWORK                                                                                \
    "{'documents':[{'kind':'virtualNetwork','id':'$lab/providers/Microsoft.Network/"               \
    "virtualNetworks/n%u','body':{'addressPrefixes':['10.9.0.0/16'],'peerings':[]}}]}"

static void
deeds_have_a_record_each(void **state)
{
    char body[512];

    (void)state;
    for (unsigned k = 0; k < 3; k++) {
        snprintf(body, sizeof(body), LAB_NETWORK, k);
        assert_int_equal(ask_as("$ada", "POST", "/v1/apply", NULL, body, NULL), 200);
        (void)open_session(carrier_of("$bob"), 1);
        assert_int_equal(ask_as("$ada", "POST", "/v1/sessions/disconnect", NULL,
                                "{'user':'bob@example.test'}", NULL),
                         200);
    }
    records_are("policy.apply", 3, 3);
    records_are("session.disconnect", 3, 3);
    for (unsigned k = 0; k < 20; k++) /* what is so already is no deed */
        assert_int_equal(ask_as("$ada", "POST", "/v1/apply", NULL, body, NULL), 200);
    records_are("policy.apply", 5, 23);
}

/* ---- reading it ---- */

static uint32_t
asks(const char *method, const char *path, const char *query)
{
    static char token[4096];
    cpn_msg m = { .type = CPN_MSG_REQUEST };

    m.REQUEST = (cpn_msg_REQUEST){ .conn = ++st.conn,
                                   .last = 1,
                                   .method = cpn_view_str(method),
                                   .path = cpn_view_str(path),
                                   .query = cpn_view_str(query),
                                   .bearer = cpn_view_str(token_of("$ada", token)) };
    say(&st.front, &m, -1);
    return st.conn;
}

/* Of so many who ask at once, how many hear each status. */
static void
at_once(unsigned n, const char *method, const char *path, const char *query, unsigned well)
{
    unsigned heard[2] = { 0 };

    for (unsigned i = 0; i < n; i++)
        (void)asks(method, path, query);
    for (unsigned i = 0; i < n; i++) {
        uint16_t status = expect(&st.front, CPN_MSG_REPLY).REPLY.status;

        assert_true(status == 200 || status == 503);
        heard[status == 503]++;
    }
    if (heard[0] != well)
        fail_msg("%s %s: %u of %u heard", method, path, heard[0], n);
    assert_int_equal(st.c->calls, 0);
}

static void
what_cannot_be_is_refused(void **state)
{
    char query[400] = "user=";

    (void)state;
    memset(query + 5, 'a', 321);
    assert_int_equal(ask_as("$ada", "GET", "/v1/audit", query, NULL, NULL), 400);
    assert_int_equal(ask_as("$ada", "GET", "/v1/audit", "user=a%26node=b", NULL, NULL), 400);
    query[5 + 320] = '\0';
    assert_int_equal(ask_as("$ada", "GET", "/v1/audit", query, NULL, NULL), 200);
    assert_int_equal(ask_as("$ada", "GET", "/v1/audit", "after=99999999999999999999", NULL, NULL),
                     400);
    assert_int_equal(
        ask_as("$ada", "GET", "/v1/audit", "limit=99999999999999999999999999999", NULL, NULL), 400);
}

static void
slow_reads_are_bounded(void **state)
{
    (void)state;
    at_once(CPN_AUDIT_MAX + 3, "GET", "/v1/audit", "user=nobody@example.test", CPN_AUDIT_MAX);
    at_once(CPN_AUDIT_MAX + 3, "POST", "/v1/audit/verify", "", CPN_AUDIT_MAX);
    at_once(1, "GET", "/v1/audit", "", 1);
    at_once(1, "POST", "/v1/audit/verify", "", 1);
}

static void
one_walk_answers_all_who_ask(void **state)
{
    cpn_store_counts n;

    (void)state;
    (void)came(&st.front, CPN_MSG_NONE);
    for (unsigned i = 0; i < CPN_AUDIT_MAX; i++)
        (void)asks("POST", "/v1/audit/verify", "");
    while (st.c->audit.waiting_n < CPN_AUDIT_MAX)
        uv_run(&st.loop, UV_RUN_ONCE);
    cpn_store_counted(st.store, &n);
    assert_true(n.waiting <= 1);
    for (unsigned i = 0; i < CPN_AUDIT_MAX; i++)
        assert_int_equal(expect(&st.front, CPN_MSG_REPLY).REPLY.status, 200);
}

/* ---- what is in it ---- */

static void
who_may_no_longer_is_named(void **state)
{
    json_t *records;
    char id[4096], token[4096];
    cpn_msg m = { .type = CPN_MSG_REQUEST };

    (void)state;
    assert_int_equal(ask_as("$off", "POST", "/v1/can-i", NULL, "{}", NULL), 401);
    (void)token_of("$bob", token); /* good for somebody who is not there any more */
    assert_int_equal(ask_as("$ada", "POST", "/v1/apply", NULL, "{'whole':['principal']}", NULL),
                     200);
    m.REQUEST = (cpn_msg_REQUEST){ .conn = ++st.conn,
                                   .last = 1,
                                   .method = CPN_VIEW_LIT("POST"),
                                   .path = CPN_VIEW_LIT("/v1/can-i"),
                                   .bearer = cpn_view_str(token) };
    assert_int_equal(request_answered(&m, NULL).REPLY.status, 401);
    (void)came(&st.front, CPN_MSG_NONE);
    records = audit_of("policy.asked");
    assert_int_equal(json_array_size(records), 2);
    assert_string_equal(cpn_json_string(json_array_get(records, 0), "userEmail"),
                        "off@example.test");
    assert_string_equal(cpn_json_string(json_array_get(records, 0), "objectId"), spell(id, "$off"));
    assert_string_equal(cpn_json_string(json_array_get(records, 1), "objectId"), spell(id, "$bob"));
    json_decref(records);
}

static void
all_principals_are_in_the_record(void **state)
{
    static const cpn_route route = { .method = "POST", .path = "/x", .audit = "login.token" };
    static char principals[CPN_SSH_PRINCIPALS_SIZE];
    cpn_call call = { .c = st.c, .route = &route };
    json_t *records;

    (void)state;
    memset(principals, 'p', sizeof(principals) - 1);
    cpn_call_note(&call, "certificatePrincipals", principals);
    cpn_call_note(&call, "message", principals);
    cpn_trail_call(&call, 200);
    (void)came(&st.front, CPN_MSG_NONE);
    records = audit_of("login.token");
    assert_string_equal(cpn_json_string(json_array_get(records, 0), "certificatePrincipals"),
                        principals);
    assert_int_equal(strlen(cpn_json_string(json_array_get(records, 0), "message")),
                     CPN_RECORD_TEXT_MAX);
    json_decref(records);
    json_decref(call.noted);
}

/* ---- refusals before policy is asked ---- */

/* The only refusal so far, and for how many it stands. */
static void
refused_is(const char *reason, const char *object_id, json_int_t times)
{
    json_t *records;
    const json_t *one;

    records_are("session.refused", times > 1 ? 2 : 1, times);
    records = audit_of("session.refused");
    one = json_array_get(records, 0);
    assert_string_equal(cpn_json_string(one, "reason"), reason);
    assert_string_equal(cpn_json_string(one, "objectId"), object_id);
    assert_string_equal(cpn_json_string(one, "clientIpAddress"), "192.0.2.1");
    json_decref(records);
}

static void
opens_beyond_the_rate_are_recorded(void **state)
{
    uint32_t conn = carrier_of("$ci");
    char target[128], id[4096];

    (void)state;
    st.c->set.tickets_per_minute = 1;
    assert_int_equal(cpn_usage_rate(st.c->sessions->usage, spell(id, "$ci"), 1, cpn_mono_ms()),
                     CPN_OK);
    for (uint32_t i = 1; i <= 5; i++) {
        snprintf(target, sizeof(target),
                 "{'bastion':'$front','targetIpAddress':'10.1.1.%u',"
                 "'port':22}",
                 i);
        open_on(conn, i, target);
        assert_int_equal(expect(&st.front, CPN_MSG_REFUSED).REFUSED.why, CPN_WHY_LIMIT_RATE);
    }
    refused_is("limit_rate", id, 5);
}

static void
opens_with_an_old_token_are_recorded(void **state)
{
    uint32_t conn = carrier_of("$bob");
    char id[4096];

    (void)state;
    cpn_conn_find(cpn_front_find(st.c, FRONT), conn)->carrier->expires_s = 1;
    open_on(conn, 1, WEB1);
    assert_int_equal(expect(&st.front, CPN_MSG_REFUSED).REFUSED.why, CPN_WHY_TOKEN_EXPIRED);
    refused_is("token_expired", spell(id, "$bob"), 1);
}

static void
opens_of_who_was_deleted_are_recorded(void **state)
{
    uint32_t conn = carrier_of("$bob");
    char id[4096];

    (void)state;
    assert_int_equal(ask_as("$ada", "POST", "/v1/apply", NULL, "{'whole':['principal']}", NULL),
                     200);
    open_on(conn, 1, WEB1);
    assert_int_equal(expect(&st.front, CPN_MSG_REFUSED).REFUSED.why, CPN_WHY_PRINCIPAL_DISABLED);
    refused_is("principal_disabled", spell(id, "$bob"), 1);
}

static void
strangers_at_the_tunnel_are_recorded(void **state)
{
    cpn_msg m = { .type = CPN_MSG_CARRIER, .CARRIER = { .bearer = CPN_VIEW_LIT("a.b.c") } };

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        m.CARRIER.conn = ++st.conn;
        m.CARRIER.peer = (cpn_addr){ { [10] = 0xff, 0xff, 192, 0, 2, 1 } };
        say(&st.front, &m, -1);
        assert_int_equal(expect(&st.front, CPN_MSG_REFUSED).REFUSED.why, CPN_WHY_TOKEN_INVALID);
    }
    refused_is("token_invalid", "", 5);
}

static void
wrong_tickets_are_recorded_and_cost_nothing(void **state)
{
    cpn_addr peer = { { [10] = 0xff, 0xff, 192, 0, 2, 1 } };
    cpn_msg m = { .type = CPN_MSG_UPGRADE, .UPGRADE = { .ticket = CPN_VIEW_LIT("guessed") } };

    (void)state;
    for (unsigned i = 0; i < 17; i++) {
        m.UPGRADE.conn = ++st.conn;
        m.UPGRADE.peer = peer;
        say(&st.front, &m, -1);
        assert_int_equal(expect(&st.front, CPN_MSG_REFUSED).REFUSED.why, CPN_WHY_TICKET_INVALID);
    }
    assert_int_equal(cpn_penalty_wait(st.c->penalties, &peer, NULL), 0);
    refused_is("ticket_invalid", "", 17);
}

/* ---- when it cannot be written ---- */

static cpn_rc
no_room(void *db, const cpn_chain_head *head, cpn_view record, cpn_err *err)
{
    (void)db;
    (void)head;
    (void)record;
    return cpn_fail(err, CPN_LIMIT, "the disk is full");
}

static void
no_token_without_its_record(void **state)
{
    static const char form[] = "grant_type=password&username=eve%40example.test&"
                               "password=longenough&client_id=x&scope=openid";
    const cpn_store_driver *right = st.store->driver;
    static cpn_store_driver full;
    json_t *answer = NULL;

    (void)state;
    assert_int_equal(ask_as("$ada", "POST", "/v1/users", NULL,
                            "{'name':'eve@example.test','password':'longenough'}", NULL),
                     201);
    (void)came(&st.front, CPN_MSG_NONE);
    full = *right;
    full.audit_put = no_room;
    st.store->driver = &full;
    assert_int_equal(ask_as(NULL, "POST", "/adfs/oauth2/token", NULL, form, &answer), 503);
    assert_null(json_object_get(answer, "access_token"));
    assert_non_null(strstr(cpn_json_string(answer, "error_description"), "disk is full"));
    json_decref(answer);
    (void)came(&st.front, CPN_MSG_NONE);
    st.store->driver = right;
    assert_int_equal(ask_as(NULL, "POST", "/adfs/oauth2/token", NULL, form, &answer), 200);
    assert_non_null(json_object_get(answer, "access_token"));
    json_decref(answer);
    answer = audit_of("login.token"); /* at once: the record was there before the token */
    assert_int_equal(json_array_size(answer), 1);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(answer, 0), "status")), 200);
    json_decref(answer);
}

#define ON_STAGE(f) cmocka_unit_test_setup_teardown(f, stage_up, stage_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        ON_STAGE(an_account_without_a_role_fills_no_disk),
        ON_STAGE(different_bodies_make_no_difference),
        ON_STAGE(announced_connections_have_the_rate_of_real_ones),
        ON_STAGE(deeds_have_a_record_each),
        ON_STAGE(what_cannot_be_is_refused),
        ON_STAGE(slow_reads_are_bounded),
        ON_STAGE(one_walk_answers_all_who_ask),
        ON_STAGE(who_may_no_longer_is_named),
        ON_STAGE(all_principals_are_in_the_record),
        ON_STAGE(opens_beyond_the_rate_are_recorded),
        ON_STAGE(opens_with_an_old_token_are_recorded),
        ON_STAGE(opens_of_who_was_deleted_are_recorded),
        ON_STAGE(strangers_at_the_tunnel_are_recorded),
        ON_STAGE(wrong_tickets_are_recorded_and_cost_nothing),
        ON_STAGE(no_token_without_its_record),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
