/* Carries a request to control and its answer back. */
#include "front/api.h"

#include "base/log.h"
#include "front/answer.h"

#define LINES_MAX 1024 /* of REQUEST */

/* The few fields besides the usual ones that routes ask for. */
static const char *const passed[] = {
    "caponier-client", "x-node-id",     "if-match",
    "metadata",        "if-none-match", "x-ms-client-request-id"
};

/* Secrets; of the managed-identity path alone. */
static const char *const of_identity[] = { "x-identity-header", "secret" };

static cpn_rc
line_put(cpn_buf *out, const char *name, cpn_view value)
{
    return value.p ? cpn_http_line_put(out, name, value) : CPN_OK;
}

static cpn_rc
passed_put(cpn_buf *out, const cpn_http_head *head, const cpn_route *r)
{
    cpn_rc rc;

    for (size_t i = 0; i < CPN_COUNT(passed); i++)
        if ((rc = line_put(out, passed[i], cpn_http_header(head, passed[i]))) != CPN_OK)
            return rc;
    for (size_t i = 0; r->identity && i < CPN_COUNT(of_identity); i++)
        if ((rc = line_put(out, of_identity[i], cpn_http_header(head, of_identity[i]))) != CPN_OK)
            return rc;
    if ((rc = line_put(out, "authorization", r->basic)) != CPN_OK)
        return rc;
    return line_put(out, "cookie", r->cookie);
}

static cpn_rc
ask(cpn_conn *c, const cpn_http_head *head, const cpn_route *r, cpn_view lines)
{
    uint8_t exporter[32];
    cpn_msg m = { .type = CPN_MSG_REQUEST,
                  .REQUEST = { .conn = c->number,
                               .peer = c->peer,
                               .peer_port = c->port,
                               .admin = c->admin,
                               .last = head->body == 0,
                               .length = head->body,
                               .method = head->method,
                               .path = head->path,
                               .query = head->query,
                               .bearer = r->bearer,
                               .proof = r->proof,
                               .exporter = cpn_conn_exporter(c, r->proof, exporter),
                               .content_type = cpn_http_header(head, "content-type"),
                               .user_agent = cpn_http_header(head, "user-agent"),
                               .origin = r->origin,
                               .headers = lines } };

    return cpn_link_ask(c->front, &m);
}

void
cpn_api_start(cpn_conn *c, const cpn_http_head *head, const cpn_route *r)
{
    cpn_buf lines = { .max = LINES_MAX };
    cpn_rc rc;

    if (passed_put(&lines, head, r) != CPN_OK) {
        cpn_buf_fini(&lines);
        cpn_answer_refuse(c, 431, "a header field is too long");
        return;
    }
    rc = ask(c, head, r, cpn_buf_view(&lines));
    cpn_buf_fini(&lines);
    if (rc != CPN_OK) {
        cpn_answer_refuse(c, 503, cpn_reason_sentence(CPN_WHY_CONTROL_AWAY));
        return;
    }
    c->asked = true;
    c->api.body_left = head->body;
    cpn_conn_advance(c, CPN_STAGE_API);
    if (head->body == 0)
        return;
    cpn_conn_deadline(c, c->front->set.body_ms);
    if (r->expects && cpn_conn_send(c, CPN_VIEW_LIT("HTTP/1.1 100 Continue\r\n\r\n")) != CPN_OK)
        cpn_conn_advance(c, CPN_STAGE_CLOSED);
}

size_t
cpn_api_bytes(cpn_conn *c, const uint8_t *p, size_t n)
{
    cpn_msg m = { .type = CPN_MSG_BODY, .BODY = { .conn = c->number } };
    size_t k = (size_t)CPN_MIN(CPN_MIN(c->api.body_left, n), CPN_API_PIECE);

    /* The next request waits for the end of this one. */
    if (c->api.body_left == 0) {
        cpn_conn_pause(c, true);
        return 0;
    }
    if (cpn_link_busy(c->front)) {
        c->held = true;
        cpn_conn_pause(c, true);
        return 0;
    }
    c->api.body_left -= k;
    m.BODY.last = c->api.body_left == 0;
    m.BODY.body = (cpn_view){ p, k };
    if (c->api.body_left == 0)
        cpn_conn_deadline(c, CPN_CONN_REPLY_MS);
    if (cpn_link_ask(c->front, &m) != CPN_OK)
        cpn_answer_refuse(c, 503, cpn_reason_sentence(CPN_WHY_CONTROL_AWAY));
    return k;
}

/* True: the connection is still there. */
static bool
body_put(cpn_conn *c, cpn_view body, bool last)
{
    if (body.n > c->api.reply_left || (last && body.n < c->api.reply_left)) {
        cpn_log(CPN_LOG_ERROR, "api.length", CPN_KI("conn", c->number));
        cpn_conn_advance(c, CPN_STAGE_CLOSED);
        return false;
    }
    c->api.reply_left -= body.n;
    c->api.finished = last;
    if (last)
        c->asked = c->api.body_left > 0;
    if (!c->api.head && body.n > 0 && cpn_conn_send(c, body) != CPN_OK) {
        cpn_conn_advance(c, CPN_STAGE_CLOSED);
        return false;
    }
    return true;
}

void
cpn_api_reply(cpn_conn *c, const cpn_msg_REPLY *m)
{
    bool empty = m->status == 204 || m->status == 304;
    cpn_http_answer a = { .status = m->status, .body = m->length, .more = m->headers };

    if (c->stage != CPN_STAGE_API || c->api.replied)
        return;
    /* A client that is still sending its body cannot be asked for another request. */
    if (c->api.body_left > 0 || m->status >= 400 || c->front->draining)
        c->api.close = true;
    a.close = c->api.close;
    c->api.replied = true;
    c->api.reply_left = empty || c->api.head ? 0 : m->length;
    cpn_conn_deadline(c, CPN_CONN_REPLY_MS);
    if (cpn_answer_head(c, &a) != CPN_OK) {
        cpn_conn_advance(c, CPN_STAGE_CLOSED);
        return;
    }
    if (body_put(c, empty || c->api.head ? (cpn_view){ NULL, 0 } : m->body, m->last))
        cpn_api_sent(c);
}

void
cpn_api_reply_body(cpn_conn *c, const cpn_msg_REPLY_BODY *m)
{
    if (c->stage != CPN_STAGE_API || !c->api.replied || c->api.finished)
        return;
    if (body_put(c, c->api.head ? (cpn_view){ NULL, 0 } : m->body, m->last))
        cpn_api_sent(c);
}

void
cpn_api_sent(cpn_conn *c)
{
    if (c->api.finished && cpn_conn_sent(c))
        cpn_conn_advance(c, c->api.close ? CPN_STAGE_LINGER : CPN_STAGE_HTTP);
}

void
cpn_api_expired(cpn_conn *c)
{
    if (c->api.replied)
        cpn_conn_advance(c, CPN_STAGE_CLOSED);
    else if (c->api.body_left > 0)
        cpn_answer_refuse(c, 408, "the request did not arrive in time");
    else
        cpn_answer_refuse(c, 503, cpn_reason_sentence(CPN_WHY_BUSY));
}

void
cpn_api_lost(cpn_conn *c)
{
    c->asked = false;
    if (c->api.finished)
        return;
    if (c->api.replied)
        cpn_conn_advance(c, CPN_STAGE_CLOSED);
    else
        cpn_answer_refuse(c, 503, cpn_reason_sentence(CPN_WHY_CONTROL_AWAY));
}
