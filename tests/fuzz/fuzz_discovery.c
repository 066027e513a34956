/* A provider's description in any spelling is refused or gives https endpoints. */
#include <assert.h>
#include <string.h>

#include "identity/discovery.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    cpn_discovery d;

    if (cpn_discovery_read(&d, (cpn_view){ bytes, size }, "https://id.example.test", NULL) !=
        CPN_OK) {
        assert(!d.token_endpoint[0] && !d.jwks_uri[0] && !d.authorization_endpoint[0]);
        return 0;
    }
    assert(strncasecmp(d.token_endpoint, "https://", 8) == 0);
    assert(strncasecmp(d.authorization_endpoint, "https://", 8) == 0);
    assert(strncasecmp(d.jwks_uri, "https://", 8) == 0);
    return 0;
}
