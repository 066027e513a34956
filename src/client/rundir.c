/* Finds the folders for tunnels' sockets and their log. */
#include "client/rundir.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/privfile.h"

#define PATH_SIZE 4096

/* One that su or a careless script left from another user is not ours to complain about. */
bool
cpn_rundir_fit(const char *path)
{
    struct stat st;

    return path && path[0] == '/' && lstat(path, &st) == 0 && S_ISDIR(st.st_mode) &&
           st.st_uid == geteuid() && (st.st_mode & 077) == 0;
}

static cpn_rc
name(cpn_rundir which, char out[PATH_SIZE], cpn_err *err)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    int n = -1;

    if (which == CPN_RUNDIR_RUNTIME && !cpn_rundir_fit(runtime))
        return CPN_NOT_FOUND;
    if (which == CPN_RUNDIR_RUNTIME)
        n = snprintf(out, PATH_SIZE, "%s/caponier", runtime);
    else if (state && state[0] == '/')
        n = snprintf(out, PATH_SIZE, "%s/caponier", state);
    else if (home && home[0] == '/')
        n = snprintf(out, PATH_SIZE, "%s/.local/state/caponier", home);
    if (n < 0 || n >= PATH_SIZE)
        return cpn_fail(err, CPN_NOT_FOUND,
                        "neither XDG_STATE_HOME nor HOME names a folder for tunnels");
    return CPN_OK;
}

cpn_rc
cpn_rundir_open(cpn_rundir which, bool make, int *out, cpn_err *err)
{
    char path[PATH_SIZE];
    cpn_rc rc = name(which, path, err);

    return rc == CPN_OK ? cpn_privdir_open(path, make, out, err) : rc;
}
