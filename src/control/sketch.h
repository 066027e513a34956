/* control/sketch.h -- time that runs off, for any number of names in fixed memory (2 MiB).
 *
 * A count-min sketch with conservative update: a name has one cell in each of four rows, found by
 * SHA-256 under a key that is drawn at the start, and its time is the least of the four. Cells are
 * shared, never given up. So it errs to one side only:
 *
 * - No name has less time than was added to it, however many others are added: nothing is pushed
 *   out, and there is no telling which names anybody keeps an account of.
 * - A name may have more, when others hold all four of its cells. With n additions that have not
 *   run off, of which k at one name make a time t, a name that nobody added to has t with a
 *   probability of at most (n / k / CPN_SKETCH_CELLS)^4. Which names share cells is nobody's to
 *   know or to choose. */
#ifndef CPN_CONTROL_SKETCH_H
#define CPN_CONTROL_SKETCH_H

#include "base/view.h"

#define CPN_SKETCH_CELLS 65536 /* of a row */

typedef struct cpn_sketch cpn_sketch;

cpn_sketch *cpn_sketch_new(void);
void cpn_sketch_free(cpn_sketch *s);

/* ms more, from now or from when its time ends, to now + cap_ms at most. */
void cpn_sketch_add(cpn_sketch *s, cpn_view name, uint64_t ms, uint64_t cap_ms, uint64_t now_ms);
/* When its time ends; the past: it has none. */
uint64_t cpn_sketch_until(const cpn_sketch *s, cpn_view name);

#endif
