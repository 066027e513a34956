/* client/slurp.h -- a whole file that the user names, bounded. */
#ifndef CPN_CLIENT_SLURP_H
#define CPN_CLIENT_SLURP_H

#include "base/buf.h"

/* Append the file ("-": standard input), at most out->max bytes. CPN_NOT_FOUND: no such file.
 * CPN_INVALID: it cannot be read, or is too long. */
cpn_rc cpn_slurp(const char *path, cpn_buf *out, cpn_err *err) CPN_MUST_CHECK;

#endif
