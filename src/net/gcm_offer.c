/* Whether the faster cipher is of use here and right, and its offer to OpenSSL as a provider. */
#include <openssl/core_dispatch.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "net/gcm.h"
#include "net/gcm_priv.h"

#define NAME "caponier"
#define QUERY "?provider=" NAME
#define TAG 16
#define TRIAL 16401 /* bytes: the longest record and what no vector divides */

cpn_gcm_library cpn_gcm_aes;

/* --- the library ---------------------------------------------------------------------------- */

/* The library looks at what the processor has, not at what the system lets it use, and tests itself
 * at once with it: so the compiler's own look comes first. */
static bool
vectors(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("gfni") && __builtin_cpu_supports("vpclmulqdq");
}

/* Its functions are kept, its tables are not. */
static bool
load(void)
{
    IMB_MGR *mb = alloc_mb_mgr(0);
    uint64_t tested = IMB_FEATURE_SELF_TEST | IMB_FEATURE_SELF_TEST_PASS;
    bool good;

    if (!mb)
        return false;
    init_mb_mgr_auto(mb, NULL);
    good = imb_get_errno(mb) == 0 && (mb->features & tested) == tested &&
           (mb->features & IMB_CPUFLAGS_AVX512_T2) == IMB_CPUFLAGS_AVX512_T2;
    cpn_gcm_aes = (cpn_gcm_library){ mb->gcm128_pre, mb->gcm128_enc, mb->gcm128_dec };
    free_mb_mgr(mb);
    return good;
}

/* --- the provider --------------------------------------------------------------------------- */

static const OSSL_ALGORITHM *
provider_query(void *provider, int operation, int *no_store)
{
    static OSSL_ALGORITHM ciphers[] = { { "AES-128-GCM:id-aes128-GCM:2.16.840.1.101.3.4.1.6",
                                          "provider=" NAME, NULL, NULL },
                                        { NULL, NULL, NULL, NULL } };

    (void)provider;
    *no_store = 0;
    ciphers[0].implementation = cpn_gcm_cipher();
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

/* Everybody who does not ask for it keeps OpenSSL's own. */
static OSSL_PROVIDER *
register_provider(void)
{
    if (EVP_set_default_properties(NULL, "?provider!=" NAME) != 1 ||
        OSSL_PROVIDER_add_builtin(NULL, NAME, provider_init) != 1)
        return NULL;
    return OSSL_PROVIDER_try_load(NULL, NAME, 1);
}

/* --- the trial ------------------------------------------------------------------------------ */

/* in is sealed into out, or opened, with tag. */
static bool
once(const char *query, bool seal, uint8_t *out, const uint8_t *in, uint8_t tag[TAG])
{
    static const uint8_t key[16] = "a key for trials", nonce[12] = "and a nonce";
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, "AES-128-GCM", query);
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int n;
    bool good = cipher && c && EVP_CipherInit_ex2(c, cipher, key, nonce, seal, NULL) == 1 &&
                (seal || EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, TAG, tag) == 1) &&
                EVP_CipherUpdate(c, NULL, &n, nonce, 5) == 1 &&
                EVP_CipherUpdate(c, out, &n, in, TRIAL) == 1 &&
                EVP_CipherFinal_ex(c, out + n, &n) == 1 &&
                (!seal || EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TAG, tag) == 1);

    EVP_CIPHER_CTX_free(c);
    EVP_CIPHER_free(cipher);
    return good;
}

/* The library's own test knows only short texts. */
static bool
agrees_with_openssl(void)
{
    CPN_AUTO(cpn_auto_mem) uint8_t *text = cpn_xcalloc(3, TRIAL);
    uint8_t *ours = text + TRIAL, *theirs = ours + TRIAL, tag[TAG], their_tag[TAG];

    return once(QUERY, true, ours, text, tag) && once(NULL, true, theirs, text, their_tag) &&
           memcmp(ours, theirs, TRIAL) == 0 && memcmp(tag, their_tag, TAG) == 0 &&
           once(QUERY, false, ours, ours, tag) && memcmp(ours, text, TRIAL) == 0;
}

static OSSL_PROVIDER *
offer(void)
{
    OSSL_PROVIDER *p = NULL;

    if (OpenSSL_version_num() < 0x30100000L && vectors() &&
        EVP_default_properties_is_fips_enabled(NULL) == 0 && load())
        p = register_provider();
    if (p && !agrees_with_openssl()) {
        OSSL_PROVIDER_unload(p);
        p = NULL;
    }
    return p;
}

const char *
cpn_gcm_query(void)
{
    /* For as long as the process lives. Roles and the client have one thread that asks. */
    static OSSL_PROVIDER *provider;
    static bool tried;

    if (!tried)
        provider = offer();
    tried = true;
    return provider ? QUERY : NULL;
}
