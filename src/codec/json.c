/* Strict JSON: what jansson would forgive is refused before it reads, and members are fetched with
 * their type, range and path. */
#include "codec/json.h"

#include "codec/chars.h"

/* ---- the look before reading: depth and numbers ---- */

typedef struct scan {
    cpn_view text;
    size_t at;
    unsigned depth;
    unsigned depth_max;
} scan;

/* At the opening quote; leaves `at` behind the closing one. A text that ends first is jansson's to
 * refuse. */
static void
scan_string(scan *s)
{
    for (s->at++; s->at < s->text.n; s->at++) {
        if (s->text.p[s->at] == '\\')
            s->at++;
        else if (s->text.p[s->at] == '"')
            break;
    }
    s->at++;
}

static cpn_rc
scan_number(scan *s, cpn_err *err)
{
    size_t from = s->at;

    while (s->at < s->text.n && (cpn_is_alnum(s->text.p[s->at]) || s->text.p[s->at] == '.' ||
                                 s->text.p[s->at] == '-' || s->text.p[s->at] == '+'))
        s->at++;
    if (s->at - from > CPN_JSON_NUMBER_MAX)
        return cpn_fail(err, CPN_INVALID, "at byte %zu: a number of more than %d characters", from,
                        CPN_JSON_NUMBER_MAX);
    for (size_t i = from; i < s->at; i++)
        if (!cpn_is_digit(s->text.p[i]) && (i != from || s->text.p[i] != '-'))
            return cpn_fail(err, CPN_INVALID, "at byte %zu: expected an integer", from);
    return CPN_OK;
}

static cpn_rc
scan_step(scan *s, cpn_err *err)
{
    uint8_t c = s->text.p[s->at];

    if (c == '"') {
        scan_string(s);
        return CPN_OK;
    }
    if (c == '-' || cpn_is_digit(c))
        return scan_number(s, err);
    if (c == '{' || c == '[') {
        if (s->depth == s->depth_max)
            return cpn_fail(err, CPN_LIMIT, "nested deeper than %u", s->depth_max);
        s->depth++;
    } else if ((c == '}' || c == ']') && s->depth > 0) {
        s->depth--;
    }
    s->at++;
    return CPN_OK;
}

cpn_rc
cpn_json_load(json_t **out, cpn_view text, size_t max, unsigned depth, cpn_err *err)
{
    scan s = { .text = text, .depth_max = CPN_MIN(depth, CPN_JSON_DEPTH_MAX) };
    json_error_t why;
    cpn_rc rc;

    *out = NULL;
    if (text.n > max)
        return cpn_fail(err, CPN_LIMIT, "longer than %zu bytes", max);
    while (s.at < text.n)
        if ((rc = scan_step(&s, err)) != CPN_OK)
            return rc;
    *out = json_loadb((const char *)(text.p ? text.p : (const uint8_t *)""), text.n,
                      JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
    if (!*out)
        return cpn_fail(err, CPN_INVALID, "line %d, column %d: not JSON", why.line, why.column);
    return CPN_OK;
}

cpn_rc
cpn_json_load_object(json_t **out, cpn_view text, size_t max, unsigned names, cpn_err *err)
{
    CPN_AUTO(cpn_json_auto) json_t *j = NULL;
    cpn_rc rc = cpn_json_load(&j, text, max, CPN_JSON_DEPTH_MAX, err);

    *out = NULL;
    if (rc != CPN_OK)
        return rc;
    if (!json_is_object(j))
        return cpn_fail(err, CPN_INVALID, "expected an object");
    if (json_object_size(j) > names)
        return cpn_fail(err, CPN_LIMIT, "more than %u members", names);
    *out = cpn_steal(&j);
    return CPN_OK;
}

/* ---- writing ---- */

static int
dump_piece(const char *p, size_t n, void *owner)
{
    return cpn_buf_append(owner, (cpn_view){ (const uint8_t *)p, n }) == CPN_OK ? 0 : -1;
}

static cpn_rc
dump(const json_t *value, size_t flags, cpn_buf *out)
{
    size_t before = out->n;

    if (json_dump_callback(value, dump_piece, out, flags | JSON_COMPACT | JSON_ENCODE_ANY) == 0)
        return CPN_OK;
    out->n = before;
    return CPN_LIMIT;
}

cpn_rc
cpn_json_dump(const json_t *value, cpn_buf *out)
{
    return dump(value, 0, out);
}

cpn_rc
cpn_json_dump_canonical(const json_t *value, cpn_buf *out)
{
    return dump(value, JSON_SORT_KEYS, out);
}

void
cpn_json_auto(json_t **j)
{
    json_decref(*j);
}

/* ---- members ---- */

static cpn_rc
expected(cpn_err *err, const char *path, const char *name, const char *what)
{
    return cpn_fail(err, CPN_INVALID, "%s%s%s: expected %s", path, *path ? "." : "", name, what);
}

cpn_rc
cpn_json_opt_str(const json_t *obj, const char *path, const char *name, size_t max,
                 const char **out, cpn_err *err)
{
    const json_t *v = json_object_get(obj, name);
    char what[64];

    if (!v)
        return CPN_OK;
    if (!json_is_string(v) || json_string_length(v) > max) {
        snprintf(what, sizeof(what), "a string of at most %zu bytes", max);
        return expected(err, path, name, what);
    }
    *out = json_string_value(v);
    return CPN_OK;
}

cpn_rc
cpn_json_get_str(const json_t *obj, const char *path, const char *name, size_t max,
                 const char **out, cpn_err *err)
{
    if (!json_object_get(obj, name))
        return expected(err, path, name, "a string, found nothing");
    return cpn_json_opt_str(obj, path, name, max, out, err);
}

cpn_rc
cpn_json_opt_int(const json_t *obj, const char *path, const char *name, cpn_json_range range,
                 int64_t *out, cpn_err *err)
{
    const json_t *v = json_object_get(obj, name);
    char what[96];

    if (!v)
        return CPN_OK;
    if (!json_is_integer(v) || json_integer_value(v) < range.min ||
        json_integer_value(v) > range.max) {
        snprintf(what, sizeof(what), "an integer from %lld to %lld", (long long)range.min,
                 (long long)range.max);
        return expected(err, path, name, what);
    }
    *out = json_integer_value(v);
    return CPN_OK;
}

cpn_rc
cpn_json_get_int(const json_t *obj, const char *path, const char *name, cpn_json_range range,
                 int64_t *out, cpn_err *err)
{
    if (!json_object_get(obj, name))
        return expected(err, path, name, "an integer, found nothing");
    return cpn_json_opt_int(obj, path, name, range, out, err);
}

cpn_rc
cpn_json_opt_bool(const json_t *obj, const char *path, const char *name, bool *out, cpn_err *err)
{
    const json_t *v = json_object_get(obj, name);

    if (!v)
        return CPN_OK;
    if (!json_is_boolean(v))
        return expected(err, path, name, "true or false");
    *out = json_is_true(v);
    return CPN_OK;
}

cpn_rc
cpn_json_opt_object(const json_t *obj, const char *path, const char *name, size_t max, json_t **out,
                    cpn_err *err)
{
    json_t *v = json_object_get(obj, name);
    char what[64];

    if (!v)
        return CPN_OK;
    if (!json_is_object(v) || json_object_size(v) > max) {
        snprintf(what, sizeof(what), "an object of at most %zu members", max);
        return expected(err, path, name, what);
    }
    *out = v;
    return CPN_OK;
}

cpn_rc
cpn_json_opt_array(const json_t *obj, const char *path, const char *name, size_t max, json_t **out,
                   cpn_err *err)
{
    json_t *v = json_object_get(obj, name);
    char what[64];

    if (!v)
        return CPN_OK;
    if (!json_is_array(v) || json_array_size(v) > max) {
        snprintf(what, sizeof(what), "a list of at most %zu members", max);
        return expected(err, path, name, what);
    }
    *out = v;
    return CPN_OK;
}

cpn_rc
cpn_json_only(const json_t *obj, const char *path, const char *const *names, cpn_err *err)
{
    const char *name;
    json_t *v;

    json_object_foreach((json_t *)(uintptr_t)obj, name, v)
    {
        const char *const *known = names;

        while (*known && strcmp(*known, name) != 0)
            known++;
        if (!*known)
            return cpn_fail(err, CPN_INVALID, "%s%s%.64s: unknown name", path, *path ? "." : "",
                            name);
    }
    return CPN_OK;
}
