/* audit/merge.h -- refusals of one user, target and reason within 5 s are one record and a count,
 * so that a client that tries in a loop fills no disk. Pure: the clock is the caller's.
 *
 * The first of a kind is to be written at once; those that come again within the window are only
 * counted, and one record with their count follows when the window is over. A full table merges
 * nothing: every refusal is then written itself. */
#ifndef CPN_AUDIT_MERGE_H
#define CPN_AUDIT_MERGE_H

#include <jansson.h>

#include "base/err.h"
#include "base/view.h"

#define CPN_MERGE_MS 5000
#define CPN_MERGE_MAX 1024

typedef struct cpn_merge cpn_merge;

cpn_merge *cpn_merge_new(void);
void cpn_merge_free(cpn_merge *m);

/* key names user, target and reason; record (borrowed) is what was refused. True: write it now.
 * False: counted. */
bool cpn_merge_add(cpn_merge *m, cpn_view key, const json_t *record, uint64_t now_ms);
/* The next window that is over (or any, when closing) with something to say: a new reference to the
 * first record with "count" of those merged. NULL: no more for now. Call until NULL. */
json_t *cpn_merge_next(cpn_merge *m, uint64_t now_ms, bool closing);
/* When to ask again; 0: nothing waits. */
uint64_t cpn_merge_due_ms(const cpn_merge *m);

#endif
