/* net/tls: what is not trusted, how connections end, many records in one piece, what is held. */
#include "nettest.h"

typedef struct side {
    bool ready;
    bool ended;
    bool room;
    cpn_tls_end why;
    char text[512];
    size_t got;
    size_t pieces;
    size_t most;
    size_t leave;
    size_t unit;    /* takes whole ones only; 0: bytes */
    size_t at_once; /* so many units, then it pauses; 0: all */
    bool freed;
} side;

static void
on_ready(void *owner, cpn_tls *t)
{
    (void)t;
    ((side *)owner)->ready = true;
}

static size_t
on_bytes(void *owner, cpn_tls *t, uint8_t *p, size_t n)
{
    side *s = owner;
    size_t used = n - CPN_MIN(n, s->leave);

    if (s->unit > 0)
        used -= used % s->unit;
    if (s->at_once > 0) {
        used = CPN_MIN(used, s->at_once * s->unit);
        cpn_tls_pause(t, used > 0);
    }
    for (size_t i = 0; i < used; i++)
        assert_int_equal(p[i], (uint8_t)((s->got + i) % 251));
    s->got += used;
    s->pieces++;
    s->most = CPN_MAX(s->most, n);
    return used;
}

static void
on_room(void *owner, cpn_tls *t)
{
    (void)t;
    ((side *)owner)->room = true;
}

static void
on_end(void *owner, cpn_tls *t, cpn_tls_end why, const cpn_err *err)
{
    side *s = owner;

    (void)t;
    assert_false(s->ended);
    s->ended = true;
    s->why = why;
    snprintf(s->text, sizeof(s->text), "%s", err->msg);
}

static const cpn_tls_events events = { on_ready, on_bytes, on_room, on_end };

static void
pair(nettest *nt, const char *name, cpn_tls *t[2], side s[2])
{
    memset(s, 0, 2 * sizeof(*s));
    nettest_tls(nt, &t[0], &t[1], name);
    cpn_tls_set_owner(t[0], &events, &s[0]);
    cpn_tls_set_owner(t[1], &events, &s[1]);
}

static void
other_names_are_not_trusted(void **state)
{
    static const char *const names[] = { "other.test", "127.0.0.2", "sub.gate.test" };
    nettest nt;
    cpn_tls *t[2];
    side s[2];

    (void)state;
    nettest_start(&nt);
    for (size_t i = 0; i < CPN_COUNT(names); i++) {
        pair(&nt, names[i], t, s);
        nettest_until(&nt, &s[1].ended);
        assert_int_equal(s[1].why, CPN_TLS_END_FAILED);
        assert_non_null(strstr(s[1].text, "mismatch"));
        assert_false(s[1].ready);
        nettest_until(&nt, &s[0].ended);
        cpn_tls_free(t[0]);
        cpn_tls_free(t[1]);
    }
    nettest_stop(&nt);
}

static void
unknown_issuers_are_not_trusted(void **state)
{
    nettest nt;
    cpn_tls *t[2];
    side s[2];
    cpn_tls_trust trust = { .dir = "/nonexistent" };
    cpn_err err = { 0 };

    (void)state;
    nettest_start(&nt);
    cpn_tls_ctx_free(nt.client);
    assert_int_equal(cpn_tls_ctx_client(&nt.client, &trust, 0, &err), CPN_OK);
    pair(&nt, "gate.test", t, s);
    nettest_until(&nt, &s[1].ended);
    assert_int_equal(s[1].why, CPN_TLS_END_FAILED);
    assert_non_null(strstr(s[1].text, "not trusted: self-signed certificate"));
    cpn_tls_free(t[0]);
    cpn_tls_free(t[1]);
    nettest_stop(&nt);
}

static void
keys_must_fit(void **state)
{
    nettest nt, other;
    cpn_tls_ctx *ctx = NULL;
    cpn_err err = { 0 };

    (void)state;
    nettest_start(&nt);
    nettest_pem(&other, "x");
    assert_int_equal(
        cpn_tls_ctx_server(&ctx, cpn_view_str(nt.cert), cpn_view_str(other.key), 0, &err),
        CPN_E_CONF);
    assert_non_null(strstr(err.msg, "does not belong"));
    assert_int_equal(cpn_tls_ctx_server(&ctx, cpn_view_str("x"), cpn_view_str(nt.key), 0, &err),
                     CPN_E_CONF);
    assert_int_equal(cpn_tls_ctx_server(&ctx, cpn_view_str(nt.cert), cpn_view_str("x"), 0, &err),
                     CPN_E_CONF);
    assert_null(ctx);
    nettest_stop(&nt);
}

static void
garbage_ends_the_handshake(void **state)
{
    nettest nt;
    cpn_tls *t;
    side s = { 0 };
    cpn_err err = { 0 };
    cpn_tls_opts opts;
    int fd[2];

    (void)state;
    nettest_start(&nt);
    opts = (cpn_tls_opts){ .ctx = nt.server, .events = &events, .owner = &s };
    nettest_sockets(fd);
    assert_int_equal(cpn_tls_new(&t, nt.loop, fd[0], &opts, &err), CPN_OK);
    assert_int_equal(write(fd[1], "GET / HTTP/1.1\r\n\r\n", 18), 18);
    nettest_until(&nt, &s.ended);
    assert_int_equal(s.why, CPN_TLS_END_FAILED);
    cpn_tls_free(t);
    close(fd[1]);
    nettest_stop(&nt);
}

static void
silence_ends_the_handshake(void **state)
{
    nettest nt;
    cpn_tls *t;
    side s = { 0 };
    cpn_err err = { 0 };
    cpn_tls_opts opts;
    int fd[2];

    (void)state;
    nettest_start(&nt);
    opts = (cpn_tls_opts){ .ctx = nt.server, .events = &events, .owner = &s, .handshake_ms = 10 };
    nettest_sockets(fd);
    assert_int_equal(cpn_tls_new(&t, nt.loop, fd[0], &opts, &err), CPN_OK);
    nettest_until(&nt, &s.ended);
    assert_int_equal(s.why, CPN_TLS_END_TIMEOUT);
    cpn_tls_free(t);
    close(fd[1]);
    nettest_stop(&nt);
}

static void
handshake(nettest *nt, cpn_tls *t[2], side s[2])
{
    pair(nt, "gate.test", t, s);
    nettest_until(nt, &s[0].ready);
    nettest_until(nt, &s[1].ready);
}

static void
ends_are_told_apart(void **state)
{
    nettest nt;
    cpn_tls *t[2];
    side s[2];
    uint8_t a[32], b[32];

    (void)state;
    nettest_start(&nt);
    handshake(&nt, t, s);
    assert_string_equal(cpn_tls_version(t[0]), "TLSv1.3");
    assert_true(cpn_tls_exporter(t[0], a) && cpn_tls_exporter(t[1], b));
    assert_memory_equal(a, b, 32);
    cpn_tls_shutdown(t[1]);
    nettest_until(&nt, &s[0].ended);
    assert_int_equal(s[0].why, CPN_TLS_END_CLOSED);
    /* The other direction still works. */
    assert_int_equal(cpn_tls_write(t[0], (const uint8_t *)"\0\1\2", 3), CPN_OK);
    cpn_tls_shutdown(t[0]);
    nettest_until(&nt, &s[1].ended);
    assert_int_equal(s[1].why, CPN_TLS_END_CLOSED);
    assert_int_equal(s[1].got, 3);
    cpn_tls_free(t[0]);
    cpn_tls_free(t[1]);

    handshake(&nt, t, s);
    shutdown(cpn_tls_fd(t[1]), SHUT_RDWR);
    nettest_until(&nt, &s[0].ended);
    assert_int_equal(s[0].why, CPN_TLS_END_TRUNCATED);
    cpn_tls_free(t[0]);
    cpn_tls_free(t[1]);
    nettest_stop(&nt);
}

static uint8_t pattern[1u << 20];

static void
many_records_come_in_one_piece(void **state)
{
    nettest nt;
    cpn_tls *t[2];
    side s[2];
    size_t sent = 0, total = 251u * 16384;

    (void)state;
    for (size_t i = 0; i < sizeof(pattern); i++)
        pattern[i] = (uint8_t)(i % 251);
    nettest_start(&nt);
    handshake(&nt, t, s);
    assert_int_equal(nt.quota.used, 0);
    while (s[1].got < total) {
        size_t room = CPN_MIN(cpn_tls_room(t[0]), total - sent);

        for (; room > 0 && sent < total; room -= CPN_MIN(room, CPN_TLS_RECORD)) {
            size_t n = CPN_MIN(room, CPN_TLS_RECORD);

            assert_int_equal(cpn_tls_write(t[0], pattern + sent % 251, n), CPN_OK);
            sent += n;
        }
        uv_run(&nt.uv, UV_RUN_ONCE);
    }
    assert_int_equal(s[1].got, total);
    assert_true(s[1].most >= 3 * CPN_TLS_RECORD);
    assert_int_equal(nt.quota.used, 0);
    cpn_tls_free(t[0]);
    cpn_tls_free(t[1]);
    nettest_stop(&nt);
}

/* Repeatable, and as good as any for sizes. */
static size_t
any(uint32_t *seed, size_t most)
{
    *seed = *seed * 1664525u + 1013904223u;
    return 1 + (*seed >> 8) % most;
}

/* Write records of any size while there is room, at most `total` bytes in all. */
static void
write_some(cpn_tls *t, uint32_t *seed, size_t *sent, size_t total)
{
    size_t room;

    while (*sent < total && (room = cpn_tls_room(t)) > 0) {
        size_t n = CPN_MIN(CPN_MIN(any(seed, CPN_TLS_RECORD), room), total - *sent);

        assert_int_equal(cpn_tls_write(t, pattern + *sent % 251, n), CPN_OK);
        *sent += n;
    }
}

/* Records of any size to an owner that takes messages of any size, whole ones only, with and
 * without memory to spare: nothing is lost, overwritten or stands still. */
static void
sizes_do_not_matter(void **state)
{
    nettest nt;
    cpn_tls *t[2];
    side s[2];

    (void)state;
    nettest_start(&nt);
    for (uint32_t round = 0; round < 60; round++) {
        uint32_t seed = round;
        size_t least = round % 4 ? 0 : 51200, sent = 0; /* more than what one small block leaves */
        size_t unit = least + any(&seed, 65536 - least), total = 40 * unit;

        nt.quota.max = round % 2 ? 64u << 20 : 1; /* tight: the smallest reads */
        handshake(&nt, t, s);
        s[1].unit = unit;
        for (unsigned turns = 0; s[1].got < total; turns++) {
            write_some(t[0], &seed, &sent, total);
            nettest_turns(&nt, 1);
            if (turns > 100000 || s[1].ended)
                fail_msg("round %u: %zu of %zu bytes by %zu: %s", round, s[1].got, total, unit,
                         s[1].text);
        }
        cpn_tls_free(t[0]);
        cpn_tls_free(t[1]);
        nettest_turns(&nt, 4);
        assert_int_equal(nt.quota.used, 0);
    }
    nettest_stop(&nt);
}

/* An owner that stops again each time, as HTTP does for every request of a pipeline: what comes
 * meanwhile is bounded, and it is not a fault. */
static void
who_stops_again_each_time_is_not_flooded(void **state)
{
    nettest nt;
    cpn_tls *t[2];
    side s[2];
    size_t sent = 0, total = 4u << 20;
    uint32_t seed = 7;

    (void)state;
    nettest_start(&nt);
    handshake(&nt, t, s);
    s[1].unit = 100;
    s[1].at_once = 1;
    for (int i = 0; i < 400; i++) {
        write_some(t[0], &seed, &sent, total);
        cpn_tls_pause(t[1], false);
        nettest_turns(&nt, 1);
        assert_true(s[1].most <= CPN_TLS_UNCONSUMED + CPN_TLS_GATHER);
    }
    assert_false(s[1].ended);
    assert_true(s[1].most > CPN_TLS_UNCONSUMED);
    s[1].unit = 1;
    s[1].at_once = 0;
    while (s[1].got < total) {
        write_some(t[0], &seed, &sent, total);
        cpn_tls_pause(t[1], false);
        nettest_turns(&nt, 1);
        assert_false(s[1].ended);
    }
    cpn_tls_free(t[0]);
    cpn_tls_free(t[1]);
    nettest_stop(&nt);
}

static void
what_the_owner_leaves_comes_again(void **state)
{
    nettest nt;
    cpn_tls *t[2];
    side s[2], next = { 0 };

    (void)state;
    nettest_start(&nt);
    handshake(&nt, t, s);
    s[1].leave = 5;
    assert_int_equal(cpn_tls_write(t[0], pattern, 100), CPN_OK);
    while (s[1].got < 95)
        uv_run(&nt.uv, UV_RUN_ONCE);
    assert_true(nt.quota.used > 0);
    next.got = 95;
    cpn_tls_pause(t[1], true);
    cpn_tls_set_owner(t[1], &events, &next);
    nettest_turns(&nt, 4);
    assert_int_equal(next.got, 95);
    cpn_tls_pause(t[1], false);
    nettest_turns(&nt, 4);
    assert_int_equal(next.got, 100);
    assert_int_equal(nt.quota.used, 0);
    cpn_tls_free(t[0]);
    cpn_tls_free(t[1]);
    nettest_stop(&nt);
}

static void
a_hoarding_owner_is_ended(void **state)
{
    nettest nt;
    cpn_tls *t[2];
    side s[2];

    (void)state;
    nettest_start(&nt);
    handshake(&nt, t, s);
    s[1].leave = SIZE_MAX;
    assert_int_equal(
        cpn_tls_write_all(t[0], (cpn_view){ pattern, CPN_TLS_UNCONSUMED + 16384 }, 1u << 20),
        CPN_OK);
    nettest_until(&nt, &s[1].ended);
    assert_int_equal(s[1].why, CPN_TLS_END_FAILED);
    cpn_tls_free(t[0]);
    cpn_tls_free(t[1]);
    nettest_stop(&nt);
}

static void
long_answers_wait_for_room(void **state)
{
    nettest nt;
    cpn_tls *t[2];
    side s[2];

    (void)state;
    nettest_start(&nt);
    handshake(&nt, t, s);
    cpn_tls_pause(t[1], true);
    assert_int_equal(cpn_tls_write_all(t[0], (cpn_view){ pattern, sizeof(pattern) }, 100),
                     CPN_LIMIT);
    assert_int_equal(
        cpn_tls_write_all(t[0], (cpn_view){ pattern, sizeof(pattern) }, sizeof(pattern)), CPN_OK);
    cpn_tls_shutdown(t[0]);
    nettest_turns(&nt, 20);
    assert_true(cpn_tls_unsent(t[0]) > 0);
    assert_int_equal(cpn_tls_room(t[0]), 0);
    assert_true(nt.quota.used <= CPN_BLOCK_LARGE);
    cpn_tls_pause(t[1], false);
    nettest_until(&nt, &s[1].ended);
    assert_int_equal(s[1].why, CPN_TLS_END_CLOSED);
    assert_int_equal(s[1].got, sizeof(pattern));
    assert_int_equal(cpn_tls_unsent(t[0]), 0);
    cpn_tls_free(t[0]);
    cpn_tls_free(t[1]);
    nettest_stop(&nt);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_names_are_not_trusted),
        cmocka_unit_test(unknown_issuers_are_not_trusted),
        cmocka_unit_test(keys_must_fit),
        cmocka_unit_test(garbage_ends_the_handshake),
        cmocka_unit_test(silence_ends_the_handshake),
        cmocka_unit_test(ends_are_told_apart),
        cmocka_unit_test(many_records_come_in_one_piece),
        cmocka_unit_test(sizes_do_not_matter),
        cmocka_unit_test(who_stops_again_each_time_is_not_flooded),
        cmocka_unit_test(what_the_owner_leaves_comes_again),
        cmocka_unit_test(a_hoarding_owner_is_ended),
        cmocka_unit_test(long_answers_wait_for_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
