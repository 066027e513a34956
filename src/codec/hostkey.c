/* Reads a machine's public SSH host key. */
#include "codec/hostkey.h"

#include <stdio.h>
#include <string.h>

#include "codec/b64url.h"
#include "codec/digest.h"

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

static cpn_rc
refuse(cpn_hostkey *out, cpn_err *err, const char *why)
{
    *out = (cpn_hostkey){ 0 };
    return cpn_fail(err, CPN_INVALID, "%s", why);
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
        return refuse(out, err, "not a host key such as \"ssh-ed25519 AAAA…\"");
    cpn_view_cut(rest, ' ', &out->base64, &comment);
    if (cpn_b64_decode(out->base64, key, sizeof(key), &n) != CPN_OK ||
        !holds_type((cpn_view){ key, n }, out->type))
        return refuse(out, err, "a host key that is broken");
    print_of((cpn_view){ key, n }, out->print);
    return CPN_OK;
}
