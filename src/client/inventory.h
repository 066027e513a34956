/* client/inventory.h -- the inventory that people write (docs/inventory.md, short form, YAML)
 * turned into the documents that the gateway takes.
 *
 * Everything that can be told from the file alone is told here, with its line: unknown keys, wrong
 * types, names that mean nothing or two things, ids given twice, prefixes that overlap within what
 * can reach each other, addresses outside their network's prefixes or given twice. */
#ifndef CPN_CLIENT_INVENTORY_H
#define CPN_CLIENT_INVENTORY_H

#include <jansson.h>

#include "codec/yaml.h"

#define CPN_INVENTORY_BYTES ((size_t)16 << 20) /* of a file */
#define CPN_INVENTORY_ENTRIES 100000           /* of one list */

/* Which principals a file's lists describe. */
enum { CPN_INVENTORY_USERS = 1, CPN_INVENTORY_SERVICES = 2, CPN_INVENTORY_GROUPS = 4 };

typedef struct cpn_inventory {
    json_t *documents; /* [{"kind","id","body"}…] */
    json_t *whole;     /* kinds of which the file is the whole truth */
    unsigned people;   /* CPN_INVENTORY_… of the lists that the file has */
} cpn_inventory;

/* known: rows of principals that the gateway has already (client/rows.h), so that their names keep
 * their object ids and may be used without being listed; NULL: none. file stands in front of each
 * error. CPN_INVALID: errors has what is wrong. */
cpn_rc cpn_inventory_read(cpn_inventory *out, cpn_view text, const json_t *known,
                          cpn_yaml_errors *errors) CPN_MUST_CHECK;
void cpn_inventory_fini(cpn_inventory *i);

#endif
