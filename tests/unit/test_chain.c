/* The audit chain: every one-byte edit, deletion, swap and cut shows; and strict JSON under it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "codec/chain.h"
#include "codec/json.h"

/* ---- JSON ---- */

static void
json_is_refused(void **state)
{
    static const struct {
        const char *why;
        const char *text;
        cpn_rc want;
    } refused[] = {
        { "nothing", "", CPN_INVALID },
        { "space only", " ", CPN_INVALID },
        { "two values", "{} {}", CPN_INVALID },
        { "trailing comma", "[1,]", CPN_INVALID },
        { "comment", "{}//", CPN_INVALID },
        { "a name twice", "{\"a\":1,\"a\":2}", CPN_INVALID },
        { "a name twice, escaped", "{\"a\":1,\"\\u0061\":2}", CPN_INVALID },
        { "NUL escaped", "\"\\u0000\"", CPN_INVALID },
        { "control byte", "\"\n\"", CPN_INVALID },
        { "invalid UTF-8", "\"\xff\"", CPN_INVALID },
        { "overlong UTF-8", "\"\xc0\xaf\"", CPN_INVALID },
        { "lone surrogate", "\"\\ud800\"", CPN_INVALID },
        { "fraction", "1.0", CPN_INVALID },
        { "exponent", "1e3", CPN_INVALID },
        { "leading zero", "01", CPN_INVALID },
        { "plus", "+1", CPN_INVALID },
        { "20 digits", "11111111111111111111", CPN_INVALID },
        { "over 63 bits", "9999999999999999999", CPN_INVALID },
        { "NaN", "NaN", CPN_INVALID },
        { "open string", "\"a", CPN_INVALID },
        { "open escape", "\"\\", CPN_INVALID },
        { "17 deep", "[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", CPN_LIMIT },
        { "too long", "\"0123456789012345678901234567890123456789\"", CPN_LIMIT },
    };
    json_t *j;
    cpn_err err = { 0 };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++) {
        cpn_rc rc = cpn_json_load(&j, cpn_view_str(refused[i].text), 40, 99, &err);
        if (rc != refused[i].want || j)
            fail_msg("%s: got %d", refused[i].why, rc);
    }
    assert_int_equal(cpn_json_load(&j, (cpn_view){ (const uint8_t *)"{}\0", 3 }, 40, 16, NULL),
                     CPN_INVALID);
    assert_int_equal(cpn_json_load_object(&j, cpn_view_str("[]"), 40, 1, NULL), CPN_INVALID);
    assert_int_equal(cpn_json_load_object(&j, cpn_view_str("{\"a\":1,\"b\":2}"), 40, 1, NULL),
                     CPN_LIMIT);
    /* A bracket in a string is no depth; a quote in it may be escaped. */
    assert_int_equal(cpn_json_load(&j, cpn_view_str("[\"[[[\\\"[[\", -12]"), 40, 1, NULL), CPN_OK);
    json_decref(j);
}

static void
members_have_types_and_paths(void **state)
{
    static const char *const names[] = { "s", "n", "b", "o", "l", NULL };
    CPN_AUTO(cpn_json_auto) json_t *j = NULL;
    const char *s = NULL;
    int64_t n = 5;
    bool b = true;
    json_t *o = NULL;
    cpn_err err = { 0 };

    (void)state;
    assert_int_equal(
        cpn_json_load(
            &j, cpn_view_str("{\"s\":\"abc\",\"n\":7,\"b\":false,\"o\":{},\"l\":[1],\"x\":null}"),
            99, 16, &err),
        CPN_OK);
    assert_int_equal(cpn_json_get_str(j, "", "none", 9, &s, &err), CPN_INVALID);
    assert_string_equal(err.msg, "none: expected a string, found nothing");
    assert_int_equal(cpn_json_opt_str(j, "p", "s", 2, &s, &err), CPN_INVALID);
    assert_string_equal(err.msg, "p.s: expected a string of at most 2 bytes");
    assert_int_equal(cpn_json_opt_str(j, "", "x", 9, &s, &err), CPN_INVALID);
    assert_int_equal(cpn_json_get_int(j, "p", "n", (cpn_json_range){ 8, 9 }, &n, &err),
                     CPN_INVALID);
    assert_string_equal(err.msg, "p.n: expected an integer from 8 to 9");
    assert_int_equal(cpn_json_opt_bool(j, "", "n", &b, &err), CPN_INVALID);
    assert_int_equal(cpn_json_opt_array(j, "", "l", 0, &o, &err), CPN_INVALID);
    assert_int_equal(cpn_json_opt_object(j, "", "l", 9, &o, &err), CPN_INVALID);
    assert_int_equal(cpn_json_only(j, "p", names, &err), CPN_INVALID);
    assert_string_equal(err.msg, "p.x: unknown name");
    assert_null(s);
    assert_int_equal(n, 5);
    assert_int_equal(cpn_json_opt_int(j, "", "none", (cpn_json_range){ 8, 9 }, &n, &err), CPN_OK);
    assert_int_equal(n, 5);
    assert_int_equal(cpn_json_get_str(j, "", "s", 3, &s, &err), CPN_OK);
    assert_string_equal(s, "abc");
    assert_int_equal(cpn_json_get_int(j, "", "n", (cpn_json_range){ 0, 9 }, &n, &err), CPN_OK);
    assert_int_equal(n, 7);
    assert_int_equal(cpn_json_opt_bool(j, "", "b", &b, &err), CPN_OK);
    assert_false(b);
}

/* ---- the chain ---- */

#define LINKS 6

typedef struct link {
    char text[512];
    size_t n;
    uint8_t hash[32];
} link_row;

static void
make_chain(link_row rows[LINKS], cpn_chain_head *head)
{
    *head = (cpn_chain_head){ 0 };
    for (int i = 0; i < LINKS; i++) {
        CPN_AUTO(cpn_buf_fini) cpn_buf record = { .max = 500 };
        char body[128];

        snprintf(body, sizeof(body), "{\"a\":true,\"message\":\"\xc3\xa9 \\\"%d\\\"\",\"z\":%d}", i,
                 i);
        assert_int_equal(cpn_chain_link(head, cpn_view_str(body), &record, NULL), CPN_OK);
        assert_true(cpn_view_copy(cpn_buf_view(&record), rows[i].text, sizeof(rows[i].text)));
        rows[i].n = record.n;
        memcpy(rows[i].hash, head->hash, 32);
    }
}

/* The first bad row from 1; LINKS + 1: the rows end before the head; 0: whole. */
static unsigned
first_bad(const link_row *rows, unsigned n, const cpn_chain_head *end)
{
    cpn_chain_head head = { 0 };

    for (unsigned i = 0; i < n; i++)
        if (cpn_chain_check(&head, (cpn_view){ (const uint8_t *)rows[i].text, rows[i].n },
                            rows[i].hash, NULL) != CPN_OK)
            return i + 1;
    return head.seq == end->seq && memcmp(head.hash, end->hash, 32) == 0 ? 0 : LINKS + 1;
}

static void
every_edit_shows(void **state)
{
    link_row rows[LINKS], edited[LINKS];
    cpn_chain_head end;

    (void)state;
    make_chain(rows, &end);
    assert_int_equal(first_bad(rows, LINKS, &end), 0);
    for (unsigned r = 0; r < LINKS; r++) {
        for (size_t at = 0; at < rows[r].n + 32; at++) { /* each byte of the text and the hash */
            memcpy(edited, rows, sizeof(rows));
            if (at < rows[r].n)
                edited[r].text[at] = (char)(edited[r].text[at] ^ 1);
            else
                edited[r].hash[at - rows[r].n] ^= 0x80;
            assert_int_equal(first_bad(edited, LINKS, &end), r + 1);
        }
        memcpy(edited, rows, sizeof(rows)); /* deleted */
        memmove(&edited[r], &edited[r + 1], (LINKS - r - 1) * sizeof(rows[0]));
        assert_int_equal(first_bad(edited, LINKS - 1, &end), r == LINKS - 1 ? LINKS + 1 : r + 1);
        assert_int_equal(first_bad(rows, r, &end), LINKS + 1); /* tail cut */
        for (unsigned o = r + 1; o < LINKS; o++) {             /* swapped */
            memcpy(edited, rows, sizeof(rows));
            edited[r] = rows[o];
            edited[o] = rows[r];
            assert_int_equal(first_bad(edited, LINKS, &end), r + 1);
        }
        memcpy(edited, rows, sizeof(rows)); /* edited and hashed anew, the rest as it was */
        edited[r].text[rows[r].n - 4] ^= 1;
        cpn_sha256((cpn_view){ (uint8_t *)edited[r].text, rows[r].n }, edited[r].hash);
        assert_int_not_equal(first_bad(edited, LINKS, &end), 0);
    }
}

#define ZEROS "00000000000000000000000000000000"
#define FIRST_PREV "\"prev\":\"" ZEROS ZEROS "\""
#define FIRST_SEQ "\"seq\":1"

static void
records_have_one_form(void **state)
{
    static const struct {
        const char *body, *want;
    } placed[] = {
        { "{}", "{" FIRST_PREV "," FIRST_SEQ "}" },
        { "{\"\":0}", "{\"\":0," FIRST_PREV "," FIRST_SEQ "}" },
        { "{\"a\":-1,\"b\":\"\\t\\u001F/\\\\\"}",
          "{\"a\":-1,\"b\":\"\\t\\u001F/\\\\\"," FIRST_PREV "," FIRST_SEQ "}" },
        { "{\"pre\":true,\"prevs\":null}",
          "{\"pre\":true," FIRST_PREV ",\"prevs\":null," FIRST_SEQ "}" },
        { "{\"z\":\"\"}", "{" FIRST_PREV "," FIRST_SEQ ",\"z\":\"\"}" },
        { "{\"a\":0,\"r\":9223372036854775807,\"se\":false,\"seqs\":1}",
          "{\"a\":0," FIRST_PREV ",\"r\":9223372036854775807,\"se\":false," FIRST_SEQ
          ",\"seqs\":1}" },
    };
    static const char *const refused[] = {
        "",
        "1",
        "[]",
        "{",
        "{}}",
        "{} ",
        " {}",
        "{} x",
        /* what the chain adds */
        "{\"seq\":1}",
        "{\"prev\":\"\"}",
        "{\"hash\":null}",
        "{\"a\":1,\"seq\":1,\"z\":1}",
        /* another spelling */
        "{\"a\": 1}",
        "{\"a\":1, \"b\":1}",
        "{\"a\":1,}",
        "{,\"a\":1}",
        "{\"a\":1\"b\":1}",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "{\"\\u0061\":1}",
        "{\"a\":\"\\u0061\"}",
        "{\"a\":\"\\u001f\"}",
        "{\"a\":\"\\u0009\"}",
        "{\"a\":\"\\u000A\"}",
        "{\"a\":\"\\u0000\"}",
        "{\"a\":\"\\/\"}",
        "{\"a\":\"\\\"}",
        "{\"a\":\"\t\"}",
        "{\"a\":\"\xff\"}",
        "{\"a\":01}",
        "{\"a\":-0}",
        "{\"a\":-}",
        "{\"a\":0.1}",
        "{\"a\":1e3}",
        "{\"a\":9223372036854775808}",
        "{\"a\":True}",
        /* another order, twice, nested */
        "{\"b\":1,\"a\":1}",
        "{\"a\":1,\"a\":1}",
        "{\"a\":{}}",
        "{\"a\":[]}",
    };
    CPN_AUTO(cpn_buf_fini) cpn_buf record = { .max = 1000 };
    CPN_AUTO(cpn_buf_fini) cpn_buf small = { .max = 20 };
    cpn_chain_head head = { 0 }, zero = { 0 }, zero_head = { 0 };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++)
        assert_int_equal(cpn_chain_link(&head, cpn_view_str(refused[i]), &record, NULL),
                         CPN_INVALID);
    assert_int_equal(cpn_chain_link(&head, CPN_VIEW_LIT("{}"), &small, NULL), CPN_LIMIT);
    assert_memory_equal(&head, &zero, sizeof(head));
    assert_int_equal(record.n + small.n, 0);
    for (size_t i = 0; i < CPN_COUNT(placed); i++) {
        head = zero;
        record.n = 0;
        assert_int_equal(cpn_chain_link(&head, cpn_view_str(placed[i].body), &record, NULL),
                         CPN_OK);
        assert_true(cpn_view_is(cpn_buf_view(&record), placed[i].want));
        assert_int_equal(cpn_chain_check(&zero_head, cpn_buf_view(&record), head.hash, NULL),
                         CPN_OK);
        zero_head = zero;
    }
}

static void
an_export_is_checked_alike(void **state)
{
    link_row rows[LINKS];
    cpn_chain_head end, head = { 0 };
    char text[1024], hex[65];
    cpn_err err = { 0 };

    (void)state;
    make_chain(rows, &end);
    assert_int_equal(cpn_chain_check_export(&head, cpn_view_str(rows[0].text), &err), CPN_INVALID);
    assert_string_equal(err.msg, "it has no hash");
    for (int i = 0; i < LINKS; i++) {
        assert_true(cpn_hex_encode((cpn_view){ rows[i].hash, 32 }, hex, sizeof(hex)));
        snprintf(text, sizeof(text), "{ \"hash\": \"%s\" ,%s", hex, rows[i].text + 1);
        assert_int_equal(cpn_chain_check_export(&head, cpn_view_str(text), &err), CPN_OK);
    }
    assert_memory_equal(&head, &end, sizeof(head));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_is_refused),
        cmocka_unit_test(members_have_types_and_paths),
        cmocka_unit_test(every_edit_shows),
        cmocka_unit_test(records_have_one_form),
        cmocka_unit_test(an_export_is_checked_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
