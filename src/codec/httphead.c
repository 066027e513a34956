/* The strict HTTP/1.1 head parser: first the bytes, then the first line, then the fields. */
#include "codec/httphead.h"

#include "codec/chars.h"
#include "codec/httptarget.h"

#define METHOD_MAX 16
#define BODY_MAX 1000000000000000ull

/* Fields that mean one thing; a second one would let two readers differ. */
static const char *const once[] = {
    "host",
    "content-length",
    "transfer-encoding",
    "content-type",
    "authorization",
    "connection",
    "upgrade",
    "expect",
    "origin",
    "dpop",
    "sec-websocket-key",
    "sec-websocket-version",
    "sec-websocket-protocol",
    "x-node-id",
    "caponier-client",
    "sec-websocket-accept",
    "location",
    "cookie",
};

static cpn_rc
refuse(cpn_http_head *out, int status, cpn_err *err, const char *sentence)
{
    out->http_status = status;
    return cpn_fail(err, CPN_INVALID, "http: %s", sentence);
}

/* NULL: byte i may stand where it does. */
static const char *
byte_fault(cpn_view in, size_t i)
{
    uint8_t c = in.p[i], before = i ? in.p[i - 1] : 0;

    if (before == '\r' && c != '\n')
        return "carriage return without line feed";
    if (c == '\n')
        return before == '\r' ? NULL : "line feed without carriage return";
    if (before == '\n' && (c == ' ' || c == '\t'))
        return "line begins with white space";
    if (c == '\r' || c == '\t' || cpn_is_print(c))
        return NULL;
    return "byte that is not printable ASCII";
}

/* Find the end of the head, looking at each byte of it. CPN_AGAIN: not there yet; *used is then
 * the end of the last complete line. */
static cpn_rc
head_scan(cpn_view in, const cpn_http_limits *limits, size_t *used, cpn_http_head *out,
          cpn_err *err)
{
    size_t n = CPN_MIN(in.n, limits->head);
    const char *fault;

    *used = 0;
    for (size_t i = 0; i < n; i++) {
        if ((fault = byte_fault(in, i)))
            return refuse(out, 400, err, fault);
        if (in.p[i] != '\n')
            continue;
        if (i == 1)
            return refuse(out, 400, err, "empty first line");
        if (i + 1 - *used == 2) {
            *used = i + 1;
            return CPN_OK;
        }
        *used = i + 1;
    }
    if (in.n < limits->head)
        return CPN_AGAIN;
    return *used == 0 ? refuse(out, 414, err, "first line too long")
                      : refuse(out, 431, err, "head too long");
}

/* Take a line off; head_scan has made sure that each ends in CRLF. */
static cpn_view
line_take(cpn_view *rest)
{
    cpn_view line;

    cpn_view_cut(*rest, '\r', &line, rest);
    *rest = cpn_view_skip(*rest, 1);
    return line;
}

static cpn_rc
version_check(cpn_view version, cpn_http_head *out, cpn_err *err)
{
    if (cpn_view_is(version, "HTTP/1.1"))
        return CPN_OK;
    if (version.n == 8 && cpn_view_starts(version, "HTTP/") && cpn_is_digit(version.p[5]) &&
        version.p[6] == '.' && cpn_is_digit(version.p[7]))
        return refuse(out, 505, err, "version is not HTTP/1.1");
    return refuse(out, 400, err, "malformed version");
}

static bool
method_valid(cpn_view method)
{
    for (size_t i = 0; i < method.n; i++)
        if (method.p[i] < 'A' || method.p[i] > 'Z')
            return false;
    return method.n > 0 && method.n <= METHOD_MAX;
}

static cpn_rc
request_line(cpn_view line, cpn_http_head *out, cpn_err *err)
{
    cpn_view rest, version;
    cpn_rc rc;

    cpn_view_cut(line, ' ', &out->method, &rest);
    cpn_view_cut(rest, ' ', &out->target, &version);
    if (!method_valid(out->method))
        return refuse(out, 400, err, "malformed method");
    if ((rc = version_check(version, out, err)) != CPN_OK)
        return rc;
    if ((rc = cpn_http_target_check(out->target, &out->path, &out->query, err)) != CPN_OK) {
        out->http_status = 400;
        return cpn_ctx(err, rc, "http");
    }
    return CPN_OK;
}

static cpn_rc
status_line(cpn_view line, cpn_http_head *out, cpn_err *err)
{
    cpn_view version, status, rest;
    uint64_t n;
    cpn_rc rc;

    cpn_view_cut(line, ' ', &version, &rest);
    if ((rc = version_check(version, out, err)) != CPN_OK)
        return rc;
    if (!cpn_view_cut(rest, ' ', &status, &out->reason) || !cpn_view_u64(status, 599, &n) ||
        n < 100)
        return refuse(out, 400, err, "malformed status");
    out->status = (int)n;
    return CPN_OK;
}

static cpn_rc
field_add(cpn_view line, unsigned max, uint32_t *seen, cpn_http_head *out, cpn_err *err)
{
    cpn_http_field f;

    _Static_assert(CPN_COUNT(once) <= 32, "seen has 32 bits");
    if (out->fields >= CPN_MIN(max, CPN_HTTP_FIELDS_MAX))
        return refuse(out, 431, err, "too many fields");
    if (!cpn_view_cut(line, ':', &f.name, &f.value))
        return refuse(out, 400, err, "field without a colon");
    if (!cpn_is_token(f.name))
        return refuse(out, 400, err, "malformed field name");
    f.value = cpn_trim(f.value);
    for (size_t i = 0; i < CPN_COUNT(once); i++) {
        if (!cpn_view_is_nocase(f.name, once[i]))
            continue;
        if (*seen & 1u << i)
            return refuse(out, 400, err, "field given twice");
        *seen |= 1u << i;
    }
    out->field[out->fields++] = f;
    return CPN_OK;
}

static cpn_rc
length_read(cpn_http_head *out, cpn_err *err)
{
    cpn_view v = cpn_http_header(out, "content-length");

    if (!v.p)
        return CPN_OK;
    out->has_length = true;
    if (cpn_view_u64(v, BODY_MAX, &out->body))
        return CPN_OK;
    for (size_t i = 0; i < v.n; i++)
        if (!cpn_is_digit(v.p[i]))
            return refuse(out, 400, err, "malformed Content-Length");
    if (v.n == 0 || v.p[0] == '0')
        return refuse(out, 400, err, "malformed Content-Length");
    return refuse(out, 413, err, "Content-Length over 10^15");
}

/* What the fields say about the message around them. */
static cpn_rc
framing_read(cpn_http_head *out, cpn_err *err)
{
    cpn_rc rc;

    if (cpn_http_header(out, "transfer-encoding").p)
        return cpn_http_header(out, "content-length").p
                   ? refuse(out, 400, err, "Transfer-Encoding beside Content-Length")
                   : refuse(out, 411, err, "Transfer-Encoding");
    if ((rc = length_read(out, err)) != CPN_OK)
        return rc;
    out->close = cpn_http_list_has(cpn_http_header(out, "connection"), "close");
    return CPN_OK;
}

typedef cpn_rc first_line(cpn_view line, cpn_http_head *out, cpn_err *err);

static cpn_rc
head_parse(cpn_view in, const cpn_http_limits *limits, first_line *first, cpn_http_head *out,
           cpn_err *err)
{
    static const cpn_http_limits defaults = { CPN_HTTP_HEAD_MAX, CPN_HTTP_FIELDS_MAX };
    cpn_view rest, line;
    uint32_t seen = 0;
    size_t used;
    cpn_rc rc, whole;

    limits = limits ? limits : &defaults;
    memset(out, 0, sizeof(*out));
    whole = head_scan(in, limits, &used, out, err);
    if (whole != CPN_OK && (whole != CPN_AGAIN || used == 0))
        return whole;
    rest = (cpn_view){ in.p, used };
    if ((rc = first(line_take(&rest), out, err)) != CPN_OK || whole == CPN_AGAIN)
        return rc != CPN_OK ? rc : CPN_AGAIN;
    while ((line = line_take(&rest)).n)
        if ((rc = field_add(line, limits->fields, &seen, out, err)) != CPN_OK)
            return rc;
    out->used = used;
    return framing_read(out, err);
}

cpn_rc
cpn_http_request_parse(cpn_view in, const cpn_http_limits *limits, cpn_http_head *out, cpn_err *err)
{
    cpn_rc rc = head_parse(in, limits, request_line, out, err);

    if (rc == CPN_AGAIN && (in.n && (in.p[0] < 'A' || in.p[0] > 'Z')))
        return refuse(out, 400, err, "malformed method");
    if (rc != CPN_OK)
        return rc;
    out->host = cpn_http_header(out, "host");
    if (!out->host.p)
        return refuse(out, 400, err, "no Host");
    if (!cpn_http_host_valid(out->host))
        return refuse(out, 400, err, "malformed Host");
    return CPN_OK;
}

cpn_rc
cpn_http_response_parse(cpn_view in, const cpn_http_limits *limits, cpn_http_head *out,
                        cpn_err *err)
{
    cpn_rc rc = head_parse(in, limits, status_line, out, err);

    if (rc == CPN_AGAIN && in.n && in.p[0] != 'H')
        rc = refuse(out, 400, err, "not a response");
    if (rc == CPN_INVALID) {
        out->http_status = 0;
        if (err)
            err->rc = CPN_E_PROTO;
        return CPN_E_PROTO;
    }
    out->until_close = rc == CPN_OK && !out->has_length && out->status >= 200 &&
                       out->status != 204 && out->status != 304;
    return rc;
}
