/* ipc/tally.h -- the shared page of a front: a heartbeat, and the bytes of each stream.
 *
 * Keeper creates it as a memfd that can neither shrink nor grow, before the front is started. The
 * front maps it read-write and is the only writer; control maps it read-only, so byte counts cost
 * no message and survive the front's death. Control gives each stream its slot (OPENED.tally) and
 * believes nothing but numbers: a hostile front can only miscount its own streams. */
#ifndef CPN_IPC_TALLY_H
#define CPN_IPC_TALLY_H

#include "base/err.h"
#include "model/session.h"

#define CPN_TALLY_SLOTS 16384
/* A heartbeat older than this gets a front killed; the front writes it every second. */
#define CPN_TALLY_DEAD_MS 5000

typedef struct cpn_tally {
    uint64_t heartbeat_ms; /* cpn_mono_ms(); 0: not yet running */
    cpn_tally_slot slots[CPN_TALLY_SLOTS];
} cpn_tally;

/* Keeper: a sealed memfd, close-on-exec, all zero. */
cpn_rc cpn_tally_create(int *fd, cpn_err *err) CPN_MUST_CHECK;
/* Front. fd stays the caller's and may be closed afterwards. */
cpn_rc cpn_tally_map(cpn_tally **out, int fd, cpn_err *err) CPN_MUST_CHECK;
/* Control. Refuses a descriptor that is not a sealed memfd of the right size. */
cpn_rc cpn_tally_map_readonly(const cpn_tally **out, int fd, cpn_err *err) CPN_MUST_CHECK;
/* NULL is fine. */
void cpn_tally_unmap(const cpn_tally *t);

/* The two sides of a shared number: whole values, no order promised between two of them. */
static inline void
cpn_tally_set(uint64_t *to, uint64_t v)
{
    __atomic_store_n(to, v, __ATOMIC_RELAXED);
}

static inline uint64_t
cpn_tally_get(const uint64_t *from)
{
    return __atomic_load_n(from, __ATOMIC_RELAXED);
}

/* A copy of slot i; all zero when i is out of range. */
static inline cpn_tally_slot
cpn_tally_read(const cpn_tally *t, uint32_t i)
{
    const cpn_tally_slot *s = &t->slots[i < CPN_TALLY_SLOTS ? i : 0];

    if (i >= CPN_TALLY_SLOTS)
        return (cpn_tally_slot){ 0 };
    return (cpn_tally_slot){ .up = cpn_tally_get(&s->up),
                             .down = cpn_tally_get(&s->down),
                             .last_ms = cpn_tally_get(&s->last_ms),
                             .stream = cpn_tally_get(&s->stream) };
}

#endif
