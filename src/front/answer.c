/* Writes the answers that need no question to control. */
#include "front/answer.h"

#include <stdio.h>

#include "base/clock.h"
#include "codec/httpdate.h"

/* Two years; only where TLS is. */
#define HSTS "Strict-Transport-Security: max-age=63072000\r\n"
#define NOSNIFF "X-Content-Type-Options: nosniff\r\n"

/* Room for control's 4 KiB of lines and ours. */
#define HEAD_MAX 8192
#define BODY_MAX 1024

static const struct {
    int status;
    const char *word;
    const char *line;
} refusals[] = {
    { 400, "bad_request", "" },
    { 401, "unauthenticated", "WWW-Authenticate: Bearer\r\n" },
    { 403, "denied", "" },
    { 404, "not_found", "" },
    { 405, "method_not_allowed", "Allow: GET\r\n" },
    { 408, "timeout", "" },
    { 411, "length_required", "" },
    { 413, "too_large", "" },
    { 414, "too_long", "" },
    { 417, "expectation_failed", "" },
    { 421, "misdirected", "" },
    { 426, "upgrade_required",
      "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" },
    { 431, "head_too_large", "" },
    { 503, "unavailable", "Retry-After: 1\r\n" },
    { 505, "version", "" },
};

static size_t
refusal_of(int status)
{
    for (size_t i = 0; i < CPN_COUNT(refusals); i++)
        if (refusals[i].status == status)
            return i;
    return 0;
}

cpn_rc
cpn_answer_head(cpn_conn *c, const cpn_http_answer *a)
{
    cpn_buf head = { .max = HEAD_MAX }, more = { .max = HEAD_MAX };
    cpn_http_answer full = *a;
    char date[CPN_HTTPDATE_SIZE];
    cpn_rc rc;

    cpn_httpdate_put(cpn_wall_s(), date);
    if ((rc = cpn_buf_append(&more, a->more)) == CPN_OK &&
        (rc = cpn_http_line_put(&more, "Date", cpn_view_str(date))) == CPN_OK &&
        (rc = cpn_buf_append(&more, CPN_VIEW_LIT(NOSNIFF))) == CPN_OK && !c->admin)
        rc = cpn_buf_append(&more, CPN_VIEW_LIT(HSTS));
    full.more = cpn_buf_view(&more);
    if (rc == CPN_OK)
        rc = cpn_http_answer_put(&head, &full);
    if (rc == CPN_OK)
        rc = cpn_conn_send(c, cpn_buf_view(&head));
    cpn_buf_fini(&head);
    cpn_buf_fini(&more);
    return rc == CPN_OK ? CPN_OK : CPN_LIMIT;
}

static void
answer_and_close(cpn_conn *c, int status, cpn_view body)
{
    cpn_http_answer a = { .status = status,
                          .content_type = "application/json",
                          .body = body.n,
                          .close = true,
                          .more = cpn_view_str(refusals[refusal_of(status)].line) };

    if (refusals[refusal_of(status)].status != status)
        a.more.n = 0;
    c->front->count.http_refused++;
    if (cpn_answer_head(c, &a) != CPN_OK || (!c->api.head && cpn_conn_send(c, body) != CPN_OK)) {
        cpn_conn_advance(c, CPN_STAGE_CLOSED);
        return;
    }
    cpn_conn_advance(c, CPN_STAGE_LINGER);
}

void
cpn_answer_refuse(cpn_conn *c, int status, const char *sentence)
{
    const char *word = refusals[refusal_of(status)].word;
    char body[BODY_MAX];
    int n;

    if (c->azure)
        n = snprintf(body, sizeof(body), "{\"message\":\"%s\"}\n", sentence);
    else if (c->oauth)
        n = snprintf(body, sizeof(body), "{\"error\":\"%s\",\"error_description\":\"%s\"}\n",
                     status == 503 ? "temporarily_unavailable" : "invalid_request", sentence);
    else
        n = snprintf(body, sizeof(body), "{\"error\":{\"code\":\"%s\",\"message\":\"%s\"}}\n", word,
                     sentence);
    answer_and_close(c, status, (cpn_view){ (const uint8_t *)body, (size_t)CPN_MAX(n, 0) });
}

void
cpn_answer_json(cpn_conn *c, int status, cpn_view json)
{
    if (json.n == 0)
        cpn_answer_refuse(c, status, cpn_http_phrase(status));
    else
        answer_and_close(c, status, json);
}

void
cpn_answer_text(cpn_conn *c, int status, cpn_view text)
{
    cpn_http_answer a = {
        .status = status, .content_type = "text/plain; charset=utf-8", .body = text.n, .close = true
    };

    if (cpn_answer_head(c, &a) != CPN_OK || (!c->api.head && cpn_conn_send(c, text) != CPN_OK)) {
        cpn_conn_advance(c, CPN_STAGE_CLOSED);
        return;
    }
    cpn_conn_advance(c, CPN_STAGE_LINGER);
}
