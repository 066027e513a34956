/* Bastions as Azure's clients write them. Refusals first. */
#include "control_arm.h"

#include "control/arm_ops.h"

/* ---- refusals ---- */

static const struct {
    const char *body;
    const char *code;
} bad_puts[] = {
    { "{}", "LocationRequired" },
    { "[]", "InvalidRequestContent" },
    { "{'location':1}", "InvalidRequestFormat" },
    { "{'location':'local'}", "InvalidParameter" },
    { "{'location':'local','surprise':1}", "InvalidRequestFormat" },
    { "{'location':'local','properties':[]}", "InvalidRequestFormat" },
    { "{'location':'elsewhere','properties':{" CONFIGURATION "}}", "InvalidResourceLocation" },
    { NEW("'sku':{'name':'Huge'},", ""), "InvalidParameter" },
    { NEW("'sku':'Standard',", ""), "InvalidRequestFormat" },
    { NEW("'zones':['1'],", ""), "InvalidParameter" },
    { NEW("'identity':{'type':'SystemAssigned'},", ""), "InvalidParameter" },
    { NEW("'tags':{'a':1},", ""), "InvalidParameter" },
    { NEW("'tags':[],", ""), "InvalidRequestFormat" },
    { NEW("", "'scaleUnits':1,"), "InvalidRequestFormat" },
    { NEW("", "'scaleUnits':51,"), "InvalidRequestFormat" },
    { NEW("", "'scaleUnits':'2',"), "InvalidRequestFormat" },
    { NEW("", "'enableTunneling':'yes',"), "InvalidRequestFormat" },
    { NEW("", "'enableSessionRecording':true,"), "InvalidParameter" },
    { NEW("", "'enableShareableLink':true,"), "InvalidParameter" },
    { NEW("", "'enableKerberos':true,"), "InvalidParameter" },
    { NEW("", "'enablePrivateOnlyBastion':true,"), "InvalidParameter" },
    { NEW("", "'sessionRecordingConfiguration':{},"), "InvalidParameter" },
    { NEW("", "'networkAcls':{'ipRules':[{'addressPrefix':'192.0.2.0/24'}]},"),
      "InvalidParameter" },
    { NEW("", "'enableMagic':true,"), "InvalidRequestFormat" },
    { NEW("", "'ports':[0],"), "InvalidParameter" },
    { NEW("", "'protocols':['ssh'],"), "InvalidParameter" },
    { "{'location':'local','properties':{'ipConfigurations':[]}}", "InvalidParameter" },
    { "{'location':'local','properties':{'ipConfigurations':[7]}}", "InvalidRequestFormat" },
    { "{'location':'local','properties':{'ipConfigurations':[{},{}]}}", "InvalidRequestFormat" },
    { "{'location':'local','properties':{'ipConfigurations':[{'properties':{'subnet':{'id':"
      "'$hub/subnets/default'}}}]}}",
      "InvalidParameter" },
    { "{'location':'local','properties':{'ipConfigurations':[{'properties':{'subnet':{'id':"
      "'/subnets/AzureBastionSubnet'}}}]}}",
      "InvalidParameter" },
    { "{'location':'local','properties':{'ipConfigurations':[{'properties':{'subnet':{'id':"
      "'" LAB NET "virtualNetworks/ghost/subnets/AzureBastionSubnet'}}}]}}",
      "InvalidResourceReference" },
    { "{'location':'local','properties':{'ipConfigurations':[{'properties':{" SUBNET
      ",'publicIPAddress':{'id':'$web1'}}}]}}",
      "InvalidParameter" },
};

static void
bad_bodies_are_refused(void **state)
{
    char code[64];

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(bad_puts); i++) {
        int status = arm_code("$ada", "PUT", BASTION "front", NULL, bad_puts[i].body, code);

        if (strcmp(code, bad_puts[i].code) != 0 || (status != 400 && status != 409))
            fail_msg("%s: %d %s", bad_puts[i].body, status, code);
    }
    assert_int_equal(cpn_snapshot_epoch(st.c->snapshot), WORLD_EPOCH);
    records_are("bastion.write", 8, CPN_COUNT(bad_puts)); /* of six reasons, two with a count */
    assert_int_equal(arm_code("$ada", "PATCH", BASTION "front", NULL, "{'sku':{}}", code), 400);
    assert_int_equal(arm_code("$ada", "PATCH", BASTION "front", NULL, "{}", code), 400);
    assert_int_equal(arm_code("$ada", "PATCH", BASTION "ghost", NULL, "{'tags':{}}", code), 404);
    assert_string_equal(code, "ResourceNotFound");
}

static void
what_is_missing_is_named(void **state)
{
    char code[64];

    (void)state;
    assert_int_equal(arm_code("$ada", "GET", BASTION "ghost", NULL, NULL, code), 404);
    assert_string_equal(code, "ResourceNotFound");
    assert_int_equal(
        arm_code("$ada", "GET", SUB "/resourceGroups/no" NET "bastionHosts/x", NULL, NULL, code),
        404);
    assert_string_equal(code, "ResourceGroupNotFound");
    assert_int_equal(
        arm_code("$ada", "GET", "/subscriptions/none/resourceGroups/x", NULL, NULL, code), 404);
    assert_string_equal(code, "SubscriptionNotFound");
    assert_int_equal(
        arm_code("$ada", "GET", SUB "/resourceGroups/no" NET "bastionHosts", NULL, NULL, code),
        404);
    assert_int_equal(arm_code("$ada", "PUT", SUB "/resourceGroups/no" NET "bastionHosts/x", NULL,
                              NEW("", ""), code),
                     404);
    assert_string_equal(code, "ResourceGroupNotFound");
    /* Who may not read is told the same of what is there and of what is not. */
    assert_int_equal(arm_code("$ci", "GET", BASTION "front", NULL, NULL, code), 403);
    assert_string_equal(code, "AuthorizationFailed");
    assert_int_equal(arm_code("$ci", "GET", BASTION "ghost", NULL, NULL, code), 403);
    assert_int_equal(arm_code("$ci", "GET", "/subscriptions/none", NULL, NULL, code), 403);
    assert_int_equal(arm_code("$ci", "GET", SUB, NULL, NULL, code), 403);
    assert_int_equal(
        arm_code("$ci", "GET", SUB "/resourceGroups/no" NET "bastionHosts", NULL, NULL, code), 200);
}

/* Rights over a bastion are none over a network. */
static void
a_network_must_be_joined(void **state)
{
    char code[64];

    (void)state;
    assert_int_equal(ask_as("$ada", "POST", "/v1/role-assignments", NULL,
                            "{'principal':'ci','role':'Contributor','scope':'$lab2'}", NULL),
                     201);
    assert_int_equal(arm_code("$ci", "PUT", "$lab2" NET "bastionHosts/b", NULL, NEW("", ""), code),
                     403);
    assert_string_equal(code, "LinkedAuthorizationFailed");
    assert_int_equal(
        arm_code("$ci", "PUT", "$lab2" NET "bastionHosts/b", NULL,
                 "{'location':'local','properties':{'ipConfigurations':[{'properties':{'subnet':"
                 "{'id':'" LAB NET "virtualNetworks/ghost/subnets/AzureBastionSubnet'}}}]}}",
                 code),
        403);
}

static void
assign(const char *body)
{
    assert_int_equal(ask_as("$ada", "POST", "/v1/role-assignments", NULL, body, NULL), 201);
}

static size_t
assignments_at(const char *path)
{
    json_t *answer = NULL;
    size_t n;

    assert_int_equal(arm("$ada", "GET", path, V24 "&%24filter=atScope()", NULL, NULL, &answer),
                     200);
    n = json_array_size(json_object_get(answer, "value"));
    json_decref(answer);
    return n;
}

static void
what_is_denied_on_stays_with_all_of_it(void **state)
{
    char code[64];
    json_t *records;

    (void)state;
    assign("{'principal':'ci','role':'Reader','scope':'$front'}");
    assign("{'principal':'bob@example.test','role':'Reader','scope':'$front','effect':'Deny'}");
    assert_int_equal(arm_code("$ada", "DELETE", BASTION "front", NULL, NULL, code), 409);
    assert_string_equal(code, "Conflict");
    assert_int_equal(arm("$ci", "GET", BASTION "front", NULL, NULL, NULL, NULL), 200);
    records = audit_of("role.remove");
    assert_int_equal(json_array_size(records), 0);
    json_decref(records);
}

static void
allowing_assignments_go_with_their_bastion(void **state)
{
    static const char at[] = BASTION "front" ASSIGNMENTS;
    char list[512];
    size_t inherited;
    json_t *records;

    (void)state;
    snprintf(list, sizeof(list), "%.*s", (int)strlen(at) - 1, at);
    inherited = assignments_at(list);
    assign("{'principal':'ci','role':'Reader','scope':'$front'}");
    assign("{'principal':'ci','role':'Contributor','scope':'$front'}");
    assign("{'principal':'ci','role':'Reader','scope':'$hub'}");
    assert_int_equal(assignments_at(list), inherited + 2);
    assert_int_equal(arm("$ci", "DELETE", BASTION "front", NULL, NULL, NULL, NULL), 202);
    records = audit_of("role.remove");
    assert_int_equal(json_array_size(records), 2);
    for (size_t i = 0; i < 2; i++) {
        const json_t *r = json_array_get(records, i);

        assert_non_null(strstr(cpn_json_string(r, "target"), "bastionHosts/front/providers/"));
        assert_string_equal(cpn_json_string(r, "userEmail"), "ci");
    }
    json_decref(records);
    /* Made anew it is without them; the network's stays. */
    assert_int_equal(arm("$ada", "PUT", BASTION "front", NULL, NULL, NEW("", ""), NULL), 201);
    assert_int_equal(arm("$ci", "GET", BASTION "front", NULL, NULL, NULL, NULL), 403);
    assert_int_equal(arm("$ci", "GET", "$hub", NULL, NULL, NULL, NULL), 200);
}

static void
etags_are_honoured(void **state)
{
    char match[2100], code[64];

    (void)state;
    assert_int_equal(arm("$ada", "GET", BASTION "front", NULL, NULL, NULL, NULL), 200);
    snprintf(match, sizeof(match), "if-match: %s\r\n", header("ETag"));
    assert_int_equal(arm("$ada", "PATCH", BASTION "front", NULL, match, "{'tags':{'a':'b'}}", NULL),
                     200);
    assert_int_equal(arm_code("$ada", "PATCH", BASTION "front", match, "{'tags':{'a':'c'}}", code),
                     412);
    assert_string_equal(code, "PreconditionFailed");
    assert_int_equal(arm_code("$ada", "PUT", BASTION "front", match, NEW("", ""), code), 412);
    assert_int_equal(arm_code("$ada", "DELETE", BASTION "front", match, NULL, code), 412);
    assert_int_equal(
        arm_code("$ada", "PUT", BASTION "front", "if-none-match: *\r\n", NEW("", ""), code), 412);
    assert_int_equal(arm_code("$ada", "PUT", BASTION "new", "if-match: *\r\n", NEW("", ""), code),
                     412);
    /* A list that is longer than we read does not become no condition. */
    snprintf(match, sizeof(match), "if-match: %0300d\r\n", 0);
    assert_int_equal(arm_code("$ada", "DELETE", BASTION "front", match, NULL, code), 412);
    snprintf(match, sizeof(match), "if-none-match: %0300d\r\n", 0);
    assert_int_equal(arm_code("$ada", "PUT", BASTION "front", match, NEW("", ""), code), 412);
}

/* An error that quotes a long name is cut, maybe through a character. */
static void
a_cut_character_is_survived(void **state)
{
    json_t *answer = NULL;

    (void)state;
    assert_int_equal(arm("$ada", "PUT", BASTION "front", NULL, NULL,
                         "{'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaéé':1}",
                         &answer),
                     400);
    assert_non_null(answer);
    json_decref(answer);
}

/* ---- what works ---- */

/* A reference without an id is none. */
static void
what_was_not_given_may_be_an_empty_object(void **state)
{
    (void)state;
    assert_int_equal(arm("$ada", "PUT", BASTION "hollow", NULL, NULL,
                         "{'location':'local','properties':{'virtualNetwork':{},'networkAcls':{},"
                         "'ipConfigurations':[{'name':'c','properties':{" SUBNET
                         ",'publicIPAddress':{'id':null}}}]}}",
                         NULL),
                     201);
    assert_int_equal(arm("$ada", "DELETE", BASTION "hollow", NULL, NULL, NULL, NULL), 202);
    assert_int_equal(arm("$ada", "PUT", BASTION "hollow", NULL, NULL,
                         "{'location':'local','properties':{'ipConfigurations':[{'name':'c',"
                         "'properties':{'subnet':{}}}]}}",
                         NULL),
                     400);
}

static void
a_bastion_is_made_changed_and_deleted(void **state)
{
    json_t *b = NULL, *p, *audit;
    const char *path;
    char url[2048], query[64];

    (void)state;
    assert_int_equal(
        arm("$ada", "PUT", SUB "/resourcegroups/LAB" NET "bastionhosts/door", NULL,
            "x-ms-client-request-id: 7\r\n",
            "{'location':'local','sku':{'name':'premium'},'tags':{'käse':'ja'},'properties':{"
            "'enableTunneling':true,'enableIpConnect':null,'disableCopyPaste':true,'scaleUnits':3,"
            "'ports':[22],'dnsName':'x','ipConfigurations':[{'name':'conf','properties':{" SUBNET
            ",'publicIPAddress':{'id':'" LAB NET "publicIPAddresses/pip'}}}]}}",
            &b),
        201);
    assert_string_equal(cpn_json_string(b, "id"), BASTION "door");
    assert_string_equal(cpn_json_string(b, "etag"), header("ETag"));
    assert_string_equal(header("x-ms-client-request-id"), "7");
    assert_string_equal(cpn_json_string(json_object_get(b, "sku"), "name"), "Premium");
    assert_string_equal(cpn_json_string(json_object_get(b, "tags"), "käse"), "ja");
    p = json_object_get(b, "properties");
    assert_true(json_is_true(json_object_get(p, "enableTunneling")));
    assert_true(json_is_false(json_object_get(p, "enableIpConnect")));
    assert_true(json_is_true(json_object_get(p, "disableCopyPaste")));
    assert_int_equal(json_integer_value(json_object_get(p, "scaleUnits")), 3);
    assert_string_equal(cpn_json_string(p, "dnsName"), "localhost:8443");
    p = json_array_get(json_object_get(p, "ipConfigurations"), 0);
    assert_string_equal(cpn_json_string(p, "name"), "conf");
    p = json_object_get(p, "properties");
    assert_string_equal(cpn_json_string(json_object_get(p, "subnet"), "id"),
                        LAB NET "virtualNetworks/hub/subnets/AzureBastionSubnet");
    assert_string_equal(cpn_json_string(json_object_get(p, "publicIPAddress"), "id"),
                        LAB NET "publicIPAddresses/pip");
    json_decref(b);
    /* the operation is its maker's */
    snprintf(url, sizeof(url), "%s", header("Azure-AsyncOperation"));
    path = strstr(url, "/subscriptions/");
    snprintf(query, sizeof(query), "%s", strchr(path, '?') + 1);
    *strchr(url, '?') = '\0';
    assert_int_equal(arm("$ada", "GET", path, query, NULL, NULL, &b), 200);
    assert_string_equal(cpn_json_string(b, "status"), "Succeeded");
    json_decref(b);
    assert_int_equal(arm("$bob", "GET", path, query, NULL, NULL, NULL), 404);
    /* a client that does not know ports does not open them */
    assert_int_equal(arm("$ada", "PUT", BASTION "DOOR", NULL, NULL, NEW("", ""), &b), 200);
    assert_string_equal(cpn_json_string(b, "name"), "door");
    p = json_object_get(b, "properties");
    assert_int_equal(json_array_size(json_object_get(p, "ports")), 1);
    assert_true(json_is_false(json_object_get(p, "enableTunneling")));
    assert_null(json_object_get(b, "tags"));
    json_decref(b);
    assert_int_equal(arm("$ada", "DELETE", BASTION "door", NULL, NULL, NULL, NULL), 202);
    snprintf(url, sizeof(url), "%s", header("Location"));
    *strchr(url, '?') = '\0';
    assert_int_equal(arm("$ada", "GET", strstr(url, "/subscriptions/"), query, NULL, NULL, NULL),
                     204);
    assert_int_equal(arm("$ada", "DELETE", BASTION "door", NULL, NULL, NULL, NULL), 204);
    assert_int_equal(arm("$ada", "GET", BASTION "door", NULL, NULL, NULL, NULL), 404);
    audit = audit_of("bastion.delete");
    assert_int_equal(json_array_size(audit), 2);
    assert_string_equal(cpn_json_string(json_array_get(audit, 0), "target"), BASTION "door");
    json_decref(audit);
}

/* The path and query of an address in a header of the last answer. */
static const char *
operation_in(const char *name, char query[64])
{
    static char url[2048];

    snprintf(url, sizeof(url), "%s", header(name));
    snprintf(query, 64, "%s", strchr(url, '?') + 1);
    *strchr(url, '?') = '\0';
    return strstr(url, "/subscriptions/");
}

/* Of what was written: also when control was started anew before the client asks. */
static void
each_change_has_its_operation(void **state)
{
    static const struct {
        const char *method, *body;
        int status;
    } each[] = {
        { "PUT", NEW("", ""), 201 },
        { "PUT", NEW("", ""), 200 },
        { "PATCH", "{'tags':{'a':'b'}}", 200 },
        { "DELETE", NULL, 202 },
    };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(each); i++) {
        char query[64], path[512];
        json_t *answer = NULL;

        assert_int_equal(
            arm("$ada", each[i].method, BASTION "door", NULL, NULL, each[i].body, NULL),
            each[i].status);
        snprintf(path, sizeof(path), "%s", operation_in("Azure-AsyncOperation", query));
        cpn_arm_ops_free(st.c->arm_ops); /* what control forgets when it ends */
        st.c->arm_ops = cpn_arm_ops_new();
        assert_int_equal(arm("$ada", "GET", path, query, NULL, NULL, &answer), 200);
        assert_string_equal(cpn_json_string(answer, "status"), "Succeeded");
        json_decref(answer);
        assert_int_equal(arm("$bob", "GET", path, query, NULL, NULL, NULL), 404);
        path[strlen(path) - 1] ^= 1;
        assert_int_equal(arm("$ada", "GET", path, query, NULL, NULL, NULL), 404);
    }
}

/* Ids in any script, longer than a line of a refusal takes, pass through errors and refusals. */
static void
names_in_any_script_are_survived(void **state)
{
    char path[4096], body[4096] = "{'target':'", code[64];
    char group[256] = "";

    (void)state;
    for (int i = 0; i < 84; i++)
        strcat(group, "\xe6\x9d\xb1"); /* three bytes each */
    snprintf(path, sizeof(path), SUB "/resourceGroups/%s%s", group, NET "bastionHosts/x");
    assert_int_equal(arm_code("$ada", "GET", path, NULL, NULL, code), 404);
    assert_string_equal(code, "ResourceGroupNotFound");
    assert_int_equal(arm_code("$ci", "GET", path, NULL, NULL, code), 403);
    for (int pad = 0; pad < 4; pad++) {
        snprintf(body, sizeof(body),
                 "{'bastion':'/subscriptions/%.*s/resourceGroups/%s/providers/Microsoft.Network/"
                 "bastionHosts/%080d','targetResourceId':'/subscriptions/%.*s/resourceGroups/%s"
                 "/providers/Microsoft.Compute/virtualMachines/%080d'}",
                 77 + pad,
                 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggghhhhhhhhhh",
                 group, 1, 77 + pad,
                 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggghhhhhhhhhh",
                 group, 1);
        assert_int_equal(ask_as("$ci", "POST", "/v1/can-i", NULL, body, NULL), 200);
    }
    assert_int_equal(ask_as("$ada", "POST", "/v1/apply", NULL,
                            "{'documents':[{'kind':'resourceGroup','id':'$sub/resourceGroups/"
                            "K\xc3\xa4se','body':{'location':'West Europe'}}]}",
                            NULL),
                     200);
    assert_int_equal(arm("$ada", "PUT", SUB "/resourceGroups/K%C3%A4se" NET "bastionHosts/b", NULL,
                         NULL, "{'location':'westeurope','properties':{" CONFIGURATION "}}", NULL),
                     201);
    assert_string_equal(header("ETag") + 36 + 3, "\"");
    assert_int_equal(arm_code("$ada", "GET", SUB "/resourceGroups/k%C3%A4SE", NULL, NULL, code),
                     200);
    assert_int_equal(arm_code("$ada", "GET", SUB "/resourceGroups/K%C3%84se", NULL, NULL, code),
                     404);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, stage_up, stage_down)
    const struct CMUnitTest tests[] = {
        T(bad_bodies_are_refused),
        T(what_is_missing_is_named),
        T(a_network_must_be_joined),
        T(what_is_denied_on_stays_with_all_of_it),
        T(allowing_assignments_go_with_their_bastion),
        T(etags_are_honoured),
        T(a_cut_character_is_survived),
        T(names_in_any_script_are_survived),
        T(what_was_not_given_may_be_an_empty_object),
        T(a_bastion_is_made_changed_and_deleted),
        T(each_change_has_its_operation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
