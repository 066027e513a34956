/* One HTTPS request, or a WebSocket upgrade, over a connection of its own. */
#include "net/httpc.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/secret.h"
#include "codec/b64url.h"
#include "codec/digest.h"
#include "codec/wsupgrade.h"
#include "net/proxy.h"

#define TIMEOUT_MS 30000
#define RESPONSE_MAX 1048576u
#define REQUEST_HEAD_MAX 16384u

/* What the proof of a request says, but for the connection. */
typedef struct proving {
    cpn_proof_key key; /* not set: no proof */
    char method[CPN_PROOF_METHOD_MAX + 1];
    char url[CPN_PROOF_URL_MAX + 1];
    bool has_token;
    uint8_t token[CPN_SHA256_BYTES];
} proving;

struct cpn_httpc {
    cpn_loop *loop;
    cpn_dial *dial;
    cpn_tls *tls;
    cpn_buf request;
    size_t head_n; /* bytes of request's head */
    proving proof;
    char key[CPN_WS_KEY_SIZE];
    char *websocket;
    char hostport[CPN_URL_HOSTPORT_SIZE];
    cpn_httpc_line *line;
    bool extra;     /* more came than belongs to the answer */
    bool head_only; /* HEAD: no body follows */
    bool got_head;
    cpn_httpc_reply reply;
    cpn_httpc_done *done;
    void *owner;
    uv_timer_t deadline;
    cpn_later finish;
    cpn_err err;
    bool finished;
    bool dead;
};

void
cpn_httpc_reply_fini(cpn_httpc_reply *r)
{
    cpn_buf_fini(&r->head_bytes);
    cpn_buf_fini(&r->body);
    cpn_tls_free(cpn_steal(&r->tls));
    r->status = 0;
}

/* --- the request ---------------------------------------------------------------------------- */

static cpn_rc
put_text(cpn_buf *out, const char *a, const char *b, const char *c)
{
    cpn_rc rc;

    if ((rc = cpn_buf_append(out, cpn_view_str(a))) != CPN_OK ||
        (rc = cpn_buf_append(out, cpn_view_str(b))) != CPN_OK)
        return rc;
    return cpn_buf_append(out, cpn_view_str(c));
}

static cpn_rc
put_plain_head(cpn_httpc *h, const cpn_httpc_req *req)
{
    cpn_buf *out = &h->request;
    char length[32];
    cpn_rc rc;

    snprintf(length, sizeof(length), "%zu", req->body.n);
    if ((rc = put_text(out, req->method, " ", req->target)) != CPN_OK ||
        (rc = put_text(out, " HTTP/1.1\r\n", "", "")) != CPN_OK ||
        (rc = cpn_http_line_put(out, "Host", cpn_view_str(h->hostport))) != CPN_OK ||
        (rc = cpn_http_line_put(out, "User-Agent", CPN_VIEW_LIT("caponier/" CPN_VERSION))) !=
            CPN_OK ||
        (rc = cpn_http_line_put(out, "Accept", CPN_VIEW_LIT("application/json"))) != CPN_OK ||
        (!req->line &&
         (rc = cpn_http_line_put(out, "Connection", CPN_VIEW_LIT("close"))) != CPN_OK) ||
        (rc = cpn_http_bearer_put(out, req->bearer)) != CPN_OK)
        return rc;
    if (req->content_type &&
        (rc = cpn_http_line_put(out, "Content-Type", cpn_view_str(req->content_type))) != CPN_OK)
        return rc;
    if ((req->body.n > 0 || strcmp(req->method, "GET") != 0) &&
        (rc = cpn_http_line_put(out, "Content-Length", cpn_view_str(length))) != CPN_OK)
        return rc;
    if ((rc = cpn_buf_append(out, req->more)) != CPN_OK)
        return rc;
    return cpn_buf_append(out, CPN_VIEW_LIT("\r\n"));
}

/* What our own strict reader refuses must not be sent. */
static cpn_rc
put_request(cpn_httpc *h, const cpn_httpc_req *req, cpn_err *err)
{
    cpn_ws_ask ask = { .host = h->hostport,
                       .target = req->target,
                       .key = h->key,
                       .subprotocol = req->websocket,
                       .bearer = req->bearer,
                       .more = req->more };
    cpn_http_head head;
    uint8_t nonce[16];
    cpn_rc rc;

    h->request.max = REQUEST_HEAD_MAX + CPN_HTTPC_BODY_MAX;
    if (req->body.n > CPN_HTTPC_BODY_MAX)
        return cpn_fail(err, CPN_LIMIT, "the request is longer than %u bytes", CPN_HTTPC_BODY_MAX);
    if (req->websocket) {
        cpn_random(nonce, sizeof(nonce));
        cpn_ws_key(nonce, h->key);
        rc = cpn_ws_request_put(&h->request, &ask, err);
        h->head_n = h->request.n;
        return rc;
    }
    rc = put_plain_head(h, req);
    if (rc == CPN_OK)
        rc = cpn_http_request_parse(cpn_buf_view(&h->request), NULL, &head, err);
    if (rc == CPN_AGAIN || (rc == CPN_OK && head.used != h->request.n))
        rc = CPN_INVALID;
    h->head_n = h->request.n;
    if (rc == CPN_OK)
        rc = cpn_buf_append(&h->request, req->body);
    return rc == CPN_OK ? rc : cpn_fail(err, rc, "the request cannot be written");
}

/* What is known before there is a connection. */
static cpn_rc
proof_begin(cpn_httpc *h, const cpn_httpc_req *req, cpn_err *err)
{
    proving *p = &h->proof;
    char origin[CPN_URL_ORIGIN_SIZE];
    int n, path = (int)strcspn(req->target, "?");

    if (!req->key || !req->key->set)
        return CPN_OK;
    n = snprintf(p->url, sizeof(p->url), "%s%.*s", cpn_url_origin(req->gateway, origin), path,
                 req->target);
    if (n < 0 || (size_t)n >= sizeof(p->url) ||
        !cpn_view_copy(cpn_view_str(req->method), p->method, sizeof(p->method)))
        return cpn_fail(err, CPN_INVALID, "the request's address is too long");
    p->key = *req->key;
    p->has_token = req->bearer.n > 0;
    if (p->has_token)
        cpn_sha256(req->bearer, p->token);
    return CPN_OK;
}

/* Append the proof's line, now that the connection is there. */
static cpn_rc
proof_put(cpn_httpc *h, cpn_buf *out)
{
    uint8_t random[16], exporter[32];
    char jti[CPN_B64_SIZE(sizeof(random))], text[CPN_PROOF_MAX + 1];
    cpn_proof_say say = { .method = h->proof.method,
                          .url = h->proof.url,
                          .jti = jti,
                          .iat = cpn_wall_s() - h->proof.key.ahead_s,
                          .token = h->proof.has_token ? h->proof.token : NULL,
                          .exporter = cpn_tls_exporter(h->tls, exporter) ? exporter : NULL };
    cpn_rc rc;

    cpn_random(random, sizeof(random));
    if (!cpn_b64url_encode((cpn_view){ random, sizeof(random) }, jti, sizeof(jti)))
        return CPN_E_NOMEM;
    rc = cpn_proof_make(&h->proof.key, &say, text, &h->err);
    cpn_proof_key_wipe(&h->proof.key);
    return rc == CPN_OK ? cpn_http_line_put(out, CPN_PROOF_FIELD, cpn_view_str(text)) : rc;
}

/* Send the request; a proof goes in front of the empty line that ends its head. */
static cpn_rc
send_request(cpn_httpc *h)
{
    CPN_AUTO(cpn_buf_fini) cpn_buf all = { .max = h->request.max };
    cpn_view text = cpn_buf_view(&h->request), end;
    cpn_rc rc;

    if (!h->proof.key.set)
        return cpn_tls_write_all(h->tls, text, h->request.max);
    end = cpn_view_skip(text, h->head_n - 2);
    text.n = h->head_n - 2;
    if ((rc = cpn_buf_append(&all, text)) != CPN_OK || (rc = proof_put(h, &all)) != CPN_OK ||
        (rc = cpn_buf_append(&all, end)) != CPN_OK)
        return rc;
    return cpn_tls_write_all(h->tls, cpn_buf_view(&all), h->request.max);
}

/* --- the end -------------------------------------------------------------------------------- */

static void
deadline_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void
put_away(cpn_httpc *h)
{
    h->dead = true;
    cpn_dial_cancel(cpn_steal(&h->dial));
    cpn_tls_free(cpn_steal(&h->tls));
    cpn_buf_fini(&h->request);
    cpn_proof_key_wipe(&h->proof.key);
    cpn_httpc_reply_fini(&h->reply);
    free(h->websocket);
    cpn_loop_not_later(h->loop, &h->finish);
    uv_close((uv_handle_t *)&h->deadline, deadline_closed);
}

void
cpn_httpc_line_drop(cpn_httpc_line *line)
{
    cpn_tls_free(cpn_steal(&line->tls));
}

/* Leave the connection for the next request, if both ends mean to. */
static void
keep_line(cpn_httpc *h)
{
    const cpn_http_head *head = &h->reply.head;

    if (!h->line || !h->tls || h->websocket || h->err.rc != CPN_OK || h->extra || head->close ||
        head->until_close)
        return;
    cpn_tls_set_owner(h->tls, NULL, NULL);
    h->line->tls = cpn_steal(&h->tls);
}

static void
call_done(cpn_later *l)
{
    cpn_httpc *h = cpn_container_of(l, cpn_httpc, finish);

    keep_line(h);
    uv_timer_stop(&h->deadline);
    h->done(h->owner, &h->reply, &h->err);
    put_away(h);
}

static void
finish(cpn_httpc *h)
{
    if (h->finished || h->dead)
        return;
    h->finished = true;
    cpn_loop_later(h->loop, &h->finish, CPN_LATER_BULK);
}

static void
fail(cpn_httpc *h, cpn_rc rc, const char *what)
{
    if (h->finished)
        return;
    cpn_fail(&h->err, rc, "%s", what);
    finish(h);
}

static void
on_deadline(uv_timer_t *timer)
{
    fail(timer->data, CPN_UNAVAILABLE, "the gateway did not answer in time");
}

/* --- the response --------------------------------------------------------------------------- */

static void
upgraded(cpn_httpc *h)
{
    cpn_ws_ask ask = { .key = h->key, .subprotocol = h->websocket };

    if (cpn_ws_response_check(&h->reply.head, &ask, &h->err) != CPN_OK) {
        h->err.rc = CPN_E_PROTO;
    } else {
        h->reply.tls = cpn_steal(&h->tls);
        cpn_tls_set_owner(h->reply.tls, NULL, NULL); /* what follows waits for the next one */
    }
    finish(h);
}

/* Read the head from the start of what has come; 0: not complete yet. */
static size_t
take_head(cpn_httpc *h, cpn_view in)
{
    cpn_http_head *head = &h->reply.head;
    cpn_rc rc = cpn_http_response_parse(in, NULL, head, &h->err);

    if (rc == CPN_AGAIN)
        return 0;
    if (rc == CPN_OK) {
        /* Once more over a copy of our own, so that the views in it live as long as the reply. */
        in.n = head->used;
        h->reply.head_bytes.max = CPN_HTTP_HEAD_MAX;
        rc = cpn_buf_append(&h->reply.head_bytes, in);
    }
    if (rc == CPN_OK)
        rc = cpn_http_response_parse(cpn_buf_view(&h->reply.head_bytes), NULL, head, &h->err);
    if (rc != CPN_OK) {
        cpn_ctx(&h->err, CPN_E_PROTO, "the gateway's answer");
        finish(h);
        return in.n;
    }
    h->got_head = true;
    h->reply.status = head->status;
    if (h->websocket && head->status == 101)
        upgraded(h);
    else if (!head->until_close && (head->body == 0 || h->head_only))
        finish(h);
    else if (head->body > h->reply.body.max)
        fail(h, CPN_LIMIT, "the gateway's answer is too long");
    return head->used;
}

static void
take_body(cpn_httpc *h, cpn_view in)
{
    const cpn_http_head *head = &h->reply.head;

    if (!head->until_close && in.n > head->body - h->reply.body.n)
        h->extra = true;
    if (!head->until_close)
        in.n = (size_t)CPN_MIN((uint64_t)in.n, head->body - h->reply.body.n);
    if (cpn_buf_append(&h->reply.body, in) != CPN_OK)
        fail(h, CPN_LIMIT, "the gateway's answer is too long");
    else if (!head->until_close && h->reply.body.n == head->body)
        finish(h);
}

static size_t
on_bytes(void *owner, cpn_tls *t, uint8_t *p, size_t n)
{
    cpn_httpc *h = owner;
    cpn_view in = { p, n };
    size_t used = 0;

    (void)t;
    if (h->finished) {
        h->extra = true;
        return n;
    }
    if (!h->got_head && (used = take_head(h, in)) == 0)
        return 0;
    h->extra |= h->finished && used < n;
    if (h->finished)
        return used; /* what follows an upgrade is the next owner's */
    take_body(h, cpn_view_skip(in, used));
    explicit_bzero(p, n); /* tokens, where the next reader would leave them */
    return n;
}

static void
on_end(void *owner, cpn_tls *t, cpn_tls_end why, const cpn_err *err)
{
    cpn_httpc *h = owner;

    (void)t;
    if (h->finished)
        return;
    if (why == CPN_TLS_END_CLOSED && h->got_head && h->reply.head.until_close) {
        finish(h);
        return;
    }
    cpn_fail(&h->err, CPN_UNAVAILABLE, "the connection ended before the answer was complete: %s",
             err->msg);
    finish(h);
}

static const cpn_tls_events tls_events = { .on_bytes = on_bytes, .on_end = on_end };

static void
on_dialed(void *owner, CPN_TAKES cpn_tls *t, const cpn_err *err)
{
    cpn_httpc *h = owner;

    h->dial = NULL;
    if (!t) {
        h->err = *err;
        finish(h);
        return;
    }
    h->tls = t;
    cpn_tls_set_owner(t, &tls_events, h);
    if (h->proof.key.set)
        (void)cpn_tls_issuer(t, h->reply.issuer);
    if (send_request(h) != CPN_OK)
        fail(h, CPN_E_NOMEM, "the request cannot be sent");
    cpn_buf_fini(&h->request);
}

/* Connect, by the proxy that the environment names. */
static cpn_rc
start_dial(cpn_httpc *h, const cpn_httpc_req *req, unsigned timeout, cpn_err *err)
{
    CPN_AUTO(cpn_proxy_wipe) cpn_proxy proxy = { 0 };
    cpn_dial_to to = { .host = req->gateway->host,
                       .port = req->gateway->port,
                       .ctx = req->ctx,
                       .timeout_ms = CPN_MIN(timeout, 15000u),
                       .proxy = &proxy };
    cpn_rc rc = CPN_OK;

    if (req->line && req->line->tls) {
        on_dialed(h, cpn_steal(&req->line->tls), NULL);
        return CPN_OK;
    }
    rc = cpn_proxy_choose(&proxy, to.host, to.port, err);
    return rc == CPN_OK ? cpn_dial_start(&h->dial, h->loop, &to, on_dialed, h, err) : rc;
}

cpn_rc
cpn_httpc_start(cpn_httpc **out, cpn_loop *loop, const cpn_httpc_req *req, cpn_httpc_done *done,
                void *owner, cpn_err *err)
{
    unsigned timeout = req->timeout_ms ? req->timeout_ms : TIMEOUT_MS;
    cpn_httpc *h = cpn_xcalloc(1, sizeof(*h));
    cpn_rc rc;

    h->loop = loop;
    h->done = done;
    h->owner = owner;
    h->line = req->line;
    h->finish.fn = call_done;
    h->head_only = req->method && strcmp(req->method, "HEAD") == 0;
    h->websocket = req->websocket ? cpn_xstrdup(req->websocket) : NULL;
    h->reply.body.max = req->response_max ? req->response_max : RESPONSE_MAX;
    cpn_url_hostport(req->gateway, h->hostport);
    uv_timer_init(cpn_loop_uv(loop), &h->deadline);
    h->deadline.data = h;
    if ((rc = put_request(h, req, err)) != CPN_OK || (rc = proof_begin(h, req, err)) != CPN_OK ||
        (rc = start_dial(h, req, timeout, err)) != CPN_OK) {
        put_away(h);
        return rc;
    }
    uv_timer_start(&h->deadline, on_deadline, timeout, 0);
    *out = h;
    return CPN_OK;
}

void
cpn_httpc_cancel(cpn_httpc *h)
{
    if (h)
        put_away(h);
}

/* --- blocking ------------------------------------------------------------------------------- */

typedef struct call {
    cpn_httpc_reply *out;
    cpn_err *err;
    cpn_rc rc;
    bool over;
} call;

static void
call_finished(void *owner, cpn_httpc_reply *reply, const cpn_err *err)
{
    call *c = owner;

    c->rc = err->rc;
    c->over = true;
    if (err->rc != CPN_OK) {
        if (c->err)
            *c->err = *err;
        return;
    }
    *c->out = *reply;
    *reply = (cpn_httpc_reply){ 0 };
}

/* The loop is not ours and what is kept stays on it: run it until this call is over. */
static cpn_rc
call_on(cpn_loop *loop, const cpn_httpc_req *req, call *c, cpn_err *err)
{
    cpn_httpc *h;
    cpn_rc rc = cpn_httpc_start(&h, loop, req, call_finished, c, err);

    while (rc == CPN_OK && !c->over)
        uv_run(cpn_loop_uv(loop), UV_RUN_ONCE);
    return rc == CPN_OK ? c->rc : rc;
}

cpn_rc
cpn_httpc_call(const cpn_httpc_req *req, cpn_httpc_reply *out, cpn_err *err)
{
    cpn_quota quota = { .max = 16u << 20 };
    call c = { .out = out, .err = err, .rc = CPN_E_SYS };
    cpn_loop *loop;
    uv_loop_t uv;
    cpn_httpc *h;
    cpn_rc rc;

    if (req->websocket)
        return cpn_fail(err, CPN_INVALID, "an upgrade needs a loop");
    if (req->line)
        return call_on(req->line->loop, req, &c, err);
    if (uv_loop_init(&uv) < 0)
        return cpn_fail(err, CPN_E_SYS, "event loop");
    if ((rc = cpn_loop_new(&loop, &uv, &quota, err)) == CPN_OK) {
        if ((rc = cpn_httpc_start(&h, loop, req, call_finished, &c, err)) == CPN_OK) {
            uv_run(&uv, UV_RUN_DEFAULT);
            rc = c.rc;
        }
        cpn_loop_free(loop);
    }
    uv_run(&uv, UV_RUN_DEFAULT);
    uv_loop_close(&uv);
    return rc;
}
