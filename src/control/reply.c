/* Turns outcomes into HTTP answers and sends them piece by piece. */
#include "control/reply.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "codec/chars.h"
#include "codec/httphead.h"
#include "control/arm.h"
#include "control/page.h"
#include "control/trail.h"

#define PIECE 32768
#define RETRY_LIMIT_TEXT "5" /* somebody has to end a session first, or time to pass */

typedef struct answer {
    int status;
    const char *content_type;
} answer;

/* ---- sending ---- */

static void
send_head(cpn_call *call, const answer *a)
{
    char headers[4096];
    cpn_msg m = {
        .type = CPN_MSG_REPLY,
        .REPLY = { .conn = call->conn->id, .status = (uint16_t)a->status, .length = call->out_n }
    };
    size_t n = CPN_MIN(call->out_n, (size_t)PIECE);

    cpn_arm_headers(call);
    snprintf(headers, sizeof(headers), "%s%s%s%.*s", a->content_type ? "Content-Type: " : "",
             a->content_type ? a->content_type : "", a->content_type ? "\r\n" : "",
             CPN_VIEW_ARG(cpn_buf_view(&call->headers)));
    m.REPLY.headers = cpn_view_str(headers);
    m.REPLY.body = (cpn_view){ call->out, n };
    m.REPLY.last = n == call->out_n;
    call->out_sent = n;
    (void)cpn_front_send(call->conn->front, &m, -1);
}

/* Sends what the channel takes; frees the call after the last piece. */
static void
send_rest(cpn_call *call)
{
    while (call->conn && call->out_sent < call->out_n) {
        cpn_front *f = call->conn->front;
        size_t n = CPN_MIN(call->out_n - call->out_sent, (size_t)PIECE);
        cpn_msg m = { .type = CPN_MSG_REPLY_BODY,
                      .REPLY_BODY = { .conn = call->conn->id,
                                      .last = n == call->out_n - call->out_sent,
                                      .body = { call->out + call->out_sent, n } } };

        if (!f->channel)
            break;
        if (cpn_channel_parked(f->channel) > CPN_IPC_PARKED_HIGH)
            return;
        call->out_sent += n;
        if (!cpn_front_send(f, &m, -1))
            break;
    }
    cpn_call_free(call);
}

void
cpn_replies_resume(cpn_front *f)
{
    cpn_conn *conn, *next;

    HASH_ITER (hh, f->conns, conn, next) {
        if (conn->call && conn->call->answered)
            send_rest(conn->call);
    }
}

/* body is malloc'd and taken. */
static void
answer_send(cpn_call *call, const answer *a, CPN_TAKES char *body)
{
    cpn_control *c = call->c;

    if (call->answered)
        abort(); /* a bug in us: a handler answered twice */
    call->answered = true;
    c->count.answers[CPN_MIN(a->status / 100, 5)]++;
    if (call->route && call->route->audit && !call->audited)
        cpn_trail_call(call, a->status);
    call->out = (uint8_t *)body;
    call->out_n = body ? strlen(body) : 0;
    if (!call->conn) {
        cpn_call_free(call);
        return;
    }
    send_head(call, a);
    send_rest(call);
}

/* ---- shapes ---- */

/* Azure's clients guess the encoding of what does not name it. */
static const char *
json_media(const cpn_call *call)
{
    return call->errors == CPN_ERRORS_API ? "application/json" : "application/json; charset=utf-8";
}

void
cpn_reply_json(CPN_TAKES cpn_call *call, int status, CPN_TAKES json_t *body)
{
    answer a = { .status = status, .content_type = body ? json_media(call) : NULL };
    char *text = body ? cpn_json_text(body) : NULL;

    json_decref(body);
    answer_send(call, &a, text);
}

void
cpn_reply_text(CPN_TAKES cpn_call *call, const char *content_type, const char *text)
{
    answer a = { .status = 200, .content_type = content_type };

    answer_send(call, &a, cpn_xstrdup(text));
}

void
cpn_reply_page(CPN_TAKES cpn_call *call, int status, cpn_view html)
{
    answer a = { .status = status, .content_type = html.n ? "text/html; charset=utf-8" : NULL };

    answer_send(call, &a, html.n ? cpn_xstrndup((const char *)html.p, html.n) : NULL);
}

void
cpn_reply_list(CPN_TAKES cpn_call *call, CPN_TAKES json_t *value, const char *next)
{
    json_t *body = json_pack("{s:o,s:s?}", "value", value, "nextLink", next);

    cpn_reply_json(call, 200, body);
}

static const char *
oauth_word(int status)
{
    switch (status) {
    case 401:
        return "invalid_client";
    case 429:
    case 503:
        return "temporarily_unavailable";
    case 500:
        return "server_error";
    default:
        return "invalid_request";
    }
}

#define OAUTH_PROOF "invalid_dpop_proof" /* RFC 9449 5; its status says less */

/* Azure's word for ours; words that are Azure's already begin with a capital. */
static const char *
arm_code(const char *word)
{
    static const struct {
        const char *ours, *azure;
    } codes[] = {
        { "denied", "AuthorizationFailed" },
        { "not_found", "ResourceNotFound" },
        { "unauthenticated", "AuthenticationFailed" },
        { "principal_disabled", "AuthenticationFailed" },
        { "token_invalid", "InvalidAuthenticationToken" },
        { "token_expired", "ExpiredAuthenticationToken" },
        { "key_proof", "InvalidAuthenticationToken" },
        { "invalid", "InvalidRequestContent" },
        { "media_type", "UnsupportedMediaType" },
        { "too_large", "RequestContentTooLarge" },
        { "conflict", "Conflict" },
        { "too_many_requests", "TooManyRequests" },
        { "method_not_allowed", "HttpMethodNotAllowed" },
        { "busy", "ServiceUnavailable" },
        { "limit", "ServiceUnavailable" },
        { "unavailable", "ServiceUnavailable" },
        { "again", "ServiceUnavailable" },
    };

    for (size_t i = 0; i < CPN_COUNT(codes); i++)
        if (strcmp(word, codes[i].ours) == 0)
            return codes[i].azure;
    return word[0] >= 'A' && word[0] <= 'Z' ? word : "InternalServerError";
}

static json_t *
error_body(cpn_error_style errors, int status, const char *word, const char *sentence)
{
    switch (errors) {
    case CPN_ERRORS_AZ:
        return json_pack("{s:s,s:s}", "message", sentence, "code", word);
    case CPN_ERRORS_ARM:
        return json_pack("{s:{s:s,s:s}}", "error", "code", arm_code(word), "message", sentence);
    case CPN_ERRORS_OAUTH:
        return json_pack("{s:s,s:s}", "error",
                         strcmp(word, OAUTH_PROOF) == 0 ? word : oauth_word(status),
                         "error_description", sentence);
    default:
        return json_pack("{s:{s:s,s:s}}", "error", "code", word, "message", sentence);
    }
}

static void
error_send(cpn_call *call, answer *a, const char *word, const char *said, json_t *more)
{
    CPN_AUTO(cpn_auto_mem) char *sentence = cpn_xstrdup(said);
    json_t *body;
    char *text;

    cpn_utf8_mend(sentence);
    if (call->errors == CPN_ERRORS_PAGE) {
        json_decref(more);
        cpn_call_note(call, "reason", word);
        cpn_page_say(call, a->status, "That did not work", sentence);
        return;
    }
    body = error_body(call->errors, a->status, word, sentence);
    if (more)
        json_object_update_missing(body, more);
    json_decref(more);
    text = cpn_json_text(body);
    json_decref(body);
    a->content_type = json_media(call);
    cpn_call_note(call, "reason", word);
    cpn_call_note(call, "message", sentence);
    answer_send(call, a, text);
}

/* RFC 6750 3: whose token is asked for and, when there was one, what is wrong with it. */
static void
challenge(cpn_call *call, const char *word, const char *sentence)
{
    char line[512];

    if (call->errors == CPN_ERRORS_API) {
        cpn_call_header(call, "WWW-Authenticate", "Bearer");
    } else if (call->errors == CPN_ERRORS_ARM || call->errors == CPN_ERRORS_GRAPH) {
        int n = snprintf(line, sizeof(line), "Bearer authorization_uri=\"https://%s/adfs\"",
                         call->c->host);

        if (strcmp(word, "unauthenticated") != 0)
            snprintf(line + n, sizeof(line) - (size_t)n,
                     ", error=\"invalid_token\", error_description=\"%.200s\"", sentence);
        cpn_call_header(call, "WWW-Authenticate", line);
    }
}

void
cpn_reply_error(CPN_TAKES cpn_call *call, int status, const char *word, const char *sentence,
                CPN_TAKES json_t *more)
{
    answer a = { .status = status };

    if (status == 401)
        challenge(call, word, sentence);
    if (status == 503)
        cpn_call_header(call, "Retry-After", "1");
    else if (status == 429)
        cpn_call_header(call, "Retry-After", RETRY_LIMIT_TEXT);
    error_send(call, &a, word, sentence, more);
}

static const char *
rc_sentence(cpn_rc rc)
{
    switch (rc) {
    case CPN_NOT_FOUND:
        return "there is no such thing, or you may not see it";
    case CPN_EXISTS:
        return "it exists already, or was changed meanwhile";
    case CPN_DENIED:
        return "you may not do this";
    case CPN_LIMIT:
    case CPN_UNAVAILABLE:
    case CPN_AGAIN:
        return "the gateway is at one of its limits; try again shortly";
    case CPN_UNAUTHENTICATED:
        return "sign in first";
    case CPN_INVALID:
        return "the request is not understood";
    default:
        return "the gateway failed; its log says why";
    }
}

void
cpn_reply_rc(CPN_TAKES cpn_call *call, cpn_rc rc, const char *sentence, const cpn_err *err)
{
    if (rc < 0)
        cpn_log(CPN_LOG_ERROR, "call.failed", CPN_KV("path", call->route ? call->route->path : "?"),
                CPN_KV("error", err ? err->msg : "?"));
    /* A full store or queue is ours, not the caller's rate. */
    cpn_reply_error(call, rc == CPN_LIMIT ? 503 : cpn_rc_http(rc), cpn_rc_word(rc),
                    sentence && rc > 0 ? sentence : rc_sentence(rc), NULL);
}

void
cpn_reply_reason(CPN_TAKES cpn_call *call, cpn_reason why)
{
    cpn_reply_error(call, cpn_reason_http(why), cpn_reason_word(why), cpn_reason_sentence(why),
                    NULL);
}

void
cpn_reply_wait(CPN_TAKES cpn_call *call, unsigned seconds)
{
    answer a = { .status = 429 };
    char text[16];

    snprintf(text, sizeof(text), "%u", seconds ? seconds : 1);
    cpn_call_header(call, "Retry-After", text);
    error_send(call, &a, "too_many_requests", "too many attempts; try again later", NULL);
}

void
cpn_reply_method(CPN_TAKES cpn_call *call, const char *allow)
{
    answer a = { .status = 405 };

    cpn_call_header(call, "Allow", allow);
    error_send(call, &a, "method_not_allowed", "this address has no such method", NULL);
}

void
cpn_reply_busy(cpn_front *f, const cpn_msg_REQUEST *m)
{
    static const char headers[] = "Content-Type: application/json\r\nRetry-After: 1\r\n";
    json_auto_t *body = error_body(cpn_errors_at(m->path), 503, cpn_reason_word(CPN_WHY_BUSY),
                                   cpn_reason_sentence(CPN_WHY_BUSY));
    CPN_AUTO(cpn_auto_mem) char *text = cpn_json_text(body);
    cpn_msg reply = { .type = CPN_MSG_REPLY,
                      .REPLY = { .conn = m->conn,
                                 .status = 503,
                                 .last = 1,
                                 .length = strlen(text),
                                 .headers = CPN_VIEW_LIT(headers),
                                 .body = cpn_view_str(text) } };

    (void)cpn_front_send(f, &reply, -1);
}
