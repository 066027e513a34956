/* POST and DELETE /api/tokens: the Azure door hands out authTokens and tickets. */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/log.h"
#include "codec/digest.h"
#include "control/azdoor.h"
#include "control/cut.h"
#include "control/penalties.h"
#include "control/reply.h"
#include "control/trail.h"
#include "control/usage.h"

#define HOST_TYPE "bh-hostConnect"

/* One POST on its way: the ticket is being written. */
typedef struct issuing {
    cpn_call *call;
    cpn_uuid session;
    bool fresh; /* the session is of this POST */
    char auth[512];
    char ticket[CPN_AZ_TOKEN_SIZE];
} issuing;

/* ---- the form ---- */

/* The address of ".../Microsoft.Network/bh-hostConnect/{ip}", which "hostname" must repeat. */
static cpn_rc
address_read(cpn_call *call, const cpn_resource_id *id, cpn_want *want, cpn_err *err)
{
    cpn_view host = cpn_form_get(&call->form, "hostname");
    cpn_addr in_id, in_host;

    if (cpn_addr_parse(&in_id, id->name, err) != CPN_OK)
        return cpn_fail(err, CPN_INVALID, "resourceId: expected a numeric address at its end");
    if (host.p && (cpn_addr_parse(&in_host, host, err) != CPN_OK || !cpn_addr_eq(&in_id, &in_host)))
        return cpn_fail(err, CPN_INVALID, "hostname: expected the address of resourceId");
    cpn_addr_text(&in_id, want->target_ip);
    return CPN_OK;
}

/* bh-hostConnect ids end in an address, which the rules for names may not allow (IPv6). */
static bool
host_connect(cpn_view text, cpn_resource_id *id)
{
    static const char infix[] = "/providers/Microsoft.Network/" HOST_TYPE "/";
    const char *p = (const char *)text.p, *at;
    char copy[CPN_ID_MAX + 1];
    cpn_err err = { 0 };

    if (!cpn_view_copy(text, copy, sizeof(copy)) || !(at = strcasestr(copy, infix)))
        return false;
    if (cpn_resource_id_parse(id, (cpn_view){ text.p, (size_t)(at - copy) }, &err) != CPN_OK)
        return false;
    id->name = cpn_view_str(p + (at - copy) + sizeof(infix) - 1);
    id->name.n = text.n - (size_t)(at - copy) - (sizeof(infix) - 1);
    return id->group.n > 0;
}

/* The form into a want, the bastion still open; *hint: the group that an address's id names. */
static cpn_rc
form_read(cpn_call *call, cpn_want *want, cpn_resource_id *hint, bool *hinted, cpn_err *err)
{
    cpn_view id = cpn_form_get(&call->form, "resourceId");
    cpn_view protocol = cpn_form_get(&call->form, "protocol");
    uint64_t port;

    memset(want, 0, sizeof(*want));
    *hinted = false;
    if (!cpn_view_is(protocol, "tcptunnel"))
        return cpn_fail(err, CPN_INVALID, "protocol: expected tcptunnel");
    if (!cpn_view_u64(cpn_form_get(&call->form, "workloadHostPort"), 65535, &port) || port == 0)
        return cpn_fail(err, CPN_INVALID, "workloadHostPort: expected a port from 1 to 65535");
    want->port = (uint16_t)port;
    if (host_connect(id, hint)) {
        *hinted = true;
        return address_read(call, hint, want, err);
    }
    if (cpn_resource_id_parse(hint, id, err) != CPN_OK || hint->name.n == 0 ||
        !cpn_view_copy(id, want->target_id, sizeof(want->target_id)))
        return cpn_fail(err, CPN_INVALID, "resourceId: expected a machine's resource id");
    return CPN_OK;
}

/* The aztoken is the bearer of this door. False: answered. */
static bool
az_identify(cpn_call *call)
{
    cpn_control *c = call->c;
    cpn_view token = cpn_form_get(&call->form, "aztoken");
    cpn_reason why = CPN_WHY_TOKEN_INVALID;
    cpn_err err = { 0 };
    cpn_rc rc = CPN_UNAUTHENTICATED;

    if (token.n)
        rc = cpn_identity_verify(c->identity, token, cpn_wall_s(), &call->claims, &why, &err);
    call->signed_in = rc == CPN_OK;
    if (rc < 0) {
        cpn_reply_rc(call, rc, NULL, &err);
        return false;
    }
    if (rc != CPN_OK) {
        unsigned wait = cpn_penalty_token(c->penalties, &call->peer, why, call->route->path);

        if (wait)
            cpn_reply_wait(call, wait);
        else
            cpn_reply_reason(call, why);
        return false;
    }
    if (!cpn_call_who(call)) {
        cpn_reply_reason(call, CPN_WHY_PRINCIPAL_DISABLED);
        return false;
    }
    return true;
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
    cpn_batch_ticket(batch, key, cpn_view_str(text),
                     cpn_wall_ms() + (int64_t)call->c->set.ticket_ttl);
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

/* Policy said no. Our own client is told by status; others by a session that says so. */
static void
tokens_denied(cpn_call *call, const cpn_asked *a)
{
    char sentence[2048];
    char *answer;
    issuing *i;
    uint8_t key[32];

    call->c->count.refused[a->verdict.why]++;
    /* The refusal has its own record, with everything in it. */
    call->audited = true;
    cpn_verdict_sentence(&a->verdict, sentence, sizeof(sentence));
    if (call->own_client || cpn_az_denied_take(call->c, cpn_mono_ms()) != CPN_OK) {
        json_t *more = cpn_verdict_json(&a->verdict);

        json_object_set_new(more, "decisionId", json_string(a->decision));
        cpn_reply_error(call, denied_status(a->verdict.why), cpn_reason_word(a->verdict.why),
                        sentence, more);
        return;
    }
    answer = cpn_refusal_text(&a->verdict, a->decision, 4096);
    i = cpn_xcalloc(1, sizeof(*i));
    i->call = call;
    cpn_az_secret(i->auth, key);
    ticket_issue(i, json_pack("{s:s,s:s,s:s}", "denied", cpn_reason_word(a->verdict.why),
                              "sentence", sentence, "answer", answer));
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
        strcmp(s->want.target_ip, a->want.target_ip) != 0 ||
        strcasecmp(s->want.bastion, a->want.bastion) != 0)
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

    if (!az_identify(call))
        return;
    a.who = cpn_call_who(call);
    if (cpn_usage_rate(c->sessions->usage, a.who->object_id, (unsigned)c->set.tickets_per_minute,
                       cpn_mono_ms()) != CPN_OK) {
        cpn_reply_reason(call, CPN_WHY_LIMIT_RATE);
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
    cpn_az_bastion(c, a.who, &a.want, hinted ? &hint : NULL);
    reused = session_reused(call, &a);
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
