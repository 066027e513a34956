/* Random and named identifiers and their one spelling: 8-4-4-4-12 hexadecimal digits. */
#include "model/uuid.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "base/secret.h"

void
cpn_uuid_new(cpn_uuid *out)
{
    cpn_random(out->b, sizeof(out->b));
    out->b[6] = (uint8_t)((out->b[6] & 0x0f) | 0x40);
    out->b[8] = (uint8_t)((out->b[8] & 0x3f) | 0x80);
}

static void
named(cpn_uuid *out, const cpn_uuid *space, cpn_view name)
{
    uint8_t hash[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    if (!ctx || EVP_DigestInit_ex(ctx, EVP_sha1(), NULL) != 1 ||
        EVP_DigestUpdate(ctx, space->b, sizeof(space->b)) != 1)
        abort();
    for (size_t i = 0; i < name.n; i++) {
        uint8_t c = name.p[i];

        c = (uint8_t)(c >= 'A' && c <= 'Z' ? c + 32 : c);
        if (EVP_DigestUpdate(ctx, &c, 1) != 1)
            abort();
    }
    if (EVP_DigestFinal_ex(ctx, hash, NULL) != 1)
        abort();
    EVP_MD_CTX_free(ctx);
    memcpy(out->b, hash, sizeof(out->b));
    out->b[6] = (uint8_t)((out->b[6] & 0x0f) | 0x50);
    out->b[8] = (uint8_t)((out->b[8] & 0x3f) | 0x80);
}

void
cpn_uuid_of_name(cpn_uuid *out, cpn_view name)
{
    static const cpn_uuid nil;
    cpn_uuid space;

    named(&space, &nil, CPN_VIEW_LIT("caponier"));
    named(out, &space, name);
}

/* A dash stands in front of these bytes. */
static bool
dash_before(unsigned byte)
{
    return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

const char *
cpn_uuid_text(const cpn_uuid *u, char out[CPN_UUID_TEXT])
{
    static const char hex[] = "0123456789abcdef";
    char *p = out;

    for (unsigned i = 0; i < 16; i++) {
        if (dash_before(i))
            *p++ = '-';
        *p++ = hex[u->b[i] >> 4];
        *p++ = hex[u->b[i] & 15];
    }
    *p = '\0';
    return out;
}

static int
hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool
cpn_uuid_parse(cpn_uuid *out, cpn_view text)
{
    const uint8_t *p = text.p;
    cpn_uuid u;

    if (text.n != CPN_UUID_TEXT - 1)
        return false;
    for (unsigned i = 0; i < 16; i++) {
        if (dash_before(i) && *p++ != '-')
            return false;
        int high = hex_value(p[0]), low = hex_value(p[1]);
        if (high < 0 || low < 0)
            return false;
        u.b[i] = (uint8_t)(high << 4 | low);
        p += 2;
    }
    *out = u;
    return true;
}

bool
cpn_uuid_eq(const cpn_uuid *a, const cpn_uuid *b)
{
    return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}
