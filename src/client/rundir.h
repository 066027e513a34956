/* client/rundir.h -- the folders in which the tunnels of this user are found.
 *
 * A tunnel's socket lies in $XDG_RUNTIME_DIR/caponier when that variable names a folder of this
 * user alone (0700, no symbolic link), else in the state folder, ${XDG_STATE_HOME:-~/.local/state}/
 * caponier; whoever looks for tunnels looks in both. Both are made 0700 and refused when they are
 * symbolic links, of another owner, or open to others (client/privfile.h). */
#ifndef CPN_CLIENT_RUNDIR_H
#define CPN_CLIENT_RUNDIR_H

#include <stdbool.h>

#include "base/err.h"

typedef enum cpn_rundir { CPN_RUNDIR_RUNTIME, CPN_RUNDIR_STATE, CPN_RUNDIR_N } cpn_rundir;

/* An absolute path of a folder of this user alone, which nobody else can rename or fill; NULL is
 * none. */
bool cpn_rundir_fit(const char *path);
/* CPN_NOT_FOUND: the environment names none that is fit, or it is not there and make is not set.
 * CPN_E_CONF: one that is not to be trusted. */
cpn_rc cpn_rundir_open(cpn_rundir which, bool make, int *out, cpn_err *err) CPN_MUST_CHECK;

#endif
