/* Matches the paths of the route table. */
#include "control/pattern.h"

#include "codec/url.h"

#define REST "{+"

/* The next segment of a path that begins with '/', without it. False at the end. */
static bool
segment_next(cpn_view *path, cpn_view *segment)
{
    cpn_view rest;

    if (path->n == 0 || path->p[0] != '/')
        return false;
    (void)cpn_view_cut(cpn_view_skip(*path, 1), '/', segment, &rest);
    *path = cpn_view_skip(*path, 1 + segment->n);
    return true;
}

static size_t
segments_count(cpn_view path)
{
    cpn_view segment;
    size_t n = 0;

    while (segment_next(&path, &segment))
        n++;
    return n;
}

static bool
is_param(cpn_view segment)
{
    return segment.n > 2 && segment.p[0] == '{';
}

static bool
param_add(cpn_params *out, cpn_view braced, cpn_view raw)
{
    bool rest = cpn_view_starts(braced, REST);
    char *value = out->text + out->used;

    if (raw.n == 0 || out->n == CPN_PARAMS_MAX ||
        cpn_percent_decode(raw, value, sizeof(out->text) - out->used) != CPN_OK)
        return false;
    out->at[out->n].name = (cpn_view){ braced.p + (rest ? 2 : 1), braced.n - (rest ? 3 : 2) };
    out->at[out->n++].value = out->used;
    out->used += strlen(value) + 1;
    return true;
}

/* Takes the segments that {+name} stands for: as many as the rest of the pattern leaves over. */
static bool
rest_take(cpn_view *pattern, cpn_view *path, cpn_params *out)
{
    cpn_view braced, segment, all = *path;
    size_t after, n = segments_count(*path);

    (void)segment_next(pattern, &braced);
    after = segments_count(*pattern);
    for (size_t i = 0; n > after && i < n - after; i++)
        (void)segment_next(path, &segment);
    all.n -= path->n;
    return all.n > 0 && param_add(out, braced, all);
}

static bool
scope_set(cpn_params *out, cpn_view upto, bool rest)
{
    if (out->n == 0)
        return cpn_view_copy(CPN_VIEW_LIT("/"), out->scope, sizeof(out->scope));
    if (rest)
        return cpn_view_copy(cpn_view_str(out->text + out->at[0].value), out->scope,
                             sizeof(out->scope));
    return cpn_percent_decode(upto, out->scope, sizeof(out->scope)) == CPN_OK;
}

static bool
walk(cpn_view pattern, cpn_view path, bool nocase, cpn_params *out)
{
    bool rest = cpn_view_starts(pattern, "/" REST);
    cpn_view want, got, whole = path, upto = { path.p, 0 };

    if (rest && !rest_take(&pattern, &path, out))
        return false;
    while (segment_next(&pattern, &want)) {
        if (!segment_next(&path, &got))
            return false;
        if (is_param(want)) {
            if (!param_add(out, want, got))
                return false;
            upto.n = whole.n - path.n;
        } else if (want.n != got.n ||
                   (nocase ? strncasecmp((const char *)want.p, (const char *)got.p, want.n)
                           : memcmp(want.p, got.p, want.n)) != 0) {
            return false;
        }
    }
    return path.n == 0 && scope_set(out, upto, rest);
}

bool
cpn_pattern_fits(const char *pattern, cpn_view path, bool nocase, cpn_params *out)
{
    cpn_params found;

    found.n = 0; /* of the rest only what these two speak of is ever looked at */
    found.used = 0;
    if (!walk(cpn_view_str(pattern), path, nocase, &found))
        return false;
    *out = found;
    return true;
}

bool
cpn_pattern_before(const char *a, const char *b)
{
    cpn_view left = cpn_view_str(a), right = cpn_view_str(b), l, r;

    while (segment_next(&left, &l) && segment_next(&right, &r)) {
        if (cpn_view_starts(l, REST) != cpn_view_starts(r, REST))
            return cpn_view_starts(r, REST);
        if (is_param(l) != is_param(r))
            return is_param(r);
    }
    return false;
}

const char *
cpn_param(const cpn_params *params, const char *name)
{
    for (unsigned i = 0; i < params->n; i++)
        if (cpn_view_is(params->at[i].name, name))
            return params->text + params->at[i].value;
    return "";
}
