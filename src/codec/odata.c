/* Reads the $filter of list calls, clause by clause, always forward. */
#include "codec/odata.h"

#include "base/mem.h"
#include "codec/chars.h"

#define NAME_MAX_BYTES 64

/* Takes a literal in front; false: nothing taken. */
static bool
take(cpn_view *in, const char *literal)
{
    if (!cpn_view_starts(*in, literal))
        return false;
    *in = cpn_view_skip(*in, strlen(literal));
    return true;
}

static bool
take_name(cpn_view *in, cpn_view *name)
{
    size_t n = 0;

    while (n < in->n && cpn_is_alnum(in->p[n]))
        n++;
    *name = (cpn_view){ in->p, n };
    *in = cpn_view_skip(*in, n);
    return n > 0 && n <= NAME_MAX_BYTES;
}

static bool
take_text(cpn_view *in, char out[CPN_ODATA_TEXT_SIZE])
{
    size_t n = 0;

    if (!take(in, "'"))
        return false;
    while (in->n && (in->p[0] != '\'' || cpn_view_starts(*in, "''"))) {
        if (in->p[0] == '\0' || n == CPN_ODATA_TEXT_SIZE - 1)
            return false;
        out[n++] = (char)in->p[0];
        *in = cpn_view_skip(*in, in->p[0] == '\'' ? 2 : 1);
    }
    out[n] = '\0';
    return take(in, "'");
}

/* "c:c eq 'x')" behind "field/any(" */
static bool
take_any(cpn_view *in, char out[CPN_ODATA_TEXT_SIZE])
{
    cpn_view each, again;

    return take_name(in, &each) && take(in, ":") && take_name(in, &again) &&
           cpn_view_eq(each, again) && take(in, " eq ") && take_text(in, out) && take(in, ")");
}

static bool
take_clause(cpn_view *in, cpn_odata_clause *c)
{
    if (!take_name(in, &c->name))
        return false;
    if (take(in, "()")) {
        c->op = CPN_ODATA_CALL;
        return true;
    }
    if (take(in, "/any(")) {
        c->op = CPN_ODATA_ANY;
        return take_any(in, c->text);
    }
    if (take(in, " eq ")) {
        c->op = CPN_ODATA_EQ;
        return take_text(in, c->text);
    }
    if (!take(in, "("))
        return false;
    c->op = CPN_ODATA_OF;
    if (cpn_view_is_nocase(c->name, "startswith")) {
        c->op = CPN_ODATA_STARTS;
        if (!take_name(in, &c->name) || !take(in, ","))
            return false;
        (void)take(in, " ");
    }
    return take_text(in, c->text) && take(in, ")");
}

cpn_rc
cpn_odata_parse(cpn_view in, cpn_odata *out, cpn_err *err)
{
    cpn_view left = in;

    out->n = 0;
    while (left.n) {
        cpn_odata_clause *c = &out->clause[out->n];

        if (out->n == CPN_ODATA_MAX || (out->n && !take(&left, " and ")))
            break;
        *c = (cpn_odata_clause){ 0 };
        if (!take_clause(&left, c))
            break;
        out->n++;
        if (left.n == 0)
            return CPN_OK;
    }
    if (in.n == 0)
        return CPN_OK;
    out->n = 0;
    return cpn_fail(err, CPN_INVALID, "$filter is not understood from its byte %zu on",
                    in.n - left.n + 1);
}
