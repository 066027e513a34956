/* Counts of connections by source, in a hash that holds only sources with at least one. */
#include "front/slots.h"

#include <stdlib.h>

#define HASH_FUNCTION HASH_SAX
#include <uthash.h>

struct cpn_slot_source {
    cpn_addr source;
    size_t used;
    UT_hash_handle hh;
};

static cpn_slot_source *
source_of(const cpn_slots *slots, const cpn_addr *peer)
{
    cpn_addr source = cpn_addr_source(peer);
    cpn_slot_source *s;

    HASH_FIND(hh, slots->sources, &source, sizeof(source), s);
    return s;
}

const cpn_slot_source *
cpn_slot_greediest(const cpn_slots *slots, const cpn_addr *peer)
{
    cpn_slot_source *s, *next;
    const cpn_slot_source *most = NULL;
    size_t has;

    if (slots->used < slots->max)
        return NULL;
    s = source_of(slots, peer);
    has = s ? s->used : 0;
    HASH_ITER (hh, slots->sources, s, next) {
        if (!most || s->used > most->used)
            most = s;
    }
    return most && most->used > has + 1 ? most : NULL;
}

cpn_rc
cpn_slot_take(cpn_slots *slots, const cpn_addr *peer, cpn_slot_source **out)
{
    cpn_slot_source *s;

    *out = NULL;
    if (slots->used >= slots->max)
        return CPN_LIMIT;
    s = source_of(slots, peer);
    if ((s ? s->used : 0) >= slots->source_max)
        return CPN_LIMIT;
    if (!s) {
        s = cpn_xcalloc(1, sizeof(*s));
        s->source = cpn_addr_source(peer);
        HASH_ADD(hh, slots->sources, source, sizeof(s->source), s);
    }
    s->used++;
    slots->used++;
    *out = s;
    return CPN_OK;
}

void
cpn_slot_give(cpn_slots *slots, cpn_slot_source **source)
{
    cpn_slot_source *s = cpn_steal(source);

    if (!s)
        return;
    slots->used--;
    if (--s->used > 0)
        return;
    HASH_DEL(slots->sources, s);
    free(s);
}
