/* net/loop.h -- what all connections of one libuv loop share: buffers, time, the end of the turn.
 *
 * Callbacks of uv_poll only note what became possible and take in bytes; what produces bulk output,
 * frees objects or calls owners is queued with cpn_loop_later() and runs at the end of the same
 * turn. So no object is freed inside its own callback, and small work runs before bulk work. */
#ifndef CPN_NET_LOOP_H
#define CPN_NET_LOOP_H

#include <uv.h>

#include "net/pool.h"

typedef struct cpn_loop cpn_loop;
typedef struct cpn_later cpn_later;
typedef void cpn_later_fn(cpn_later *l);

/* In which order queued work runs in a turn. FREE runs when everything else has. */
typedef enum cpn_later_kind {
    CPN_LATER_FIRST,
    CPN_LATER_BULK,
    CPN_LATER_FREE,
    CPN_LATER_N
} cpn_later_kind;

/* One queued call; embed it in the object. Zero-initialise, set fn. Queueing twice is one call. */
struct cpn_later {
    cpn_later_fn *fn;
    cpn_later *next;
    cpn_later *prev;
    bool queued;
    cpn_later_kind kind;
};

/* Milliseconds; monotonic. A test may inject its own. */
typedef uint64_t cpn_now_fn(void *arg);

/* Borrows uv and the quota (relay_memory). */
cpn_rc cpn_loop_new(cpn_loop **out, uv_loop_t *uv, cpn_quota *quota, cpn_err *err) CPN_MUST_CHECK;
/* Close the loop's own handles; run uv until it is empty afterwards. Every connection must have
 * been freed, and a turn must have passed since. NULL is fine. */
void cpn_loop_free(cpn_loop *loop);

uv_loop_t *cpn_loop_uv(cpn_loop *loop);
cpn_pool *cpn_loop_pool(cpn_loop *loop);
/* The turn's time. */
uint64_t cpn_loop_now_ms(cpn_loop *loop);
void cpn_loop_set_clock(cpn_loop *loop, cpn_now_fn *now, void *arg);

/* How long the peer of a connection made or attached from now on may take no byte while some wait,
 * before the kernel ends it; 30 s until then. Milliseconds, over 0. */
void cpn_loop_stall(cpn_loop *loop, unsigned ms);
unsigned cpn_loop_stall_ms(const cpn_loop *loop);

/* Run l->fn at the end of this turn; from such a call itself: of the next one. */
void cpn_loop_later(cpn_loop *loop, cpn_later *l, cpn_later_kind kind);
void cpn_loop_not_later(cpn_loop *loop, cpn_later *l);

/* Somebody types, in a connection of this loop: for the next CPN_LOOP_TYPING_MS bulk takes shorter
 * turns, so that a keystroke waits for less of it. */
#define CPN_LOOP_TYPING_MS 200
void cpn_loop_typed(cpn_loop *loop);
bool cpn_loop_typing(cpn_loop *loop);

/* Four bytes for a WebSocket mask, from the kernel's generator, drawn in batches. */
void cpn_loop_mask_key(cpn_loop *loop, uint8_t key[4]);

#endif
