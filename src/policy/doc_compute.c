/* Reads the bodies of subscriptions, groups, scale sets and machines. */
#include <stdlib.h>

#include "codec/chars.h"
#include "policy/doc.h"

static cpn_rc
optional_text(cpn_doc *d, const cpn_shape *s, const char *key, const char *path)
{
    const json_t *v = json_object_get(d->body, key);
    const char *text;

    return v ? cpn_shape_text(s, path, v, CPN_TEXT_MAX, &text) : CPN_OK;
}

cpn_rc
cpn_read_subscription(cpn_doc *d, const cpn_shape *s, bool allow_loopback)
{
    static const cpn_field fields[] = { { "displayName", CPN_FIELD_STRING, false } };
    cpn_rc rc = cpn_shape_fields(s, "body", d->body, fields, CPN_COUNT(fields));

    (void)allow_loopback;
    return rc != CPN_OK ? rc : optional_text(d, s, "displayName", "body.displayName");
}

cpn_rc
cpn_read_group(cpn_doc *d, const cpn_shape *s, bool allow_loopback)
{
    static const cpn_field fields[] = { { "location", CPN_FIELD_STRING, false },
                                        { "tags", CPN_FIELD_OBJECT, false } };
    cpn_rc rc = cpn_shape_fields(s, "body", d->body, fields, CPN_COUNT(fields));

    (void)allow_loopback;
    if (rc == CPN_OK)
        rc = optional_text(d, s, "location", "body.location");
    return rc != CPN_OK ? rc : cpn_doc_tags(s, json_object_get(d->body, "tags"));
}

cpn_rc
cpn_read_scale_set(cpn_doc *d, const cpn_shape *s, bool allow_loopback)
{
    (void)allow_loopback;
    return cpn_shape_fields(s, "body", d->body, NULL, 0);
}

/* ---- machines ---- */

static size_t
span(const char *p, const char *also)
{
    size_t n = 0;

    while (p[n] && (cpn_is_alnum((uint8_t)p[n]) || strchr(also, p[n])))
        n++;
    return n;
}

/* "ssh-ed25519 AAAA… comment": written into known-hosts files by clients, so nothing else passes.
 */
static bool
is_host_key(const char *line)
{
    size_t n = span(line, "@.-");

    if (n == 0 || line[0] == '@' || line[n] != ' ')
        return false;
    line += n + 1;
    n = span(line, "+/=");
    if (n < 16 || (line[n] != '\0' && line[n] != ' '))
        return false;
    for (line += n; *line; line++)
        if (!cpn_is_print((uint8_t)*line))
            return false;
    return true;
}

static cpn_rc
read_host_keys(cpn_doc *d, const cpn_shape *s, const json_t *list)
{
    char at[CPN_PATH_MAX];
    size_t used = 0;
    cpn_rc rc;

    d->as.host_keys = cpn_xstrdup("");
    if (!list)
        return CPN_OK;
    if ((rc = cpn_shape_count(s, "body.sshHostKeys", list, 0, CPN_HOST_KEYS_MAX)) != CPN_OK)
        return rc;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *v = json_array_get(list, i);
        size_t n = json_string_length(v);

        if (n == 0 || n > CPN_HOST_KEY_MAX || strlen(json_string_value(v)) != n ||
            !is_host_key(json_string_value(v)))
            return cpn_shape_bad(s, cpn_shape_at(at, "body.sshHostKeys", i), v,
                                 "a public host key such as \"ssh-ed25519 AAAA…\"");
        d->as.host_keys = cpn_xrealloc(d->as.host_keys, used + n + 2, 1);
        if (used)
            d->as.host_keys[used++] = '\n';
        memcpy(d->as.host_keys + used, json_string_value(v), n + 1);
        used += n;
    }
    return CPN_OK;
}

/* A name is text, too: written into lists and records. */
static bool
is_tag_name(const char *key)
{
    size_t n = strlen(key);

    for (size_t i = 0; i < n; i++)
        if ((uint8_t)key[i] < 0x20 || key[i] == 0x7f)
            return false;
    return n > 0 && n <= CPN_TEXT_MAX;
}

cpn_rc
cpn_doc_tags(const cpn_shape *s, const json_t *tags)
{
    const char *key, *text;
    json_t *v;
    cpn_rc rc;

    if (json_object_size(tags) > CPN_TAGS_MAX)
        return cpn_shape_bad(s, "body.tags", tags, "at most 50 tags");
    json_object_foreach((json_t *)tags, key, v)
    {
        if (!is_tag_name(key))
            return cpn_shape_bad(s, "body.tags", tags,
                                 "keys of 1 to 256 bytes without control characters");
        if (json_is_string(v) && json_string_length(v) == 0)
            continue;
        if ((rc = cpn_shape_text(s, "body.tags", v, CPN_TEXT_MAX, &text)) != CPN_OK)
            return rc;
    }
    return CPN_OK;
}

cpn_rc
cpn_read_machine(cpn_doc *d, const cpn_shape *s, bool allow_loopback)
{
    static const cpn_field fields[] = { { "networkInterfaces", CPN_FIELD_ARRAY, true },
                                        { "sshHostKeys", CPN_FIELD_ARRAY, false },
                                        { "tags", CPN_FIELD_OBJECT, false } };
    cpn_rc rc;

    (void)allow_loopback;
    if ((rc = cpn_shape_fields(s, "body", d->body, fields, CPN_COUNT(fields))) != CPN_OK ||
        (rc = cpn_doc_links(d, s, "networkInterfaces", CPN_K_NIC, 1, CPN_MACHINE_NICS_MAX)) !=
            CPN_OK ||
        (rc = read_host_keys(d, s, json_object_get(d->body, "sshHostKeys"))) != CPN_OK)
        return rc;
    return cpn_doc_tags(s, json_object_get(d->body, "tags"));
}
