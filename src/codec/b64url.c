/* base64 in both alphabets, one canonical spelling each. */
#include "codec/b64url.h"

#include "codec/chars.h"

static const char url_marks[2] = { '-', '_' };
static const char std_marks[2] = { '+', '/' };

static int
digit_value(uint8_t c, const char marks[2])
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (cpn_is_digit(c))
        return c - '0' + 52;
    return c == (uint8_t)marks[0] ? 62 : c == (uint8_t)marks[1] ? 63 : -1;
}

static char
value_digit(unsigned v, const char marks[2])
{
    if (v < 26)
        return (char)('A' + v);
    if (v < 52)
        return (char)('a' + v - 26);
    if (v < 62)
        return (char)('0' + v - 52);
    return marks[v - 62];
}

/* `in` without padding. */
static cpn_rc
decode(cpn_view in, const char marks[2], uint8_t *out, size_t size, size_t *n)
{
    size_t bytes = in.n / 4 * 3 + (in.n % 4 ? in.n % 4 - 1 : 0), at = 0;
    uint32_t bits = 0;
    unsigned held = 0;

    if (in.n % 4 == 1)
        return CPN_INVALID;
    if (bytes > size)
        return CPN_LIMIT;
    for (size_t i = 0; i < in.n; i++) {
        int v = digit_value(in.p[i], marks);
        if (v < 0)
            return CPN_INVALID;
        bits = bits << 6 | (uint32_t)v;
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[at++] = (uint8_t)(bits >> held);
        }
    }
    if (bits & ((1u << held) - 1))
        return CPN_INVALID;
    *n = at;
    return CPN_OK;
}

/* Returns the characters written, without padding. */
static size_t
encode(cpn_view in, const char marks[2], char *out)
{
    uint32_t bits = 0;
    unsigned held = 0;
    size_t at = 0;

    for (size_t i = 0; i < in.n; i++) {
        bits = bits << 8 | in.p[i];
        for (held += 8; held >= 6; held -= 6)
            out[at++] = value_digit(bits >> (held - 6) & 63, marks);
    }
    if (held)
        out[at++] = value_digit(bits << (6 - held) & 63, marks);
    return at;
}

cpn_rc
cpn_b64url_decode(cpn_view in, uint8_t *out, size_t size, size_t *n)
{
    *n = 0;
    return decode(in, url_marks, out, size, n);
}

cpn_rc
cpn_b64_decode(cpn_view in, uint8_t *out, size_t size, size_t *n)
{
    *n = 0;
    if (in.n % 4 != 0)
        return CPN_INVALID;
    for (int padding = 0; padding < 2 && in.n && in.p[in.n - 1] == '='; padding++)
        in.n--;
    return decode(in, std_marks, out, size, n);
}

bool
cpn_b64url_encode(cpn_view in, char *out, size_t size)
{
    if (size)
        out[0] = '\0';
    if (in.n > SIZE_MAX / 2 || size < CPN_B64_SIZE(in.n))
        return false;
    out[encode(in, url_marks, out)] = '\0';
    return true;
}

bool
cpn_b64_encode(cpn_view in, char *out, size_t size)
{
    size_t n;

    if (size)
        out[0] = '\0';
    if (in.n > SIZE_MAX / 2 || size < CPN_B64_SIZE(in.n))
        return false;
    for (n = encode(in, std_marks, out); n % 4; n++)
        out[n] = '=';
    out[n] = '\0';
    return true;
}
