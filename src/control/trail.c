/* Writes the audit records of control's deeds with src/audit: fields in, a row of the batch out. */
#include "control/trail.h"

#include <stdio.h>
#include <stdlib.h>

#include "audit/merge.h"
#include "audit/record.h"
#include "base/clock.h"
#include "base/log.h"
#include "codec/chain.h"
#include "codec/chars.h"
#include "control/allowance.h"
#include "policy/sshlogin.h"

typedef enum merged {
    REFUSALS,    /* of connect requests, by user */
    TURNED_AWAY, /* calls of people who are not signed in, by source */
    UNCHANGING,  /* calls of those who are, and change nothing, by user */
    MERGED_N
} merged;

struct cpn_trail {
    cpn_merge *of[MERGED_N];
};

cpn_trail *
cpn_trail_new(void)
{
    cpn_trail *t = cpn_xcalloc(1, sizeof(*t));

    for (int of = 0; of < MERGED_N; of++)
        t->of[of] = cpn_merge_new();
    return t;
}

void
cpn_trail_free(cpn_trail *t)
{
    if (!t)
        return;
    for (int of = 0; of < MERGED_N; of++)
        cpn_merge_free(t->of[of]);
    free(t);
}

/* ---- writing ---- */

static cpn_record
record_of(const cpn_control *c, const char *operation)
{
    return (cpn_record){ .operation = operation,
                         .wall_ms = cpn_wall_ms(),
                         .node = c->node,
                         .policy_epoch = cpn_snapshot_epoch(c->snapshot) };
}

/* Takes the record. */
static void
record_in(cpn_batch *b, CPN_TAKES json_t *record)
{
    CPN_AUTO(cpn_buf_fini) cpn_buf text = { .max = CPN_RECORD_MAX };

    /* What does not fit is empty then, and the chain refuses it and the batch. */
    (void)!cpn_json_dump_canonical(record, &text);
    cpn_batch_audit(b, cpn_buf_view(&text));
    json_decref(record);
}

static void
alone_done(void *owner, cpn_rc rc, const cpn_err *err)
{
    cpn_control *c = owner;

    if (rc == CPN_OK) {
        c->count.commits++;
        return;
    }
    c->count.commits_failed++;
    cpn_log(CPN_LOG_ERROR, "audit.lost", CPN_KV("error", err ? err->msg : cpn_rc_word(rc)));
}

static void
batch_alone(cpn_control *c, CPN_TAKES cpn_batch *b)
{
    cpn_rc rc;

    if ((rc = cpn_store_commit(c->store, b, alone_done, c)) != CPN_OK)
        cpn_log(CPN_LOG_ERROR, "audit.lost", CPN_KV("error", cpn_rc_word(rc)));
}

static void
record_alone(cpn_control *c, CPN_TAKES json_t *record)
{
    cpn_batch *b = cpn_batch_new();

    record_in(b, record);
    batch_alone(c, b);
}

/* ---- calls ---- */

/* Who a certificate lets in is said whole: its maker bounds it. */
static size_t
note_max(const char *name)
{
    return strcmp(name, "certificatePrincipals") == 0 ? CPN_SSH_PRINCIPALS_SIZE
                                                      : CPN_RECORD_TEXT_MAX;
}

/* What handlers noted, each text as long as a record takes. */
static void
noted_put(json_t *record, const json_t *noted)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)noted, name, value)
    {
        const char *text = json_string_value(value);

        if (text && text[0] && !json_object_get(record, name))
            json_object_set_new(record, name,
                                json_stringn(text, cpn_utf8_cut(text, note_max(name))));
    }
}

static json_t *
event_record(const cpn_call *call, const char *event, int status)
{
    /* Whose token it was, also when it no longer serves: cpn_call_who would not say. */
    const char *id = call->claims.object_id;
    const cpn_principal *who = cpn_snapshot_principal(call->c->snapshot, cpn_view_str(id));
    cpn_record r = record_of(call->c, event);
    char peer[CPN_ADDR_TEXT];
    json_t *record;

    r.user_email = who ? who->name : NULL;
    r.object_id = id;
    r.client_ip = cpn_addr_text(&call->peer, peer);
    r.client_port = call->peer_port;
    r.user_agent = call->user_agent;
    record = cpn_record_json(&r);
    json_object_set_new(record, "status", json_integer(status));
    return record;
}

static json_t *
call_record(const cpn_call *call, int status)
{
    json_t *record = event_record(call, call->route->audit, status);

    noted_put(record, call->noted);
    return record;
}

void
cpn_trail_call_along(cpn_batch *b, const cpn_call *call, const char *event, int status,
                     const char *target)
{
    CPN_AUTO(cpn_json_auto) json_t *noted = json_pack("{s:s}", "target", target);
    json_t *record = event_record(call, event, status);

    noted_put(record, noted);
    record_in(b, record);
}

void
cpn_trail_call_in(cpn_batch *b, cpn_call *call, int status)
{
    record_in(b, call_record(call, status));
    call->audited = true;
}

/* False: it is counted with one that was written. */
static bool
add(cpn_control *c, merged of, const char *key, const json_t *record)
{
    return cpn_merge_add(c->trail->of[of], cpn_view_str(key), record, cpn_mono_ms());
}

/* One source's addresses are one. */
static const char *
source_text(const cpn_addr *peer, char out[CPN_ADDR_TEXT])
{
    cpn_addr source = cpn_addr_source(peer);

    return cpn_addr_text(&source, out);
}

/* Whoever has no account could else write as many records as it sends requests. Names that were
 * tried stay apart as long as the penalties let them be tried at all. */

static bool
turned_away_again(const cpn_call *call, int status, const json_t *record)
{
    const char *name = cpn_json_string(record, "userEmail");
    char text[CPN_ADDR_TEXT], key[512];

    if (status < 400 || call->signed_in)
        return false;
    snprintf(key, sizeof(key), "%s %d %s %s %.320s", call->route->audit, status,
             source_text(&call->peer, text), cpn_json_string(record, "reason"),
             status == 429 ? "" : name);
    return !add(call->c, TURNED_AWAY, key, record);
}

/* An account without any role could else do the same. What it says of itself in the call is not in
 * the key: it would tell each apart. */
static bool
unchanging_again(const cpn_call *call, int status, const json_t *record)
{
    char key[256];

    if (!call->signed_in || (status < 400 && !call->only_read))
        return false;
    snprintf(key, sizeof(key), "%s %d %s %s", call->route->audit, status, call->claims.object_id,
             cpn_json_string(record, "reason"));
    return !add(call->c, UNCHANGING, key, record);
}

void
cpn_trail_call(cpn_call *call, int status)
{
    json_t *record = call_record(call, status);
    cpn_batch *b;

    if (turned_away_again(call, status, record) || unchanging_again(call, status, record)) {
        json_decref(record);
        return;
    }
    b = cpn_batch_new();
    if (call->told_again)
        cpn_batch_may_wait(b);
    record_in(b, record);
    batch_alone(call->c, b);
}

/* ---- sessions ---- */

static const char *
door_word(cpn_door door)
{
    return door == CPN_DOOR_AZURE ? "azure" : "own";
}

void
cpn_trail_session(cpn_control *c, cpn_batch *b, const cpn_session *s, const char *event)
{
    cpn_record r = record_of(c, event);
    char peer[CPN_ADDR_TEXT], addr[CPN_ADDR_TEXT], id[CPN_UUID_TEXT], said[CPN_SENTENCE_SIZE];
    json_t *record;

    r.user_email = s->user_name;
    r.object_id = s->object_id;
    r.client_ip = cpn_addr_text(&s->peer, peer);
    r.client_port = s->peer_port;
    r.user_agent = s->user_agent;
    r.resource_id = s->want.bastion;
    r.target_id = s->target_shown;
    r.target_ip = cpn_addr_text(&s->addr, addr);
    r.port = s->want.port;
    r.protocol = cpn_session_protocol(s);
    r.door = door_word(s->door);
    r.decision_id = s->decision;
    r.binding = cpn_binding_word(s->binding);
    r.session_id = cpn_uuid_text(&s->id, id);
    r.start_wall_ms = s->start_wall_ms;
    r.message = "Successfully Connected.";
    if (s->ended) {
        r.message = cpn_session_sentence(s, s->end_why, said);
        r.reason = cpn_reason_word(s->end_why);
        r.end_wall_ms = s->end_wall_ms;
        r.duration_ms = (int64_t)(s->end_ms - s->start_ms);
        r.bytes_up = s->up;
        r.bytes_down = s->down;
    }
    record = cpn_record_json(&r);
    if (s->end_by[0])
        json_object_set_new(record, "by", json_string(s->end_by));
    if (s->end_cut_ms >= 0)
        json_object_set_new(record, "cutMilliseconds", json_integer(s->end_cut_ms));
    record_in(b, record);
}

void
cpn_trail_gateway(cpn_control *c, const char *event, const char *message)
{
    cpn_record r = record_of(c, event);

    r.message = message;
    record_alone(c, cpn_record_json(&r));
}

/* ---- refusals ---- */

static json_t *
refusal_record(cpn_control *c, const cpn_trail_refusal *r)
{
    cpn_record out = record_of(c, CPN_AUDIT_SESSION_REFUSED);
    char peer[CPN_ADDR_TEXT];
    bool resource = r->target[0] == '/';

    out.user_email = r->who ? r->who->name : NULL;
    out.object_id = r->who ? r->who->object_id : r->object_id;
    out.client_ip = cpn_addr_text(r->peer, peer);
    out.client_port = r->peer_port;
    out.user_agent = r->user_agent;
    out.resource_id = r->bastion;
    out.target_id = resource ? r->target : NULL;
    out.target_ip = resource ? NULL : r->target;
    out.port = r->port;
    out.door = door_word(r->door);
    out.reason = cpn_reason_word(r->why);
    out.message = r->message;
    out.decision_id = r->decision;
    out.binding = r->binding;
    return cpn_record_json(&out);
}

void
cpn_trail_refused(cpn_control *c, const cpn_trail_refusal *r)
{
    const char *id = r->who ? r->who->object_id : r->object_id;
    char key[CPN_ID_MAX + 128], source[CPN_ADDR_TEXT];
    json_t *record = refusal_record(c, r);

    snprintf(key, sizeof(key), "%s %d %u %s", id ? id : source_text(r->peer, source), (int)r->why,
             r->port, r->target);
    /* Strangers are kept apart, so that they cannot fill the table of those who are known. */
    if (add(c, id ? REFUSALS : TURNED_AWAY, key, record))
        record_alone(c, json_incref(record));
    json_decref(record);
}

void
cpn_trail_flush(cpn_control *c, uint64_t now_ms, bool all)
{
    json_t *record;

    for (int of = 0; of < MERGED_N; of++)
        while ((record = cpn_merge_next(c->trail->of[of], now_ms, all)) != NULL)
            record_alone(c, record);
}
