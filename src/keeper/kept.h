/* keeper/kept.h -- a duplicate of every target socket, by session and stream, so that a session can
 * be cut whatever the front that relays it does. */
#ifndef CPN_KEEPER_KEPT_H
#define CPN_KEEPER_KEPT_H

#include "base/err.h"
#include "model/uuid.h"

/* Streams kept at once; the limit of descriptors may be lower. */
#define CPN_KEPT_MAX 262144

typedef struct cpn_kept cpn_kept;
typedef void cpn_kept_fn(void *arg, const cpn_uuid *session, uint64_t stream);

cpn_kept *cpn_kept_new(void);
/* Shuts and closes every socket. NULL is fine. */
void cpn_kept_free(cpn_kept *k);
/* CPN_EXISTS: that stream is kept already. CPN_LIMIT: at one of the bounds. */
cpn_rc cpn_kept_add(cpn_kept *k, const cpn_uuid *session, uint64_t stream,
                    CPN_TAKES int fd) CPN_MUST_CHECK;
/* shutdown(SHUT_RDWR) on all sockets of the session; they stay until released. Their last close is
 * a reset: what the machine has not read by then, it does not get. Returns how many. */
size_t cpn_kept_shut(cpn_kept *k, const cpn_uuid *session);
/* shutdown(SHUT_RDWR) and close one: whoever has a copy has nothing. False: not kept. */
bool cpn_kept_release(cpn_kept *k, const cpn_uuid *session, uint64_t stream);
void cpn_kept_each(const cpn_kept *k, cpn_kept_fn *fn, void *arg);

#endif
