/* Applies the $filter of `az resource list`. */
#include "control/arm_filter.h"

#include <strings.h>

#include "control/arm.h"

/* The text that the filter compares a field with; NULL: it says nothing of it. */
static const char *
text_of(const cpn_odata *filter, const char *name)
{
    for (unsigned i = 0; i < filter->n; i++)
        if (cpn_view_is_nocase(filter->clause[i].name, name))
            return filter->clause[i].text;
    return NULL;
}

static bool
type_fits(const cpn_odata *filter, const json_t *item, const char *want)
{
    (void)filter;
    return strcasecmp(cpn_json_string(item, "type"), want) == 0;
}

static bool
name_fits(const cpn_odata *filter, const json_t *item, const char *want)
{
    (void)filter;
    return strcasecmp(cpn_json_string(item, "name"), want) == 0;
}

static bool
location_fits(const cpn_odata *filter, const json_t *item, const char *want)
{
    (void)filter;
    return cpn_arm_location_same(cpn_json_string(item, "location"), want);
}

static bool
group_fits(const cpn_odata *filter, const json_t *item, const char *want)
{
    char group[CPN_ID_MAX + 1];

    (void)filter;
    return cpn_arm_group_of(cpn_json_string(item, "id"), group) &&
           strcasecmp(cpn_arm_name(group), want) == 0;
}

/* Has it a tag of this name and this value? NULL: any. */
static bool
has_tag(const json_t *item, const char *name, const char *wanted)
{
    const char *key;
    json_t *value;

    json_object_foreach(json_object_get(item, "tags"), key, value)
    {
        if ((!name || strcasecmp(key, name) == 0) &&
            (!wanted || strcmp(json_string_value(value), wanted) == 0))
            return true;
    }
    return false;
}

static bool
tag_fits(const cpn_odata *filter, const json_t *item, const char *want)
{
    return has_tag(item, want, text_of(filter, "tagValue"));
}

static bool
tag_value_fits(const cpn_odata *filter, const json_t *item, const char *want)
{
    return has_tag(item, text_of(filter, "tagName"), want);
}

/* Those of tags stand last. */
#define FIELDS_OF_TAGS 2

static const struct {
    const char *name;
    bool (*fits)(const cpn_odata *filter, const json_t *item, const char *want);
} fields[] = {
    { "resourceType", type_fits },   { "name", name_fits },   { "location", location_fits },
    { "resourceGroup", group_fits }, { "tagName", tag_fits }, { "tagValue", tag_value_fits },
};

static size_t
field_of(const cpn_odata_clause *c)
{
    size_t i = 0;

    while (i < CPN_COUNT(fields) && !cpn_view_is_nocase(c->name, fields[i].name))
        i++;
    return i;
}

/* Every clause is of a field from `first` on, and compares it with a text. */
static bool
clauses_known(const cpn_odata *filter, size_t first)
{
    for (unsigned i = 0; i < filter->n; i++) {
        size_t field = field_of(&filter->clause[i]);

        if (filter->clause[i].op != CPN_ODATA_EQ || field < first || field == CPN_COUNT(fields))
            return false;
    }
    return true;
}

cpn_rc
cpn_arm_resources_filter(cpn_odata *out, cpn_view text, cpn_err *err)
{
    cpn_rc rc = cpn_odata_parse(text, out, err);

    if (rc == CPN_OK && !clauses_known(out, 0))
        rc = cpn_fail(err, CPN_INVALID,
                      "$filter: expected resourceType, name, location, resourceGroup, tagName "
                      "or tagValue, eq and a text");
    return rc;
}

cpn_rc
cpn_arm_tags_filter(cpn_odata *out, cpn_view text, cpn_err *err)
{
    cpn_rc rc = cpn_odata_parse(text, out, err);

    if (rc == CPN_OK && !clauses_known(out, CPN_COUNT(fields) - FIELDS_OF_TAGS))
        rc = cpn_fail(err, CPN_INVALID, "$filter: expected tagName or tagValue, eq and a text");
    return rc;
}

bool
cpn_arm_resource_fits(const cpn_odata *filter, const json_t *item)
{
    for (unsigned i = 0; i < filter->n; i++)
        if (!fields[field_of(&filter->clause[i])].fits(filter, item, filter->clause[i].text))
            return false;
    return true;
}
