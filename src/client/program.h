/* client/program.h -- other people's programs, found where an administrator or the user put them.
 */
#ifndef CPN_CLIENT_PROGRAM_H
#define CPN_CLIENT_PROGRAM_H

#include "base/err.h"

#define CPN_PROGRAM_PATH 4096

/* The executable of that name in the absolute folders of PATH, never in the current one; a name
 * that is an absolute path stands for itself. CPN_NOT_FOUND, without a sentence. */
cpn_rc cpn_program_find(const char *name, char out[CPN_PROGRAM_PATH]) CPN_MUST_CHECK;

#endif
