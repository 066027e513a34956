/* SHA-256 by libcrypto, and hexadecimal. */
#include "codec/digest.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>

#include "codec/chars.h"

static EVP_MD *sha256;

/* Once: by its name it would be looked for among the providers' algorithms at every use. */
static void
fetch(void)
{
    if (!(sha256 = EVP_MD_fetch(NULL, "SHA2-256", NULL)))
        abort();
}

void
cpn_sha256_pieces(const cpn_view *piece, size_t pieces, uint8_t out[CPN_SHA256_BYTES])
{
    static pthread_once_t fetched = PTHREAD_ONCE_INIT;
    EVP_MD_CTX *md = EVP_MD_CTX_new();

    pthread_once(&fetched, fetch);
    if (!md || EVP_DigestInit_ex(md, sha256, NULL) != 1)
        abort();
    for (size_t i = 0; i < pieces; i++)
        if (piece[i].n && EVP_DigestUpdate(md, piece[i].p, piece[i].n) != 1)
            abort();
    if (EVP_DigestFinal_ex(md, out, NULL) != 1)
        abort();
    EVP_MD_CTX_free(md);
}

void
cpn_sha256(cpn_view in, uint8_t out[CPN_SHA256_BYTES])
{
    cpn_sha256_pieces(&in, 1, out);
}

void
cpn_sha256_hex(cpn_view in, char out[CPN_SHA256_HEX_SIZE])
{
    uint8_t digest[CPN_SHA256_BYTES];

    cpn_sha256(in, digest);
    if (!cpn_hex_encode((cpn_view){ digest, sizeof(digest) }, out, CPN_SHA256_HEX_SIZE))
        abort();
}

bool
cpn_hex_encode(cpn_view in, char *out, size_t size)
{
    static const char digits[] = "0123456789abcdef";

    if (size)
        out[0] = '\0';
    if (size == 0 || in.n > (size - 1) / 2)
        return false;
    for (size_t i = 0; i < in.n; i++) {
        out[2 * i] = digits[in.p[i] >> 4];
        out[2 * i + 1] = digits[in.p[i] & 15];
    }
    out[2 * in.n] = '\0';
    return true;
}

bool
cpn_hex_decode(cpn_view in, uint8_t *out, size_t n)
{
    if (in.n % 2 != 0 || in.n / 2 != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        int high = cpn_hex_digit(in.p[2 * i]), low = cpn_hex_digit(in.p[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high * 16 + low);
    }
    return true;
}
