/* Roles, the directory and the sessions of a bastion, as Azure's clients read and write them.
 * Refusals first. */
#include "control_fixture.h"

#define VERSION "api-version=2020-04-01-preview"
#define ROLES_AT(scope, rest) scope "/providers/Microsoft.Authorization/role" rest
#define READER_GUID "acdd72a7-3385-48ef-bd42-f606fba81ae7"
#define READER_ID ROLES_AT(SUB, "Definitions/" READER_GUID)
#define WEB1_ID LAB CPU "virtualMachines/web1"
#define FRONT_ID LAB NET "bastionHosts/front"
#define NEW_AT(scope, n) ROLES_AT(scope, "Assignments/" GUID_OF(n))
#define WISH(principal, role)                                                                      \
    "{'properties':{'principalId':'" principal "','roleDefinitionId':'" role "'}}"

static json_t *
ask_ok(const char *who, const char *method, const char *path, const char *query, const char *body,
       int status)
{
    json_t *answer = NULL;
    int got = ask_as(who, method, path, query ? query : VERSION, body, &answer);

    if (got != status) {
        char *text = answer ? json_dumps(answer, 0) : NULL;

        fail_msg("%s %s by %s: %d %s", method, path, who, got, text ? text : "");
    }
    return answer;
}

static void
refused(const char *who, const char *method, const char *path, const char *body, int status,
        const char *code)
{
    json_t *answer = ask_ok(who, method, path, NULL, body, status);

    assert_string_equal(cpn_json_string(json_object_get(answer, "error"), "code"), code);
    json_decref(answer);
}

static size_t
count(const char *who, const char *path, const char *query)
{
    json_t *answer = ask_ok(who, "GET", path, query, NULL, 200);
    size_t n = json_array_size(json_object_get(answer, "value"));

    json_decref(answer);
    return n;
}

/* ---- assignments ---- */

static const struct {
    const char *who, *path, *body;
    int status;
    const char *code;
} puts_refused[] = {
    { NULL, NEW_AT(LAB, "b1"), WISH("$ci", READER_ID), 401, "AuthenticationFailed" },
    { "$ci", NEW_AT(LAB, "b1"), WISH("$ci", READER_ID), 403, "AuthorizationFailed" },
    { "$bob", NEW_AT(LAB, "b1"), WISH("$ci", READER_ID), 403, "AuthorizationFailed" },
    { "$bob", NEW_AT("", "b1"), WISH("$ci", READER_ID), 403, "AuthorizationFailed" },
    { "$ada", ROLES_AT(LAB, "Assignments/x"), WISH("$ci", READER_ID), 400,
      "InvalidRoleAssignmentId" },
    { "$ada", NEW_AT(LAB "x", "b1"), WISH("$ci", READER_ID), 404, "ResourceGroupNotFound" },
    { "$ada", NEW_AT(LAB CPU "virtualMachines/ghost", "b1"), WISH("$ci", READER_ID), 404,
      "ResourceNotFound" },
    { "$ada", NEW_AT(LAB, "b1"), "{}", 400, "PrincipalNotFound" },
    { "$ada", NEW_AT(LAB, "b1"), WISH("$nobody", READER_ID), 400, "PrincipalNotFound" },
    { "$ada", NEW_AT(LAB, "b1"), "{'properties':{'principalId':'$ci'}}", 400,
      "InvalidRoleDefinitionId" },
    { "$ada", NEW_AT(LAB, "b1"), WISH("$ci", "Reader"), 400, "InvalidRoleDefinitionId" },
    { "$ada", NEW_AT(LAB, "b1"), WISH("$ci", "/x/y"), 404, "RoleDefinitionDoesNotExist" },
    { "$ada", NEW_AT(LAB, "b1"), WISH("$ci", ROLES_AT(SUB, "Definitions/" GUID_OF("77"))), 404,
      "RoleDefinitionDoesNotExist" },
    { "$ada", NEW_AT(LAB, "b1"),
      "{'properties':{'principalId':'$ci','principalType':'User','roleDefinitionId':'" READER_ID
      "'}}",
      400, "UnmatchedPrincipalType" },
    { "$ada", NEW_AT(LAB, "b1"),
      "{'properties':{'principalId':'$ci','condition':'true','roleDefinitionId':'" READER_ID "'}}",
      400, "InvalidRoleAssignmentCondition" },
    { "$ada", NEW_AT("", "b1"), WISH("$bob", READER_ID), 409, "RoleAssignmentExists" },
    { "$ada", NEW_AT("", "a2"), WISH("$ci", READER_ID), 409, "RoleAssignmentUpdateNotPermitted" },
};

static void
puts_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < CPN_COUNT(puts_refused); i++)
        refused(puts_refused[i].who, "PUT", puts_refused[i].path, puts_refused[i].body,
                puts_refused[i].status, puts_refused[i].code);
    assert_int_equal(cpn_snapshot_epoch(st.c->snapshot), WORLD_EPOCH);
}

static void
an_assignment_comes_and_goes(void **state)
{
    json_t *answer, *properties, *trail;

    (void)state;
    answer = ask_ok("$ada", "PUT", NEW_AT(WEB1_ID, "b1"), NULL, WISH("$ci", READER_ID), 201);
    properties = json_object_get(answer, "properties");
    assert_string_equal(cpn_json_string(answer, "id"), NEW_AT(WEB1_ID, "b1"));
    assert_string_equal(cpn_json_string(answer, "name"), GUID_OF("b1"));
    assert_string_equal(cpn_json_string(properties, "scope"), WEB1_ID);
    assert_string_equal(cpn_json_string(properties, "roleDefinitionId"), READER_ID);
    assert_string_equal(cpn_json_string(properties, "principalType"), "ServicePrincipal");
    json_decref(answer);
    /* Again: the same. With another id: it exists. */
    json_decref(ask_ok("$ada", "PUT", NEW_AT(WEB1_ID, "b1"), NULL, WISH("$ci", READER_ID), 201));
    refused("$ada", "PUT", NEW_AT(WEB1_ID, "b2"), WISH("$ci", READER_ID), 409,
            "RoleAssignmentExists");
    /* The same document for the gateway's own API, by name. */
    assert_int_equal(ask_as("$ada", "POST", "/v1/role-assignments", NULL,
                            "{'principal':'ci','role':'reader','scope':'$web1'}", NULL),
                     409);
    json_decref(ask_ok("$ci", "GET", NEW_AT(WEB1_ID, "b1"), NULL, NULL, 200));
    refused("$ci", "DELETE", NEW_AT(WEB1_ID, "b1"), NULL, 403, "AuthorizationFailed");
    json_decref(ask_ok("$ada", "DELETE", NEW_AT(WEB1_ID, "B1"), NULL, NULL, 200));
    assert_int_equal(ask_as("$ada", "DELETE", NEW_AT(WEB1_ID, "b1"), VERSION, NULL, NULL), 204);
    refused("$ada", "GET", NEW_AT(WEB1_ID, "b1"), NULL, 404, "RoleAssignmentNotFound");
    trail = audit_of("role.assign");
    assert_string_equal(cpn_json_string(json_array_get(trail, 0), "role"), "Reader");
    json_decref(trail);
}

static void
descriptions_are_kept_and_changed(void **state)
{
    static const char first[] = "{'properties':{'principalId':'$ci','description':'one',"
                                "'roleDefinitionId':'" READER_ID "'}}";
    static const char second[] = "{'properties':{'principalId':'$ci','description':'two',"
                                 "'roleDefinitionId':'" READER_ID "'}}";
    json_t *answer;

    (void)state;
    json_decref(ask_ok("$ada", "PUT", NEW_AT(LAB, "b1"), NULL, first, 201));
    answer = ask_ok("$ada", "PUT", NEW_AT(LAB, "b1"), NULL, second, 201);
    assert_string_equal(cpn_json_string(json_object_get(answer, "properties"), "description"),
                        "two");
    json_decref(answer);
}

static void
denials_are_not_assignments(void **state)
{
    json_t *answer = NULL;
    const char *id;

    (void)state;
    assert_int_equal(ask_as("$ada", "POST", "/v1/role-assignments", NULL,
                            "{'principal':'$bob','role':'Reader','scope':'$web1','effect':'Deny'}",
                            &answer),
                     201);
    id = cpn_json_string(answer, "id");
    assert_int_equal(count("$ada", ROLES_AT(WEB1_ID, "Assignments"), VERSION), 2); /* inherited */
    refused("$ada", "GET", id, NULL, 404, "RoleAssignmentNotFound");
    refused("$ada", "DELETE", id, NULL, 409, "DenyAssignment");
    refused("$ada", "PUT", id, WISH("$bob", READER_ID), 409, "RoleAssignmentExists");
    json_decref(answer);
}

/* ada Owner and bob Reader of everything; ci Reader of web1, ops (bob, ci) Reader of the bastion.
 */
static void
give_two(void)
{
    json_decref(ask_ok("$ada", "PUT", NEW_AT(WEB1_ID, "b1"), NULL, WISH("$ci", READER_ID), 201));
    json_decref(ask_ok("$ada", "PUT", NEW_AT(FRONT_ID, "b2"), NULL, WISH("$ops", READER_ID), 201));
}

static const struct {
    const char *who, *path, *query;
    size_t n;
} lists[] = {
    { "$ada", ROLES_AT("", "Assignments"), VERSION, 4 },
    { "$ada", ROLES_AT(SUB, "Assignments"), VERSION, 4 },
    { "$ada", ROLES_AT(SUB, "Assignments"), VERSION "&$filter=atScope()", 2 },
    { "$ada", ROLES_AT(WEB1_ID, "Assignments"), VERSION, 3 },
    { "$ada", ROLES_AT(WEB1_ID, "assignments"), VERSION "&$filter=atScope%28%29", 3 },
    { "$ada", ROLES_AT(SUB, "Assignments"),
      VERSION "&$filter=principalId%20eq%20'" GUID_OF("04") "'", 1 },
    { "$ada", ROLES_AT(SUB, "Assignments"), VERSION "&$filter=assignedTo('" GUID_OF("04") "')", 2 },
    { "$ada", ROLES_AT(FRONT_ID, "Assignments"),
      VERSION "&$filter=atScope()+and+assignedTo('" GUID_OF("02") "')", 2 },
    { "$bob", ROLES_AT(SUB, "Assignments"), VERSION, 4 },
    /* ci may read what lies below, and what is inherited where it may read. */
    { "$ci", ROLES_AT(SUB, "Assignments"), VERSION, 2 },
    { "$ci", ROLES_AT(SUB, "Assignments"), VERSION "&$filter=atScope()", 0 },
    { "$ci", ROLES_AT(WEB1_ID, "Assignments"), VERSION, 3 },
    { "$ci", ROLES_AT("", "Assignments"), VERSION, 2 },
    { "$ada", ROLES_AT(LAB "x", "Assignments"), VERSION, 2 },
};

static void
lists_are_what_the_caller_may_read(void **state)
{
    (void)state;
    give_two();
    for (size_t i = 0; i < CPN_COUNT(lists); i++) {
        size_t n = count(lists[i].who, lists[i].path, lists[i].query);

        if (n != lists[i].n)
            fail_msg("%s by %s, %s: %zu, not %zu", lists[i].path, lists[i].who, lists[i].query, n,
                     lists[i].n);
    }
    assert_int_equal(ask_as("$ada", "GET", ROLES_AT("", "Assignments"),
                            VERSION "&$filter=name%20eq%20'x'", NULL, NULL),
                     400);
}

static void
lists_go_on_at_their_link(void **state)
{
    json_t *answer;
    const char *link;

    (void)state;
    give_two();
    answer = ask_ok("$ada", "GET", ROLES_AT("", "Assignments"), VERSION "&$top=3", NULL, 200);
    assert_int_equal(json_array_size(json_object_get(answer, "value")), 3);
    link = strchr(cpn_json_string(answer, "nextLink"), '?');
    assert_non_null(link);
    assert_int_equal(count("$ada", ROLES_AT("", "Assignments"), link + 1), 1);
    json_decref(answer);
}

/* ---- definitions ---- */

static void
definitions_have_azures_ids(void **state)
{
    json_t *answer, *role;

    (void)state;
    assert_int_equal(count("$ada", ROLES_AT(SUB, "Definitions"), VERSION), 6);
    assert_int_equal(count("$ci", ROLES_AT(SUB, "Definitions"), VERSION), 5); /* built in */
    assert_int_equal(
        count("$ada", ROLES_AT(SUB, "Definitions"), VERSION "&$filter=type+eq+'CustomRole'"), 1);
    answer = ask_ok("$ada", "GET", ROLES_AT(WEB1_ID, "Definitions"),
                    VERSION "&$filter=roleName%20eq%20'reader'", NULL, 200);
    role = json_array_get(json_object_get(answer, "value"), 0);
    assert_int_equal(json_array_size(json_object_get(answer, "value")), 1);
    assert_string_equal(cpn_json_string(role, "id"), READER_ID);
    assert_string_equal(cpn_json_string(json_object_get(role, "properties"), "roleName"), "Reader");
    json_decref(answer);
    json_decref(ask_ok("$ci", "GET", ROLES_AT("", "Definitions/" READER_GUID), NULL, NULL, 200));
    refused("$ci", "GET", ROLES_AT("", "Definitions/seer"), NULL, 404,
            "RoleDefinitionDoesNotExist");
    json_decref(ask_ok("$bob", "GET", ROLES_AT(LAB, "Definitions/seer"), NULL, NULL, 200));
}

/* ---- the directory ---- */

static void
who_gives_roles_finds_people_by_name(void **state)
{
    static const char bob[] = "$filter=userPrincipalName%20eq%20'bob%40example.test'";
    static const char ci[] = "$filter=servicePrincipalNames%2Fany%28c%3Ac%20eq%20"
                             "'99999999-2222-3333-4444-55555555555a'%29";

    (void)state;
    assert_int_equal(count("$ada", "/v1.0/users", bob), 1);
    assert_int_equal(count("$ada", "/v1.0/users", "$filter=userPrincipalName%20eq%20'x'"), 0);
    assert_int_equal(count("$ada", "/v1.0/servicePrincipals", ci), 1);
    assert_int_equal(count("$ada", "/v1.0/users", ""), 3);
    assert_int_equal(count("$ada", "/v1.0/groups", ""), 1);
    assert_int_equal(count("$ci", "/v1.0/users", bob), 0);
    assert_int_equal(count("$ci", "/v1.0/servicePrincipals", ci), 1); /* itself */
    /* Owner of one machine: by its name, but not all of them. */
    json_decref(ask_ok("$ada", "PUT", NEW_AT(WEB1_ID, "b1"), NULL,
                       WISH("$ci", ROLES_AT(SUB, "Definitions/8e3af657-a8ff-443c-a75c-"
                                                 "2fe8c4bcb635")),
                       201));
    assert_int_equal(count("$ci", "/v1.0/users", bob), 1);
    assert_int_equal(count("$ci", "/v1.0/users", ""), 0);
    assert_int_equal(ask_as("$ada", "GET", "/v1.0/users", "$filter=x", NULL, NULL), 400);
}

static void
several_by_their_ids(void **state)
{
    json_t *answer = NULL, *value;

    (void)state;
    assert_int_equal(ask_as("$ada", "POST", "/v1.0/directoryObjects/getByIds", NULL,
                            "{'ids':['$bob','$ci','$ops','$nobody','ada@example.test',7],"
                            "'types':['user']}",
                            &answer),
                     200);
    value = json_object_get(answer, "value");
    assert_int_equal(json_array_size(value), 3);
    assert_string_equal(cpn_json_string(json_array_get(value, 0), "@odata.type"),
                        "#microsoft.graph.user");
    json_decref(answer);
    answer = NULL;
    assert_int_equal(ask_as("$ci", "POST", "/v1.0/directoryObjects/getByIds", NULL,
                            "{'ids':['$bob','$ci']}", &answer),
                     200);
    assert_int_equal(json_array_size(json_object_get(answer, "value")), 1); /* itself */
    json_decref(answer);
    json_decref(ask_ok("$ci", "GET", "/v1.0/me", "", NULL, 200));
}

/* ---- sessions ---- */

static const char *const documented[] = {
    "sessionId",
    "startTime",
    "targetSubscriptionId",
    "resourceType",
    "targetHostName",
    "targetResourceGroup",
    "userName",
    "targetIpAddress",
    "protocol",
    "targetResourceId",
    "sessionDurationInMins",
    /* and ours */
    "clientAddress",
    "bytesUp",
    "bytesDown",
    "node",
};

static json_t *
active(void)
{
    json_t *answer, *one;

    assert_int_equal(ask_as("$ada", "POST", FRONT_ID "/getActiveSessions", VERSION, NULL, NULL),
                     202);
    answer = ask_ok("$ada", "GET", FRONT_ID "/getActiveSessions", NULL, NULL, 200);
    assert_int_equal(json_array_size(json_object_get(answer, "value")), 1);
    one = json_incref(json_array_get(json_object_get(answer, "value"), 0));
    json_decref(answer);
    return one;
}

static void
sessions_are_shown_and_cut(void **state)
{
    json_t *one, *answer, *said;
    char body[256];

    (void)state;
    (void)open_session(carrier_of("$bob"), 1);
    one = active();
    for (size_t i = 0; i < CPN_COUNT(documented); i++)
        if (!json_object_get(one, documented[i]))
            fail_msg("%s is missing", documented[i]);
    assert_string_equal(cpn_json_string(one, "protocol"), "SSH");
    assert_string_equal(cpn_json_string(one, "resourceType"), "VM");
    assert_string_equal(cpn_json_string(one, "targetResourceGroup"), "lab");
    assert_string_equal(cpn_json_string(one, "targetResourceId"), WEB1_ID);
    snprintf(body, sizeof(body), "{'sessionIds':['%s','x']}", cpn_json_string(one, "sessionId"));
    refused("$bob", "POST", FRONT_ID "/disconnectActiveSessions", body, 403, "AuthorizationFailed");
    refused("$ada", "POST", FRONT_ID "/disconnectActiveSessions", "{}", 400,
            "InvalidRequestContent");
    refused("$ada", "POST", FRONT_ID "x/disconnectActiveSessions", body, 404, "ResourceNotFound");
    answer = ask_ok("$ada", "POST", FRONT_ID "/disconnectActiveSessions", NULL, body, 200);
    said = json_object_get(answer, "value");
    assert_string_equal(cpn_json_string(json_array_get(said, 0), "state"), "Disconnected");
    assert_string_equal(cpn_json_string(json_array_get(said, 1), "state"), "NotFound");
    (void)expect(&st.keeper, CPN_MSG_SHUT);
    json_decref(answer);
    json_decref(one);
    assert_int_equal(count("$ada", FRONT_ID "/getActiveSessions", VERSION), 0);
}

static void
taking_an_assignment_cuts(void **state)
{
    (void)state;
    (void)open_session(carrier_of("$bob"), 1);
    json_decref(
        ask_ok("$ada", "DELETE", ROLES_AT("", "Assignments/" GUID_OF("a2")), NULL, NULL, 200));
    (void)expect(&st.keeper, CPN_MSG_SHUT);
    assert_int_equal(count("$ada", FRONT_ID "/getActiveSessions", VERSION), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, stage_up, stage_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(puts_are_refused),
        TEST(an_assignment_comes_and_goes),
        TEST(descriptions_are_kept_and_changed),
        TEST(denials_are_not_assignments),
        TEST(lists_are_what_the_caller_may_read),
        TEST(lists_go_on_at_their_link),
        TEST(definitions_have_azures_ids),
        TEST(who_gives_roles_finds_people_by_name),
        TEST(several_by_their_ids),
        TEST(sessions_are_shown_and_cut),
        TEST(taking_an_assignment_cuts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
