/* A key set, a line end, a token: both in any spelling are refused or come apart within bounds. */
#include <assert.h>
#include <string.h>

#include "identity/idtoken.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void
check_token(const cpn_jwks *keys, cpn_view token)
{
    static const cpn_idtoken_rules rules = { .issuer = "https://id.example.test",
                                             .client_id = "caponier",
                                             .nonce = "n",
                                             .access_token = { (const uint8_t *)"a", 1 },
                                             .name_claim = "name",
                                             .groups_claim = "groups",
                                             .now_s = 1700000000 };
    cpn_idtoken t;

    if (cpn_idtoken_verify(&t, token, keys, &rules, NULL) != CPN_OK) {
        assert(!t.subject[0] && !t.groups);
        return;
    }
    assert(t.subject[0] && t.groups && t.expires_s > rules.now_s - 61);
    assert(json_array_size(t.groups) <= CPN_EXTERNAL_GROUPS_MAX);
    cpn_idtoken_fini(&t);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    cpn_view set, token;
    const char *why;
    cpn_jwks *keys;

    cpn_view_cut((cpn_view){ bytes, size }, '\n', &set, &token);
    if (cpn_jwks_read(&keys, set, NULL) != CPN_OK) {
        assert(!keys);
        return 0;
    }
    assert(cpn_jwks_count(keys) > 0);
    assert(cpn_jwks_count(keys) + cpn_jwks_left_out(keys, &why) <= CPN_JWKS_KEYS_MAX);
    check_token(keys, token);
    cpn_jwks_free(keys);
    return 0;
}
