/* base/secret.h -- bytes that must not reach a log, a core file or a later reader of this memory.
 * A struct, not a char *, so that printf("%s") on it does not compile. */
#ifndef CPN_BASE_SECRET_H
#define CPN_BASE_SECRET_H

#include "base/err.h"
#include "base/view.h"

#define CPN_SECRET_MAX 8192

typedef struct cpn_secret {
    size_t n;
    uint8_t b[CPN_SECRET_MAX];
} cpn_secret;

/* CPN_LIMIT: longer than CPN_SECRET_MAX. */
cpn_rc cpn_secret_set(cpn_secret *s, cpn_view v) CPN_MUST_CHECK;
/* Also the cleanup function: CPN_AUTO(cpn_secret_wipe) cpn_secret s = { 0 }; */
void cpn_secret_wipe(cpn_secret *s);
/* Constant time in the content; the lengths are not secret. */
bool cpn_ct_eq(cpn_view a, cpn_view b);

/* n bytes from getrandom(2); aborts when the kernel has none, since going on would be worse. */
void cpn_random(void *out, size_t n);

static inline cpn_view
cpn_secret_view(const cpn_secret *s)
{
    return (cpn_view){ s->b, s->n };
}

#endif
