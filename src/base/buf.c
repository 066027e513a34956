/* Growable bytes with a hard maximum; released memory is wiped. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

cpn_rc
cpn_buf_reserve(cpn_buf *b, size_t more, uint8_t **at)
{
    size_t want;
    uint8_t *grown;

    if (b->n > b->max || more > b->max - b->n)
        return CPN_LIMIT;
    want = b->n + more;
    if (want > b->size) {
        want = CPN_MIN(CPN_MAX(CPN_MAX(want, b->size * 2), 256), b->max);
        grown = malloc(want);
        if (!grown)
            return CPN_E_NOMEM;
        if (b->n)
            memcpy(grown, b->p, b->n);
        if (b->p)
            explicit_bzero(b->p, b->size);
        free(b->p);
        b->p = grown;
        b->size = want;
    }
    *at = b->n ? b->p + b->n : b->p;
    return CPN_OK;
}

cpn_rc
cpn_buf_append(cpn_buf *b, cpn_view v)
{
    uint8_t *at;
    cpn_rc rc;

    if (v.n == 0)
        return CPN_OK;
    if ((rc = cpn_buf_reserve(b, v.n, &at)) != CPN_OK)
        return rc;
    memcpy(at, v.p, v.n);
    b->n += v.n;
    return CPN_OK;
}

cpn_rc
cpn_buf_printf(cpn_buf *b, const char *fmt, ...)
{
    va_list ap;
    uint8_t *at;
    cpn_rc rc;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        return CPN_E_SYS;
    if ((rc = cpn_buf_reserve(b, (size_t)n + 1, &at)) != CPN_OK)
        return rc;
    va_start(ap, fmt);
    vsnprintf((char *)at, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->n += (size_t)n;
    return CPN_OK;
}

void
cpn_buf_consume(cpn_buf *b, size_t n)
{
    if (n >= b->n) {
        b->n = 0;
        return;
    }
    memmove(b->p, b->p + n, b->n - n);
    b->n -= n;
}

void
cpn_buf_fini(cpn_buf *b)
{
    if (b->p)
        explicit_bzero(b->p, b->size);
    free(b->p);
    b->p = NULL;
    b->n = b->size = 0;
}
