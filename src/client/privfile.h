/* client/privfile.h -- files with secrets: of this user alone, read and replaced safely. */
#ifndef CPN_CLIENT_PRIVFILE_H
#define CPN_CLIENT_PRIVFILE_H

#include "base/buf.h"

/* Open the folder, making it (0700) and its parents when make is set. CPN_NOT_FOUND: it is not
 * there. CPN_E_CONF: a symlink, of another owner, or open to others. */
cpn_rc cpn_privdir_open(const char *path, bool make, int *out, cpn_err *err) CPN_MUST_CHECK;
/* Wait for the folder's lock, at most 5 s; it ends when dirfd is closed. CPN_UNAVAILABLE. */
cpn_rc cpn_privdir_lock(int dirfd, cpn_err *err) CPN_MUST_CHECK;
/* The same for a lock of its own, a file of that name in the folder, that is held while the gateway
 * is asked: waits at most 20 s. *out ends it when closed. */
cpn_rc cpn_privfile_lock(int dirfd, const char *name, int *out, cpn_err *err) CPN_MUST_CHECK;
/* Read a whole file of at most out->max bytes. CPN_NOT_FOUND; CPN_E_CONF: a symlink, not a regular
 * file, of another owner, open to others, too long. */
cpn_rc cpn_privfile_read(int dirfd, const char *name, cpn_buf *out, cpn_err *err) CPN_MUST_CHECK;
/* Replace (or make, 0600) a file by one rename; it is on disk when this returns. */
cpn_rc cpn_privfile_write(int dirfd, const char *name, cpn_view content,
                          cpn_err *err) CPN_MUST_CHECK;

#endif
