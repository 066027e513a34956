/* Keeps one time for each cell; a name's is the least of its cells'. */
#include "control/sketch.h"

#include <stdlib.h>

#include "base/secret.h"
#include "codec/digest.h"

#define ROWS 4
#define KEY_BYTES 32

_Static_assert(CPN_SKETCH_CELLS == 1 << 16, "two bytes of the digest are a cell");
_Static_assert(2 * ROWS <= CPN_SHA256_BYTES, "and each row has its own two");

struct cpn_sketch {
    uint8_t key[KEY_BYTES]; /* else somebody could look for names that share the cells of another */
    uint64_t until_ms[ROWS][CPN_SKETCH_CELLS];
};

typedef struct place {
    uint16_t cell[ROWS];
} place;

cpn_sketch *
cpn_sketch_new(void)
{
    cpn_sketch *s = cpn_xcalloc(1, sizeof(*s));

    cpn_random(s->key, sizeof(s->key));
    return s;
}

void
cpn_sketch_free(cpn_sketch *s)
{
    if (!s)
        return;
    explicit_bzero(s->key, sizeof(s->key));
    free(s);
}

static place
place_of(const cpn_sketch *s, cpn_view name)
{
    const cpn_view pieces[] = { { s->key, sizeof(s->key) }, name };
    uint8_t hash[CPN_SHA256_BYTES];
    place p;

    cpn_sha256_pieces(pieces, CPN_COUNT(pieces), hash);
    for (unsigned r = 0; r < ROWS; r++)
        p.cell[r] = (uint16_t)(hash[2 * r] << 8 | hash[2 * r + 1]);
    return p;
}

static uint64_t
least(const cpn_sketch *s, const place *p)
{
    uint64_t until = UINT64_MAX;

    for (unsigned r = 0; r < ROWS; r++)
        until = CPN_MIN(until, s->until_ms[r][p->cell[r]]);
    return until;
}

uint64_t
cpn_sketch_until(const cpn_sketch *s, cpn_view name)
{
    place p = place_of(s, name);

    return least(s, &p);
}

void
cpn_sketch_add(cpn_sketch *s, cpn_view name, uint64_t ms, uint64_t cap_ms, uint64_t now_ms)
{
    place p = place_of(s, name);
    uint64_t until = CPN_MIN(CPN_MAX(least(s, &p), now_ms) + ms, now_ms + cap_ms);

    /* A cell that has more has it from others: theirs stays what it was. */
    for (unsigned r = 0; r < ROWS; r++) {
        uint64_t *cell = &s->until_ms[r][p.cell[r]];

        *cell = CPN_MAX(*cell, until);
    }
}
