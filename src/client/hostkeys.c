/* Checks host keys that the gateway names and writes them for ssh to read. */
#include "client/hostkeys.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/contexts.h"
#include "client/privfile.h"
#include "codec/b64url.h"
#include "codec/digest.h"

#define NAME_MAX_BYTES 200

static const char *const types[] = { "ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256",
                                     "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521" };

/* Does the key's own text begin with its type (RFC 4253 6.6)? */
static bool
holds_type(cpn_view key, cpn_view type)
{
    uint32_t n;

    if (key.n < 4)
        return false;
    n = (uint32_t)key.p[0] << 24 | (uint32_t)key.p[1] << 16 | (uint32_t)key.p[2] << 8 | key.p[3];
    return n == type.n && key.n - 4 > n && memcmp(key.p + 4, type.p, n) == 0;
}

static bool
is_type(cpn_view type)
{
    for (size_t i = 0; i < CPN_COUNT(types); i++)
        if (cpn_view_is(type, types[i]))
            return true;
    return false;
}

static void
print_of(cpn_view key, char out[CPN_HOSTKEY_PRINT])
{
    uint8_t digest[CPN_SHA256_BYTES];
    char text[CPN_B64_SIZE(CPN_SHA256_BYTES)];

    cpn_sha256(key, digest);
    if (!cpn_b64_encode((cpn_view){ digest, sizeof(digest) }, text, sizeof(text)))
        text[0] = '\0';
    snprintf(out, CPN_HOSTKEY_PRINT, "SHA256:%.*s", (int)strcspn(text, "="), text);
}

cpn_rc
cpn_hostkey_parse(cpn_hostkey *out, cpn_view line, cpn_err *err)
{
    uint8_t key[CPN_B64_BYTES(CPN_HOSTKEY_MAX)];
    cpn_view rest, comment;
    size_t n = 0;

    *out = (cpn_hostkey){ 0 };
    if (line.n > CPN_HOSTKEY_MAX || !cpn_view_cut(line, ' ', &out->type, &rest) ||
        !is_type(out->type))
        return cpn_fail(err, CPN_INVALID, "not a host key such as \"ssh-ed25519 AAAA…\"");
    cpn_view_cut(rest, ' ', &out->base64, &comment);
    if (cpn_b64_decode(out->base64, key, sizeof(key), &n) != CPN_OK ||
        !holds_type((cpn_view){ key, n }, out->type))
        return cpn_fail(err, CPN_INVALID, "a host key that is broken");
    print_of((cpn_view){ key, n }, out->print);
    return CPN_OK;
}

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
