/* Makes text from elsewhere harmless for a terminal. */
#include "client/printable.h"

#include <stdarg.h>
#include <stdio.h>

#define SAY_MAX 4096

/* Decode one code point of well-formed UTF-8 (RFC 3629). Returns its length; 0: broken. */
static size_t
decode(cpn_view v, uint32_t *out)
{
    uint8_t c = v.p[0];
    size_t n = c < 0x80                ? 1
               : c >= 0xc2 && c < 0xe0 ? 2
               : (c & 0xf0) == 0xe0    ? 3
               : c >= 0xf0 && c < 0xf5 ? 4
                                       : 0;
    uint32_t u = n == 1 ? c : n == 2 ? c & 0x1f : n == 3 ? c & 0x0f : c & 0x07;

    if (n == 0 || n > v.n)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((v.p[i] & 0xc0) != 0x80)
            return 0;
        u = u << 6 | (v.p[i] & 0x3f);
    }
    if ((n == 3 && (u < 0x800 || (u >= 0xd800 && u < 0xe000))) ||
        (n == 4 && (u < 0x10000 || u > 0x10ffff)))
        return 0;
    *out = u;
    return n;
}

static bool
harmless(uint32_t u)
{
    static const struct {
        uint32_t from, to;
    } odd[] = {
        { 0x00, 0x1f },     { 0x7f, 0x9f },     { 0xad, 0xad },     { 0x61c, 0x61c },
        { 0x115f, 0x1160 }, { 0x180e, 0x180e }, { 0x200b, 0x200f }, { 0x2028, 0x202e },
        { 0x2060, 0x206f }, { 0xfeff, 0xfeff }, { 0xfff9, 0xfffb }, { 0xe0000, 0xe0fff },
    };

    for (size_t i = 0; i < CPN_COUNT(odd); i++)
        if (u >= odd[i].from && u <= odd[i].to)
            return false;
    return true;
}

cpn_rc
cpn_printable_put(cpn_buf *out, cpn_view in)
{
    uint32_t u = 0;
    cpn_rc rc = CPN_OK;

    while (in.n > 0 && rc == CPN_OK) {
        size_t n = decode(in, &u);

        if (n == 0)
            rc = cpn_buf_printf(out, "\\x%02x", in.p[0]);
        else if (!harmless(u))
            rc = cpn_buf_printf(out, u < 0x80 ? "\\x%02x" : "\\u%04x", u);
        else
            rc = cpn_buf_append(out, (cpn_view){ in.p, n });
        in = cpn_view_skip(in, n ? n : 1);
    }
    return rc;
}

size_t
cpn_printable_width(cpn_view v)
{
    size_t n = 0;

    for (size_t i = 0; i < v.n; i++)
        n += (v.p[i] & 0xc0) != 0x80;
    return n;
}

static void (*say_hook)(void *arg);
static void *say_hook_arg;

void
cpn_say_before(void (*hook)(void *arg), void *arg)
{
    say_hook = hook;
    say_hook_arg = arg;
}

/* A text too long for the buffer is cut: a message is better short than absent. */
static void
say(const char *front, const char *text)
{
    cpn_buf b = { .max = (size_t)SAY_MAX * 4 };
    cpn_rc rc = cpn_buf_append(&b, cpn_view_str(front));

    if (say_hook)
        say_hook(say_hook_arg);
    if (rc == CPN_OK)
        rc = cpn_printable_put(&b, cpn_view_str(text));
    if (rc == CPN_OK)
        rc = cpn_buf_append(&b, CPN_VIEW_LIT("\n"));
    fwrite(b.p, 1, b.n, stderr);
    cpn_buf_fini(&b);
}

void
cpn_say(const char *fmt, ...)
{
    char text[SAY_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    say("caponier: ", text);
}

void
cpn_say_plain(const char *fmt, ...)
{
    char text[SAY_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    say("", text);
}
