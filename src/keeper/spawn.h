/* keeper/spawn.h -- starting a role: a fresh exec of our own executable. */
#ifndef CPN_KEEPER_SPAWN_H
#define CPN_KEEPER_SPAWN_H

#include <sys/types.h>

#include "base/err.h"

#define CPN_SPAWN_FDS_MAX 40
#define CPN_SPAWN_FIRST_FD 3

/* A descriptor of the running executable, so that an upgrade on disk never mixes versions. */
cpn_rc cpn_spawn_self(int *exe, cpn_err *err) CPN_MUST_CHECK;
/* Run exe with argv (NULL at its end). fds[i] becomes descriptor 3 + i there; nothing else but
 * 0, 1, 2 is inherited. The child dies with us. */
cpn_rc cpn_spawn(pid_t *out, int exe, const char *const argv[], const int *fds, size_t n,
                 cpn_err *err) CPN_MUST_CHECK;

#endif
