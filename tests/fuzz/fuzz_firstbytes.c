/* Any first bytes, a byte at a time: an answer once given stays. */
#include <stdlib.h>

#include "codec/firstbytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

typedef cpn_first_answer judge(cpn_view got, cpn_speech *speech);

static cpn_first_answer
target_any(cpn_view got, cpn_speech *speech)
{
    return cpn_first_target(got, CPN_SPEECH_NONE, speech);
}

static cpn_first_answer
target_ssh(cpn_view got, cpn_speech *speech)
{
    return cpn_first_target(got, CPN_SPEECH_SSH, speech);
}

static cpn_first_answer
target_rdp(cpn_view got, cpn_speech *speech)
{
    return cpn_first_target(got, CPN_SPEECH_RDP, speech);
}

static void
stays(judge *fn, const uint8_t *bytes, size_t size)
{
    cpn_first_answer before = CPN_FIRST_MORE, now;
    cpn_speech spoke = CPN_SPEECH_NONE, speech;
    size_t step = size > 512 ? size / 64 : 1;

    for (size_t n = 0; n <= size; n += step) {
        now = fn((cpn_view){ bytes, n }, &speech);
        if (before != CPN_FIRST_MORE && (now != before || speech != spoke))
            abort();
        if ((now == CPN_FIRST_YES) != (speech != CPN_SPEECH_NONE))
            abort();
        if (now == CPN_FIRST_MORE && n >= CPN_FIRST_MAX)
            abort();
        before = now;
        spoke = speech;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    cpn_buf out = { .max = 1024 };
    char sentence[600];
    size_t n = CPN_MIN(size, sizeof(sentence) - 1);

    stays(cpn_first_client, bytes, size);
    stays(target_any, bytes, size);
    stays(target_ssh, bytes, size);
    stays(target_rdp, bytes, size);
    if (n)
        memcpy(sentence, bytes, n);
    sentence[n] = '\0';
    if (cpn_first_refuse_ssh(&out, sentence) != CPN_OK || (out.n - 18) % 8 != 0)
        abort();
    cpn_buf_fini(&out);
    return 0;
}
