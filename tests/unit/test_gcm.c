/* AES-128-GCM of TLS records: what the faster cipher refuses, that it never touches a byte beyond
 * its text, and that it and OpenSSL's own say the same. Where a machine has no use for it, both
 * sides are OpenSSL's and only the comparisons remain. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/rand.h>

#include "net/gcm.h"

#define TEXT_MAX 17000 /* libssl looks at no longer record */
#define TAG 16

static EVP_CIPHER *ours, *theirs;
static uint8_t key[16], nonce[12];

static void
fetch(void)
{
    const char *query = cpn_gcm_query();

    if (ours)
        return;
    theirs = EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL);
    ours = EVP_CIPHER_fetch(NULL, "AES-128-GCM", query);
    assert_non_null(ours);
    assert_non_null(theirs);
    RAND_bytes(key, sizeof(key));
    RAND_bytes(nonce, sizeof(nonce));
}

/* The refusals of the faster one are its own. */
static void
need_the_faster(void)
{
    fetch();
    if (cpn_gcm_query())
        return;
    print_message("skipped: this machine's processor, OpenSSL or build has no use for it\n");
    skip();
}

static EVP_CIPHER_CTX *
begun(const EVP_CIPHER *cipher, bool seal)
{
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();

    assert_int_equal(EVP_CipherInit_ex2(c, cipher, key, nonce, seal, NULL), 1);
    return c;
}

/* As libssl does at a change of keys: the cipher, the nonce's length, the key. */
static void
keyed(EVP_CIPHER_CTX *c, const EVP_CIPHER *cipher, bool seal)
{
    assert_int_equal(EVP_CipherInit_ex2(c, cipher, NULL, NULL, seal, NULL), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_IVLEN, sizeof(nonce), NULL), 1);
    assert_int_equal(EVP_CipherInit_ex2(c, NULL, key, NULL, -1, NULL), 1);
    assert_int_equal(EVP_CIPHER_CTX_get_iv_length(c), sizeof(nonce));
}

/* As libssl does a record; false: refused. In place when out is in. */
static bool
record(EVP_CIPHER_CTX *c, bool seal, uint8_t *out, const uint8_t *in, int n, int aad_n,
       uint8_t tag[TAG])
{
    static const uint8_t aad[CPN_GCM_AAD] = { 23, 3, 3, 64, 17 };
    int got;

    return EVP_CipherInit_ex2(c, NULL, NULL, nonce, seal, NULL) == 1 &&
           (seal || EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, TAG, tag) == 1) &&
           (aad_n == 0 || EVP_CipherUpdate(c, NULL, &got, aad, aad_n) == 1) &&
           EVP_CipherUpdate(c, out, &got, in, n) == 1 && got == n &&
           EVP_CipherFinal_ex(c, out + n, &got) == 1 && got == 0 &&
           (!seal || EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TAG, tag) == 1);
}

/* --- refused -------------------------------------------------------------------------------- */

static void
refuses_another_text_or_key_without_a_new_nonce(void **state)
{
    uint8_t text[32] = { 0 }, out[32];
    int got;
    EVP_CIPHER_CTX *c;

    (void)state;
    need_the_faster();
    c = begun(ours, true);
    assert_int_equal(EVP_CipherUpdate(c, out, &got, text, 32), 1);
    assert_int_equal(EVP_CipherUpdate(c, out, &got, text, 32), 0);
    assert_int_equal(EVP_CipherUpdate(c, NULL, &got, text, 5), 0);
    assert_int_equal(EVP_CipherInit_ex2(c, NULL, key, NULL, 1, NULL), 1);
    assert_int_equal(EVP_CipherUpdate(c, out, &got, text, 32), 0);
    assert_int_equal(EVP_CipherFinal_ex(c, out, &got), 0);
    assert_int_equal(EVP_CipherInit_ex2(c, NULL, NULL, nonce, 1, NULL), 1);
    assert_int_equal(EVP_CipherUpdate(c, out, &got, text, 32), 1);
    EVP_CIPHER_CTX_free(c);
}

static void
refuses_what_a_record_has_not(void **state)
{
    uint8_t text[32] = { 0 }, tag[TAG] = { 0 };
    int got;
    EVP_CIPHER_CTX *c;

    (void)state;
    need_the_faster();
    c = EVP_CIPHER_CTX_new();
    assert_int_equal(EVP_CipherInit_ex2(c, ours, NULL, nonce, 1, NULL), 1);
    assert_int_equal(EVP_CipherUpdate(c, text, &got, text, 32), 0); /* no key */
    assert_int_equal(EVP_CipherInit_ex2(c, NULL, key, nonce, 1, NULL), 1);
    assert_int_equal(EVP_CipherUpdate(c, text, &got, text, 0), 0); /* no text */
    EVP_CIPHER_CTX_free(c);
    c = begun(ours, true);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TAG, tag), 0); /* too early */
    assert_int_equal(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_IVLEN, 16, NULL), 0);
    assert_int_equal(EVP_CipherUpdate(c, NULL, &got, text, CPN_GCM_AAD + 1), 0);
    assert_int_equal(EVP_CipherUpdate(c, NULL, &got, text, CPN_GCM_AAD), 1);
    assert_int_equal(EVP_CipherUpdate(c, NULL, &got, text, 1), 0);
    assert_int_equal(EVP_CipherFinal_ex(c, text, &got), 0); /* no text */
    EVP_CIPHER_CTX_free(c);
    c = begun(ours, false);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, 12, tag), 0);
    assert_int_equal(EVP_CipherUpdate(c, text, &got, text, 32), 1);
    assert_int_equal(EVP_CipherFinal_ex(c, text, &got), 0); /* no tag to find */
    EVP_CIPHER_CTX_free(c);
}

static void
refuses_a_text_that_was_changed(void **state)
{
    uint8_t sealed[64], out[64], text[64] = "what was written", tag[TAG];
    EVP_CIPHER_CTX *seal = EVP_CIPHER_CTX_new(), *open = EVP_CIPHER_CTX_new();

    (void)state;
    fetch();
    keyed(seal, ours, true);
    keyed(open, ours, false);
    assert_true(record(seal, true, sealed, text, sizeof(text), 5, tag));
    for (size_t bit = 0; bit < sizeof(sealed) * 8; bit++) {
        sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(record(open, false, out, sealed, sizeof(text), 5, tag));
        sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t bit = 0; bit < TAG * 8; bit++) {
        tag[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(record(open, false, out, sealed, sizeof(text), 5, tag));
        tag[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_false(record(open, false, out, sealed, sizeof(text), 4, tag)); /* of something else */
    nonce[11] ^= 1;
    assert_false(record(open, false, out, sealed, sizeof(text), 5, tag));
    nonce[11] ^= 1;
    assert_true(record(open, false, out, sealed, sizeof(text), 5, tag));
    assert_memory_equal(out, text, sizeof(text));
    key[0] ^= 1; /* new keys, as after an update of them */
    keyed(open, ours, false);
    assert_false(record(open, false, out, sealed, sizeof(text), 5, tag));
    keyed(seal, ours, true);
    assert_true(record(seal, true, sealed, text, sizeof(text), 5, tag));
    assert_true(record(open, false, out, sealed, sizeof(text), 5, tag));
    EVP_CIPHER_CTX_free(seal);
    EVP_CIPHER_CTX_free(open);
}

static void
who_does_not_ask_keeps_openssls_own(void **state)
{
    EVP_CIPHER_CTX *c;

    (void)state;
    fetch();
    assert_string_equal(OSSL_PROVIDER_get0_name(EVP_CIPHER_get0_provider(theirs)), "default");
    assert_string_equal(OSSL_PROVIDER_get0_name(EVP_CIPHER_get0_provider(ours)),
                        cpn_gcm_query() ? "caponier" : "default");
    c = begun(EVP_aes_128_gcm(), true);
    assert_string_equal(
        OSSL_PROVIDER_get0_name(EVP_CIPHER_get0_provider(EVP_CIPHER_CTX_get0_cipher(c))),
        "default");
    EVP_CIPHER_CTX_free(c);
}

/* --- done ----------------------------------------------------------------------------------- */

/* NIST's vector for 16 zero bytes under zeros (GCM specification, test case 2). */
static void
does_what_the_specification_says(void **state)
{
    static const char said[] = "0388dace60b6a392f328c2b971b2fe78";
    static const char proven[] = "ab6e47d42cec13bdf53a67b21257bddf";
    uint8_t text[16] = { 0 }, tag[TAG];
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    char hex[33];

    (void)state;
    fetch();
    memset(key, 0, sizeof(key));
    memset(nonce, 0, sizeof(nonce));
    keyed(c, ours, true);
    assert_true(record(c, true, text, text, 16, 0, tag));
    EVP_CIPHER_CTX_free(c);
    for (int i = 0; i < 16; i++)
        snprintf(hex + 2 * i, 3, "%02x", text[i]);
    assert_string_equal(hex, said);
    for (int i = 0; i < 16; i++)
        snprintf(hex + 2 * i, 3, "%02x", tag[i]);
    assert_string_equal(hex, proven);
}

/* n bytes right before memory that nobody may touch. */
static uint8_t *
at_the_edge(size_t n)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (TEXT_MAX / page + 1) * page;
    static uint8_t *map;

    if (!map) {
        map = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_ptr_not_equal(map, MAP_FAILED);
        assert_int_equal(mprotect(map + room, page, PROT_NONE), 0);
    }
    return map + room - n;
}

static EVP_CIPHER_CTX *we_seal, *we_open, *they_seal;

/* Sealed by both and opened by ours, in place, at the edge, with a canary in front. Each text has
 * another nonce and other associated data than the one before on the same connection. */
static void
agrees(int n)
{
    static uint8_t text[TEXT_MAX], other[TEXT_MAX];
    uint8_t tag[TAG], other_tag[TAG], *edge = at_the_edge((size_t)n);
    int aad_n = n % (CPN_GCM_AAD + 1);

    RAND_bytes(text, n);
    RAND_bytes(nonce, sizeof(nonce));
    memcpy(edge, text, (size_t)n);
    memset(edge - TAG, 0xa5, TAG);
    assert_true(record(we_seal, true, edge, edge, n, aad_n, tag));
    assert_true(record(they_seal, true, other, text, n, aad_n, other_tag));
    assert_memory_equal(edge, other, (size_t)n);
    assert_memory_equal(tag, other_tag, TAG);
    assert_true(record(we_open, false, edge, edge, n, aad_n, tag));
    assert_memory_equal(edge, text, (size_t)n);
    for (int i = 1; i <= TAG; i++)
        assert_int_equal(edge[-i], 0xa5);
}

static void
agrees_with_openssl_and_stays_within_its_text(void **state)
{
    (void)state;
    fetch();
    keyed(we_seal = EVP_CIPHER_CTX_new(), ours, true);
    keyed(we_open = EVP_CIPHER_CTX_new(), ours, false);
    keyed(they_seal = EVP_CIPHER_CTX_new(), theirs, true);
    for (int n = 1; n <= 2100; n++) /* every way its vectors can end */
        agrees(n);
    for (int n = 16384 - 40; n <= 16384 + 300; n++) /* the longest records, and beyond */
        agrees(n);
    EVP_CIPHER_CTX_free(we_seal);
    EVP_CIPHER_CTX_free(we_open);
    EVP_CIPHER_CTX_free(they_seal);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_another_text_or_key_without_a_new_nonce),
        cmocka_unit_test(refuses_what_a_record_has_not),
        cmocka_unit_test(refuses_a_text_that_was_changed),
        cmocka_unit_test(who_does_not_ask_keeps_openssls_own),
        cmocka_unit_test(agrees_with_openssl_and_stays_within_its_text),
        cmocka_unit_test(does_what_the_specification_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
