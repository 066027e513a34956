/* Who reaches what: a row for every route of the table, a column for every kind of caller. A route
 * without a row here fails test_matrix by its name. */
#ifndef CPN_TESTS_CONTROL_MATRIX_H
#define CPN_TESTS_CONTROL_MATRIX_H

#include "control_fixture.h"

#define MACHINE_READER GUID_OF("21")
#define BASTION_READER GUID_OF("22")
#define BASTION_CONTRIBUTOR GUID_OF("23")
#define CONTRIBUTOR GUID_OF("24")

/* The columns; NULL: no token. The word is for the message. */
static const struct {
    const char *who, *word;
} callers[] = {
    { NULL, "nobody" },
    { "$off", "a disabled user" },
    { "$ci", "who has no role" },
    { MACHINE_READER, "Reader on a machine" },
    { BASTION_READER, "Reader on the bastion" },
    { BASTION_CONTRIBUTOR, "Contributor on the bastion" },
    { "$bob", "Reader on /" },
    { CONTRIBUTOR, "Contributor on /" },
    { "$ada", "Owner on /" },
};

/* A letter a column: + reaches the handler, u 401, d 403, n 404. */
#define OPEN "+++++++++"
#define SIGNED_IN "uu+++++++"
#define READS "uudddd+++"
#define READS_MACHINE "uud+dd+++"
#define READS_BASTION "uudd+++++"
#define CHANGES "uuddddd++"
#define CHANGES_BASTION "uuddd+d++"
#define OWNS "uudddddd+"
/* Nothing there: for nobody, or for nobody who is signed in. */
#define NOWHERE "nnnnnnnnn"
#define NOTHING "uunnnnnnn"

#define V "api-version=2024-01-01"
/* In a body: the caller's access token. */
#define TOKEN "@token@"
#define FORM "protocol=tcptunnel&workloadHostPort=22&resourceId="
#define FRONT_ID LAB NET "bastionHosts/front"
#define WEB1_ID LAB CPU "virtualMachines/web1"
#define OPERATIONS SUB "/providers/Microsoft.Network/locations/local/"
#define ROLES_AT(scope, rest) scope "/providers/Microsoft.Authorization/role" rest
#define READER_GUID "acdd72a7-3385-48ef-bd42-f606fba81ae7"

/* Requests that change little: what they change is undone before the next. */
static const struct {
    const char *method, *path, *query, *body;
    const char *want;
} cells[] = {
    { "GET", "/v1/version", NULL, NULL, OPEN },
    { "POST", "/v1/enrol", NULL, "{}", OPEN },
    { "GET", "/adfs/.well-known/openid-configuration", NULL, NULL, OPEN },
    { "GET", "/adfs/x/.well-known/openid-configuration", NULL, NULL, OPEN },
    { "GET", "/adfs/discovery/keys", NULL, NULL, OPEN },
    { "POST", "/adfs/oauth2/token", NULL, "grant_type=none", OPEN },
    { "POST", "/adfs/oauth2/revoke", NULL, "client_id=x&token=y", OPEN },
    { "POST", "/adfs/oauth2/devicecode", NULL, "client_id=x", OPEN },
    { "GET", "/adfs/oauth2/authorize", NULL, NULL, OPEN },
    { "GET", "/adfs/oauth2/msi", NULL, NULL, "uuuuuuuuu" }, /* a secret in a field of the head */
    { "GET", "/adfs/oauth2/msi/", NULL, NULL, "uuuuuuuuu" },
    { "POST", "/adfs/oauth2/msi", NULL, "resource=x", "uuuuuuuuu" },
    { "GET", "/common/.well-known/openid-configuration", NULL, NULL, OPEN },
    { "GET", "/common/v2.0/.well-known/openid-configuration", NULL, NULL, OPEN },
    { "GET", "/nobody/v2.0/.well-known/openid-configuration", NULL, NULL, NOWHERE },
    { "GET", "/common/discovery/v2.0/keys", NULL, NULL, OPEN },
    { "POST", "/common/oauth2/v2.0/token", NULL, "grant_type=none", OPEN },
    { "POST", "/common/oauth2/v2.0/devicecode", NULL, "client_id=x", OPEN },
    { "POST", "/common/oauth2/v2.0/revoke", NULL, "client_id=x&token=y", OPEN },
    { "GET", "/common/oauth2/v2.0/authorize", NULL, NULL, OPEN },
    { "GET", "/device", NULL, NULL, OPEN },
    { "POST", "/device", NULL, "user_code=x", OPEN },
    { "POST", "/signin/password", NULL, "flow=x", OPEN },
    { "GET", "/signin/leave", "flow=x", NULL, OPEN },
    { "GET", "/signin/callback", "state=x", NULL, OPEN },
    { "POST", "/signin/decide", NULL, "flow=x", OPEN },
    { "GET", "/metadata/endpoints", V, NULL, OPEN },
    { "GET", "/v1/ssh-ca", NULL, NULL, NOWHERE }, /* no CA is set */
    { "POST", "/v1/host-keys", NULL, "{'scope':'" WEB1_ID "'}", CHANGES },
    { "GET", "/api/rdpfile", NULL, NULL, SIGNED_IN },
    { "POST", "/api/connection", NULL, "{}", "uuuuuuuuu" }, /* its token is in the body */
    { "POST", "/api/connection", NULL,
      "{'resourceId':'$web1','vmPort':22,'azToken':'" TOKEN "','connectionType':'nativeclient'}",
      SIGNED_IN },                                       /* says the gateway's name alone */
    { "POST", "/api/tokens", NULL, "x=y", "uuuuuuuuu" }, /* its token is in the form */
    { "POST", "/api/tokens", NULL, FORM "$web1&aztoken=" TOKEN, READS },
    { "POST", "/api/tokens", NULL, FORM "$ghost&aztoken=" TOKEN, "uuddddddd" },
    { "DELETE", "/api/tokens/x", NULL, NULL, NOWHERE },
    { "GET", "/metrics", NULL, NULL, NOWHERE },
    { "GET", "/healthz", NULL, NULL, NOWHERE },
    { "GET", "/readyz", NULL, NULL, NOWHERE },

    { "GET", "/v1/whoami", NULL, NULL, SIGNED_IN },
    { "GET", "/v1/documents", "kind=bastionHost", NULL, SIGNED_IN },
    { "GET", "/v1/document", "kind=bastionHost&id=" FRONT_ID, NULL, "uunn+++++" },
    { "GET", "/v1/document", "kind=virtualMachine&id=" WEB1_ID, NULL, "uun+nn+++" },
    { "GET", "/v1/document", "kind=principal&id=" GUID_OF("01"), NULL, "uunnnn+++" },
    { "GET", "/v1/sessions", NULL, NULL, SIGNED_IN },
    { "POST", "/v1/sessions/disconnect", NULL, "{'sessionIds':['x']}", SIGNED_IN },
    { "POST", "/v1/can-i", NULL, "{'bastion':'x','targetResourceId':'y'}", SIGNED_IN },
    { "POST", "/v1/can-i", NULL, "{'bastion':'x','targetResourceId':'y','user':'off@example.test'}",
      OWNS },
    { "POST", "/v1/resolve", NULL, "{'target':'web1'}", "uunnnn+++" },
    { "POST", "/v1/users/password", NULL, "{'old':'x','password':'short'}", SIGNED_IN },
    { "POST", "/v1/users/password", NULL, "{'name':'Bob@Example.test','password':'longenough'}",
      OWNS },
    { "GET", "/v1/audit", NULL, NULL, READS },
    { "POST", "/v1/audit/verify", NULL, "{}", READS },
    { "POST", "/v1/apply", "dryRun=true", "{'documents':[]}", CHANGES },
    { "POST", "/v1/users", NULL, "{}", OWNS },
    { "POST", "/v1/service-principals", NULL, "{}", OWNS },
    { "POST", "/v1/host-keys", NULL, "{'scope':'$web1'}", CHANGES },
    { "POST", "/v1/host-keys", NULL, "{}", CHANGES },
    { "GET", "/api/rdpfile", "resourceId=" WEB1_ID, NULL, READS },
    { "POST", "/v1/role-assignments", NULL, "{'scope':'/'}", OWNS },
    { "POST", "/v1/role-assignments", NULL, "{'scope':'$front'}", OWNS },
    { "POST", "/v1/role-assignments", NULL, "{}", OWNS },
    { "DELETE", "/v1/role-assignments", "id=" ROLES_AT("", "Assignments/" GUID_OF("a2")), NULL,
      OWNS },
    { "DELETE", "/v1/role-assignments", NULL, NULL, OWNS },

    { "GET", "/tenants", V, NULL, SIGNED_IN },
    { "GET", "/subscriptions", V, NULL, SIGNED_IN },
    { "GET", SUB, V, NULL, "uud++++++" }, /* whoever may read something in it */
    { "GET", SUB "/locations", V, NULL, "uud++++++" },
    { "GET", SUB "/resourceGroups", V, NULL, SIGNED_IN },
    { "GET", LAB, V, NULL, READS },
    { "HEAD", LAB, V, NULL, READS },
    { "GET", SUB "/resources", V, NULL, SIGNED_IN },
    { "GET", LAB "/resources", V, NULL, SIGNED_IN },
    { "GET", SUB "/providers", V, NULL, SIGNED_IN },
    { "GET", SUB "/providers/Microsoft.Network", V, NULL, SIGNED_IN },
    { "GET", LAB NET "virtualNetworks/hub", V, NULL, READS },
    { "GET", LAB NET "virtualNetworks/ghost", V, NULL, "uuddddnnn" },
    { "GET", LAB NET "virtualNetworks", V, NULL, SIGNED_IN },
    { "GET", SUB NET "virtualNetworks", V, NULL, SIGNED_IN },
    { "GET", LAB NET "virtualNetworks/hub/subnets", V, NULL, READS },
    { "GET", LAB NET "virtualNetworks/hub/subnets/default", V, NULL, READS },
    { "GET", LAB NET "networkInterfaces/web1-nic", V, NULL, READS },
    { "GET", LAB NET "networkInterfaces", V, NULL, SIGNED_IN },
    { "GET", SUB NET "networkInterfaces", V, NULL, SIGNED_IN },
    { "GET", LAB NET "publicIPAddresses", V, NULL, SIGNED_IN },
    { "GET", SUB NET "publicIPAddresses", V, NULL, SIGNED_IN },
    { "GET", WEB1_ID, V, NULL, READS_MACHINE },
    { "GET", LAB CPU "virtualMachines", V, NULL, SIGNED_IN },
    { "GET", SUB CPU "virtualMachines", V, NULL, SIGNED_IN },
    { "GET", LAB CPU "virtualMachineScaleSets/pool", V, NULL, READS },
    { "GET", LAB CPU "virtualMachineScaleSets", V, NULL, SIGNED_IN },
    { "GET", SUB CPU "virtualMachineScaleSets", V, NULL, SIGNED_IN },
    { "GET", LAB CPU "virtualMachineScaleSets/pool/virtualMachines", V, NULL, SIGNED_IN },
    { "GET", LAB CPU "virtualMachineScaleSets/pool/virtualMachines/0", V, NULL, READS },
    { "GET", LAB CPU "virtualMachineScaleSets/pool/virtualMachines/0/networkInterfaces", V, NULL,
      READS },
    { "GET", FRONT_ID, V, NULL, READS_BASTION },
    { "GET", LAB NET "bastionHosts/ghost", V, NULL, "uuddddnnn" },
    { "GET", LAB NET "bastionHosts", V, NULL, SIGNED_IN },
    { "GET", SUB NET "bastionHosts", V, NULL, SIGNED_IN },
    { "PUT", FRONT_ID, V, "{}", CHANGES_BASTION },
    { "PUT", LAB NET "bastionHosts/ghost", V, "{}", CHANGES },
    { "PATCH", FRONT_ID, V, "{}", CHANGES_BASTION },
    { "DELETE", FRONT_ID, V, NULL, CHANGES_BASTION },
    { "GET", OPERATIONS "operations/x", V, NULL, NOTHING },
    { "GET", OPERATIONS "operationResults/x", V, NULL, NOTHING },
    { "POST", FRONT_ID "/getActiveSessions", V, "{}", CHANGES_BASTION },
    { "GET", FRONT_ID "/getActiveSessions", V, NULL, CHANGES_BASTION },
    { "POST", FRONT_ID "/disconnectActiveSessions", V, "{}", CHANGES_BASTION },

    { "GET", ROLES_AT(LAB, "Assignments"), V, NULL, SIGNED_IN },
    { "GET", ROLES_AT("", "Assignments"), V, NULL, SIGNED_IN },
    { "GET", ROLES_AT("", "Assignments/" GUID_OF("a1")), V, NULL, READS },
    { "GET", ROLES_AT(FRONT_ID, "Assignments/" GUID_OF("c2")), V, NULL, READS_BASTION },
    { "GET", ROLES_AT(WEB1_ID, "Assignments/x"), V, NULL, "uudnddnnn" },
    { "PUT", ROLES_AT(FRONT_ID, "Assignments/x"), V, "{}", OWNS },
    { "PUT", ROLES_AT("", "Assignments/x"), V, "{}", OWNS },
    { "DELETE", ROLES_AT(FRONT_ID, "Assignments/" GUID_OF("c2")), V, NULL, OWNS },
    { "DELETE", ROLES_AT("", "Assignments/x"), V, NULL, OWNS },
    { "GET", ROLES_AT(LAB, "Definitions"), V, NULL, SIGNED_IN },
    { "GET", ROLES_AT("", "Definitions"), V, NULL, SIGNED_IN },
    { "GET", ROLES_AT(LAB, "Definitions/" READER_GUID), V, NULL, SIGNED_IN },
    { "GET", ROLES_AT("", "Definitions/" READER_GUID), V, NULL, SIGNED_IN },
    { "GET", ROLES_AT(WEB1_ID, "Definitions/seer"), V, NULL, "uun+nn+++" },

    { "GET", "/v1.0/me", NULL, NULL, SIGNED_IN },
    { "GET", "/v1.0/users", NULL, NULL, SIGNED_IN },
    { "GET", "/v1.0/users/" GUID_OF("01"), NULL, NULL, "uunnnn+++" },
    { "GET", "/v1.0/servicePrincipals", NULL, NULL, SIGNED_IN },
    { "GET", "/v1.0/servicePrincipals/" GUID_OF("04"), NULL, NULL, "uu+nnn+++" },
    { "GET", "/v1.0/groups", NULL, NULL, SIGNED_IN },
    { "GET", "/v1.0/groups/" GUID_OF("05"), NULL, NULL, "uunnnn+++" },
    { "POST", "/v1.0/directoryObjects/getByIds", NULL, "{}", SIGNED_IN },
};

#endif
