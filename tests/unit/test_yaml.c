/* codec/yaml: what is refused, with its place; then what is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codec/yaml.h"

static const struct {
    const char *text;
    const char *says; /* in its first error */
} refused[] = {
    { "", "f:1:1: the file is empty" },
    { "\n\n# only a comment\n", "the file is empty" },
    { "---\n...\n---\n", "f:3:1: a second document" },
    { "a: 1\n---\nb: 2\n", "f:2:1: a second document" },
    { "%YAML 1.1\n---\na: 1\n", "directives" },
    { "%TAG ! tag:x,2000:\n---\na: 1\n", "directives" },
    { "a: &x 1\nb: *x\n", "f:1:4: anchors and tags" },
    { "a: *x\n", "f:1:4: aliases" },
    { "a: !!int 1\n", "f:1:4: anchors and tags" },
    { "a: !local 1\n", "anchors and tags" },
    { "a: ! 1\n", "anchors and tags" },
    { "a: &l [1]\n", "anchors and tags" },
    { "a: &m {b: 1}\n", "anchors and tags" },
    { "&k a: 1\n", "anchors and tags" },
    { "a: 1\nb: 2\na: 3\n", "f:3:4: a: this key stands twice (first in line 1)" },
    { "m:\n  x: 1\n  x: 1\n", "f:3:6: m.x: this key stands twice" },
    { "{a: 1, \"a\": 2}", "this key stands twice" },
    { "? [a]\n: 1\n", "a key must be a plain word" },
    { "? {a: b}\n: 1\n", "a key must be a plain word" },
    { "\"\": 1\n", "a key has 1 to 128 bytes" },
    { "\xef\xbb\xbf"
      "a: 1\n",
      "byte order mark" },
    { "\xff\xfe"
      "a\0",
      "byte order mark" },
    { "a: \xff\xfe\n", "f:" },
    { "a: \xc0\x80\n", "f:" },
    { "a: \x01\n", "f:" },
    { "a: \"\\0\"\n", "NUL" },
    { "a: [1, 2\n", "f:" },
    { "a: {b: 1\n", "f:" },
    { "a: \"unfinished\n", "f:" },
    { "a: b: c\n", "f:1:5" },
    { "a:\n\t- 1\n", "f:2:1" },
    { "a: 1\n b: 2\n", "f:2:" },
    { "- 1\nb: 2\n", "f:2:1" },
    { "[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", "nested too deeply" },
    { "a: |\n  x\n y\nb\n", "f:" },
    { "@a: 1\n", "f:1:1" },
    { "`a: 1\n", "f:1:1" },
};

static void
expect(const cpn_yaml_errors *e, const char *says, const char *about)
{
    if (e->n == 0 || !strstr(e->line[0], says))
        fail_msg("%s: said '%s', expected '%s'", about, e->n ? e->line[0] : "nothing", says);
}

static void
files_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++) {
        cpn_yaml *y = NULL;
        cpn_yaml_errors e = { .file = "f" };
        cpn_rc rc = cpn_yaml_parse(&y, cpn_view_str(refused[i].text), 4096, &e);
        if (rc != CPN_INVALID)
            fail_msg("taken: %s", refused[i].text);
        expect(&e, refused[i].says, refused[i].text);
        cpn_yaml_errors_fini(&e);
    }
}

static void
a_file_of_no_bytes_is_empty(void **state)
{
    cpn_yaml *y = NULL;
    cpn_yaml_errors e = { .file = "f" };

    (void)state;
    assert_int_equal(cpn_yaml_parse(&y, (cpn_view){ 0 }, 4096, &e), CPN_INVALID);
    expect(&e, "f:1:1: the file is empty", "no bytes");
    cpn_yaml_errors_fini(&e);
}

static cpn_yaml *
parsed(const char *text)
{
    cpn_yaml_errors e = { .file = "f" };
    cpn_yaml *y = NULL;

    if (cpn_yaml_parse(&y, cpn_view_str(text), 1 << 20, &e) != CPN_OK)
        fail_msg("%s", e.line[0]);
    return y;
}

static void
values_are_refused(void **state)
{
    static const char *const bools[] = { "flase", "True",     "TRUE",      "yes", "on",
                                         "1",     "\"true\"", "'false'",   "",    "~",
                                         "null",  "[true]",   "{true: 1}", "t" };
    static const char *const numbers[] = {
        "022", "0x16",   "1_000", "+1",    "-1",
        "1.0", "1e3",    "0o17",  "\"1\"", "",
        "~",   "1 2",    "1a",    "65536", "18446744073709551616",
        "[1]", "{a: 1}", "0b1",   "1:30"
    };
    static const char *const strings[] = { "", "~", "null", "Null", "NULL", "[a]", "{a: b}" };
    cpn_yaml_errors e = { .file = "f" };
    char text[128];

    (void)state;
#define EACH(list, read)                                                                           \
    for (size_t i = 0; i < CPN_COUNT(list); i++) {                                                 \
        snprintf(text, sizeof(text), "top:\n  - a: %s\n", (list)[i]);                              \
        cpn_yaml *y = parsed(text);                                                                \
        const cpn_yaml_node *n = cpn_yaml_get(cpn_yaml_get(cpn_yaml_root(y), "top")->child, "a");  \
        if ((read) != CPN_INVALID)                                                                 \
            fail_msg("taken: %s", text);                                                           \
        expect(&e, "top[0].a: ", text);                                                            \
        expect(&e, "(expected ", text);                                                            \
        expect(&e, "f:2:", text);                                                                  \
        cpn_yaml_errors_fini(&e);                                                                  \
        cpn_yaml_free(y);                                                                          \
    }
    bool b = true;
    uint64_t u = 7;
    cpn_view s = { 0 };
    EACH(bools, cpn_yaml_bool(n, &b, &e))
    EACH(numbers, cpn_yaml_uint(n, 0, 65535, &u, &e))
    EACH(strings, cpn_yaml_string(n, &s, &e))
    assert_true(b && u == 7 && !s.p);
}

static void
many_errors_are_gathered_and_bounded(void **state)
{
    static const char *const known[] = { "a", NULL };
    cpn_yaml_errors e = { .file = "f" };
    char text[512] = "a: 1\n";
    cpn_yaml *y;

    (void)state;
    for (int i = 0; i < 25; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "k%d: 1\n", i);
    y = parsed(text);
    assert_int_equal(cpn_yaml_known_keys(cpn_yaml_root(y), known, &e), CPN_INVALID);
    assert_int_equal(e.n, 25);
    assert_string_equal(e.line[0], "f:2:5: k0: unknown key");
    cpn_yaml_errors_fini(&e);
    cpn_yaml_free(y);
}

static void
bounds_hold(void **state)
{
    cpn_yaml_errors e = { .file = "f" };
    cpn_yaml *y = NULL;

    (void)state;
    assert_int_equal(cpn_yaml_parse(&y, CPN_VIEW_LIT("a: 1\n"), 4, &e), CPN_INVALID);
    expect(&e, "over 4 bytes", "size");
    cpn_yaml_errors_fini(&e);
    y = parsed("[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]");
    cpn_yaml_free(y);
}

static void
trees_are_read(void **state)
{
    cpn_yaml *y = parsed("# a comment\nname: web1\nversion: 1.3\nquoted: \"null\"\non: true\n"
                         "port: 22\nlist:\n- a\n- {b: c}\ntext: |\n  two\n  lines\nempty: ''\n");
    const cpn_yaml_node *root = cpn_yaml_root(y), *list = cpn_yaml_get(root, "list");
    cpn_yaml_errors e = { .file = "f" };
    uint64_t port = 0;
    bool on = false;
    cpn_view v;

    (void)state;
    assert_int_equal(root->n, 8);
    assert_int_equal(cpn_yaml_string(cpn_yaml_get(root, "version"), &v, &e), CPN_OK);
    assert_true(cpn_view_is(v, "1.3"));
    assert_int_equal(cpn_yaml_string(cpn_yaml_get(root, "quoted"), &v, &e), CPN_OK);
    assert_true(cpn_view_is(v, "null"));
    assert_int_equal(cpn_yaml_string(cpn_yaml_get(root, "empty"), &v, &e), CPN_OK);
    assert_int_equal(v.n, 0);
    assert_int_equal(cpn_yaml_string(cpn_yaml_get(root, "text"), &v, &e), CPN_OK);
    assert_true(cpn_view_is(v, "two\nlines\n"));
    assert_int_equal(cpn_yaml_bool(cpn_yaml_get(root, "on"), &on, &e), CPN_OK);
    assert_int_equal(cpn_yaml_uint(cpn_yaml_get(root, "port"), 1, 65535, &port, &e), CPN_OK);
    assert_true(on && port == 22);
    assert_int_equal(cpn_yaml_expect_list(list, 2, &e), CPN_OK);
    assert_int_equal(cpn_yaml_expect_list(list, 1, &e), CPN_INVALID);
    assert_int_equal(list->child->next->index, 1);
    assert_true(cpn_view_is(cpn_yaml_get(list->child->next, "b")->text, "c"));
    assert_int_equal(list->child->line, 8);
    assert_int_equal(list->child->col, 3);
    assert_null(cpn_yaml_get(root, "absent"));
    cpn_yaml_errors_fini(&e);
    cpn_yaml_free(y);
}

static void
twenty_thousand_machines_fit(void **state)
{
    size_t size = 4 << 20, n = 0;
    char *text = malloc(size);
    cpn_yaml_errors e = { .file = "f" };
    cpn_yaml *y = NULL;

    (void)state;
    n += (size_t)snprintf(text, size, "machines:\n");
    for (int i = 0; i < 20000; i++)
        n += (size_t)snprintf(text + n, size - n,
                              "  web%d:\n    address: 10.0.%d.%d\n    ports: [22, 3389]\n"
                              "    tags: {env: prod, owner: \"me\"}\n",
                              i, i / 250, i % 250);
    assert_int_equal(cpn_yaml_parse(&y, (cpn_view){ (uint8_t *)text, n }, size, &e), CPN_OK);
    assert_int_equal(cpn_yaml_root(y)->child->n, 20000);
    cpn_yaml_free(y);
    free(text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_refused),
        cmocka_unit_test(a_file_of_no_bytes_is_empty),
        cmocka_unit_test(values_are_refused),
        cmocka_unit_test(many_errors_are_gathered_and_bounded),
        cmocka_unit_test(bounds_hold),
        cmocka_unit_test(trees_are_read),
        cmocka_unit_test(twenty_thousand_machines_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
