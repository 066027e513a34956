/* Resources as Azure's clients read them: lists, filters, pages, shapes. Refusals first. */
#include "control_arm.h"

#include "control/arm_filter.h"

static const char *const bad_filters[] = {
    "x eq 'y'", "name eq y", "name ne 'y'", "name eq 'y' or name eq 'z'", "startswith(name,'y')",
    "name()",
};

static void
bad_filters_are_refused(void **state)
{
    cpn_odata f;
    cpn_err err;

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(bad_filters); i++)
        if (cpn_arm_resources_filter(&f, cpn_view_str(bad_filters[i]), &err) != CPN_INVALID)
            fail_msg("%s", bad_filters[i]);
}

/* The world, and the group lab2 in West Europe with two tags. */
static void
add_west(void)
{
    cpn_snapshot_edit *e = cpn_snapshot_edit_new(st.c->snapshot);

    put_ok(e, CPN_KIND_GROUP, "$lab2",
           "{'location':'West Europe','tags':{'Team':'blue','stage':'test'}}");
    put_ok(e, CPN_KIND_NETWORK, "$lab2" NET "virtualNetworks/west",
           "{'addressPrefixes':['10.9.0.0/24']}");
    put_ok(e, CPN_KIND_BASTION, "$lab2" NET "bastionHosts/west2",
           "{'virtualNetwork':'$lab2" NET "virtualNetworks/west','sku':'Standard',"
           "'location':'westeurope'}");
    cpn_snapshot_unref(st.c->snapshot);
    st.c->snapshot = seal_ok(e);
}

static void
groups_are_filtered_by_tag_alone(void **state)
{
    static const char *const bad[] = { "name%20eq%20%27lab%27", "x", "tagName%20ne%20%27a%27" };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(bad); i++) {
        json_t *answer = NULL;
        char query[128];

        snprintf(query, sizeof(query), V24 "&%%24filter=%s", bad[i]);
        assert_int_equal(arm("$bob", "GET", SUB "/resourceGroups", query, NULL, NULL, &answer),
                         400);
        assert_string_equal(cpn_json_string(json_object_get(answer, "error"), "code"),
                            "InvalidFilterInQueryString");
        json_decref(answer);
    }
}

static void
locations_are_for_who_has_a_role(void **state)
{
    char names[256];

    (void)state;
    add_west();
    assert_int_equal(arm("$ci", "GET", SUB "/locations", NULL, NULL, NULL, NULL), 403);
    assert_int_equal(ask_as("$ada", "POST", "/v1/role-assignments", NULL,
                            "{'principal':'ci','role':'Reader','scope':'$web1'}", NULL),
                     201);
    /* It may read nothing in the west. */
    names_in("$ci", SUB "/locations", V24, names, sizeof(names));
    assert_string_equal(names, "local");
    assert_int_equal(arm("$bob", "GET",
                         "/subscriptions/99999999-2222-3333-4444-555555555555/locations", NULL,
                         NULL, NULL, NULL),
                     404);
}

static void
a_location_has_one_name(void **state)
{
    json_t *answer = NULL, *west;
    char names[256];

    (void)state;
    add_west();
    assert_int_equal(arm("$bob", "GET", SUB "/locations", NULL, NULL, NULL, &answer), 200);
    assert_int_equal(json_array_size(json_object_get(answer, "value")), 2);
    west = json_array_get(json_object_get(answer, "value"), 1);
    assert_string_equal(cpn_json_string(west, "id"), SUB "/locations/westeurope");
    assert_string_equal(cpn_json_string(west, "name"), "westeurope");
    assert_string_equal(cpn_json_string(west, "displayName"), "West Europe");
    json_decref(answer);
    assert_int_equal(arm("$bob", "GET", "$lab2", NULL, NULL, NULL, &answer), 200);
    assert_string_equal(cpn_json_string(answer, "location"), "westeurope");
    json_decref(answer);
    names_in("$bob", SUB "/resources", V24 "&%24filter=location%20eq%20%27West%20Europe%27", names,
             sizeof(names));
    assert_string_equal(names, "west2 west");
    names_in("$bob", SUB "/resources", V24 "&%24filter=location%20eq%20%27WESTEUROPE%27", names,
             sizeof(names));
    assert_string_equal(names, "west2 west");
}

static void
tags_are_filtered_by_name_and_value_of_one(void **state)
{
    static const struct {
        const char *filter, *names;
    } each[] = {
        { "tagname%20eq%20%27team%27", "lab2" },
        { "tagname%20eq%20%27team%27%20and%20tagvalue%20eq%20%27blue%27", "lab2" },
        { "tagname%20eq%20%27team%27%20and%20tagvalue%20eq%20%27test%27", "" },
        { "tagname%20eq%20%27team%27%20and%20tagvalue%20eq%20%27Blue%27", "" },
        { "tagvalue%20eq%20%27test%27", "lab2" },
    };
    char query[256], names[256];

    (void)state;
    add_west();
    for (size_t i = 0; i < CPN_COUNT(each); i++) {
        snprintf(query, sizeof(query), V24 "&%%24filter=%s", each[i].filter);
        names_in("$bob", SUB "/resourceGroups", query, names, sizeof(names));
        assert_string_equal(names, each[i].names);
    }
}

static void
lists_hold_what_one_may_read(void **state)
{
    char names[4096];

    (void)state;
    names_in("$bob", LAB CPU "virtualMachines", V24, names, sizeof(names));
    assert_string_equal(names, "app1 isl1 web1");
    names_in("$bob", SUB CPU "virtualMachineScaleSets", V24, names, sizeof(names));
    assert_string_equal(names, "pool");
    names_in("$bob", "$pool/virtualMachines", V24, names, sizeof(names));
    assert_string_equal(names, "0");
    names_in("$bob", "$pool0/networkInterfaces", V24, names, sizeof(names));
    assert_string_equal(names, "pool0-nic");
    names_in("$bob", "$lab2" CPU "virtualMachines", V24, names, sizeof(names));
    assert_string_equal(names, "");
    names_in("$bob", LAB "/resources",
             V24 "&%24filter=resourceType%20eq%20%27microsoft.network"
                 "%2FbastionHosts%27",
             names, sizeof(names));
    assert_string_equal(names, "front");
    names_in("$bob", SUB "/resources",
             V24 "&%24filter=tagName%20eq%20%27tier%27%20and%20tagValue%20eq%20%27web%27", names,
             sizeof(names));
    assert_string_equal(names, "web1");
    assert_int_equal(names_in("$ci", SUB "/resources", V24, names, sizeof(names)), 0);
    assert_int_equal(names_in("$ci", "/subscriptions", V24, names, sizeof(names)), 0);
    assert_int_equal(ask_as("$ada", "POST", "/v1/role-assignments", NULL,
                            "{'principal':'ci','role':'Reader','scope':'$web1'}", NULL),
                     201);
    assert_int_equal(names_in("$ci", "/subscriptions", V24, names, sizeof(names)), 1);
    assert_int_equal(arm("$ci", "GET", SUB, NULL, NULL, NULL, NULL), 200);
    names_in("$ci", SUB "/resources", V24, names, sizeof(names));
    assert_string_equal(names, "web1");
    assert_int_equal(names_in("$ci", SUB "/resourceGroups", V24, names, sizeof(names)), 0);
}

static void
pages_hold_together(void **state)
{
    char query[4096] = V24 "&%24top=2", all[4096] = "";
    unsigned pages = 0;

    (void)state;
    for (bool more = true; more; pages++) {
        json_t *answer = NULL, *item;
        const char *next;
        size_t i;

        assert_int_equal(arm("$bob", "GET", SUB "/resources", query, NULL, NULL, &answer), 200);
        json_array_foreach(json_object_get(answer, "value"), i, item)
        {
            strcat(strcat(all, cpn_json_string(item, "name")), " ");
        }
        next = cpn_json_string(answer, "nextLink");
        more = next[0] != '\0';
        assert_true(!more || strncmp(next, "https://localhost:8443" SUB "/resources?", 60) == 0);
        if (more)
            snprintf(query, sizeof(query), "%s", strchr(next, '?') + 1);
        json_decref(answer);
        assert_true(pages < 20);
    }
    assert_string_equal(all, "front hub island spoke app1-nic free-nic isl1-nic pool0-nic web1-nic "
                             "web1-nic2 app1 isl1 web1 pool ");
    assert_int_equal(pages, 7);
    assert_int_equal(arm("$bob", "GET", SUB "/resources", V24 "&%24top=0", NULL, NULL, NULL), 400);
    assert_int_equal(arm("$bob", "GET", SUB "/resources", V24 "&%24top=1001", NULL, NULL, NULL),
                     400);
    assert_int_equal(
        arm("$bob", "GET", SUB "/resources", V24 "&%24skiptoken=%21", NULL, NULL, NULL), 400);
}

/* Asked by POST, whose answer is the first page; the others are behind nextLink. */
static void
sessions_come_by_pages(void **state)
{
    static const char action[] = BASTION "front/getActiveSessions";
    uint32_t conn = carrier_of("$ada");
    char query[1024] = V24 "&%24top=2", seen[5][CPN_UUID_TEXT] = { "" };
    unsigned n = 0, pages = 0;

    (void)state;
    for (unsigned i = 1; i <= 5; i++)
        (void)open_session(conn, i);
    for (bool more = true; more; pages++) {
        json_t *answer = NULL, *one;
        const char *next;
        size_t i;

        assert_int_equal(
            arm("$ada", pages ? "GET" : "POST", action, query, NULL, pages ? NULL : "{}", &answer),
            pages ? 200 : 202);
        json_array_foreach(json_object_get(answer, "value"), i, one)
        {
            assert_true(n < 5);
            snprintf(seen[n], sizeof(seen[n]), "%s", cpn_json_string(one, "sessionId"));
            assert_true(n == 0 || strcmp(seen[n - 1], seen[n]) < 0); /* none twice */
            n++;
        }
        next = cpn_json_string(answer, "nextLink");
        more = next[0] != '\0';
        assert_true(!more || strstr(next, action));
        if (more)
            snprintf(query, sizeof(query), "%s", strchr(next, '?') + 1);
        json_decref(answer);
        assert_true(pages < 5);
    }
    assert_int_equal(n, 5);
    assert_int_equal(pages, 3);
}

static void
shapes_have_what_clients_read(void **state)
{
    json_t *j = NULL, *p;

    (void)state;
    assert_int_equal(
        arm("$bob", "GET", LAB NET "networkInterfaces/web1-nic2", NULL, NULL, NULL, &j), 200);
    p = json_object_get(j, "properties");
    assert_string_equal(cpn_json_string(json_object_get(p, "virtualMachine"), "id"),
                        LAB CPU "virtualMachines/web1");
    assert_true(json_is_false(json_object_get(p, "primary")));
    p = json_object_get(json_array_get(json_object_get(p, "ipConfigurations"), 0), "properties");
    assert_string_equal(cpn_json_string(p, "privateIPAddress"), "10.0.1.9");
    assert_string_equal(cpn_json_string(json_object_get(p, "subnet"), "id"),
                        LAB NET "virtualNetworks/hub/subnets/default");
    json_decref(j);
    /* hub declares the peering, spoke shows it, too */
    assert_int_equal(arm("$bob", "GET", "$spoke", NULL, NULL, NULL, &j), 200);
    p = json_object_get(json_object_get(j, "properties"), "virtualNetworkPeerings");
    assert_string_equal(cpn_json_string(json_array_get(p, 0), "name"), "hub");
    json_decref(j);
    assert_int_equal(arm("$bob", "GET", "$spoke/subnets/none", NULL, NULL, NULL, NULL), 404);
    assert_int_equal(arm("$bob", "GET", "$spoke/subnets/azurebastionsubnet", NULL, NULL, NULL, &j),
                     200);
    assert_string_equal(cpn_json_string(j, "name"), "AzureBastionSubnet");
    json_decref(j);
    assert_int_equal(arm("$bob", "GET", SUB "/providers/microsoft.compute", NULL, NULL, NULL, &j),
                     200);
    assert_string_equal(
        cpn_json_string(json_array_get(json_object_get(j, "resourceTypes"), 0), "resourceType"),
        "virtualMachines");
    json_decref(j);
    assert_int_equal(arm("$bob", "GET", SUB "/providers/Microsoft.Nothing", NULL, NULL, NULL, NULL),
                     404);
    assert_int_equal(arm("$bob", "GET", "/tenants", NULL, NULL, NULL, &j), 200);
    assert_string_equal(cpn_json_string(json_array_get(json_object_get(j, "value"), 0), "tenantId"),
                        cpn_identity_tenant(st.identity));
    json_decref(j);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, stage_up, stage_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_filters_are_refused),
        T(groups_are_filtered_by_tag_alone),
        T(locations_are_for_who_has_a_role),
        T(lists_hold_what_one_may_read),
        T(a_location_has_one_name),
        T(tags_are_filtered_by_name_and_value_of_one),
        T(pages_hold_together),
        T(sessions_come_by_pages),
        T(shapes_have_what_clients_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
