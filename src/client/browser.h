/* client/browser.h -- the user's web browser: the first program of BROWSER (names or absolute paths
 * between colons) that is there, else xdg-open where there is a display. No shell is involved. */
#ifndef CPN_CLIENT_BROWSER_H
#define CPN_CLIENT_BROWSER_H

#include <sys/types.h>

#include "client/program.h"

/* CPN_NOT_FOUND with a sentence: none can be opened here. */
cpn_rc cpn_browser_find(char out[CPN_PROGRAM_PATH], cpn_err *err) CPN_MUST_CHECK;
/* Start it, in a session of its own and silent; it may outlive us. The caller reaps *pid. */
cpn_rc cpn_browser_start(const char *program, const char *url, pid_t *pid,
                         cpn_err *err) CPN_MUST_CHECK;

#endif
