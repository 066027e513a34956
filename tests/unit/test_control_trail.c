/* What the audit has of calls: nobody fills it with what changes nothing, and nothing is missing
 * from it. */
#include "control_fixture.h"

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

#define ON_STAGE(f) cmocka_unit_test_setup_teardown(f, stage_up, stage_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        ON_STAGE(an_account_without_a_role_fills_no_disk),
        ON_STAGE(different_bodies_make_no_difference),
        ON_STAGE(announced_connections_have_the_rate_of_real_ones),
        ON_STAGE(deeds_have_a_record_each),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
