/* Finds programs by name. */
#include "client/program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/view.h"

#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"

static bool
runs(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

cpn_rc
cpn_program_find(const char *name, char out[CPN_PROGRAM_PATH])
{
    const char *path = getenv("PATH");
    cpn_view rest = cpn_view_str(path && path[0] ? path : DEFAULT_PATH), folder;
    bool more = true;

    if (name[0] == '/')
        return cpn_view_copy(cpn_view_str(name), out, CPN_PROGRAM_PATH) && runs(out)
                   ? CPN_OK
                   : CPN_NOT_FOUND;
    while (name[0] && !strchr(name, '/') && more) {
        more = cpn_view_cut(rest, ':', &folder, &rest);
        if (folder.n > 0 && folder.n < CPN_PROGRAM_PATH && folder.p[0] == '/' &&
            snprintf(out, CPN_PROGRAM_PATH, "%.*s/%s", CPN_VIEW_ARG(folder), name) <
                CPN_PROGRAM_PATH &&
            runs(out))
            return CPN_OK;
    }
    out[0] = '\0';
    return CPN_NOT_FOUND;
}
