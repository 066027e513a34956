/* net/leg.h -- the socket side of one relayed session: reads into the caller's slots, writes with
 * leftovers kept in pooled memory, first bytes held for judgement, half-close, counters.
 *
 * Shared by the carrier's streams and the raw relay; internal to net/. "In" is towards the socket,
 * "out" from the socket. Ends always use shutdown(), since keeper may hold a duplicate. */
#ifndef CPN_NET_LEG_H
#define CPN_NET_LEG_H

#include <sys/uio.h>

#include "model/session.h"
#include "net/judge.h"
#include "net/loop.h"

typedef struct cpn_leg cpn_leg;

typedef struct cpn_leg_events {
    /* cpn_leg_take may find something. From the poll callback: only note it. */
    void (*on_readable)(void *owner);
    /* n bytes that had been kept are written now. */
    void (*on_written)(void *owner, size_t n);
    /* The socket broke, with this errno, and what it said before was taken. Once; nothing else
     * follows. */
    void (*on_failed)(void *owner, int error);
    /* One way stands still at its limit (cpn_leg_allow) and has more. Only note it. Once a way and
     * allowance; NULL: nobody sets limits. */
    void (*on_spent)(void *owner);
} cpn_leg_events;

/* NULL: no memory. in_is_up: bytes towards the socket count as up (at the gateway). */
cpn_leg *cpn_leg_new(cpn_loop *loop, bool in_is_up, const cpn_leg_events *events, void *owner);
/* Shut and close the socket, drop what is kept; no event follows. rst: break the connection off, so
 * that the other end sees a reset (of the client; a front may not, its keeper does for a cut).
 * NULL is fine. */
void cpn_leg_free(cpn_leg *leg, bool rst);

/* Before attach. Bytes already put are judged by attach or the next put. */
void cpn_leg_hold(cpn_leg *leg, const cpn_judge *judge);
/* Give it its socket (consumed, also on failure); returns bytes written to it at once. */
size_t cpn_leg_attach(cpn_leg *leg, CPN_TAKES int fd);
bool cpn_leg_attached(const cpn_leg *leg);

/* Bytes for the socket: written at once as far as it takes them, the rest is copied. Returns how
 * many bytes were written now (of these or kept ones). iov is used up. */
size_t cpn_leg_put(cpn_leg *leg, struct iovec *iov, int n);
/* The end of what is put (further bytes are dropped): shutdown(SHUT_WR) once everything is written.
 * May be called before attach. Returns bytes written now. */
size_t cpn_leg_put_end(cpn_leg *leg);
/* Bytes put and not yet written. */
size_t cpn_leg_kept(const cpn_leg *leg);
/* Should whoever puts wait for on_written? First bytes that are still judged are no reason: the
 * judge may need the next ones. Nor is what was refused, or has ended: the rest is dropped. */
bool cpn_leg_full(const cpn_leg *leg);

/* After the end: did somebody who holds a duplicate (keeper, for a cut) shut the socket, and not
 * the machine end it? */
bool cpn_leg_shut_here(const cpn_leg *leg);

/* Could a take find something now? */
bool cpn_leg_may_take(const cpn_leg *leg);
/* Was the last take small, so that this is a person typing? True before the first one. */
bool cpn_leg_interactive(const cpn_leg *leg);
/* Read up to `most` bytes into iov (of at least that room). >0: bytes; 0: end of input (again on
 * every later call); -1: nothing now. */
ssize_t cpn_leg_take(cpn_leg *leg, const struct iovec *iov, int n, size_t most);

/* n bytes were read from the socket before this leg had it: they count as taken. */
void cpn_leg_inherit(cpn_leg *leg, size_t n);

/* From now on at most this many bytes each way in all, those that have gone included; never fewer
 * than have gone. What stood still goes on. Without a call there is no limit. */
void cpn_leg_allow(cpn_leg *leg, const cpn_byte_limits *most);
/* Does this way stand still at its limit, with bytes that could go on? */
bool cpn_leg_wants(const cpn_leg *leg, bool up);

void cpn_leg_tally(cpn_leg *leg, cpn_tally_slot *slot);
uint64_t cpn_leg_up(const cpn_leg *leg);
uint64_t cpn_leg_down(const cpn_leg *leg);

#endif
