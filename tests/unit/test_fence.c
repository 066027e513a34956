/* keeper: every address that must never be dialled, then those that may; errors of connect();
 * restarts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "keeper/dial.h"
#include "keeper/fence.h"
#include "keeper/restart.h"

static const char *const denied[] = {
    /* this network, loopback */
    "0.0.0.0",
    "0.0.0.1",
    "0.255.255.255",
    "127.0.0.0",
    "127.0.0.1",
    "127.0.0.53",
    "127.1.2.3",
    "127.255.255.255",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::ffff:0.0.0.0",
    "::1",
    "::",
    /* link-local and metadata */
    "169.254.0.0",
    "169.254.0.1",
    "169.254.169.254",
    "169.254.169.253",
    "169.254.170.2",
    "169.254.0.23",
    "169.254.255.255",
    "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "168.63.129.16",
    "::ffff:168.63.129.16",
    "100.100.100.200",
    "192.0.0.192",
    "192.0.0.0",
    "192.0.0.255",
    "fd00:ec2::254",
    "fd00:ec2::253",
    "fd00:ec2::23",
    "fd20:ce::254",
    "fd00:c1::a9fe:a9fe",
    "fd00:42::42",
    "fe80::1",
    "fe80::a9fe:a9fe",
    "fe80::",
    "fe90::1",
    "febf:ffff::1",
    "fec0::1",
    "feff::1",
    /* multicast, broadcast, reserved */
    "224.0.0.0",
    "224.0.0.1",
    "224.0.0.251",
    "232.1.2.3",
    "239.255.255.250",
    "239.255.255.255",
    "240.0.0.0",
    "240.0.0.1",
    "250.1.2.3",
    "255.255.255.254",
    "255.255.255.255",
    "ff00::",
    "ff01::1",
    "ff02::1",
    "ff02::fb",
    "ff05::2",
    "ff0e::1",
    "ffff::1",
    /* IPv4 inside IPv6 */
    "::2",
    "::7f00:1",
    "::a9fe:a9fe",
    "::a00:1",
    "::ffff:0:a00:1",
    "::ffff:0:7f00:1",
    "64:ff9b::",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
    "64:ff9b:1::a9fe:a9fe",
    "64:ff9b:1:ffff::a00:1",
    "2002::",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2002:a00:1::1",
    "2001::",
    "2001:0:1::1",
    "2001:0:a9fe:a9fe::1",
    "192.88.99.1",
    "fd00::5efe:a00:1",
    "fd00::200:5efe:a00:1",
    "2001:db8::5efe:7f00:1",
    "100::1",
};

static const char *const allowed[] = {
    "1.0.0.0",         "10.0.0.1",     "100.64.0.1",    "100.100.100.199", "100.100.100.201",
    "126.255.255.255", "128.0.0.1",    "168.63.129.15", "168.63.129.17",   "169.253.255.255",
    "169.255.0.1",     "172.16.0.1",   "192.0.1.0",     "192.168.1.1",     "223.255.255.255",
    "192.88.98.255",   "203.0.113.7",  "fd00::1",       "fd00:ec1::254",   "fc00::1",
    "2001:1::1",       "2001:db8::1",  "2003::1",       "2a01:4f8::1",     "fe00::1",
    "64:ff9c::1",      "fd77::2:5efe", "100:1::1",
};

static cpn_addr
addr(const char *text)
{
    cpn_addr a;

    if (cpn_addr_parse(&a, cpn_view_str(text), NULL) != CPN_OK)
        fail_msg("'%s' was refused", text);
    return a;
}

static void
never_dialled(void **state)
{
    static const cpn_fence plain = { 0 };

    (void)state;
    assert_true(CPN_COUNT(denied) >= 80);
    for (size_t i = 0; i < CPN_COUNT(denied); i++) {
        cpn_addr a = addr(denied[i]);
        if (!cpn_fence_check(&plain, &a, 22) || !cpn_fence_check(&plain, &a, 3389))
            fail_msg("%s would be dialled", denied[i]);
    }
    cpn_addr good = addr("10.0.0.1");
    assert_non_null(cpn_fence_check(&plain, &good, 0));
}

static void
lifting_loopback_lifts_nothing_else(void **state)
{
    static const cpn_fence lifted = { .allow_loopback = true };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(denied); i++) {
        cpn_addr a = addr(denied[i]);
        bool may = cpn_fence_check(&lifted, &a, 22) == NULL;
        if (may != cpn_addr_is_loopback(&a))
            fail_msg("%s: %d", denied[i], may);
    }
}

static void
configured_denies_and_own_listeners_hold(void **state)
{
    cpn_fence f = { .allow_loopback = true };
    cpn_addr db = addr("10.9.8.7"), neighbour = addr("10.9.8.8"), six = addr("fd00:5::1");
    cpn_addr lo = addr("127.0.0.1");
    cpn_err err = { 0 };

    (void)state;
    assert_int_equal(cpn_fence_set_deny(&f, CPN_VIEW_LIT("10.9.8.7/32\nnonsense\n"), &err),
                     CPN_INVALID);
    assert_null(cpn_fence_check(&f, &db, 22));
    assert_int_equal(cpn_fence_set_deny(&f, CPN_VIEW_LIT("10.9.8.7/32\nfd00:5::/64\n"), &err),
                     CPN_OK);
    assert_non_null(cpn_fence_check(&f, &db, 22));
    assert_non_null(cpn_fence_check(&f, &six, 22));
    assert_null(cpn_fence_check(&f, &neighbour, 22));
    assert_int_equal(cpn_fence_add_own(&f, &lo, 8443), CPN_OK);
    assert_non_null(cpn_fence_check(&f, &lo, 8443));
    assert_null(cpn_fence_check(&f, &lo, 22));
    assert_int_equal(cpn_fence_set_deny(&f, CPN_VIEW_LIT("127.0.0.0/8"), &err), CPN_OK);
    assert_non_null(cpn_fence_check(&f, &lo, 22));
    assert_null(cpn_fence_check(&f, &db, 22));
}

static void
the_kernel_knows_our_own_addresses(void **state)
{
    cpn_addr own = addr("127.0.0.1"), other = addr("203.0.113.77");
    cpn_err err = { 0 };

    (void)state;
    assert_int_equal(cpn_fence_own(&own, &err), CPN_DENIED);
    if (cpn_fence_can_tell(&err) == CPN_OK)
        assert_int_equal(cpn_fence_own(&other, &err), CPN_OK);
}

static void
ordinary_addresses_pass(void **state)
{
    static const cpn_fence plain = { 0 };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(allowed); i++) {
        cpn_addr a = addr(allowed[i]);
        const char *why = cpn_fence_check(&plain, &a, 22);
        if (why)
            fail_msg("%s: %s", allowed[i], why);
    }
}

static void
errors_have_reasons(void **state)
{
    (void)state;
    assert_int_equal(cpn_dial_reason(ECONNREFUSED), CPN_WHY_DIAL_REFUSED);
    assert_int_equal(cpn_dial_reason(ETIMEDOUT), CPN_WHY_DIAL_TIMEOUT);
    assert_int_equal(cpn_dial_reason(EHOSTUNREACH), CPN_WHY_DIAL_UNREACHABLE);
    assert_int_equal(cpn_dial_reason(ENETUNREACH), CPN_WHY_DIAL_UNREACHABLE);
    assert_int_equal(cpn_dial_reason(EPERM), CPN_WHY_FENCE);
    assert_int_equal(cpn_dial_reason(EMFILE), CPN_WHY_DIAL_FAILED);
}

static void
restarts_slow_down_and_recover(void **state)
{
    cpn_restarts r = { 0 };
    uint64_t now = 100;

    (void)state;
    for (int i = 0; i < 5; i++)
        assert_int_equal(cpn_restart_delay(&r, now++), 0);
    for (int i = 0; i < 9; i++, now += 1000)
        assert_int_equal(cpn_restart_delay(&r, now), 1000);
    assert_int_equal(cpn_restart_delay(&r, 10099), 1000);
    assert_int_equal(cpn_restart_delay(&r, 10100), 0);
    now = 60000;
    for (int i = 0; i < 5; i++)
        assert_int_equal(cpn_restart_delay(&r, now + (uint64_t)i), 0);
    assert_int_equal(cpn_restart_delay(&r, now + 5), 1000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(never_dialled),
        cmocka_unit_test(lifting_loopback_lifts_nothing_else),
        cmocka_unit_test(configured_denies_and_own_listeners_hold),
        cmocka_unit_test(the_kernel_knows_our_own_addresses),
        cmocka_unit_test(ordinary_addresses_pass),
        cmocka_unit_test(errors_have_reasons),
        cmocka_unit_test(restarts_slow_down_and_recover),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
