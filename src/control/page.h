/* control/page.h -- the pages that people see while they sign in: plain HTML, no script, one style
 * sheet inside that the Content-Security-Policy knows by its hash.
 *
 * Every page carries: Content-Security-Policy (default-src 'none', frame-ancestors 'none', forms
 * only to ourselves and to what cpn_page_form_to names), X-Frame-Options, Referrer-Policy
 * same-origin (with no-referrer browsers would say "Origin: null" of our own forms), no-store. */
#ifndef CPN_CONTROL_PAGE_H
#define CPN_CONTROL_PAGE_H

#include "control/call.h"

#define CPN_PAGE_MAX 65536

/* Begin with cpn_page_begin, end with cpn_page_send. */
typedef struct cpn_page {
    cpn_buf b;
    char form_to[CPN_URL_ORIGIN_SIZE];
    bool failed; /* over CPN_PAGE_MAX */
} cpn_page;

/* title is a heading, too. */
void cpn_page_begin(cpn_page *p, const char *title);
/* Markup of ours: string literals only. */
void cpn_page_html(cpn_page *p, const char *markup);
/* Anything else: escaped (codec/html.h). The only way for a value into a page. */
void cpn_page_text(cpn_page *p, const char *value);
/* A row of a <dl>; note (may be NULL) stands behind the value. */
void cpn_page_row(cpn_page *p, const char *label, const char *value, const char *note);
void cpn_page_hidden(cpn_page *p, const char *name, const char *value);
/* An http origin that a form of this page, or a redirect that follows it, may go to. */
void cpn_page_form_to(cpn_page *p, const char *origin);
/* Answers the call. */
void cpn_page_send(CPN_TAKES cpn_call *call, int status, cpn_page *p);
/* A page of one sentence; for errors, and for "you may close this window". Answers the call. */
void cpn_page_say(CPN_TAKES cpn_call *call, int status, const char *title, const char *sentence);

#endif
