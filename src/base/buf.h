/* base/buf.h -- growable bytes with a hard maximum. */
#ifndef CPN_BASE_BUF_H
#define CPN_BASE_BUF_H

#include "base/err.h"
#include "base/view.h"

/* Zero-initialise with a maximum: cpn_buf b = { .max = 65536 }. A max of 0 refuses every byte. */
typedef struct cpn_buf {
    uint8_t *p;
    size_t n;    /* bytes in use  */
    size_t size; /* bytes held    */
    size_t max;  /* never more    */
} cpn_buf;

/* Room for `more` bytes behind the content; *at points to it. CPN_LIMIT: over max. */
cpn_rc cpn_buf_reserve(cpn_buf *b, size_t more, uint8_t **at) CPN_MUST_CHECK;
/* CPN_LIMIT: over max, nothing appended. */
cpn_rc cpn_buf_append(cpn_buf *b, cpn_view v) CPN_MUST_CHECK;
cpn_rc cpn_buf_printf(cpn_buf *b, const char *fmt, ...) CPN_PRINTF(2, 3) CPN_MUST_CHECK;
/* Drop the first n bytes. */
void cpn_buf_consume(cpn_buf *b, size_t n);
/* Wipe and release; max stays, so the buffer can be used again. */
void cpn_buf_fini(cpn_buf *b);

static inline cpn_view
cpn_buf_view(const cpn_buf *b)
{
    return (cpn_view){ b->p, b->n };
}

#endif
