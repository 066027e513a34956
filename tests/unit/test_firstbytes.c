/* First bytes: who may go on, and the exact bytes of a refusal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "codec/firstbytes.h"

#define CR "\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x03\x00\x00\x00"
#define CC "\x03\x00\x00\x13\x0e\xd0\x00\x00\x12\x34\x00\x02\x00\x08\x00\x02\x00\x00\x00"

static void
clients_that_speak_neither(void **state)
{
    const cpn_view refused[] = {
        CPN_VIEW_LIT("GET / HTTP/1.1\r\n"),
        CPN_VIEW_LIT("\x16\x03\x01"),
        CPN_VIEW_LIT("SSH-1.5-x"),
        CPN_VIEW_LIT("SSH-2.1-x"),
        CPN_VIEW_LIT("ssh-2.0-x"),
        CPN_VIEW_LIT(" SSH-2.0-"),
        CPN_VIEW_LIT("\r\nSSH-2.0-"),
        CPN_VIEW_LIT("\0"),
        CPN_VIEW_LIT("hello\nSSH-2.0-x"),
        CPN_VIEW_LIT("\x02"),
        CPN_VIEW_LIT("\x03\x01"),
        CPN_VIEW_LIT("\x03\x00\x02"),
        CPN_VIEW_LIT("\x03\x00\x00\x0a"),
        CPN_VIEW_LIT("\x03\x00\x00\x13\x0d"),
        CPN_VIEW_LIT("\x03\x00\x01\x04"),
        CPN_VIEW_LIT("\x03\x00\x00\x13\x0e\xd0"),
        CPN_VIEW_LIT("\x03\x00\x00\x13\x0e\xf0"),
        CPN_VIEW_LIT("\x03\x00\x00\x13\x0e\xe0\x01"),
        CPN_VIEW_LIT("\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x10"),
    };
    cpn_speech speech;

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++) {
        if (cpn_first_client(refused[i], &speech) != CPN_FIRST_NO)
            fail_msg("row %zu: not refused", i);
        assert_int_equal(speech, CPN_SPEECH_NONE);
    }
}

static void
judged(cpn_view whole, size_t enough, cpn_speech want, bool client)
{
    for (size_t n = 0; n <= whole.n; n++) {
        cpn_speech speech;
        cpn_view got = { whole.p, n };
        cpn_first_answer a = client ? cpn_first_client(got, &speech)
                                    : cpn_first_target(got, CPN_SPEECH_NONE, &speech);
        if (a != (n < enough ? CPN_FIRST_MORE : CPN_FIRST_YES))
            fail_msg("%zu of %zu bytes: %d", n, whole.n, a);
        assert_int_equal(speech, n < enough ? CPN_SPEECH_NONE : want);
    }
}

static void
clients_that_go_on(void **state)
{
    (void)state;
    judged(CPN_VIEW_LIT("SSH-2.0-OpenSSH_9.2\r\n"), 8, CPN_SPEECH_SSH, true);
    judged(CPN_VIEW_LIT("SSH-1.99-x"), 9, CPN_SPEECH_SSH, true);
    judged(CPN_VIEW_LIT(CR), 11, CPN_SPEECH_RDP, true);
    judged(CPN_VIEW_LIT("\x03\x00\x00\x2b\x26\xe0\x00\x00\x00\x00\x00"
                        "Cookie: mstshash=x\r\n"),
           11, CPN_SPEECH_RDP, true);
}

static void
targets_that_speak_neither(void **state)
{
    const cpn_view refused[] = {
        CPN_VIEW_LIT("HTTP/1.1 400 Bad Request\r\n"),
        CPN_VIEW_LIT("x\0y"),
        CPN_VIEW_LIT("welcome\r\n\x1b[2J\r\n"),
        CPN_VIEW_LIT("a\rb\r\nSSH-2.0-x"),
        CPN_VIEW_LIT("\xff\xfd\x18"),
        CPN_VIEW_LIT("\x15\x03\x01"),
        CPN_VIEW_LIT("S\x01"),
        CPN_VIEW_LIT("ok\nHTTP/1.0 200 OK\r\n"),
        CPN_VIEW_LIT("\x03\x00\x00\x13\x0e\xe0"),
        CPN_VIEW_LIT("\xc3\xa4\r\n"),
    };
    cpn_speech speech;

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++)
        if (cpn_first_target(refused[i], CPN_SPEECH_NONE, &speech) != CPN_FIRST_NO)
            fail_msg("row %zu: not refused", i);
    assert_int_equal(cpn_first_target(CPN_VIEW_LIT(CC), CPN_SPEECH_SSH, &speech), CPN_FIRST_NO);
    assert_int_equal(cpn_first_target(CPN_VIEW_LIT("SSH-2.0-x"), CPN_SPEECH_RDP, &speech),
                     CPN_FIRST_NO);
}

static void
targets_that_go_on(void **state)
{
    (void)state;
    judged(CPN_VIEW_LIT("SSH-2.0-x\r\n"), 4, CPN_SPEECH_SSH, false);
    judged(CPN_VIEW_LIT("Welcome\tto us.\r\n\nS\nSSH\r\nSSH-2.0-x\r\n"), 28, CPN_SPEECH_SSH, false);
    judged(CPN_VIEW_LIT(CC), 11, CPN_SPEECH_RDP, false);
}

static void
lines_stop_at_8_kib(void **state)
{
    static uint8_t said[CPN_FIRST_LINES_MAX + 64];
    cpn_speech speech;
    cpn_view got = { said, 0 };

    (void)state;
    memset(said, 'x', sizeof(said));
    for (size_t i = 63; i < sizeof(said); i += 64)
        said[i] = '\n';
    memcpy(said + CPN_FIRST_LINES_MAX, "SSH-", 4);
    for (size_t n = CPN_FIRST_LINES_MAX; n < CPN_FIRST_LINES_MAX + 4; n++) {
        got.n = n;
        assert_int_equal(cpn_first_target(got, CPN_SPEECH_SSH, &speech), CPN_FIRST_MORE);
    }
    got.n++;
    assert_int_equal(cpn_first_target(got, CPN_SPEECH_SSH, &speech), CPN_FIRST_YES);
    said[CPN_FIRST_LINES_MAX - 1] = 'x';
    said[CPN_FIRST_LINES_MAX] = '\n';
    memcpy(said + CPN_FIRST_LINES_MAX + 1, "SSH-", 4);
    got.n++;
    assert_int_equal(cpn_first_target(got, CPN_SPEECH_SSH, &speech), CPN_FIRST_NO);
    got.n = CPN_FIRST_LINES_MAX - 1;
    assert_int_equal(cpn_first_target(got, CPN_SPEECH_SSH, &speech), CPN_FIRST_MORE);
    memset(said, 'x', sizeof(said));
    got.n = CPN_FIRST_LINES_MAX;
    assert_int_equal(cpn_first_target(got, CPN_SPEECH_SSH, &speech), CPN_FIRST_NO);
}

static void
refusals_byte_for_byte(void **state)
{
    static const uint8_t ssh[] = "SSH-2.0-Caponier\r\n"
                                 "\0\0\0\x1c\x0a\x01\0\0\0\x0b\0\0\0\x04no ?\0\0\0\0"
                                 "\0\0\0\0\0\0\0\0\0\0";
    static const uint8_t rdp[] = "\x03\0\0\x13\x0e\xd0\0\0\0\0\0\x03\0\x08\0\x02\0\0\0";
    CPN_AUTO(cpn_buf_fini) cpn_buf out = { .max = 1024 };

    (void)state;
    assert_int_equal(cpn_first_refuse_ssh(&out, "no \n"), CPN_OK);
    assert_int_equal(out.n, sizeof(ssh) - 1);
    assert_memory_equal(out.p, ssh, out.n);
    out.n = 0;
    assert_int_equal(cpn_first_refuse_rdp(&out), CPN_OK);
    assert_int_equal(out.n, sizeof(rdp) - 1);
    assert_memory_equal(out.p, rdp, out.n);
}

static void
ssh_refusals_are_well_formed(void **state)
{
    char sentence[700];

    (void)state;
    for (size_t said = 0; said < sizeof(sentence) - 1; said++) {
        CPN_AUTO(cpn_buf_fini) cpn_buf out = { .max = 1024 };
        size_t kept = CPN_MIN(said, 512), length, padding;
        memset(sentence, 'a', said);
        sentence[said] = '\0';
        assert_int_equal(cpn_first_refuse_ssh(&out, sentence), CPN_OK);
        length = (size_t)out.p[20] << 8 | out.p[21];
        padding = out.p[22];
        assert_int_equal(out.n, 18 + 4 + length);
        assert_int_equal((4 + length) % 8, 0);
        assert_true(padding >= 4 && padding < 12);
        assert_int_equal(length, 1 + 13 + kept + padding);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_that_speak_neither),   cmocka_unit_test(clients_that_go_on),
        cmocka_unit_test(targets_that_speak_neither),   cmocka_unit_test(targets_that_go_on),
        cmocka_unit_test(lines_stop_at_8_kib),          cmocka_unit_test(refusals_byte_for_byte),
        cmocka_unit_test(ssh_refusals_are_well_formed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
