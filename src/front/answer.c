/* Writes the answers that need no question to control. */
#include "front/answer.h"

#include <stdio.h>

#include "base/clock.h"
#include "codec/httpdate.h"
#include "model/uuid.h"

/* Two years; only where TLS is. */
#define HSTS "Strict-Transport-Security: max-age=63072000\r\n"
#define NOSNIFF "X-Content-Type-Options: nosniff\r\n"

/* Room for control's 4 KiB of lines and ours. */
#define HEAD_MAX 8192
#define BODY_MAX 1024
#define LINES_MAX 256

static const struct {
    int status;
    const char *word;
    const char *arm; /* Azure's word for it */
    const char *line;
} refusals[] = {
    { 400, "bad_request", "BadRequest", "" },
    { 401, "unauthenticated", "AuthenticationFailed", "WWW-Authenticate: Bearer\r\n" },
    { 403, "denied", "Forbidden", "" },
    { 404, "not_found", "NotFound", "" },
    { 405, "method_not_allowed", "HttpMethodNotAllowed", "Allow: GET\r\n" },
    { 408, "timeout", "RequestTimeout", "" },
    { 411, "length_required", "LengthRequired", "" },
    { 413, "too_large", "RequestContentTooLarge", "" },
    { 414, "too_long", "RequestUriTooLong", "" },
    { 417, "expectation_failed", "ExpectationFailed", "" },
    { 421, "misdirected", "MisdirectedRequest", "" },
    { 426, "upgrade_required", "UpgradeRequired",
      "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" },
    { 431, "head_too_large", "RequestHeaderTooLarge", "" },
    { 503, "unavailable", "ServiceUnavailable", "Retry-After: 1\r\n" },
    { 505, "version", "HttpVersionNotSupported", "" },
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

/* The lines that go with a status; with an ARM answer also the number by which it is told apart. */
static cpn_view
lines_of(const cpn_conn *c, int status, char out[LINES_MAX])
{
    size_t i = refusal_of(status);
    const char *line = refusals[i].status == status ? refusals[i].line : "";
    char id[CPN_UUID_TEXT];
    cpn_uuid uuid;

    if (c->errors != CPN_ERRORS_ARM)
        return cpn_view_str(line);
    cpn_uuid_new(&uuid);
    cpn_uuid_text(&uuid, id);
    snprintf(out, LINES_MAX, "%sx-ms-request-id: %s\r\n", line, id);
    return cpn_view_str(out);
}

static void
answer_and_close(cpn_conn *c, int status, cpn_view body)
{
    char lines[LINES_MAX];
    cpn_http_answer a = { .status = status,
                          .content_type = c->errors == CPN_ERRORS_API
                                              ? "application/json"
                                              : "application/json; charset=utf-8",
                          .body = body.n,
                          .close = true,
                          .more = lines_of(c, status, lines) };

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
    size_t i = refusal_of(status);
    char body[BODY_MAX];
    int n;

    if (c->errors == CPN_ERRORS_AZ)
        n = snprintf(body, sizeof(body), "{\"message\":\"%s\"}\n", sentence);
    else if (c->errors == CPN_ERRORS_OAUTH)
        n = snprintf(body, sizeof(body), "{\"error\":\"%s\",\"error_description\":\"%s\"}\n",
                     status == 503 ? "temporarily_unavailable" : "invalid_request", sentence);
    else
        n = snprintf(body, sizeof(body), "{\"error\":{\"code\":\"%s\",\"message\":\"%s\"}}\n",
                     c->errors == CPN_ERRORS_ARM ? refusals[i].arm : refusals[i].word, sentence);
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
