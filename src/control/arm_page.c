/* Lists of the ARM subset, page by page. */
#include <stdio.h>
#include <strings.h>

#include "codec/b64url.h"
#include "codec/url.h"
#include "control/arm.h"
#include "control/reply.h"

static bool
token_read(cpn_arm_page *p, cpn_view token)
{
    size_t n = 0;

    if (cpn_b64url_decode(token, (uint8_t *)p->after, sizeof(p->after) - 1, &n) != CPN_OK || n == 0)
        return false;
    p->after[n] = '\0';
    return strlen(p->after) == n;
}

bool
cpn_arm_page_begin(cpn_arm_page *p, cpn_call *call)
{
    cpn_view token = cpn_form_get(&call->query, "$skiptoken");
    cpn_view top = cpn_form_get(&call->query, "$top");
    uint64_t n = CPN_ARM_PAGE_MAX;

    *p = (cpn_arm_page){ .call = call };
    if (token.p && !token_read(p, token)) {
        cpn_arm_error(call, 400, "InvalidSkipToken",
                      "The $skiptoken is not one that a nextLink of this gateway holds.");
        return false;
    }
    if (top.p && (!cpn_view_u64(top, CPN_ARM_PAGE_MAX, &n) || n == 0)) {
        cpn_arm_error(call, 400, "InvalidTopParameter", "$top must be a whole number from 1 to %d.",
                      CPN_ARM_PAGE_MAX);
        return false;
    }
    p->top = (size_t)n;
    p->value = json_array();
    return true;
}

cpn_arm_place
cpn_arm_page_at(cpn_arm_page *p, const char *key)
{
    if (p->after[0] && strcasecmp(key, p->after) <= 0)
        return CPN_ARM_EARLIER;
    if (json_array_size(p->value) < p->top)
        return CPN_ARM_HERE;
    p->more = true;
    return CPN_ARM_FULL;
}

void
cpn_arm_page_put(cpn_arm_page *p, const char *key, CPN_TAKES json_t *item)
{
    snprintf(p->last, sizeof(p->last), "%s", key);
    json_array_append_new(p->value, item);
}

/* The request once more, from behind the last item on. */
static cpn_rc
next_link(const cpn_arm_page *p, cpn_buf *out)
{
    const cpn_form *query = &p->call->query;
    char token[CPN_B64_SIZE(sizeof(p->last))];
    char sep = '?';
    cpn_rc rc = cpn_buf_printf(out, "https://%s%s", p->call->c->host, p->call->path);

    if (!cpn_b64url_encode(cpn_view_str(p->last), token, sizeof(token)))
        return CPN_LIMIT;
    for (unsigned i = 0; rc == CPN_OK && i < query->fields; i++) {
        const cpn_form_field *f = &query->field[i];

        if (cpn_view_is(f->name, "$skiptoken"))
            continue;
        if ((rc = cpn_buf_printf(out, "%c", sep)) == CPN_OK &&
            (rc = cpn_percent_put(out, f->name)) == CPN_OK &&
            (rc = cpn_buf_printf(out, "=")) == CPN_OK)
            rc = cpn_percent_put(out, f->value);
        sep = '&';
    }
    return rc == CPN_OK ? cpn_buf_printf(out, "%c%%24skiptoken=%s", sep, token) : rc;
}

json_t *
cpn_arm_page_body(const cpn_arm_page *p, const char *link_name)
{
    cpn_buf link = { .max = 8192 };
    json_t *body = json_pack("{s:o}", "value", p->value);

    if (p->more && next_link(p, &link) == CPN_OK)
        json_object_set_new(body, link_name, json_stringn((const char *)link.p, link.n));
    cpn_buf_fini(&link);
    return body;
}

void
cpn_arm_page_end(cpn_arm_page *p)
{
    cpn_reply_json(p->call, 200, cpn_arm_page_body(p, "nextLink"));
}
