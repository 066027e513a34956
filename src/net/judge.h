/* net/judge.h -- hold back the first bytes of each direction until their owner has judged them. */
#ifndef CPN_NET_JUDGE_H
#define CPN_NET_JUDGE_H

#include "base/view.h"

/* First bytes that are held at most, each way: what judging may need (codec/firstbytes.h), and a
 * little more. Reading that side stops there. */
#define CPN_JUDGE_HELD_MAX 8704

typedef enum cpn_way { CPN_WAY_UP, CPN_WAY_DOWN } cpn_way; /* to the target, from the target */

/* The zero value is no. */
typedef enum cpn_verdict { CPN_VERDICT_NO = 0, CPN_VERDICT_MORE, CPN_VERDICT_PASS } cpn_verdict;

typedef struct cpn_judge {
    /* Called with everything that side has said so far, each time there is more, until it answers
     * PASS (the bytes go on, untouched, and it is not asked again for that way) or NO (the owner
     * ends the session itself, now or later: nothing moves any more, in either direction). With
     * CPN_JUDGE_HELD_MAX bytes or the end of input reached, MORE counts as NO. NULL: let that way
     * pass unjudged. */
    cpn_verdict (*up)(void *arg, cpn_view first, bool last);
    cpn_verdict (*down)(void *arg, cpn_view first, bool last);
    void *arg; /* must outlive the stream */
} cpn_judge;

#endif
