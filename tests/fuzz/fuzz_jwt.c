/* A compact token in any spelling is refused or comes apart within its bounds. */
#include <assert.h>
#include <string.h>

#include "codec/jwt.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    cpn_jwt t;
    json_t *claims = NULL;

    if (cpn_jwt_parse(&t, (cpn_view){ bytes, size }, NULL) != CPN_OK) {
        assert(t.alg == CPN_JWT_NONE);
        return 0;
    }
    assert(t.alg != CPN_JWT_NONE && size <= CPN_JWT_MAX);
    assert(t.signed_part.p == bytes && t.signed_part.n < size);
    assert(t.signature_n > 0 && t.signature_n <= sizeof(t.signature));
    assert(strlen(t.kid) <= CPN_JWT_KID_MAX);
    if (cpn_jwt_claims(&t, &claims, NULL) == CPN_OK) {
        assert(json_is_object(claims) && json_object_size(claims) <= CPN_JWT_NAMES_MAX);
        json_decref(claims);
    }
    return 0;
}
