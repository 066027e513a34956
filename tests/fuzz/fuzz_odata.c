/* A hostile $filter: what is read, written again in its own form, reads as the same. */
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "codec/odata.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void
text_put(cpn_buf *out, const char *text)
{
    cpn_rc rc = cpn_buf_append(out, CPN_VIEW_LIT("'"));

    for (; *text && rc == CPN_OK; text++)
        rc = cpn_buf_append(out, *text == '\'' ? CPN_VIEW_LIT("''")
                                               : (cpn_view){ (const uint8_t *)text, 1 });
    if (rc != CPN_OK || cpn_buf_append(out, CPN_VIEW_LIT("'")) != CPN_OK)
        abort();
}

static void
clause_put(cpn_buf *out, const cpn_odata_clause *c)
{
    static const char *const behind[] = { [CPN_ODATA_EQ] = " eq ",
                                          [CPN_ODATA_CALL] = "(",
                                          [CPN_ODATA_OF] = "(",
                                          [CPN_ODATA_STARTS] = ",",
                                          [CPN_ODATA_ANY] = "/any(e:e eq " };
    char head[128];

    snprintf(head, sizeof(head), "%s%.*s%s", c->op == CPN_ODATA_STARTS ? "startswith(" : "",
             CPN_VIEW_ARG(c->name), behind[c->op]);
    if (cpn_buf_append(out, cpn_view_str(head)) != CPN_OK)
        abort();
    if (c->op != CPN_ODATA_CALL)
        text_put(out, c->text);
    if (c->op != CPN_ODATA_EQ && cpn_buf_append(out, CPN_VIEW_LIT(")")) != CPN_OK)
        abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static cpn_odata first, again;
    cpn_buf out = { .max = 16384 };

    if (cpn_odata_parse((cpn_view){ bytes, size }, &first, NULL) != CPN_OK)
        return 0;
    for (unsigned i = 0; i < first.n; i++) {
        if (i && cpn_buf_append(&out, CPN_VIEW_LIT(" and ")) != CPN_OK)
            abort();
        clause_put(&out, &first.clause[i]);
    }
    if (cpn_odata_parse(cpn_buf_view(&out), &again, NULL) != CPN_OK || again.n != first.n)
        abort();
    for (unsigned i = 0; i < first.n; i++)
        if (first.clause[i].op != again.clause[i].op ||
            !cpn_view_eq(first.clause[i].name, again.clause[i].name) ||
            strcmp(first.clause[i].text, again.clause[i].text) != 0)
            abort();
    cpn_buf_fini(&out);
    return 0;
}
