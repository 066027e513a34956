/* store/tickets.h -- the tickets of one node, in memory: one use, bounded, short-lived.
 *
 * Ages by the monotonic clock, so that a wall clock set back never revives one. Any thread may
 * call: a lock of its own is held for as long as one look into the table takes. */
#ifndef CPN_STORE_TICKETS_H
#define CPN_STORE_TICKETS_H

#include "base/buf.h"

#define CPN_TICKETS_MAX 100000
#define CPN_TICKET_BODY_MAX 16384
#define CPN_TICKET_TTL_MAX_MS 600000

typedef struct cpn_tickets cpn_tickets;

cpn_tickets *cpn_tickets_new(size_t max);
void cpn_tickets_free(cpn_tickets *t);
/* ttl_ms <= 0: already expired, nothing is kept. CPN_LIMIT: full of live ones, or the body is too
 * long. CPN_EXISTS: this key is there. */
cpn_rc cpn_tickets_put(cpn_tickets *t, const uint8_t key[32], cpn_view body, int64_t ttl_ms,
                       uint64_t now_ms) CPN_MUST_CHECK;
void cpn_tickets_drop(cpn_tickets *t, const uint8_t key[32]);
/* Remove it and append its body to out. CPN_NOT_FOUND: unknown, used, or expired at now_ms. */
cpn_rc cpn_tickets_take(cpn_tickets *t, const uint8_t key[32], uint64_t now_ms,
                        cpn_buf *out) CPN_MUST_CHECK;
size_t cpn_tickets_count(cpn_tickets *t);

#endif
