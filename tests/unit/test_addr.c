/* model: every refused spelling of an address first, then families, prefixes and identifiers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "model/addr.h"
#include "model/uuid.h"

static const char *const refused_addresses[] = {
    "",
    " ",
    "127.1",
    "127.0.1",
    "0177.0.0.1",
    "0x7f.0.0.1",
    "0x7f000001",
    "2130706433",
    "017700000001",
    "127.0.0.01",
    "127.0.0.001",
    "00.0.0.0",
    "127.0.0.1 ",
    " 127.0.0.1",
    "127.0.0.1\n",
    "127.0.0.1.",
    ".127.0.0.1",
    "127..0.1",
    "127.0.0.256",
    "127.0.0.-1",
    "+127.0.0.1",
    "127.0.0.1/32",
    "127.0.0.1:22",
    "1.2.3.4.5",
    "1e1.0.0.1",
    "\xd9\xa1.0.0.1",
    "localhost",
    "metadata.google.internal",
    "[::1]",
    "::1%lo",
    "fe80::1%eth0",
    "fe80::1%1",
    ":",
    ":::",
    "::1::",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "::12345",
    "::g",
    "0000::1",
    "fd00:0001::1",
    "fd00::01",
    "::127.0.0.1",
    "64:ff9b::169.254.169.254",
    "2002::1.2.3.4",
    "::ffff:0:127.0.0.1",
    "::ffff:127.1",
    "::ffff:0177.0.0.1",
    "::ffff:127.0.0.01",
    "::1/128",
    "::1 ",
    "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd:eeee:ffff:0000",
};

static void
spellings_are_refused(void **state)
{
    cpn_addr a;
    cpn_err err;

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused_addresses); i++)
        if (cpn_addr_parse(&a, cpn_view_str(refused_addresses[i]), &err) != CPN_INVALID)
            fail_msg("'%s' was taken as an address", refused_addresses[i]);
    assert_int_equal(cpn_addr_parse(&a, (cpn_view){ (const uint8_t *)"::1\0x", 5 }, NULL),
                     CPN_INVALID);
}

static void
prefixes_are_refused(void **state)
{
    static const char *const refused[] = {
        "",
        "10.0.0.0",
        "10.0.0.0/",
        "/8",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.0/08",
        "10.0.0.0/8 ",
        "10.0.0.0/+8",
        "10.0.0.1/24",
        "10.0.0.0/8/8",
        "fd00::/129",
        "fd00::1/64",
        "::1/0",
        "0.0.0.1/0",
        "fd00::/0x40",
        "10.0.0.0/0x8",
        "010.0.0.0/8",
        "10/8",
        "::ffff:10.0.0.0/8",
        "::ffff:0:0/90",
    };
    cpn_prefix p;
    cpn_err err;

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++)
        if (cpn_prefix_parse(&p, cpn_view_str(refused[i]), &err) != CPN_INVALID)
            fail_msg("'%s' was taken as a prefix", refused[i]);
}

static void
address_and_port_are_refused(void **state)
{
    static const char *const refused[] = {
        "",
        ":",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "127.0.0.1: 22",
        "127.0.0.1:22x",
        "127.0.0.1:022",
        "::1:22",
        "[::1]",
        "[::1]22",
        "[127.0.0.1]:22",
        "[::1:22",
        "::1]:22",
        ":22",
        "*:22",
        "localhost:22",
        "[fe80::1%lo]:22",
    };
    cpn_addr a;
    uint16_t port;

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++)
        if (cpn_addr_port_parse(&a, &port, cpn_view_str(refused[i]), NULL) != CPN_INVALID)
            fail_msg("'%s' was taken as address and port", refused[i]);
}

static cpn_addr
addr(const char *text)
{
    cpn_addr a;

    if (cpn_addr_parse(&a, cpn_view_str(text), NULL) != CPN_OK)
        fail_msg("'%s' was refused", text);
    return a;
}

static cpn_prefix
prefix(const char *text)
{
    cpn_prefix p;

    if (cpn_prefix_parse(&p, cpn_view_str(text), NULL) != CPN_OK)
        fail_msg("'%s' was refused", text);
    return p;
}

static void
addresses_have_one_text(void **state)
{
    static const char *const same[][2] = {
        { "10.0.0.1", "10.0.0.1" },
        { "::ffff:10.0.0.1", "10.0.0.1" },
        { "::ffff:a00:1", "10.0.0.1" },
        { "FD00::A", "fd00::a" },
        { "0:0:0:0:0:0:0:1", "::1" },
        { "0.0.0.0", "0.0.0.0" },
        { "255.255.255.255", "255.255.255.255" },
        { "::", "::" },
    };
    char text[CPN_ADDR_TEXT];

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(same); i++) {
        cpn_addr a = addr(same[i][0]);
        assert_string_equal(cpn_addr_text(&a, text), same[i][1]);
    }
}

static void
prefixes_hold_one_family(void **state)
{
    cpn_prefix all4 = prefix("0.0.0.0/0"), all6 = prefix("::/0"), ten = prefix("10.0.0.0/8");
    cpn_prefix part = prefix("10.2.0.0/16"), other = prefix("11.0.0.0/8");
    cpn_addr in = addr("10.255.255.255"), out = addr("11.0.0.0"), six = addr("fd00::1");
    char text[CPN_ADDR_TEXT];

    (void)state;
    assert_true(cpn_prefix_holds(&all4, &in) && !cpn_prefix_holds(&all6, &in));
    assert_true(cpn_prefix_holds(&all6, &six) && !cpn_prefix_holds(&all4, &six));
    assert_true(cpn_prefix_holds(&ten, &in) && !cpn_prefix_holds(&ten, &out));
    assert_true(cpn_prefix_overlaps(&ten, &part) && cpn_prefix_overlaps(&part, &ten));
    assert_false(cpn_prefix_overlaps(&ten, &other));
    assert_false(cpn_prefix_overlaps(&all4, &all6));
    assert_string_equal(cpn_prefix_text(&ten, text), "10.0.0.0/8");
    assert_string_equal(cpn_prefix_text(&all6, text), "::/0");
    assert_int_equal(ten.len, 104);
}

static void
sockets_round_trip(void **state)
{
    static const char *const texts[] = { "127.0.0.1:22", "[::1]:65535", "[fd00::1]:0" };
    struct sockaddr_storage sa;
    char text[CPN_ADDR_TEXT];
    cpn_addr a, b;
    uint16_t port, got;

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(texts); i++) {
        assert_int_equal(cpn_addr_port_parse(&a, &port, cpn_view_str(texts[i]), NULL), CPN_OK);
        cpn_addr_to_sockaddr(&a, port, &sa);
        assert_true(cpn_addr_from_sockaddr(&b, &got, (struct sockaddr *)&sa));
        assert_true(cpn_addr_eq(&a, &b));
        assert_string_equal(cpn_addr_port_text(&b, got, text), texts[i]);
    }
    a = addr("127.255.0.1");
    assert_true(cpn_addr_is_loopback(&a));
    a = addr("128.0.0.1");
    assert_false(cpn_addr_is_loopback(&a));
}

static void
identifiers_have_one_text(void **state)
{
    static const char *const refused[] = {
        "",
        "00000000000000000000000000000000",
        "00000000-0000-0000-0000-00000000000",
        "00000000-0000-0000-0000-0000000000000",
        "{0000000-0000-0000-0000-00000000000}",
        "00000000_0000-0000-0000-000000000000",
        "0000000g-0000-0000-0000-000000000000",
        "00000000-0000-0000-0000000000000-000",
    };
    char text[CPN_UUID_TEXT];
    cpn_uuid a, b;

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++)
        assert_false(cpn_uuid_parse(&a, cpn_view_str(refused[i])));
    cpn_uuid_new(&a);
    cpn_uuid_text(&a, text);
    assert_int_equal(text[14], '4');
    assert_true(strchr("89ab", text[19]) != NULL);
    assert_true(cpn_uuid_parse(&b, cpn_view_str(text)) && cpn_uuid_eq(&a, &b));
    assert_true(cpn_uuid_parse(&b, CPN_VIEW_LIT("ABCDEFab-0123-4567-89ab-cdefABCDEF01")));
    assert_string_equal(cpn_uuid_text(&b, text), "abcdefab-0123-4567-89ab-cdefabcdef01");
    cpn_uuid_of_name(&a, CPN_VIEW_LIT("Ada@example.test"));
    assert_string_equal(cpn_uuid_text(&a, text), "d8abd146-9f23-5bc7-a69b-66b56d02c0bc");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spellings_are_refused),        cmocka_unit_test(prefixes_are_refused),
        cmocka_unit_test(address_and_port_are_refused), cmocka_unit_test(addresses_have_one_text),
        cmocka_unit_test(prefixes_hold_one_family),     cmocka_unit_test(sockets_round_trip),
        cmocka_unit_test(identifiers_have_one_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
