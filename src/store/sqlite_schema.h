/* store/sqlite_schema.h -- a SQLite file made ready: settings, the lock, migrations. */
#ifndef CPN_STORE_SQLITE_SCHEMA_H
#define CPN_STORE_SQLITE_SCHEMA_H

#include <sqlite3.h>

#include "base/err.h"

/* Set the pragmas, take the lock for the life of the connection, bring the schema up to date.
 * CPN_E_CONF: in use by another process, not ours, or written by a newer program. */
cpn_rc cpn_sqlite_ready(sqlite3 *db, const char *where, cpn_err *err) CPN_MUST_CHECK;
/* What the last call on db failed with: CPN_LIMIT (disk full), CPN_E_CONF (locked, no database),
 * CPN_E_STORE. */
cpn_rc cpn_sqlite_fail(sqlite3 *db, const char *what, cpn_err *err);

#endif
