/* What control is told of a stream, and the judgement of its first bytes. */
#include "front/relay.h"

#include <stdio.h>
#include <stdlib.h>

#include <utlist.h>

#include "base/log.h"

/* Room for a refusal in SSH's words. */
#define REFUSAL_MAX 4096

/* How often control is asked for more bytes; a new one knows nothing of what the old one was told.
 */
#define ASK_AGAIN_MS 1000

static void ask_more(cpn_later *l);
static void ask_again(cpn_deadline *d);
static void judged_no(cpn_later *l);
static void fell_silent(cpn_deadline *d);

cpn_view
cpn_reason_json(cpn_reason why, char out[CPN_REASON_JSON])
{
    int n = snprintf(out, CPN_REASON_JSON, "{\"code\":\"%s\",\"reason\":\"%s\",\"message\":\"%s\"}",
                     cpn_reason_word(why), cpn_reason_word(why), cpn_reason_sentence(why));

    return (cpn_view){ (const uint8_t *)out, n > 0 && n < CPN_REASON_JSON ? (size_t)n : 0 };
}

cpn_relay *
cpn_relay_new(cpn_conn *c, uint32_t number)
{
    cpn_relay *r = cpn_xcalloc(1, sizeof(*r));

    r->conn = c;
    r->number = number;
    r->silent.fn = fell_silent;
    r->ending.fn = judged_no;
    r->asking.fn = ask_more;
    r->again.fn = ask_again;
    DL_APPEND(c->relays, r);
    return r;
}

cpn_relay *
cpn_relay_by_number(const cpn_conn *c, uint32_t number)
{
    cpn_relay *r;

    DL_FOREACH (c->relays, r)
        if (r->number == number)
            return r;
    return NULL;
}

void
cpn_relay_opened(cpn_relay *r, const cpn_msg_OPENED *m)
{
    cpn_front *f = r->conn->front;

    r->opened = true;
    r->id = m->id;
    r->session = m->session;
    r->allowed = (cpn_byte_limits){ m->up, m->down };
    HASH_ADD(hh, f->opened, id, sizeof(r->id), r);
    f->count.streams++;
    if (!f->tally || m->tally >= CPN_TALLY_SLOTS)
        return;
    r->slot = &f->tally->slots[m->tally];
    cpn_tally_set(&r->slot->up, 0);
    cpn_tally_set(&r->slot->down, 0);
    cpn_tally_set(&r->slot->last_ms, cpn_loop_now_ms(f->loop));
    cpn_tally_set(&r->slot->stream, m->id);
}

/* ---- the first bytes ---- */

static void
spoke(cpn_relay *r, cpn_speech speech)
{
    cpn_msg m = { .type = CPN_MSG_SPOKE, .SPOKE = { .id = r->id } };

    cpn_deadline_clear(&r->silent);
    if (r->client && r->target)
        return;
    m.SPOKE.protocol = speech == CPN_SPEECH_SSH ? CPN_PROTOCOL_SSH : CPN_PROTOCOL_RDP;
    cpn_link_tell(r->conn->front, &m);
}

/* The engine holds both ways from now on; what follows must not happen inside its callback. */
static cpn_verdict
no(cpn_relay *r, cpn_reason why)
{
    if (r->why == CPN_WHY_NONE) {
        r->why = why;
        cpn_loop_later(r->conn->front->loop, &r->ending, CPN_LATER_FIRST);
    }
    return CPN_VERDICT_NO;
}

static cpn_verdict
judge(cpn_relay *r, cpn_first_answer answer, cpn_view first, bool last, cpn_reason why)
{
    if (answer == CPN_FIRST_YES)
        return CPN_VERDICT_PASS;
    if (answer == CPN_FIRST_NO)
        return no(r, why);
    /* An end without a word carries nothing anywhere. */
    if (last && first.n == 0)
        return CPN_VERDICT_PASS;
    return last || first.n >= CPN_JUDGE_HELD_MAX ? no(r, why) : CPN_VERDICT_MORE;
}

static cpn_verdict
judge_up(void *arg, cpn_view first, bool last)
{
    cpn_relay *r = arg;
    cpn_speech speech = CPN_SPEECH_NONE;
    cpn_first_answer a = cpn_first_client(first, &speech);

    if (a == CPN_FIRST_YES && r->target != CPN_SPEECH_NONE && r->target != speech)
        a = CPN_FIRST_NO;
    if (a == CPN_FIRST_YES) {
        r->client = speech;
        spoke(r, speech);
    }
    return judge(r, a, first, last, CPN_WHY_PROTOCOL_CLIENT);
}

static cpn_verdict
judge_down(void *arg, cpn_view first, bool last)
{
    cpn_relay *r = arg;
    cpn_speech speech = CPN_SPEECH_NONE;
    cpn_first_answer a = cpn_first_target(first, r->client, &speech);

    if (a == CPN_FIRST_YES) {
        r->target = speech;
        spoke(r, speech);
    }
    return judge(r, a, first, last, CPN_WHY_PROTOCOL_TARGET);
}

cpn_judge
cpn_relay_judge(cpn_relay *r)
{
    cpn_front *f = r->conn->front;

    if (f->set.first_bytes_ms > 0)
        cpn_deadline_set(f->deadlines, &r->silent, f->set.first_bytes_ms);
    return (cpn_judge){ .up = judge_up, .down = judge_down, .arg = r };
}

/* An SSH client that has heard nothing yet can be told in its own words. */
static void
say_no(cpn_relay *r, const char *sentence)
{
    cpn_buf b = { .max = REFUSAL_MAX };
    cpn_rc rc = CPN_INVALID;

    if (r->target != CPN_SPEECH_NONE)
        return;
    if (r->client == CPN_SPEECH_SSH)
        rc = cpn_first_refuse_ssh(&b, sentence);
    else if (r->client == CPN_SPEECH_RDP)
        rc = cpn_first_refuse_rdp(&b);
    if (rc == CPN_OK)
        cpn_rawrelay_say(r->raw, cpn_buf_view(&b));
    cpn_buf_fini(&b);
}

static void
end_now(cpn_relay *r, const char *sentence, cpn_view json)
{
    cpn_deadline_clear(&r->silent);
    if (r->stream) {
        cpn_stream_reset(r->stream, json);
    } else if (r->raw) {
        say_no(r, sentence);
        cpn_rawrelay_close(r->raw, CPN_WS_CLOSE_POLICY, sentence);
    }
}

static void
judged_no(cpn_later *l)
{
    cpn_relay *r = cpn_container_of(l, cpn_relay, ending);
    char json[CPN_REASON_JSON];

    end_now(r, cpn_reason_sentence(r->why), cpn_reason_json(r->why, json));
}

static void
fell_silent(cpn_deadline *d)
{
    cpn_relay_stop_for(cpn_container_of(d, cpn_relay, silent), CPN_WHY_SILENT);
}

/* ---- limits ---- */

static void
allow(cpn_relay *r, uint64_t up, uint64_t down)
{
    if (r->stream) {
        r->allowed.up = CPN_MAX(up, cpn_stream_up(r->stream));
        r->allowed.down = CPN_MAX(down, cpn_stream_down(r->stream));
        cpn_stream_allow(r->stream, &r->allowed);
    } else if (r->raw) {
        r->allowed.up = CPN_MAX(up, cpn_rawrelay_up(r->raw));
        r->allowed.down = CPN_MAX(down, cpn_rawrelay_down(r->raw));
        cpn_rawrelay_allow(r->raw, &r->allowed);
    }
}

static bool
wants(const cpn_relay *r, bool up)
{
    return r->stream ? cpn_stream_wants(r->stream, up) : r->raw && cpn_rawrelay_wants(r->raw, up);
}

static void
tell_spent(cpn_relay *r)
{
    cpn_front *f = r->conn->front;
    cpn_msg m = { .type = CPN_MSG_SPENT,
                  .SPENT = { .id = r->id,
                             .serial = r->serial,
                             .wants_up = wants(r, true),
                             .wants_down = wants(r, false),
                             .up = r->allowed.up,
                             .down = r->allowed.down } };

    if (!r->opened || r->why != CPN_WHY_NONE)
        return;
    cpn_link_tell(f, &m);
    if (m.SPENT.wants_up || m.SPENT.wants_down)
        cpn_deadline_set(f->deadlines, &r->again, ASK_AGAIN_MS);
}

static void
ask_more(cpn_later *l)
{
    tell_spent(cpn_container_of(l, cpn_relay, asking));
}

static void
ask_again(cpn_deadline *d)
{
    tell_spent(cpn_container_of(d, cpn_relay, again));
}

void
cpn_relay_spent(cpn_relay *r)
{
    cpn_loop_later(r->conn->front->loop, &r->asking, CPN_LATER_FIRST);
}

void
cpn_relays_allow(cpn_front *f, const cpn_msg_ALLOW *m)
{
    cpn_relay *r = NULL;

    HASH_FIND(hh, f->opened, &m->id, sizeof(m->id), r);
    if (!r)
        return;
    r->serial = m->serial;
    cpn_deadline_clear(&r->again);
    allow(r, m->up, m->down);
    /* What one way asked for meanwhile, control did not hear: its word was on its way to us. */
    if (m->report || wants(r, true) || wants(r, false))
        tell_spent(r);
}

/* ---- the end ---- */

void
cpn_relay_stop(cpn_relay *r, cpn_reason why, const char *sentence, cpn_view json)
{
    if (r->why != CPN_WHY_NONE)
        return;
    r->why = why;
    end_now(r, sentence, json);
}

void
cpn_relay_stop_for(cpn_relay *r, cpn_reason why)
{
    char json[CPN_REASON_JSON];

    cpn_relay_stop(r, why, cpn_reason_sentence(why), cpn_reason_json(why, json));
}

void
cpn_relay_ended(cpn_relay *r, cpn_reason why, uint64_t up, uint64_t down)
{
    cpn_front *f = r->conn->front;
    cpn_msg m = {
        .type = CPN_MSG_ENDED,
        .ENDED = { .id = r->id, .why = (uint16_t)(r->why ? r->why : why), .up = up, .down = down }
    };

    if (r->opened) {
        HASH_DEL(f->opened, r);
        cpn_link_tell(f, &m);
    }
    if (r->slot)
        cpn_tally_set(&r->slot->last_ms, 0);
    cpn_deadline_clear(&r->silent);
    cpn_deadline_clear(&r->again);
    cpn_loop_not_later(f->loop, &r->ending);
    cpn_loop_not_later(f->loop, &r->asking);
    DL_DELETE(r->conn->relays, r);
    free(r);
}

void
cpn_relays_lost(cpn_conn *c)
{
    cpn_reason why = c->front->draining ? CPN_WHY_SHUTDOWN : CPN_WHY_CLIENT_GONE;

    while (c->relays) {
        cpn_relay *r = c->relays;
        uint64_t up = 0, down = 0;

        if (r->stream) {
            up = cpn_stream_up(r->stream);
            down = cpn_stream_down(r->stream);
        } else if (r->raw) {
            up = cpn_rawrelay_up(r->raw);
            down = cpn_rawrelay_down(r->raw);
            cpn_rawrelay_free(cpn_steal(&r->raw));
        }
        cpn_relay_ended(r, why, up, down);
    }
}

void
cpn_relays_cut(cpn_front *f, const cpn_msg_CUT *m)
{
    cpn_relay *r, *next;
    char sentence[401];

    if (!cpn_view_copy(m->sentence, sentence, sizeof(sentence)))
        sentence[0] = '\0';
    HASH_ITER (hh, f->opened, r, next) {
        if (cpn_uuid_eq(&r->session, &m->session))
            cpn_relay_stop(r, (cpn_reason)m->why, sentence, m->answer);
    }
}
