/* Calls the gateway's API and turns its answers into results or sentences. */
#include "client/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "client/gateway.h"

#define TARGET_MAX 4096

void
cpn_api_fini(cpn_api *a)
{
    cpn_context_fini(&a->ctx);
    cpn_tls_ctx_free(a->tls);
    a->tls = NULL;
    free(a->ca);
    a->ca = NULL;
}

/* The CA that the file names is that of its own gateway. */
static const char *
ca_for(const cpn_gateway_file *file, const char *origin)
{
    char theirs[CPN_URL_ORIGIN_SIZE];
    cpn_url url;

    if (!file->ca[0] || cpn_url_parse(cpn_view_str(file->gateway), &url, NULL) != CPN_OK)
        return NULL;
    cpn_url_origin(&url, theirs);
    return strcmp(theirs, origin) == 0 ? file->ca : NULL;
}

/* Which library encrypts; a word that is not known must not be taken for one that is. */
static cpn_rc
tls_options(unsigned *options, cpn_err *err)
{
    const char *aes = getenv("CAPONIER_TLS_AES");

    *options = aes && strcmp(aes, "openssl") == 0 ? CPN_TLS_OPENSSL_AES : 0;
    if (!aes || *options || strcmp(aes, "auto") == 0)
        return CPN_OK;
    return cpn_fail(err, CPN_INVALID, "CAPONIER_TLS_AES: '%s' (expected auto|openssl)", aes);
}

/* What was said here and now, then with the sign-in, then for everybody on this machine. */
static cpn_rc
make_trust(cpn_api *a, const cpn_gateway_file *file, cpn_err *err)
{
    const char *ca = cpn_args_get(&a->cli->args, "ca");
    cpn_tls_trust trust = { 0 };
    unsigned options;
    cpn_rc rc;

    if ((rc = tls_options(&options, err)) != CPN_OK)
        return rc;
    if (!ca)
        ca = a->ctx.ca ? a->ctx.ca : ca_for(file, a->origin);
    a->ca = ca ? cpn_xstrdup(ca) : NULL;
    trust.ca_file = a->ca;
    return cpn_tls_ctx_client(&a->tls, &trust, options, err);
}

/* The stored sign-in of a gateway and an account (NULL: the current one); none is no failure. */
static cpn_rc
load_context(cpn_api *a, const char *gateway, const char *account, cpn_err *err)
{
    cpn_rc rc;

    cpn_context_fini(&a->ctx);
    if (!a->dir[0])
        return CPN_OK;
    rc = cpn_contexts_get(a->dir, gateway, account, &a->ctx, err);
    if (rc == CPN_NOT_FOUND && err)
        err->msg[0] = '\0';
    return rc == CPN_NOT_FOUND ? CPN_OK : rc;
}

cpn_rc
cpn_api_init(cpn_api *a, cpn_cli *cli, cpn_err *err)
{
    const char *flag = cpn_args_get(&cli->args, "gateway");
    const char *env = getenv("CAPONIER_GATEWAY");
    const char *account = cpn_args_get(&cli->args, "account");
    cpn_gateway_file file = { 0 };
    cpn_rc rc;

    a->cli = cli;
    if (!flag && env && env[0])
        flag = env;
    if (cpn_contexts_dir(a->dir, sizeof(a->dir), NULL) != CPN_OK)
        a->dir[0] = '\0';
    if (!flag && (rc = load_context(a, NULL, account, err)) != CPN_OK)
        return rc;
    if ((rc = cpn_gateway_file_read(CPN_CLIENT_YAML, &file, err)) != CPN_OK ||
        (rc = cpn_gateway_choose(flag, a->ctx.gateway, &file, &a->url, err)) != CPN_OK)
        return rc;
    cpn_url_origin(&a->url, a->origin);
    if (!a->ctx.gateway && (rc = load_context(a, a->origin, account, err)) != CPN_OK)
        return rc;
    return make_trust(a, &file, err);
}

cpn_rc
cpn_api_stored(cpn_api *a, cpn_cli *cli, const char *gateway, const char *account, cpn_err *err)
{
    cpn_gateway_file file = { 0 };
    cpn_rc rc;

    a->cli = cli;
    if ((rc = cpn_contexts_dir(a->dir, sizeof(a->dir), err)) != CPN_OK ||
        (rc = cpn_gateway_file_read(CPN_CLIENT_YAML, &file, err)) != CPN_OK ||
        (rc = cpn_contexts_get(a->dir, gateway, account, &a->ctx, err)) != CPN_OK ||
        (rc = cpn_gateway_choose(a->ctx.gateway, NULL, NULL, &a->url, err)) != CPN_OK)
        return rc;
    cpn_url_origin(&a->url, a->origin);
    return make_trust(a, &file, err);
}

cpn_rc
cpn_api_open(cpn_api *a, cpn_cli *cli, cpn_err *err)
{
    cpn_rc rc = cpn_api_init(a, cli, err);

    return rc == CPN_OK ? cpn_api_renew(a, false, err) : rc;
}

static cpn_rc
code_of(int status)
{
    static const struct {
        int status;
        cpn_rc rc;
    } codes[] = {
        { 400, CPN_INVALID },     { 401, CPN_UNAUTHENTICATED }, { 403, CPN_DENIED },
        { 404, CPN_NOT_FOUND },   { 409, CPN_EXISTS },          { 429, CPN_LIMIT },
        { 503, CPN_UNAVAILABLE },
    };

    for (size_t i = 0; i < CPN_COUNT(codes); i++)
        if (codes[i].status == status)
            return codes[i].rc;
    return CPN_E_PROTO;
}

/* Keep what stands beside the sentence, and each problem of a 400 as a line of its own. */
static void
keep_problem(cpn_api *a, const json_t *answer)
{
    const json_t *inner = json_object_get(answer, "error");
    json_t *kept = json_object();

    if (json_is_object(inner))
        json_object_update(kept, (json_t *)inner);
    if (json_is_object(answer))
        json_object_update(kept, (json_t *)answer);
    json_decref(a->cli->problem);
    a->cli->problem = kept;
}

static cpn_rc
refused(cpn_api *a, int status, const json_t *answer, cpn_err *err)
{
    const json_t *e = json_object_get(answer, "error");
    const char *said = json_string_value(json_object_get(e, "message"));

    if (!said)
        said = json_string_value(json_object_get(answer, "error_description"));
    if (!said)
        said = json_string_value(json_object_get(answer, "message"));
    keep_problem(a, answer);
    if (status == 401)
        return cpn_fail(err, CPN_UNAUTHENTICATED, "%s (run 'caponier login')",
                        said ? said : "the gateway does not know this sign-in");
    if (said)
        return cpn_fail(err, code_of(status), "%s", said);
    return cpn_fail(err, code_of(status), "the gateway answered with status %d", status);
}

void
cpn_api_hint_trust(const cpn_api *a, cpn_err *err)
{
    char said[sizeof(err->msg)];

    /* X509_verify_cert_error_string() of what has an issuer that is not known. */
    if (a->ca || (!strstr(err->msg, "issuer certificate") && !strstr(err->msg, "self-signed")))
        return;
    memcpy(said, err->msg, sizeof(said));
    (void)cpn_fail(err, err->rc, "%s; if that is the gateway's own CA, trust it by --ca FILE",
                   said);
}

static cpn_rc
exchange(cpn_api *a, cpn_httpc_req *req, json_t **answer, cpn_err *err)
{
    cpn_httpc_reply reply = { 0 };
    json_auto_t *got = NULL;
    cpn_rc rc;

    req->gateway = &a->url;
    req->ctx = a->tls;
    req->response_max = CPN_API_ANSWER_MAX;
    req->key = req->bearer.n ? &a->ctx.key : NULL;
    req->timeout_ms = a->timeout_ms;
    req->line = a->line;
    rc = cpn_httpc_call(req, &reply, err);
    if (rc == CPN_OK && reply.status == 401 && req->key && cpn_api_clock(a, &reply)) {
        cpn_httpc_reply_fini(&reply);
        reply = (cpn_httpc_reply){ 0 };
        rc = cpn_httpc_call(req, &reply, err);
    }
    if (rc != CPN_OK)
        cpn_api_hint_trust(a, err);
    if (rc == CPN_OK && reply.body.n > 0)
        got = json_loadb((const char *)reply.body.p, reply.body.n, JSON_REJECT_DUPLICATES, NULL);
    if (rc == CPN_OK && (reply.status < 200 || reply.status > 299))
        rc = refused(a, reply.status, got, err);
    else if (rc == CPN_OK && reply.body.n > 0 && !got)
        rc =
            cpn_fail(err, CPN_E_PROTO, "%s answered %s, but not in JSON; is it a Caponier gateway?",
                     a->origin, req->target);
    if (rc == CPN_OK && answer)
        *answer = cpn_steal(&got);
    cpn_httpc_reply_fini(&reply);
    return rc;
}

/* By our clock the token is good, the gateway says no: the clocks differ, or one has jumped. True:
 * there is another one, and *err is clear; false: *err stays what the gateway said. */
static bool
renewed_after(cpn_api *a, cpn_err *err)
{
    cpn_err ignored = { 0 };

    if (cpn_api_renew(a, true, &ignored) != CPN_OK)
        return false;
    *err = (cpn_err){ 0 };
    json_decref(cpn_steal(&a->cli->problem));
    return true;
}

cpn_rc
cpn_api_call(cpn_api *a, const char *method, const char *target, const json_t *body,
             json_t **answer, cpn_err *err)
{
    cpn_buf more = { .max = 256 };
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    cpn_httpc_req req = { .method = method,
                          .target = target,
                          .content_type = text ? "application/json" : NULL,
                          .body = cpn_view_str(text),
                          .bearer = cpn_secret_view(&a->ctx.access_token) };
    cpn_rc rc = CPN_OK;

    if (body && !text)
        rc = cpn_fail(err, CPN_E_NOMEM, "the request");
    if (rc == CPN_OK && cpn_http_line_put(&more, "Caponier-Client", CPN_VIEW_LIT("1")) != CPN_OK)
        rc = cpn_fail(err, CPN_E_NOMEM, "the request");
    req.more = cpn_buf_view(&more);
    if (rc == CPN_OK)
        rc = exchange(a, &req, answer, err);
    if (rc == CPN_UNAUTHENTICATED && a->ctx.refresh_token.n && renewed_after(a, err)) {
        req.bearer = cpn_secret_view(&a->ctx.access_token);
        rc = exchange(a, &req, answer, err);
    }
    if (text)
        explicit_bzero(text, strlen(text)); /* it may hold a password */
    free(text);
    cpn_buf_fini(&more);
    return rc;
}

/* Move the rows of a page to all; *next is where the following one is, empty at the end. */
static cpn_rc
take_page(const json_t *page, json_t *all, char *next, size_t size, cpn_err *err)
{
    const json_t *rows = json_object_get(page, "value");
    const char *link = json_string_value(json_object_get(page, "nextLink"));

    if (!json_is_array(rows))
        return cpn_fail(err, CPN_E_PROTO, "the gateway's list has no value");
    json_array_extend(all, (json_t *)rows);
    if (link && (link[0] != '/' || strlen(link) >= size))
        return cpn_fail(err, CPN_E_PROTO,
                        "the gateway's list goes on at a place that is not its own");
    snprintf(next, size, "%s", link ? link : "");
    return CPN_OK;
}

cpn_rc
cpn_api_list(cpn_api *a, const char *target, json_t **answer, cpn_err *err)
{
    json_auto_t *all = json_array();
    char next[TARGET_MAX];
    cpn_rc rc = CPN_OK;

    if ((size_t)snprintf(next, sizeof(next), "%s", target) >= sizeof(next))
        return cpn_fail(err, CPN_INVALID, "the request is too long");
    for (int i = 0; next[0] && rc == CPN_OK; i++) {
        json_auto_t *page = NULL;

        if (i == CPN_API_PAGES_MAX)
            return cpn_fail(err, CPN_LIMIT, "the list is longer than %d pages", CPN_API_PAGES_MAX);
        rc = cpn_api_call(a, "GET", next, NULL, &page, err);
        if (rc == CPN_OK)
            rc = take_page(page, all, next, sizeof(next), err);
    }
    if (rc == CPN_OK)
        *answer = json_pack("{s:O}", "value", all);
    return rc;
}

cpn_rc
cpn_api_documents(cpn_api *a, const char *kind, const char *name, json_t **answer, cpn_err *err)
{
    cpn_buf target = { .max = TARGET_MAX };
    cpn_rc rc = cpn_buf_printf(&target, "/v1/documents?kind=%s%s", kind, name ? "&name=" : "");

    if (rc == CPN_OK && name)
        rc = cpn_percent_put(&target, cpn_view_str(name));
    if (rc == CPN_OK)
        rc = cpn_buf_append(&target, (cpn_view){ (const uint8_t *)"", 1 });
    if (rc != CPN_OK)
        rc = cpn_fail(err, CPN_INVALID, "the name is too long");
    else
        rc = cpn_api_list(a, (const char *)target.p, answer, err);
    cpn_buf_fini(&target);
    return rc;
}

cpn_rc
cpn_api_with(cpn_cli *cli, cpn_api_work *work, cpn_err *err)
{
    cpn_api a = { 0 };
    cpn_rc rc = cpn_api_open(&a, cli, err);

    if (rc == CPN_OK)
        rc = work(&a, err);
    cpn_api_fini(&a);
    return rc;
}
