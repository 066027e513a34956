/* client/inventory: what is refused, where it is said to be, and what becomes of what is taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "client/inventory.h"
#include "client/slurp.h"

#define SUB "subscriptions: [{ id: 11111111-2222-3333-4444-555555555555, name: Lab }]\n"
#define BASE SUB "groups: [{ name: lab }]\n"
#define HUB BASE "networks: [{ name: hub, group: lab, prefixes: [10.0.0.0/16] }]\n"
#define MACHINE(more) HUB "machines:\n  - { name: web1, group: lab, network: hub, " more " }\n"
#define BASTION(more) HUB "bastions:\n  - { name: door, group: lab, network: hub, " more " }\n"
#define ADA "users: [{ name: ada }]\n"
#define ASSIGN(more) HUB ADA "assignments:\n  - { " more " }\n"

/* says: in the first error; at: its "LINE:COL", NULL when only the words matter. */
static const struct {
    const char *why, *text, *at, *says;
} refused[] = {
    /* the document */
    { "empty", "", NULL, "" },
    { "not a map", "[1, 2]\n", "1:1", "map" },
    { "two documents", "groups: []\n---\ngroups: []\n", NULL, "" },
    { "alias", "groups: &a []\nnetworks: *a\n", NULL, "" },
    { "unknown list", "machnes: []\n", "1:10", "machnes" },
    { "a list twice", "groups: []\ngroups: []\n", NULL, "groups" },
    { "a list that is a map", "groups: { name: lab }\n", "1:9", "list" },
    { "an entry that is a word", SUB "groups: [lab]\n", "2:10", "map" },
    /* subscriptions and groups */
    { "subscription without id", "subscriptions: [{ name: Lab }]\n", "1:17", "'id' is missing" },
    { "subscription's id no GUID", "subscriptions: [{ id: lab }]\n", NULL, "GUID" },
    { "subscription twice",
      "subscriptions:\n  - { id: 11111111-2222-3333-4444-555555555555 }\n"
      "  - { id: 11111111-2222-3333-4444-555555555555 }\n",
      "3:5", "line 2" },
    { "group without name", SUB "groups: [{}]\n", "2:10", "'name' is missing" },
    { "group with an odd name", SUB "groups: [{ name: a/b }]\n", "2:18", "a/b" },
    { "group of no subscription", "groups: [{ name: lab }]\n", "1:10", "subscription" },
    { "group of an unknown subscription", SUB "groups: [{ name: lab, subscription: Prod }]\n",
      "2:37", "Prod" },
    { "group twice, case aside", SUB "groups: [{ name: lab }, { name: LAB }]\n", "2:25", "line 2" },
    { "unknown key", SUB "groups: [{ name: lab, nmae: x }]\n", NULL, "nmae" },
    /* networks */
    { "network without group", BASE "networks: [{ name: hub, prefixes: [10.0.0.0/16] }]\n", "3:12",
      "'group' is missing" },
    { "network of an unknown group",
      BASE "networks: [{ name: hub, group: prod, prefixes: [10.0.0.0/16] }]\n", "3:32", "prod" },
    { "network without prefixes", BASE "networks: [{ name: hub, group: lab }]\n", "3:12",
      "prefixes" },
    { "no prefix", BASE "networks: [{ name: hub, group: lab, prefixes: [] }]\n", "3:47", "empty" },
    { "prefixes not a list", BASE "networks: [{ name: hub, group: lab, prefixes: 10.0.0.0/8 }]\n",
      "3:47", "list" },
    { "host bits set", BASE "networks: [{ name: hub, group: lab, prefixes: [10.0.0.1/16] }]\n",
      "3:48", "10.0.0.1/16" },
    { "prefix too long", BASE "networks: [{ name: hub, group: lab, prefixes: [10.0.0.0/33] }]\n",
      "3:48", "10.0.0.0/33" },
    { "prefixes overlap",
      BASE "networks: [{ name: hub, group: lab, prefixes: [10.0.0.0/8, 10.1.0.0/16] }]\n", "3:60",
      "overlaps" },
    { "peers overlap",
      BASE "networks:\n  - { name: a, group: lab, prefixes: [10.0.0.0/16], peerings: [b] }\n"
           "  - { name: b, group: lab, prefixes: [10.0.1.0/24] }\n",
      NULL, "overlaps" },
    { "peering with itself",
      BASE "networks: [{ name: hub, group: lab, prefixes: [10.0.0.0/16], peerings: [hub] }]\n",
      NULL, "own peer" },
    { "peering with nobody",
      BASE "networks: [{ name: hub, group: lab, prefixes: [10.0.0.0/16], peerings: [nowhere] }]\n",
      NULL, "nowhere" },
    { "peering with a machine's id",
      BASE "networks: [{ name: hub, group: lab, prefixes: [10.0.0.0/16], peerings: [/x] }]\n", NULL,
      "/x" },
    /* machines */
    { "machine without address", MACHINE("host_keys: []"), "5:5", "'address' is missing" },
    { "misspelt key", MACHINE("adress: 10.0.1.4"), NULL, "adress" },
    { "machine of an unknown network",
      BASE "machines: [{ name: w, group: lab, network: hub, address: 10.0.1.4 }]\n", "3:44",
      "hub" },
    { "address outside the prefix", MACHINE("address: 10.9.9.9"), "5:54", "10.9.9.9" },
    { "address that is none", MACHINE("address: 10.0.1.256"), "5:54", "10.0.1.256" },
    { "address with a leading zero", MACHINE("address: 10.0.01.4"), "5:54", "10.0.01.4" },
    { "address that is a number", MACHINE("address: [10]"), "5:54", "" },
    { "address twice",
      HUB "machines:\n  - { name: a, group: lab, network: hub, address: 10.0.1.4 }\n"
          "  - { name: b, group: lab, network: hub, address: 10.0.1.4 }\n",
      "6:51", "line 5" },
    { "address twice among peers",
      BASE "networks:\n  - { name: a, group: lab, prefixes: [10.0.0.0/24], peerings: [b] }\n"
           "  - { name: b, group: lab, prefixes: [10.0.1.0/24] }\n"
           "interfaces:\n  - { name: x, group: lab, network: b, address: 10.0.1.4 }\n"
           "machines:\n  - { name: y, group: lab, network: b, address: 10.0.1.4 }\n",
      NULL, "already" },
    { "machine twice",
      HUB "machines:\n  - { name: a, group: lab, network: hub, address: 10.0.1.4 }\n"
          "  - { name: A, group: lab, network: hub, address: 10.0.1.5 }\n",
      "6:5", "line 5" },
    { "unknown interface", MACHINE("interfaces: [extra]"), NULL, "extra" },
    { "no interface", MACHINE("interfaces: []"), NULL, "empty" },
    { "host key that is none", MACHINE("address: 10.0.1.4, host_keys: [rubbish]"), NULL,
      "public key" },
    { "instance's id no number",
      HUB "scale_sets: [{ name: p, group: lab, network: hub, instances: [{ id: x, address: "
          "10.0.2.4 }] }]\n",
      NULL, "number" },
    { "instance twice",
      HUB
      "scale_sets: [{ name: p, group: lab, network: hub, instances: [{ id: 0, address: 10.0.2.4 }, "
      "{ id: 0, address: 10.0.2.5 }] }]\n",
      NULL, "line 4" },
    /* bastions */
    { "switch misspelt", BASTION("native_client: flase"), "5:60", "native_client" },
    { "switch as yes", BASTION("native_client: yes"), "5:60", "native_client" },
    { "switch in quotes", BASTION("native_client: \"true\""), "5:60", "native_client" },
    { "octal number", BASTION("scale_units: 022"), "5:58", "scale_units" },
    { "too many units", BASTION("scale_units: 51"), "5:58", "scale_units" },
    { "unknown SKU", BASTION("sku: Gold"), "5:50", "Gold" },
    { "unknown protocol", BASTION("protocols: [telnet]"), NULL, "telnet" },
    { "any beside ssh", BASTION("protocols: [ssh, any]"), NULL, "any" },
    { "no protocol", BASTION("protocols: []"), NULL, "empty" },
    { "port 0", BASTION("ports: [0]"), NULL, "ports" },
    { "port 65536", BASTION("ports: [65536]"), NULL, "ports" },
    { "port twice", BASTION("ports: [22, 22]"), NULL, "twice" },
    /* people */
    { "user without name", "users: [{}]\n", "1:9", "'name' is missing" },
    { "user twice", "users: [{ name: ada }, { name: Ada }]\n", "1:24", "line 1" },
    { "user with a control character", "users: [{ name: \"a\\tb\" }]\n", "1:17", "control" },
    { "user limit negative", "users: [{ name: ada, sessions_max: -1 }]\n", NULL, "sessions_max" },
    { "app id no GUID", "service_principals: [{ name: ci, app_id: 7 }]\n", NULL, "GUID" },
    { "unknown member", ADA "user_groups: [{ name: ops, members: [bob] }]\n", "2:38", "bob" },
    { "group within a group",
      "user_groups: [{ name: a, members: [] }, { name: b, members: [a] }]\n", NULL, "'a'" },
    { "role that exists always", "roles: [{ name: reader, actions: [] }]\n", NULL, "Reader" },
    { "role without actions", "roles: [{ name: Op }]\n", NULL, "actions" },
    { "action that is none", "roles: [{ name: Op, actions: [read] }]\n", NULL, "'read'" },
    /* assignments */
    { "assignment to nobody", ASSIGN("principal: bob, role: Reader, scope: lab"), "6:18", "bob" },
    { "assignment of no role", ASSIGN("principal: ada, role: Redaer, scope: lab"), NULL, "Redaer" },
    { "assignment at no place", ASSIGN("principal: ada, role: Reader, scope: prod"), NULL, "prod" },
    { "assignment without scope", ASSIGN("principal: ada, role: Reader"), "6:5",
      "'scope' is missing" },
    { "unknown effect", ASSIGN("principal: ada, role: Reader, scope: lab, effect: maybe"), NULL,
      "maybe" },
    { "assignment twice",
      HUB ADA "assignments:\n  - { principal: ada, role: Reader, scope: lab }\n"
              "  - { principal: ada, role: Reader, scope: lab }\n",
      "7:5", "line 6" },
    { "a scope that means two",
      SUB "groups: [{ name: hub }]\nnetworks: [{ name: hub, group: hub, prefixes: [10.0.0.0/16] "
          "}]\n" ADA "assignments: [{ principal: ada, role: Reader, scope: hub }]\n",
      NULL, "full id" },
    { "window without days",
      ASSIGN(
          "principal: ada, role: Reader, scope: lab, window: { from: \"08:00\", to: \"09:00\" }"),
      NULL, "days" },
    { "unknown day",
      ASSIGN("principal: ada, role: Reader, scope: lab, window: { days: [monday], from: \"08:00\", "
             "to: \"09:00\" }"),
      NULL, "monday" },
    { "odd time",
      ASSIGN("principal: ada, role: Reader, scope: lab, window: { days: [mon], from: \"8:00\", to: "
             "\"09:00\" }"),
      NULL, "8:00" },
    { "empty window",
      ASSIGN("principal: ada, role: Reader, scope: lab, window: { days: [mon], from: \"08:00\", "
             "to: \"08:00\" }"),
      NULL, "the same" },
    { "a limit without a unit", ASSIGN("principal: ada, role: Reader, scope: lab, max_upload: 5"),
      NULL, "a size such as" },
    { "a limit of nothing", ASSIGN("principal: ada, role: Reader, scope: lab, max_upload: 0B"),
      NULL, "a size such as" },
    { "a limit beyond all",
      ASSIGN("principal: ada, role: Reader, scope: lab, max_download: 99999999GiB"), NULL,
      "a size such as" },
    { "a limited deny",
      ASSIGN("principal: ada, role: Reader, scope: lab, effect: deny, max_upload: 5KiB"), NULL,
      "denied" },
    { "limits make no second assignment",
      HUB ADA "assignments:\n  - { principal: ada, role: Reader, scope: lab }\n"
              "  - { principal: ada, role: Reader, scope: lab, max_upload: 1MiB }\n",
      "7:5", "line 6" },
};

static void
mistakes_are_refused_with_their_place(void **state)
{
    (void)state;
    assert_true(CPN_COUNT(refused) >= 40);
    for (size_t i = 0; i < CPN_COUNT(refused); i++) {
        CPN_AUTO(cpn_yaml_errors_auto) cpn_yaml_errors e = { .file = "f.yaml" };
        cpn_inventory inv = { 0 };
        char place[64];

        if (cpn_inventory_read(&inv, cpn_view_str(refused[i].text), NULL, &e) != CPN_INVALID ||
            e.n == 0)
            fail_msg("%s: taken", refused[i].why);
        if (!strstr(e.line[0], refused[i].says))
            fail_msg("%s: '%s' does not say '%s'", refused[i].why, e.line[0], refused[i].says);
        snprintf(place, sizeof(place), "f.yaml:%s: ", refused[i].at ? refused[i].at : "");
        if (refused[i].at && strncmp(e.line[0], place, strlen(place)) != 0)
            fail_msg("%s: '%s' is not at %s", refused[i].why, e.line[0], refused[i].at);
        cpn_inventory_fini(&inv);
    }
}

static void
several_mistakes_are_told_at_once(void **state)
{
    CPN_AUTO(cpn_yaml_errors_auto) cpn_yaml_errors e = { .file = "f.yaml" };
    cpn_buf text = { .max = 1 << 20 };
    cpn_inventory inv = { 0 };

    (void)state;
    assert_int_equal(cpn_buf_printf(&text, "%sbastions:\n", HUB), CPN_OK);
    for (int i = 0; i < 30; i++)
        assert_int_equal(
            cpn_buf_printf(&text, "  - { name: b%d, group: lab, network: hub, sku: Gold }\n", i),
            CPN_OK);
    assert_int_equal(cpn_inventory_read(&inv, cpn_buf_view(&text), NULL, &e), CPN_INVALID);
    assert_int_equal(e.n, 30);
    assert_non_null(strstr(e.line[19], "Gold"));
    cpn_inventory_fini(&inv);
    cpn_buf_fini(&text);
}

static const json_t *
find(const cpn_inventory *inv, const char *kind, const char *end)
{
    const json_t *d;
    size_t i;

    json_array_foreach(inv->documents, i, d)
    {
        const char *id = json_string_value(json_object_get(d, "id"));
        const char *name = json_string_value(json_object_get(json_object_get(d, "body"), "name"));

        if (strcmp(json_string_value(json_object_get(d, "kind")), kind) == 0 &&
            ((strlen(id) >= strlen(end) && strcmp(id + strlen(id) - strlen(end), end) == 0) ||
             (name && strcmp(name, end) == 0)))
            return json_object_get(d, "body");
    }
    fail_msg("no %s %s", kind, end);
    return NULL;
}

static void
read_example(const char *name, const json_t *known, cpn_inventory *inv)
{
    CPN_AUTO(cpn_yaml_errors_auto) cpn_yaml_errors e = { .file = name };
    cpn_buf text = { .max = CPN_INVENTORY_BYTES };
    const char *dir = getenv("CPN_EXAMPLES");
    char path[512];

    snprintf(path, sizeof(path), "%s/%s", dir ? dir : "examples", name);
    assert_int_equal(cpn_slurp(path, &text, NULL), CPN_OK);
    if (cpn_inventory_read(inv, cpn_buf_view(&text), known, &e) != CPN_OK)
        fail_msg("%s", e.line[0]);
    cpn_buf_fini(&text);
}

static void
examples_are_taken(void **state)
{
    static const char *const names[] = { "demo.yaml", "lab.yaml", "two-networks.yaml" };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(names); i++) {
        cpn_inventory inv = { 0 };

        read_example(names[i], NULL, &inv);
        assert_true(json_array_size(inv.documents) > 5);
        cpn_inventory_fini(&inv);
    }
}

static void
names_become_ids(void **state)
{
    cpn_inventory inv = { 0 };
    const json_t *b;

    (void)state;
    read_example("two-networks.yaml", NULL, &inv);
    b = find(&inv, "virtualMachine", "/virtualMachineScaleSets/workers/virtualMachines/1");
    assert_string_equal(
        json_string_value(json_array_get(json_object_get(b, "networkInterfaces"), 0)),
        "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/shop/providers/"
        "Microsoft.Network/networkInterfaces/workers-1-nic");
    b = find(&inv, "networkInterface", "/workers-1-nic");
    assert_string_equal(json_string_value(json_object_get(b, "privateIPAddress")), "fd00:1::5");
    b = find(&inv, "virtualMachine", "/virtualMachines/shop1");
    assert_int_equal(json_array_size(json_object_get(b, "networkInterfaces")), 2);
    b = find(&inv, "bastionHost", "/door");
    assert_true(json_is_true(json_object_get(b, "enableIpConnect")));
    assert_int_equal(json_array_size(json_object_get(b, "ports")), 2);
    assert_int_equal(json_array_size(json_object_get(find(&inv, "principal", "ops"), "members")),
                     3);
    assert_true(
        json_is_false(json_object_get(find(&inv, "principal", "bob@example.test"), "enabled")));
    assert_int_equal(inv.people,
                     CPN_INVENTORY_USERS | CPN_INVENTORY_SERVICES | CPN_INVENTORY_GROUPS);
    cpn_inventory_fini(&inv);
}

static void
the_same_file_gives_the_same_documents(void **state)
{
    cpn_inventory a = { 0 }, b = { 0 };

    (void)state;
    read_example("two-networks.yaml", NULL, &a);
    read_example("two-networks.yaml", NULL, &b);
    assert_true(json_equal(a.documents, b.documents));
    cpn_inventory_fini(&a);
    cpn_inventory_fini(&b);
}

static void
a_list_that_is_absent_is_left_alone(void **state)
{
    CPN_AUTO(cpn_yaml_errors_auto) cpn_yaml_errors e = { .file = "f" };
    cpn_inventory inv = { 0 };

    (void)state;
    assert_int_equal(cpn_inventory_read(&inv, cpn_view_str(BASE "bastions: []\n"), NULL, &e),
                     CPN_OK);
    assert_int_equal(json_array_size(inv.whole), 3);
    assert_int_equal(inv.people, 0);
    cpn_inventory_fini(&inv);
}

static void
people_that_the_gateway_has_keep_their_ids(void **state)
{
    json_auto_t *known =
        json_pack("[{s:s, s:s, s:s}]", "id", "33333333-0000-4000-8000-000000000003", "type", "User",
                  "name", "Ada");
    CPN_AUTO(cpn_yaml_errors_auto) cpn_yaml_errors e = { .file = "f" };
    cpn_inventory inv = { 0 };

    (void)state;
    assert_int_equal(cpn_inventory_read(
                         &inv,
                         cpn_view_str("assignments: [{ principal: ada, role: owner, scope: / }]\n"),
                         known, &e),
                     CPN_OK);
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(json_array_get(inv.documents, 0), "body"),
                                          "principalId")),
        "33333333-0000-4000-8000-000000000003");
    cpn_inventory_fini(&inv);
}

static void
twenty_thousand_machines(void **state)
{
    CPN_AUTO(cpn_yaml_errors_auto) cpn_yaml_errors e = { .file = "f" };
    cpn_buf text = { .max = CPN_INVENTORY_BYTES };
    cpn_inventory inv = { 0 };
    uint64_t start;

    (void)state;
    assert_int_equal(cpn_buf_printf(&text, "%smachines:\n", HUB), CPN_OK);
    for (int i = 1; i <= 20000; i++)
        assert_int_equal(
            cpn_buf_printf(&text,
                           "  - { name: m%d, group: lab, network: hub, address: 10.0.%d.%d }\n", i,
                           i >> 8, i & 255),
            CPN_OK);
    start = cpn_mono_ms();
    assert_int_equal(cpn_inventory_read(&inv, cpn_buf_view(&text), NULL, &e), CPN_OK);
    print_message("# 20,000 machines in %u ms\n", (unsigned)(cpn_mono_ms() - start));
    assert_int_equal(json_array_size(inv.documents), 40003);
    cpn_inventory_fini(&inv);
    cpn_buf_fini(&text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes_are_refused_with_their_place),
        cmocka_unit_test(several_mistakes_are_told_at_once),
        cmocka_unit_test(examples_are_taken),
        cmocka_unit_test(names_become_ids),
        cmocka_unit_test(the_same_file_gives_the_same_documents),
        cmocka_unit_test(a_list_that_is_absent_is_left_alone),
        cmocka_unit_test(people_that_the_gateway_has_keep_their_ids),
        cmocka_unit_test(twenty_thousand_machines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
