/* ipc: what a hostile peer may send first, then every message there and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ipc/wire.h"

#define SAMPLE_U8 0x81
#define SAMPLE_U16 0x8182
#define SAMPLE_U32 0x81828384u
#define SAMPLE_U64 0x8182838485868788ull
#define SAMPLE_UUID                                                                                \
    {                                                                                              \
        {                                                                                          \
            1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16                                  \
        }                                                                                          \
    }
#define SAMPLE_ADDR                                                                                \
    {                                                                                              \
        {                                                                                          \
            16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1                                  \
        }                                                                                          \
    }
#define SAMPLE_BYTES(max)                                                                          \
    {                                                                                              \
        sample, max                                                                                \
    }

static uint8_t sample[32768];

/* One message of each kind with every field at its maximum, so that the bounds are tested too. */
static const cpn_msg samples[] = {
#define CPN_MSG(name, number, from, to, fd)                                                        \
    {                                                                                              \
        .type = CPN_MSG_##name, .name = {.unused_ = 0,
#define CPN_FIELD(type, name) .name = SAMPLE_##type,
#define CPN_END                                                                                    \
    }                                                                                              \
    }                                                                                              \
    ,
#include "ipc/messages.def"
};

static const struct direction {
    cpn_msg_type type;
    cpn_role from;
    cpn_role to;
} directions[] = {
#define KEEPER CPN_ROLE_KEEPER
#define CONTROL CPN_ROLE_CONTROL
#define FRONT CPN_ROLE_FRONT
#define CPN_MSG(name, number, from, to, fd) { CPN_MSG_##name, from, to },
#include "ipc/messages.def"
};

static size_t
encoded(const cpn_msg *m, uint8_t out[CPN_IPC_PACKET_MAX])
{
    size_t n = 0;
    cpn_err err = { 0 };

    if (cpn_msg_encode(m, out, CPN_IPC_PACKET_MAX, &n, &err) != CPN_OK)
        fail_msg("%s", err.msg);
    return n;
}

static void
wrong_lengths_are_refused(void **state)
{
    uint8_t p[CPN_IPC_PACKET_MAX + 1];
    cpn_msg m;

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(samples); i++) {
        size_t n = encoded(&samples[i], p);
        for (size_t cut = 0; cut < n; cut += cut < 256 ? 1 : 509)
            if (cpn_msg_decode(&m, (cpn_view){ p, cut }, NULL) != CPN_E_PROTO)
                fail_msg("%s cut to %zu bytes", cpn_msg_name(samples[i].type), cut);
        p[n] = 0;
        assert_int_equal(cpn_msg_decode(&m, (cpn_view){ p, n + 1 }, NULL), CPN_E_PROTO);
    }
}

static void
wrong_packets_are_refused(void **state)
{
    const struct {
        const char *why;
        cpn_view packet;
    } refused[] = {
        { "empty", { NULL, 0 } },
        { "half a type", CPN_VIEW_LIT("\x05") },
        { "type 0", CPN_VIEW_LIT("\x00\x00") },
        { "unknown type", CPN_VIEW_LIT("\xff\xff") },
        { "length 4 GiB", CPN_VIEW_LIT("\x40\x00\x01\0\0\0\x02\0\0\0\xff\xff\xff\xff"
                                       "a") },
        { "length over its bound", CPN_VIEW_LIT("\x40\x00\x01\0\0\0\x02\0\0\0\x01\x08\0\0") },
    };
    cpn_msg m;

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++)
        if (cpn_msg_decode(&m, refused[i].packet, NULL) != CPN_E_PROTO)
            fail_msg("%s", refused[i].why);
}

static void
nobody_else_may_send_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < CPN_COUNT(directions); i++)
        for (int from = CPN_ROLE_NONE; from <= CPN_ROLE_FRONT; from++)
            for (int to = CPN_ROLE_NONE; to <= CPN_ROLE_FRONT; to++) {
                bool want = from == (int)directions[i].from && to == (int)directions[i].to;
                assert_int_equal(
                    cpn_msg_permitted(directions[i].type, (cpn_role)from, (cpn_role)to), want);
                /* The star has control in its middle: nothing goes from a front to keeper. */
                assert_false(want && from == CPN_ROLE_FRONT && to == CPN_ROLE_KEEPER);
            }
    assert_false(cpn_msg_permitted(CPN_MSG_NONE, CPN_ROLE_FRONT, CPN_ROLE_CONTROL));
    assert_false(cpn_msg_permitted((cpn_msg_type)9999, CPN_ROLE_FRONT, CPN_ROLE_CONTROL));
}

static void
numbers_are_unique(void **state)
{
    (void)state;
    for (size_t i = 0; i < CPN_COUNT(directions); i++)
        for (size_t k = 0; k < i; k++)
            assert_int_not_equal(directions[i].type, directions[k].type);
}

static void
every_message_comes_back(void **state)
{
    uint8_t p[CPN_IPC_PACKET_MAX], again[CPN_IPC_PACKET_MAX];
    cpn_msg m;
    cpn_err err = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof(sample); i++)
        sample[i] = (uint8_t)(i * 7);
    for (size_t i = 0; i < CPN_COUNT(samples); i++) {
        size_t n = encoded(&samples[i], p);
        if (cpn_msg_decode(&m, (cpn_view){ p, n }, &err) != CPN_OK)
            fail_msg("%s", err.msg);
        assert_int_equal(m.type, samples[i].type);
        assert_int_equal(encoded(&m, again), n);
        assert_memory_equal(p, again, n);
    }
}

static void
our_own_bounds_hold(void **state)
{
    cpn_msg m = { .type = CPN_MSG_OPEN, .OPEN = { .target = { sample, 2049 } } };
    uint8_t p[CPN_IPC_PACKET_MAX];
    size_t n = 0;

    (void)state;
    assert_int_equal(cpn_msg_encode(&m, p, sizeof(p), &n, NULL), CPN_E_PROTO);
    m.OPEN.target.n = 2048;
    assert_int_equal(cpn_msg_encode(&m, p, 100, &n, NULL), CPN_E_PROTO);
    m.type = (cpn_msg_type)9999;
    assert_int_equal(n, 0);
    assert_string_equal(cpn_msg_name(m.type), "?");
    assert_string_equal(cpn_msg_name(CPN_MSG_OPEN), "OPEN");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_lengths_are_refused), cmocka_unit_test(wrong_packets_are_refused),
        cmocka_unit_test(nobody_else_may_send_it),   cmocka_unit_test(numbers_are_unique),
        cmocka_unit_test(every_message_comes_back),  cmocka_unit_test(our_own_bounds_hold),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
