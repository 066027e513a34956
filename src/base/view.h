/* base/view.h -- borrowed bytes. Never NUL-terminated, never owned. */
#ifndef CPN_BASE_VIEW_H
#define CPN_BASE_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct cpn_view {
    const uint8_t *p;
    size_t n;
} cpn_view;

#define CPN_VIEW_LIT(s) ((cpn_view){ (const uint8_t *)(s), sizeof(s) - 1 })
/* For printf("%.*s", CPN_VIEW_ARG(v)). */
#define CPN_VIEW_ARG(v) (int)(v).n, (const char *)(v).p

static inline cpn_view
cpn_view_str(const char *s)
{
    return (cpn_view){ (const uint8_t *)s, s ? strlen(s) : 0 };
}

/* The bytes from `from` on; empty when there are none. */
static inline cpn_view
cpn_view_skip(cpn_view v, size_t from)
{
    if (from < v.n)
        return (cpn_view){ v.p + from, v.n - from };
    return (cpn_view){ v.n ? v.p + v.n : v.p, 0 }; /* NULL + 0 is undefined */
}

bool cpn_view_eq(cpn_view a, cpn_view b);
bool cpn_view_is(cpn_view a, const char *s);
/* ASCII letters compare without case. */
bool cpn_view_is_nocase(cpn_view a, const char *s);
bool cpn_view_starts(cpn_view a, const char *s);
bool cpn_view_starts_nocase(cpn_view a, const char *s);
/* Cut at the first `sep`: *head before it, *tail after it. False: no sep, *head is all of v. */
bool cpn_view_cut(cpn_view v, uint8_t sep, cpn_view *head, cpn_view *tail);
/* Decimal digits only, no sign, no leading zero but "0", at most max. */
bool cpn_view_u64(cpn_view v, uint64_t max, uint64_t *out);
/* Copy and terminate. False and empty when it does not fit or holds a NUL. */
bool cpn_view_copy(cpn_view v, char *out, size_t size);

#endif
