/* sshagent, usercert: what is no message, no certificate and no sign-in, then what is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codec/sshagent.h"
#include "codec/sshwire.h"
#include "codec/usercert.h"

#define B(text)                                                                                    \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }

static void
messages_that_are_refused(void **state)
{
    static const struct {
        const char *why;
        cpn_view in;
        cpn_rc want;
    } refused[] = {
        { "nothing", { 0 }, CPN_AGAIN },
        { "half a length", B("\x00\x00"), CPN_AGAIN },
        { "one byte short", B("\x00\x00\x00\x02\x1b"), CPN_AGAIN },
        { "an empty message", B("\x00\x00\x00\x00"), CPN_E_PROTO },
        { "4 GiB", B("\xff\xff\xff\xff"), CPN_LIMIT },
        { "one over the cap", B("\x00\x00\x80\x01"), CPN_LIMIT },
        { "a list with something behind", B("\x00\x00\x00\x02\x0b\x00"), CPN_E_PROTO },
        { "a sign request without a body", B("\x00\x00\x00\x01\x0d"), CPN_E_PROTO },
        { "a key that is longer than the message", B("\x00\x00\x00\x06\x0d\x00\x00\x00\x09\x01"),
          CPN_E_PROTO },
        { "no flags", B("\x00\x00\x00\x09\x0d\x00\x00\x00\x00\x00\x00\x00\x00"), CPN_E_PROTO },
        { "something behind the flags",
          B("\x00\x00\x00\x0e\x0d\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07"),
          CPN_E_PROTO },
    };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++) {
        cpn_agent_ask q;
        cpn_err err = { 0 };
        size_t used = 1;
        cpn_rc rc = cpn_agent_parse(refused[i].in, &q, &used, &err);

        if (rc != refused[i].want)
            fail_msg("%s: got %d, want %d", refused[i].why, rc, refused[i].want);
        assert_int_equal(used, 0);
        assert_int_equal(q.kind, CPN_AGENT_OTHER);
        assert_null(q.key.p);
    }
}

static void
put_text(cpn_buf *b, const char *text)
{
    assert_int_equal(cpn_sshwire_put_string(b, cpn_view_str(text)), CPN_OK);
}

static void
put_byte(cpn_buf *b, uint8_t byte)
{
    assert_int_equal(cpn_buf_append(b, (cpn_view){ &byte, 1 }), CPN_OK);
}

/* What a certificate, or a sign-in, may be wrong in. */
typedef struct recipe {
    const char *why;
    const char *type;
    const char *key;
    uint32_t kind;
    const char *names;
    size_t names_n;
    size_t cut;
} recipe;

#define KEY32 "0123456789abcdef0123456789abcdef"
#define NAMES "\0\0\0\3ada\0\0\0\5ada@x"

static void
put_certificate(cpn_buf *b, const recipe *r)
{
    put_text(b, r->type);
    put_text(b, "nonce");
    put_text(b, r->key);
    assert_int_equal(cpn_sshwire_put_u32(b, 0), CPN_OK); /* serial */
    assert_int_equal(cpn_sshwire_put_u32(b, 7), CPN_OK);
    assert_int_equal(cpn_sshwire_put_u32(b, r->kind), CPN_OK);
    put_text(b, "key id");
    assert_int_equal(cpn_sshwire_put_string(b, (cpn_view){ (const uint8_t *)r->names, r->names_n }),
                     CPN_OK);
    for (int i = 0; i < 4; i++)
        assert_int_equal(cpn_sshwire_put_u32(b, 1), CPN_OK); /* after, before */
    for (int i = 0; i < 5; i++)
        put_text(b, "");
    b->n -= r->cut;
}

static void
certificates_that_are_refused(void **state)
{
    static const recipe refused[] = {
        { "another key's", "ssh-rsa-cert-v01@openssh.com", KEY32, 1, NAMES, 16, 0 },
        { "a plain key's type", "ssh-ed25519", KEY32, 1, NAMES, 16, 0 },
        { "a key of 31 bytes", CPN_USERCERT_TYPE, &KEY32[1], 1, NAMES, 16, 0 },
        { "a host's", CPN_USERCERT_TYPE, KEY32, 2, NAMES, 16, 0 },
        { "of no kind", CPN_USERCERT_TYPE, KEY32, 0, NAMES, 16, 0 },
        { "everybody's", CPN_USERCERT_TYPE, KEY32, 1, NAMES, 0, 0 },
        { "an empty name", CPN_USERCERT_TYPE, KEY32, 1, "\0\0\0\0", 4, 0 },
        { "a name cut off", CPN_USERCERT_TYPE, KEY32, 1, NAMES, 6, 0 },
        { "the end cut off", CPN_USERCERT_TYPE, KEY32, 1, NAMES, 16, 1 },
    };
    static const recipe good = { "", CPN_USERCERT_TYPE, KEY32, 1, NAMES, 16, 0 };
    cpn_usercert c;

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++) {
        cpn_buf b = { .max = 4096 };
        cpn_err err = { 0 };

        put_certificate(&b, &refused[i]);
        if (cpn_usercert_read(&c, cpn_buf_view(&b), &err) != CPN_INVALID)
            fail_msg("%s was taken", refused[i].why);
        assert_null(c.key.p);
        assert_string_not_equal(err.msg, "");
        cpn_buf_fini(&b);
    }
    {
        cpn_buf b = { .max = 4096 };

        put_certificate(&b, &good);
        assert_int_equal(cpn_usercert_read(&c, cpn_buf_view(&b), NULL), CPN_OK);
        assert_true(cpn_view_is(c.key, KEY32) && cpn_view_is(c.principal, "ada"));
        put_byte(&b, 0);
        assert_int_equal(cpn_usercert_read(&c, cpn_buf_view(&b), NULL), CPN_INVALID);
        cpn_buf_fini(&b);
    }
    {
        static const uint8_t big[CPN_USERCERT_MAX + 1];

        assert_int_equal(cpn_usercert_read(&c, (cpn_view){ big, sizeof(big) }, NULL), CPN_INVALID);
    }
}

typedef struct sign_in {
    const char *why;
    const char *session;
    uint8_t type;
    const char *service, *method;
    uint8_t signature;
    const char *algorithm, *key, *host;
} sign_in;

#define CERT "the certificate"
#define LONG65 "0123456789012345678901234567890123456789012345678901234567890123z"

static bool
is_sign_in(const sign_in *s, const char *key)
{
    cpn_buf b = { .max = 4096 };
    bool good;

    put_text(&b, s->session);
    put_byte(&b, s->type);
    put_text(&b, "ada");
    put_text(&b, s->service);
    put_text(&b, s->method);
    put_byte(&b, s->signature);
    put_text(&b, s->algorithm);
    put_text(&b, s->key);
    if (s->host)
        put_text(&b, s->host);
    good = cpn_agent_is_sign_in(cpn_buf_view(&b), cpn_view_str(key));
    cpn_buf_fini(&b);
    return good;
}

static void
what_is_no_sign_in(void **state)
{
    static const char c[] = "ssh-connection", pk[] = "publickey";
    static const char bound[] = "publickey-hostbound-v00@openssh.com";
    static const sign_in refused[] = {
        { "no session", "", 50, c, pk, 1, CPN_USERCERT_TYPE, CERT, NULL },
        { "a session's id that no hash gives", LONG65, 50, c, pk, 1, CPN_USERCERT_TYPE, CERT,
          NULL },
        { "another message", "s", 51, c, pk, 1, CPN_USERCERT_TYPE, CERT, NULL },
        { "another service", "s", 50, "ssh-userauth", pk, 1, CPN_USERCERT_TYPE, CERT, NULL },
        { "another method", "s", 50, c, "hostbased", 1, CPN_USERCERT_TYPE, CERT, NULL },
        { "a question only", "s", 50, c, pk, 0, CPN_USERCERT_TYPE, CERT, NULL },
        { "the plain key", "s", 50, c, pk, 1, "ssh-ed25519", CERT, NULL },
        { "another certificate", "s", 50, c, pk, 1, CPN_USERCERT_TYPE, "another", NULL },
        { "no certificate", "s", 50, c, pk, 1, CPN_USERCERT_TYPE, "", NULL },
        { "a host's key too many", "s", 50, c, pk, 1, CPN_USERCERT_TYPE, CERT, "host" },
        { "no host's key", "s", 50, c, bound, 1, CPN_USERCERT_TYPE, CERT, NULL },
    };
    static const sign_in plain = { "", "s", 50, c, pk, 1, CPN_USERCERT_TYPE, CERT, NULL };
    static const sign_in to_host = { "", "s", 50, c, bound, 1, CPN_USERCERT_TYPE, CERT, "host" };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++)
        if (is_sign_in(&refused[i], CERT))
            fail_msg("%s would be signed", refused[i].why);
    assert_false(is_sign_in(&refused[8], "")); /* "no certificate", and we have none either */
    assert_false(cpn_agent_is_sign_in(CPN_VIEW_LIT("SSHSIG\0\0\0\4file"), CPN_VIEW_LIT(CERT)));
    assert_false(cpn_agent_is_sign_in((cpn_view){ 0 }, CPN_VIEW_LIT(CERT)));
    assert_true(is_sign_in(&plain, CERT));
    assert_true(is_sign_in(&to_host, CERT));
}

static void
requests_and_answers(void **state)
{
    static const uint8_t two[] = { 0, 0, 0, 1, 11, 0, 0, 0, 3, 27, 1, 2 };
    static const uint8_t sign[] = { 0, 0, 0, 16, 13,  0,   0, 0, 1, 'k',
                                    0, 0, 0, 2,  'w', 'h', 0, 0, 0, 4 };
    static const uint8_t listed[] = {
        0, 0, 0, 15, 12, 0, 0, 0, 1, 0, 0, 0, 1, 'c', 0, 0, 0, 1, 'n'
    };
    uint8_t signature[CPN_ED25519_SIGNATURE] = { 9 };
    cpn_buf b = { .max = 4096 }, tight = { .max = 4 };
    cpn_agent_ask q;
    size_t used;

    (void)state;
    assert_int_equal(cpn_agent_parse((cpn_view){ two, sizeof(two) }, &q, &used, NULL), CPN_OK);
    assert_true(q.kind == CPN_AGENT_LIST && used == 5);
    assert_int_equal(cpn_agent_parse((cpn_view){ two + 5, 7 }, &q, &used, NULL), CPN_OK);
    assert_true(q.kind == CPN_AGENT_OTHER && used == 7);
    assert_int_equal(cpn_agent_parse((cpn_view){ sign, sizeof(sign) }, &q, &used, NULL), CPN_OK);
    assert_true(q.kind == CPN_AGENT_SIGN && cpn_view_is(q.key, "k") && cpn_view_is(q.what, "wh"));

    assert_int_equal(cpn_agent_put_list(&b, CPN_VIEW_LIT("c"), CPN_VIEW_LIT("n")), CPN_OK);
    assert_int_equal(b.n, sizeof(listed));
    assert_memory_equal(b.p, listed, sizeof(listed));
    b.n = 0;
    assert_int_equal(cpn_agent_put_list(&b, (cpn_view){ 0 }, CPN_VIEW_LIT("n")), CPN_OK);
    assert_true(b.n == 9 && b.p[3] == 5 && b.p[4] == 12 && b.p[8] == 0);
    b.n = 0;
    assert_int_equal(cpn_agent_put_failure(&b), CPN_OK);
    assert_true(b.n == 5 && b.p[3] == 1 && b.p[4] == 5);
    b.n = 0;
    assert_int_equal(cpn_agent_put_signature(&b, signature), CPN_OK);
    assert_true(b.n == 4 + 1 + 4 + 4 + 11 + 4 + 64 && b.p[3] == b.n - 4 && b.p[b.n - 64] == 9);
    assert_int_equal(cpn_agent_put_failure(&tight), CPN_LIMIT);
    cpn_buf_fini(&b);
    cpn_buf_fini(&tight);
}

static void
lists_as_one_who_asks_reads_them(void **state)
{
    static const struct {
        const char *why;
        cpn_view in;
        cpn_rc want;
    } rows[] = {
        { "half a length", B("\x00\x00"), CPN_AGAIN },
        { "one byte short", B("\x00\x00\x00\x05\x0c\x00\x00\x00"), CPN_AGAIN },
        { "an empty message", B("\x00\x00\x00\x00"), CPN_E_PROTO },
        { "4 GiB", B("\xff\xff\xff\xff"), CPN_LIMIT },
        { "a failure", B("\x00\x00\x00\x01\x05"), CPN_E_PROTO },
        { "two identities", B("\x00\x00\x00\x05\x0c\x00\x00\x00\x02"), CPN_E_PROTO },
        { "one that is not there", B("\x00\x00\x00\x05\x0c\x00\x00\x00\x01"), CPN_E_PROTO },
        { "a key longer than the message",
          B("\x00\x00\x00\x09\x0c\x00\x00\x00\x01\x00\x00\x00\x09"), CPN_E_PROTO },
        { "something behind", B("\x00\x00\x00\x06\x0c\x00\x00\x00\x00\x00"), CPN_E_PROTO },
        { "none", B("\x00\x00\x00\x05\x0c\x00\x00\x00\x00"), CPN_OK },
    };
    cpn_buf b = { .max = 256 };
    cpn_view cert, comment;
    cpn_agent_ask q;
    size_t used;

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(rows); i++) {
        cpn_rc rc = cpn_agent_read_list(rows[i].in, &cert, &comment, NULL);

        if (rc != rows[i].want)
            fail_msg("%s: got %d, want %d", rows[i].why, rc, rows[i].want);
        assert_int_equal(cert.n + comment.n, 0);
    }
    assert_int_equal(cpn_agent_put_ask_list(&b), CPN_OK);
    assert_int_equal(cpn_agent_parse(cpn_buf_view(&b), &q, &used, NULL), CPN_OK);
    assert_int_equal(q.kind, CPN_AGENT_LIST);
    cpn_buf_consume(&b, b.n);
    assert_int_equal(cpn_agent_put_list(&b, CPN_VIEW_LIT("cert"), CPN_VIEW_LIT("me")), CPN_OK);
    assert_int_equal(cpn_agent_read_list(cpn_buf_view(&b), &cert, &comment, NULL), CPN_OK);
    assert_true(cpn_view_is(cert, "cert") && cpn_view_is(comment, "me"));
    cpn_buf_fini(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_that_are_refused),
        cmocka_unit_test(lists_as_one_who_asks_reads_them),
        cmocka_unit_test(certificates_that_are_refused),
        cmocka_unit_test(what_is_no_sign_in),
        cmocka_unit_test(requests_and_answers),
    };

    return cmocka_run_group_tests_name("sshagent", tests, NULL, NULL);
}
