/* client/why.h -- a refusal of the policy, line by line, with what would mend each. */
#ifndef CPN_CLIENT_WHY_H
#define CPN_CLIENT_WHY_H

#include <jansson.h>

#define CPN_WHY_ROWS_MAX 64

/* From the gateway's answer to can-i: rows of "reason" (its word), "message" (a sentence), "role"
 * and "scope" (empty where no role would help) and "mend" (what to do: a command or a sentence).
 * user: whom a role is to be assigned to; NULL: not known. New reference; empty when allowed. */
json_t *cpn_why_rows(const json_t *answer, const char *user);

#endif
