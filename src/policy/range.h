/* policy/range.h -- address ranges that no declared prefix may touch and no address target may be
 * in. Internal to src/policy. The fence in keeper refuses the same (and more) again at the dial,
 * whatever policy says; this one exists so that a mistake is told when it is made. */
#ifndef CPN_POLICY_RANGE_H
#define CPN_POLICY_RANGE_H

#include "model/addr.h"

/* A declared prefix is at least this long. */
#define CPN_PREFIX_MIN_V4 8
#define CPN_PREFIX_MIN_V6 32

/* In words what is wrong with the prefix ("overlaps loopback 127.0.0.0/8"), or NULL.
 * allow_loopback lifts 127.0.0.0/8 and ::1 (tests, the rootless demo). */
const char *cpn_range_refuses_prefix(const cpn_prefix *p, bool allow_loopback);
/* The same for one address; single metadata addresses count here too. */
const char *cpn_range_refuses_addr(const cpn_addr *a, bool allow_loopback);

#endif
