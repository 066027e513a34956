/* codec/httphead.h -- the strict subset of HTTP/1.1 heads (RFC 9112) that we speak.
 *
 * Requests: exactly one CRLF after each line; bytes are printable ASCII or tab; the version is
 * HTTP/1.1; the method is 1..16 upper-case letters; the target is origin-form; field names are
 * tokens with the colon right behind them; no line starts with a space; exactly one, well-formed
 * Host; no Transfer-Encoding at all; Content-Length at most once and digits only; fields that mean
 * one thing (see httphead.c, `once`) occur once. Anything else is refused and the connection ends.
 *
 *     400  malformed, or Transfer-Encoding beside Content-Length    413  Content-Length over 10^15
 *     411  Transfer-Encoding (send Content-Length)                  414  request line over the cap
 *     431  head over the cap, too many fields                       505  another HTTP version
 *
 * The path is refused when, percent-decoded once, it holds a dot segment, an empty segment ("//",
 * but for one behind "/subscriptions/…/providers/NAMESPACE", for "//metadata/endpoints" and before
 * a tenant in "…//TENANT/.well-known/openid-configuration", which the Azure CLI writes), '\', ';',
 * '%', a control byte, an encoded '/', bytes that are not UTF-8, or a segment over 256 bytes; the
 * query when it has a bad percent or an encoded NUL. The route's own body limit is the caller's to
 * check. */
#ifndef CPN_CODEC_HTTPHEAD_H
#define CPN_CODEC_HTTPHEAD_H

#include "base/buf.h"

#define CPN_HTTP_HEAD_MAX 16384 /* default cap in bytes, blank line included */
#define CPN_HTTP_FIELDS_MAX 64  /* hard cap, beside the array */

typedef struct cpn_http_limits {
    size_t head;
    unsigned fields; /* at most CPN_HTTP_FIELDS_MAX counts */
} cpn_http_limits;

typedef struct cpn_http_field {
    cpn_view name;
    cpn_view value; /* without the white space around it */
} cpn_http_field;

/* Views point into the parsed bytes. */
typedef struct cpn_http_head {
    /* request */
    cpn_view method;
    cpn_view target;
    cpn_view path;
    cpn_view query; /* behind '?'; p is NULL without one */
    cpn_view host;
    /* response */
    int status;
    cpn_view reason;
    bool until_close; /* no Content-Length, and the status allows a body */
    /* both */
    cpn_http_field field[CPN_HTTP_FIELDS_MAX];
    unsigned fields;
    uint64_t body;   /* Content-Length; 0 without one */
    bool has_length; /* Content-Length was there */
    bool close;      /* Connection: close */
    size_t used;     /* bytes of the head, blank line included: the body starts here */
    int http_status; /* the answer to a refused request; else 0 */
} cpn_http_head;

/* Read a request head from the start of `in`. CPN_AGAIN: not complete, nothing wrong so far (call
 * again with more). CPN_INVALID: refuse with out->http_status and close. limits NULL: defaults. */
cpn_rc cpn_http_request_parse(cpn_view in, const cpn_http_limits *limits, cpn_http_head *out,
                              cpn_err *err) CPN_MUST_CHECK;
/* Read a response head, as strictly (for our client and our gateway only). CPN_AGAIN as above.
 * CPN_E_PROTO: malformed, over the limits, Transfer-Encoding. Bodies by length or until close. */
cpn_rc cpn_http_response_parse(cpn_view in, const cpn_http_limits *limits, cpn_http_head *out,
                               cpn_err *err) CPN_MUST_CHECK;

/* The first field of that name (without case); p is NULL when there is none. */
cpn_view cpn_http_header(const cpn_http_head *head, const char *name);
/* Take the next item of a comma-separated list; false: none left. */
bool cpn_http_list_next(cpn_view *list, cpn_view *item);
/* Is the word in a comma-separated list (without case)? */
bool cpn_http_list_has(cpn_view list, const char *word);
/* The token of "Authorization: Bearer TOKEN"; p is NULL when there is none or another scheme. */
cpn_view cpn_http_bearer(const cpn_http_head *head);

/* An answer of ours. */
typedef struct cpn_http_answer {
    int status;
    const char *content_type; /* NULL: none */
    uint64_t body;            /* Content-Length, always sent but with 204 and 304 */
    bool close;               /* adds Connection: close */
    cpn_view more;            /* further lines, each made by cpn_http_line_put */
} cpn_http_answer;

/* Append the head, blank line included; always with Cache-Control: no-store unless `more` has one.
 * CPN_LIMIT, CPN_E_NOMEM: no room. */
cpn_rc cpn_http_answer_put(cpn_buf *out, const cpn_http_answer *a) CPN_MUST_CHECK;
/* Append "Name: value\r\n". CPN_INVALID: not a token, or a byte that would break the line. */
cpn_rc cpn_http_line_put(cpn_buf *out, const char *name, cpn_view value) CPN_MUST_CHECK;
/* "Authorization: Bearer TOKEN"; nothing without a token. Errors as above. */
cpn_rc cpn_http_bearer_put(cpn_buf *out, cpn_view token) CPN_MUST_CHECK;
/* "Not Found"; "Status" for one that we do not use. */
const char *cpn_http_phrase(int status);

#endif
