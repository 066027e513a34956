/* Result codes and the sentences that travel with them. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    cpn_rc rc;
    const char *word;
    int http;
    int exit_code;
} codes[] = {
    { CPN_OK, "ok", 200, 0 },
#define CPN_RC(name, value, word, http, exit_code) { CPN_##name, word, http, exit_code },
#include "base/rc.def"
#undef CPN_RC
};

cpn_rc
cpn_fail(cpn_err *err, cpn_rc rc, const char *fmt, ...)
{
    va_list ap;

    if (!err)
        return rc;
    err->rc = rc;
    va_start(ap, fmt);
    vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
    va_end(ap);
    return rc;
}

cpn_rc
cpn_ctx(cpn_err *err, cpn_rc rc, const char *fmt, ...)
{
    char inner[sizeof(err->msg)];
    va_list ap;
    size_t n;

    if (!err)
        return rc;
    memcpy(inner, err->msg, sizeof(inner));
    va_start(ap, fmt);
    vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
    va_end(ap);
    n = strlen(err->msg);
    snprintf(err->msg + n, sizeof(err->msg) - n, ": %s", inner);
    err->rc = rc;
    return rc;
}

#define FIELD_OF(field, fallback)                                                                  \
    for (size_t i = 0; i < CPN_COUNT(codes); i++)                                                  \
        if (codes[i].rc == rc)                                                                     \
            return codes[i].field;                                                                 \
    return fallback

const char *
cpn_rc_word(cpn_rc rc)
{
    FIELD_OF(word, "internal");
}

int
cpn_rc_http(cpn_rc rc)
{
    FIELD_OF(http, 500);
}

int
cpn_rc_exit(cpn_rc rc)
{
    FIELD_OF(exit_code, 1);
}
