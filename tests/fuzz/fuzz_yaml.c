/* Any bytes as a settings or inventory file: a tree within its bounds, or an error with its place.
 */
#include <string.h>

#include "codec/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void
walk(const cpn_yaml_node *root, cpn_yaml_errors *e)
{
    const cpn_yaml_node *n = root;
    uint64_t u;
    cpn_view v;
    bool b;

    while (n) {
        if (cpn_yaml_string(n, &v, e) == CPN_OK && v.n && memchr(v.p, 0, v.n))
            __builtin_trap();
        (void)!cpn_yaml_bool(n, &b, e);
        (void)!cpn_yaml_uint(n, 1, 65535, &u, e);
        if (n->child) {
            n = n->child;
            continue;
        }
        while (n && !n->next)
            n = n->parent;
        n = n ? n->next : NULL;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    cpn_yaml_errors e = { .file = "f" };
    cpn_yaml *y = NULL;

    if (cpn_yaml_parse(&y, (cpn_view){ bytes, size }, 65536, &e) == CPN_OK)
        walk(cpn_yaml_root(y), &e);
    else if (e.n == 0)
        __builtin_trap();
    cpn_yaml_free(y);
    cpn_yaml_errors_fini(&e);
    return 0;
}
