/* Checks host keys that the gateway names and writes them for ssh to read. */
#include "client/hostkeys.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/contexts.h"
#include "client/privfile.h"

#define NAME_MAX_BYTES 200

bool
cpn_hostkeys_name_ok(const char *name)
{
    static const char all[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:.-_";
    size_t n = strlen(name);

    return n > 0 && n <= NAME_MAX_BYTES && strspn(name, all) == n && !strchr(".-_", name[0]);
}

cpn_rc
cpn_hostkeys_lines(cpn_buf *out, const char *name, const json_t *keys, cpn_err *err)
{
    const json_t *line;
    size_t i;

    if (!cpn_hostkeys_name_ok(name))
        return cpn_fail(err, CPN_INVALID, "'%s' cannot be a host's name", name);
    if (json_array_size(keys) > CPN_HOSTKEYS_MAX)
        return cpn_fail(err, CPN_INVALID, "more than %d host keys", CPN_HOSTKEYS_MAX);
    json_array_foreach((json_t *)keys, i, line)
    {
        cpn_hostkey k;
        cpn_rc rc = cpn_hostkey_parse(
            &k, (cpn_view){ (const uint8_t *)json_string_value(line), json_string_length(line) },
            err);

        if (rc != CPN_OK)
            return cpn_ctx(err, rc, "the gateway's host key %zu of %s", i + 1, name);
        if (cpn_buf_printf(out, "%s,[%s]:* %.*s %.*s\n", name, name, CPN_VIEW_ARG(k.type),
                           CPN_VIEW_ARG(k.base64)) != CPN_OK)
            return cpn_fail(err, CPN_INVALID, "the host keys of %s are too long", name);
    }
    return CPN_OK;
}

static cpn_rc
keep_in(int dirfd, const char *file, cpn_view lines, cpn_err *err)
{
    cpn_buf now = { .max = CPN_KNOWN_HOSTS_BYTES };
    cpn_rc rc = cpn_privfile_read(dirfd, file, &now, err);
    bool same = rc == CPN_OK && cpn_view_eq(cpn_buf_view(&now), lines);

    cpn_buf_fini(&now);
    if (same || (rc != CPN_OK && rc != CPN_NOT_FOUND))
        return rc;
    if (err)
        err->msg[0] = '\0';
    rc = cpn_privdir_lock(dirfd, err);
    return rc == CPN_OK ? cpn_privfile_write(dirfd, file, lines, err) : rc;
}

cpn_rc
cpn_hostkeys_keep(const char *folder, const char *file, const char *name, const json_t *keys,
                  cpn_err *err)
{
    cpn_buf lines = { .max = CPN_KNOWN_HOSTS_BYTES };
    CPN_AUTO(cpn_auto_fd) int dirfd = -1;
    cpn_rc rc = cpn_hostkeys_lines(&lines, name, keys, err);

    if (rc == CPN_OK && !cpn_hostkeys_name_ok(file))
        rc = cpn_fail(err, CPN_INVALID, "'%s' cannot be a file of host keys", file);
    if (rc == CPN_OK)
        rc = cpn_privdir_open(folder, true, &dirfd, err);
    if (rc == CPN_OK)
        rc = keep_in(dirfd, file, cpn_buf_view(&lines), err);
    cpn_buf_fini(&lines);
    return rc;
}

cpn_rc
cpn_hostkeys_folder(char *out, size_t size, cpn_err *err)
{
    return cpn_contexts_folder(CPN_KNOWN_HOSTS_DIR, out, size, err);
}
