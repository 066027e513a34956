/* codec/ossl.h -- OpenSSL's objects for CPN_AUTO: released at the end of the scope, NULL is fine;
 * and no question at a terminal. */
#ifndef CPN_CODEC_OSSL_H
#define CPN_CODEC_OSSL_H

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>

#include "base/mem.h"

/* For PEM_read_bio_*: what is encrypted is refused. Without it OpenSSL asks the terminal. */
static inline CPN_UNUSED int
cpn_no_passphrase(char *out, int size, int writing, void *owner)
{
    (void)out;
    (void)size;
    (void)writing;
    (void)owner;
    return -1;
}

#define CPN_OSSL_AUTO(name, type, release)                                                         \
    static inline CPN_UNUSED void name(type **p)                                                   \
    {                                                                                              \
        release(*p);                                                                               \
    }

CPN_OSSL_AUTO(cpn_bio_auto, BIO, BIO_free)
CPN_OSSL_AUTO(cpn_bn_auto, BIGNUM, BN_free)
CPN_OSSL_AUTO(cpn_md_auto, EVP_MD_CTX, EVP_MD_CTX_free)
CPN_OSSL_AUTO(cpn_pkey_auto, EVP_PKEY, EVP_PKEY_free)
CPN_OSSL_AUTO(cpn_sig_auto, ECDSA_SIG, ECDSA_SIG_free)

#endif
