/* client/inv.h -- what the readers of the inventory's lists share; private to inventory.c and
 * inv_*.c. */
#ifndef CPN_CLIENT_INV_H
#define CPN_CLIENT_INV_H

/* clang warns of the default function's fall-through. */
#define HASH_FUNCTION(key, n, hash) HASH_FNV(key, n, hash)
#include <uthash.h>

#include "client/inventory.h"
#include "model/resource.h"

/* Bits, so that a place can take several kinds. */
typedef enum inv_kind {
    INV_SUBSCRIPTION = 1,
    INV_GROUP = 2,
    INV_NETWORK = 4,
    INV_NIC = 8,
    INV_MACHINE = 16,
    INV_SCALE_SET = 32,
    INV_BASTION = 64,
    INV_USER = 128,
    INV_SERVICE = 256,
    INV_USER_GROUP = 512,
    INV_ROLE = 1024,
    INV_ASSIGNMENT = 2048
} inv_kind;
#define INV_PEOPLE (INV_USER | INV_SERVICE)
#define INV_ANY_SCOPE                                                                              \
    (INV_SUBSCRIPTION | INV_GROUP | INV_NETWORK | INV_NIC | INV_MACHINE | INV_BASTION)

/* A network's prefixes and peers, for checking addresses. */
typedef struct inv_network {
    cpn_prefix *prefixes;
    const cpn_yaml_node **where; /* of each prefix */
    unsigned prefixes_n;
    const struct inv_network **peers;
    unsigned peers_n;
} inv_network;

/* Something that the file names. */
typedef struct inv_thing {
    inv_kind kind;
    char *id;
    char *id_lower;
    char *name; /* as written */
    char *name_lower;
    const cpn_yaml_node *at;  /* its entry */
    inv_network *network;     /* of a network */
    struct inv_thing *same;   /* another one of that name */
    struct inv_thing *before; /* all things, for freeing */
    UT_hash_handle by_id;
    UT_hash_handle by_name;
} inv_thing;

/* An address in use, and where. */
typedef struct inv_addr {
    cpn_addr addr;
    const inv_network *network;
    const cpn_yaml_node *at;
    struct inv_addr *same; /* the same address in another network */
    UT_hash_handle hh;
} inv_addr;

typedef struct inv {
    cpn_yaml_errors *e;
    cpn_inventory *out;
    const json_t *known;
    inv_thing *things; /* by id */
    inv_thing *names;
    inv_thing *last;
    inv_addr *addrs;
    const char *only_subscription; /* id, when there is exactly one */
} inv;

/* ---- inv_names.c ---- */
void inv_fini(inv *i);
/* Remember a thing under its name and id; both are checked and kept. NULL: an error was gathered
 * (the id is taken). */
inv_thing *inv_add(inv *i, inv_kind kind, const cpn_yaml_node *at, cpn_view name, const char *id);
/* The thing that a node's text means, by name or id, among kinds. *id is its full id; *thing is
 * NULL when only the gateway can know it. CPN_INVALID: an error was gathered. */
cpn_rc inv_ref(inv *i, unsigned kinds, const cpn_yaml_node *at, const char **id,
               const inv_thing **thing) CPN_MUST_CHECK;
/* "a network", "a machine or a bastion". */
const char *inv_kind_words(unsigned kinds);
/* A GUID made of a text (cpn_uuid_of_name): the same text gives the same one. */
void inv_guid(const char *text, char out[40]);

/* ---- inventory.c: reading entries ---- */
/* A required key of an entry. NULL: an error was gathered. */
const cpn_yaml_node *inv_need(inv *i, const cpn_yaml_node *entry, const char *key,
                              const char *expected);
/* A text of 1..max bytes without control characters; *out is NULL when the key is absent. */
cpn_rc inv_text(inv *i, const cpn_yaml_node *entry, const char *key, size_t max,
                char **out) CPN_MUST_CHECK;
/* The entry's `name`: [A-Za-z0-9._()-]{1,80}. */
cpn_rc inv_resource_name(inv *i, const cpn_yaml_node *entry, cpn_view *out) CPN_MUST_CHECK;
/* Its name and `group` as the id GROUP/providers/TYPE/NAME; into id. */
cpn_rc inv_resource_id(inv *i, const cpn_yaml_node *entry, const char *type, cpn_view *name,
                       char id[CPN_ID_MAX + 1]) CPN_MUST_CHECK;
/* Add a document; body is consumed. */
void inv_document(inv *i, const char *kind, const char *id, json_t *body);

/* ---- the lists; each is called with every entry, an error in one does not stop the next ---- */
typedef void inv_reader(inv *i, const cpn_yaml_node *entry);
inv_reader inv_subscription, inv_group;                                     /* inventory.c */
inv_reader inv_network_names, inv_network_peers, inv_interface;             /* inv_network.c */
inv_reader inv_machine, inv_scale_set, inv_bastion;                         /* inv_machine.c */
inv_reader inv_user, inv_service, inv_user_group, inv_role, inv_assignment; /* inv_people.c */

/* Check prefixes of what can reach each other, once all peerings are known. inv_network.c */
void inv_check_overlaps(inv *i);
/* An interface's document; its address is checked against the network. CPN_INVALID. */
cpn_rc inv_nic(inv *i, const cpn_yaml_node *address, const cpn_yaml_node *network,
               const char *nic_id) CPN_MUST_CHECK;

#endif
