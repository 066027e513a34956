/* Builds pages and sends them with the headers that keep them harmless. */
#include "control/page.h"

#include <stdio.h>
#include <stdlib.h>

#include "codec/b64url.h"
#include "codec/digest.h"
#include "codec/html.h"
#include "control/reply.h"

static const char style[] =
    "body{margin:0;background:#f3f4f6;color:#1c2430;font:16px/1.5 system-ui,sans-serif}"
    "main{max-width:34rem;margin:6vh auto;padding:2rem;background:#fff;border:1px solid #d5d9e0;"
    "border-radius:8px}"
    "h1{margin:0 0 1rem;font-size:1.4rem}"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.3rem 1rem;margin:1rem "
    "0;padding:1rem;"
    "background:#f7f8fa;border-radius:6px}"
    "dt{color:#5a6472}dd{margin:0;overflow-wrap:anywhere}small{color:#5a6472}"
    "label{display:block;margin:.8rem 0 .2rem}"
    "input{box-sizing:border-box;width:100%;padding:.55rem;font:inherit;border:1px solid #9aa3b0;"
    "border-radius:5px}"
    "button,.go{display:inline-block;margin:1.2rem .8rem 0 0;padding:.55rem 1.4rem;font:inherit;"
    "border:1px solid #1d4ed8;border-radius:5px;background:#1d4ed8;color:#fff;text-decoration:none;"
    "cursor:pointer}"
    "button.no{background:#fff;color:#9f1239;border-color:#9f1239}"
    ".bad{padding:.7rem 1rem;background:#fff1f2;border-left:4px solid #be123c}"
    ".warn{padding:.7rem 1rem;background:#fffbeb;border-left:4px solid #b45309}"
    ".code{letter-spacing:.2em;text-transform:uppercase;font-family:ui-monospace,monospace}"
    "footer{margin-top:1.5rem;color:#5a6472;font-size:.85rem}";

void
cpn_page_html(cpn_page *p, const char *markup)
{
    if (cpn_buf_append(&p->b, cpn_view_str(markup)) != CPN_OK)
        p->failed = true;
}

void
cpn_page_text(cpn_page *p, const char *value)
{
    if (cpn_html_put(&p->b, cpn_view_str(value)) != CPN_OK)
        p->failed = true;
}

void
cpn_page_begin(cpn_page *p, const char *title)
{
    *p = (cpn_page){ .b = { .max = CPN_PAGE_MAX } };
    cpn_page_html(p, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                     "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
                     "<title>");
    cpn_page_text(p, title);
    cpn_page_html(p, "</title><style>");
    cpn_page_html(p, style);
    cpn_page_html(p, "</style></head><body><main>\n<h1>");
    cpn_page_text(p, title);
    cpn_page_html(p, "</h1>\n");
}

void
cpn_page_row(cpn_page *p, const char *label, const char *value, const char *note)
{
    cpn_page_html(p, "<dt>");
    cpn_page_text(p, label);
    cpn_page_html(p, "</dt><dd>");
    cpn_page_text(p, value);
    if (note) {
        cpn_page_html(p, " <small>");
        cpn_page_text(p, note);
        cpn_page_html(p, "</small>");
    }
    cpn_page_html(p, "</dd>\n");
}

void
cpn_page_hidden(cpn_page *p, const char *name, const char *value)
{
    cpn_page_html(p, "<input type=\"hidden\" name=\"");
    cpn_page_text(p, name);
    cpn_page_html(p, "\" value=\"");
    cpn_page_text(p, value);
    cpn_page_html(p, "\">\n");
}

void
cpn_page_form_to(cpn_page *p, const char *origin)
{
    /* A policy cannot name an IPv6 literal. */
    snprintf(p->form_to, sizeof(p->form_to), "%s", strchr(origin, '[') ? "http:" : origin);
}

static void
headers(cpn_call *call, const cpn_page *p)
{
    static char hash[CPN_B64_SIZE(CPN_SHA256_BYTES)];
    uint8_t digest[CPN_SHA256_BYTES];
    char policy[512];

    if (!hash[0]) {
        cpn_sha256(CPN_VIEW_LIT(style), digest);
        if (!cpn_b64_encode((cpn_view){ digest, sizeof(digest) }, hash, sizeof(hash)))
            abort(); /* the size is right */
    }
    snprintf(policy, sizeof(policy),
             "default-src 'none'; style-src 'sha256-%s'; form-action 'self'%s%s; "
             "frame-ancestors 'none'; base-uri 'none'",
             hash, p->form_to[0] ? " " : "", p->form_to);
    cpn_call_header(call, "Content-Security-Policy", policy);
    cpn_call_header(call, "X-Frame-Options", "DENY");
    cpn_call_header(call, "Referrer-Policy", "same-origin");
}

void
cpn_page_send(CPN_TAKES cpn_call *call, int status, cpn_page *p)
{
    cpn_page_html(p, "<footer>");
    cpn_page_text(p, call->c->host);
    cpn_page_html(p, "</footer>\n</main></body></html>\n");
    headers(call, p);
    cpn_reply_page(call, p->failed ? 500 : status,
                   p->failed ? CPN_VIEW_LIT("") : cpn_buf_view(&p->b));
    cpn_buf_fini(&p->b);
}

void
cpn_page_say(CPN_TAKES cpn_call *call, int status, const char *title, const char *sentence)
{
    cpn_page p;

    cpn_page_begin(&p, title);
    cpn_page_html(&p, "<p>");
    cpn_page_text(&p, sentence);
    cpn_page_html(&p, "</p>\n");
    cpn_page_send(call, status, &p);
}
