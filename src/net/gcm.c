/* AES-128-GCM by Intel's library in the shape of an OpenSSL cipher: one call of it a record. */
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "net/gcm.h"
#include "net/gcm_priv.h"

#define KEY 16
#define IV 12
#define TAG 16

/* A nonce is good for one text: after it the cipher wants to be given one again. */
typedef enum { WANTS_NONCE, WANTS_TEXT, DONE } stage;

typedef struct {
    _Alignas(64) struct gcm_key_data key;
    struct gcm_context_data scratch;
    uint8_t iv[IV], aad[CPN_GCM_AAD], tag[TAG];
    size_t aad_n;
    stage stage;
    bool keyed, sealing;
    bool tagged; /* opening: the tag to find is in wanted */
    uint8_t wanted[TAG];
} gcm;

static void *
gcm_new(void *provider)
{
    gcm *g = aligned_alloc(_Alignof(gcm), sizeof(*g));

    (void)provider;
    if (g)
        memset(g, 0, sizeof(*g));
    return g;
}

static void
gcm_free(void *v)
{
    if (v)
        OPENSSL_cleanse(v, sizeof(gcm));
    free(v);
}

/* --- settings ------------------------------------------------------------------------------- */

/* The tag to find; the length of the nonce, which is only said to be what it is. */
static int
gcm_set(void *v, const OSSL_PARAM params[])
{
    gcm *g = v;
    const OSSL_PARAM *p;
    size_t n;

    if (!params)
        return 1;
    p = OSSL_PARAM_locate_const(params, OSSL_CIPHER_PARAM_AEAD_IVLEN);
    if (p && (!OSSL_PARAM_get_size_t(p, &n) || n != IV))
        return 0;
    p = OSSL_PARAM_locate_const(params, OSSL_CIPHER_PARAM_AEAD_TAG);
    if (!p)
        return 1;
    if (p->data_type != OSSL_PARAM_OCTET_STRING || !p->data || p->data_size != TAG || g->sealing)
        return 0;
    memcpy(g->wanted, p->data, TAG);
    g->tagged = true;
    return 1;
}

static bool
is(const OSSL_PARAM *p, const char *name)
{
    return strcmp(p->key, name) == 0;
}

/* Asked for the nonce's length and the tag with each record. */
static int
gcm_get(void *v, OSSL_PARAM params[])
{
    const gcm *g = v;
    int good = 1;

    for (OSSL_PARAM *p = params; p->key && good; p++) {
        if (is(p, OSSL_CIPHER_PARAM_IVLEN))
            good = OSSL_PARAM_set_size_t(p, IV);
        else if (is(p, OSSL_CIPHER_PARAM_AEAD_TAG))
            good = g->sealing && g->stage == DONE && p->data_size == TAG &&
                   OSSL_PARAM_set_octet_string(p, g->tag, TAG);
        else if (is(p, OSSL_CIPHER_PARAM_KEYLEN))
            good = OSSL_PARAM_set_size_t(p, KEY);
        else if (is(p, OSSL_CIPHER_PARAM_AEAD_TAGLEN))
            good = OSSL_PARAM_set_size_t(p, TAG);
    }
    return good;
}

static int
gcm_describe(OSSL_PARAM params[])
{
    int good = 1;

    for (OSSL_PARAM *p = params; p->key && good; p++) {
        if (is(p, OSSL_CIPHER_PARAM_MODE))
            good = OSSL_PARAM_set_uint(p, EVP_CIPH_GCM_MODE);
        else if (is(p, OSSL_CIPHER_PARAM_AEAD) || is(p, OSSL_CIPHER_PARAM_CUSTOM_IV))
            good = OSSL_PARAM_set_int(p, 1);
        else if (is(p, OSSL_CIPHER_PARAM_KEYLEN))
            good = OSSL_PARAM_set_size_t(p, KEY);
        else if (is(p, OSSL_CIPHER_PARAM_IVLEN))
            good = OSSL_PARAM_set_size_t(p, IV);
        else if (is(p, OSSL_CIPHER_PARAM_BLOCK_SIZE))
            good = OSSL_PARAM_set_size_t(p, 1);
    }
    return good;
}

static const OSSL_PARAM *
gcm_settable(void *v, void *provider)
{
    static const OSSL_PARAM all[] = { OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_AEAD_IVLEN, NULL),
                                      OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, NULL, 0),
                                      OSSL_PARAM_END };

    (void)v;
    (void)provider;
    return all;
}

/* --- a record ------------------------------------------------------------------------------- */

static int
begin(gcm *g, bool sealing, const uint8_t *key, size_t key_n, const uint8_t *iv, size_t iv_n,
      const OSSL_PARAM params[])
{
    g->sealing = sealing;
    g->stage = WANTS_NONCE;
    g->aad_n = 0;
    g->tagged = false;
    if ((key && key_n != KEY) || (iv && iv_n != IV))
        return 0;
    if (key)
        cpn_gcm_aes.expand(key, &g->key);
    g->keyed |= key != NULL;
    if (iv) {
        memcpy(g->iv, iv, IV);
        g->stage = WANTS_TEXT;
    }
    return gcm_set(g, params);
}

static int
gcm_seal(void *v, const uint8_t *key, size_t key_n, const uint8_t *iv, size_t iv_n,
         const OSSL_PARAM params[])
{
    return begin(v, true, key, key_n, iv, iv_n, params);
}

static int
gcm_open(void *v, const uint8_t *key, size_t key_n, const uint8_t *iv, size_t iv_n,
         const OSSL_PARAM params[])
{
    return begin(v, false, key, key_n, iv, iv_n, params);
}

/* out NULL: what follows is associated data. */
static int
gcm_update(void *v, uint8_t *out, size_t *out_n, size_t room, const uint8_t *in, size_t n)
{
    gcm *g = v;

    *out_n = 0;
    if (!g->keyed || g->stage != WANTS_TEXT)
        return 0;
    if (out) {
        if (n == 0 || room < n)
            return 0;
        (g->sealing ? cpn_gcm_aes.seal : cpn_gcm_aes.open)(&g->key, &g->scratch, out, in, n, g->iv,
                                                           g->aad, g->aad_n, g->tag, TAG);
        g->stage = DONE;
    } else {
        if (g->aad_n > 0 || n > CPN_GCM_AAD)
            return 0;
        memcpy(g->aad, in, n);
        g->aad_n = n;
    }
    *out_n = n;
    return 1;
}

static int
gcm_final(void *v, uint8_t *out, size_t *out_n, size_t room)
{
    gcm *g = v;

    (void)out;
    (void)room;
    *out_n = 0;
    return g->stage == DONE &&
           (g->sealing || (g->tagged && CRYPTO_memcmp(g->tag, g->wanted, TAG) == 0));
}

/* --- what OpenSSL is told --------------------------------------------------------------------- */

const OSSL_DISPATCH *
cpn_gcm_cipher(void)
{
#define FN(id, f)                                                                                  \
    {                                                                                              \
        OSSL_FUNC_CIPHER_##id, (void (*)(void))(f)                                                 \
    }
    static const OSSL_DISPATCH cipher[] = {
        FN(NEWCTX, gcm_new),
        FN(FREECTX, gcm_free),
        FN(ENCRYPT_INIT, gcm_seal),
        FN(DECRYPT_INIT, gcm_open),
        FN(UPDATE, gcm_update),
        FN(FINAL, gcm_final),
        FN(GET_PARAMS, gcm_describe),
        FN(GET_CTX_PARAMS, gcm_get),
        FN(SET_CTX_PARAMS, gcm_set),
        FN(SETTABLE_CTX_PARAMS, gcm_settable),
        { 0, NULL },
    };
#undef FN
    return cipher;
}
