/* control/usage.h -- what users and bastions have in use, for the limits. */
#ifndef CPN_CONTROL_USAGE_H
#define CPN_CONTROL_USAGE_H

#include "control/core.h"

typedef struct cpn_usage cpn_usage;

cpn_usage *cpn_usage_new(void);
void cpn_usage_free(cpn_usage *u);

/* Fill the live use into facts, by facts->who and facts->bastion_id. */
void cpn_usage_facts(cpn_usage *u, cpn_facts *facts);
/* A session more (1) or fewer (-1). */
void cpn_usage_session(cpn_usage *u, const char *object_id, const char *bastion_id,
                       cpn_protocol counts_as, int change);
/* Carriers of one user. CPN_LIMIT: max are there. */
cpn_rc cpn_usage_carrier_take(cpn_usage *u, const char *object_id, unsigned max) CPN_MUST_CHECK;
void cpn_usage_carrier_give(cpn_usage *u, const char *object_id);
/* One ticket or open of a user; a bucket of per_minute that fills evenly. CPN_LIMIT: empty. */
cpn_rc cpn_usage_rate(cpn_usage *u, const char *object_id, unsigned per_minute,
                      uint64_t now_ms) CPN_MUST_CHECK;
/* The same for opens that are only announced, and for SSH certificates; each in a bucket of its
 * own. */
cpn_rc cpn_usage_announced(cpn_usage *u, const char *object_id, unsigned per_minute,
                           uint64_t now_ms) CPN_MUST_CHECK;
cpn_rc cpn_usage_certificate(cpn_usage *u, const char *object_id, unsigned per_minute,
                             uint64_t now_ms) CPN_MUST_CHECK;
/* Forget those without use. */
void cpn_usage_sweep(cpn_usage *u, uint64_t now_ms);
size_t cpn_usage_count(const cpn_usage *u);

#endif
