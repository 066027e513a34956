/* net/backlog.h -- bytes that a socket would not take yet, in pooled blocks. Internal to net/. */
#ifndef CPN_NET_BACKLOG_H
#define CPN_NET_BACKLOG_H

#include <sys/uio.h>

#include "net/pool.h"

/* Zero-initialise. */
typedef struct cpn_backlog {
    cpn_block *head; /* oldest first */
    cpn_block *tail;
    size_t n; /* bytes in all */
} cpn_backlog;

/* A copy of n bytes behind what is kept. False: no memory; a part may be there. */
bool cpn_backlog_put(cpn_backlog *b, cpn_pool *pool, const uint8_t *p, size_t n) CPN_MUST_CHECK;
/* The oldest bytes as at most `most` pieces, borrowed; returns how many. */
int cpn_backlog_parts(const cpn_backlog *b, struct iovec *iov, int most);
/* The oldest n bytes (of at most b->n) have gone. */
void cpn_backlog_drop(cpn_backlog *b, cpn_pool *pool, size_t n);
void cpn_backlog_clear(cpn_backlog *b, cpn_pool *pool);

#endif
