/* client/userfile.h -- a text file of the user's that other programs read too (~/.ssh/config): read
 * whole, replaced by one rename. A symbolic link is followed and stays. */
#ifndef CPN_CLIENT_USERFILE_H
#define CPN_CLIENT_USERFILE_H

#include "base/buf.h"

/* Append the file; nothing when there is none. CPN_E_CONF: not a regular file, of another owner,
 * writable by others, or longer than out->max. */
cpn_rc cpn_userfile_read(const char *path, cpn_buf *out, cpn_err *err) CPN_MUST_CHECK;
/* Replace it, keeping its mode; or make it (0600) and its folder (0700). */
cpn_rc cpn_userfile_write(const char *path, cpn_view content, cpn_err *err) CPN_MUST_CHECK;

#endif
