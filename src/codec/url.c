/* Origins of http and https URLs, and percent-encoding. */
#include "codec/url.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "codec/chars.h"

static cpn_rc
host6_read(cpn_view *rest, cpn_url *out, cpn_err *err)
{
    struct in6_addr address;
    cpn_view text, behind;

    if (!cpn_view_cut(cpn_view_skip(*rest, 1), ']', &text, &behind) ||
        !cpn_view_copy(text, out->host, sizeof(out->host)) ||
        inet_pton(AF_INET6, out->host, &address) != 1 ||
        !inet_ntop(AF_INET6, &address, out->host, sizeof(out->host)))
        return cpn_fail(err, CPN_INVALID, "url: malformed IPv6 address");
    out->ipv6 = true;
    *rest = behind;
    return CPN_OK;
}

static cpn_rc
host_read(cpn_view *rest, cpn_url *out, cpn_err *err)
{
    size_t n = 0;

    if (rest->n && rest->p[0] == '[')
        return host6_read(rest, out, err);
    while (n < rest->n && (cpn_is_alnum(rest->p[n]) || memchr("-._", rest->p[n], 3)))
        n++;
    if (n == 0 || rest->p[0] == '.' || rest->p[0] == '-')
        return cpn_fail(err, CPN_INVALID, "url: no host, or a malformed one");
    if (!cpn_view_copy((cpn_view){ rest->p, n }, out->host, sizeof(out->host)))
        return cpn_fail(err, CPN_INVALID, "url: host over %d bytes", CPN_URL_HOST_SIZE - 1);
    for (char *c = out->host; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    *rest = cpn_view_skip(*rest, n);
    return CPN_OK;
}

static cpn_rc
port_read(cpn_view *rest, cpn_url *out, cpn_err *err)
{
    uint64_t port;
    size_t n = 1;

    out->port = out->tls ? 443 : 80;
    if (rest->n == 0 || rest->p[0] != ':')
        return CPN_OK;
    while (n < rest->n && cpn_is_digit(rest->p[n]))
        n++;
    if (!cpn_view_u64((cpn_view){ rest->p + 1, n - 1 }, 65535, &port) || port == 0)
        return cpn_fail(err, CPN_INVALID, "url: port is not 1 to 65535");
    out->port = (uint16_t)port;
    *rest = cpn_view_skip(*rest, n);
    return CPN_OK;
}

cpn_rc
cpn_url_split(cpn_view in, cpn_url *out, cpn_view *rest, cpn_err *err)
{
    cpn_rc rc;

    memset(out, 0, sizeof(*out));
    out->tls = cpn_view_starts_nocase(in, "https://");
    if (!out->tls && !cpn_view_starts_nocase(in, "http://"))
        return cpn_fail(err, CPN_INVALID, "url: does not start with https:// or http://");
    *rest = cpn_view_skip(in, out->tls ? 8 : 7);
    if ((rc = host_read(rest, out, err)) != CPN_OK || (rc = port_read(rest, out, err)) != CPN_OK)
        return rc;
    if (rest->n && rest->p[0] != '/')
        return cpn_fail(err, CPN_INVALID, "url: '%c' behind the host",
                        cpn_is_print(rest->p[0]) ? rest->p[0] : '?');
    for (size_t i = 0; i < rest->n; i++)
        if (!cpn_is_print(rest->p[i]) || rest->p[i] == ' ' || rest->p[i] == '#')
            return cpn_fail(err, CPN_INVALID, "url: holds a fragment or a byte to be encoded");
    return CPN_OK;
}

cpn_rc
cpn_url_parse(cpn_view in, cpn_url *out, cpn_err *err)
{
    cpn_view rest;
    cpn_rc rc;

    if ((rc = cpn_url_split(in, out, &rest, err)) != CPN_OK)
        return rc;
    if (rest.n && !cpn_view_is(rest, "/"))
        return cpn_fail(err, CPN_INVALID, "url: only scheme, host and port are wanted");
    return CPN_OK;
}

const char *
cpn_url_hostport(const cpn_url *u, char out[CPN_URL_HOSTPORT_SIZE])
{
    char port[8] = "";

    if (u->port != (u->tls ? 443 : 80))
        snprintf(port, sizeof(port), ":%u", (unsigned)u->port);
    snprintf(out, CPN_URL_HOSTPORT_SIZE, "%s%s%s%s", u->ipv6 ? "[" : "", u->host,
             u->ipv6 ? "]" : "", port);
    return out;
}

const char *
cpn_url_origin(const cpn_url *u, char out[CPN_URL_ORIGIN_SIZE])
{
    char hostport[CPN_URL_HOSTPORT_SIZE];

    snprintf(out, CPN_URL_ORIGIN_SIZE, "%s://%s", u->tls ? "https" : "http",
             cpn_url_hostport(u, hostport));
    return out;
}

cpn_rc
cpn_percent_put(cpn_buf *out, cpn_view in)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t n = 0, extra = 0;
    uint8_t *at;
    cpn_rc rc;

    for (size_t i = 0; i < in.n; i++)
        extra += !cpn_is_alnum(in.p[i]) && !memchr("-._~", in.p[i], 4);
    if (in.n > out->max || extra > out->max)
        return CPN_LIMIT;
    if ((rc = cpn_buf_reserve(out, in.n + 2 * extra, &at)) != CPN_OK)
        return rc;
    for (size_t i = 0; i < in.n; i++) {
        if (cpn_is_alnum(in.p[i]) || memchr("-._~", in.p[i], 4)) {
            at[n++] = in.p[i];
            continue;
        }
        at[n++] = '%';
        at[n++] = (uint8_t)digits[in.p[i] >> 4];
        at[n++] = (uint8_t)digits[in.p[i] & 15];
    }
    out->n += n;
    return CPN_OK;
}

cpn_rc
cpn_percent_decode(cpn_view in, char *out, size_t size)
{
    size_t n = 0;

    if (size == 0)
        return CPN_LIMIT;
    out[0] = '\0';
    for (size_t i = 0; i < in.n; i++) {
        int c = in.p[i];
        if (c == '%') {
            c = cpn_percent_at(in, i);
            i += 2;
        }
        if (c <= 0 || n + 1 >= size) {
            out[0] = '\0';
            return c <= 0 ? CPN_INVALID : CPN_LIMIT;
        }
        out[n++] = (char)c;
    }
    out[n] = '\0';
    return CPN_OK;
}
