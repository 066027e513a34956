/* Judges redirect URIs: only a program on the person's own machine is answered. */
#include "codec/loopback.h"

#include "codec/chars.h"

static bool
path_ok(cpn_view path)
{
    for (size_t i = 0; i < path.n; i++) {
        uint8_t c = path.p[i];

        if (c == '%' && cpn_percent_at(path, i) < 0)
            return false;
        if (!cpn_is_alnum(c) && !memchr("-._~/%", c, 6))
            return false;
    }
    return true;
}

cpn_rc
cpn_loopback_check(cpn_view uri, char origin[CPN_URL_ORIGIN_SIZE], cpn_err *err)
{
    static const char *const hosts[] = { "http://127.0.0.1", "http://localhost", "http://[::1]" };
    bool known = false;
    cpn_view path;
    cpn_url url;
    cpn_rc rc;

    origin[0] = '\0';
    if (uri.n > CPN_LOOPBACK_MAX)
        return cpn_fail(err, CPN_INVALID, "the redirect URI is longer than %d bytes",
                        CPN_LOOPBACK_MAX);
    for (size_t i = 0; i < CPN_COUNT(hosts); i++)
        known = known || cpn_view_starts(uri, hosts[i]);
    if ((rc = cpn_url_split(uri, &url, &path, err)) != CPN_OK)
        return rc;
    /* The text decides before the parser does, so that there is one spelling of each host. */
    if (!known || url.tls ||
        (strcmp(url.host, "127.0.0.1") != 0 && strcmp(url.host, "localhost") != 0 &&
         (strcmp(url.host, "::1") != 0 || !url.ipv6)))
        return cpn_fail(err, CPN_INVALID,
                        "the redirect URI must be http://127.0.0.1, http://localhost or "
                        "http://[::1], with a port and a path as needed");
    if (!path_ok(path))
        return cpn_fail(err, CPN_INVALID, "the redirect URI's path is not plain");
    cpn_url_origin(&url, origin);
    return CPN_OK;
}
