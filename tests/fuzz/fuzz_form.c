/* A hostile form, URL or base64 text: what is read, written and read again is the same. */
#include <stdlib.h>

#include "codec/b64url.h"
#include "codec/form.h"
#include "codec/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void
form_round_trip(cpn_view in)
{
    cpn_buf body = { .max = 65536 }, again = { .max = 3 * 65536 };
    cpn_form form, back;

    if (cpn_buf_append(&body, in) != CPN_OK)
        return;
    if (cpn_form_parse(body.p, body.n, &form, NULL) == CPN_OK) {
        for (unsigned i = 0; i < form.fields; i++) {
            char name[512];
            if (cpn_view_copy(form.field[i].name, name, sizeof(name)) &&
                cpn_form_put(&again, name, form.field[i].value) != CPN_OK)
                abort();
        }
        if (cpn_form_parse(again.p, again.n, &back, NULL) != CPN_OK || back.fields > form.fields)
            abort();
        for (unsigned i = 0; back.fields == form.fields && i < form.fields; i++)
            if (!cpn_view_eq(form.field[i].name, back.field[i].name) ||
                !cpn_view_eq(form.field[i].value, back.field[i].value))
                abort();
    }
    cpn_buf_fini(&body);
    cpn_buf_fini(&again);
}

static void
base64_round_trip(cpn_view in, bool url)
{
    uint8_t plain[CPN_B64_BYTES(1024)];
    char text[CPN_B64_SIZE(sizeof(plain))];
    size_t n;

    if (in.n > 1024 || (url ? cpn_b64url_decode(in, plain, sizeof(plain), &n)
                            : cpn_b64_decode(in, plain, sizeof(plain), &n)) != CPN_OK)
        return;
    if (!(url ? cpn_b64url_encode((cpn_view){ plain, n }, text, sizeof(text))
              : cpn_b64_encode((cpn_view){ plain, n }, text, sizeof(text))) ||
        !cpn_view_is(in, text))
        abort();
}

static void
url_round_trip(cpn_view in)
{
    char origin[CPN_URL_ORIGIN_SIZE], again[CPN_URL_ORIGIN_SIZE];
    cpn_view rest;
    cpn_url u;

    if (cpn_url_split(in, &u, &rest, NULL) != CPN_OK)
        return;
    if (cpn_url_parse(cpn_view_str(cpn_url_origin(&u, origin)), &u, NULL) != CPN_OK ||
        strcmp(cpn_url_origin(&u, again), origin) != 0)
        abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    cpn_view in = { bytes, size };

    form_round_trip(in);
    base64_round_trip(in, true);
    base64_round_trip(in, false);
    url_round_trip(in);
    return 0;
}
