/* codec/yaml.h -- strict YAML (on libyaml): bytes to a tree whose every node knows its place, so
 * that errors of meaning, too, name a line and a column.
 *
 * Taken: one document of maps, lists and scalars, in block or flow style (JSON is YAML), UTF-8.
 * Refused: no document or a second one, anchors, aliases, tags, directives, a byte order mark, a
 * key twice in a map, keys that are not plain words, depth over CPN_YAML_DEPTH, more than
 * CPN_YAML_NODES nodes, and input over the caller's bound. */
#ifndef CPN_CODEC_YAML_H
#define CPN_CODEC_YAML_H

#include "base/buf.h"
#include "base/err.h"
#include "base/view.h"

#define CPN_YAML_DEPTH 16
#define CPN_YAML_NODES 2000000u
#define CPN_YAML_KEY_MAX 128
#define CPN_YAML_ERRORS 20

typedef enum cpn_yaml_kind {
    CPN_YAML_NONE,
    CPN_YAML_SCALAR,
    CPN_YAML_LIST,
    CPN_YAML_MAP
} cpn_yaml_kind;

typedef struct cpn_yaml cpn_yaml;

/* Valid as long as its cpn_yaml. Read the fields; walk by `child` and `next`. */
typedef struct cpn_yaml_node {
    cpn_yaml_kind kind;
    bool quoted;        /* a scalar in quotes, or a block: text, whatever it looks like */
    uint32_t line, col; /* from 1 */
    uint32_t n;         /* entries of a list or map */
    uint32_t index;     /* among its siblings, from 0 */
    cpn_view key;       /* empty when not in a map */
    cpn_view text;      /* of a scalar */
    struct cpn_yaml_node *parent, *child, *next;
} cpn_yaml_node;

/* Where errors gather: up to CPN_YAML_ERRORS sentences, the rest are counted. */
typedef struct cpn_yaml_errors {
    const char *file; /* stands in front of each */
    size_t n;         /* all, also those not kept */
    char *line[CPN_YAML_ERRORS];
} cpn_yaml_errors;

/* file is borrowed by errors. CPN_INVALID: errors has at least one more sentence. */
cpn_rc cpn_yaml_parse(cpn_yaml **out, cpn_view text, size_t max,
                      cpn_yaml_errors *errors) CPN_MUST_CHECK;
void cpn_yaml_free(cpn_yaml *y);
CPN_DEFINE_AUTO(cpn_yaml, cpn_yaml)
const cpn_yaml_node *cpn_yaml_root(const cpn_yaml *y);

/* The value of a key, or NULL. */
const cpn_yaml_node *cpn_yaml_get(const cpn_yaml_node *map, const char *key);

/* "FILE:LINE:COL: PATH: sentence"; the path is "networks[2].prefixes[0]". Always returns
 * CPN_INVALID. */
cpn_rc cpn_yaml_error(cpn_yaml_errors *e, const cpn_yaml_node *at, const char *fmt, ...)
    CPN_PRINTF(3, 4);
void cpn_yaml_errors_fini(cpn_yaml_errors *e);
CPN_UNUSED static inline void
cpn_yaml_errors_auto(cpn_yaml_errors *e)
{
    cpn_yaml_errors_fini(e);
}

/* Typed reading. CPN_INVALID: an error was gathered and *out is unchanged. */
/* A scalar; not null, ~ or nothing at all unless quoted. */
cpn_rc cpn_yaml_string(const cpn_yaml_node *n, cpn_view *out, cpn_yaml_errors *e) CPN_MUST_CHECK;
/* true or false, unquoted, and no other word. */
cpn_rc cpn_yaml_bool(const cpn_yaml_node *n, bool *out, cpn_yaml_errors *e) CPN_MUST_CHECK;
/* Decimal digits, unquoted: no sign, no leading zero, no 0x, no underscore. */
cpn_rc cpn_yaml_uint(const cpn_yaml_node *n, uint64_t min, uint64_t max, uint64_t *out,
                     cpn_yaml_errors *e) CPN_MUST_CHECK;
cpn_rc cpn_yaml_expect_list(const cpn_yaml_node *n, size_t max, cpn_yaml_errors *e) CPN_MUST_CHECK;
cpn_rc cpn_yaml_expect_map(const cpn_yaml_node *n, cpn_yaml_errors *e) CPN_MUST_CHECK;
/* Every key of the map is one of the words (NULL at the end); each other one is an error. */
cpn_rc cpn_yaml_known_keys(const cpn_yaml_node *map, const char *const *keys,
                           cpn_yaml_errors *e) CPN_MUST_CHECK;

#endif
