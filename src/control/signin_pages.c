/* The pages of the browser's sign-in: each says who asks, from where, with what, when. */
#include <stdio.h>
#include <stdlib.h>

#include "control/reply.h"
#include "control/signin_core.h"

/* What programs say of themselves; nobody checks it, and the page says that. */
static const char *
program(const char *client_id)
{
    static const struct {
        const char *id, *name;
    } known[] = {
        { "04b07795-8ddb-461a-bbee-02f9e1bf7b46", "Azure CLI" },
        { "1950a258-227b-4e31-a9cf-717495945fc2", "Azure PowerShell" },
        { "aebc6443-996d-45c2-90f0-388ff96faa56", "Visual Studio Code" },
        { "caponier", "caponier, the command-line client" },
    };

    for (size_t i = 0; i < CPN_COUNT(known); i++)
        if (strcmp(client_id, known[i].id) == 0)
            return known[i].name;
    return client_id;
}

static void
sentence_over(cpn_page *p, const char *sentence)
{
    if (!sentence)
        return;
    cpn_page_html(p, "<p class=\"bad\" role=\"alert\">");
    cpn_page_text(p, sentence);
    cpn_page_html(p, "</p>\n");
}

static void
who_asks(cpn_page *p, const cpn_call *call, const cpn_flow *flow)
{
    char from[CPN_ADDR_TEXT], here[CPN_ADDR_TEXT], note[CPN_ADDR_TEXT + 64] = "";
    char when[CPN_TIME_SIZE], ago[64];
    uint64_t s = (cpn_mono_ms() - flow->began_ms) / 1000;

    if (!cpn_addr_eq(&flow->ask.source, &call->peer))
        snprintf(note, sizeof(note), "not your address, which is %s",
                 cpn_addr_text(&call->peer, here));
    snprintf(ago, sizeof(ago), "%llu min %llu s ago", (unsigned long long)s / 60,
             (unsigned long long)s % 60);
    cpn_page_html(p, "<dl>\n");
    cpn_page_row(p, "Program", program(flow->ask.client_id), "as it says itself");
    cpn_page_row(p, "From", cpn_addr_text(&flow->ask.source, from), note[0] ? note : NULL);
    cpn_page_row(p, "With", flow->ask.user_agent[0] ? flow->ask.user_agent : "(it does not say)",
                 NULL);
    cpn_page_row(p, "Asked", cpn_time_minutes(flow->ask.wall_ms, when), ago);
    if (flow->ask.device)
        cpn_page_row(p, "Code", flow->user_code, NULL);
    else
        cpn_page_row(p, "Answers to", flow->ask.redirect_uri, "a program on your own machine");
    cpn_page_html(p, "</dl>\n");
    if (flow->ask.device)
        cpn_page_html(p, "<p class=\"warn\">Did somebody send you this code, or did you not start "
                         "this yourself? Then close this page: whoever holds the code would act "
                         "in your name.</p>\n");
}

void
cpn_signin_code_page(CPN_TAKES cpn_call *call, int status, const char *typed, const char *sentence)
{
    cpn_page p;

    cpn_page_begin(&p, "Sign in on another device");
    sentence_over(&p, sentence);
    cpn_page_html(&p,
                  "<p>Enter the code that your program shows. Enter only a code that you asked for "
                  "yourself, just now.</p>\n<form method=\"post\" action=\"/device\">\n"
                  "<label for=\"code\">Code</label>\n"
                  "<input class=\"code\" id=\"code\" name=\"user_code\" maxlength=\"32\" required "
                  "autofocus autocomplete=\"off\" autocapitalize=\"characters\" "
                  "spellcheck=\"false\" value=\"");
    cpn_page_text(&p, typed);
    cpn_page_html(&p, "\">\n<button type=\"submit\">Next</button>\n</form>\n");
    cpn_page_send(call, status, &p);
}

static void
password_form(cpn_page *p, const cpn_flow *flow)
{
    cpn_page_html(p, "<form method=\"post\" action=\"/signin/password\">\n");
    cpn_page_hidden(p, "flow", flow->id);
    cpn_page_html(p, "<label for=\"name\">User name</label>\n"
                     "<input id=\"name\" name=\"username\" maxlength=\"256\" required autofocus "
                     "autocomplete=\"username\" autocapitalize=\"none\" spellcheck=\"false\">\n"
                     "<label for=\"password\">Password</label>\n"
                     "<input id=\"password\" name=\"password\" type=\"password\" "
                     "maxlength=\"1024\" required autocomplete=\"current-password\">\n"
                     "<button type=\"submit\">Sign in</button>\n</form>\n");
}

void
cpn_signin_person_page(CPN_TAKES cpn_call *call, const cpn_flow *flow, int status,
                       const char *sentence)
{
    const cpn_signin_way *way = call->c->signin->way;
    cpn_page p;

    cpn_page_begin(&p, "A program wants to sign in as you");
    sentence_over(&p, sentence);
    who_asks(&p, call, flow);
    if (way) {
        cpn_page_html(&p, "<p><a class=\"go\" href=\"/signin/leave?flow=");
        cpn_page_text(&p, flow->id);
        cpn_page_html(&p, "\">");
        cpn_page_text(&p, way->label);
        cpn_page_html(&p, "</a></p>\n");
    }
    if (!way || way->password_too)
        password_form(&p, flow);
    cpn_page_send(call, status, &p);
}

void
cpn_signin_consent_page(CPN_TAKES cpn_call *call, const cpn_flow *flow)
{
    char origin[CPN_URL_ORIGIN_SIZE];
    cpn_page p;

    cpn_page_begin(&p, "Let this program act in your name?");
    cpn_page_html(&p, "<p>You are signed in as <strong>");
    cpn_page_text(&p, flow->name);
    cpn_page_html(&p, "</strong>.</p>\n");
    who_asks(&p, call, flow);
    cpn_page_html(&p, "<form method=\"post\" action=\"/signin/decide\">\n");
    cpn_page_hidden(&p, "flow", flow->id);
    cpn_page_html(&p, "<button type=\"submit\" name=\"decision\" value=\"approve\">Approve</button>"
                      "\n<button type=\"submit\" class=\"no\" name=\"decision\" value=\"deny\">Deny"
                      "</button>\n</form>\n");
    if (!flow->ask.device &&
        cpn_loopback_check(cpn_view_str(flow->ask.redirect_uri), origin, NULL) == CPN_OK)
        cpn_page_form_to(&p, origin);
    cpn_page_send(call, 200, &p);
}

/* ---- back to a program on a loopback port ---- */

/* response_mode=form_post: without script somebody must press the button. */
static void
form_post(cpn_call *call, const cpn_flow_ask *ask, const char *const field[][2], size_t n)
{
    char origin[CPN_URL_ORIGIN_SIZE];
    cpn_page p;

    cpn_page_begin(&p, "One more step");
    cpn_page_html(&p, "<p>Hand the answer to the program that waits for it.</p>\n"
                      "<form method=\"post\" action=\"");
    cpn_page_text(&p, ask->redirect_uri);
    cpn_page_html(&p, "\">\n");
    for (size_t i = 0; i < n; i++)
        if (field[i][1] && field[i][1][0])
            cpn_page_hidden(&p, field[i][0], field[i][1]);
    cpn_page_html(&p, "<button type=\"submit\" autofocus>Continue</button>\n</form>\n");
    if (cpn_loopback_check(cpn_view_str(ask->redirect_uri), origin, NULL) == CPN_OK)
        cpn_page_form_to(&p, origin);
    cpn_page_send(call, 200, &p);
}

void
cpn_signin_back(CPN_TAKES cpn_call *call, const cpn_flow_ask *ask, const char *code,
                const char *error, const char *description)
{
    const char *const field[][2] = { { "code", code },
                                     { "error", error },
                                     { "error_description", description },
                                     { "state", ask->state } };
    CPN_AUTO(cpn_buf_fini) cpn_buf query = { .max = 4096 };
    CPN_AUTO(cpn_buf_fini) cpn_buf url = { .max = 4096 };

    if (ask->form_post) {
        form_post(call, ask, field, CPN_COUNT(field));
        return;
    }
    for (size_t i = 0; i < CPN_COUNT(field); i++)
        if (field[i][1] && field[i][1][0] &&
            cpn_form_put(&query, field[i][0], cpn_view_str(field[i][1])) != CPN_OK)
            abort(); /* each is bounded */
    if (cpn_buf_printf(&url, "%s?%.*s", ask->redirect_uri, CPN_VIEW_ARG(cpn_buf_view(&query))) !=
            CPN_OK ||
        cpn_buf_append(&url, (cpn_view){ (const uint8_t *)"", 1 }) != CPN_OK)
        abort(); /* each is bounded */
    cpn_call_header(call, "Location", (const char *)url.p);
    cpn_call_header(call, "Referrer-Policy", "no-referrer");
    cpn_reply_page(call, 303, CPN_VIEW_LIT(""));
}
