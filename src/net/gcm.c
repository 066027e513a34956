/* AES-128-GCM by Intel's library as an OpenSSL provider: the table OpenSSL wants, and behind it one
 * call a record.
 */
#include "net/gcm.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#ifndef CPN_HAVE_IPSEC_MB

const char *
cpn_gcm_query(void)
{
    return NULL;
}

#else

#include <intel-ipsec-mb.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define NAME "caponier"
#define KEY 16
#define IV 12
#define TAG 16

/* What the library has for this processor. */
static struct {
    aes_gcm_pre_t expand;
    aes_gcm_enc_dec_t seal, open;
} aes;

/* A nonce is good for one text: after it only a new one brings the cipher back. */
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
        aes.expand(key, &g->key);
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
        if (room < n)
            return 0;
        (g->sealing ? aes.seal : aes.open)(&g->key, &g->scratch, out, in, n, g->iv, g->aad,
                                           g->aad_n, g->tag, TAG);
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

/* --- the provider --------------------------------------------------------------------------- */

static const OSSL_ALGORITHM *
provider_query(void *provider, int operation, int *no_store)
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
    static const OSSL_ALGORITHM ciphers[] = { { "AES-128-GCM:id-aes128-GCM:2.16.840.1.101.3.4.1.6",
                                                "provider=" NAME, cipher, NULL },
                                              { NULL, NULL, NULL, NULL } };

    (void)provider;
    *no_store = 0;
    return operation == OSSL_OP_CIPHER ? ciphers : NULL;
}

static int
provider_init(const OSSL_CORE_HANDLE *core, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
              void **provider)
{
    static const OSSL_DISPATCH all[] = {
        { OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))provider_query }, { 0, NULL }
    };

    (void)in;
    *out = all;
    *provider = (void *)core; /* OpenSSL wants one */
    return 1;
}

/* The library tests itself while it looks at the processor; its tables are not kept. */
static bool
find_aes(void)
{
    const uint64_t vectors = IMB_FEATURE_AVX512_SKX | IMB_FEATURE_VAES | IMB_FEATURE_VPCLMULQDQ;
    IMB_MGR *mb = alloc_mb_mgr(0);
    bool good;

    if (!mb)
        return false;
    init_mb_mgr_auto(mb, NULL);
    good =
        imb_get_errno(mb) == 0 && (mb->features & vectors) == vectors && mb->gcm128_pre &&
        !((mb->features & IMB_FEATURE_SELF_TEST) && !(mb->features & IMB_FEATURE_SELF_TEST_PASS));
    aes.expand = mb->gcm128_pre;
    aes.seal = mb->gcm128_enc;
    aes.open = mb->gcm128_dec;
    free_mb_mgr(mb);
    return good;
}

/* Everybody who does not ask for it keeps OpenSSL's own. */
static bool
offer(void)
{
    return OpenSSL_version_num() < 0x30100000L && find_aes() &&
           EVP_set_default_properties(NULL, "?provider!=" NAME) == 1 &&
           OSSL_PROVIDER_add_builtin(NULL, NAME, provider_init) == 1 &&
           OSSL_PROVIDER_try_load(NULL, NAME, 1) != NULL;
}

const char *
cpn_gcm_query(void)
{
    static enum { UNKNOWN, YES, NO } known; /* roles and the client have one thread that asks */

    if (known == UNKNOWN)
        known = offer() ? YES : NO;
    return known == YES ? "?provider=" NAME : NULL;
}

#endif
