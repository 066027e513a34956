/* Control's API: what its calls refuse and what they change. Who may call them: test_matrix.c. */
#include "control_fixture.h"

#include "control/api.h"
#include "control/publish.h"
#include "control/trail.h"

/* ---- the tables ---- */

static void
every_row_is_complete(void **state)
{
    cpn_err err = { 0 };

    (void)state;
    if (cpn_api_check(&err) != CPN_OK)
        fail_msg("%s", err.msg);
    for (const cpn_route *const *t = cpn_route_tables; *t; t++) {
        for (const cpn_route *r = *t; r->path; r++) {
            assert_int_not_equal(r->from, CPN_SCOPE_REFUSED);
            if (strcmp(r->method, "GET") != 0 && strcmp(r->method, "HEAD") != 0)
                assert_non_null(r->audit);
        }
    }
}

static void
unknown_paths_and_methods(void **state)
{
    json_t *answer = NULL;

    (void)state;
    assert_int_equal(ask_as("$ada", "GET", "/v1/nothing", NULL, NULL, &answer), 404);
    assert_string_equal(cpn_json_string(json_object_get(answer, "error"), "code"), "not_found");
    json_decref(answer);
    assert_int_equal(ask_as("$ada", "GET", "/v1/Version", NULL, NULL, NULL), 404);
    assert_int_equal(ask_as("$ada", "GET", "/v1/version/", NULL, NULL, NULL), 404);
    assert_int_equal(ask_as("$ada", "GET", "/api/tokens/a/b", NULL, NULL, NULL), 404);
    assert_int_equal(ask_as("$ada", "PUT", "/v1/version", NULL, NULL, NULL), 405);
    assert_int_equal(ask_as("$ada", "GET", "/v1/enrol", NULL, NULL, NULL), 405);
}

static const char *const bad_bodies[] = {
    "",
    "[]",
    "{",
    "{} {}",
    "{'name':1}",
    "{'name':'a','name':'b'}",
    "{'name':null}",
    "{'name':'x','password':'short'}",
    "{'name':'x','password':'longenough','admin':true}",
};

static void
bad_bodies_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < CPN_COUNT(bad_bodies); i++) {
        int got = ask_as("$ada", "POST", "/v1/users", NULL, bad_bodies[i], NULL);

        if (got != 400)
            fail_msg("%s: %d", bad_bodies[i], got);
    }
    assert_int_equal(cpn_snapshot_epoch(st.c->snapshot), WORLD_EPOCH);
}

static void
a_long_body_is_refused_before_it_comes(void **state)
{
    cpn_msg m = { .type = CPN_MSG_REQUEST };

    (void)state;
    m.REQUEST = (cpn_msg_REQUEST){ .conn = ++st.conn,
                                   .length = 1u << 20,
                                   .method = cpn_view_str("POST"),
                                   .path = cpn_view_str("/v1/enrol"),
                                   .content_type = cpn_view_str("application/json") };
    say(&st.front, &m, -1);
    assert_int_equal(expect(&st.front, CPN_MSG_REPLY).REPLY.status, 413);
    /* What still comes of it is nobody's. */
    say(&st.front,
        &(cpn_msg){ .type = CPN_MSG_BODY,
                    .BODY = { .conn = st.conn, .last = 1, .body = cpn_view_str("x") } },
        -1);
    assert_false(came(&st.keeper, CPN_MSG_KILL_FRONT));
}

static void
disabled_principals_are_nobody(void **state)
{
    (void)state;
    assert_int_equal(ask_as("$off", "GET", "/v1/whoami", NULL, NULL, NULL), 401);
}

/* ---- apply ---- */

static json_t *
apply_as(const char *who, const char *query, const char *body, int status)
{
    json_t *answer = NULL;
    int got = ask_as(who, "POST", "/v1/apply", query, body, &answer);

    if (got != status) {
        char *text = answer ? json_dumps(answer, 0) : NULL;

        fail_msg("%d: %s", got, text ? text : "");
    }
    return answer;
}

#define NEW_NET                                                                                    \
    "{'documents':[{'kind':'virtualNetwork','id':'$lab/providers/Microsoft.Network/"               \
    "virtualNetworks/new','body':{'addressPrefixes':['10.9.0.0/16'],'peerings':[]}}]}"

static void
apply_changes_once(void **state)
{
    json_t *a;

    (void)state;
    a = apply_as("$ada", "dryRun=true", NEW_NET, 200);
    assert_int_equal(json_array_size(json_object_get(a, "created")), 1);
    assert_int_equal(json_integer_value(json_object_get(a, "epoch")), WORLD_EPOCH);
    json_decref(a);
    a = apply_as("$ada", NULL, NEW_NET, 200);
    assert_int_equal(json_array_size(json_object_get(a, "created")), 1);
    assert_int_equal(json_integer_value(json_object_get(a, "epoch")), WORLD_EPOCH + 1);
    json_decref(a);
    a = apply_as("$ada", NULL, NEW_NET, 200);
    assert_int_equal(json_array_size(json_object_get(a, "created")), 0);
    assert_int_equal(json_integer_value(json_object_get(a, "unchanged")), 1);
    assert_int_equal(json_integer_value(json_object_get(a, "epoch")), WORLD_EPOCH + 1);
    json_decref(a);
    a = audit_of("policy.apply");
    assert_true(json_array_size(a) >= 1);
    json_decref(a);
}

static void
apply_says_all_that_is_wrong(void **state)
{
    json_t *a = apply_as("$ada", NULL,
                         "{'documents':[{'kind':'virtualNetwork','id':'$lab/x','body':{}},"
                         "{'kind':'credential','id':'$ada','body':{}},{'kind':'nope'}]}",
                         400);

    (void)state;
    assert_int_equal(json_array_size(json_object_get(a, "problems")), 3);
    json_decref(a);
    json_decref(apply_as("$ada", NULL, "{'whole':['credential']}", 400));
    json_decref(apply_as("$ada", NULL, "{'documents':{}}", 400));
    assert_int_equal(cpn_snapshot_epoch(st.c->snapshot), WORLD_EPOCH);
}

/* The sentence about it is cut inside a character, wherever the cut is. */
static void
a_long_id_is_no_way_past(void **state)
{
    char body[4096] = "{'documents':[{'kind':'credential','id':'";
    size_t n = strlen(body);

    (void)state;
    for (unsigned shift = 0; shift < 2; shift++) {
        json_t *a;

        memset(body + n, 'x', shift);
        for (size_t i = 0; i < 1000; i++)
            memcpy(body + n + shift + 2 * i, "\xc3\xa9", 2);
        strcpy(body + n + shift + 2000, "','body':{}}]}");
        a = apply_as("$ada", NULL, body, 400);
        assert_int_equal(json_array_size(json_object_get(a, "problems")), 1);
        json_decref(a);
    }
}

static void
a_contributor_cannot_raise_themselves(void **state)
{
    json_t *a;

    (void)state;
    assert_int_equal(ask_as("$ada", "POST", "/v1/role-assignments", NULL,
                            "{'principal':'$bob','role':'Contributor','scope':'/'}", NULL),
                     201);
    a = apply_as("$bob", NULL,
                 "{'documents':[{'kind':'roleAssignment','id':'/providers/"
                 "Microsoft.Authorization/roleAssignments/" GUID_OF(
                     "a9") "',"
                           "'body':{'principalId':'$bob','role':'Owner'}}]}",
                 403);
    json_decref(a);
    json_decref(apply_as("$bob", NULL, NEW_NET, 200));
    assert_int_equal(ask_as("$bob", "POST", "/v1/users", NULL,
                            "{'name':'x@example.test','password':'longenough'}", NULL),
                     403);
}

static void
apply_never_takes_the_callers_own_rights(void **state)
{
    (void)state;
    json_decref(apply_as("$ada", NULL, "{'whole':['roleAssignment']}", 200));
    assert_int_equal(ask_as("$bob", "GET", "/v1/audit", NULL, NULL, NULL), 403);
    assert_int_equal(ask_as("$ada", "GET", "/v1/audit", NULL, NULL, NULL), 200);
    json_decref(apply_as("$ada", NULL, "{'whole':['principal']}", 200));
    assert_int_equal(ask_as("$ada", "GET", "/v1/whoami", NULL, NULL, NULL), 200);
    assert_int_equal(
        cpn_snapshot_principal_by_name(st.c->snapshot, CPN_VIEW_LIT("bob@example.test")) == NULL,
        1);
}

/* A request whose answer is not waited for. body: JSON, or NULL. */
static void
send_as(const char *who, const char *method, const char *query, const char *body)
{
    char token[4096];
    cpn_msg m = { .type = CPN_MSG_REQUEST };

    m.REQUEST = (cpn_msg_REQUEST){ .conn = ++st.conn,
                                   .length = body ? strlen(body) : 0,
                                   .last = body == NULL,
                                   .method = cpn_view_str(method),
                                   .path = cpn_view_str("/v1/role-assignments"),
                                   .query = cpn_view_str(query),
                                   .bearer = cpn_view_str(token_of(who, token)),
                                   .content_type = cpn_view_str("application/json") };
    say(&st.front, &m, -1);
    if (body)
        say(&st.front,
            &(cpn_msg){ .type = CPN_MSG_BODY,
                        .BODY = { .conn = st.conn, .last = 1, .body = cpn_view_str(body) } },
            -1);
}

#define CI_AS(role) "{\"principal\":\"" GUID_OF("04") "\",\"role\":\"" role "\",\"scope\":\"/\"}"

static bool
ci_may(const char *action)
{
    char ci[4096];

    spell(ci, "$ci");
    return cpn_may(st.c->snapshot, cpn_snapshot_principal(st.c->snapshot, cpn_view_str(ci)), action,
                   CPN_VIEW_LIT("/"));
}

static void
two_writers_build_on_each_other(void **state)
{
    (void)state;
    send_as("$ada", "POST", "", CI_AS("Reader"));
    send_as("$ada", "POST", "", CI_AS("Contributor"));
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(expect(&st.front, CPN_MSG_REPLY).REPLY.status, 201);
    assert_int_equal(cpn_snapshot_epoch(st.c->snapshot), WORLD_EPOCH + 2);
    assert_true(ci_may("Microsoft.Compute/virtualMachines/write"));
}

/* They were let in, and what they want waits behind what takes their role away. */
static void
who_lost_the_role_meanwhile_changes_nothing(void **state)
{
    json_t *given = NULL, *trail;
    char query[CPN_ID_MAX + 8];

    (void)state;
    assert_int_equal(ask_as("$ada", "POST", "/v1/role-assignments", NULL,
                            "{'principal':'$bob','role':'Owner','scope':'/'}", &given),
                     201);
    snprintf(query, sizeof(query), "id=%s", cpn_json_string(given, "id"));
    json_decref(given);
    send_as("$ada", "DELETE", query, NULL);
    send_as("$bob", "POST", "", CI_AS("Owner"));
    assert_int_equal(expect(&st.front, CPN_MSG_REPLY).REPLY.status, 204);
    assert_int_equal(expect(&st.front, CPN_MSG_REPLY).REPLY.status, 403);
    assert_false(ci_may("Microsoft.Authorization/roleAssignments/write"));
    trail = audit_of("role.assign");
    assert_int_equal(json_integer_value(json_object_get(json_array_get(trail, 1), "status")), 403);
    json_decref(trail);
}

/* ---- people ---- */

static void
a_new_user_signs_in_and_wrong_secrets_cost(void **state)
{
    static const char form[] = "grant_type=password&username=eve%%40example.test&password=%s&"
                               "client_id=x&scope=openid";
    char body[256];
    json_t *answer = NULL;

    (void)state;
    assert_int_equal(ask_as("$ada", "POST", "/v1/users", NULL,
                            "{'name':'eve@example.test','password':'longenough'}", &answer),
                     201);
    assert_string_equal(cpn_json_string(json_object_get(answer, "body"), "name"),
                        "eve@example.test");
    json_decref(answer);
    assert_int_equal(ask_as("$ada", "POST", "/v1/users", NULL,
                            "{'name':'eve@example.test','password':'longenough'}", NULL),
                     409);
    snprintf(body, sizeof(body), form, "longenough");
    assert_int_equal(ask_as(NULL, "POST", "/adfs/oauth2/token", NULL, body, &answer), 200);
    assert_true(cpn_json_string(answer, "access_token")[0] != '\0');
    json_decref(answer);
    snprintf(body, sizeof(body), form, "wrong");
    for (unsigned i = 0; i < 4; i++)
        assert_int_not_equal(ask_as(NULL, "POST", "/adfs/oauth2/token", NULL, body, NULL), 200);
    snprintf(body, sizeof(body), form, "longenough");
    assert_int_equal(ask_as(NULL, "POST", "/adfs/oauth2/token", NULL, body, NULL), 429);
    assert_int_equal(ask_as("$ada", "GET", "/v1/whoami", NULL, NULL, NULL), 200);
}

static void
documents_are_those_that_one_may_read(void **state)
{
    static const struct {
        const char *query;
        size_t rows;
    } begun[] = { { "kind=virtualMachine&prefix=WE", 1 },
                  { "kind=virtualMachine&prefix=web1", 1 },
                  { "kind=virtualMachine&prefix=web12", 0 },
                  { "kind=virtualMachine&prefix=eb", 0 },
                  { "kind=virtualMachine&prefix=we&name=db1", 0 } };
    json_t *answer = NULL;

    (void)state;
    assert_int_equal(ask_as("$ci", "GET", "/v1/documents", "kind=virtualMachine", NULL, &answer),
                     200);
    assert_int_equal(json_array_size(json_object_get(answer, "value")), 0);
    json_decref(answer);
    assert_int_equal(
        ask_as("$bob", "GET", "/v1/documents", "kind=virtualMachine&name=WEB1", NULL, &answer),
        200);
    assert_int_equal(json_array_size(json_object_get(answer, "value")), 1);
    json_decref(answer);
    for (size_t i = 0; i < CPN_COUNT(begun); i++) {
        assert_int_equal(ask_as("$bob", "GET", "/v1/documents", begun[i].query, NULL, &answer),
                         200);
        assert_int_equal(json_array_size(json_object_get(answer, "value")), begun[i].rows);
        json_decref(answer);
    }
    assert_int_equal(ask_as("$ada", "GET", "/v1/documents", "kind=credential", NULL, NULL), 400);
    assert_int_equal(
        ask_as("$ada", "GET", "/v1/document", "kind=credential&id=" GUID_OF("01"), NULL, NULL),
        400);
}

static void
names_resolve(void **state)
{
    json_t *answer = NULL;
    char id[4096];

    (void)state;
    assert_int_equal(ask_as("$bob", "POST", "/v1/resolve", NULL, "{'target':'web1'}", &answer),
                     200);
    assert_string_equal(cpn_json_string(answer, "targetResourceId"), spell(id, "$web1"));
    assert_string_equal(cpn_json_string(answer, "bastion"), spell(id, "$front"));
    json_decref(answer);
    assert_int_equal(ask_as("$bob", "POST", "/v1/resolve", NULL,
                            "{'target':'web1','bastion':'front','resourceGroup':'other'}", NULL),
                     404);
    assert_int_equal(ask_as("$ci", "POST", "/v1/resolve", NULL, "{'target':'web1'}", NULL), 404);
}

static void
what_resolves_is_decided_when_a_port_is_asked_for(void **state)
{
    json_t *answer = NULL;
    json_t *alone = NULL;

    (void)state;
    assert_int_equal(ask_as("$bob", "POST", "/v1/resolve", NULL, "{'target':'web1'}", &answer),
                     200);
    assert_null(json_object_get(answer, "decision"));
    json_decref(answer);
    assert_int_equal(
        ask_as("$bob", "POST", "/v1/resolve", NULL, "{'target':'web1','port':0}", NULL), 400);
    assert_int_equal(
        ask_as("$bob", "POST", "/v1/resolve", NULL, "{'target':'web1','port':22}", &answer), 200);
    assert_int_equal(ask_as("$bob", "POST", "/v1/can-i", NULL,
                            "{'bastion':'front','targetResourceId':'web1','port':22}", &alone),
                     200);
    assert_true(json_is_boolean(json_object_get(alone, "allowed")));
    assert_true(json_equal(json_object_get(answer, "decision"), alone));
    json_decref(alone);
    json_decref(answer);
}

static void
metrics_are_for_operators(void **state)
{
    cpn_msg m = { .type = CPN_MSG_REQUEST };

    (void)state;
    m.REQUEST = (cpn_msg_REQUEST){ .conn = ++st.conn,
                                   .admin = 1,
                                   .last = 1,
                                   .method = cpn_view_str("GET"),
                                   .path = cpn_view_str("/metrics") };
    say(&st.front, &m, -1);
    m = expect(&st.front, CPN_MSG_REPLY);
    assert_int_equal(m.REPLY.status, 200);
    assert_non_null(memmem(m.REPLY.body.p, m.REPLY.body.n, "caponier_policy_epoch 7\n", 24));
    m = (cpn_msg){ .type = CPN_MSG_REQUEST };
    m.REQUEST = (cpn_msg_REQUEST){ .conn = ++st.conn,
                                   .admin = 1,
                                   .last = 1,
                                   .method = cpn_view_str("GET"),
                                   .path = cpn_view_str("/v1/version") };
    say(&st.front, &m, -1);
    assert_int_equal(expect(&st.front, CPN_MSG_REPLY).REPLY.status, 404);
}

static void
what_is_stored_loads_again(void **state)
{
    cpn_snapshot *again = NULL;
    json_t *a;
    cpn_err err = { 0 };

    (void)state;
    a = apply_as("$ada", NULL,
                 "{'documents':[{'kind':'subscription','id':"
                 "'/subscriptions/99999999-2222-3333-4444-555555555555',"
                 "'body':{'displayName':'Other'}}]}",
                 200);
    json_decref(a);
    if (cpn_publish_load(&again, st.store, &st.c->set, &err) != CPN_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(cpn_snapshot_epoch(again), WORLD_EPOCH + 1);
    assert_non_null(
        cpn_snapshot_document(again, CPN_KIND_SUBSCRIPTION,
                              CPN_VIEW_LIT("/subscriptions/99999999-2222-3333-4444-555555555555")));
    cpn_snapshot_unref(again);
}

/* Whoever has no account cannot fill the disk with records. */
static void
strangers_calls_are_merged(void **state)
{
    json_t *records;

    (void)state;
    for (int i = 0; i < 20; i++)
        assert_int_equal(ask_as(NULL, "POST", "/v1/enrol", NULL, "{'code':1}", NULL), 409);
    (void)came(&st.keeper, CPN_MSG_NONE);
    records = audit_of("gateway.enrol");
    assert_int_equal(json_array_size(records), 1);
    json_decref(records);
    cpn_trail_flush(st.c, cpn_mono_ms(), true);
    (void)came(&st.keeper, CPN_MSG_NONE);
    records = audit_of("gateway.enrol");
    assert_int_equal(json_array_size(records), 2);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(records, 0), "count")) +
                         json_integer_value(json_object_get(json_array_get(records, 1), "count")),
                     19);
    json_decref(records);
}

/* A key of 32 bytes 0x55, in the wire's form. */
#define HOST_KEY "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVV"

static void
host_keys_that_are_refused(void **state)
{
    static const struct {
        const char *who, *body;
        int status;
    } refused[] = {
        { NULL, "{'scope':'$web1','key':'" HOST_KEY "'}", 401 },
        { "$ci", "{'scope':'$web1','key':'" HOST_KEY "'}", 403 },
        { "$bob", "{'scope':'$web1','key':'" HOST_KEY "'}", 403 },
        { "$ada", "{'scope':'$web1'}", 400 },
        { "$ada", "{'key':'" HOST_KEY "'}", 400 },
        { "$ada", "{'scope':'$web1','key':'" HOST_KEY "','more':1}", 400 },
        { "$ada", "{'scope':'$web1','key':['" HOST_KEY "']}", 400 },
        { "$ada", "{'scope':'$web1','key':''}", 400 },
        { "$ada", "{'scope':'$web1','key':'ssh-ed25519'}", 400 },
        { "$ada", "{'scope':'$web1','key':'ssh-ed25519 '}", 400 },
        { "$ada", "{'scope':'$web1','key':'ssh-ed25519 AAAA'}", 400 },
        { "$ada", "{'scope':'$web1','key':'ssh-dss AAAAB3NzaC1kc3MAAAABAA=='}", 400 },
        { "$ada", "{'scope':'$web1','key':'ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIFVVVVVV'}", 400 },
        { "$ada", "{'scope':'$web1','key':'@cert-authority " HOST_KEY "'}", 400 },
        { "$ada", "{'scope':'$web1','key':'* " HOST_KEY "'}", 400 },
        { "$ada", "{'scope':'$web1','key':'" HOST_KEY "\\n* " HOST_KEY "'}", 400 },
        { "$ada", "{'scope':'$web1','key':'\\n" HOST_KEY "'}", 400 },
        { "$ada", "{'scope':'$web1x','key':'" HOST_KEY "'}", 404 },
        { "$ada", "{'scope':'/nowhere','key':'" HOST_KEY "'}", 404 },
        { "$ada", "[]", 400 },
    };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++) {
        int got = ask_as(refused[i].who, "POST", "/v1/host-keys", NULL, refused[i].body, NULL);

        if (got != refused[i].status)
            fail_msg("%s: got %d, want %d", refused[i].body, got, refused[i].status);
    }
}

static void
a_host_key_is_kept_once_without_its_comment(void **state)
{
    static const char *const bodies[] = { "{'scope':'$web1','key':'" HOST_KEY "'}",
                                          "{'scope':'$web1','key':'" HOST_KEY " from me'}",
                                          "{'scope':'$web1','key':'" HOST_KEY " \\u001b[2J'}" };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(bodies); i++) {
        json_t *answer = NULL, *keys;
        size_t mine = 0, k;
        json_t *one;

        assert_int_equal(ask_as("$ada", "POST", "/v1/host-keys", NULL, bodies[i], &answer), 200);
        keys = json_object_get(answer, "sshHostKeys");
        json_array_foreach(keys, k, one)
        {
            mine += strcmp(json_string_value(one), HOST_KEY) == 0;
        }
        assert_int_equal(mine, 1);
        json_decref(answer);
    }
}

#define ON_STAGE(f) cmocka_unit_test_setup_teardown(f, stage_up, stage_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_complete),
        ON_STAGE(unknown_paths_and_methods),
        ON_STAGE(bad_bodies_are_refused),
        ON_STAGE(a_long_body_is_refused_before_it_comes),
        ON_STAGE(disabled_principals_are_nobody),
        ON_STAGE(apply_changes_once),
        ON_STAGE(apply_says_all_that_is_wrong),
        ON_STAGE(a_long_id_is_no_way_past),
        ON_STAGE(a_contributor_cannot_raise_themselves),
        ON_STAGE(apply_never_takes_the_callers_own_rights),
        ON_STAGE(two_writers_build_on_each_other),
        ON_STAGE(who_lost_the_role_meanwhile_changes_nothing),
        ON_STAGE(a_new_user_signs_in_and_wrong_secrets_cost),
        ON_STAGE(documents_are_those_that_one_may_read),
        ON_STAGE(host_keys_that_are_refused),
        ON_STAGE(a_host_key_is_kept_once_without_its_comment),
        ON_STAGE(names_resolve),
        ON_STAGE(what_resolves_is_decided_when_a_port_is_asked_for),
        ON_STAGE(metrics_are_for_operators),
        ON_STAGE(what_is_stored_loads_again),
        ON_STAGE(strangers_calls_are_merged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
