/* Request targets and Host values: what could be read in two ways is refused. */
#include "codec/httptarget.h"

#include <arpa/inet.h>

#include "codec/chars.h"

/* Printable characters that may stand in a path or a query as they are, beside letters and digits.
 * ';' is missing from the path on purpose: some servers cut parameters off there. */
static const char path_marks[] = "-._~!$&'()*+,=:@/";
static const char query_marks[] = "-._~!$&'()*+,=:@/;?[]{}|^`";

static cpn_rc
path_byte_check(uint8_t c, cpn_err *err)
{
    if (c < 0x20 || c == 0x7f)
        return cpn_fail(err, CPN_INVALID, "path holds an encoded control byte");
    if (c == '/' || c == '\\' || c == ';' || c == '%')
        return cpn_fail(err, CPN_INVALID, "path holds an encoded '%c'", c);
    return CPN_OK;
}

/* segment: decoded. */
static cpn_rc
segment_check(cpn_view segment, bool last, cpn_err *err)
{
    if (segment.n == 0 && !last)
        return cpn_fail(err, CPN_INVALID, "path holds an empty segment");
    if (cpn_view_is(segment, ".") || cpn_view_is(segment, ".."))
        return cpn_fail(err, CPN_INVALID, "path holds a dot segment");
    if (!cpn_is_utf8(segment))
        return cpn_fail(err, CPN_INVALID, "path is not UTF-8");
    return CPN_OK;
}

/* Decode one raw segment into `out`, which has room for it. */
static cpn_rc
segment_decode(cpn_view raw, uint8_t *out, size_t *n, cpn_err *err)
{
    cpn_rc rc;

    *n = 0;
    for (size_t i = 0; i < raw.n; i++) {
        int c = raw.p[i];
        if (c == '%') {
            if ((c = cpn_percent_at(raw, i)) < 0)
                return cpn_fail(err, CPN_INVALID, "path holds a bad percent");
            if ((rc = path_byte_check((uint8_t)c, err)) != CPN_OK)
                return rc;
            i += 2;
        } else if (!cpn_is_alnum((uint8_t)c) && !memchr(path_marks, c, sizeof(path_marks) - 1)) {
            return cpn_fail(err, CPN_INVALID, "path holds byte 0x%02x", (unsigned)c);
        }
        out[(*n)++] = (uint8_t)c;
    }
    return CPN_OK;
}

/* May the segment behind these two be empty? The Azure CLI writes "/providers/NAMESPACE//TYPE" for
 * a resource without a parent, and puts a slash behind the address of a cloud or an authority also
 * where it was registered with one: before metadata/endpoints, and before a tenant's name whose
 * document it asks for. */
#define CLOUD_DOCUMENT "//metadata/endpoints"
#define TENANT_DOCUMENT ".well-known/openid-configuration"

/* "//TENANT/…" or "/adfs//TENANT/…", and no other gap. */
static bool
is_tenant_document(cpn_view path)
{
    cpn_view rest = cpn_view_starts(path, "/adfs//") ? cpn_view_skip(path, 5) : path;
    cpn_view tenant, document;

    return cpn_view_starts(rest, "//") &&
           cpn_view_cut(cpn_view_skip(rest, 2), '/', &tenant, &document) && tenant.n > 0 &&
           cpn_view_is(document, TENANT_DOCUMENT);
}

static bool
gap_allowed(cpn_view path, cpn_view before, cpn_view last)
{
    if (cpn_view_is(path, CLOUD_DOCUMENT) || is_tenant_document(path))
        return true;
    return cpn_view_starts_nocase(path, "/subscriptions/") &&
           cpn_view_is_nocase(before, "providers") && last.n > 0;
}

static cpn_rc
path_check(cpn_view path, cpn_err *err)
{
    uint8_t decoded[256];
    cpn_view rest = cpn_view_skip(path, 1), raw, last = { 0 }, before = { 0 };
    bool more;
    size_t n;
    cpn_rc rc;

    do {
        more = cpn_view_cut(rest, '/', &raw, &rest);
        if (raw.n > sizeof(decoded))
            return cpn_fail(err, CPN_INVALID, "path segment of %zu bytes (at most %zu)", raw.n,
                            sizeof(decoded));
        if ((rc = segment_decode(raw, decoded, &n, err)) != CPN_OK)
            return rc;
        if (!(n == 0 && gap_allowed(path, before, last)) &&
            (rc = segment_check((cpn_view){ decoded, n }, !more, err)) != CPN_OK)
            return rc;
        before = last;
        last = raw;
    } while (more);
    return CPN_OK;
}

static cpn_rc
query_check(cpn_view query, cpn_err *err)
{
    for (size_t i = 0; i < query.n; i++) {
        uint8_t c = query.p[i];
        if (c == '%') {
            if (cpn_percent_at(query, i) <= 0)
                return cpn_fail(err, CPN_INVALID, "query holds a bad percent or an encoded NUL");
        } else if (!cpn_is_alnum(c) && !memchr(query_marks, c, sizeof(query_marks) - 1)) {
            return cpn_fail(err, CPN_INVALID, "query holds byte 0x%02x", (unsigned)c);
        }
    }
    return CPN_OK;
}

cpn_rc
cpn_http_target_check(cpn_view target, cpn_view *path, cpn_view *query, cpn_err *err)
{
    cpn_view q;
    cpn_rc rc;

    if (target.n == 0 || target.p[0] != '/')
        return cpn_fail(err, CPN_INVALID, "target does not start with '/'");
    if (!cpn_view_cut(target, '?', path, &q))
        q = (cpn_view){ NULL, 0 };
    if ((rc = path_check(*path, err)) != CPN_OK)
        return rc;
    *query = q;
    return query_check(q, err);
}

static bool
port_valid(cpn_view port)
{
    uint64_t n;

    return cpn_view_u64(port, 65535, &n) && n > 0;
}

static bool
host6_valid(cpn_view host)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    cpn_view inside, behind;

    if (!cpn_view_cut(cpn_view_skip(host, 1), ']', &inside, &behind) ||
        !cpn_view_copy(inside, text, sizeof(text)) || inet_pton(AF_INET6, text, &address) != 1)
        return false;
    return behind.n == 0 || (behind.p[0] == ':' && port_valid(cpn_view_skip(behind, 1)));
}

bool
cpn_http_host_valid(cpn_view host)
{
    cpn_view name, port;

    if (host.n && host.p[0] == '[')
        return host6_valid(host);
    if (cpn_view_cut(host, ':', &name, &port) && !port_valid(port))
        return false;
    for (size_t i = 0; i < name.n; i++)
        if (!cpn_is_alnum(name.p[i]) && !memchr("-._", name.p[i], 3))
            return false;
    return name.n > 0 && name.n < 256;
}
