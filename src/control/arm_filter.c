/* Applies the $filter of `az resource list`. */
#include "control/arm_filter.h"

#include <strings.h>

#include "control/arm.h"

static bool
type_fits(const json_t *item, const char *want)
{
    return strcasecmp(cpn_json_string(item, "type"), want) == 0;
}

static bool
name_fits(const json_t *item, const char *want)
{
    return strcasecmp(cpn_json_string(item, "name"), want) == 0;
}

static bool
location_fits(const json_t *item, const char *want)
{
    return strcasecmp(cpn_json_string(item, "location"), want) == 0;
}

static bool
group_fits(const json_t *item, const char *want)
{
    char group[CPN_ID_MAX + 1];

    return cpn_arm_group_of(cpn_json_string(item, "id"), group) &&
           strcasecmp(cpn_arm_name(group), want) == 0;
}

static bool
tag_fits(const json_t *item, const char *want)
{
    const char *key;
    json_t *value;

    json_object_foreach(json_object_get(item, "tags"), key, value)
    {
        if (strcasecmp(key, want) == 0)
            return true;
    }
    return false;
}

static bool
tag_value_fits(const json_t *item, const char *want)
{
    const char *key;
    json_t *value;

    json_object_foreach(json_object_get(item, "tags"), key, value)
    {
        if (strcmp(json_string_value(value), want) == 0)
            return true;
    }
    return false;
}

static const struct {
    const char *name;
    bool (*fits)(const json_t *item, const char *want);
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

cpn_rc
cpn_arm_resources_filter(cpn_odata *out, cpn_view text, cpn_err *err)
{
    cpn_rc rc = cpn_odata_parse(text, out, err);

    for (unsigned i = 0; rc == CPN_OK && i < out->n; i++)
        if (out->clause[i].op != CPN_ODATA_EQ || field_of(&out->clause[i]) == CPN_COUNT(fields))
            rc = cpn_fail(err, CPN_INVALID,
                          "$filter: expected resourceType, name, location, resourceGroup, tagName "
                          "or tagValue, eq and a text");
    return rc;
}

bool
cpn_arm_resource_fits(const cpn_odata *filter, const json_t *item)
{
    for (unsigned i = 0; i < filter->n; i++)
        if (!fields[field_of(&filter->clause[i])].fits(item, filter->clause[i].text))
            return false;
    return true;
}
