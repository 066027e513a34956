/* Reads and applies the $filter of Azure's lists, as far as its clients use it. */
#include "control/arm_filter.h"

#include <strings.h>

#include "codec/chars.h"
#include "control/arm.h"

static const struct {
    const char *name;
    cpn_arm_property by;
} properties[] = {
    { "resourceType", CPN_ARM_BY_TYPE }, { "name", CPN_ARM_BY_NAME },
    { "location", CPN_ARM_BY_LOCATION }, { "resourceGroup", CPN_ARM_BY_GROUP },
    { "tagName", CPN_ARM_BY_TAG },       { "tagValue", CPN_ARM_BY_TAG_VALUE },
};

/* Takes a word and the spaces behind it. */
static cpn_view
word_take(cpn_view *rest)
{
    cpn_view word = { rest->p, 0 };

    while (word.n < rest->n && cpn_is_alnum(rest->p[word.n]))
        word.n++;
    *rest = cpn_view_skip(*rest, word.n);
    while (rest->n && rest->p[0] == ' ')
        *rest = cpn_view_skip(*rest, 1);
    return word;
}

/* Takes 'text' and the spaces behind it. */
static bool
quoted_take(cpn_view *rest, char out[257])
{
    size_t n = 0, i = 1;

    if (rest->n < 2 || rest->p[0] != '\'')
        return false;
    for (; i < rest->n; i++) {
        if (rest->p[i] == '\'' && (i + 1 == rest->n || rest->p[i + 1] != '\''))
            break;
        if (rest->p[i] == '\'')
            i++;
        if (n == 256 || rest->p[i] < 0x20)
            return false;
        out[n++] = (char)rest->p[i];
    }
    if (i >= rest->n)
        return false;
    out[n] = '\0';
    *rest = cpn_view_skip(*rest, i + 1);
    while (rest->n && rest->p[0] == ' ')
        *rest = cpn_view_skip(*rest, 1);
    return true;
}

static cpn_rc
comparison_read(cpn_arm_filter *f, cpn_view *rest, cpn_err *err)
{
    cpn_view name = word_take(rest), op = word_take(rest);
    size_t i = 0;

    while (i < CPN_COUNT(properties) && !cpn_view_is_nocase(name, properties[i].name))
        i++;
    if (i == CPN_COUNT(properties))
        return cpn_fail(err, CPN_INVALID,
                        "$filter: expected one of resourceType, name, location, resourceGroup, "
                        "tagName, tagValue");
    if (!cpn_view_is_nocase(op, "eq"))
        return cpn_fail(err, CPN_INVALID, "$filter: expected eq behind %s", properties[i].name);
    if (f->n == CPN_ARM_FILTER_MAX)
        return cpn_fail(err, CPN_INVALID, "$filter: more than %d comparisons", CPN_ARM_FILTER_MAX);
    f->at[f->n].by = properties[i].by;
    if (!quoted_take(rest, f->at[f->n].value))
        return cpn_fail(err, CPN_INVALID,
                        "$filter: expected 'text' of at most 256 bytes behind %s "
                        "eq",
                        properties[i].name);
    f->n++;
    return CPN_OK;
}

cpn_rc
cpn_arm_filter_read(cpn_arm_filter *out, cpn_view text, cpn_err *err)
{
    cpn_view rest = cpn_trim(text);
    cpn_rc rc;

    *out = (cpn_arm_filter){ 0 };
    while (rest.n) {
        if ((rc = comparison_read(out, &rest, err)) != CPN_OK)
            return rc;
        if (rest.n && (!cpn_view_is_nocase(word_take(&rest), "and") || rest.n == 0))
            return cpn_fail(err, CPN_INVALID, "$filter: expected and with a comparison behind it");
    }
    return CPN_OK;
}

static bool
has_tag(const json_t *item, const char *want, bool by_value)
{
    const char *key;
    json_t *value;

    json_object_foreach(json_object_get(item, "tags"), key, value)
    {
        if (by_value ? strcmp(json_string_value(value), want) == 0 : strcasecmp(key, want) == 0)
            return true;
    }
    return false;
}

static bool
in_group(const json_t *item, const char *want)
{
    char group[CPN_ID_MAX + 1];

    return cpn_arm_group_of(cpn_json_string(item, "id"), group) &&
           strcasecmp(cpn_arm_name(group), want) == 0;
}

bool
cpn_arm_filter_fits(const cpn_arm_filter *f, const json_t *item)
{
    for (unsigned i = 0; i < f->n; i++) {
        const char *want = f->at[i].value;
        bool fits = false;

        switch (f->at[i].by) {
        case CPN_ARM_BY_TYPE:
            fits = strcasecmp(cpn_json_string(item, "type"), want) == 0;
            break;
        case CPN_ARM_BY_NAME:
            fits = strcasecmp(cpn_json_string(item, "name"), want) == 0;
            break;
        case CPN_ARM_BY_LOCATION:
            fits = strcasecmp(cpn_json_string(item, "location"), want) == 0;
            break;
        case CPN_ARM_BY_GROUP:
            fits = in_group(item, want);
            break;
        case CPN_ARM_BY_TAG:
        case CPN_ARM_BY_TAG_VALUE:
            fits = has_tag(item, want, f->at[i].by == CPN_ARM_BY_TAG_VALUE);
            break;
        }
        if (!fits)
            return false;
    }
    return true;
}
