/* GET /subscriptions/{subscription}/locations: what a location's display name is called, which az
 * asks when it is given one with a space in it. */
#include <strings.h>

#include "control/arm_types.h"
#include "control/reply.h"

typedef struct listing {
    const cpn_call *call;
    json_t *names; /* name → display name */
} listing;

/* Of several spellings the one for people. */
static void
location_add(json_t *names, const char *written)
{
    char name[CPN_ARM_LOCATION_SIZE];

    cpn_arm_location_name(written, name);
    if (!json_object_get(names, name) || strchr(written, ' '))
        json_object_set_new(names, name, json_string(written));
}

static bool
location_one(void *owner, const char *id, const json_t *body)
{
    listing *l = owner;
    const char *under = l->call->params.scope;
    size_t n = strlen(under);

    if (strncasecmp(id, under, n) == 0 && id[n] == '/')
        location_add(l->names, cpn_arm_location_written(l->call->c->snapshot, id, body));
    return true;
}

static json_t *
location_shape(const char *subscription, const char *name, const char *shown)
{
    return json_pack("{s:s++,s:s,s:s,s:s,s:s,s:{s:s,s:s}}", "id", subscription, "/locations/", name,
                     "name", name, "type", "Region", "displayName", shown, "regionalDisplayName",
                     shown, "metadata", "regionType", "Physical", "regionCategory", "Other");
}

/* The gateway has no list of places: those are shown where the caller may read something. */
static void
location_list(cpn_call *call)
{
    const cpn_snapshot *s = call->c->snapshot;
    CPN_AUTO(cpn_json_auto) json_t *names = json_object();
    listing l = { .call = call, .names = names };
    json_t *value = json_array(), *shown;
    const char *name;

    location_add(names, CPN_ARM_LOCATION_DEFAULT);
    cpn_snapshot_each(s, CPN_KIND_GROUP, cpn_call_who(call), location_one, &l);
    for (const cpn_arm_type *const *t = cpn_arm_types; *t; t++)
        cpn_snapshot_each(s, (*t)->kind, cpn_call_who(call), location_one, &l);
    json_object_foreach(names, name, shown) json_array_append_new(
        value, location_shape(call->params.scope, name, json_string_value(shown)));
    cpn_reply_json(call, 200, json_pack("{s:o}", "value", value));
}

static void
location_asked(cpn_call *call)
{
    cpn_view id = cpn_view_str(call->params.scope);

    if (!cpn_may_within(call->c->snapshot, cpn_call_who(call), id))
        cpn_arm_forbidden(call, "Microsoft.Resources/subscriptions/locations/read",
                          call->params.scope);
    else if (!cpn_snapshot_document(call->c->snapshot, CPN_KIND_SUBSCRIPTION, id))
        cpn_arm_not_found(call);
    else
        location_list(call);
}

const cpn_route cpn_routes_arm_locations[] = {
    { "GET", CPN_ARM_SUB "/locations", CPN_SCOPE_EACH,
      "Microsoft.Resources/subscriptions/locations/read", CPN_BODY_NONE, 0, NULL, CPN_ERRORS_ARM,
      location_asked },
    { 0 },
};
