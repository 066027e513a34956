/* Comparing, cutting and reading borrowed bytes. */
#include "base/view.h"

#include <strings.h>

bool
cpn_view_eq(cpn_view a, cpn_view b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool
cpn_view_is(cpn_view a, const char *s)
{
    return cpn_view_eq(a, cpn_view_str(s));
}

bool
cpn_view_is_nocase(cpn_view a, const char *s)
{
    return a.n == strlen(s) && (a.n == 0 || strncasecmp((const char *)a.p, s, a.n) == 0);
}

bool
cpn_view_starts(cpn_view a, const char *s)
{
    size_t n = strlen(s);

    return a.n >= n && (n == 0 || memcmp(a.p, s, n) == 0);
}

bool
cpn_view_starts_nocase(cpn_view a, const char *s)
{
    size_t n = strlen(s);

    return a.n >= n && (n == 0 || strncasecmp((const char *)a.p, s, n) == 0);
}

bool
cpn_view_cut(cpn_view v, uint8_t sep, cpn_view *head, cpn_view *tail)
{
    const uint8_t *at = v.n ? memchr(v.p, sep, v.n) : NULL;

    if (!at) {
        *head = v;
        *tail = cpn_view_skip(v, v.n);
        return false;
    }
    *head = (cpn_view){ v.p, (size_t)(at - v.p) };
    *tail = cpn_view_skip(v, head->n + 1);
    return true;
}

bool
cpn_view_u64(cpn_view v, uint64_t max, uint64_t *out)
{
    uint64_t n = 0;

    if (v.n == 0 || v.n > 20 || (v.n > 1 && v.p[0] == '0'))
        return false;
    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] < '0' || v.p[i] > '9')
            return false;
        if (__builtin_mul_overflow(n, 10u, &n) ||
            __builtin_add_overflow(n, (uint64_t)(v.p[i] - '0'), &n))
            return false;
    }
    if (n > max)
        return false;
    *out = n;
    return true;
}

bool
cpn_view_copy(cpn_view v, char *out, size_t size)
{
    if (size == 0)
        return false;
    out[0] = '\0';
    if (v.n >= size || (v.n && memchr(v.p, 0, v.n)))
        return false;
    if (v.n)
        memcpy(out, v.p, v.n);
    out[v.n] = '\0';
    return true;
}
