/* A hostile authorization request: redirect URIs, user codes, and whatever a page shows. */
#include <stdlib.h>

#include "codec/chars.h"
#include "codec/html.h"
#include "codec/loopback.h"
#include "identity/usercode.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* Whatever is taken names this machine, in one spelling, and holds nothing that ends a header, a
 * policy or an attribute. */
static void
redirect(cpn_view in)
{
    static const char *const hosts[] = { "http://127.0.0.1", "http://localhost", "http://[::1]" };
    char origin[CPN_URL_ORIGIN_SIZE];
    bool home = false;

    if (cpn_loopback_check(in, origin, NULL) != CPN_OK)
        return;
    for (size_t i = 0; i < CPN_COUNT(hosts); i++) {
        size_t n = strlen(hosts[i]);

        home |= cpn_view_starts(in, hosts[i]) && cpn_view_starts(cpn_view_str(origin), hosts[i]) &&
                (in.n == n || in.p[n] == ':' || in.p[n] == '/');
    }
    for (size_t i = 0; i < in.n; i++)
        if (!cpn_is_print(in.p[i]) || memchr(" \"'<>;?#@\\,", in.p[i], 11))
            abort();
    if (!home)
        abort();
}

static void
user_code(cpn_view in)
{
    char code[CPN_USER_CODE], again[CPN_USER_CODE];

    if (cpn_user_code_read(in, code) &&
        (strlen(code) != CPN_USER_CODE - 1 || !cpn_user_code_read(cpn_view_str(code), again) ||
         strcmp(code, again) != 0))
        abort();
}

static void
shown(cpn_view in)
{
    cpn_buf out = { .max = 1 << 20 };

    if (cpn_html_put(&out, in) == CPN_OK) {
        if (!cpn_is_utf8(cpn_buf_view(&out)))
            abort();
        for (size_t i = 0; i < out.n; i++)
            if (out.p[i] < 0x20 || memchr("<>\"'", out.p[i], 4))
                abort();
    }
    cpn_buf_fini(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    cpn_view in = { bytes, size };

    redirect(in);
    user_code(in);
    shown(in);
    return 0;
}
