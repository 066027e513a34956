/* The one-time code with which the first administrator enrols. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "identity/identity_core.h"
#include "store/private_file.h"

#define WRONG_MAX 10

/* Crockford's base 32: no I, L, O, U. */
static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

static void
file_path(const cpn_identity *i, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/enrolment-code", i->state_dir);
}

static void
make_code(cpn_enrolment *e)
{
    uint8_t bytes[CPN_ENROLMENT_SYMBOLS];

    cpn_random(bytes, sizeof(bytes));
    for (size_t n = 0; n < sizeof(bytes); n++)
        e->code[n] = alphabet[bytes[n] % 32];
    explicit_bzero(bytes, sizeof(bytes));
    e->wrong = 0;
    e->open = true;
}

static cpn_rc
announce_tty(const cpn_identity *i, const char *code, cpn_err *err)
{
    char text[256];
    int n = snprintf(text, sizeof(text),
                     "\nEnrolment code of the first administrator: %s\n"
                     "Use it with: caponier login --enrol\n\n",
                     code);
    bool written = write(i->enrolment.tty_fd, text, (size_t)n) == n;

    explicit_bzero(text, sizeof(text));
    return written ? CPN_OK
                   : cpn_fail(err, CPN_E_SYS, "telling the enrolment code to the terminal");
}

static cpn_rc
announce(const cpn_identity *i, cpn_err *err)
{
    const cpn_enrolment *e = &i->enrolment;
    char path[PATH_MAX], code[24];
    cpn_rc rc;

    snprintf(code, sizeof(code), "%.5s-%.5s-%.5s", e->code, e->code + 5, e->code + 10);
    if (e->tty_fd >= 0 && isatty(e->tty_fd)) {
        rc = announce_tty(i, code, err);
    } else {
        file_path(i, path);
        code[17] = '\n';
        rc = cpn_private_file_write(path, (cpn_view){ (uint8_t *)code, 18 }, err);
        if (rc == CPN_OK)
            cpn_log(CPN_LOG_INFO, "enrolment.open", CPN_KV("file", path));
    }
    explicit_bzero(code, sizeof(code));
    return rc;
}

cpn_rc
cpn_enrolment_begin(cpn_identity *i, int tty_fd, cpn_err *err)
{
    i->enrolment.tty_fd = tty_fd;
    make_code(&i->enrolment);
    return announce(i, err);
}

/* What a person typed: any case, dashes and spaces anywhere, O for 0, I and L for 1. False: it
 * cannot be a code. */
static bool
read_typed(cpn_view typed, char out[CPN_ENROLMENT_SYMBOLS])
{
    size_t n = 0;

    for (size_t at = 0; at < typed.n; at++) {
        uint8_t c = typed.p[at];

        if (c == '-' || c == ' ')
            continue;
        if (n == CPN_ENROLMENT_SYMBOLS)
            return false;
        if (c >= 'a' && c <= 'z')
            c = (uint8_t)(c - 'a' + 'A');
        out[n++] = (char)(c == 'O' ? '0' : c == 'I' || c == 'L' ? '1' : c);
    }
    return n == CPN_ENROLMENT_SYMBOLS;
}

bool
cpn_enrolment_check(cpn_identity *i, cpn_view code)
{
    cpn_enrolment *e = &i->enrolment;
    char typed[CPN_ENROLMENT_SYMBOLS] = { 0 };
    bool shaped = code.n <= 64 && read_typed(code, typed);
    bool equal = cpn_ct_eq((cpn_view){ (uint8_t *)typed, sizeof(typed) },
                           (cpn_view){ (uint8_t *)e->code, sizeof(e->code) });
    cpn_err err = { 0 };

    explicit_bzero(typed, sizeof(typed));
    if (!e->open)
        return false;
    if (shaped && equal)
        return true;
    if (++e->wrong < WRONG_MAX)
        return false;
    make_code(e);
    if (announce(i, &err) != CPN_OK)
        cpn_log(CPN_LOG_ERROR, "enrolment.failed", CPN_KE(&err));
    return false;
}

void
cpn_enrolment_end(cpn_identity *i)
{
    char path[PATH_MAX];

    explicit_bzero(i->enrolment.code, sizeof(i->enrolment.code));
    i->enrolment.open = false;
    file_path(i, path);
    if (unlink(path) < 0 && errno != ENOENT)
        cpn_log(CPN_LOG_WARN, "enrolment.file", CPN_KV("file", path));
}
