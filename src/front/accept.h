/* front/accept.h -- connections from the listening sockets that all fronts share, in batches. */
#ifndef CPN_FRONT_ACCEPT_H
#define CPN_FRONT_ACCEPT_H

#include <stdbool.h>

#include "base/err.h"

/* Taken at most from one socket in a turn, so that relays get theirs. */
#define CPN_ACCEPT_BATCH 32
/* Without descriptors even for refusing: how long nothing is accepted. */
#define CPN_ACCEPT_REST_MS 100

typedef struct cpn_accept cpn_accept;
typedef struct cpn_front cpn_front;

/* Listening sockets, ours from now on; the admin ones are served at once, the others by accept_run.
 */
cpn_rc cpn_accept_new(cpn_accept **out, cpn_front *f, const int *listen, size_t listens,
                      const int *admin, size_t admins, cpn_err *err) CPN_MUST_CHECK;
/* Start, or stop and leave the queue to the other fronts. The admin sockets are not its concern. */
void cpn_accept_run(cpn_accept *a, bool run);
/* Freed when the loop has run once more. NULL is fine. */
void cpn_accept_free(cpn_accept *a);

#endif
