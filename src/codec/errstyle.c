/* Whose words an error is said in, by where it was asked. */
#include "codec/errstyle.h"

#include <stdbool.h>
#include <string.h>

#include "base/mem.h"

typedef struct neighbour {
    const char *text;
    cpn_error_style errors;
} neighbour;

static const neighbour starts[] = {
    { "/api/", CPN_ERRORS_AZ },       { "/webtunnelv2/", CPN_ERRORS_AZ },
    { "/omni/", CPN_ERRORS_AZ },      { "/v1.0/", CPN_ERRORS_GRAPH },
    { "/v1/", CPN_ERRORS_API },       { "/adfs/", CPN_ERRORS_OAUTH },
    { "/tenants", CPN_ERRORS_ARM },   { "/subscriptions", CPN_ERRORS_ARM },
    { "/providers", CPN_ERRORS_ARM }, { "/metadata/", CPN_ERRORS_ARM },
};

/* Behind names that are the asker's. */
static const neighbour parts[] = { { "/providers/", CPN_ERRORS_ARM },
                                   { "/oauth2/", CPN_ERRORS_OAUTH },
                                   { "/v2.0/", CPN_ERRORS_OAUTH } };

static bool
holds(cpn_view path, const char *part)
{
    for (size_t i = 0; i < path.n; i++)
        if (cpn_view_starts_nocase(cpn_view_skip(path, i), part))
            return true;
    return false;
}

/* Whole segments: a tenant may be called subscriptions.example. */
static bool
begins(cpn_view path, const char *start)
{
    size_t n = strlen(start);

    return cpn_view_starts_nocase(path, start) &&
           (start[n - 1] == '/' || path.n == n || path.p[n] == '/');
}

cpn_error_style
cpn_errors_at(cpn_view path)
{
    for (size_t i = 0; i < CPN_COUNT(starts); i++)
        if (begins(path, starts[i].text))
            return starts[i].errors;
    for (size_t i = 0; i < CPN_COUNT(parts); i++)
        if (holds(path, parts[i].text))
            return parts[i].errors;
    return CPN_ERRORS_API;
}
