/* Names of HTTP proxies, CONNECT heads and the answers to them. */
#include "codec/proxy.h"

#include <stdio.h>

#include "codec/b64url.h"
#include "codec/chars.h"
#include "codec/httphead.h"

void
cpn_proxy_wipe(cpn_proxy *p)
{
    explicit_bzero(p, sizeof(*p));
}

/* ---- the name ---- */

/* "USER[:PASSWORD]" into what Basic sends. */
static cpn_rc
read_user(cpn_view text, cpn_proxy *out, cpn_err *err)
{
    char user[CPN_PROXY_USER_MAX], password[CPN_PROXY_USER_MAX];
    char both[2 * CPN_PROXY_USER_MAX];
    cpn_view head, tail = { 0 };
    cpn_rc rc;
    int n;

    cpn_view_cut(text, ':', &head, &tail);
    rc = cpn_percent_decode(head, user, sizeof(user));
    if (rc == CPN_OK)
        rc = cpn_percent_decode(tail, password, sizeof(password));
    n = rc == CPN_OK ? snprintf(both, sizeof(both), "%s:%s", user, password) : 0;
    if (rc == CPN_OK && (n > CPN_PROXY_USER_MAX || strchr(user, ':') ||
                         !cpn_b64_encode((cpn_view){ (uint8_t *)both, (size_t)n },
                                         (char *)out->basic.b, sizeof(out->basic.b))))
        rc = CPN_INVALID;
    if (rc == CPN_OK)
        out->basic.n = strlen((char *)out->basic.b);
    explicit_bzero(user, sizeof(user));
    explicit_bzero(password, sizeof(password));
    explicit_bzero(both, sizeof(both));
    if (rc != CPN_OK)
        return cpn_fail(err, CPN_INVALID,
                        "its user name or password is malformed or too long (write '@', ':', '/' "
                        "and '%%' as %%40, %%3A, %%2F and %%25)");
    return CPN_OK;
}

static cpn_rc
read_scheme(cpn_view *name, cpn_err *err)
{
    cpn_view scheme = *name;
    size_t n = 0;

    while (n + 2 < name->n && memcmp(name->p + n, "://", 3) != 0)
        n++;
    if (n + 2 >= name->n)
        return CPN_OK; /* none */
    scheme.n = n;
    if (cpn_view_is_nocase(scheme, "https"))
        return cpn_fail(err, CPN_INVALID,
                        "a proxy that is itself spoken to over TLS (https://) is not supported; "
                        "name its plain port with http://, or put the gateway's host into "
                        "NO_PROXY to go without a proxy");
    if (!cpn_view_is_nocase(scheme, "http"))
        return cpn_fail(err, CPN_INVALID,
                        "only an HTTP proxy (http://) is supported, no SOCKS; set https_proxy to "
                        "one, or put the gateway's host into NO_PROXY to go without a proxy");
    *name = cpn_view_skip(*name, n + 3);
    return CPN_OK;
}

/* Where the user information ends: at the last '@' before the path. */
static size_t
user_length(cpn_view name)
{
    size_t end = 0;

    while (end < name.n && name.p[end] != '/')
        end++;
    while (end > 0 && name.p[end - 1] != '@')
        end--;
    return end;
}

static cpn_rc
read_name(cpn_proxy *out, cpn_view name, cpn_err *err)
{
    char url[CPN_PROXY_NAME_MAX + 8];
    cpn_rc rc = read_scheme(&name, err);
    size_t user;

    if (rc != CPN_OK)
        return rc;
    user = user_length(name);
    if (user > 0 && (rc = read_user((cpn_view){ name.p, user - 1 }, out, err)) != CPN_OK)
        return rc;
    name = cpn_view_skip(name, user);
    snprintf(url, sizeof(url), "http://%.*s", CPN_VIEW_ARG(name));
    if (cpn_url_parse(cpn_view_str(url), &out->url, NULL) != CPN_OK)
        return cpn_fail(err, CPN_INVALID, "it is not of the form http://HOST:PORT");
    return CPN_OK;
}

cpn_rc
cpn_proxy_parse(cpn_proxy *out, cpn_view name, cpn_err *err)
{
    cpn_rc rc = CPN_OK;

    memset(out, 0, sizeof(*out));
    if (name.n > CPN_PROXY_NAME_MAX)
        return cpn_fail(err, CPN_INVALID, "it is longer than %d bytes", CPN_PROXY_NAME_MAX);
    for (size_t i = 0; i < name.n && rc == CPN_OK; i++)
        if (!cpn_is_print(name.p[i]))
            rc = cpn_fail(err, CPN_INVALID, "it holds a byte that is not printable ASCII");
    if (rc == CPN_OK)
        rc = read_name(out, name, err);
    if (rc != CPN_OK)
        cpn_proxy_wipe(out);
    return rc;
}

/* ---- the question ---- */

cpn_rc
cpn_proxy_connect_put(cpn_buf *out, const cpn_proxy *p, const char *host, uint16_t port)
{
    bool ipv6 = strchr(host, ':');
    char to[CPN_URL_HOSTPORT_SIZE];
    char basic[8 + sizeof(p->basic.b)];
    size_t start = out->n;
    cpn_rc rc;

    for (const char *c = host; *c; c++)
        if (!cpn_is_print((uint8_t)*c) || *c == ' ')
            return CPN_INVALID;
    if ((size_t)snprintf(to, sizeof(to), "%s%s%s:%u", ipv6 ? "[" : "", host, ipv6 ? "]" : "",
                         port) >= sizeof(to))
        return CPN_LIMIT;
    rc = cpn_buf_printf(out, "CONNECT %s HTTP/1.1\r\n", to);
    if (rc == CPN_OK)
        rc = cpn_http_line_put(out, "Host", cpn_view_str(to));
    if (rc == CPN_OK)
        rc = cpn_http_line_put(out, "User-Agent", CPN_VIEW_LIT("caponier/" CPN_VERSION));
    if (rc == CPN_OK && p->basic.n > 0) {
        snprintf(basic, sizeof(basic), "Basic %.*s", CPN_VIEW_ARG(cpn_secret_view(&p->basic)));
        rc = cpn_http_line_put(out, "Proxy-Authorization", cpn_view_str(basic));
        explicit_bzero(basic, sizeof(basic));
    }
    if (rc == CPN_OK)
        rc = cpn_buf_append(out, CPN_VIEW_LIT("\r\n"));
    if (rc != CPN_OK)
        out->n = start;
    return rc;
}

/* ---- the answer ---- */

static cpn_rc
not_http(cpn_err *err)
{
    return cpn_fail(err, CPN_E_PROTO, "its answer is not HTTP");
}

/* "HTTP/1.x NNN[ words]" */
static cpn_rc
read_status(cpn_view line, cpn_proxy_answer *out, cpn_err *err)
{
    const uint8_t *p = line.p;

    if (line.n < 12 || !cpn_view_starts(line, "HTTP/1.") || (p[7] != '0' && p[7] != '1') ||
        p[8] != ' ' || p[9] < '1' || p[9] > '5' || !cpn_is_digit(p[10]) || !cpn_is_digit(p[11]) ||
        (line.n > 12 && p[12] != ' '))
        return not_http(err);
    out->status = (p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0');
    if (out->status < 200)
        return cpn_fail(err, CPN_E_PROTO, "its answer has the status %d", out->status);
    return CPN_OK;
}

static cpn_rc
read_field(cpn_view line, cpn_proxy_answer *out, cpn_err *err)
{
    cpn_view name, value, scheme, rest;

    if (!cpn_view_cut(line, ':', &name, &value) || !cpn_is_token(name))
        return not_http(err);
    if (!cpn_view_is_nocase(name, "Proxy-Authenticate"))
        return CPN_OK;
    cpn_view_cut(cpn_trim(value), ' ', &scheme, &rest);
    if (cpn_view_is_nocase(scheme, "Basic"))
        out->asks_basic = true;
    else
        out->asks_others = true;
    return CPN_OK;
}

/* The line at `at`, without its CRLF; false: not complete. */
static bool
next_line(cpn_view in, size_t at, cpn_view *line)
{
    for (size_t i = at; i + 1 < in.n; i++)
        if (in.p[i] == '\r' && in.p[i + 1] == '\n') {
            *line = (cpn_view){ in.p + at, i - at };
            return true;
        }
    return false;
}

static cpn_rc
check_bytes(cpn_view line, cpn_err *err)
{
    for (size_t i = 0; i < line.n; i++)
        if (line.p[i] != '\t' && !cpn_is_print(line.p[i]) && line.p[i] < 0x80)
            return not_http(err);
    return CPN_OK;
}

/* What has come of an unfinished head is at least on the way to be one. */
static cpn_rc
wait_for_more(cpn_view in, cpn_err *err)
{
    static const char start[] = "HTTP/1.";

    if (memcmp(in.p, start, CPN_MIN(in.n, sizeof(start) - 1)) != 0)
        return not_http(err);
    if (in.n >= CPN_PROXY_HEAD_MAX)
        return cpn_fail(err, CPN_E_PROTO, "its answer is longer than %d bytes", CPN_PROXY_HEAD_MAX);
    return CPN_AGAIN;
}

cpn_rc
cpn_proxy_answer_parse(cpn_view in, cpn_proxy_answer *out, cpn_err *err)
{
    cpn_view head = { in.p, CPN_MIN(in.n, (size_t)CPN_PROXY_HEAD_MAX) };
    cpn_view line;
    size_t at = 0;
    cpn_rc rc = CPN_OK;

    memset(out, 0, sizeof(*out));
    if (in.n == 0)
        return CPN_AGAIN;
    while (rc == CPN_OK && next_line(head, at, &line)) {
        if (line.n == 0 && at > 0) {
            out->used = at + 2;
            return CPN_OK;
        }
        rc = check_bytes(line, err);
        if (rc == CPN_OK)
            rc = at == 0 ? read_status(line, out, err) : read_field(line, out, err);
        at += line.n + 2;
    }
    return rc == CPN_OK ? wait_for_more(in, err) : rc;
}
