/* Counts of connections by source, in a hash that holds only sources with at least one. */
#include "front/slots.h"

#include <stdlib.h>
#include <string.h>

#define HASH_FUNCTION HASH_SAX
#include <uthash.h>

struct cpn_slot_source {
    uint8_t key[16];
    size_t used;
    UT_hash_handle hh;
};

/* A home or an office has one IPv4 address, or one IPv6 /56. */
static void
key_of(const cpn_addr *peer, uint8_t key[16])
{
    memcpy(key, peer->b, 16);
    if (!cpn_addr_is_v4(peer))
        memset(key + 7, 0, 9);
}

cpn_rc
cpn_slot_take(cpn_slots *slots, const cpn_addr *peer, cpn_slot_source **out)
{
    cpn_slot_source *s;
    uint8_t key[16];

    *out = NULL;
    if (slots->used >= slots->max)
        return CPN_LIMIT;
    key_of(peer, key);
    HASH_FIND(hh, slots->sources, key, sizeof(key), s);
    if ((s ? s->used : 0) >= slots->source_max)
        return CPN_LIMIT;
    if (!s) {
        s = cpn_xcalloc(1, sizeof(*s));
        memcpy(s->key, key, sizeof(key));
        HASH_ADD(hh, slots->sources, key, sizeof(s->key), s);
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
