/* client/target.h -- which machine, through which bastion: the options that tunnel and can-i share,
 * spelled as the Azure CLI spells them. */
#ifndef CPN_CLIENT_TARGET_H
#define CPN_CLIENT_TARGET_H

#include "client/api.h"
#include "model/resource.h"

/* Rows for a command's table of options. */
#define CPN_TARGET_OPTS CPN_TARGET_OPTS_TO("22", 0)
#define CPN_TARGET_OPTS_TO(port, port_letter)                                                      \
    { .name = "name",                                                                              \
      .letter = 'n',                                                                               \
      .arg = "BASTION",                                                                            \
      .names = "bastions",                                                                         \
      .def = "the only bastion that reaches the machine",                                          \
      .help = "the bastion, by name or id" },                                                      \
        { .name = "resource-group",                                                                \
          .letter = 'g',                                                                           \
          .arg = "GROUP",                                                                          \
          .def = "any",                                                                            \
          .help = "the bastion's resource group" },                                                \
        { .name = "subscription",                                                                  \
          .arg = "ID",                                                                             \
          .def = "the one of 'account set'",                                                       \
          .help = "the bastion's subscription" },                                                  \
        { .name = "target-resource-id",                                                            \
          .arg = "ID",                                                                             \
          .names = "machines",                                                                     \
          .help = "the machine or scale-set instance, by resource id or short name" },             \
        { .name = "target-ip-address",                                                             \
          .arg = "ADDRESS",                                                                        \
          .help = "the machine, by its private address" },                                         \
    {                                                                                              \
        .name = "resource-port", .letter = port_letter, .arg = "PORT", .def = port,                \
        .help = "the machine's port"                                                               \
    }

typedef struct cpn_target {
    char bastion[CPN_ID_MAX + 1];     /* id once resolved */
    char resource[CPN_ID_MAX + 1];    /* id once resolved; empty: by address */
    char address[CPN_ADDR_TEXT];      /* empty: by resource */
    char asked[CPN_ID_MAX + 1];       /* as it was named */
    char label[CPN_NAME_MAX + 1 + 8]; /* short name or address: for HostKeyAlias and messages */
    unsigned port;
    bool connects; /* a refusal of ours is the end of an attempt: it goes into the record */
} cpn_target;

/* Read the options and the first positional argument (a name, an id or an address); no network.
 * CPN_INVALID: none or several targets.
 */
cpn_rc cpn_target_read(cpn_target *t, const cpn_cli *cli, cpn_err *err) CPN_MUST_CHECK;
/* The same for a machine and a port that something else than those names: only the bastion's
 * options are read. */
cpn_rc cpn_target_named(cpn_target *t, const cpn_cli *cli, const char *machine, unsigned port,
                        cpn_err *err) CPN_MUST_CHECK;
/* Turn names into ids. CPN_NOT_FOUND; CPN_EXISTS: ambiguous, err names the candidates. *said
 * (unless NULL) is a new reference to what else the gateway says: "sshHostKeys", "decision" (what
 * can-i says), and "targetResourceId" and "name" also of the machine behind an address; NULL when
 * it says nothing.
 */
cpn_rc cpn_target_resolve(cpn_target *t, cpn_api *a, json_t **said, cpn_err *err) CPN_MUST_CHECK;
/* The same before anything connects, and whether it may, so that a refusal is told at the start.
 * CPN_DENIED: what is missing is in the problem of a's cli. */
cpn_rc cpn_target_ask(cpn_target *t, cpn_api *a, cpn_err *err) CPN_MUST_CHECK;
/* {"bastion", "targetResourceId" or "targetIpAddress", "port"}: what can-i and OPEN take. New
 * reference. */
json_t *cpn_target_json(const cpn_target *t);

#endif
