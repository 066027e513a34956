/* Gives out the slots of a front's shared page, and reads them. */
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/fronts.h"

void
cpn_fronts_tally(cpn_control *c, uint32_t id, CPN_TAKES int fd)
{
    CPN_AUTO(cpn_auto_fd) int owned = fd;
    cpn_front *f = cpn_front_find(c, id);
    cpn_err err = { 0 };

    if (!f || f->tally)
        return;
    if (cpn_tally_map_readonly(&f->tally, owned, &err) < 0)
        cpn_front_kill(f, err.msg);
}

void
cpn_front_tally_unmap(cpn_front *f)
{
    cpn_tally_unmap(f->tally);
    f->tally = NULL;
}

cpn_rc
cpn_front_slot_take(cpn_front *f, uint32_t *slot)
{
    for (uint32_t word = 0; word < CPN_COUNT(f->slots_used); word++) {
        uint64_t idle = ~f->slots_used[word];

        if (!idle)
            continue;
        *slot = word * 64 + (uint32_t)__builtin_ctzll(idle);
        if (*slot >= f->slots_max)
            return CPN_LIMIT;
        f->slots_used[word] |= 1ull << (*slot % 64);
        return CPN_OK;
    }
    return CPN_LIMIT;
}

void
cpn_front_slot_give(cpn_front *f, uint32_t slot)
{
    if (slot < CPN_TALLY_SLOTS)
        f->slots_used[slot / 64] &= ~(1ull << (slot % 64));
}

cpn_tally_slot
cpn_front_slot_read(const cpn_front *f, uint32_t slot, uint64_t stream)
{
    cpn_tally_slot got = { 0 };

    if (f->tally)
        got = cpn_tally_read(f->tally, slot);
    return got.stream == stream ? got : (cpn_tally_slot){ 0 };
}

cpn_rc
cpn_front_slot_adopt(cpn_front *f, uint64_t stream, uint32_t *slot)
{
    for (uint32_t i = 0; f->tally && i < CPN_TALLY_SLOTS; i++) {
        if (f->slots_used[i / 64] & (1ull << (i % 64)))
            continue;
        if (cpn_tally_get(&f->tally->slots[i].stream) != stream)
            continue;
        f->slots_used[i / 64] |= 1ull << (i % 64);
        *slot = i;
        return CPN_OK;
    }
    return CPN_NOT_FOUND;
}

void
cpn_fronts_check(cpn_control *c, uint64_t now_ms)
{
    cpn_front *f, *next;

    HASH_ITER (hh, c->fronts, f, next) {
        uint64_t beat = f->tally ? cpn_tally_get(&f->tally->heartbeat_ms) : 0;

        /* A front that never beat is measured from its start. */
        beat = CPN_MAX(beat, f->up_ms);
        if (now_ms > beat && now_ms - beat > CPN_TALLY_DEAD_MS)
            cpn_front_kill(f, "its heartbeat stands still");
    }
}
