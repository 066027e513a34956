/* net/pool.h -- the memory that relayed bytes pass through: one pool a loop.
 *
 * A connection takes a block only while bytes are in it, so an idle one holds none. Every block in
 * use is charged to the quota (`relay_memory`). Taking never fails for the quota's sake, since
 * bytes that were read must be kept: instead the relay asks cpn_pool_tight() before it reads, and
 * each holder has a bound of its own (a connection: one block out and one in, small ones where it
 * stands still with little; a stream:
 * its window; at the cap a carrier: 64 KiB and an intake). New sessions are refused while
 * cpn_pool_full(). */
#ifndef CPN_NET_POOL_H
#define CPN_NET_POOL_H

#include "base/quota.h"
#include "base/view.h"

/* Four and eighteen TLS records of 16 KiB with their overhead. */
#define CPN_BLOCK_SMALL 67584u
#define CPN_BLOCK_LARGE 299008u
/* Freed blocks of each kind kept for the next taker. */
#define CPN_POOL_CACHED 4

typedef struct cpn_pool cpn_pool;

/* Bytes p[at .. at+n) are in use; the holder keeps at and n. */
typedef struct cpn_block {
    struct cpn_block *next; /* the holder's, for chains */
    size_t size;            /* CPN_BLOCK_SMALL or CPN_BLOCK_LARGE */
    size_t at;
    size_t n;
    _Alignas(64) uint8_t p[];
} cpn_block;

/* Borrows the quota for its whole life. */
cpn_rc cpn_pool_new(cpn_pool **out, cpn_quota *quota, cpn_err *err) CPN_MUST_CHECK;
/* Every block must have been given back. NULL is fine. */
void cpn_pool_free(cpn_pool *pool);
CPN_DEFINE_AUTO(cpn_pool, cpn_pool)

/* An empty block; NULL only when the machine has no memory: close the connection then. */
cpn_block *cpn_pool_take(cpn_pool *pool, size_t size);
/* Give one block back and set the holder's pointer to NULL; *b NULL is fine. */
void cpn_pool_give(cpn_pool *pool, cpn_block **b);
/* Over three quarters: reads shrink, windows do not grow. */
bool cpn_pool_tight(const cpn_pool *pool);
/* At the cap: no new sessions, no new bulk reads. */
bool cpn_pool_full(const cpn_pool *pool);

static inline size_t
cpn_block_room(const cpn_block *b)
{
    return b->size - b->at - b->n;
}

#endif
