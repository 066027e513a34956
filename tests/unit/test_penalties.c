/* What wrong secrets cost: who has to wait, how long, and what nobody can push out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "config/config.h"
#include "control/penalties.h"
#include "control/sketch.h"

#define NOW 1000

static const cpn_addr quiet = { { [10] = 0xff, 0xff, 192, 0, 2, 1 } };

static cpn_penalties *
made(unsigned sources)
{
    cpn_config set;

    cpn_config_defaults(&set);
    set.penalty_sources = sources;
    return cpn_penalties_new(&set);
}

static cpn_addr
v4(unsigned i)
{
    return (cpn_addr){ { [10] = 0xff, 0xff, 10, 0, (uint8_t)(i >> 8), (uint8_t)i } };
}

static void
wrong_from(cpn_penalties *p, cpn_addr source, cpn_penalty_kind kind)
{
    cpn_penalty_source_at(p, &source, kind, NOW);
}

static void
wrong_passwords(cpn_penalties *p, const char *name, unsigned n)
{
    while (n--)
        cpn_penalty_name_at(p, name, NOW);
}

static unsigned
name_wait(cpn_penalties *p, const char *name, uint64_t now_ms)
{
    return cpn_penalty_wait_at(p, &quiet, name, now_ms);
}

/* ---- names ---- */

static void
a_name_has_to_wait_from_the_fifteenth_on(void **state)
{
    cpn_penalties *p = made(16);

    (void)state;
    wrong_passwords(p, "Ada@example.test", 15);
    assert_int_equal(name_wait(p, "ada@example.test", NOW), 1);
    assert_int_equal(name_wait(p, "ADA@example.test", NOW), 1);
    wrong_passwords(p, "ada@example.test", 1000);
    assert_int_equal(name_wait(p, "ada@example.test", NOW), 600 - 15 + 1); /* the cap */
    assert_int_equal(name_wait(p, "ada@example.test", NOW + 585 * 1000), 1);
    assert_int_equal(name_wait(p, "ada@example.test", NOW + 585 * 1000 + 1), 0);
    wrong_passwords(p, "bob@example.test", 14);
    assert_int_equal(name_wait(p, "bob@example.test", NOW), 0);
    assert_int_equal(cpn_penalty_wait_at(p, &quiet, NULL, NOW), 0);
    cpn_penalties_free(p);
}

/* Three times as many as there are cells, and as many sources as the table holds. */
static void
no_other_name_and_no_source_gives_a_name_another_try(void **state)
{
    cpn_penalties *p = made(16);
    char other[32];

    (void)state;
    wrong_passwords(p, "ada@example.test", 60);
    for (unsigned i = 0; i < 3 * CPN_SKETCH_CELLS; i++) {
        snprintf(other, sizeof(other), "other-%u", i);
        cpn_penalty_name_at(p, other, NOW);
    }
    for (unsigned i = 0; i < 100; i++)
        wrong_from(p, v4(i), CPN_PENALTY_TOKEN);
    assert_int_equal(cpn_penalties_sources(p), 16);
    assert_true(name_wait(p, "ada@example.test", NOW) >= 60 - 15 + 1);
    cpn_penalties_free(p);
}

static void
names_that_nobody_tried_do_not_wait(void **state)
{
    cpn_penalties *p = made(16);
    char name[32];

    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        snprintf(name, sizeof(name), "tried-%u", i);
        wrong_passwords(p, name, 15);
        assert_true(name_wait(p, name, NOW) > 0);
    }
    for (unsigned i = 0; i < 10000; i++) { /* one of them has to wait in one run of a million */
        snprintf(name, sizeof(name), "quiet-%u", i);
        assert_int_equal(name_wait(p, name, NOW), 0);
    }
    cpn_penalties_free(p);
}

/* 16,384 names of 65,536 cells: (1/4)^4 of the others at most, and 39 of ten thousand. */
static void
a_sketch_errs_no_more_often_than_it_says(void **state)
{
    cpn_sketch *s = cpn_sketch_new();
    char name[32];
    unsigned wrong = 0;

    (void)state;
    for (unsigned i = 0; i < CPN_SKETCH_CELLS / 4; i++) {
        snprintf(name, sizeof(name), "tried-%u", i);
        cpn_sketch_add(s, cpn_view_str(name), 1000, 60000, NOW);
        assert_true(cpn_sketch_until(s, cpn_view_str(name)) >= NOW + 1000);
    }
    for (unsigned i = 0; i < 10000; i++) {
        snprintf(name, sizeof(name), "quiet-%u", i);
        wrong += cpn_sketch_until(s, cpn_view_str(name)) > NOW;
    }
    assert_true(wrong < 100);
    cpn_sketch_free(s);
}

/* Else whoever reads this could look for names that share another's cells. */
static void
two_sketches_share_no_cells(void **state)
{
    cpn_sketch *a = cpn_sketch_new(), *b = cpn_sketch_new();
    char name[32];
    unsigned held = 0, same = 0;

    (void)state;
    for (unsigned i = 0; i < CPN_SKETCH_CELLS; i++) {
        snprintf(name, sizeof(name), "name-%u", i);
        cpn_sketch_add(a, cpn_view_str(name), i + 1, UINT32_MAX, 0);
        cpn_sketch_add(b, cpn_view_str(name), i + 1, UINT32_MAX, 0);
    }
    for (unsigned i = 0; i < CPN_SKETCH_CELLS; i++) {
        uint64_t at;

        snprintf(name, sizeof(name), "quiet-%u", i);
        at = cpn_sketch_until(a, cpn_view_str(name));
        held += at != 0;
        same += at != 0 && at == cpn_sketch_until(b, cpn_view_str(name));
    }
    assert_true(held > 1000); /* some 16 in a hundred */
    assert_true(same < held / 100);
    cpn_sketch_free(a);
    cpn_sketch_free(b);
}

/* ---- sources ---- */

static void
a_source_has_to_wait_and_makes_room(void **state)
{
    cpn_penalties *p = made(4);
    cpn_addr a = v4(1);

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(cpn_penalty_wait_at(p, &a, NULL, NOW), 0);
        wrong_from(p, a, CPN_PENALTY_SECRET);
    }
    assert_int_equal(cpn_penalty_wait_at(p, &a, NULL, NOW), 1); /* 15 s: the threshold */
    assert_int_equal(cpn_penalty_wait_at(p, &a, NULL, NOW + 1000), 0);
    for (unsigned i = 0; i < 1000; i++)
        wrong_from(p, a, CPN_PENALTY_SECRET);
    assert_int_equal(cpn_penalty_wait_at(p, &a, NULL, NOW), 600 - 15 + 1); /* the cap */
    for (unsigned i = 2; i < 5; i++)
        wrong_from(p, v4(i), CPN_PENALTY_SECRET);
    assert_true(cpn_penalty_wait_at(p, &a, NULL, NOW) > 0); /* four */
    wrong_from(p, v4(5), CPN_PENALTY_SECRET);
    assert_int_equal(cpn_penalties_sources(p), 4);
    assert_int_equal(cpn_penalty_wait_at(p, &a, NULL, NOW), 0); /* five */
    cpn_penalties_free(p);
}

static void
a_v6_source_is_a_56(void **state)
{
    cpn_addr one = { { 0x20, 1, 0xd, 0xb8, 1, 2, 3, 4 } },
             near = { { 0x20, 1, 0xd, 0xb8, 1, 2, 3, 5 } },
             far = { { 0x20, 1, 0xd, 0xb8, 1, 2, 4, 4 } };
    cpn_penalties *p = made(16);

    (void)state;
    for (unsigned i = 0; i < 4; i++)
        wrong_from(p, one, CPN_PENALTY_SECRET);
    assert_true(cpn_penalty_wait_at(p, &near, NULL, NOW) > 0);
    assert_int_equal(cpn_penalty_wait_at(p, &far, NULL, NOW), 0);
    cpn_penalties_free(p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_has_to_wait_from_the_fifteenth_on),
        cmocka_unit_test(no_other_name_and_no_source_gives_a_name_another_try),
        cmocka_unit_test(names_that_nobody_tried_do_not_wait),
        cmocka_unit_test(a_sketch_errs_no_more_often_than_it_says),
        cmocka_unit_test(two_sketches_share_no_cells),
        cmocka_unit_test(a_source_has_to_wait_and_makes_room),
        cmocka_unit_test(a_v6_source_is_a_56),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
