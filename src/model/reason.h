/* model/reason.h -- why a person is told no, or why a session ended: one table for every door. */
#ifndef CPN_MODEL_REASON_H
#define CPN_MODEL_REASON_H

#include "base/view.h"

typedef enum cpn_reason {
#define CPN_REASON(name, word, http, sentence) CPN_WHY_##name,
#include "model/reason.def"
#undef CPN_REASON
    CPN_WHY_N
} cpn_reason;

const char *cpn_reason_word(cpn_reason why);
const char *cpn_reason_sentence(cpn_reason why);
int cpn_reason_http(cpn_reason why);
/* CPN_WHY_N for an unknown word. */
cpn_reason cpn_reason_from_word(cpn_view word);

#endif
