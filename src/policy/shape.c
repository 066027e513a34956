/* Reads bodies strictly and words the refusals. */
#include "policy/shape.h"

#include <stdio.h>

#define SHOWN_MAX 48

static bool
has_control(const char *p, size_t n)
{
    const uint8_t *b = (const uint8_t *)p;

    for (size_t i = 0; i < n; i++) {
        if (b[i] < 0x20 || b[i] == 0x7f)
            return true;
        /* U+0080..U+009F */
        if (b[i] == 0xc2 && i + 1 < n && b[i + 1] < 0xa0)
            return true;
    }
    return false;
}

/* A value in a few words; strings cut, and their control characters replaced. */
static void
describe(const json_t *v, char *out, size_t size)
{
    size_t n;

    if (!v)
        snprintf(out, size, "nothing");
    else if (json_is_integer(v))
        snprintf(out, size, "the number %lld", (long long)json_integer_value(v));
    else if (json_is_real(v))
        snprintf(out, size, "the number %g", json_real_value(v));
    else if (json_is_boolean(v))
        snprintf(out, size, "%s", json_is_true(v) ? "true" : "false");
    else if (json_is_null(v))
        snprintf(out, size, "null");
    else if (json_is_array(v))
        snprintf(out, size, "a list of %zu", json_array_size(v));
    else if (json_is_object(v))
        snprintf(out, size, "an object");
    else {
        n = CPN_MIN(json_string_length(v), SHOWN_MAX);
        /* not through the middle of a character */
        while (n > 0 && n < json_string_length(v) &&
               ((uint8_t)json_string_value(v)[n] & 0xc0) == 0x80)
            n--;
        n = (size_t)snprintf(out, size, "\"%.*s%s\"", (int)n, json_string_value(v),
                             n < json_string_length(v) ? "…" : "");
        for (size_t i = 0; i < n && i < size; i++)
            if ((uint8_t)out[i] < 0x20 || out[i] == 0x7f)
                out[i] = '?';
    }
}

cpn_rc
cpn_shape_bad(const cpn_shape *s, const char *path, const json_t *found, const char *expected)
{
    char what[SHOWN_MAX * 2];

    describe(found, what, sizeof(what));
    return cpn_fail(s->err, CPN_INVALID, "%s %s: %s: found %s, expected %s", s->kind, s->id, path,
                    what, expected);
}

static cpn_rc
unknown_key(const cpn_shape *s, const char *path, const char *key, const cpn_field *fields,
            size_t n)
{
    char known[256] = "no key at all";
    char shown[SHOWN_MAX + 1];
    size_t at = 0;

    for (size_t i = 0; i < n && at < sizeof(known); i++)
        at +=
            (size_t)snprintf(known + at, sizeof(known) - at, "%s%s", i ? ", " : "", fields[i].key);
    snprintf(shown, sizeof(shown), "%s", key);
    for (char *p = shown; *p; p++)
        if ((uint8_t)*p < 0x20 || (uint8_t)*p > 0x7e)
            *p = '?';
    return cpn_fail(s->err, CPN_INVALID, "%s %s: %s: found the unknown key \"%s\", expected %s",
                    s->kind, s->id, path, shown, known);
}

static const cpn_field *
field_named(const cpn_field *fields, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(fields[i].key, key) == 0)
            return &fields[i];
    return NULL;
}

static cpn_rc
check_type(const cpn_shape *s, const char *path, const json_t *v, cpn_field_type type)
{
    static const char *const expected[] = { "a string", "true or false", "an integer",
                                            "a list",   "an object",     "a string" };
    bool fits = (type == CPN_FIELD_STRING && json_is_string(v)) ||
                (type == CPN_FIELD_SECRET && json_is_string(v)) ||
                (type == CPN_FIELD_BOOL && json_is_boolean(v)) ||
                (type == CPN_FIELD_INTEGER && json_is_integer(v)) ||
                (type == CPN_FIELD_ARRAY && json_is_array(v)) ||
                (type == CPN_FIELD_OBJECT && json_is_object(v));

    if (!fits && type == CPN_FIELD_SECRET)
        return cpn_fail(s->err, CPN_INVALID, "%s %s: %s: expected a string", s->kind, s->id, path);
    if (!fits)
        return cpn_shape_bad(s, path, v, expected[type]);
    if (json_is_string(v) && strlen(json_string_value(v)) != json_string_length(v))
        return cpn_fail(s->err, CPN_INVALID,
                        "%s %s: %s: found a string with a NUL byte, expected text", s->kind, s->id,
                        path);
    return CPN_OK;
}

cpn_rc
cpn_shape_fields(const cpn_shape *s, const char *path, const json_t *object,
                 const cpn_field *fields, size_t n)
{
    char at[CPN_PATH_MAX];
    const char *key;
    json_t *value;
    cpn_rc rc;

    if (!json_is_object(object))
        return cpn_shape_bad(s, path, object, "an object");
    json_object_foreach((json_t *)object, key,
                        value) if (!field_named(fields, n, key)) return unknown_key(s, path, key,
                                                                                    fields, n);
    for (size_t i = 0; i < n; i++) {
        value = json_object_get(object, fields[i].key);
        if (!value && !fields[i].required)
            continue;
        snprintf(at, sizeof(at), "%s.%s", path, fields[i].key);
        if ((rc = check_type(s, at, value, fields[i].type)) != CPN_OK)
            return rc;
    }
    return CPN_OK;
}

cpn_rc
cpn_shape_text(const cpn_shape *s, const char *path, const json_t *value, size_t max,
               const char **out)
{
    char expected[64];
    size_t n = json_string_length(value);

    snprintf(expected, sizeof(expected), "a string of 1 to %zu bytes", max);
    if (!json_is_string(value) || n == 0 || n > max)
        return cpn_shape_bad(s, path, value, expected);
    if (has_control(json_string_value(value), n))
        return cpn_shape_bad(s, path, value, "a string without control characters");
    *out = json_string_value(value);
    return CPN_OK;
}

cpn_rc
cpn_shape_uint(const cpn_shape *s, const char *path, const json_t *value, unsigned min,
               unsigned max, unsigned *out)
{
    char expected[64];
    json_int_t n = json_integer_value(value);

    snprintf(expected, sizeof(expected), "an integer from %u to %u", min, max);
    if (!json_is_integer(value) || n < (json_int_t)min || n > (json_int_t)max)
        return cpn_shape_bad(s, path, value, expected);
    *out = (unsigned)n;
    return CPN_OK;
}

cpn_rc
cpn_shape_count(const cpn_shape *s, const char *path, const json_t *array, size_t min, size_t max)
{
    char expected[64];

    if (json_array_size(array) >= min && json_array_size(array) <= max)
        return CPN_OK;
    snprintf(expected, sizeof(expected), "a list of %zu to %zu", min, max);
    return cpn_shape_bad(s, path, array, expected);
}

const char *
cpn_shape_at(char out[CPN_PATH_MAX], const char *path, size_t index)
{
    snprintf(out, CPN_PATH_MAX, "%s[%zu]", path, index);
    return out;
}
