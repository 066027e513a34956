/* Typed reading of a YAML tree, and the sentences about what is wrong with it. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "codec/yaml.h"
#include "codec/yaml_error.h"

#define LINE_BYTES 640
#define PATH_BYTES 256

/* ---- errors --------------------------------------------------------------------------------- */

static void
keep(cpn_yaml_errors *e, const char *line)
{
    if (e->n < CPN_YAML_ERRORS)
        e->line[e->n] = cpn_xstrdup(line);
    e->n++;
}

cpn_rc
cpn_yaml_error_at(cpn_yaml_errors *e, uint32_t line, uint32_t col, const char *what)
{
    char text[LINE_BYTES];

    snprintf(text, sizeof(text), "%.200s:%u:%u: %.400s", e->file, line, col, what);
    keep(e, text);
    return CPN_INVALID;
}

/* "a.b[2]" of a node, written from its end. */
static const char *
path_of(const cpn_yaml_node *n, char out[PATH_BYTES])
{
    size_t at = PATH_BYTES - 1;

    out[at] = '\0';
    for (; n && n->parent; n = n->parent) {
        char step[CPN_YAML_KEY_MAX + 16];
        size_t len;
        if (n->parent->kind == CPN_YAML_MAP)
            snprintf(step, sizeof(step), "%s%.*s", n->parent->parent ? "." : "",
                     CPN_VIEW_ARG(n->key));
        else
            snprintf(step, sizeof(step), "[%u]", n->index);
        len = strlen(step);
        if (len > at)
            break;
        at -= len;
        memcpy(out + at, step, len);
    }
    return out + at;
}

cpn_rc
cpn_yaml_error(cpn_yaml_errors *e, const cpn_yaml_node *at, const char *fmt, ...)
{
    char what[LINE_BYTES], text[LINE_BYTES + PATH_BYTES], path[PATH_BYTES];
    const char *p = path_of(at, path);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    snprintf(text, sizeof(text), "%s%s%s", p, *p ? ": " : "", what);
    return cpn_yaml_error_at(e, at->line, at->col, text);
}

void
cpn_yaml_errors_fini(cpn_yaml_errors *e)
{
    for (size_t i = 0; i < CPN_MIN(e->n, (size_t)CPN_YAML_ERRORS); i++)
        free(e->line[i]);
    e->n = 0;
}

/* ---- reading -------------------------------------------------------------------------------- */

const cpn_yaml_node *
cpn_yaml_get(const cpn_yaml_node *map, const char *key)
{
    for (const cpn_yaml_node *c = map->kind == CPN_YAML_MAP ? map->child : NULL; c; c = c->next)
        if (cpn_view_is(c->key, key))
            return c;
    return NULL;
}

static bool
is_null(const cpn_yaml_node *n)
{
    return !n->quoted &&
           (n->text.n == 0 || cpn_view_is(n->text, "~") || cpn_view_is_nocase(n->text, "null"));
}

/* What stands there, short enough for a sentence. */
#define SHOWN(n) (int)CPN_MIN((n)->text.n, (size_t)60), (const char *)(n)->text.p

cpn_rc
cpn_yaml_string(const cpn_yaml_node *n, cpn_view *out, cpn_yaml_errors *e)
{
    if (n->kind != CPN_YAML_SCALAR)
        return cpn_yaml_error(e, n, "a %s (expected text)",
                              n->kind == CPN_YAML_LIST ? "list" : "map");
    if (is_null(n))
        return cpn_yaml_error(e, n, "no value (expected text; \"\" for none)");
    *out = n->text;
    return CPN_OK;
}

cpn_rc
cpn_yaml_bool(const cpn_yaml_node *n, bool *out, cpn_yaml_errors *e)
{
    bool yes = n->kind == CPN_YAML_SCALAR && cpn_view_is(n->text, "true");

    if (n->kind != CPN_YAML_SCALAR)
        return cpn_yaml_error(e, n, "a %s (expected true or false)",
                              n->kind == CPN_YAML_LIST ? "list" : "map");
    if (n->quoted || (!yes && !cpn_view_is(n->text, "false")))
        return cpn_yaml_error(e, n, "'%.*s' (expected true or false, unquoted)", SHOWN(n));
    *out = yes;
    return CPN_OK;
}

cpn_rc
cpn_yaml_uint(const cpn_yaml_node *n, uint64_t min, uint64_t max, uint64_t *out, cpn_yaml_errors *e)
{
    uint64_t v;

    if (n->kind != CPN_YAML_SCALAR)
        return cpn_yaml_error(e, n, "a %s (expected a number)",
                              n->kind == CPN_YAML_LIST ? "list" : "map");
    if (n->quoted || !cpn_view_u64(n->text, max, &v) || v < min)
        return cpn_yaml_error(e, n, "'%.*s' (expected a decimal number from %llu to %llu)",
                              SHOWN(n), (unsigned long long)min, (unsigned long long)max);
    *out = v;
    return CPN_OK;
}

cpn_rc
cpn_yaml_expect_list(const cpn_yaml_node *n, size_t max, cpn_yaml_errors *e)
{
    if (n->kind != CPN_YAML_LIST)
        return cpn_yaml_error(e, n, "not a list (expected a list)");
    if (n->n > max)
        return cpn_yaml_error(e, n, "%u entries (expected at most %zu)", n->n, max);
    return CPN_OK;
}

cpn_rc
cpn_yaml_expect_map(const cpn_yaml_node *n, cpn_yaml_errors *e)
{
    if (n->kind != CPN_YAML_MAP)
        return cpn_yaml_error(e, n, "not a map (expected \"key: value\" lines)");
    return CPN_OK;
}

static bool
listed(cpn_view key, const char *const *keys)
{
    for (; *keys; keys++)
        if (cpn_view_is(key, *keys))
            return true;
    return false;
}

cpn_rc
cpn_yaml_known_keys(const cpn_yaml_node *map, const char *const *keys, cpn_yaml_errors *e)
{
    cpn_rc rc = cpn_yaml_expect_map(map, e);

    if (rc != CPN_OK)
        return rc;
    for (const cpn_yaml_node *c = map->child; c; c = c->next)
        if (!listed(c->key, keys))
            rc = cpn_yaml_error(e, c, "unknown key");
    return rc;
}
