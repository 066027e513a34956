/* Reads ARM ids: the one grammar for every id that a person types or a document names. */
#include "model/resource.h"

#include <strings.h>

#include "codec/chars.h"
#include "codec/letters.h"

#define ID_WORD_MAX 80

static bool
is_name_byte(uint8_t c)
{
    return cpn_is_alnum(c) || c == '.' || c == '_' || c == '(' || c == ')' || c == '-';
}

/* 1..80 bytes of the set, and not only dots: "." and ".." would read as paths elsewhere. */
static bool
is_name(cpn_view v)
{
    bool only_dots = true;

    if (v.n == 0 || v.n > CPN_NAME_MAX)
        return false;
    for (size_t i = 0; i < v.n; i++) {
        if (!is_name_byte(v.p[i]))
            return false;
        only_dots = only_dots && v.p[i] == '.';
    }
    return !only_dots;
}

bool
cpn_is_group_name(cpn_view v)
{
    for (size_t i = 0; i < v.n; i++)
        if (v.p[i] != '.')
            return v.n <= CPN_GROUP_NAME_BYTES_MAX &&
                   cpn_is_letters(v, "._()-", CPN_GROUP_NAME_MAX);
    return false;
}

/* A provider's or a type's word: letters, digits, dots. */
static bool
is_word(cpn_view v)
{
    if (v.n == 0 || v.n > ID_WORD_MAX)
        return false;
    for (size_t i = 0; i < v.n; i++)
        if (!cpn_is_alnum(v.p[i]) && v.p[i] != '.')
            return false;
    return true;
}

/* Take the segment behind the '/' that rest begins with. False: there is none. */
static bool
next_segment(cpn_view *rest, cpn_view *out)
{
    size_t end = 1;

    if (rest->n == 0 || rest->p[0] != '/')
        return false;
    while (end < rest->n && rest->p[end] != '/')
        end++;
    *out = (cpn_view){ rest->p + 1, end - 1 };
    *rest = cpn_view_skip(*rest, end);
    return true;
}

/* Take "/WORD/NAME". */
static bool
next_named(cpn_view *rest, const char *word, cpn_view *name, bool (*is_one)(cpn_view))
{
    cpn_view got;

    return next_segment(rest, &got) && cpn_view_is_nocase(got, word) && next_segment(rest, name) &&
           is_one(*name);
}

static cpn_rc
refuse(cpn_err *err, const char *expected)
{
    return cpn_fail(err, CPN_INVALID, "not a resource id: expected %s", expected);
}

static cpn_rc
parse_resource(cpn_resource_id *id, cpn_view rest, cpn_err *err)
{
    cpn_view got;

    if (!next_segment(&rest, &got) || !cpn_view_is_nocase(got, "providers") ||
        !next_segment(&rest, &id->provider) || !is_word(id->provider))
        return refuse(err, "/providers/PROVIDER behind the resource group");
    if (!next_segment(&rest, &id->type) || !is_word(id->type) || !next_segment(&rest, &id->name) ||
        !is_name(id->name))
        return refuse(err, "/TYPE/NAME behind the provider");
    if (rest.n == 0)
        return CPN_OK;
    if (!next_segment(&rest, &id->subtype) || !is_word(id->subtype) ||
        !next_segment(&rest, &id->subname) || !is_name(id->subname) || rest.n != 0)
        return refuse(err, "/TYPE/NAME, once more at most, behind the resource's name");
    return CPN_OK;
}

cpn_rc
cpn_resource_id_parse(cpn_resource_id *out, cpn_view text, cpn_err *err)
{
    cpn_resource_id id = { 0 };
    cpn_view rest = text;
    cpn_rc rc;

    *out = id;
    if (text.n > CPN_ID_MAX)
        return cpn_fail(err, CPN_INVALID, "not a resource id: longer than %d bytes", CPN_ID_MAX);
    if (!next_named(&rest, "subscriptions", &id.subscription, is_name))
        return refuse(err, "/subscriptions/NAME at the front");
    if (rest.n && !next_named(&rest, "resourceGroups", &id.group, cpn_is_group_name))
        return refuse(err, "/resourceGroups/NAME behind the subscription");
    if (rest.n && (rc = parse_resource(&id, rest, err)) != CPN_OK)
        return rc;
    *out = id;
    return CPN_OK;
}

bool
cpn_bastion_is_small(const cpn_bastion *b)
{
    return b->sku == CPN_SKU_DEVELOPER || b->sku == CPN_SKU_QUICKCONNECT;
}

bool
cpn_network_holds(const cpn_network *n, const cpn_addr *a)
{
    for (unsigned i = 0; i < n->prefixes_n; i++)
        if (cpn_prefix_holds(&n->prefixes[i], a))
            return true;
    return false;
}

bool
cpn_network_has_peer(const cpn_network *n, const cpn_network *peer)
{
    for (unsigned i = 0; i < n->peers_n; i++)
        if (n->peers[i] == peer)
            return true;
    return false;
}

bool
cpn_scope_holds(cpn_view outer, cpn_view inner)
{
    if (cpn_view_is(outer, "/"))
        return true;
    return inner.n >= outer.n &&
           strncasecmp((const char *)inner.p, (const char *)outer.p, outer.n) == 0 &&
           (inner.n == outer.n || inner.p[outer.n] == '/');
}
