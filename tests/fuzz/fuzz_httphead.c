/* A hostile HTTP peer. Where Debian's llhttp sources are installed it is the oracle: what we
 * accept it must accept, with the same method, target, fields and body length. */
#include <stdlib.h>

#include "codec/httphead.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* A prefix of what is accepted waits; what follows the head does not matter. */
static void
prefixes_wait(cpn_view in, const cpn_http_head *whole)
{
    cpn_http_head head;

    for (size_t n = 0; n < whole->used; n += 1 + whole->used / 8)
        if (cpn_http_request_parse((cpn_view){ in.p, n }, NULL, &head, NULL) != CPN_AGAIN)
            abort();
    if (cpn_http_request_parse((cpn_view){ in.p, whole->used }, NULL, &head, NULL) != CPN_OK ||
        head.used != whole->used || head.fields != whole->fields)
        abort();
}

#ifdef CPN_HAVE_LLHTTP
#include "llhttp.h"

typedef struct seen {
    cpn_view url;
    cpn_http_field field[CPN_HTTP_FIELDS_MAX + 1];
    unsigned fields;
    bool done;
} seen;

static void
span_add(cpn_view *v, const char *at, size_t n)
{
    if (!v->p)
        v->p = (const uint8_t *)at;
    v->n += n;
}

static int
on_url(llhttp_t *h, const char *at, size_t n)
{
    span_add(&((seen *)h->data)->url, at, n);
    return 0;
}

static int
on_field(llhttp_t *h, const char *at, size_t n)
{
    seen *s = h->data;

    if (s->fields >= CPN_COUNT(s->field))
        abort();
    span_add(&s->field[s->fields].name, at, n);
    return 0;
}

static int
on_value(llhttp_t *h, const char *at, size_t n)
{
    seen *s = h->data;

    span_add(&s->field[s->fields].value, at, n);
    return 0;
}

static int
on_value_complete(llhttp_t *h)
{
    ((seen *)h->data)->fields++;
    return 0;
}

static int
on_headers(llhttp_t *h)
{
    ((seen *)h->data)->done = true;
    return HPE_PAUSED;
}

/* Other methods are our router's to refuse; llhttp knows only its own list. */
static bool
method_known(cpn_view m)
{
    static const char *const known[] = {
        "GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"
    };

    for (size_t i = 0; i < CPN_COUNT(known); i++)
        if (cpn_view_is(m, known[i]))
            return true;
    return false;
}

static void
oracle_agrees(cpn_view in, const cpn_http_head *head)
{
    static llhttp_settings_t settings;
    seen s = { 0 };
    llhttp_t h;

    if (!method_known(head->method))
        return;
    llhttp_settings_init(&settings);
    settings.on_url = on_url;
    settings.on_header_field = on_field;
    settings.on_header_value = on_value;
    settings.on_header_value_complete = on_value_complete;
    settings.on_headers_complete = on_headers;
    llhttp_init(&h, HTTP_REQUEST, &settings);
    h.data = &s;
    if (llhttp_execute(&h, (const char *)in.p, head->used) != HPE_PAUSED || !s.done)
        abort();
    if (!cpn_view_is(head->method, llhttp_method_name((llhttp_method_t)h.method)) ||
        !cpn_view_eq(s.url, head->target) || s.fields != head->fields)
        abort();
    if (h.content_length != head->body || h.http_major != 1 || h.http_minor != 1)
        abort();
    for (unsigned i = 0; i < s.fields; i++) {
        cpn_view v = s.field[i].value;
        while (v.n && (v.p[v.n - 1] == ' ' || v.p[v.n - 1] == '\t'))
            v.n--;
        if (!cpn_view_eq(s.field[i].name, head->field[i].name) ||
            !cpn_view_eq(v, head->field[i].value))
            abort();
    }
}
#else
static void
oracle_agrees(cpn_view in, const cpn_http_head *head)
{
    (void)in;
    (void)head;
}
#endif

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    cpn_view in = { bytes, size };
    cpn_http_head head;
    cpn_rc rc = cpn_http_request_parse(in, NULL, &head, NULL);

    if (rc == CPN_OK) {
        prefixes_wait(in, &head);
        oracle_agrees(in, &head);
        (void)cpn_http_bearer(&head);
    } else if (rc == CPN_INVALID ? head.http_status < 400 : rc != CPN_AGAIN) {
        abort();
    }
    rc = cpn_http_response_parse(in, NULL, &head, NULL);
    if (rc != CPN_OK && rc != CPN_AGAIN && rc != CPN_E_PROTO)
        abort();
    return 0;
}
