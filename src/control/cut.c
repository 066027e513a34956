/* Cuts sessions, and finds those that policy no longer allows. */
#include "control/cut.h"

#include <stdio.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/allowance.h"
#include "control/open.h"

/* {"code","reason","message","by"} */
static json_t *
answer_json(cpn_reason why, const char *sentence, const char *by)
{
    return json_pack("{s:s,s:s,s:s,s:s}", "code", cpn_reason_word(why), "reason",
                     cpn_reason_word(why), "message", sentence, "by", by);
}

static void
tell_fronts(cpn_control *c, const cpn_session *s, cpn_reason why, const char *by)
{
    char said[CPN_SENTENCE_SIZE];
    const char *sentence = cpn_session_sentence(s, why, said);
    json_t *answer;
    char *text;
    cpn_msg m = { .type = CPN_MSG_CUT };
    cpn_front *f, *next;

    answer = answer_json(why, sentence, by);
    text = cpn_json_text(answer);
    m.CUT = (cpn_msg_CUT){ .session = s->id,
                           .why = (uint16_t)why,
                           .sentence = cpn_view_str(sentence),
                           .answer = cpn_view_str(text) };
    HASH_ITER (hh, c->fronts, f, next) {
        const cpn_stream *st;
        bool holds = false;

        DL_FOREACH (s->streams, st)
            holds |= st->opened && (st->at.front == f->id || st->at.front == 0);
        if (holds)
            (void)cpn_front_send(f, &m, -1);
    }
    json_decref(answer);
    free(text);
}

uint64_t
cpn_cut(cpn_control *c, cpn_session *s, cpn_reason why, const char *by, uint64_t asked_ms)
{
    cpn_msg shut = { .type = CPN_MSG_SHUT, .SHUT = { .session = s->id } };
    uint64_t ms;

    if (s->ended)
        return 0;
    /* First, so that the front does not take the shut socket for the machine's own end. It never
     * waits: a front that does not read has its messages parked. */
    tell_fronts(c, s, why, by);
    cpn_keeper_send(c, &shut);
    ms = cpn_mono_ms() - asked_ms;
    c->count.cuts++;
    c->count.cut_ms_sum += ms;
    c->count.cut_ms_max = CPN_MAX(c->count.cut_ms_max, ms);
    s->end_cut_ms = (int64_t)ms;
    snprintf(s->end_by, sizeof(s->end_by), "%s", by);
    cpn_log(CPN_LOG_INFO, "session.cut", CPN_KV("user", s->user_name),
            CPN_KV("reason", cpn_reason_word(why)), CPN_KI("ms", ms));
    cpn_session_end(c, s, why);
    return ms;
}

void
cpn_cut_closed(cpn_control *c, cpn_session *s)
{
    cpn_msg shut = { .type = CPN_MSG_SHUT, .SHUT = { .session = s->id } };

    if (s->ended)
        return;
    tell_fronts(c, s, CPN_WHY_CLOSED, "");
    if (s->streams)
        cpn_keeper_send(c, &shut);
    cpn_session_end(c, s, CPN_WHY_CLOSED);
}

/* Does policy still allow it, to the same address? Within limits that may be others now. */
static bool
still_allowed(const cpn_control *c, const cpn_session *s, cpn_byte_limits *limits)
{
    const cpn_principal *who = cpn_snapshot_principal(c->snapshot, cpn_view_str(s->object_id));
    cpn_facts facts = cpn_want_facts(&s->want, who);
    cpn_verdict verdict;

    if (!who || !who->enabled)
        return false;
    if (cpn_decide(c->snapshot, &facts, &verdict) != CPN_OK)
        return false;
    *limits = verdict.limits;
    return cpn_addr_eq(&verdict.addr, &s->addr);
}

void
cpn_cut_recheck(cpn_control *c, uint64_t asked_ms)
{
    cpn_session *s, *next;

    HASH_ITER (hh, c->sessions->by_id, s, next) {
        cpn_byte_limits limits;

        if (s->ended)
            continue;
        if (still_allowed(c, s, &limits))
            cpn_allowance_change(c, s, &limits);
        else
            (void)cpn_cut(c, s, CPN_WHY_CUT_POLICY, "", asked_ms);
    }
}
