/* Judges names character by character. */
#include "codec/letters.h"

#include "codec/chars.h"

/* The character at v.p[*at] of well-formed UTF-8; *at moves behind it. */
static unsigned
next_char(cpn_view v, size_t *at)
{
    uint8_t first = v.p[(*at)++];
    unsigned more = first < 0xc0 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    unsigned c = more == 0 ? first : first & (0x3fu >> more);

    for (; more > 0; more--)
        c = c << 6 | (v.p[(*at)++] & 0x3fu);
    return c;
}

static bool
in_table(const cpn_letter_range *table, unsigned n, unsigned c)
{
    unsigned low = 0, high = n;

    while (low < high) {
        unsigned mid = low + (high - low) / 2;

        if (c > table[mid].last)
            low = mid + 1;
        else if (c < table[mid].first)
            high = mid;
        else
            return true;
    }
    return false;
}

bool
cpn_is_letters(cpn_view v, const char *also, size_t max)
{
    bool letter = false; /* the one before: a mark may follow */
    size_t n = 0;

    if (v.n == 0 || !cpn_is_utf8(v))
        return false;
    for (size_t at = 0; at < v.n; n++) {
        unsigned c = next_char(v, &at);

        if (c < 0x80) {
            letter = cpn_is_alnum((uint8_t)c);
            if (!letter && (c == 0 || !strchr(also, (int)c)))
                return false;
        } else if (in_table(cpn_letters, cpn_letters_n, c)) {
            letter = true;
        } else if (letter && in_table(cpn_letter_marks, cpn_letter_marks_n, c)) {
            letter = false;
        } else {
            return false;
        }
    }
    return n <= max;
}
