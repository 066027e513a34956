/* A proof of a key in any spelling is refused or comes apart within its bounds; and it holds for a
 * request only when its signature does. */
#include <assert.h>
#include <string.h>

#include "identity/holder.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void
check_parts(const cpn_proof *p, cpn_view text)
{
    size_t jti = strlen(p->jti);

    assert(text.n <= CPN_PROOF_MAX && p->thumb.set && p->iat >= 0);
    assert(jti >= CPN_PROOF_JTI_MIN && jti <= CPN_PROOF_JTI_MAX);
    assert(p->method[0] && p->url[0]);
    assert(p->signed_part.p == text.p && p->signed_part.n < text.n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    cpn_view text = { bytes, size };
    cpn_holder_ask ask = { .proof = text,
                           .method = CPN_VIEW_LIT("GET"),
                           .path = CPN_VIEW_LIT("/v1/tunnel"),
                           .host = "bastion.example.test",
                           .token = CPN_VIEW_LIT("token"),
                           .now_s = 1700000000 };
    cpn_holders *h;
    cpn_proof p, zero;
    cpn_thumb key;

    memset(&zero, 0, sizeof(zero));
    if (cpn_proof_parse(&p, text, NULL) != CPN_OK) {
        assert(!p.thumb.set && memcmp(p.key, zero.key, sizeof(p.key)) == 0);
        return 0;
    }
    check_parts(&p, text);
    h = cpn_holders_new(1, false);
    if (cpn_holder_check(h, &ask, &key, NULL) != CPN_HELD_NOT) {
        assert(cpn_proof_signed(&p) && cpn_thumb_eq(&key, &p.thumb));
        assert(cpn_holder_check(h, &ask, &key, NULL) == CPN_HELD_NOT && !key.set);
    }
    cpn_holders_free(h);
    return 0;
}
