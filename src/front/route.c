/* What a request wants, and whether it may look like that. */
#include "front/route.h"

#include "codec/chars.h"
#include "codec/tunnel.h"
#include "codec/wsupgrade.h"

#define WEBTUNNEL "/webtunnelv2/"
#define OMNI "/omni/webtunnel/" /* the way of the SKUs Developer and QuickConnect */

#define MSI "/adfs/oauth2/msi"

/* Bounds of the REQUEST message. */
#define PATH_MAX_BYTES 4096
#define AGENT_MAX 512
#define TYPE_MAX 256
#define ORIGIN_MAX 272 /* https:// and a host of 255 bytes with its port */

static void
refuse(cpn_route *out, int status, const char *sentence)
{
    out->kind = CPN_ROUTE_REFUSE;
    out->status = status;
    out->sentence = sentence;
}

static bool
host_is(cpn_view host, const char *ours)
{
    if (cpn_view_is_nocase(host, ours))
        return true;
    /* The default port may be written out. */
    return host.n > 4 && cpn_view_is(cpn_view_skip(host, host.n - 4), ":443") &&
           cpn_view_is_nocase((cpn_view){ host.p, host.n - 4 }, ours);
}

static bool
origin_is_host(cpn_view origin, cpn_view host)
{
    char text[ORIGIN_MAX + 1];
    cpn_view rest;

    if (cpn_view_starts(origin, "https://"))
        rest = cpn_view_skip(origin, 8);
    else if (cpn_view_starts(origin, "http://"))
        rest = cpn_view_skip(origin, 7);
    else
        return false;
    return cpn_view_copy(host, text, sizeof(text)) && cpn_view_is_nocase(rest, text);
}

static bool
is_plain(cpn_view t)
{
    for (size_t i = 0; i < t.n; i++)
        if (!cpn_is_alnum(t.p[i]) && t.p[i] != '-' && t.p[i] != '_')
            return false;
    return true;
}

static bool
ticket_is_plain(cpn_view t)
{
    return t.n > 0 && t.n <= CPN_ROUTE_TICKET_MAX && is_plain(t);
}

static bool
ends_with(cpn_view v, const char *end)
{
    size_t n = strlen(end);

    return v.n >= n && cpn_view_is(cpn_view_skip(v, v.n - n), end);
}

/* Where browsers come to sign in. */
static bool
is_signin(cpn_view path)
{
    return cpn_view_is(path, "/device") || cpn_view_starts(path, "/signin/") ||
           cpn_view_is(path, "/adfs/oauth2/authorize") || ends_with(path, "/oauth2/v2.0/authorize");
}

/* Our cookie's value, if it has the form that we give it. */
static cpn_view
cookie_of(const cpn_http_head *head)
{
    cpn_view all = cpn_http_header(head, "cookie"), one, name, value;
    bool more = all.n > 0;

    while (more) {
        more = cpn_view_cut(all, ';', &one, &all);
        if (cpn_view_cut(cpn_trim(one), '=', &name, &value) &&
            cpn_view_is(name, CPN_ROUTE_COOKIE) && value.n == CPN_ROUTE_COOKIE_BYTES &&
            is_plain(value))
            return value;
    }
    return (cpn_view){ NULL, 0 };
}

/* Where a service proves itself with its secret. */
static bool
is_token(cpn_view path)
{
    return cpn_view_is(path, "/adfs/oauth2/token") || ends_with(path, "/oauth2/v2.0/token");
}

static bool
is_door(cpn_view path)
{
    return cpn_view_starts(path, WEBTUNNEL) || cpn_view_starts(path, OMNI) ||
           cpn_view_starts(path, "/api/");
}

static cpn_view
basic_of(const cpn_http_head *head)
{
    cpn_view v = cpn_http_header(head, "authorization"), scheme, rest;

    if (v.p && cpn_view_cut(v, ' ', &scheme, &rest) && cpn_view_is_nocase(scheme, "basic"))
        return v;
    return (cpn_view){ NULL, 0 };
}

static cpn_view
node_of(cpn_view query)
{
    cpn_view part, name, value;

    while (query.n > 0) {
        cpn_view_cut(query, '&', &part, &query);
        if (cpn_view_cut(part, '=', &name, &value) && cpn_view_is(name, "X-Node-Id") &&
            value.n <= CPN_ROUTE_NODE_MAX)
            return value;
    }
    return (cpn_view){ NULL, 0 };
}

/* What both kinds of upgrade must have. */
static bool
upgrade_checked(const cpn_http_head *head, cpn_route *out)
{
    int status = 400;

    if (!cpn_ws_wanted(head)) {
        if (cpn_view_is(head->method, "GET"))
            refuse(out, 426, "this path is for WebSocket connections");
        else
            refuse(out, 405, "this path is for WebSocket connections");
        return false;
    }
    if (cpn_ws_request_check(head, &out->key, &status, NULL) != CPN_OK) {
        refuse(out, status, "the WebSocket upgrade request is not well formed");
        return false;
    }
    if (out->key.n >= CPN_WS_KEY_SIZE || head->body > 0) {
        refuse(out, 400, "the WebSocket upgrade request is not well formed");
        return false;
    }
    return true;
}

static void
tunnel_route(const cpn_http_head *head, cpn_route *out)
{
    if (!upgrade_checked(head, out))
        return;
    if (!cpn_ws_offers(head, CPN_TUNNEL_SUBPROTOCOL)) {
        refuse(out, 400, "the subprotocol caponier.v1 is required");
        return;
    }
    if (out->bearer.n == 0) {
        refuse(out, 401, "a bearer token is required");
        return;
    }
    out->kind = CPN_ROUTE_TUNNEL;
}

static void
webtunnel_route(const cpn_http_head *head, const cpn_route_facts *facts, cpn_route *out)
{
    bool omni = cpn_view_starts(head->path, OMNI);
    cpn_view ticket = cpn_view_skip(head->path, omni ? sizeof(OMNI) - 1 : sizeof(WEBTUNNEL) - 1);

    if (!facts->az_clients || !ticket_is_plain(ticket)) {
        refuse(out, 404, "there is nothing here");
        return;
    }
    if (!upgrade_checked(head, out))
        return;
    out->ticket = ticket;
    out->node = node_of(head->query);
    out->kind = CPN_ROUTE_WEBTUNNEL;
}

static void
api_route(const cpn_http_head *head, const cpn_route_facts *facts, cpn_route *out)
{
    cpn_view expect = cpn_http_header(head, "expect");
    uint64_t max = cpn_view_is(head->path, "/v1/apply") ? CPN_ROUTE_APPLY_MAX : facts->body_max;

    if (head->body > max) {
        refuse(out, 413, "the body is larger than this path takes");
    } else if (expect.p && !cpn_view_is_nocase(expect, "100-continue")) {
        refuse(out, 417, "only 100-continue can be expected");
    } else if (head->path.n > PATH_MAX_BYTES || head->query.n > PATH_MAX_BYTES) {
        refuse(out, 414, "the path is too long");
    } else if (cpn_http_header(head, "user-agent").n > AGENT_MAX ||
               cpn_http_header(head, "content-type").n > TYPE_MAX) {
        refuse(out, 431, "a header field is too long");
    } else {
        out->expects = expect.p != NULL;
        out->kind = CPN_ROUTE_API;
    }
}

static void
admin_route(const cpn_http_head *head, cpn_route *out)
{
    if (!cpn_view_is(head->method, "GET") && !cpn_view_is(head->method, "HEAD"))
        refuse(out, 405, "only GET here");
    else if (head->body > 0)
        refuse(out, 413, "no body is taken here");
    else if (cpn_view_is(head->path, "/healthz"))
        out->kind = CPN_ROUTE_HEALTH;
    else if (cpn_view_is(head->path, "/readyz"))
        out->kind = CPN_ROUTE_READY;
    else if (cpn_view_is(head->path, "/metrics"))
        out->kind = CPN_ROUTE_METRICS;
    else
        refuse(out, 404, "there is nothing here");
}

/* The Azure door's client names itself by http although it speaks TLS; browsers do not. */
static bool
origin_ok(const cpn_http_head *head, const cpn_route_facts *facts, const cpn_route *out)
{
    if (!origin_is_host(out->origin, head->host))
        return false;
    return (out->azure && facts->az_clients) ||
           (is_signin(head->path) && cpn_view_starts(out->origin, "https://"));
}

void
cpn_route_of(const cpn_http_head *head, const cpn_route_facts *facts, cpn_route *out)
{
    bool webtunnel = cpn_view_starts(head->path, WEBTUNNEL) || cpn_view_starts(head->path, OMNI);

    *out = (cpn_route){ .azure = is_door(head->path) };
    if (facts->admin) {
        admin_route(head, out);
        return;
    }
    out->bearer = cpn_http_bearer(head);
    out->proof = cpn_http_header(head, "dpop");
    out->origin = cpn_http_header(head, "origin");
    if (!host_is(head->host, facts->host)) {
        refuse(out, 421, "this gateway has another name");
        return;
    }
    if (out->origin.p && !origin_ok(head, facts, out)) {
        refuse(out, 403, "requests from web pages are not taken");
        return;
    }
    if (out->proof.n > CPN_ROUTE_PROOF_MAX) {
        refuse(out, 431, "a header field is too long");
        return;
    }
    if (is_signin(head->path))
        out->cookie = cookie_of(head);
    out->identity = cpn_view_is(head->path, MSI) || cpn_view_is(head->path, MSI "/");
    if (out->identity || is_token(head->path))
        out->basic = basic_of(head);
    if (webtunnel)
        webtunnel_route(head, facts, out);
    else if (cpn_view_is(head->path, "/v1/tunnel"))
        tunnel_route(head, out);
    else
        api_route(head, facts, out);
}
