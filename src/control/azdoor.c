/* The Azure door's secrets, and what becomes of a used ticket. */
#include "control/azdoor.h"

#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"
#include "codec/b64url.h"
#include "codec/digest.h"
#include "control/allowance.h"

/* An upgrade whose ticket is being looked up. */
typedef struct upgrade {
    cpn_control *c;
    cpn_place to;
    cpn_addr peer;
    uint16_t peer_port;
    char user_agent[513];
    bool own_client;
    bool forgotten;
    struct upgrade *prev, *next;
} upgrade;

struct cpn_azdoor {
    upgrade *upgrades;
    uint64_t denied[CPN_AZ_DENIED_MAX]; /* when each forgets itself, a ring */
    size_t denied_first, denied_n;
};

cpn_azdoor *
cpn_azdoor_new(void)
{
    return cpn_xcalloc(1, sizeof(cpn_azdoor));
}

void
cpn_azdoor_free(cpn_azdoor *d)
{
    free(d);
}

void
cpn_az_secret(char text[CPN_AZ_TOKEN_SIZE], uint8_t key[32])
{
    uint8_t raw[32];

    cpn_random(raw, sizeof(raw));
    if (!cpn_b64url_encode((cpn_view){ raw, sizeof(raw) }, text, CPN_AZ_TOKEN_SIZE))
        abort();
    explicit_bzero(raw, sizeof(raw));
    cpn_sha256(cpn_view_str(text), key);
}

cpn_session *
cpn_az_session(cpn_control *c, cpn_view auth_token)
{
    uint8_t key[32];
    cpn_session *s = NULL;

    if (auth_token.n == 0)
        return NULL;
    cpn_sha256(auth_token, key);
    HASH_FIND(hh_auth, c->sessions->by_auth, key, sizeof(key), s);
    return s && !s->ended ? s : NULL;
}

cpn_rc
cpn_az_denied_take(cpn_control *c, uint64_t now_ms)
{
    cpn_azdoor *d = c->azdoor;

    while (d->denied_n && d->denied[d->denied_first] <= now_ms) {
        d->denied_first = (d->denied_first + 1) % CPN_AZ_DENIED_MAX;
        d->denied_n--;
    }
    if (d->denied_n >= CPN_MIN(c->set.denied_sessions_max, (uint64_t)CPN_AZ_DENIED_MAX))
        return CPN_LIMIT;
    d->denied[(d->denied_first + d->denied_n++) % CPN_AZ_DENIED_MAX] = now_ms + c->set.ticket_ttl;
    return CPN_OK;
}

/* ---- upgrades ---- */

void
cpn_az_forget(cpn_control *c, uint32_t front, uint32_t conn)
{
    upgrade *u;

    DL_FOREACH (c->azdoor->upgrades, u) {
        if (u->to.at.front == front && (conn == 0 || u->to.at.conn == conn))
            u->forgotten = true;
    }
}

/* A ticket of a denied session: the no was decided at POST. */
static void
denied_answer(cpn_control *c, const upgrade *u, const json_t *ticket)
{
    const char *sentence = cpn_json_string(ticket, "sentence");
    const char *answer = cpn_json_string(ticket, "answer");
    cpn_reason why = cpn_reason_from_word(cpn_view_str(cpn_json_string(ticket, "denied")));

    cpn_refuse_said(c, &u->to, why < CPN_WHY_N ? why : CPN_WHY_ROLE_MISSING, sentence, answer);
}

/* s: NULL when the ticket leads to none. */
static cpn_asked
asked_of(const cpn_control *c, const upgrade *u, const cpn_session *s)
{
    cpn_asked a = { .door = CPN_DOOR_AZURE,
                    .peer = u->peer,
                    .peer_port = u->peer_port,
                    .user_agent = u->user_agent };

    if (s) {
        a.who = cpn_snapshot_principal(c->snapshot, cpn_view_str(s->object_id));
        a.object_id = s->object_id;
        a.want = s->want;
    }
    return a;
}

static void
upgrade_refuse(cpn_control *c, const upgrade *u, const cpn_session *s, cpn_reason why)
{
    cpn_asked a = asked_of(c, u, s);

    cpn_refuse_early(c, &u->to, &a, why);
}

static void
upgrade_session(cpn_control *c, const upgrade *u, cpn_session *s)
{
    cpn_asked a = asked_of(c, u, s);

    if (!a.who || !a.who->enabled) {
        cpn_refuse_early(c, &u->to, &a, CPN_WHY_PRINCIPAL_DISABLED);
        return;
    }
    if (s->streams_n >= c->set.streams_per_session) {
        cpn_refuse_early(c, &u->to, &a, CPN_WHY_LIMIT_STREAMS);
        return;
    }
    if (cpn_ask(c, &a, s->counted) != CPN_OK) {
        cpn_refuse_verdict(c, &u->to, &a);
        return;
    }
    s->addr = a.verdict.addr;
    cpn_allowance_change(c, s, &a.verdict.limits);
    s->tickets -= s->tickets ? 1 : 0;
    if (s->row == CPN_ROW_NONE) {
        s->peer = u->peer;
        s->peer_port = u->peer_port;
        if (u->user_agent[0])
            snprintf(s->user_agent, sizeof(s->user_agent), "%s", u->user_agent);
        memcpy(s->decision, a.decision, sizeof(s->decision));
        s->start_wall_ms = cpn_wall_ms();
        s->start_ms = cpn_mono_ms();
        cpn_session_begin(c, s);
    }
    cpn_stream_begin(c, s, &u->to);
}

/* It is none of ours, or used, or too old. No penalty: it cannot be guessed, and all clients of a
 * place come too late with theirs when the gateway was restarted. */
static void
ticket_wrong(cpn_control *c, const upgrade *u)
{
    upgrade_refuse(c, u, NULL, CPN_WHY_TICKET_INVALID);
}

static void
ticket_taken(void *owner, cpn_rc rc, cpn_view body, const cpn_err *err)
{
    upgrade *u = owner;
    cpn_control *c = u->c;
    CPN_AUTO(cpn_json_auto) json_t *ticket = NULL;
    cpn_err bad = { 0 };
    cpn_session *s = NULL;
    cpn_uuid id;

    DL_DELETE(c->azdoor->upgrades, u);
    if (rc == CPN_OK)
        rc = cpn_json_load(&ticket, body, 16384, 4, &bad);
    if (rc == CPN_OK && cpn_uuid_parse(&id, cpn_view_str(cpn_json_string(ticket, "session"))))
        s = cpn_session_find(c, &id);
    if (rc < 0)
        cpn_log(CPN_LOG_ERROR, "ticket.lookup", CPN_KV("error", err ? err->msg : bad.msg));
    /* Whoever holds a good ticket is told no where its program can hear it (docs/adr/0012). */
    u->to.denied_session =
        !u->own_client && (json_object_get(ticket, "denied") || (s && !s->ended));
    if (u->forgotten)
        ; /* used up, for nobody */
    else if (rc == CPN_OK && json_object_get(ticket, "denied"))
        denied_answer(c, u, ticket);
    else if (c->draining)
        upgrade_refuse(c, u, s, CPN_WHY_SHUTDOWN);
    else if (s && !s->ended)
        upgrade_session(c, u, s);
    else if (rc == CPN_NOT_FOUND)
        ticket_wrong(c, u);
    else
        upgrade_refuse(c, u, s, rc < 0 ? CPN_WHY_INTERNAL : CPN_WHY_TICKET_INVALID);
    free(u);
}

void
cpn_open_upgrade(cpn_front *f, const cpn_msg_UPGRADE *m)
{
    cpn_control *c = f->c;
    upgrade *u = cpn_xcalloc(1, sizeof(*u));
    uint8_t key[32];
    cpn_rc rc;

    c->count.opens++;
    u->c = c;
    u->to.at = (cpn_place_key){ f->id, m->conn, 1 };
    u->peer = m->peer;
    u->peer_port = m->peer_port;
    u->own_client = m->own_client;
    (void)cpn_view_copy(m->user_agent, u->user_agent, sizeof(u->user_agent));
    if (cpn_stream_placed(c, &u->to.at)) {
        cpn_front_kill(f, "a second upgrade of one connection");
        free(u);
        return;
    }
    cpn_sha256(m->ticket, key);
    DL_APPEND(c->azdoor->upgrades, u);
    rc = c->set.az_clients ? cpn_store_ticket_consume(c->store, key, ticket_taken, u)
                           : CPN_NOT_FOUND;
    if (rc == CPN_OK)
        return;
    DL_DELETE(c->azdoor->upgrades, u);
    if (rc == CPN_NOT_FOUND)
        ticket_wrong(c, u);
    else
        upgrade_refuse(c, u, NULL, CPN_WHY_BUSY);
    free(u);
}
