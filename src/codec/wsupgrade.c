/* The upgrade from HTTP to WebSocket, seen from either end. */
#include "codec/wsupgrade.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "codec/b64url.h"

#define PROTO(err, what) cpn_fail((err), CPN_E_PROTO, "websocket upgrade: %s", (what))

void
cpn_ws_key(const uint8_t nonce[16], char out[CPN_WS_KEY_SIZE])
{
    if (!cpn_b64_encode((cpn_view){ nonce, 16 }, out, CPN_WS_KEY_SIZE))
        abort();
}

void
cpn_ws_accept(cpn_view key, char out[CPN_WS_ACCEPT_SIZE])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    uint8_t text[64 + sizeof(guid)], digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    key.n = CPN_MIN(key.n, 64);
    if (key.n)
        memcpy(text, key.p, key.n);
    memcpy(text + key.n, guid, sizeof(guid) - 1);
    if (EVP_Digest(text, key.n + sizeof(guid) - 1, digest, &n, EVP_sha1(), NULL) != 1 || n != 20 ||
        !cpn_b64_encode((cpn_view){ digest, n }, out, CPN_WS_ACCEPT_SIZE))
        abort();
}

bool
cpn_ws_wanted(const cpn_http_head *request)
{
    return cpn_http_list_has(cpn_http_header(request, "upgrade"), "websocket");
}

static cpn_rc
request_refuse(int *http_status, int status, cpn_err *err, const char *what)
{
    *http_status = status;
    return cpn_fail(err, CPN_INVALID, "websocket upgrade: %s", what);
}

cpn_rc
cpn_ws_request_check(const cpn_http_head *request, cpn_view *key, int *http_status, cpn_err *err)
{
    cpn_view version = cpn_http_header(request, "sec-websocket-version");
    uint8_t nonce[CPN_B64_BYTES(24)];
    size_t n;

    *http_status = 0;
    *key = cpn_http_header(request, "sec-websocket-key");
    if (!cpn_view_is(request->method, "GET"))
        return request_refuse(http_status, 405, err, "method is not GET");
    if (!cpn_ws_wanted(request))
        return request_refuse(http_status, 400, err, "no Upgrade: websocket");
    if (!cpn_http_list_has(cpn_http_header(request, "connection"), "upgrade"))
        return request_refuse(http_status, 400, err, "no Connection: upgrade");
    if (!version.p || !cpn_view_is(version, "13"))
        return request_refuse(http_status, version.p ? 426 : 400, err, "version is not 13");
    if (key->n != 24 || cpn_b64_decode(*key, nonce, sizeof(nonce), &n) != CPN_OK || n != 16)
        return request_refuse(http_status, 400, err, "key is not 16 bytes in base64");
    if (request->body)
        return request_refuse(http_status, 400, err, "request with a body");
    return CPN_OK;
}

bool
cpn_ws_offers(const cpn_http_head *request, const char *subprotocol)
{
    cpn_view list = cpn_http_header(request, "sec-websocket-protocol"), item;

    while (cpn_http_list_next(&list, &item))
        if (cpn_view_is(item, subprotocol))
            return true;
    return false;
}

cpn_rc
cpn_ws_response_put(cpn_buf *out, cpn_view key, const char *subprotocol, cpn_view more)
{
    char accept[CPN_WS_ACCEPT_SIZE];

    cpn_ws_accept(key, accept);
    return cpn_buf_printf(out,
                          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                          "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n%s%s%s%.*s\r\n",
                          accept, subprotocol ? "Sec-WebSocket-Protocol: " : "",
                          subprotocol ? subprotocol : "", subprotocol ? "\r\n" : "",
                          CPN_VIEW_ARG(more));
}

static cpn_rc
request_put(cpn_buf *out, const cpn_ws_ask *ask)
{
    cpn_rc rc;

    if ((rc = cpn_buf_printf(out, "GET %s HTTP/1.1\r\n", ask->target)) != CPN_OK ||
        (rc = cpn_http_line_put(out, "Host", cpn_view_str(ask->host))) != CPN_OK ||
        (rc = cpn_buf_append(out, CPN_VIEW_LIT("Upgrade: websocket\r\nConnection: Upgrade\r\n"
                                               "Sec-WebSocket-Version: 13\r\n"))) != CPN_OK ||
        (rc = cpn_http_line_put(out, "Sec-WebSocket-Key", cpn_view_str(ask->key))) != CPN_OK)
        return rc;
    if (ask->subprotocol && (rc = cpn_http_line_put(out, "Sec-WebSocket-Protocol",
                                                    cpn_view_str(ask->subprotocol))) != CPN_OK)
        return rc;
    if ((rc = cpn_http_bearer_put(out, ask->bearer)) != CPN_OK ||
        (rc = cpn_buf_append(out, ask->more)) != CPN_OK)
        return rc;
    return cpn_buf_append(out, CPN_VIEW_LIT("\r\n"));
}

cpn_rc
cpn_ws_request_put(cpn_buf *out, const cpn_ws_ask *ask, cpn_err *err)
{
    size_t before = out->n;
    cpn_http_head head;
    cpn_rc rc;

    if ((rc = request_put(out, ask)) == CPN_OK) {
        /* What our own strict reader refuses must not be sent. */
        rc = cpn_http_request_parse(cpn_view_skip(cpn_buf_view(out), before), NULL, &head, NULL);
        if (rc == CPN_OK && before + head.used != out->n)
            rc = CPN_INVALID;
    }
    if (rc == CPN_OK)
        return CPN_OK;
    out->n = before;
    return cpn_fail(err, rc, "websocket upgrade: request cannot be written");
}

cpn_rc
cpn_ws_response_check(const cpn_http_head *response, const cpn_ws_ask *ask, cpn_err *err)
{
    cpn_view protocol = cpn_http_header(response, "sec-websocket-protocol");
    char accept[CPN_WS_ACCEPT_SIZE];

    if (response->status != 101)
        return cpn_fail(err, CPN_E_PROTO, "websocket upgrade: status %d", response->status);
    if (!cpn_http_list_has(cpn_http_header(response, "upgrade"), "websocket") ||
        !cpn_http_list_has(cpn_http_header(response, "connection"), "upgrade"))
        return PROTO(err, "response does not upgrade");
    cpn_ws_accept(cpn_view_str(ask->key), accept);
    if (!cpn_view_is(cpn_http_header(response, "sec-websocket-accept"), accept))
        return PROTO(err, "wrong Sec-WebSocket-Accept");
    if (ask->subprotocol ? !cpn_view_is(protocol, ask->subprotocol) : protocol.p != NULL)
        return PROTO(err, "another subprotocol than asked for");
    if (cpn_http_header(response, "sec-websocket-extensions").p)
        return PROTO(err, "an extension that was not asked for");
    return CPN_OK;
}
