/* snapshot: what is refused (shapes, references, overlaps), then edits, sharing and size. */
#include "policy_fixture.h"

#include <malloc.h>

#include "base/clock.h"

#define ROLE_ID(n) "/providers/Microsoft.Authorization/roleDefinitions/" n
#define GRANT_ID(scope) scope ASSIGNMENTS GUID_OF("50")
#define NIC_BODY "{'privateIPAddress':'10.0.1.77','virtualNetwork':'$hub'}"

/* A document over the world, or a delete (body NULL), and words that the refusal holds. */
typedef struct cpn_refusal {
    const char *kind;
    const char *id;
    const char *body;
    const char *says;
} cpn_refusal;

/* Refused by put. */
static const cpn_refusal shapes[] = {
    /* ids and kinds */
    { "virtualMachines", "$web1", "{}", "no such kind" },
    { "virtualMachine", "web1", "{}", "expected /subscriptions/NAME at the front" },
    { "virtualMachine", "$hub", "{}", "the id is not one of its kind" },
    { "virtualMachine", "$web1/", "{}", "behind the resource's name" },
    { "virtualMachine", "$web1/extensions/x", "{}", "the id is not one of its kind" },
    { "virtualNetwork", "$lab" NET "virtualNetworks/a b", "{}", "/TYPE/NAME" },
    { "virtualNetwork", "$lab" NET "virtualNetworks/..", "{}", "/TYPE/NAME" },
    { "virtualNetwork", "$lab//providers/Microsoft.Network/virtualNetworks/x", "{}", "PROVIDER" },
    { "subscription", "/subscriptions/lab", "{}", "expected /subscriptions/GUID" },
    { "resourceGroup", "$sub", "{}", "/subscriptions/S/resourceGroups/NAME" },
    { "principal", "ada", "{}", "an object id (a GUID)" },
    { "credential", "$ada-", "{}", "an object id (a GUID)" },
    { "roleDefinition", "/roleDefinitions/x", "{}", "roleDefinitions/NAME" },
    { "roleDefinition", ROLE_ID("a b"), "{}", "letters, digits" },
    { "roleAssignment", "$lab" ASSIGNMENTS "x", "{}", "roleAssignments/GUID" },
    { "roleAssignment", "/lab" ASSIGNMENTS GUID_OF("50"), "{}", "a resource id as the scope" },

    /* bodies in general */
    { "virtualNetwork", "$hub", "[]", "body: found a list of 0, expected an object" },
    { "virtualNetwork", "$hub", "null", "body: found null, expected an object" },
    { "virtualNetwork", "$hub", "{'addressPrefixs':['10.0.0.0/16']}",
      "found the unknown key \"addressPrefixs\", expected addressPrefixes, peerings" },
    { "virtualNetwork", "$hub", "{'addressPrefixes':['10.0.0.0/16'],'Peerings':[]}",
      "unknown key \"Peerings\"" },
    { "virtualNetwork", "$hub", "{}", "body.addressPrefixes: found nothing, expected a list" },
    { "virtualNetwork", "$hub", "{'addressPrefixes':'10.0.0.0/16'}",
      "body.addressPrefixes: found \"10.0.0.0/16\", expected a list" },
    { "virtualMachineScaleSet", "$pool", "{'capacity':2}", "expected no key at all" },
    { "subscription", "$sub", "{'displayName':'a\\u001b[2J'}", "without control characters" },
    { "subscription", "$sub", "{'displayName':'a\\u0000b'}", "NUL" },
    { "subscription", "$sub", "{'displayName':''}", "a string of 1 to 256 bytes" },

    /* networks */
    { "virtualNetwork", "$hub", "{'addressPrefixes':[]}", "found a list of 0, expected a list of" },
    { "virtualNetwork", "$hub", "{'addressPrefixes':[10]}",
      "body.addressPrefixes[0]: found the number 10, expected a prefix" },
    { "virtualNetwork", "$hub", "{'addressPrefixes':['10.0.0.0/16','10.1.0.1/16']}",
      "body.addressPrefixes[1]: found \"10.1.0.1/16\"" },
    { "virtualNetwork", "$hub", "{'addressPrefixes':['10.0.0.0/33']}", "expected a prefix" },
    { "virtualNetwork", "$hub", "{'addressPrefixes':['10.0.0.0/08']}", "expected a prefix" },
    { "virtualNetwork", "$hub", "{'addressPrefixes':['10.0.0.0']}", "expected a prefix" },
    { "virtualNetwork", "$hub", "{'addressPrefixes':['127.0.0.0/16']}", "loopback" },
    { "virtualNetwork", "$hub", "{'addressPrefixes':['0.0.0.0/0']}", "touches" },
    { "virtualNetwork", "$hub", "{'addressPrefixes':['::/0']}", "touches" },
    { "virtualNetwork", "$hub", "{'addressPrefixes':['169.254.0.0/24']}", "link-local" },
    { "virtualNetwork", "$hub", "{'addressPrefixes':['169.0.0.0/8']}", "link-local" },
    { "virtualNetwork", "$hub", "{'addressPrefixes':['239.1.0.0/16']}", "multicast" },
    { "virtualNetwork", "$hub", "{'addressPrefixes':['240.0.0.0/8']}", "reserved" },
    { "virtualNetwork", "$hub", "{'addressPrefixes':['fe80::/64']}", "link-local" },
    { "virtualNetwork", "$hub", "{'addressPrefixes':['::a00:0/112']}", "embeds" },
    { "virtualNetwork", "$hub", "{'addressPrefixes':['64:ff9b::a00:0/112']}", "embeds" },
    { "virtualNetwork", "$hub", "{'addressPrefixes':['2002:a00::/32']}", "6to4" },
    { "virtualNetwork", "$hub", "{'addressPrefixes':['10.0.0.0/7']}", "wider than /8" },
    { "virtualNetwork", "$hub", "{'addressPrefixes':['fd00::/16']}", "wider than /32" },
    { "virtualNetwork", "$hub", "{'addressPrefixes':['10.0.0.0/16'],'peerings':['spoke']}",
      "body.peerings[0]: found \"spoke\", expected a virtual network's id" },
    { "virtualNetwork", "$hub", "{'addressPrefixes':['10.0.0.0/16'],'peerings':['$web1']}",
      "expected a virtual network's id" },
    { "virtualNetwork", "$hub", "{'addressPrefixes':['10.0.0.0/16'],'peerings':['$hub']}",
      "another network than itself" },
    { "virtualNetwork", "$hub",
      "{'addressPrefixes':['10.0.0.0/16'],'peerings':['$spoke','$island','$spoke']}", "twice" },

    /* interfaces and machines */
    { "networkInterface", "$web1-nic", "{'privateIPAddress':'10.0.1.04','virtualNetwork':'$hub'}",
      "an address such as" },
    { "networkInterface", "$web1-nic", "{'privateIPAddress':'10.0.1.4'}",
      "body.virtualNetwork: found nothing" },
    { "networkInterface", "$web1-nic", "{'privateIPAddress':167772420,'virtualNetwork':'$hub'}",
      "body.privateIPAddress: found the number 167772420, expected a string" },
    { "virtualMachine", "$web1", "{'networkInterfaces':[]}", "a list of 1 to 8" },
    { "virtualMachine", "$web1", "{'networkInterfaces':['$hub']}", "a network interface's id" },
    { "virtualMachine", "$web1", "{'networkInterfaces':['$web1-nic','$web1-nic']}", "twice" },
    { "virtualMachine", "$web1", "{'networkInterfaces':['$web1-nic'],'sshHostKeys':['ssh-rsa']}",
      "body.sshHostKeys[0]: found \"ssh-rsa\", expected a public host key" },
    { "virtualMachine", "$web1",
      "{'networkInterfaces':['$web1-nic'],'sshHostKeys':['ssh-rsa AAAAAAAAAAAAAAAAAAAA\\nx']}",
      "a public host key" },
    { "virtualMachine", "$web1",
      "{'networkInterfaces':['$web1-nic'],'sshHostKeys':['@cert-authority AAAAAAAAAAAAAAAAAA']}",
      "a public host key" },
    { "virtualMachine", "$web1", "{'networkInterfaces':['$web1-nic'],'tags':{'a':1}}",
      "body.tags" },

    /* bastions */
    { "bastionHost", "$front", "{'virtualNetwork':'$hub'}", "body.sku: found nothing" },
    { "bastionHost", "$front", "{'virtualNetwork':'$hub','sku':'standard'}",
      "one of Basic, Standard, Premium, Developer, QuickConnect" },
    { "bastionHost", "$front", "{'virtualNetwork':'$hub','sku':'Standard','scaleUnits':1}",
      "body.scaleUnits: found the number 1, expected an integer from 2 to 50" },
    { "bastionHost", "$front", "{'virtualNetwork':'$hub','sku':'Standard','scaleUnits':51}",
      "an integer from 2 to 50" },
    { "bastionHost", "$front", "{'virtualNetwork':'$hub','sku':'Standard','scaleUnits':2.0}",
      "found the number 2, expected an integer" },
    { "bastionHost", "$front", "{'virtualNetwork':'$hub','sku':'Standard','scaleUnits':'2'}",
      "found \"2\", expected an integer" },
    { "bastionHost", "$front", "{'virtualNetwork':'$hub','sku':'Standard','enableTunneling':'no'}",
      "body.enableTunneling: found \"no\", expected true or false" },
    { "bastionHost", "$front", "{'virtualNetwork':'$hub','sku':'Standard','enableIpConnect':1}",
      "expected true or false" },
    { "bastionHost", "$front", "{'virtualNetwork':'$hub','sku':'Standard','ports':[0]}",
      "body.ports[0]: found the number 0, expected an integer from 1 to 65535" },
    { "bastionHost", "$front", "{'virtualNetwork':'$hub','sku':'Standard','ports':[65536]}",
      "1 to 65535" },
    { "bastionHost", "$front", "{'virtualNetwork':'$hub','sku':'Standard','ports':[22,22]}",
      "each port once" },
    { "bastionHost", "$front", "{'virtualNetwork':'$hub','sku':'Standard','ports':[]}",
      "a list of 1 to 32" },
    { "bastionHost", "$front", "{'virtualNetwork':'$hub','sku':'Standard','protocols':['ssh']}",
      "[\"ssh\",\"rdp\"] or [\"any\"]" },
    { "bastionHost", "$front",
      "{'virtualNetwork':'$hub','sku':'Standard','protocols':['any','ssh']}",
      "[\"ssh\",\"rdp\"] or [\"any\"]" },

    /* principals */
    { "principal", "$ada", "{'type':'Robot','name':'a','enabled':true}",
      "one of User, ServicePrincipal, Group" },
    { "principal", "$ada", "{'name':'a','enabled':true}", "body.type: found nothing" },
    { "principal", "$ada", "{'type':'User','name':'a'}", "body.enabled: found nothing" },
    { "principal", "$ada", "{'type':'User','name':'a','enabled':'true'}", "true or false" },
    { "principal", "$ada", "{'type':'User','name':'a','enabled':true,'members':[]}",
      "unknown key \"members\"" },
    { "principal", "$ada", "{'type':'User','name':'a','enabled':true,'sessionsMax':-1}",
      "0 to 10000" },
    { "principal", "$ci", "{'type':'ServicePrincipal','name':'ci','enabled':true,'appId':'x'}",
      "a GUID" },
    { "principal", "$ops", "{'type':'Group','name':'ops','members':['bob']}",
      "body.members[0]: found \"bob\", expected an object id" },
    { "principal", "$ops", "{'type':'Group','name':'ops','members':['$bob','$bob']}", "twice" },
    { "credential", "$ada", "{'argon2id':'hunter2'}", "expected an argon2id hash" },
    { "credential", "$ada", "{'argon2id':['hunter2']}", "expected a string" },

    /* roles and assignments */
    { "roleDefinition", ROLE_ID("r"), "{'roleName':'r'}", "body.actions: found nothing" },
    { "roleDefinition", ROLE_ID("r"), "{'roleName':'r','actions':['a b']}", "an action such as" },
    { "roleDefinition", ROLE_ID("r"), "{'roleName':'r','actions':[1]}", "body.actions[0]" },
    { "roleDefinition", ROLE_ID("r"), "{'roleName':'r','actions':[''] }", "an action such as" },
    { "roleDefinition", ROLE_ID("r"), "{'roleName':'a/b','actions':[]}", "a name without /" },
    { "roleAssignment", GRANT_ID("$lab"), "{'principalId':'ada','role':'Reader'}",
      "body.principalId: found \"ada\", expected an object id" },
    { "roleAssignment", GRANT_ID("$lab"), "{'principalId':'$ada','role':'Reader','effect':'deny'}",
      "Allow or Deny" },
    { "roleAssignment", GRANT_ID("$lab"), "{'principalId':'$ada','role':'/x/Reader'}",
      "a role's name, GUID or definition id" },
#define LIMIT(l) "{'principalId':'$ada','role':'Reader'," l "}"
    { "roleAssignment", GRANT_ID("$lab"), LIMIT("'maxUploadBytes':0"),
      "body.maxUploadBytes: found the number 0, expected bytes from 1" },
    { "roleAssignment", GRANT_ID("$lab"), LIMIT("'maxDownloadBytes':-1"), "bytes from 1" },
    { "roleAssignment", GRANT_ID("$lab"), LIMIT("'maxDownloadBytes':9007199254740993"),
      "bytes from 1" },
    { "roleAssignment", GRANT_ID("$lab"), LIMIT("'maxUploadBytes':'1MiB'"), "an integer" },
    { "roleAssignment", GRANT_ID("$lab"), LIMIT("'maxUploadBytes':5.0"), "an integer" },
    { "roleAssignment", GRANT_ID("$lab"), LIMIT("'maxUploadBytes':null"), "an integer" },
    { "roleAssignment", GRANT_ID("$lab"), LIMIT("'effect':'Deny','maxUploadBytes':5"),
      "no limit where everything is denied" },
#define WINDOW(w) "{'principalId':'$ada','role':'Reader','window':" w "}"
    { "roleAssignment", GRANT_ID("$lab"), WINDOW("{}"), "body.window.from: found nothing" },
    { "roleAssignment", GRANT_ID("$lab"), WINDOW("{'from':'8:00','to':'18:00'}"),
      "body.window.from: found \"8:00\", expected a time from 00:00 to 23:59" },
    { "roleAssignment", GRANT_ID("$lab"), WINDOW("{'from':'24:00','to':'18:00'}"), "23:59" },
    { "roleAssignment", GRANT_ID("$lab"), WINDOW("{'from':'08:60','to':'18:00'}"), "23:59" },
    { "roleAssignment", GRANT_ID("$lab"), WINDOW("{'from':'08:00','to':'24:01'}"), "24:00" },
    { "roleAssignment", GRANT_ID("$lab"), WINDOW("{'from':'08:00','to':'08:00'}"), "differs" },
    { "roleAssignment", GRANT_ID("$lab"), WINDOW("{'days':[],'from':'08:00','to':'09:00'}"),
      "a list of 1 to 7" },
    { "roleAssignment", GRANT_ID("$lab"), WINDOW("{'days':['Mon'],'from':'08:00','to':'09:00'}"),
      "body.window.days[0]: found \"Mon\"" },
    { "roleAssignment", GRANT_ID("$lab"),
      WINDOW("{'days':['mon','mon'],'from':'08:00','to':'09:00'}"), "each day once" },
    { "roleAssignment", GRANT_ID("$lab"), WINDOW("{'from':'08:00','to':'09:00','tz':'CET'}"),
      "unknown key \"tz\"" },
};

/* Well-formed, but wrong in this world: refused by seal. */
static const cpn_refusal wholes[] = {
    { "subscription", "$sub", NULL, "the subscription " },
    { "resourceGroup", "$lab2", NULL, NULL }, /* nothing lies in it: fine */
    { "resourceGroup", "$lab", NULL, "the resourceGroup " },
    { "virtualMachineScaleSet", "$pool", NULL, "the virtualMachineScaleSet " },
    { "virtualNetwork", "$spoke", NULL, "peered with " },
    { "virtualNetwork", "$island", NULL, "its network " },
    { "networkInterface", "$app1-nic", NULL, "its interface " },
    { "principal", "$bob", NULL, "the member " },
    { "principal", "$ada", NULL, "the principal " },
    { "virtualNetwork", "$spoke",
      "{'addressPrefixes':['10.1.0.0/24'],'peerings':['$lab" NET "virtualNetworks/none']}",
      "which does not exist" },
    { "virtualNetwork", "$spoke", "{'addressPrefixes':['10.1.0.0/24','10.1.0.128/25']}",
      "its prefixes 10.1.0.0/24 and 10.1.0.128/25 overlap" },
    { "virtualNetwork", "$spoke", "{'addressPrefixes':['10.1.0.0/24','10.1.0.0/24']}",
      "its prefixes" },
    { "virtualNetwork", "$spoke", "{'addressPrefixes':['10.1.0.0/24','10.0.255.0/24']}",
      "overlaps 10.0.255.0/24 of its peer" },
    { "virtualNetwork", "$island",
      "{'addressPrefixes':['10.2.0.0/16','10.0.0.0/17'],'peerings':['$hub']}", "of its peer" },
    /* spoke and island are not peered with each other, but both with the hub */
    { "virtualNetwork", "$island",
      "{'addressPrefixes':['10.2.0.0/16','10.1.0.64/26'],'peerings':['$hub']}",
      "10.1.0.64/26 of its peer" },
    { "networkInterface", "$free-nic", "{'privateIPAddress':'10.0.1.4','virtualNetwork':'$hub'}",
      "its address 10.0.1.4 is already that of" },
    { "networkInterface", "$free-nic", "{'privateIPAddress':'10.1.0.4','virtualNetwork':'$hub'}",
      "lies in no prefix of" },
    { "networkInterface", "$lab" NET "networkInterfaces/new",
      "{'privateIPAddress':'10.0.1.77','virtualNetwork':'$lab" NET "virtualNetworks/none'}",
      "its network" },
    { "networkInterface", "$sub/resourceGroups/none" NET "networkInterfaces/new", NIC_BODY,
      "the resourceGroup " },
    { "virtualMachine", "$web10", "{'networkInterfaces':['$web1-nic2']}", "is already that of" },
    { "virtualMachine", "$web10", "{'networkInterfaces':['$lab" NET "networkInterfaces/none']}",
      "its interface" },
    { "virtualMachine", "$lab" CPU "virtualMachineScaleSets/none/virtualMachines/0",
      "{'networkInterfaces':['$free-nic']}", "the virtualMachineScaleSet " },
    { "bastionHost", "$front",
      "{'virtualNetwork':'$lab" NET "virtualNetworks/none','sku':'Standard'}", "its network" },
    { "principal", "$nobody", "{'type':'User','name':'ADA@example.test','enabled':true}",
      "the sign-in name ada@example.test is already that of" },
    { "principal", "$nobody",
      "{'type':'ServicePrincipal','name':'x','enabled':true,"
      "'appId':'99999999-2222-3333-4444-55555555555a'}",
      "is already that of" },
    { "principal", "$nobody", "{'type':'Group','name':'x','members':['$ops']}",
      "is a group itself" },
    { "principal", "$nobody", "{'type':'Group','name':'x','members':['" GUID_OF("98") "']}",
      "does not exist" },
    { "credential", "$ops", "{'argon2id':'$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA'}",
      "a group, which cannot sign in" },
    { "credential", "$nobody", "{'argon2id':'$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA'}",
      "the principal " },
    { "roleDefinition", ROLE_ID("r"), "{'roleName':'READER','actions':['*']}",
      "already that of the role Reader" },
    { "roleDefinition", ROLE_ID("acdd72a7-3385-48ef-bd42-f606fba81ae7"),
      "{'roleName':'x','actions':['*']}", "already that of the role Reader" },
    { "roleDefinition", ROLE_ID("r"), "{'roleName':'machine seer','actions':['*']}",
      "already that of the role machine seer" },
    { "roleAssignment", GRANT_ID("$lab"), "{'principalId':'$nobody','role':'Reader'}",
      "the principal" },
    { "roleAssignment", GRANT_ID("$lab"), "{'principalId':'$ada','role':'Reeder'}",
      "there is no role reeder" },
    { "roleAssignment", GRANT_ID("$ghost"), "{'principalId':'$ada','role':'Reader'}", "its scope" },
    { "roleAssignment", GRANT_ID("$sub/resourceGroups/la"),
      "{'principalId':'$ada','role':'Reader'}", "its scope" },
    { "roleAssignment", GRANT_ID("$lab"),
      "{'principalId':'$ada','role':'/subscriptions/x" ROLE_ID("SEER") "'}", NULL },
    { "roleAssignment", GRANT_ID(""), "{'principalId':'$ada','role':'Reader'}", NULL },
};

static bool
any_says(const json_t *problems, const char *words)
{
    for (size_t i = 0; i < json_array_size(problems); i++)
        if (strstr(json_string_value(json_array_get(problems, i)), words))
            return true;
    return false;
}

static void
shapes_are_refused(void **state)
{
    cpn_snapshot_edit *e = cpn_snapshot_edit_new(NULL);
    unsigned wrong = 0;

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(shapes); i++) {
        cpn_err err = { .msg = "accepted" };
        cpn_rc rc = put(e, shapes[i].kind, shapes[i].id, shapes[i].body, &err);

        if (rc != CPN_INVALID || !strstr(err.msg, shapes[i].says) || strstr(err.msg, "hunter2")) {
            print_message("# %s %s\n#   expected: %s\n#   found:    %s\n", shapes[i].kind,
                          shapes[i].body, shapes[i].says, err.msg);
            wrong++;
        }
    }
    cpn_snapshot_edit_free(e);
    print_message("# %zu rows\n", CPN_COUNT(shapes));
    assert_int_equal(wrong, 0);
}

static void
wholes_are_refused(void **state)
{
    cpn_snapshot *base = make_world();
    unsigned wrong = 0;

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(wholes); i++) {
        const cpn_refusal *r = &wholes[i];
        cpn_snapshot_edit *e = cpn_snapshot_edit_new(base);
        cpn_snapshot *s = NULL;
        json_t *problems = NULL;
        cpn_err err = { .msg = "accepted" };
        char id[4096];
        cpn_rc rc;

        if (r->body)
            put_ok(e, r->kind, r->id, r->body);
        else
            assert_int_equal(cpn_snapshot_delete(e, r->kind, spell(id, r->id)), CPN_OK);
        rc = cpn_snapshot_seal(&s, e, 8, &problems, &err);
        if ((rc == CPN_OK) != (r->says == NULL) || (r->says && !any_says(problems, r->says))) {
            print_message("# %s %s\n#   expected: %s\n#   found:    %s\n", r->kind, r->id, r->says,
                          err.msg);
            wrong++;
        }
        if (rc == CPN_OK)
            cpn_snapshot_unref(s);
        else
            cpn_snapshot_edit_free(e);
        json_decref(problems);
    }
    cpn_snapshot_unref(base);
    print_message("# %zu rows\n", CPN_COUNT(wholes));
    assert_int_equal(wrong, 0);
}

/* ---- bounds ---- */

static void
documents_are_bounded(void **state)
{
    cpn_snapshot *base = make_world(), *s = NULL;
    cpn_snapshot_edit *e = cpn_snapshot_edit_new(base);
    json_t *problems = NULL;
    cpn_err err;

    (void)state;
    cpn_snapshot_edit_bounds(e, CPN_COUNT(world), false);
    put_ok(e, "networkInterface", "$lab" NET "networkInterfaces/one-more", NIC_BODY);
    assert_int_equal(cpn_snapshot_seal(&s, e, 1, &problems, &err), CPN_INVALID);
    assert_true(any_says(problems, "resources_max"));
    json_decref(problems);
    /* the edit is still there, and bounded itself */
    cpn_snapshot_edit_bounds(e, 1, false);
    assert_int_equal(
        put(e, "networkInterface", "$lab" NET "networkInterfaces/two-more", NIC_BODY, &err),
        CPN_LIMIT);
    assert_int_equal(
        put(e, "networkInterface", "$lab" NET "networkInterfaces/ONE-more", NIC_BODY, &err),
        CPN_OK);
    cpn_snapshot_edit_bounds(e, CPN_COUNT(world) + 1, false);
    s = seal_ok(e);
    cpn_snapshot_unref(s);
    cpn_snapshot_unref(base);
}

static void
loopback_is_for_tests(void **state)
{
    cpn_snapshot_edit *e = cpn_snapshot_edit_new(NULL);
    const char *body = "{'addressPrefixes':['127.0.0.0/8','::1/128']}";
    cpn_err err;

    (void)state;
    assert_int_equal(put(e, "virtualNetwork", "$hub", body, &err), CPN_INVALID);
    cpn_snapshot_edit_bounds(e, 10, true);
    assert_int_equal(put(e, "virtualNetwork", "$hub", body, &err), CPN_OK);
    assert_int_equal(
        put(e, "virtualNetwork", "$hub", "{'addressPrefixes':['169.254.0.0/16']}", &err),
        CPN_INVALID);
    cpn_snapshot_edit_free(e);
}

static void
problems_are_bounded(void **state)
{
    cpn_snapshot_edit *e = cpn_snapshot_edit_new(NULL);
    cpn_snapshot *s = NULL;
    json_t *problems = NULL;
    char id[256];
    cpn_err err;

    (void)state;
    for (int i = 0; i < 50; i++) {
        snprintf(id, sizeof(id), "$lab" NET "networkInterfaces/n%d", i);
        put_ok(e, "networkInterface", id, NIC_BODY);
    }
    assert_int_equal(cpn_snapshot_seal(&s, e, 1, &problems, &err), CPN_INVALID);
    assert_int_equal(json_array_size(problems), CPN_PROBLEMS_MAX);
    json_decref(problems);
    assert_int_equal(cpn_snapshot_seal(&s, e, 1, NULL, NULL), CPN_INVALID);
    cpn_snapshot_edit_free(e);
}

/* ---- editing ---- */

static void
snapshots_do_not_change(void **state)
{
    cpn_snapshot *old = make_world(), *new;
    cpn_snapshot_edit *e = cpn_snapshot_edit_new(old);
    char id[4096], nic_id[4096];
    const cpn_nic *nic;

    (void)state;
    put_ok(e, "networkInterface", "$web1-nic", NIC_BODY);
    assert_int_equal(cpn_snapshot_delete(e, "virtualMachine", spell(id, "$isl1")), CPN_OK);
    assert_int_equal(cpn_snapshot_delete(e, "virtualMachine", id), CPN_NOT_FOUND);
    assert_int_equal(cpn_snapshot_delete(e, "virtualMachine", "nonsense"), CPN_NOT_FOUND);
    assert_int_equal(cpn_snapshot_delete(e, "nonsense", id), CPN_NOT_FOUND);
    new = seal_ok(e);
    assert_null(cpn_snapshot_machine(new, cpn_view_str(id)));
    assert_non_null(cpn_snapshot_machine(old, cpn_view_str(id)));
    spell(id, "$web1");
    spell(nic_id, "$web1-nic");
    nic = cpn_snapshot_machine(new, cpn_view_str(id))->nic;
    assert_ptr_equal(nic, cpn_snapshot_nic(new, cpn_view_str(nic_id)));
    assert_ptr_not_equal(nic, cpn_snapshot_nic(old, cpn_view_str(nic_id)));
    assert_int_equal(nic->addr.b[15], 77);
    assert_int_equal(cpn_snapshot_nic(old, cpn_view_str(nic_id))->addr.b[15], 4);
    /* unchanged documents are shared */
    assert_ptr_equal(cpn_snapshot_document(old, "virtualMachine", cpn_view_str(id)),
                     cpn_snapshot_document(new, "virtualMachine", cpn_view_str(id)));
    cpn_snapshot_unref(old);
    /* and outlive the snapshot that they came from */
    assert_string_equal(cpn_snapshot_machine(new, cpn_view_str(id))->host_key,
                        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA");
    assert_int_equal(cpn_snapshot_epoch(new), 7);
    cpn_snapshot_unref(cpn_snapshot_ref(new));
    cpn_snapshot_unref(new);
}

static void
peerings_are_symmetrical(void **state)
{
    cpn_snapshot *s = make_world();
    char hub[4096], spoke[4096], island[4096];
    const cpn_network *h = cpn_snapshot_network(s, cpn_view_str(spell(hub, "$hub")));
    const cpn_network *p = cpn_snapshot_network(s, cpn_view_str(spell(spoke, "$spoke")));
    const cpn_network *i = cpn_snapshot_network(s, cpn_view_str(spell(island, "$island")));

    (void)state;
    assert_int_equal(i->peers_n, 0);
    assert_int_equal(h->peers_n, 1);
    assert_int_equal(p->peers_n, 1);
    assert_ptr_equal(h->peers[0], p);
    assert_ptr_equal(p->peers[0], h);
    cpn_snapshot_unref(s);
}

static void
names_are_found_without_case(void **state)
{
    cpn_snapshot *s = make_world();
    char app[] = "99999999-2222-3333-4444-55555555555a";

    (void)state;
    assert_null(cpn_snapshot_principal_by_name(s, CPN_VIEW_LIT("")));
    assert_null(cpn_snapshot_principal_by_name(s, CPN_VIEW_LIT("ci")));
    assert_null(cpn_snapshot_principal_by_name(s, CPN_VIEW_LIT("ops")));
    assert_null(cpn_snapshot_principal(s, CPN_VIEW_LIT("")));
    assert_string_equal(
        cpn_snapshot_principal_by_name(s, CPN_VIEW_LIT("bob@EXAMPLE.test"))->object_id,
        GUID_OF("02"));
    assert_string_equal(cpn_snapshot_principal_by_name(s, cpn_view_str(app))->app_id, app);
    assert_non_null(cpn_snapshot_bastion(
        s, CPN_VIEW_LIT("/SUBSCRIPTIONS/11111111-2222-3333-4444-555555555555/resourcegroups/LAB"
                        "/providers/microsoft.network/bastionhosts/Front")));
    cpn_snapshot_unref(s);
}

/* ---- ids ---- */

static void
ids_are_parsed_strictly(void **state)
{
    static const char *const refused[] = {
        "",
        "/",
        "subscriptions/s",
        "/subscriptions",
        "/subscriptions/",
        "/subscriptions//",
        "/subscriptions/s/",
        "/subscriptions/s/resourceGroups",
        "/subscriptions/s/groups/g",
        "/subscriptions/s/resourceGroups/g/",
        "/subscriptions/s/resourceGroups/g/providers",
        "/subscriptions/s/resourceGroups/g/providers/P",
        "/subscriptions/s/resourceGroups/g/providers/P/T",
        "/subscriptions/s/resourceGroups/g/providers/P/T/",
        "/subscriptions/s/resourceGroups/g/providers/P//N",
        "/subscriptions/s/resourceGroups/g/providers/P/T/N/",
        "/subscriptions/s/resourceGroups/g/providers/P/T/N/T2",
        "/subscriptions/s/resourceGroups/g/providers/P/T/N/T2/N2/T3/N3",
        "/subscriptions/s/resourceGroups/g/providers/P/T/a%2fb",
        "/subscriptions/s/resourceGroups/..",
        "/subscriptions/s\n",
        "/subscriptions/\xc3\xa4",
        "/subscriptions/s/resourceGroups/g/providers/P/T/\xc3\xa4",
        "/subscriptions/s/resourceGroups/a b",
        "/subscriptions/s/resourceGroups/\xff",
        "/subscriptions/s/resourceGroups/\xc3",
        "/subscriptions/s/resourceGroups/\xc0\xaf",
        "/subscriptions/s/resourceGroups/a\xcc\x88",                /* a and a diaeresis: not NFC */
        "/subscriptions/s/resourceGroups/\xe2\x84\xab",             /* the Angstrom sign: not NFC */
        "/subscriptions/s/resourceGroups/\xe2\x80\x8d",             /* zero width joiner */
        "/subscriptions/s/resourceGroups/a\xe2\x80\xae",            /* right-to-left override */
        "/subscriptions/s/resourceGroups/\xc2\xa0",                 /* no-break space */
        "/subscriptions/s/resourceGroups/\xf0\x9f\x98\x80",         /* a smiling face */
        "/subscriptions/s/resourceGroups/\xee\x80\x80",             /* private use */
        "/subscriptions/s/resourceGroups/\xe3\x85\xa4",             /* Hangul filler */
        "/subscriptions/s/resourceGroups/\xe1\x84\x92\xe1\x85\xa1", /* jamo that join */
        "/subscriptions/s/resourceGroups/\xe0\xb9\x88",             /* a mark on nothing */
        "/subscriptions/s/resourceGroups/\xe0\xb8\x97\xe0\xb9\x88\xe0\xb9\x88", /* two marks */
        "/subscriptions/s/resourceGroups/\xc3\xa4..\xc3\xa4/x",
        /* 81 bytes */
        ("/subscriptions/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
    };
    static const char *const groups[] = { "K\xc3\xa4se-\xe6\x9d\xb1\xe4\xba\xac_(1).x",
                                          "\xd0\x9b\xd0\xb0\xd0\xb1",
                                          "\xe0\xb8\x97\xe0\xb8\xb5\xe0\xb9\x88", "\xed\x95\x9c",
                                          "\xc3\x85" };
    cpn_resource_id id;
    cpn_err err;

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++)
        if (cpn_resource_id_parse(&id, cpn_view_str(refused[i]), &err) != CPN_INVALID)
            fail_msg("%s", refused[i]);
    assert_int_equal(cpn_resource_id_parse(&id, CPN_VIEW_LIT("/subscriptions/s\0"), NULL),
                     CPN_INVALID);
    assert_int_equal(
        cpn_resource_id_parse(&id,
                              CPN_VIEW_LIT("/SUBSCRIPTIONS/s/resourcegroups/a.b_(c)-d/Providers/"
                                           "Microsoft.Compute/virtualMachineScaleSets/pool/"
                                           "virtualMachines/0"),
                              &err),
        CPN_OK);
    assert_true(cpn_view_is(id.subscription, "s") && cpn_view_is(id.group, "a.b_(c)-d"));
    assert_true(cpn_view_is(id.provider, "Microsoft.Compute") && cpn_view_is(id.name, "pool"));
    assert_true(cpn_view_is(id.type, "virtualMachineScaleSets"));
    assert_true(cpn_view_is(id.subtype, "virtualMachines") && cpn_view_is(id.subname, "0"));
    for (size_t i = 0; i < CPN_COUNT(groups); i++)
        assert_true(cpn_is_group_name(cpn_view_str(groups[i])));
    assert_int_equal(cpn_resource_id_parse(&id, CPN_VIEW_LIT("/subscriptions/s"), &err), CPN_OK);
    assert_int_equal(id.group.n + id.provider.n + id.name.n, 0);
}

/* ---- size ---- */

#define MANY 20000

static json_t *
body_of(const char *text)
{
    char spelt[4096];

    return json_loads(spell(spelt, text), 0, NULL);
}

static void
put_many(cpn_snapshot_edit *e)
{
    char id[512], text[1024];

    for (unsigned i = 0; i < MANY; i++) {
        json_t *body;
        cpn_err err = { 0 };

        snprintf(text, sizeof(text), "{'privateIPAddress':'10.0.%u.%u','virtualNetwork':'$hub'}",
                 100 + i / 250, i % 250);
        body = body_of(text);
        snprintf(id, sizeof(id), LAB NET "networkInterfaces/many-%u-nic", i);
        if (cpn_snapshot_put(e, CPN_KIND_NIC, id, body, &err) != CPN_OK)
            fail_msg("%s", err.msg);
        json_decref(body);
        snprintf(text, sizeof(text),
                 "{'networkInterfaces':['$lab" NET "networkInterfaces/many-%u-nic'],"
                 "'sshHostKeys':['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA%08u'],'tags':{}}",
                 i, i);
        body = body_of(text);
        snprintf(id, sizeof(id), LAB CPU "virtualMachines/many-%u", i);
        if (cpn_snapshot_put(e, CPN_KIND_MACHINE, id, body, &err) != CPN_OK)
            fail_msg("%s", err.msg);
        json_decref(body);
    }
}

static double
since_ms(uint64_t start_ns)
{
    return (double)(cpn_mono_ns() - start_ns) / 1e6;
}

/* Bytes in use, also those that malloc maps on their own. */
static size_t
heap(void)
{
    struct mallinfo2 m = mallinfo2();

    return m.uordblks + m.hblkhd;
}

static bool
count_all(void *owner, const char *id, const json_t *body)
{
    (void)id;
    (void)body;
    ++*(unsigned *)owner;
    return true;
}

/* Times are told, not judged: the machine is shared. */
static void
twenty_thousand_machines(void **state)
{
    cpn_snapshot *base = make_world(), *big, *edited;
    cpn_snapshot_edit *e = cpn_snapshot_edit_new(base);
    size_t before = heap(), after_load, after_edit;
    const cpn_principal *bob;
    uint64_t t = cpn_mono_ns();
    unsigned n = 0;
    char id[4096];

    (void)state;
    put_many(e);
    print_message("# put %u documents: %.0f ms\n", 2 * MANY, since_ms(t));
    t = cpn_mono_ns();
    big = seal_ok(e);
    print_message("# seal: %.0f ms\n", since_ms(t));
    after_load = heap();

    t = cpn_mono_ns();
    e = cpn_snapshot_edit_new(big);
    put_ok(e, "virtualMachine", "$web1", "{'networkInterfaces':['$web1-nic','$web1-nic2']}");
    put_ok(e, "roleAssignment", "$lab" ASSIGNMENTS GUID_OF("50"),
           "{'principalId':'$ops','role':'Reader'}");
    edited = seal_ok(e);
    print_message("# edit of two documents: %.0f ms\n", since_ms(t));
    after_edit = heap();
    print_message("# memory: %zu KiB loaded, %zu KiB for one more snapshot\n",
                  (after_load - before) / 1024, (after_edit - after_load) / 1024);

    bob = cpn_snapshot_principal(edited, cpn_view_str(spell(id, "$bob")));
    t = cpn_mono_ns();
    cpn_snapshot_each(edited, CPN_KIND_MACHINE, bob, count_all, &n);
    print_message("# list %u machines by rights: %.1f ms\n", n, since_ms(t));
    assert_int_equal(n, MANY + 4);
    t = cpn_mono_ns();
    cpn_snapshot_unref(big);
    print_message("# release: %.0f ms\n", since_ms(t));
    if (before) { /* a sanitizer's allocator counts nothing */
        assert_true(after_load - before < 160u << 20);
        assert_true(after_edit - after_load < 16u << 20);
    }
    cpn_snapshot_unref(edited);
    cpn_snapshot_unref(base);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_are_refused),       cmocka_unit_test(wholes_are_refused),
        cmocka_unit_test(documents_are_bounded),    cmocka_unit_test(loopback_is_for_tests),
        cmocka_unit_test(problems_are_bounded),     cmocka_unit_test(snapshots_do_not_change),
        cmocka_unit_test(peerings_are_symmetrical), cmocka_unit_test(names_are_found_without_case),
        cmocka_unit_test(ids_are_parsed_strictly),  cmocka_unit_test(twenty_thousand_machines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
