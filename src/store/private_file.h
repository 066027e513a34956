/* store/private_file.h -- files that only this user may read: the database, signing keys, one-time
 * codes. Every check is made on the opened file, links are never followed. */
#ifndef CPN_STORE_PRIVATE_FILE_H
#define CPN_STORE_PRIVATE_FILE_H

#include "base/buf.h"

/* The directory that holds path is ours (or root's) and no group or other user may write to it.
 * CPN_E_CONF with a sentence that says how to mend it. */
cpn_rc cpn_private_dir_check(const char *path, cpn_err *err) CPN_MUST_CHECK;
/* A regular file with one name, owned by us, nothing for group and others. create: make it, empty
 * and 0600, if absent. CPN_NOT_FOUND: absent. CPN_E_CONF, CPN_E_SYS: a sentence. */
cpn_rc cpn_private_file_check(const char *path, bool create, cpn_err *err) CPN_MUST_CHECK;
/* Check and read all of it. CPN_NOT_FOUND; CPN_LIMIT: more than out->max. */
cpn_rc cpn_private_file_read(const char *path, cpn_buf *out, cpn_err *err) CPN_MUST_CHECK;
/* Replace it whole, durably, with mode 0600: either the old or the new content is ever there. */
cpn_rc cpn_private_file_write(const char *path, cpn_view content, cpn_err *err) CPN_MUST_CHECK;

#endif
