/* JSON that asks for a certificate is refused, or becomes one line within its bounds. */
#include <assert.h>
#include <string.h>

#include "codec/sshkey.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    cpn_sshkey k;
    cpn_view body;

    if (cpn_sshkey_body((cpn_view){ bytes, size }, "ssh-rsa", &body))
        assert(body.n > 0 && body.n < size);
    if (cpn_sshkey_read(&k, (cpn_view){ bytes, size }, NULL) != CPN_OK) {
        assert(k.kind == CPN_SSHKEY_NONE && !k.line[0]);
        return 0;
    }
    assert(k.kind == CPN_SSHKEY_RSA ? k.bits >= CPN_RSA_MIN && k.bits <= CPN_RSA_MAX
                                    : k.kind == CPN_SSHKEY_ED25519);
    assert(size <= CPN_CNF_MAX && strlen(k.line) < sizeof(k.line));
    assert(!strchr(k.line, '\n') && strlen(k.kid) <= CPN_SSHKEY_KID_MAX);
    assert(cpn_sshkey_body(cpn_view_str(k.line),
                           k.kind == CPN_SSHKEY_RSA ? "ssh-rsa" : "ssh-ed25519", &body));
    return 0;
}
