/* Says no to the data path, in a sentence and in JSON that both fit their messages. */
#include <stdio.h>
#include <stdlib.h>

#include "codec/chars.h"
#include "control/open.h"
#include "control/trail.h"

#define SENTENCE_MAX 400
#define ANSWER_MAX 4096

/* At most max bytes, ended at a character's border. */
static cpn_view
cut_text(const char *text, size_t max)
{
    return (cpn_view){ (const uint8_t *)text, cpn_utf8_cut(text, max) };
}

static json_t *
refusal_json(const cpn_verdict *v, const char *decision, const char *sentence, unsigned missing)
{
    json_t *list = json_array();
    cpn_view said = cut_text(sentence, 1024);

    for (unsigned i = 0; i < missing; i++) {
        const cpn_missing *m = &v->missing[i];

        json_array_append_new(list, json_pack("{s:s,s:s,s:s}", "reason", cpn_reason_word(m->why),
                                              "role", m->role, "scope", m->scope));
    }
    return json_pack("{s:s,s:s,s:s%,s:s,s:o}", "code", cpn_reason_word(v->why), "reason",
                     cpn_reason_word(v->why), "message", (const char *)said.p, said.n, "decisionId",
                     decision, "missing", list);
}

char *
cpn_refusal_text(const cpn_verdict *v, const char *decision, size_t max)
{
    char sentence[CPN_ID_MAX * 4];

    cpn_verdict_sentence(v, sentence, sizeof(sentence));
    for (unsigned missing = CPN_MIN(v->missing_n, (unsigned)CPN_MISSING_MAX);; missing--) {
        json_t *j = refusal_json(v, decision, sentence, missing);
        char *text = cpn_json_text(j);

        json_decref(j);
        if (strlen(text) <= max || missing == 0)
            return text;
        free(text);
    }
}

void
cpn_refuse_said(cpn_control *c, const cpn_place *to, cpn_reason why, const char *sentence,
                const char *answer)
{
    cpn_msg m = { .type = CPN_MSG_REFUSED,
                  .REFUSED = { .conn = to->at.conn,
                               .stream = to->at.number,
                               .why = (uint16_t)why,
                               .status = (uint16_t)cpn_reason_http(why),
                               .denied_session = to->denied_session,
                               .sentence = cut_text(sentence, SENTENCE_MAX),
                               .answer = cut_text(answer, ANSWER_MAX) } };

    c->count.refused[why]++;
    (void)cpn_front_send(cpn_front_find(c, to->at.front), &m, -1);
}

char *
cpn_reason_text(cpn_reason why)
{
    CPN_AUTO(cpn_json_auto)
    json_t *j = json_pack("{s:s,s:s,s:s}", "code", cpn_reason_word(why), "reason",
                          cpn_reason_word(why), "message", cpn_reason_sentence(why));

    return cpn_json_text(j);
}

void
cpn_refuse(cpn_control *c, const cpn_place *to, cpn_reason why)
{
    CPN_AUTO(cpn_auto_mem) char *text = cpn_reason_text(why);

    cpn_refuse_said(c, to, why, cpn_reason_sentence(why), text);
}

void
cpn_asked_refused(cpn_control *c, const cpn_asked *a, cpn_reason why, const char *sentence)
{
    cpn_trail_refused(c, &(cpn_trail_refusal){ .who = a->who,
                                               .object_id = a->object_id,
                                               .bastion = a->want.bastion,
                                               .target = a->want.target_id[0] ? a->want.target_id
                                                                              : a->want.target_ip,
                                               .port = a->want.port,
                                               .door = a->door,
                                               .peer = &a->peer,
                                               .peer_port = a->peer_port,
                                               .user_agent = a->user_agent,
                                               .why = why,
                                               .message = sentence,
                                               .decision = a->decision,
                                               .binding = a->binding });
}

void
cpn_refuse_early(cpn_control *c, const cpn_place *to, const cpn_asked *a, cpn_reason why)
{
    cpn_asked_refused(c, a, why, cpn_reason_sentence(why));
    cpn_refuse(c, to, why);
}

void
cpn_refuse_verdict(cpn_control *c, const cpn_place *to, const cpn_asked *a)
{
    char sentence[CPN_ID_MAX * 4];
    char *text = cpn_refusal_text(&a->verdict, a->decision, ANSWER_MAX);

    cpn_verdict_sentence(&a->verdict, sentence, sizeof(sentence));
    cpn_refuse_said(c, to, a->verdict.why, sentence, text);
    free(text);
}
