/* net/gcm_priv.h -- between the cipher (gcm.c) and who offers it (gcm_offer.c). */
#ifndef CPN_NET_GCM_PRIV_H
#define CPN_NET_GCM_PRIV_H

#include <intel-ipsec-mb.h>
#include <openssl/core.h>

/* What the library has for this processor; set before the cipher is offered. */
typedef struct cpn_gcm_library {
    aes_gcm_pre_t expand;
    aes_gcm_enc_dec_t seal, open;
} cpn_gcm_library;

extern cpn_gcm_library cpn_gcm_aes;

const OSSL_DISPATCH *cpn_gcm_cipher(void);

#endif
