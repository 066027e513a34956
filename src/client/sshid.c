/* Makes a key in memory, has it certified, and signs with it. */
#include "client/sshid.h"

#include <openssl/evp.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "base/clock.h"
#include "codec/chars.h"
#include "codec/ossl.h"

/* OpenSSL wipes its copy of the key with the object. */
static EVP_PKEY *
key_of(const cpn_sshid *id)
{
    return EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, id->seed, sizeof(id->seed));
}

void
cpn_sshid_free(cpn_sshid *id)
{
    if (!id)
        return;
    explicit_bzero(id, sizeof(*id));
    munmap(id, sizeof(*id));
}

void
cpn_sshid_hold(cpn_sshid *id)
{
    (void)prctl(PR_SET_DUMPABLE, 0);
    (void)madvise(id, sizeof(*id), MADV_DONTDUMP);
    (void)mlock(id, sizeof(*id)); /* the limit of locked memory may be zero */
}

/* A name that ssh takes for nothing but an account's; "" otherwise. */
static void
take_login(cpn_sshid *id, cpn_view principal)
{
    id->login[0] = '\0';
    for (size_t i = 0; i < principal.n; i++)
        if (!cpn_is_alnum(principal.p[i]) && !memchr("._-", principal.p[i], 3))
            return;
    if (principal.p[0] != '-' && principal.n <= CPN_SSHID_LOGIN_MAX)
        (void)!cpn_view_copy(principal, id->login, sizeof(id->login));
}

static cpn_rc
renew(cpn_sshid *id, cpn_api *a, cpn_err *err)
{
    cpn_sshid_cert fresh;
    cpn_usercert c;
    cpn_rc rc = cpn_api_certificate(a, id->public_key, id->target, &fresh, err);

    if (rc == CPN_OK && (cpn_usercert_read(&c, (cpn_view){ fresh.blob, fresh.n }, err) != CPN_OK ||
                         memcmp(c.key.p, id->public_key, sizeof(id->public_key)) != 0))
        rc = cpn_fail(err, CPN_E_PROTO, "the gateway's certificate is not for our key");
    if (rc != CPN_OK)
        return rc;
    take_login(id, c.principal);
    id->cert = fresh;
    return CPN_OK;
}

cpn_rc
cpn_sshid_new(cpn_sshid **out, cpn_api *a, const char *target, cpn_err *err)
{
    CPN_AUTO(cpn_sshid_auto) cpn_sshid *id = NULL;
    CPN_AUTO(cpn_pkey_auto) EVP_PKEY *key = NULL;
    size_t n = sizeof(id->public_key);
    void *page =
        mmap(NULL, sizeof(*id), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cpn_rc rc;

    if (page == MAP_FAILED)
        return cpn_fail(err, CPN_E_NOMEM, "the key");
    id = page;
    cpn_sshid_hold(id);
    if (!cpn_view_copy(cpn_view_str(target), id->target, sizeof(id->target)))
        return cpn_fail(err, CPN_INVALID, "the machine's id is too long");
    cpn_random(id->seed, sizeof(id->seed));
    key = key_of(id);
    if (!key || EVP_PKEY_get_raw_public_key(key, id->public_key, &n) != 1)
        return cpn_fail(err, CPN_E_CRYPTO, "an Ed25519 key cannot be made");
    rc = renew(id, a, err);
    if (rc == CPN_OK)
        *out = cpn_steal(&id);
    return rc;
}

cpn_view
cpn_sshid_certificate(cpn_sshid *id, cpn_api *a)
{
    uint64_t now = cpn_boot_ns();
    cpn_err err = { 0 };

    if (now + CPN_SSHID_SPARE_S * CPN_NS_PER_S >= id->cert.ends_ns &&
        renew(id, a, &err) != CPN_OK && now >= id->cert.ends_ns)
        id->cert.n = 0;
    return (cpn_view){ id->cert.blob, id->cert.n };
}

cpn_rc
cpn_sshid_sign(const cpn_sshid *id, cpn_view what, uint8_t out[CPN_ED25519_SIGNATURE], cpn_err *err)
{
    CPN_AUTO(cpn_pkey_auto) EVP_PKEY *key = key_of(id);
    CPN_AUTO(cpn_md_auto) EVP_MD_CTX *m = EVP_MD_CTX_new();
    size_t n = CPN_ED25519_SIGNATURE;

    if (!key || !m || EVP_DigestSignInit(m, NULL, NULL, NULL, key) != 1 ||
        EVP_DigestSign(m, out, &n, what.p, what.n) != 1 || n != CPN_ED25519_SIGNATURE)
        return cpn_fail(err, CPN_E_CRYPTO, "signing");
    return CPN_OK;
}
