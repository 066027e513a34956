/* Looking things up in a parsed head. */
#include "codec/chars.h"
#include "codec/httphead.h"

cpn_view
cpn_http_header(const cpn_http_head *head, const char *name)
{
    for (unsigned i = 0; i < head->fields; i++)
        if (cpn_view_is_nocase(head->field[i].name, name))
            return head->field[i].value;
    return (cpn_view){ NULL, 0 };
}

bool
cpn_http_list_next(cpn_view *list, cpn_view *item)
{
    if (list->n == 0)
        return false;
    cpn_view_cut(*list, ',', item, list);
    *item = cpn_trim(*item);
    return true;
}

bool
cpn_http_list_has(cpn_view list, const char *word)
{
    cpn_view item;

    while (cpn_http_list_next(&list, &item))
        if (cpn_view_is_nocase(item, word))
            return true;
    return false;
}

/* token68 of RFC 9110, which is what RFC 6750 calls b64token. */
static bool
is_token68(cpn_view v)
{
    while (v.n && v.p[v.n - 1] == '=')
        v.n--;
    for (size_t i = 0; i < v.n; i++)
        if (!cpn_is_alnum(v.p[i]) && !memchr("-._~+/", v.p[i], 6))
            return false;
    return v.n > 0;
}

cpn_view
cpn_http_bearer(const cpn_http_head *head)
{
    cpn_view v = cpn_http_header(head, "authorization"), scheme, token;

    if (v.p && cpn_view_cut(v, ' ', &scheme, &token) && cpn_view_is_nocase(scheme, "bearer") &&
        is_token68(token))
        return token;
    return (cpn_view){ NULL, 0 };
}
