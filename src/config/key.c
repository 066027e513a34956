/* One parser for each type of setting; bounds and words come from the row. */
#include "config/key.h"

#include <inttypes.h>
#include <stdlib.h>

#include "codec/units.h"

#define RELOAD_YES true
#define RELOAD_NO false

const cpn_key cpn_keys[] = {
#define CPN_KEY(key, member, type, def, min, max, reload, doc)                                     \
    { key,                                                                                         \
      CPN_KEY_##type,                                                                              \
      offsetof(cpn_config, member),                                                                \
      sizeof(((cpn_config *)0)->member),                                                           \
      def,                                                                                         \
      min,                                                                                         \
      max,                                                                                         \
      RELOAD_##reload,                                                                             \
      doc },
#include "config/keys.def"
#undef CPN_KEY
};
const size_t cpn_keys_n = CPN_COUNT(cpn_keys);

static void *
member(const cpn_key *k, cpn_config *c)
{
    return (char *)c + k->offset;
}

/* ---- one value from its text ----------------------------------------------------------------- */

static bool
number_from(const cpn_key *k, cpn_view text, uint64_t *out)
{
    if (k->type == CPN_KEY_TIME)
        return cpn_units_time(text, out);
    if (k->type == CPN_KEY_SIZE)
        return cpn_units_size(text, out);
    return cpn_view_u64(text, UINT64_MAX, out);
}

static uint64_t
bound(const cpn_key *k, const char *text)
{
    uint64_t v;

    if (!number_from(k, cpn_view_str(text), &v))
        abort(); /* a bound in keys.def that is not of its row's type */
    return v;
}

static bool
set_number(const cpn_key *k, cpn_view text, void *to)
{
    uint64_t v;

    if (!number_from(k, text, &v) || v < bound(k, k->min) || v > bound(k, k->max))
        return false;
    *(uint64_t *)to = v;
    return true;
}

static bool
set_word(const cpn_key *k, cpn_view text, char *to)
{
    cpn_view left = cpn_view_str(k->min), word;

    while (left.n) {
        cpn_view_cut(left, '|', &word, &left);
        if (!cpn_view_eq(word, text))
            continue;
        memset(to, 0, sizeof(cpn_config_WORD)); /* values are compared whole */
        return cpn_view_copy(text, to, sizeof(cpn_config_WORD));
    }
    return false;
}

static bool
printable(cpn_view text)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] < 0x20 || text.p[i] == 0x7f)
            return false;
    return true;
}

static bool
set_text(const cpn_key *k, cpn_view text, char *to)
{
    uint64_t max = CPN_CONFIG_TEXT - 1;

    if (k->max[0])
        cpn_view_u64(cpn_view_str(k->max), max, &max);
    if (text.n > max || !printable(text))
        return false;
    if (k->type == CPN_KEY_PATH && text.n && text.p[0] != '/')
        return false;
    memset(to, 0, CPN_CONFIG_TEXT);
    return cpn_view_copy(text, to, CPN_CONFIG_TEXT);
}

static cpn_rc
list_add(const cpn_key *k, cpn_view text, cpn_config_list *to, cpn_err *err)
{
    char item[CPN_ADDR_TEXT] = ""; /* zero behind the text: values are compared whole */
    cpn_prefix prefix;
    cpn_addr addr;
    uint16_t port;
    cpn_rc rc;

    if (k->type == CPN_KEY_PREFIXES) {
        if ((rc = cpn_prefix_parse(&prefix, text, err)) != CPN_OK)
            return rc;
        cpn_prefix_text(&prefix, item);
    } else {
        if ((rc = cpn_addr_port_parse(&addr, &port, text, err)) != CPN_OK)
            return rc;
        cpn_addr_port_text(&addr, port, item);
    }
    for (size_t i = 0; i < to->n; i++)
        if (strcmp(to->item[i], item) == 0)
            return cpn_fail(err, CPN_INVALID, "'%s' stands twice", item);
    if (to->n == CPN_CONFIG_LIST_MAX)
        return cpn_fail(err, CPN_INVALID, "too many entries");
    memcpy(to->item[to->n++], item, sizeof(item));
    return CPN_OK;
}

/* ---- from the file --------------------------------------------------------------------------- */

static cpn_rc
read_list(const cpn_key *k, const cpn_yaml_node *n, cpn_config_list *to, cpn_yaml_errors *e)
{
    /* One entry may stand without the brackets of a list. */
    const cpn_yaml_node *item = n->kind == CPN_YAML_LIST ? n->child : n;
    uint64_t min = 0, max = 0;
    cpn_rc rc = CPN_OK;

    cpn_view_u64(cpn_view_str(k->min), CPN_CONFIG_LIST_MAX, &min);
    cpn_view_u64(cpn_view_str(k->max), CPN_CONFIG_LIST_MAX, &max);
    if (n->kind == CPN_YAML_LIST && (n->n < min || n->n > max))
        return cpn_yaml_error(e, n, "%u entries (expected %" PRIu64 " to %" PRIu64 ")", n->n, min,
                              max);
    memset(to, 0, sizeof(*to));
    for (; item; item = item == n ? NULL : item->next) {
        cpn_err err = { 0 };
        cpn_view text;
        if (cpn_yaml_string(item, &text, e) != CPN_OK)
            rc = CPN_INVALID;
        else if (list_add(k, text, to, &err) != CPN_OK)
            rc = cpn_yaml_error(e, item, "%s", err.msg);
    }
    return rc;
}

static cpn_rc
read_scalar(const cpn_key *k, const cpn_yaml_node *n, void *to, cpn_yaml_errors *e)
{
    cpn_view text;
    cpn_rc rc = cpn_yaml_string(n, &text, e);

    if (rc != CPN_OK)
        return rc;
    switch (k->type) {
    case CPN_KEY_TIME:
    case CPN_KEY_SIZE:
        if (!set_number(k, text, to))
            return cpn_yaml_error(e, n, "'%.*s' (expected %s from %s to %s)",
                                  (int)CPN_MIN(text.n, (size_t)60), (const char *)text.p,
                                  k->type == CPN_KEY_TIME ? "a time" : "a size", k->min, k->max);
        return CPN_OK;
    case CPN_KEY_WORD:
        if (!set_word(k, text, to))
            return cpn_yaml_error(e, n, "'%.*s' (expected %s)", (int)CPN_MIN(text.n, (size_t)60),
                                  (const char *)text.p, k->min);
        return CPN_OK;
    default:
        if (text.n == 0)
            return cpn_yaml_error(e, n, "empty (expected a value, or no such line)");
        if (!set_text(k, text, to))
            return cpn_yaml_error(e, n, "%s",
                                  k->type == CPN_KEY_PATH
                                      ? "not a path (expected one that starts with /)"
                                      : "too long, or with control characters");
        return CPN_OK;
    }
}

cpn_rc
cpn_key_read(const cpn_key *k, const cpn_yaml_node *n, cpn_config *c, cpn_yaml_errors *e)
{
    switch (k->type) {
    case CPN_KEY_BOOL:
        return cpn_yaml_bool(n, member(k, c), e);
    case CPN_KEY_UINT:
        return cpn_yaml_uint(n, bound(k, k->min), bound(k, k->max), member(k, c), e);
    case CPN_KEY_ADDRS:
    case CPN_KEY_PREFIXES:
        return read_list(k, n, member(k, c), e);
    default:
        return read_scalar(k, n, member(k, c), e);
    }
}

/* ---- defaults -------------------------------------------------------------------------------- */

static bool
default_list(const cpn_key *k, cpn_config_list *to)
{
    cpn_view left = cpn_view_str(k->def), item;

    while (left.n) {
        cpn_view_cut(left, ' ', &item, &left);
        if (list_add(k, item, to, NULL) != CPN_OK)
            return false;
    }
    return true;
}

void
cpn_key_default(const cpn_key *k, cpn_config *c)
{
    void *to = member(k, c);
    cpn_view def = cpn_view_str(k->def);
    bool good = false;

    switch (k->type) {
    case CPN_KEY_BOOL:
        *(bool *)to = cpn_view_is(def, "true");
        good = true;
        break;
    case CPN_KEY_UINT:
    case CPN_KEY_TIME:
    case CPN_KEY_SIZE:
        good = set_number(k, def, to);
        break;
    case CPN_KEY_WORD:
        good = set_word(k, def, to);
        break;
    case CPN_KEY_TEXT:
    case CPN_KEY_PATH:
        good = set_text(k, def, to);
        break;
    case CPN_KEY_ADDRS:
    case CPN_KEY_PREFIXES:
        good = default_list(k, to);
        break;
    }
    if (!good)
        abort();
}

/* ---- back to text ---------------------------------------------------------------------------- */

static cpn_rc
write_list(const cpn_config_list *l, cpn_buf *out)
{
    cpn_rc rc = cpn_buf_printf(out, "[");

    for (size_t i = 0; i < l->n && rc == CPN_OK; i++)
        rc = cpn_buf_printf(out, "%s\"%s\"", i ? ", " : "", l->item[i]);
    return rc == CPN_OK ? cpn_buf_printf(out, "]") : rc;
}

/* Double quotes, with what YAML would take for more than a character escaped. */
static cpn_rc
write_text(const char *s, cpn_buf *out)
{
    cpn_rc rc = cpn_buf_printf(out, "\"");

    for (; *s && rc == CPN_OK; s++)
        rc = cpn_buf_printf(out, "%s%c", *s == '"' || *s == '\\' ? "\\" : "", *s);
    return rc == CPN_OK ? cpn_buf_printf(out, "\"") : rc;
}

cpn_rc
cpn_key_write(const cpn_key *k, const cpn_config *c, cpn_buf *out)
{
    const void *from = (const char *)c + k->offset;
    char text[CPN_UNITS_TEXT];

    switch (k->type) {
    case CPN_KEY_BOOL:
        return cpn_buf_printf(out, "%s", *(const bool *)from ? "true" : "false");
    case CPN_KEY_UINT:
        return cpn_buf_printf(out, "%" PRIu64, *(const uint64_t *)from);
    case CPN_KEY_TIME:
        return cpn_buf_printf(out, "%s", cpn_units_time_text(*(const uint64_t *)from, text));
    case CPN_KEY_SIZE:
        return cpn_buf_printf(out, "%s", cpn_units_size_text(*(const uint64_t *)from, text));
    case CPN_KEY_ADDRS:
    case CPN_KEY_PREFIXES:
        return write_list(from, out);
    default:
        return write_text(from, out);
    }
}
