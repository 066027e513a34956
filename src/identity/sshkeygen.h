/* identity/sshkeygen.h -- one run of ssh-keygen(1), and the folder it works in. Blocking: for
 * worker threads and start-up. Internal to src/identity. */
#ifndef CPN_IDENTITY_SSHKEYGEN_H
#define CPN_IDENTITY_SSHKEYGEN_H

#include <limits.h>

#include "base/buf.h"

#define CPN_KEYGEN_PROGRAM "/usr/bin/ssh-keygen"
#define CPN_KEYGEN_PATH (PATH_MAX / 2)

/* A new folder under parent (made if absent, 0700), removed with all that lies in it by _wipe. */
typedef struct cpn_keygen_dir {
    char path[CPN_KEYGEN_PATH];
} cpn_keygen_dir;

cpn_rc cpn_keygen_dir_make(cpn_keygen_dir *out, const char *parent, cpn_err *err) CPN_MUST_CHECK;
/* A new file in it. */
cpn_rc cpn_keygen_dir_put(const cpn_keygen_dir *d, const char *name, cpn_view content,
                          cpn_err *err) CPN_MUST_CHECK;
/* Also the cleanup function; one that was never made is fine. */
void cpn_keygen_dir_wipe(cpn_keygen_dir *d);
/* Everything under parent, two levels deep: what a process left that was killed. */
void cpn_keygen_dirs_sweep(const char *parent);

/* Run program with argv (argv[0] included, NULL at the end): standard input and output from and to
 * /dev/null, errors to a file in dir, SSH_AUTH_SOCK=agent unless that is "". Killed after
 * timeout_ms. CPN_OK: it ended with 0. CPN_NOT_FOUND: there is no such program. CPN_UNAVAILABLE: it
 * took too long. CPN_E_SYS: err has its first line on standard error. */
cpn_rc cpn_keygen_run(const char *program, const char *const argv[], const cpn_keygen_dir *dir,
                      const char *agent, unsigned timeout_ms, cpn_err *err) CPN_MUST_CHECK;

#endif
