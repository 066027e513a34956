/* Classes of bytes, hexadecimal digits and well-formed UTF-8. */
#include "codec/chars.h"

static const char token_marks[] = "!#$%&'*+-.^_`|~";

bool
cpn_is_token(cpn_view v)
{
    for (size_t i = 0; i < v.n; i++)
        if (!cpn_is_alnum(v.p[i]) && !memchr(token_marks, v.p[i], sizeof(token_marks) - 1))
            return false;
    return v.n > 0;
}

cpn_view
cpn_trim(cpn_view v)
{
    while (v.n && (v.p[0] == ' ' || v.p[0] == '\t'))
        v = cpn_view_skip(v, 1);
    while (v.n && (v.p[v.n - 1] == ' ' || v.p[v.n - 1] == '\t'))
        v.n--;
    return v;
}

int
cpn_hex_digit(uint8_t c)
{
    if (cpn_is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int
cpn_percent_at(cpn_view v, size_t at)
{
    int high, low;

    if (at >= v.n || v.n - at < 3 || v.p[at] != '%')
        return -1;
    high = cpn_hex_digit(v.p[at + 1]);
    low = cpn_hex_digit(v.p[at + 2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* Length of the sequence that starts with `first`, 0 when none may, and the range that its second
 * byte must lie in (RFC 3629 section 4), which is where overlong forms and surrogates show. */
static size_t
utf8_sequence(uint8_t first, uint8_t *low, uint8_t *high)
{
    *low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    *high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (first < 0x80)
        return 1;
    if (first >= 0xc2 && first <= 0xdf)
        return 2;
    if (first >= 0xe0 && first <= 0xef)
        return 3;
    return first >= 0xf0 && first <= 0xf4 ? 4 : 0;
}

bool
cpn_is_utf8(cpn_view v)
{
    uint8_t low, high;
    size_t n;

    for (size_t i = 0; i < v.n; i += n) {
        n = utf8_sequence(v.p[i], &low, &high);
        if (n == 0 || n > v.n - i)
            return false;
        if (n > 1 && (v.p[i + 1] < low || v.p[i + 1] > high))
            return false;
        for (size_t k = 2; k < n; k++)
            if ((v.p[i + k] & 0xc0) != 0x80)
                return false;
    }
    return true;
}

bool
cpn_is_plain(cpn_view v)
{
    for (size_t i = 0; i < v.n; i++)
        if (v.p[i] < 0x20 || v.p[i] == 0x7f)
            return false;
    return cpn_is_utf8(v);
}

size_t
cpn_utf8_cut(const char *text, size_t max)
{
    size_t n = strnlen(text, max + 1);

    if (n <= max)
        return n;
    for (n = max; n && ((uint8_t)text[n] & 0xc0) == 0x80;)
        n--;
    return n;
}

void
cpn_utf8_mend(char *text)
{
    if (cpn_is_utf8(cpn_view_str(text)))
        return;
    for (; *text; text++)
        if ((uint8_t)*text >= 0x80)
            *text = '?';
}

bool
cpn_words_have(const char *words, const char *word)
{
    cpn_view rest = cpn_view_str(words), head;
    bool more = true;

    while (more) {
        more = cpn_view_cut(rest, ' ', &head, &rest);
        if (cpn_view_is(head, word))
            return true;
    }
    return false;
}
