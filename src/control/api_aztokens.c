/* POST and DELETE /api/tokens: the Azure door hands out authTokens and tickets. */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/log.h"
#include "codec/digest.h"
#include "control/asked.h"
#include "control/azbastion.h"
#include "control/azdoor.h"
#include "control/azwant.h"
#include "control/cut.h"
#include "control/penalties.h"
#include "control/reply.h"
#include "control/trail.h"
#include "control/usage.h"

/* One POST on its way: the ticket is being written. */
typedef struct issuing {
    cpn_call *call;
    cpn_uuid session;
    bool fresh; /* the session is of this POST */
    char auth[512];
    char ticket[CPN_AZ_TOKEN_SIZE];
} issuing;

/* ---- the form ---- */

static cpn_rc
form_read(cpn_call *call, cpn_want *want, cpn_resource_id *hint, bool *hinted, cpn_err *err)
{
    uint64_t port;

    if (!cpn_view_is(cpn_form_get(&call->form, "protocol"), "tcptunnel"))
        return cpn_fail(err, CPN_INVALID, "protocol: expected tcptunnel");
    if (!cpn_view_u64(cpn_form_get(&call->form, "workloadHostPort"), 65535, &port) || port == 0)
        return cpn_fail(err, CPN_INVALID, "workloadHostPort: expected a port from 1 to 65535");
    return cpn_az_want(want, cpn_form_get(&call->form, "resourceId"),
                       cpn_form_get(&call->form, "hostname"), (uint16_t)port, hint, hinted, err);
}

/* ---- the answer ---- */

static void
tokens_answer(cpn_call *call, const char *auth, const char *ticket)
{
    cpn_reply_json(call, 200,
                   json_pack("{s:s,s:s,s:s}", "authToken", auth, "nodeId", call->c->node,
                             "websocketToken", ticket));
}

static void
ticket_written(void *owner, cpn_rc rc, const cpn_err *err)
{
    issuing *i = owner;
    cpn_call *call = i->call;
    cpn_session *s = cpn_session_find(call->c, &i->session);

    if (rc == CPN_OK) {
        call->told_again = s != NULL;
        tokens_answer(call, i->auth, i->ticket);
    } else {
        if (s && i->fresh)
            cpn_session_end(call->c, s, CPN_WHY_INTERNAL);
        call->audited = false;
        cpn_reply_rc(call, rc, NULL, err);
    }
    explicit_bzero(i, sizeof(*i));
    free(i);
}

/* Write the ticket with a body that says what it opens; answer when it is there. */
static void
ticket_issue(issuing *i, CPN_TAKES json_t *body)
{
    cpn_call *call = i->call;
    cpn_batch *batch = cpn_batch_new();
    char *text = cpn_json_text(body);
    uint8_t key[32];
    cpn_rc rc;

    json_decref(body);
    cpn_az_secret(i->ticket, key);
    cpn_batch_ticket(batch, key, cpn_view_str(text), (int64_t)call->c->set.ticket_ttl);
    free(text);
    rc = cpn_store_commit(call->c->store, batch, ticket_written, i);
    if (rc != CPN_OK)
        ticket_written(i, rc, NULL);
}

/* A limit says when to come back; all else is policy's 403, whether or not the thing exists. */
static int
denied_status(cpn_reason why)
{
    int http = cpn_reason_http(why);

    return http == 429 || http == 503 ? http : 403;
}

/* Tokens that lead to a no: its reason and sentence, and the answer to those who read HTTP. */
static void
denied_issue(cpn_call *call, cpn_reason why, const char *sentence, const char *answer)
{
    issuing *i = cpn_xcalloc(1, sizeof(*i));
    uint8_t key[32];

    i->call = call;
    cpn_az_secret(i->auth, key);
    ticket_issue(i, json_pack("{s:s,s:s,s:s}", "denied", cpn_reason_word(why), "sentence", sentence,
                              "answer", answer));
}

/* Our own client is told by status; others by a session that says so. */
static bool
told_inside(cpn_call *call)
{
    return !call->own_client && cpn_az_denied_take(call->c, cpn_mono_ms()) == CPN_OK;
}

/* Somebody whom we know asks too often. */
static void
tokens_too_many(cpn_call *call)
{
    CPN_AUTO(cpn_auto_mem) char *answer = NULL;

    if (!told_inside(call)) {
        cpn_reply_reason(call, CPN_WHY_LIMIT_RATE);
        return;
    }
    answer = cpn_reason_text(CPN_WHY_LIMIT_RATE);
    cpn_call_note(call, "reason", cpn_reason_word(CPN_WHY_LIMIT_RATE));
    cpn_trail_call(call, 429);
    call->audited = true;
    denied_issue(call, CPN_WHY_LIMIT_RATE, cpn_reason_sentence(CPN_WHY_LIMIT_RATE), answer);
}

/* Policy said no. */
static void
tokens_denied(cpn_call *call, const cpn_asked *a)
{
    char sentence[2048];
    char *answer;

    call->c->count.refused[a->verdict.why]++;
    /* The refusal has its own record, with everything in it. */
    call->audited = true;
    cpn_verdict_sentence(&a->verdict, sentence, sizeof(sentence));
    if (!told_inside(call)) {
        cpn_reply_error(call, denied_status(a->verdict.why), cpn_reason_word(a->verdict.why),
                        sentence, cpn_asked_json(a));
        return;
    }
    answer = cpn_refusal_text(&a->verdict, a->decision, 4096);
    denied_issue(call, a->verdict.why, sentence, answer);
    free(answer);
}

/* ---- POST ---- */

/* The session that the form's earlier authToken continues; NULL: a new one. */
static cpn_session *
session_reused(cpn_call *call, const cpn_asked *a)
{
    cpn_session *s = cpn_az_session(call->c, cpn_form_get(&call->form, "token"));

    if (!s || strcmp(s->object_id, call->claims.object_id) != 0)
        return NULL;
    if (s->want.port != a->want.port || strcasecmp(s->want.target_id, a->want.target_id) != 0 ||
        strcmp(s->want.target_ip, a->want.target_ip) != 0)
        return NULL;
    return s;
}

static void
session_prepare(cpn_session *s, const cpn_call *call, const cpn_asked *a)
{
    s->peer = call->peer;
    s->peer_port = call->peer_port;
    snprintf(s->user_agent, sizeof(s->user_agent), "%s", call->user_agent);
    memcpy(s->decision, a->decision, sizeof(s->decision));
}

static void
tokens_allowed(cpn_call *call, const cpn_asked *a, cpn_session *s)
{
    issuing *i = cpn_xcalloc(1, sizeof(*i));
    char id[CPN_UUID_TEXT];

    i->call = call;
    if (s) {
        (void)cpn_view_copy(cpn_form_get(&call->form, "token"), i->auth, sizeof(i->auth));
    } else {
        s = cpn_session_add(call->c, CPN_DOOR_AZURE, &a->want, &a->verdict, a->who);
        if (!s) {
            free(i);
            cpn_reply_reason(call, CPN_WHY_BUSY);
            return;
        }
        i->fresh = true;
        session_prepare(s, call, a);
        cpn_az_secret(i->auth, s->auth);
        s->has_auth = true;
        HASH_ADD(hh_auth, call->c->sessions->by_auth, auth, sizeof(s->auth), s);
    }
    i->session = s->id;
    s->tickets++;
    s->ticket_until_ms = cpn_mono_ms() + call->c->set.ticket_ttl;
    cpn_uuid_text(&s->id, id);
    cpn_call_note(call, "tunnelId", id);
    ticket_issue(i, json_pack("{s:s}", "session", id));
}

static void
tokens_post(cpn_call *call)
{
    cpn_control *c = call->c;
    cpn_asked a = { .door = CPN_DOOR_AZURE,
                    .peer = call->peer,
                    .peer_port = call->peer_port,
                    .user_agent = call->user_agent };
    cpn_session *reused;
    cpn_resource_id hint;
    cpn_err err = { 0 };
    bool hinted;

    if (!cpn_az_identify(call, cpn_form_get(&call->form, "aztoken")))
        return;
    a.who = cpn_call_who(call);
    if (cpn_usage_rate(c->sessions->usage, a.who->object_id, (unsigned)c->set.tickets_per_minute,
                       cpn_mono_ms()) != CPN_OK) {
        tokens_too_many(call);
        return;
    }
    if (c->draining) {
        cpn_reply_reason(call, CPN_WHY_SHUTDOWN);
        return;
    }
    if (form_read(call, &a.want, &hint, &hinted, &err) != CPN_OK) {
        cpn_reply_rc(call, CPN_INVALID, err.msg, NULL);
        return;
    }
    reused = session_reused(call, &a);
    cpn_az_bastion(c, a.who, &a.want, hinted ? &hint : NULL, reused);
    if (reused && strcasecmp(reused->want.bastion, a.want.bastion) != 0)
        reused = NULL;
    if (cpn_ask(c, &a, reused && reused->counted) == CPN_OK)
        tokens_allowed(call, &a, reused);
    else
        tokens_denied(call, &a);
}

/* ---- DELETE ---- */

/* The authToken is the only credential: the client sends no other. */
static void
tokens_delete(cpn_call *call)
{
    cpn_session *s = cpn_az_session(call->c, cpn_view_str(cpn_call_param(call, "token")));
    char id[CPN_UUID_TEXT];

    if (!s) {
        cpn_reply_rc(call, CPN_NOT_FOUND, NULL, NULL);
        return;
    }
    cpn_call_note(call, "tunnelId", cpn_uuid_text(&s->id, id));
    cpn_call_note(call, "objectId", s->object_id);
    call->told_again = true;
    cpn_cut_closed(call->c, s);
    cpn_reply_json(call, 204, NULL);
}

const cpn_route cpn_routes_aztokens[] = {
    { "POST", "/api/tokens", CPN_SCOPE_ANYONE, NULL, CPN_BODY_FORM, CPN_BODY_USUAL, "az.token",
      CPN_ERRORS_AZ, tokens_post },
    { "DELETE", "/api/tokens/{token}", CPN_SCOPE_ANYONE, NULL, CPN_BODY_NONE, 0, "az.token_delete",
      CPN_ERRORS_AZ, tokens_delete },
    { 0 },
};
