/* Writing the heads of our own answers. */
#include "codec/chars.h"
#include "codec/httphead.h"

static const struct {
    int status;
    const char *phrase;
} phrases[] = {
    { 100, "Continue" },
    { 101, "Switching Protocols" },
    { 200, "OK" },
    { 201, "Created" },
    { 202, "Accepted" },
    { 204, "No Content" },
    { 302, "Found" },
    { 303, "See Other" },
    { 304, "Not Modified" },
    { 400, "Bad Request" },
    { 401, "Unauthorized" },
    { 403, "Forbidden" },
    { 404, "Not Found" },
    { 405, "Method Not Allowed" },
    { 406, "Not Acceptable" },
    { 408, "Request Timeout" },
    { 409, "Conflict" },
    { 410, "Gone" },
    { 411, "Length Required" },
    { 412, "Precondition Failed" },
    { 413, "Content Too Large" },
    { 414, "URI Too Long" },
    { 415, "Unsupported Media Type" },
    { 417, "Expectation Failed" },
    { 421, "Misdirected Request" },
    { 422, "Unprocessable Content" },
    { 426, "Upgrade Required" },
    { 429, "Too Many Requests" },
    { 431, "Request Header Fields Too Large" },
    { 500, "Internal Server Error" },
    { 501, "Not Implemented" },
    { 502, "Bad Gateway" },
    { 503, "Service Unavailable" },
    { 504, "Gateway Timeout" },
    { 505, "HTTP Version Not Supported" },
};

const char *
cpn_http_phrase(int status)
{
    for (size_t i = 0; i < CPN_COUNT(phrases); i++)
        if (phrases[i].status == status)
            return phrases[i].phrase;
    return "Status";
}

static bool
more_has(cpn_view more, const char *name)
{
    cpn_view line, key, value;

    while (more.n) {
        cpn_view_cut(more, '\n', &line, &more);
        cpn_view_cut(line, ':', &key, &value);
        if (cpn_view_is_nocase(key, name))
            return true;
    }
    return false;
}

static cpn_rc
answer_put(cpn_buf *out, const cpn_http_answer *a)
{
    bool no_body = a->status < 200 || a->status == 204 || a->status == 304;
    cpn_rc rc;

    if ((rc = cpn_buf_printf(out, "HTTP/1.1 %d %s\r\n", a->status, cpn_http_phrase(a->status))))
        return rc;
    if (a->content_type &&
        (rc = cpn_http_line_put(out, "Content-Type", cpn_view_str(a->content_type))) != CPN_OK)
        return rc;
    if (!no_body &&
        (rc = cpn_buf_printf(out, "Content-Length: %llu\r\n", (unsigned long long)a->body)))
        return rc;
    if (!more_has(a->more, "cache-control") &&
        (rc = cpn_buf_append(out, CPN_VIEW_LIT("Cache-Control: no-store\r\n"))) != CPN_OK)
        return rc;
    if (a->close && (rc = cpn_buf_append(out, CPN_VIEW_LIT("Connection: close\r\n"))) != CPN_OK)
        return rc;
    if ((rc = cpn_buf_append(out, a->more)) != CPN_OK)
        return rc;
    return cpn_buf_append(out, CPN_VIEW_LIT("\r\n"));
}

cpn_rc
cpn_http_answer_put(cpn_buf *out, const cpn_http_answer *a)
{
    size_t before = out->n;
    cpn_rc rc = answer_put(out, a);

    if (rc != CPN_OK)
        out->n = before;
    return rc;
}

cpn_rc
cpn_http_line_put(cpn_buf *out, const char *name, cpn_view value)
{
    cpn_view n = cpn_view_str(name);
    uint8_t *at;
    cpn_rc rc;

    if (!cpn_is_token(n))
        return CPN_INVALID;
    for (size_t i = 0; i < value.n; i++)
        if (!cpn_is_print(value.p[i]) && value.p[i] != '\t')
            return CPN_INVALID;
    if (value.n > out->max || n.n > out->max)
        return CPN_LIMIT;
    if ((rc = cpn_buf_reserve(out, n.n + value.n + 4, &at)) != CPN_OK)
        return rc;
    memcpy(at, n.p, n.n);
    memcpy(at + n.n, ": ", 2);
    if (value.n)
        memcpy(at + n.n + 2, value.p, value.n);
    memcpy(at + n.n + 2 + value.n, "\r\n", 2);
    out->n += n.n + value.n + 4;
    return CPN_OK;
}

cpn_rc
cpn_http_bearer_put(cpn_buf *out, cpn_view token)
{
    CPN_AUTO(cpn_buf_fini) cpn_buf value = { .max = CPN_HTTP_HEAD_MAX };
    cpn_rc rc;

    if (token.n == 0)
        return CPN_OK;
    if ((rc = cpn_buf_append(&value, CPN_VIEW_LIT("Bearer "))) != CPN_OK ||
        (rc = cpn_buf_append(&value, token)) != CPN_OK)
        return rc;
    return cpn_http_line_put(out, "Authorization", cpn_buf_view(&value));
}
