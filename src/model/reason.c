/* The table of reasons. */
#include "model/reason.h"

#include "base/mem.h"

static const struct {
    const char *word;
    int http;
    const char *sentence;
} reasons[CPN_WHY_N] = {
#define CPN_REASON(name, word, http, sentence) [CPN_WHY_##name] = { word, http, sentence },
#include "model/reason.def"
#undef CPN_REASON
};

static cpn_reason
known(cpn_reason why)
{
    return (unsigned)why < CPN_WHY_N ? why : CPN_WHY_INTERNAL;
}

const char *
cpn_reason_word(cpn_reason why)
{
    return reasons[known(why)].word;
}

const char *
cpn_reason_sentence(cpn_reason why)
{
    return reasons[known(why)].sentence;
}

int
cpn_reason_http(cpn_reason why)
{
    return reasons[known(why)].http;
}

cpn_reason
cpn_reason_from_word(cpn_view word)
{
    for (unsigned i = 0; i < CPN_WHY_N; i++)
        if (cpn_view_is(word, reasons[i].word))
            return (cpn_reason)i;
    return CPN_WHY_N;
}
