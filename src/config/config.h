/* config/config.h -- the gateway's settings, as config/keys.def lists them.
 *
 * Plain memory: copy it, compare it, nothing to free. Only control reads the file. */
#ifndef CPN_CONFIG_CONFIG_H
#define CPN_CONFIG_CONFIG_H

#include <stdio.h>

#include "base/buf.h"
#include "base/err.h"
#include "model/addr.h"

#define CPN_CONFIG_TEXT 256
#define CPN_CONFIG_FILE_MAX (1u << 20)
/* The most entries of any list: fence_deny. */
#define CPN_CONFIG_LIST_MAX 256

/* Canonical text of each entry: "127.0.0.1:8443", "10.0.0.0/8". */
typedef struct cpn_config_list {
    size_t n;
    char item[CPN_CONFIG_LIST_MAX][CPN_ADDR_TEXT];
} cpn_config_list;

typedef char cpn_config_TEXT[CPN_CONFIG_TEXT];
typedef char cpn_config_PATH[CPN_CONFIG_TEXT];
typedef char cpn_config_WORD[16];
typedef bool cpn_config_BOOL;
typedef uint64_t cpn_config_UINT;
typedef uint64_t cpn_config_TIME; /* ms    */
typedef uint64_t cpn_config_SIZE; /* bytes */
typedef cpn_config_list cpn_config_ADDRS;
typedef cpn_config_list cpn_config_PREFIXES;

typedef struct cpn_config {
#define CPN_KEY(key, member, type, def, min, max, reload, doc) cpn_config_##type member;
#include "config/keys.def"
#undef CPN_KEY
} cpn_config;

/* The defaults of the table. Empty `store` and 0 `fronts` are already replaced by what they mean.
 */
void cpn_config_defaults(cpn_config *out);
/* Read and check the file. On failure every error found (up to 20) goes to report, one line each:
 * FILE:LINE:COL: PATH: what (expected …); err says how many. CPN_E_CONF. */
cpn_rc cpn_config_load(cpn_config *out, const char *path, FILE *report,
                       cpn_err *err) CPN_MUST_CHECK;
/* The same for text in memory; name stands in messages. */
cpn_rc cpn_config_parse(cpn_config *out, cpn_view text, const char *name, FILE *report,
                        cpn_err *err) CPN_MUST_CHECK;

/* Called for each setting that differs. reload: SIGHUP applies it. */
typedef void cpn_config_changed(void *arg, const char *key, bool reload);
/* Compare now with next, and copy from next what may change without a restart. Returns the number
 * of differences. */
size_t cpn_config_reload(cpn_config *now, const cpn_config *next, cpn_config_changed *changed,
                         void *arg);

/* The value as it would stand in the file ("30s", "256MiB", "[a, b]"). */
cpn_rc cpn_config_value(const cpn_config *c, const char *key, cpn_buf *out) CPN_MUST_CHECK;
/* A commented YAML file with every default; the table of docs/limits.md. */
void cpn_config_print_defaults(FILE *to);
void cpn_config_print_markdown(FILE *to);

#endif
