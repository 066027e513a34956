/* policy/may.h -- the one answer to "may this principal do this here", with its kind of no.
 * Internal to src/policy; the rest of the program calls cpn_may (decide.h). */
#ifndef CPN_POLICY_MAY_H
#define CPN_POLICY_MAY_H

#include "policy/snapshot_impl.h"

typedef enum cpn_may_answer {
    CPN_MAY_NO, /* no assignment allows it */
    CPN_MAY_YES,
    CPN_MAY_DENIED, /* a deny assignment forbids it */
    CPN_MAY_WINDOW  /* one would allow it at another time */
} cpn_may_answer;

/* The principal's node in s, found by object id; NULL: nobody who may act (absent, disabled, or a
 * group). */
const cpn_node *cpn_may_caller(const cpn_snapshot *s, const cpn_principal *who);

/* Where an assignment holds. */
cpn_view cpn_may_scope(const cpn_node *assignment);

/* Assignments hold at their scope and below it, at the boundary of a segment, without case; a
 * group's are its members'. who NULL: CPN_MAY_NO. */
cpn_may_answer cpn_may_ask(const cpn_node *who, cpn_plane plane, const char *action, cpn_view scope,
                           int64_t now_s);

/* On the control plane; with the answer YES also how many bytes a session may move by it: of all
 * assignments that allow it now the most generous counts, each way for itself, and one without a
 * limit lifts it. */
cpn_may_answer cpn_may_ask_limited(const cpn_node *who, const char *action, cpn_view scope,
                                   int64_t now_s, cpn_byte_limits *limits);

#endif
