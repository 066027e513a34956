/* front/deadline.h -- absolute deadlines of one loop, to 100 ms: one timer for all of them, which
 * runs only while there is a deadline. */
#ifndef CPN_FRONT_DEADLINE_H
#define CPN_FRONT_DEADLINE_H

#include "net/loop.h"

#define CPN_DEADLINE_TICK_MS 100

typedef struct cpn_deadlines cpn_deadlines;
typedef struct cpn_deadline cpn_deadline;
typedef void cpn_deadline_fn(cpn_deadline *d);

/* Embed it; zero-initialise and set fn. */
struct cpn_deadline {
    cpn_deadline_fn *fn; /* may free what holds the deadline, and any other */
    cpn_deadline *next;
    cpn_deadline *prev;
    cpn_deadlines *in; /* NULL: not set */
    uint64_t at_ms;
};

/* Borrows the loop. */
cpn_deadlines *cpn_deadlines_new(cpn_loop *loop);
/* Every deadline must have been cleared; freed when the loop has run once more. NULL is fine. */
void cpn_deadlines_free(cpn_deadlines *all);

/* Call d->fn once when ms have passed; replaces what was set before. */
void cpn_deadline_set(cpn_deadlines *all, cpn_deadline *d, uint64_t ms);
void cpn_deadline_clear(cpn_deadline *d);

#endif
