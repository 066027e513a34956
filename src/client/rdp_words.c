/* Puts the settings of a desktop session into FreeRDP's words. */
#include <stdarg.h>
#include <stdio.h>

#include "client/rdp.h"
#include "codec/chars.h"

/* ---- as a file ---- */

cpn_rc
cpn_rdp_file(const cpn_rdp *r, unsigned port, cpn_buf *out, cpn_err *err)
{
    char text[2048], wide[128] = "", user[CPN_RDP_USER_MAX + 32] = "";
    uint64_t w = 0, h = 0;
    cpn_view left, right;
    int n;

    if (r->size && cpn_view_cut(cpn_view_str(r->size), 'x', &left, &right) &&
        cpn_view_u64(left, 16384, &w) && cpn_view_u64(right, 16384, &h))
        snprintf(wide, sizeof(wide), "desktopwidth:i:%u\r\ndesktopheight:i:%u\r\n", (unsigned)w,
                 (unsigned)h);
    if (r->user)
        snprintf(user, sizeof(user), "username:s:%s\r\n", r->user);
    n = snprintf(text, sizeof(text),
                 "full address:s:127.0.0.1:%u\r\n"
                 "%s%s"
                 "gatewayusagemethod:i:0\r\n"
                 "prompt for credentials:i:1\r\n"
                 "authentication level:i:2\r\n"
                 "redirectclipboard:i:1\r\n"
                 "redirectprinters:i:0\r\n"
                 "drivestoredirect:s:\r\n"
                 "screen mode id:i:%d\r\n"
                 "use multimon:i:%d\r\n",
                 port, user, wide, r->full_screen ? 2 : 1, r->all_monitors);
    if (n < 0 || (size_t)n >= sizeof(text) ||
        cpn_buf_append(out, (cpn_view){ (uint8_t *)text, (size_t)n }) != CPN_OK)
        return cpn_fail(err, CPN_E_NOMEM, "the file");
    return CPN_OK;
}

/* ---- as arguments ---- */

typedef struct making {
    cpn_rdp_argv *out;
    size_t used;
    unsigned n;
} making;

static CPN_PRINTF(2, 3) bool add(making *m, const char *fmt, ...)
{
    char *at = m->out->text + m->used;
    size_t room = sizeof(m->out->text) - m->used;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(at, room, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= room || m->n + 1 >= CPN_RDP_ARGV_MAX)
        return false;
    m->used += (size_t)n + 1;
    m->out->at[m->n++] = at;
    m->out->at[m->n] = NULL;
    return true;
}

/* The machine's name as one word of FreeRDP's list, in which a comma would begin the next. */
static const char *
name_of(const cpn_target *t, char *out)
{
    char *p = out;

    for (const char *s = t->label; *s; s++)
        *p++ = cpn_is_alnum((uint8_t)*s) || *s == '.' || *s == '-' ? *s : '_';
    *p = '\0';
    return out;
}

cpn_rc
cpn_rdp_argv_make(cpn_rdp_argv *out, const cpn_rdp *r, const cpn_target *t, const char *program,
                  unsigned port, bool from_stdin, cpn_err *err)
{
    making m = { .out = out };
    char name[sizeof(t->label) + 1];
    bool ok = add(&m, "%s", program) && add(&m, "/v:127.0.0.1:%u", port) &&
              add(&m, "/cert:name:%s", name_of(t, name)) && add(&m, "/t:%s", t->label) &&
              add(&m, "+clipboard");

    if (ok && r->user)
        ok = add(&m, "/u:%s", r->user);
    if (ok && r->size)
        ok = add(&m, "/size:%s", r->size);
    if (ok && r->full_screen)
        ok = add(&m, "/f");
    if (ok && r->all_monitors)
        ok = add(&m, "/multimon");
    if (ok && from_stdin)
        ok = add(&m, "/from-stdin:force");
    for (unsigned i = 0; i < r->args && ok; i++)
        ok = add(&m, "%s", r->arg[i]);
    return ok ? CPN_OK : cpn_fail(err, CPN_INVALID, "the arguments are too long");
}
