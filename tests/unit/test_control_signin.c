/* Sign-in over control's routes: whom penalties keep out, and what leaves a record. */
#include "control_fixture.h"

#include "codec/digest.h"
#include "control/call.h"
#include "control/penalties.h"
#include "control/signin.h"

#define AZ "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
#define TOKEN "/adfs/oauth2/token"
#define COOKIE "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static int
token(const char *form)
{
    return ask_as(NULL, "POST", TOKEN, NULL, form, NULL);
}

/* From the browser of that cookie. */
static void
fill(const char *path, const char *form)
{
    cpn_msg m = { .type = CPN_MSG_REQUEST,
                  .REQUEST = {
                      .conn = ++st.conn,
                      .method = CPN_VIEW_LIT("POST"),
                      .path = cpn_view_str(path),
                      .content_type = CPN_VIEW_LIT("application/x-www-form-urlencoded"),
                      .headers = CPN_VIEW_LIT("cookie: " COOKIE "\r\n"),
                      .length = strlen(form),
                  } };

    say(&st.front, &m, -1);
    m = (cpn_msg){ .type = CPN_MSG_BODY,
                   .BODY = { .conn = st.conn, .last = 1, .body = cpn_view_str(form) } };
    say(&st.front, &m, -1);
}

/* ---- penalties ---- */

/* Wrong secrets, from elsewhere, until that name has to wait. */
static void
penalise(const char *name)
{
    for (unsigned i = 0; i < 100; i++)
        cpn_penalty_name(st.c->penalties, name);
}

static void
a_program_is_nobody_to_keep_out(void **state)
{
    (void)state;
    penalise(AZ);
    assert_int_equal(token("grant_type=client_credentials&client_id=" AZ "&client_secret=x"), 429);
    assert_int_equal(token("grant_type=refresh_token&client_id=" AZ), 400);
    assert_int_equal(token("grant_type=device_code&client_id=" AZ), 400);
    assert_int_equal(token("grant_type=authorization_code&client_id=" AZ), 400);
    assert_int_equal(token("grant_type=password&client_id=" AZ "&username=bob"), 400);
}

static void
another_field_does_not_hide_whose_secret_is_tried(void **state)
{
    (void)state;
    penalise("service");
    penalise("ada@example.test");
    assert_int_equal(token("grant_type=client_credentials&client_id=service&client_secret=x"
                           "&username=nobody"),
                     429);
    assert_int_equal(token("grant_type=password&client_id=x&username=ADA%40example.test"
                           "&password=x"),
                     429);
}

static void
a_name_that_nobody_has_waits_like_another(void **state)
{
    static const char *const names[] = { "ada@example.test", "nobody@example.test" };
    json_t *answer[CPN_COUNT(names)];
    char form[128];

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(names); i++) {
        snprintf(form, sizeof(form), "grant_type=password&client_id=x&username=%s&password=x",
                 names[i]);
        penalise(names[i]);
        assert_int_equal(ask_as(NULL, "POST", TOKEN, NULL, form, &answer[i]), 429);
    }
    assert_true(json_equal(answer[0], answer[1]));
    for (size_t i = 0; i < CPN_COUNT(names); i++)
        json_decref(answer[i]);
}

static void
a_wrong_old_password_costs_and_is_counted(void **state)
{
    (void)state;
    assert_int_equal(ask_as("$ada", "POST", "/v1/users/password", NULL,
                            "{'old':'wrong','password':'correct horse'}", NULL),
                     403);
    assert_int_equal(st.c->count.penalties, 1);
}

static bool
being_checked(void)
{
    const cpn_conn *conn = cpn_conn_find(cpn_front_find(st.c, FRONT), st.conn);

    return conn && conn->call && conn->call->dispatched;
}

/* A flow of the caller's own, which ends while somebody else's password is tried in it. */
static void
a_flow_that_ends_meanwhile_saves_no_penalty(void **state)
{
    cpn_flow_ask asked = { .device = true, .client_id = AZ };
    char code[CPN_FLOW_SECRET], form[256];
    uint8_t browser[32];
    cpn_flow *flow = NULL;

    (void)state;
    cpn_sha256(CPN_VIEW_LIT(COOKIE), browser);
    assert_int_equal(cpn_flow_device(cpn_signin_flows(st.c), &asked, cpn_mono_ms(), code, &flow),
                     CPN_OK);
    assert_int_equal(
        cpn_flow_claim(cpn_signin_flows(st.c), flow->user_code, browser, cpn_mono_ms(), &flow),
        CPN_OK);
    snprintf(form, sizeof(form), "flow=%s&username=bob%%40example.test&password=wrong", flow->id);
    fill("/signin/password", form);
    do
        uv_run(&st.loop, UV_RUN_NOWAIT);
    while (!being_checked());
    cpn_flow_proved(flow, flow->id, "mallory@example.test", 0);
    assert_int_equal(expect(&st.front, CPN_MSG_REPLY).REPLY.status, 400);
    assert_int_equal(st.c->count.penalties, 1);
}

/* ---- places ---- */

/* A request whose body does not come. */
static uint32_t
begin(const char *who, const char *method, const char *path, uint64_t length)
{
    char bearer[4096];
    cpn_msg m = { .type = CPN_MSG_REQUEST,
                  .REQUEST = {
                      .conn = ++st.conn,
                      .method = cpn_view_str(method),
                      .path = cpn_view_str(path),
                      .bearer = cpn_view_str(token_of(who, bearer)),
                      .content_type = cpn_view_str(who ? "application/json"
                                                       : "application/x-www-form-urlencoded"),
                      .length = length,
                      .last = length == 0,
                  } };

    say(&st.front, &m, -1);
    return st.conn;
}

/* The next two answers: that one had to go, and a newcomer is served. */
static void
goes_for_another(uint32_t goes)
{
    uint32_t late = begin(NULL, "GET", "/device", 0);
    cpn_msg m = expect(&st.front, CPN_MSG_REPLY); /* nobody was answered before */

    assert_int_equal(m.REPLY.conn, goes);
    assert_int_equal(m.REPLY.status, 503);
    m = expect(&st.front, CPN_MSG_REPLY);
    assert_int_equal(m.REPLY.conn, late);
    assert_int_equal(m.REPLY.status, 200);
    assert_int_equal(st.c->calls, CPN_CALLS_MAX - 1);
}

static void
a_stranger_who_sends_no_body_makes_room(void **state)
{
    uint32_t oldest;

    (void)state;
    (void)begin("$ada", "POST", "/v1/apply", 10);
    oldest = begin(NULL, "POST", TOKEN, 10);
    for (unsigned i = 2; i < CPN_CALLS_MAX; i++)
        (void)begin(NULL, "POST", TOKEN, 10);
    goes_for_another(oldest);
    assert_int_equal(ask_as("$ada", "GET", "/v1/whoami", NULL, NULL, NULL), 200);
}

static void
whoever_sends_no_body_makes_room(void **state)
{
    uint32_t oldest = begin("$ada", "POST", "/v1/apply", 10);

    (void)state;
    for (unsigned i = 1; i < CPN_CALLS_MAX; i++)
        (void)begin("$ada", "POST", "/v1/apply", 10);
    goes_for_another(oldest);
}

/* The sign-ins of many people behind one address end in the same night. */
static void
refresh_tokens_that_ended_keep_nobody_out(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(token("grant_type=refresh_token&client_id=" AZ
                               "&refresh_token=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
                         400);
    assert_int_equal(token("grant_type=password&client_id=" AZ "&username=ada&password=x"), 400);
}

/* ---- tokens that are out ---- */

/* What somebody with this token, and no other, gets: 200, or why not. */
static void
expect_whoami(const char *bearer, int status, const char *code)
{
    cpn_msg m = { .type = CPN_MSG_REQUEST,
                  .REQUEST = { .conn = ++st.conn,
                               .method = CPN_VIEW_LIT("GET"),
                               .path = CPN_VIEW_LIT("/v1/whoami"),
                               .bearer = cpn_view_str(bearer),
                               .last = 1 } };
    json_t *answer;

    m = request_answered(&m, NULL);
    answer = json_loadb((const char *)m.REPLY.body.p, m.REPLY.body.n, 0, NULL);
    assert_string_equal(cpn_json_string(json_object_get(answer, "error"), "code"), code);
    assert_int_equal(m.REPLY.status, status);
    json_decref(answer);
}

static void
apply(const char *body)
{
    assert_int_equal(ask_as("$ada", "POST", "/v1/apply", NULL, body, NULL), 200);
}

static void
add_eve(char id[CPN_UUID_TEXT])
{
    json_t *answer = NULL;

    assert_int_equal(ask_as("$ada", "POST", "/v1/users", NULL,
                            "{'name':'eve@example.test','password':'longenough'}", &answer),
                     201);
    snprintf(id, CPN_UUID_TEXT, "%s", cpn_json_string(answer, "id"));
    json_decref(answer);
}

/* An object id comes from the name: whoever has it next is not whoever had it. */
static void
a_name_that_is_given_again_is_somebody_else(void **state)
{
    char id[CPN_UUID_TEXT], again[CPN_UUID_TEXT], kept[4096], fresh[4096];
    uint32_t carrier;

    (void)state;
    add_eve(id);
    expect_whoami(token_of(id, kept), 200, "");
    carrier = carrier_of(id);
    apply("{'documents':[],'whole':['principal']}");
    expect_whoami(kept, 401, "principal_disabled");
    add_eve(again);
    assert_string_equal(again, id);
    expect_whoami(kept, 401, "token_expired");
    open_on(carrier, 1, WEB1);
    assert_int_equal(expect(&st.front, CPN_MSG_REFUSED).REFUSED.why, CPN_WHY_TOKEN_EXPIRED);
    expect_whoami(token_of(id, fresh), 200, "");
}

#define BOB(enabled, external)                                                                     \
    "{'documents':[{'kind':'principal','id':'$bob','body':{'type':'User',"                         \
    "'name':'bob@example.test','enabled':" enabled external "}}]}"
#define SUBJECT(issuer, subject) ",'external':{'issuer':'" issuer "','subject':'" subject "'}"

static void
what_ends_sign_ins_ends_tokens(void **state)
{
    static const char *const ends[] = {
        BOB("true", SUBJECT("https://id.example.test", "1")),
        BOB("true", SUBJECT("https://id.example.test", "2")), /* another person there */
        BOB("true", SUBJECT("https://id2.example.test", "2")),
        BOB("true", ""),
        BOB("false", ""),
    };
    char kept[4096];

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(ends); i++) {
        expect_whoami(token_of("$bob", kept), 200, "");
        apply(ends[i]);
        expect_whoami(kept, 401, strstr(ends[i], "false") ? "principal_disabled" : "token_expired");
    }
    apply(BOB("true", "")); /* what a thief kept does not come alive */
    expect_whoami(kept, 401, "token_expired");
    expect_whoami(token_of("$bob", kept), 200, "");
    apply(BOB("true", ",'displayName':'Bob'"));
    expect_whoami(kept, 200, "");
    assert_int_equal(ask_as("$ada", "POST", "/v1/users/password", NULL,
                            "{'name':'bob@example.test','password':'longenough'}", NULL),
                     204);
    expect_whoami(kept, 401, "token_expired");
    expect_whoami(token_of("$bob", kept), 200, "");
}

/* ---- records ---- */

static void
a_code_that_is_typed_again_leaves_one_record(void **state)
{
    char form[64];
    json_t *answer = NULL, *records;

    (void)state;
    assert_int_equal(
        ask_as(NULL, "POST", "/adfs/oauth2/devicecode", NULL, "client_id=" AZ, &answer), 200);
    snprintf(form, sizeof(form), "user_code=%s", cpn_json_string(answer, "user_code"));
    for (unsigned i = 0; i < 5; i++) {
        fill("/device", form);
        assert_int_equal(expect(&st.front, CPN_MSG_REPLY).REPLY.status, 200);
    }
    (void)came(&st.front, CPN_MSG_NONE);
    records = audit_of("login.code");
    assert_int_equal(json_array_size(records), 1);
    json_decref(records);
    json_decref(answer);
}

#define ON_STAGE(f) cmocka_unit_test_setup_teardown(f, stage_up, stage_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        ON_STAGE(a_program_is_nobody_to_keep_out),
        ON_STAGE(refresh_tokens_that_ended_keep_nobody_out),
        ON_STAGE(another_field_does_not_hide_whose_secret_is_tried),
        ON_STAGE(a_name_that_nobody_has_waits_like_another),
        ON_STAGE(a_wrong_old_password_costs_and_is_counted),
        ON_STAGE(a_flow_that_ends_meanwhile_saves_no_penalty),
        ON_STAGE(a_stranger_who_sends_no_body_makes_room),
        ON_STAGE(whoever_sends_no_body_makes_room),
        ON_STAGE(a_name_that_is_given_again_is_somebody_else),
        ON_STAGE(what_ends_sign_ins_ends_tokens),
        ON_STAGE(a_code_that_is_typed_again_leaves_one_record),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
