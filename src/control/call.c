/* Takes a request from the front: checks what can be checked before the body, collects the body,
 * hands the call to the dispatcher. */
#include "control/call.h"

#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/log.h"
#include "codec/httphead.h"
#include "control/accounts.h"
#include "control/held.h"
#include "control/penalties.h"
#include "control/reply.h"

#define HEADERS_MAX 3072 /* bytes; REPLY takes 4096 in all */

/* ---- what a call knows ---- */

const cpn_principal *
cpn_call_who(const cpn_call *call)
{
    const cpn_principal *who = NULL;

    if (call->signed_in)
        (void)cpn_account_refusal(call->c->snapshot, call->claims.object_id, call->claims.epoch,
                                  &who);
    return who;
}

bool
cpn_call_account_ok(cpn_call *call)
{
    cpn_reason why =
        cpn_account_refusal(call->c->snapshot, call->claims.object_id, call->claims.epoch, NULL);

    if (why)
        cpn_reply_reason(call, why);
    return why == CPN_WHY_NONE;
}

const char *
cpn_call_param(const cpn_call *call, const char *name)
{
    return cpn_param(&call->params, name);
}

bool
cpn_call_query(const cpn_call *call, const char *name, char *out, size_t size)
{
    cpn_view v = cpn_form_get(&call->query, name);

    out[0] = '\0';
    return v.p && cpn_view_copy(v, out, size);
}

void
cpn_call_header(cpn_call *call, const char *name, const char *value)
{
    if (cpn_http_line_put(&call->headers, name, cpn_view_str(value)) != CPN_OK)
        cpn_log(CPN_LOG_ERROR, "call.header", CPN_KV("name", name));
}

void
cpn_call_note(cpn_call *call, const char *name, const char *value)
{
    if (!call->noted)
        call->noted = json_object();
    json_object_set_new(call->noted, name, json_string(value));
}

static void
collected(cpn_call *call)
{
    if (call->collecting)
        DL_DELETE(call->c->collecting, call);
    call->collecting = false;
}

void
cpn_call_free(cpn_call *call)
{
    cpn_conn *conn = call->conn;

    collected(call);
    if (conn) {
        conn->call = NULL;
        cpn_conn_tidy(conn);
    }
    call->c->calls--;
    free(call->path);
    free(call->proof);
    free(call->query_text);
    cpn_buf_fini(&call->headers);
    cpn_buf_fini(&call->body);
    json_decref(call->json);
    json_decref(call->noted);
    if (call->out)
        explicit_bzero(call->out, call->out_n);
    free(call->out);
    explicit_bzero(call, sizeof(*call));
    free(call);
}

void
cpn_call_detach(cpn_call *call)
{
    call->conn->call = NULL;
    call->conn = NULL;
    /* Still collecting, or answered and sending: nobody else would free it. */
    if (call->answered || !call->dispatched)
        cpn_call_free(call);
}

/* ---- begin ---- */

/* A line of REQUEST.headers ("name: value\r\n"). */
static cpn_view
header_line(cpn_view lines, const char *name)
{
    cpn_view line, rest;

    for (;; lines = rest) {
        bool more = cpn_view_cut(lines, '\n', &line, &rest);
        cpn_view key, value;

        if (cpn_view_cut(line, ':', &key, &value) && cpn_view_is_nocase(key, name)) {
            while (value.n && (value.p[0] == ' ' || value.p[0] == '\t'))
                value = cpn_view_skip(value, 1);
            while (value.n && (value.p[value.n - 1] == '\r' || value.p[value.n - 1] == ' '))
                value.n--;
            return value;
        }
        if (!more)
            return (cpn_view){ 0 };
    }
}

static void
header_into(const cpn_msg_REQUEST *m, const char *name, char *out, size_t size)
{
    (void)cpn_view_copy(header_line(m->headers, name), out, size);
}

/* A condition too long to read must not turn into none: `closed` is what lets least through. */
static void
condition_into(const cpn_msg_REQUEST *m, const char *name, const char *closed, char *out,
               size_t size)
{
    if (!cpn_view_copy(header_line(m->headers, name), out, size))
        snprintf(out, size, "%s", closed);
}

/* The one empty segment that a front lets pass (httphead.h) says nothing, nor does one at the end
 * of an ARM address. */
static char *
path_text(cpn_view path)
{
    char *text = cpn_xstrndup((const char *)path.p, path.n), *gap = strstr(text, "//");
    size_t n;

    if (gap)
        memmove(gap, gap + 1, strlen(gap));
    n = strlen(text);
    if (n > 1 && text[n - 1] == '/' && cpn_errors_at(cpn_view_str(text)) == CPN_ERRORS_ARM)
        text[n - 1] = '\0';
    return text;
}

static void
proof_into(cpn_call *call, const cpn_msg_REQUEST *m)
{
    call->proof = cpn_xstrndup((const char *)m->proof.p, m->proof.n);
    call->exporter_n = CPN_MIN(m->exporter.n, sizeof(call->exporter));
    memcpy(call->exporter, m->exporter.p, call->exporter_n);
}

static cpn_call *
call_new(cpn_conn *conn, const cpn_msg_REQUEST *m)
{
    cpn_call *call = cpn_xcalloc(1, sizeof(*call));

    call->c = conn->front->c;
    call->conn = conn;
    conn->call = call;
    call->c->calls++;
    call->c->count.requests++;
    call->began_ms = cpn_mono_ms();
    call->peer = m->peer;
    call->peer_port = m->peer_port;
    call->length = m->length;
    (void)cpn_view_copy(m->user_agent, call->user_agent, sizeof(call->user_agent));
    call->path = path_text(m->path);
    call->headers.max = HEADERS_MAX;
    call->own_client = cpn_view_is(header_line(m->headers, "caponier-client"), "1");
    condition_into(m, "if-match", "\"\"", call->if_match, sizeof(call->if_match));
    condition_into(m, "if-none-match", "*", call->if_none_match, sizeof(call->if_none_match));
    header_into(m, "x-ms-client-request-id", call->client_request_id,
                sizeof(call->client_request_id));
    header_into(m, "cookie", call->browser, sizeof(call->browser));
    header_into(m, "authorization", call->basic, sizeof(call->basic));
    header_into(m, "x-identity-header", call->identity_header, sizeof(call->identity_header));
    if (!call->identity_header[0])
        header_into(m, "secret", call->identity_header, sizeof(call->identity_header));
    call->metadata = cpn_view_is_nocase(header_line(m->headers, "metadata"), "true");
    if (m->proof.n > 0)
        proof_into(call, m);
    return call;
}

/* Who is calling? True: go on. False: answered. */
static bool
identify(cpn_call *call, const cpn_msg_REQUEST *m)
{
    cpn_control *c = call->c;
    cpn_reason why = CPN_WHY_TOKEN_INVALID;
    unsigned wait;
    cpn_err err = { 0 };
    cpn_rc rc;

    if (call->route->from == CPN_SCOPE_ANYONE || call->route->from == CPN_SCOPE_OPERATOR)
        return true;
    if (m->bearer.n == 0) {
        cpn_reply_rc(call, CPN_UNAUTHENTICATED, NULL, NULL);
        return false;
    }
    rc = cpn_identity_verify(c->identity, m->bearer, cpn_wall_s(), &call->claims, &why, &err);
    if (rc != CPN_OK) {
        wait = cpn_penalty_token(c->penalties, &call->peer, why, call->route->path);
        if (rc < 0)
            cpn_reply_rc(call, rc, NULL, &err);
        else if (wait)
            cpn_reply_wait(call, wait);
        else
            cpn_reply_reason(call, why);
        return false;
    }
    if (!cpn_held_call(c, m, &call->claims)) {
        cpn_reply_reason(call, CPN_WHY_KEY_PROOF);
        return false;
    }
    call->signed_in = true;
    return cpn_call_account_ok(call);
}

/* Is the announced body one that the row takes? False: answered. */
static bool
body_fits(cpn_call *call, const cpn_msg_REQUEST *m)
{
    static const char *const type[] = {
        [CPN_BODY_JSON] = "application/json", [CPN_BODY_FORM] = "application/x-www-form-urlencoded"
    };
    cpn_body_kind kind = call->route->body;
    cpn_view said, rest;

    if (m->length > cpn_route_body_max(call->c, call->route)) {
        cpn_reply_error(call, 413, "too_large", "the body is longer than this address takes", NULL);
        return false;
    }
    if (kind == CPN_BODY_NONE || m->length == 0)
        return true;
    (void)cpn_view_cut(m->content_type, ';', &said, &rest);
    while (said.n && said.p[said.n - 1] == ' ')
        said.n--;
    if (cpn_view_is_nocase(said, type[kind]))
        return true;
    cpn_reply_error(call, 415, "media_type", "the body's Content-Type is not the one expected here",
                    NULL);
    return false;
}

/* Azure has types that this gateway has not. */
static const char *
nothing_word(const cpn_call *call)
{
    return call->errors == CPN_ERRORS_ARM && strcasestr(call->path, "/providers/")
               ? "InvalidResourceType"
               : "not_found";
}

/* True: a row was found and may be reached by this listener. False: answered. */
static bool
route_find(cpn_call *call, const cpn_msg_REQUEST *m)
{
    char allow[64] = "";
    cpn_rc rc =
        cpn_api_match(m->method, cpn_view_str(call->path), &call->route, &call->params, allow);
    bool operator_row = rc == CPN_OK && call->route->from == CPN_SCOPE_OPERATOR;
    bool closed = rc == CPN_OK && cpn_route_azure(call->route) && !call->c->set.az_clients;

    if (m->admin != 1 && call->c->set.az_clients)
        call->errors = cpn_errors_at(cpn_view_str(call->path));
    if (rc == CPN_DENIED) {
        cpn_reply_method(call, allow);
        return false;
    }
    if (rc != CPN_OK || closed || operator_row != (m->admin == 1)) {
        call->route = NULL;
        cpn_reply_error(call, 404, nothing_word(call), "there is nothing at this address", NULL);
        return false;
    }
    call->errors = call->route->errors;
    return true;
}

static bool
query_read(cpn_call *call, const cpn_msg_REQUEST *m)
{
    cpn_err err = { 0 };

    if (m->query.n == 0)
        return true;
    call->query_text = cpn_xcalloc(1, m->query.n);
    memcpy(call->query_text, m->query.p, m->query.n);
    if (cpn_form_parse(call->query_text, m->query.n, &call->query, &err) == CPN_OK)
        return true;
    cpn_reply_rc(call, CPN_INVALID, "the query is not name=value pairs", NULL);
    return false;
}

static void
call_whole(cpn_call *call)
{
    collected(call);
    call->dispatched = true;
    cpn_api_dispatch(call);
}

/* Else those who announce bodies and send none could take every place: the oldest goes, a
 * stranger's first. */
static bool
room_made(cpn_control *c)
{
    cpn_call *goes;

    if (c->calls < CPN_CALLS_MAX)
        return true;
    DL_FOREACH (c->collecting, goes)
        if (!goes->signed_in)
            break;
    goes = goes ? goes : c->collecting;
    if (!goes)
        return false;
    collected(goes);
    cpn_reply_reason(goes, CPN_WHY_BUSY);
    return c->calls < CPN_CALLS_MAX;
}

void
cpn_call_begin(cpn_front *f, const cpn_msg_REQUEST *m)
{
    cpn_conn *conn = cpn_conn_get(f, m->conn);
    cpn_call *call;

    if (conn && (conn->call || conn->carrier)) {
        cpn_front_kill(f, "a second request on a busy connection");
        return;
    }
    if (!conn || !room_made(f->c)) {
        if (conn)
            cpn_conn_tidy(conn);
        cpn_reply_busy(f, m);
        return;
    }
    call = call_new(conn, m);
    if (!route_find(call, m) || !body_fits(call, m) || !query_read(call, m) || !identify(call, m) ||
        !cpn_api_may_early(call))
        return; /* answered */
    call->body.max = cpn_route_body_max(f->c, call->route);
    if (m->last) {
        call_whole(call);
    } else {
        DL_APPEND(f->c->collecting, call);
        call->collecting = true;
    }
}

void
cpn_call_body(cpn_front *f, const cpn_msg_BODY *m)
{
    cpn_conn *conn = cpn_conn_find(f, m->conn);
    cpn_call *call = conn ? conn->call : NULL;

    /* The rest of a request that was refused before its body. */
    if (!call || call->answered)
        return;
    if (call->dispatched || m->body.n > call->length - call->body.n ||
        cpn_buf_append(&call->body, m->body) != CPN_OK) {
        cpn_front_kill(f, "more body than was announced");
        return;
    }
    if (m->last)
        call_whole(call);
}
