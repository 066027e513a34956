/* Reads an OpenSSH user certificate. */
#include "codec/usercert.h"

#include "codec/sshwire.h"

#define USER 1 /* SSH_CERT_TYPE_USER */
#define KEY_BYTES 32

cpn_rc
cpn_usercert_read(cpn_usercert *out, cpn_view blob, cpn_err *err)
{
    cpn_sshwire w = { .rest = blob }, names;
    cpn_view type;
    uint32_t kind;

    *out = (cpn_usercert){ 0 };
    if (blob.n > CPN_USERCERT_MAX)
        return cpn_fail(err, CPN_INVALID, "a certificate of more than %d bytes", CPN_USERCERT_MAX);
    type = cpn_sshwire_string(&w);
    (void)cpn_sshwire_string(&w); /* nonce */
    out->key = cpn_sshwire_string(&w);
    (void)cpn_sshwire_u64(&w); /* serial */
    kind = cpn_sshwire_u32(&w);
    (void)cpn_sshwire_string(&w); /* key id */
    names = (cpn_sshwire){ .rest = cpn_sshwire_string(&w) };
    out->principal = cpn_sshwire_string(&names);
    (void)cpn_sshwire_u64(&w);        /* valid after */
    (void)cpn_sshwire_u64(&w);        /* valid before */
    for (int i = 0; i < 5; i++)       /* critical options, extensions, reserved, the CA's key, */
        (void)cpn_sshwire_string(&w); /* the signature */
    if (cpn_sshwire_done(&w) && cpn_view_is(type, CPN_USERCERT_TYPE) && kind == USER &&
        out->key.n == KEY_BYTES && !names.bad && out->principal.n > 0)
        return CPN_OK;
    *out = (cpn_usercert){ 0 };
    return cpn_fail(err, CPN_INVALID, "not a user's certificate of an Ed25519 key");
}
