/* A small world for the tests of policy, and the short notation in which its rows are written.
 *
 * "$web1" is the id of web1; ' stands for ". hub and spoke are peered, island is not. */
#ifndef CPN_TESTS_POLICY_FIXTURE_H
#define CPN_TESTS_POLICY_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "policy/decide.h"

#define SUB "/subscriptions/11111111-2222-3333-4444-555555555555"
#define LAB SUB "/resourceGroups/lab"
#define NET "/providers/Microsoft.Network/"
#define CPU "/providers/Microsoft.Compute/"
#define GUID_OF(n) "00000000-0000-4000-8000-0000000000" n
#define ASSIGNMENTS "/providers/Microsoft.Authorization/roleAssignments/"

typedef struct cpn_alias {
    const char *name;
    const char *id;
} cpn_alias;

/* Longer names first: "$web1-nic2" is not "$web1" and a rest. */
static const cpn_alias aliases[] = {
    { "$web1-nic2", LAB NET "networkInterfaces/web1-nic2" },
    { "$web1-nic", LAB NET "networkInterfaces/web1-nic" },
    { "$app1-nic", LAB NET "networkInterfaces/app1-nic" },
    { "$isl1-nic", LAB NET "networkInterfaces/isl1-nic" },
    { "$pool0-nic", LAB NET "networkInterfaces/pool0-nic" },
    { "$free-nic", LAB NET "networkInterfaces/free-nic" },
    { "$ghost-bastion", LAB NET "bastionHosts/ghost" },
    { "$ghost", LAB CPU "virtualMachines/ghost" },
    { "$web10", LAB CPU "virtualMachines/web10" },
    { "$web1", LAB CPU "virtualMachines/web1" },
    { "$app1", LAB CPU "virtualMachines/app1" },
    { "$isl1", LAB CPU "virtualMachines/isl1" },
    { "$pool0", LAB CPU "virtualMachineScaleSets/pool/virtualMachines/0" },
    { "$pool", LAB CPU "virtualMachineScaleSets/pool" },
    { "$hub", LAB NET "virtualNetworks/hub" },
    { "$spoke", LAB NET "virtualNetworks/spoke" },
    { "$island", LAB NET "virtualNetworks/island" },
    { "$front", LAB NET "bastionHosts/front" },
    { "$lab2", SUB "/resourceGroups/lab2" },
    { "$lab", LAB },
    { "$sub", SUB },
    { "$ada", GUID_OF("01") },
    { "$bob", GUID_OF("02") },
    { "$off", GUID_OF("03") },
    { "$ci", GUID_OF("04") },
    { "$ops", GUID_OF("05") },
    { "$nobody", GUID_OF("99") },
};

typedef struct cpn_fixture_doc {
    const char *kind;
    const char *id;
    const char *body;
} cpn_fixture_doc;

static const cpn_fixture_doc world[] = {
    { "subscription", "$sub", "{'displayName':'Lab'}" },
    { "resourceGroup", "$lab", "{'location':'local'}" },
    { "resourceGroup", "$lab2", "{}" },
    { "virtualNetwork", "$hub", "{'addressPrefixes':['10.0.0.0/16'],'peerings':['$spoke']}" },
    { "virtualNetwork", "$spoke", "{'addressPrefixes':['10.1.0.0/24','fd12:3456::/64']}" },
    { "virtualNetwork", "$island", "{'addressPrefixes':['10.2.0.0/16']}" },
    { "networkInterface", "$web1-nic", "{'privateIPAddress':'10.0.1.4','virtualNetwork':'$hub'}" },
    { "networkInterface", "$web1-nic2", "{'privateIPAddress':'10.0.1.9','virtualNetwork':'$hub'}" },
    { "networkInterface", "$app1-nic",
      "{'privateIPAddress':'10.1.0.5','virtualNetwork':'$spoke'}" },
    { "networkInterface", "$isl1-nic",
      "{'privateIPAddress':'10.2.0.4','virtualNetwork':'$island'}" },
    { "networkInterface", "$pool0-nic", "{'privateIPAddress':'10.0.2.4','virtualNetwork':'$hub'}" },
    { "networkInterface", "$free-nic", "{'privateIPAddress':'10.0.1.10','virtualNetwork':'$hub'}" },
    { "virtualMachine", "$web1",
      "{'networkInterfaces':['$web1-nic','$web1-nic2'],'sshHostKeys':['ssh-ed25519 "
      "AAAAC3NzaC1lZDI1NTE5AAAA'],'tags':{'tier':'web'}}" },
    { "virtualMachine", "$app1", "{'networkInterfaces':['$app1-nic']}" },
    { "virtualMachine", "$isl1", "{'networkInterfaces':['$isl1-nic']}" },
    { "virtualMachineScaleSet", "$pool", "{}" },
    { "virtualMachine", "$pool0", "{'networkInterfaces':['$pool0-nic']}" },
    { "bastionHost", "$front",
      "{'virtualNetwork':'$hub','sku':'Standard','scaleUnits':2,'enableTunneling':true,"
      "'enableIpConnect':true,'protocols':['ssh','rdp']}" },
    { "principal", "$ada", "{'type':'User','name':'ada@example.test','enabled':true}" },
    { "principal", "$bob",
      "{'type':'User','name':'Bob@Example.test','enabled':true,'sessionsMax':3}" },
    { "principal", "$off", "{'type':'User','name':'off@example.test','enabled':false}" },
    { "principal", "$ci",
      "{'type':'ServicePrincipal','name':'ci','appId':'99999999-2222-3333-4444-55555555555A',"
      "'enabled':true}" },
    { "principal", "$ops", "{'type':'Group','name':'ops','members':['$bob','$ci']}" },
    { "credential", "$ada", "{'argon2id':'$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA'}" },
    { "roleDefinition", "/providers/Microsoft.Authorization/roleDefinitions/seer",
      "{'roleName':'Machine Seer','actions':['Microsoft.Compute/*/read',"
      "'Microsoft.Network/*/read'],'notActions':['Microsoft.Network/bastionHosts/read']}" },
};

/* ' to ", and each $name that is known to its id. out holds 4096. */
static CPN_UNUSED const char *
spell(char out[4096], const char *text)
{
    size_t at = 0;

    while (*text) {
        const cpn_alias *a = aliases, *end = aliases + CPN_COUNT(aliases);

        while (a < end && (*text != '$' || strncmp(text, a->name, strlen(a->name)) != 0))
            a++;
        assert_true(at < 3800);
        if (a < end) {
            at += (size_t)sprintf(out + at, "%s", a->id);
            text += strlen(a->name);
        } else {
            out[at++] = *text == '\'' ? '"' : *text;
            text++;
        }
    }
    out[at] = '\0';
    return out;
}

static CPN_UNUSED cpn_rc
put(cpn_snapshot_edit *e, const char *kind, const char *id, const char *body, cpn_err *err)
{
    char spelt_id[4096], spelt_body[4096];
    json_error_t why;
    json_t *json = json_loads(spell(spelt_body, body), JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
    cpn_rc rc;

    if (!json)
        fail_msg("%s: %s", why.text, spelt_body);
    rc = cpn_snapshot_put(e, kind, spell(spelt_id, id), json, err);
    json_decref(json);
    return rc;
}

static CPN_UNUSED void
put_ok(cpn_snapshot_edit *e, const char *kind, const char *id, const char *body)
{
    cpn_err err = { 0 };

    if (put(e, kind, id, body, &err) != CPN_OK)
        fail_msg("%s", err.msg);
}

static CPN_UNUSED cpn_snapshot *
seal_ok(cpn_snapshot_edit *e)
{
    cpn_snapshot *s = NULL;
    json_t *problems = NULL;
    cpn_err err = { 0 };

    if (cpn_snapshot_seal(&s, e, 7, &problems, &err) != CPN_OK)
        fail_msg("%s", err.msg);
    assert_null(problems);
    return s;
}

/* The world, still open for further documents. */
static CPN_UNUSED cpn_snapshot_edit *
edit_world(void)
{
    cpn_snapshot_edit *e = cpn_snapshot_edit_new(NULL);

    for (size_t i = 0; i < CPN_COUNT(world); i++)
        put_ok(e, world[i].kind, world[i].id, world[i].body);
    return e;
}

static CPN_UNUSED cpn_snapshot *
make_world(void)
{
    return seal_ok(edit_world());
}

#endif
