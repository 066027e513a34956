/* Makes a SQLite file ready: pragmas, the exclusive lock, numbered migrations. */
#include "store/sqlite_schema.h"

#include <errno.h>
#include <stdio.h>

#include "store_sqlite_sql.h"

#define OPEN_WAIT_MS 500 /* for a predecessor that is just ending */
#define SCHEMA_VERSION ((int)CPN_COUNT(sqlite_migrations))

cpn_rc
cpn_sqlite_fail(sqlite3 *db, const char *what, cpn_err *err)
{
    int code = sqlite3_errcode(db) & 0xff, os = sqlite3_system_errno(db);

    if (code == SQLITE_FULL || (code == SQLITE_IOERR && (os == ENOSPC || os == EDQUOT)))
        return cpn_fail(err, CPN_LIMIT, "%s: the disk is full", what);
    if (code == SQLITE_BUSY || code == SQLITE_LOCKED)
        return cpn_fail(err, CPN_E_CONF, "%s is in use by another process", what);
    if (code == SQLITE_NOTADB)
        return cpn_fail(err, CPN_E_CONF, "%s is not a SQLite database", what);
    return cpn_fail(err, CPN_E_STORE, "%s: %s (SQLite code %d)", what, sqlite3_errmsg(db),
                    sqlite3_extended_errcode(db));
}

/* One integer that a query gives; 0 when it gives none. */
static cpn_rc
query_int(sqlite3 *db, const char *where, const char *sql, int *out, cpn_err *err)
{
    sqlite3_stmt *st = NULL;
    int step = SQLITE_ERROR;

    *out = 0;
    if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK)
        step = sqlite3_step(st);
    if (step == SQLITE_ROW)
        *out = sqlite3_column_int(st, 0);
    if (step != SQLITE_ROW && step != SQLITE_DONE) {
        cpn_rc rc = cpn_sqlite_fail(db, where, err);
        sqlite3_finalize(st);
        return rc;
    }
    sqlite3_finalize(st);
    return CPN_OK;
}

static cpn_rc
exec(sqlite3 *db, const char *where, const char *sql, cpn_err *err)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? CPN_OK
                                                                : cpn_sqlite_fail(db, where, err);
}

static cpn_rc
migrate_one(sqlite3 *db, const char *where, int number, cpn_err *err)
{
    char mark[96];
    cpn_rc rc;

    snprintf(mark, sizeof(mark), "UPDATE schema_version SET version = %d; COMMIT", number);
    if ((rc = exec(db, where, "BEGIN IMMEDIATE", err)) == CPN_OK &&
        (rc = exec(db, where, sqlite_migrations[number - 1].sql, err)) == CPN_OK)
        rc = exec(db, where, mark, err);
    if (rc == CPN_OK)
        return rc;
    if (!sqlite3_get_autocommit(db))
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return cpn_ctx(err, rc, "migration %s", sqlite_migrations[number - 1].name);
}

static cpn_rc
migrate(sqlite3 *db, const char *where, cpn_err *err)
{
    int tables, ours, version;
    cpn_rc rc;

    if ((rc = query_int(db, where, "SELECT count(*) FROM sqlite_schema", &tables, err)) != CPN_OK ||
        (rc = query_int(db, where, "SELECT 1 FROM sqlite_schema WHERE name = 'schema_version'",
                        &ours, err)) != CPN_OK)
        return rc;
    if (tables > 0 && !ours)
        return cpn_fail(err, CPN_E_CONF, "%s is not a database of Caponier", where);
    if (!ours && (rc = exec(db, where,
                            "BEGIN IMMEDIATE; CREATE TABLE schema_version (version INTEGER) "
                            "STRICT; INSERT INTO schema_version VALUES (0); COMMIT",
                            err)) != CPN_OK)
        return rc;
    rc = query_int(db, where, "SELECT version FROM schema_version", &version, err);
    if (rc != CPN_OK)
        return rc;
    if (version > SCHEMA_VERSION || version < 0)
        return cpn_fail(err, CPN_E_CONF,
                        "%s was written by a newer version of Caponier (schema %d, this program "
                        "knows %d)",
                        where, version, SCHEMA_VERSION);
    while (version < SCHEMA_VERSION)
        if ((rc = migrate_one(db, where, ++version, err)) != CPN_OK)
            return rc;
    return CPN_OK;
}

static cpn_rc
configure(sqlite3 *db, const char *where, cpn_err *err)
{
    sqlite3_busy_timeout(db, OPEN_WAIT_MS);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    /* Exclusive before WAL: then the index of the log is in our memory, not in a shared file.
     * The empty write takes the lock now, for as long as the process lives. A log of 16 MiB is
     * copied back less often than SQLite's four, and holds each busy page once for more commits. */
    return exec(db, where,
                "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;"
                "PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;"
                "PRAGMA cell_size_check = ON; PRAGMA journal_size_limit = 67108864;"
                "PRAGMA wal_autocheckpoint = 4096;"
                "BEGIN EXCLUSIVE; COMMIT",
                err);
}

cpn_rc
cpn_sqlite_ready(sqlite3 *db, const char *where, cpn_err *err)
{
    cpn_rc rc = configure(db, where, err);

    return rc == CPN_OK ? migrate(db, where, err) : rc;
}
