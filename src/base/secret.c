/* Secrets: kept apart, compared in constant time, wiped. */
#include "base/secret.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

cpn_rc
cpn_secret_set(cpn_secret *s, cpn_view v)
{
    if (v.n > sizeof(s->b))
        return CPN_LIMIT;
    cpn_secret_wipe(s);
    if (v.n)
        memcpy(s->b, v.p, v.n);
    s->n = v.n;
    return CPN_OK;
}

void
cpn_secret_wipe(cpn_secret *s)
{
    explicit_bzero(s->b, s->n);
    s->n = 0;
}

bool
cpn_ct_eq(cpn_view a, cpn_view b)
{
    uint8_t diff = 0;

    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        diff |= (uint8_t)(a.p[i] ^ b.p[i]);
    return diff == 0;
}

void
cpn_random(void *out, size_t n)
{
    uint8_t *p = out;

    while (n) {
        ssize_t got = getrandom(p, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            abort();
        p += got;
        n -= (size_t)got;
    }
}
