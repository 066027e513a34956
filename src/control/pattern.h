/* control/pattern.h -- the path of a route row against the path of a request. Pure.
 *
 *     /v1/version                        these very segments
 *     /api/tokens/{token}                {name}: one whole segment, percent-decoded
 *     /{+scope}/providers/P/things/{id}  {+name}, only in front: one segment or more
 *
 * Where two patterns fit one path, the one with literal text at the first segment where they
 * differ goes first (cpn_pattern_before). */
#ifndef CPN_CONTROL_PATTERN_H
#define CPN_CONTROL_PATTERN_H

#include "base/err.h"
#include "model/resource.h"

#define CPN_PARAMS_MAX 8

/* What a path's parameters hold. Zeroed: none. */
typedef struct cpn_params {
    unsigned n;
    struct {
        cpn_view name; /* in the pattern */
        size_t value;  /* where in text */
    } at[CPN_PARAMS_MAX];
    /* The decoded path up to and with its last parameter, the parameters' own segments alone for
     * {+name}; "/" without any. In ARM's paths: the id of the resource that a call is about. */
    char scope[CPN_ID_MAX + 1];
    size_t used;
    char text[CPN_ID_MAX + CPN_PARAMS_MAX];
} cpn_params;

/* nocase: literal segments compare without case, as ARM's do. False also when a parameter is empty
 * or all of them together are longer than an id may be; out is filled only when true. */
bool cpn_pattern_fits(const char *pattern, cpn_view path, bool nocase, cpn_params *out);
/* Does a go before b, both fitting one path? */
bool cpn_pattern_before(const char *a, const char *b);
/* "" when the pattern has no such parameter. */
const char *cpn_param(const cpn_params *params, const char *name);

#endif
