/* Reads a head when it can be complete, routes it, and forgets it. */
#include "front/http.h"

#include <string.h>

#include "front/admin.h"
#include "front/answer.h"
#include "front/api.h"
#include "front/link.h"
#include "front/tunnel.h"
#include "front/webtunnel.h"

/* Control is asked, and is being restarted: the head stays where it is until control is back. */
static bool
must_wait(cpn_conn *c, cpn_route_kind kind)
{
    if (kind != CPN_ROUTE_API && kind != CPN_ROUTE_TUNNEL && kind != CPN_ROUTE_WEBTUNNEL)
        return false;
    if (cpn_link_up(c->front) || c->front->draining)
        return false;
    c->waits = true;
    cpn_conn_pause(c, true);
    cpn_conn_deadline(c, CPN_CONN_AWAY_MS);
    return true;
}

/* False: later. */
static bool
dispatch(cpn_conn *c, const cpn_http_head *head)
{
    cpn_route_facts facts = { .host = c->front->set.host,
                              .az_clients = c->front->set.az_clients,
                              .body_max = c->front->set.body_max,
                              .admin = c->admin };
    cpn_route r;

    cpn_route_of(head, &facts, &r);
    c->api = (cpn_api){ .head = cpn_view_is(head->method, "HEAD"),
                        .close = head->close || c->front->draining };
    if (must_wait(c, r.kind))
        return false;
    switch (r.kind) {
    case CPN_ROUTE_API:
        cpn_api_start(c, head, &r);
        return true;
    case CPN_ROUTE_TUNNEL:
        cpn_tunnel_ask(c, head, &r);
        return true;
    case CPN_ROUTE_WEBTUNNEL:
        cpn_webtunnel_ask(c, head, &r);
        return true;
    case CPN_ROUTE_HEALTH:
    case CPN_ROUTE_READY:
    case CPN_ROUTE_METRICS:
        cpn_admin_answer(c, head, &r);
        return true;
    case CPN_ROUTE_REFUSE:
        break;
    }
    cpn_answer_refuse(c, r.status ? r.status : 400, r.sentence ? r.sentence : "refused");
    return true;
}

/* A head cannot have become complete without a line end among the new bytes. Not looking before
 * keeps a client that sends byte by byte from having its head read again each time. */
static bool
worth_reading(const cpn_conn *c, const uint8_t *p, size_t n)
{
    if (n >= CPN_HTTP_HEAD_MAX || n <= c->scanned)
        return n > 0;
    return memchr(p + c->scanned, '\n', n - c->scanned) != NULL;
}

/* Also of a head that is refused or never ends. */
static cpn_view
path_of(cpn_view in)
{
    cpn_view line, method, rest, target, version, path, query;

    cpn_view_cut(in, '\r', &line, &rest);
    cpn_view_cut(line, ' ', &method, &rest);
    cpn_view_cut(rest, ' ', &target, &version);
    cpn_view_cut(target, '?', &path, &query);
    return path;
}

size_t
cpn_http_bytes(cpn_conn *c, uint8_t *p, size_t n)
{
    cpn_http_head head = { 0 };
    size_t used;
    cpn_rc rc;

    if (!worth_reading(c, p, n)) {
        c->scanned = n;
        return 0;
    }
    rc = cpn_http_request_parse((cpn_view){ p, n }, NULL, &head, NULL);
    if (!c->admin)
        c->errors = cpn_errors_at(path_of((cpn_view){ p, n }));
    if (rc == CPN_AGAIN) {
        c->scanned = n;
        return 0;
    }
    if (rc != CPN_OK) {
        cpn_answer_refuse(c, head.http_status ? head.http_status : 400,
                          "the request is not well formed");
        return n;
    }
    c->scanned = 0;
    used = head.used;
    if (!dispatch(c, &head))
        return 0;
    explicit_bzero(p, used);
    return used;
}
