/* Settings: defaults, the file over them, checks, and what a reload may change. */
#include "config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/check.h"
#include "config/key.h"

#define FRONTS_MAX 64

/* "Empty" and 0 replaced by what they stand for. */
static void
resolve(cpn_config *c)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    if (!c->store[0] && snprintf(c->store, sizeof(c->store), "sqlite:%s/caponier.db",
                                 c->state_dir) >= (int)sizeof(c->store))
        c->store[0] = '\0'; /* refused by the check */
    if (c->fronts == 0)
        c->fronts = cores < 1 ? 1 : CPN_MIN((uint64_t)cores, (uint64_t)FRONTS_MAX);
}

static void
table_defaults(cpn_config *c)
{
    memset(c, 0, sizeof(*c));
    for (size_t i = 0; i < cpn_keys_n; i++)
        cpn_key_default(&cpn_keys[i], c);
}

void
cpn_config_defaults(cpn_config *out)
{
    table_defaults(out);
    resolve(out);
}

static const cpn_key *
key_of(cpn_view name)
{
    for (size_t i = 0; i < cpn_keys_n; i++)
        if (cpn_view_is(name, cpn_keys[i].key))
            return &cpn_keys[i];
    return NULL;
}

static void
read_settings(cpn_config *c, const cpn_yaml_node *root, cpn_yaml_errors *e)
{
    if (cpn_yaml_expect_map(root, e) != CPN_OK)
        return;
    for (const cpn_yaml_node *n = root->child; n; n = n->next) {
        const cpn_key *k = key_of(n->key);
        if (!k)
            cpn_yaml_error(e, n, "there is no such setting (see caponierd --print-defaults)");
        else if (cpn_key_read(k, n, c, e) != CPN_OK)
            continue; /* gathered; the next setting may be wrong too */
    }
    if (e->n)
        return;
    resolve(c);
    cpn_config_check(c, root, e);
}

cpn_rc
cpn_config_parse(cpn_config *out, cpn_view text, const char *name, FILE *report, cpn_err *err)
{
    CPN_AUTO(cpn_yaml_errors_auto) cpn_yaml_errors e = { .file = name };
    CPN_AUTO(cpn_yaml_auto) cpn_yaml *y = NULL;
    CPN_AUTO(cpn_auto_mem) cpn_config *c = cpn_xcalloc(1, sizeof(*c));

    table_defaults(c);
    if (cpn_yaml_parse(&y, text, CPN_CONFIG_FILE_MAX, &e) == CPN_OK)
        read_settings(c, cpn_yaml_root(y), &e);
    if (e.n == 0) {
        memcpy(out, c, sizeof(*out));
        return CPN_OK;
    }
    for (size_t i = 0; report && i < CPN_MIN(e.n, (size_t)CPN_YAML_ERRORS); i++)
        fprintf(report, "%s\n", e.line[i]);
    return cpn_fail(err, CPN_E_CONF, "%s: %zu error%s; the first: %s", name, e.n,
                    e.n == 1 ? "" : "s", e.line[0]);
}

static cpn_rc
read_file(cpn_buf *out, const char *path, cpn_err *err)
{
    CPN_AUTO(cpn_auto_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;
    ssize_t n;

    if (fd < 0 || fstat(fd, &st) < 0)
        return cpn_fail(err, CPN_E_CONF, "settings %s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return cpn_fail(err, CPN_E_CONF, "settings %s: not a file", path);
    if (st.st_mode & S_IWOTH)
        return cpn_fail(err, CPN_E_CONF, "settings %s: anybody may write it (chmod o-w)", path);
    do {
        uint8_t *at;
        if (cpn_buf_reserve(out, 4096, &at) != CPN_OK)
            return cpn_fail(err, CPN_E_CONF, "settings %s: over %u bytes", path,
                            CPN_CONFIG_FILE_MAX);
        if ((n = read(fd, at, 4096)) < 0)
            return cpn_fail(err, CPN_E_CONF, "settings %s: %s", path, strerror(errno));
        out->n += (size_t)n;
    } while (n > 0);
    return CPN_OK;
}

cpn_rc
cpn_config_load(cpn_config *out, const char *path, FILE *report, cpn_err *err)
{
    CPN_AUTO(cpn_buf_fini) cpn_buf text = { .max = CPN_CONFIG_FILE_MAX + 4096 };
    cpn_rc rc = read_file(&text, path, err);

    return rc == CPN_OK ? cpn_config_parse(out, cpn_buf_view(&text), path, report, err) : rc;
}

size_t
cpn_config_reload(cpn_config *now, const cpn_config *next, cpn_config_changed *changed, void *arg)
{
    size_t n = 0;

    for (size_t i = 0; i < cpn_keys_n; i++) {
        const cpn_key *k = &cpn_keys[i];
        char *to = (char *)now + k->offset;
        const char *from = (const char *)next + k->offset;
        if (memcmp(to, from, k->size) == 0)
            continue;
        n++;
        if (k->reload)
            memcpy(to, from, k->size);
        if (changed)
            changed(arg, k->key, k->reload);
    }
    return n;
}

cpn_rc
cpn_config_value(const cpn_config *c, const char *key, cpn_buf *out)
{
    const cpn_key *k = key_of(cpn_view_str(key));

    return k ? cpn_key_write(k, c, out) : CPN_NOT_FOUND;
}
