/* Escapes text for HTML, so that no value can become markup or disguise itself. */
#include "codec/html.h"

#include "codec/chars.h"

/* Bytes of the character that starts at p, as its first byte has it; 0: it starts none. */
static size_t
char_bytes(cpn_view v, size_t at)
{
    uint8_t c = v.p[at];
    size_t n = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;

    if (n == 0 || n > v.n - at || !cpn_is_utf8((cpn_view){ v.p + at, n }))
        return 0;
    return n;
}

static uint32_t
code_point(const uint8_t *p, size_t n)
{
    static const uint8_t mask[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
    uint32_t c = p[0] & mask[n];

    for (size_t i = 1; i < n; i++)
        c = c << 6 | (p[i] & 0x3f);
    return c;
}

/* Could it make the page read otherwise than it is? */
static bool
disguises(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x61c || (c >= 0x200b && c <= 0x200f) ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

static const char *
reference(uint8_t c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

cpn_rc
cpn_html_put(cpn_buf *out, cpn_view text)
{
    size_t before = out->n, n;
    cpn_rc rc = CPN_OK;

    for (size_t i = 0; i < text.n && rc == CPN_OK; i += CPN_MAX(n, (size_t)1)) {
        const char *as = reference(text.p[i]);

        n = char_bytes(text, i);
        if (n == 0 || disguises(code_point(text.p + i, n)))
            as = "\xef\xbf\xbd";
        rc = cpn_buf_append(out, as ? cpn_view_str(as) : (cpn_view){ text.p + i, n });
    }
    if (rc != CPN_OK)
        out->n = before;
    return rc;
}
