/* base/quota.h -- what a user, a source or a loop has in use. */
#ifndef CPN_BASE_QUOTA_H
#define CPN_BASE_QUOTA_H

#include "base/err.h"

typedef struct cpn_quota {
    size_t used;
    size_t max;
} cpn_quota;

/* Charge before you allocate; release in the same _free. CPN_LIMIT leaves *q as it was. */
static inline CPN_MUST_CHECK cpn_rc
cpn_quota_take(cpn_quota *q, size_t n)
{
    if (q->used > q->max || n > q->max - q->used)
        return CPN_LIMIT;
    q->used += n;
    return CPN_OK;
}

static inline void
cpn_quota_give(cpn_quota *q, size_t n)
{
    q->used -= CPN_MIN(n, q->used);
}

#endif
