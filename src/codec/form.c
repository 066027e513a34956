/* Forms: decoded in place, each name once. */
#include "codec/form.h"

#include "codec/chars.h"
#include "codec/url.h"

/* Decode n bytes at p in place; *n becomes what is left of them. */
static cpn_rc
decode_in_place(uint8_t *p, size_t *n, cpn_err *err)
{
    cpn_view in = { p, *n };
    size_t to = 0;

    for (size_t i = 0; i < in.n; i++) {
        int c = in.p[i];
        if (!cpn_is_print((uint8_t)c) || c == ' ')
            return cpn_fail(err, CPN_INVALID, "form: byte 0x%02x is not encoded", (unsigned)c);
        if (c == '%') {
            if ((c = cpn_percent_at(in, i)) <= 0)
                return cpn_fail(err, CPN_INVALID, "form: bad percent or NUL");
            i += 2;
        } else if (c == '+') {
            c = ' ';
        }
        p[to++] = (uint8_t)c;
    }
    *n = to;
    return CPN_OK;
}

static cpn_rc
field_add(uint8_t *p, size_t n, cpn_form *out, cpn_err *err)
{
    uint8_t *equals = n ? memchr(p, '=', n) : NULL;
    size_t name_n, value_n;
    cpn_form_field f;
    cpn_rc rc;

    if (out->fields >= CPN_FORM_MAX)
        return cpn_fail(err, CPN_INVALID, "form: over %d fields", CPN_FORM_MAX);
    if (!equals || equals == p)
        return cpn_fail(err, CPN_INVALID, "form: field without a name or '='");
    name_n = (size_t)(equals - p);
    value_n = n - name_n - 1;
    if ((rc = decode_in_place(p, &name_n, err)) != CPN_OK ||
        (rc = decode_in_place(equals + 1, &value_n, err)) != CPN_OK)
        return rc;
    f = (cpn_form_field){ { p, name_n }, { equals + 1, value_n } };
    for (unsigned i = 0; i < out->fields; i++)
        if (cpn_view_eq(out->field[i].name, f.name))
            return cpn_fail(err, CPN_INVALID, "form: a field is given twice");
    out->field[out->fields++] = f;
    return CPN_OK;
}

cpn_rc
cpn_form_parse(uint8_t *body, size_t n, cpn_form *out, cpn_err *err)
{
    size_t left = n;
    uint8_t *end;
    cpn_rc rc;

    out->fields = 0;
    if (n == 0)
        return CPN_OK;
    for (;;) {
        end = left ? memchr(body, '&', left) : NULL;
        if ((rc = field_add(body, end ? (size_t)(end - body) : left, out, err)) != CPN_OK) {
            out->fields = 0;
            return rc;
        }
        if (!end)
            return CPN_OK;
        left -= (size_t)(end + 1 - body);
        body = end + 1;
    }
}

cpn_view
cpn_form_get(const cpn_form *f, const char *name)
{
    for (unsigned i = 0; i < f->fields; i++)
        if (cpn_view_is(f->field[i].name, name))
            return f->field[i].value;
    return (cpn_view){ NULL, 0 };
}

cpn_rc
cpn_form_put(cpn_buf *out, const char *name, cpn_view value)
{
    size_t before = out->n;
    cpn_rc rc = before ? cpn_buf_append(out, CPN_VIEW_LIT("&")) : CPN_OK;

    if (rc == CPN_OK && (rc = cpn_percent_put(out, cpn_view_str(name))) == CPN_OK &&
        (rc = cpn_buf_append(out, CPN_VIEW_LIT("="))) == CPN_OK)
        rc = cpn_percent_put(out, value);
    if (rc != CPN_OK)
        out->n = before;
    return rc;
}
