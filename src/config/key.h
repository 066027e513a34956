/* config/key.h -- the rows of keys.def as data, and the parsers of their types; private to
 * src/config. */
#ifndef CPN_CONFIG_KEY_H
#define CPN_CONFIG_KEY_H

#include "codec/yaml.h"
#include "config/config.h"

typedef enum cpn_key_type {
    CPN_KEY_TEXT,
    CPN_KEY_PATH,
    CPN_KEY_WORD,
    CPN_KEY_BOOL,
    CPN_KEY_UINT,
    CPN_KEY_TIME,
    CPN_KEY_SIZE,
    CPN_KEY_ADDRS,
    CPN_KEY_PREFIXES
} cpn_key_type;

typedef struct cpn_key {
    const char *key;
    cpn_key_type type;
    size_t offset; /* of the member */
    size_t size;
    const char *def, *min, *max;
    bool reload;
    const char *doc;
} cpn_key;

extern const cpn_key cpn_keys[];
extern const size_t cpn_keys_n;

/* Read the value into its member of c. CPN_INVALID: errors says what is wrong with it. */
cpn_rc cpn_key_read(const cpn_key *k, const cpn_yaml_node *n, cpn_config *c,
                    cpn_yaml_errors *e) CPN_MUST_CHECK;
/* The default into its member. A wrong default is a bug: aborts. */
void cpn_key_default(const cpn_key *k, cpn_config *c);
/* The value as YAML. */
cpn_rc cpn_key_write(const cpn_key *k, const cpn_config *c, cpn_buf *out) CPN_MUST_CHECK;

#endif
