/* Whatever a local program sends to the agent, or a gateway as a certificate, is refused or lies
 * within what was given. */
#include <assert.h>

#include "codec/sshagent.h"
#include "codec/usercert.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void
inside(cpn_view part, cpn_view whole)
{
    assert(part.n == 0 || (part.p >= whole.p && part.n <= whole.n &&
                           (size_t)(part.p - whole.p) <= whole.n - part.n));
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    cpn_view in = { bytes, size };
    cpn_usercert c;
    cpn_view cert, comment;
    cpn_agent_ask q;
    size_t used;

    if (cpn_usercert_read(&c, in, NULL) == CPN_OK) {
        assert(size <= CPN_USERCERT_MAX && c.key.n == 32 && c.principal.n > 0);
        inside(c.key, in);
        inside(c.principal, in);
        assert(!cpn_agent_is_sign_in(in, in));
    } else {
        assert(!c.key.p && !c.principal.p);
    }
    if (cpn_agent_read_list(in, &cert, &comment, NULL) == CPN_OK) {
        inside(cert, in);
        inside(comment, in);
    } else {
        assert(!cert.p && !comment.p);
    }
    while (cpn_agent_parse(in, &q, &used, NULL) == CPN_OK) {
        assert(used > 4 && used <= in.n && used <= CPN_AGENT_FRAME_MAX + 4);
        inside(q.key, in);
        inside(q.what, in);
        if (q.kind == CPN_AGENT_SIGN && cpn_agent_is_sign_in(q.what, q.key))
            assert(q.what.n > q.key.n);
        in = cpn_view_skip(in, used);
    }
    return 0;
}
