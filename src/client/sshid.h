/* client/sshid.h -- an identity for SSH that exists in this process's memory alone: a fresh Ed25519
 * key, and the gateway's certificate that the signed-in person may use it on one machine.
 *
 * The key's page is locked and left out of core files, and the process cannot be looked into by
 * others of the same user. The lock does not come along into a child: see cpn_sshid_hold. */
#ifndef CPN_CLIENT_SSHID_H
#define CPN_CLIENT_SSHID_H

#include "client/api.h"
#include "codec/sshagent.h"
#include "codec/usercert.h"
#include "model/resource.h"

#define CPN_SSHID_LOGIN_MAX 64
#define CPN_SSHID_SPARE_S 45 /* a certificate with less left is renewed first */

typedef struct cpn_sshid_cert {
    uint8_t blob[CPN_USERCERT_MAX];
    size_t n;
    uint64_t ends_ns; /* by cpn_boot_ns: sleep counts */
} cpn_sshid_cert;

typedef struct cpn_sshid {
    uint8_t seed[32];
    uint8_t public_key[32];
    char target[CPN_ID_MAX + 1];         /* the machine's id */
    char login[CPN_SSHID_LOGIN_MAX + 1]; /* the account; "": the certificate names none */
    cpn_sshid_cert cert;
} cpn_sshid;

/* Make a key and get a certificate for it; the api is open. CPN_DENIED: the gateway's sentence
 * names role and scope. Else as cpn_api_certificate. */
cpn_rc cpn_sshid_new(cpn_sshid **out, cpn_api *a, const char *target, cpn_err *err) CPN_MUST_CHECK;
/* Wipe and release. NULL is fine. */
void cpn_sshid_free(cpn_sshid *id);
CPN_DEFINE_AUTO(cpn_sshid, cpn_sshid)
/* Keep the key out of swap and this process out of others' sight, as far as the system lets us. */
void cpn_sshid_hold(cpn_sshid *id);

/* The certificate, renewed first when little of it is left. Empty when it has ended and no new one
 * was to be had. */
cpn_view cpn_sshid_certificate(cpn_sshid *id, cpn_api *a);
cpn_rc cpn_sshid_sign(const cpn_sshid *id, cpn_view what, uint8_t out[CPN_ED25519_SIGNATURE],
                      cpn_err *err) CPN_MUST_CHECK;

/* The gateway's certificate for an Ed25519 key on one machine, by the stored refresh token, which
 * is replaced. CPN_DENIED: a role is missing, err has the gateway's sentence. CPN_UNAUTHENTICATED:
 * sign in first, or the sign-in has no refresh token. */
cpn_rc cpn_api_certificate(cpn_api *a, const uint8_t public_key[32], const char *target,
                           cpn_sshid_cert *out, cpn_err *err) CPN_MUST_CHECK;

#endif
