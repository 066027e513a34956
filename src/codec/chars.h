/* codec/chars.h -- classes of bytes that several text formats share. ASCII only, no locale. */
#ifndef CPN_CODEC_CHARS_H
#define CPN_CODEC_CHARS_H

#include "base/view.h"

static inline bool
cpn_is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static inline bool
cpn_is_alnum(uint8_t c)
{
    return cpn_is_digit(c) || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* Visible characters and space. */
static inline bool
cpn_is_print(uint8_t c)
{
    return c >= 0x20 && c < 0x7f;
}

/* tchar of RFC 9110. */
bool cpn_is_token(cpn_view v);
/* Without the spaces and tabs at both ends. */
cpn_view cpn_trim(cpn_view v);
/* 0..15, or -1. */
int cpn_hex_digit(uint8_t c);
/* The value of the two digits at v.p[at + 1], behind a '%' at v.p[at]; -1: bad. */
int cpn_percent_at(cpn_view v, size_t at);
/* Well-formed UTF-8: no overlong form, surrogate, or code point over 10FFFF. */
bool cpn_is_utf8(cpn_view v);
/* Text that may be shown and compared: UTF-8 without control characters. Empty is plain. */
bool cpn_is_plain(cpn_view v);
/* Is word one of those that single spaces part, as in an OAuth scope (RFC 6749 3.3)? */
bool cpn_words_have(const char *words, const char *word);
/* The length of well-formed UTF-8 text when cut to at most max bytes without parting a character.
 */
size_t cpn_utf8_cut(const char *text, size_t max);
/* Text that quotes what somebody sent may have been cut through a character: when it is not UTF-8,
 * every byte that is not ASCII becomes '?'. */
void cpn_utf8_mend(char *text);

#endif
