/* client: the sign-in's file among hostile neighbours, the command line, text on its way to a
 * terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/cli.h"
#include "client/contexts.h"
#include "client/gateway.h"
#include "client/out.h"
#include "client/printable.h"
#include "client/tunnel_impl.h"

/* ---- contexts ---- */

static char home[64];
static char dir[128];
static char file[160];

static int
make_home(void **state)
{
    (void)state;
    snprintf(home, sizeof(home), "/tmp/cpn-client-XXXXXX");
    assert_non_null(mkdtemp(home));
    snprintf(dir, sizeof(dir), "%s/a/caponier", home);
    snprintf(file, sizeof(file), "%s/contexts.json", dir);
    return 0;
}

static int
remove_home(void **state)
{
    char path[192];

    (void)state;
    unlink(file);
    rmdir(file);
    snprintf(path, sizeof(path), "%s/real", home);
    unlink(path);
    rmdir(dir);
    unlink(dir);
    rmdir(path);
    snprintf(path, sizeof(path), "%s/a", home);
    rmdir(path);
    assert_int_equal(rmdir(home), 0);
    return 0;
}

static void
put_of(const char *gateway, const char *user, const char *token)
{
    cpn_context c = { .gateway = (char[64]){ 0 }, .user = (char *)user, .expires_s = 12345 };
    cpn_err err = { 0 };

    snprintf(c.gateway, 64, "%s", gateway);
    assert_int_equal(cpn_secret_set(&c.access_token, cpn_view_str(token)), CPN_OK);
    if (cpn_contexts_put(dir, &c, true, &err) != CPN_OK)
        fail_msg("%s", err.msg);
}

static void
put_one(const char *gateway, const char *token)
{
    put_of(gateway, NULL, token);
}

static void
refused_now(const char *why, const char *says)
{
    cpn_context c = { 0 };
    cpn_err err = { 0 };

    if (cpn_contexts_get(dir, NULL, NULL, &c, &err) != CPN_E_CONF)
        fail_msg("%s: taken", why);
    if (!strstr(err.msg, says))
        fail_msg("%s: '%s' does not say '%s'", why, err.msg, says);
}

static void
nobody_is_signed_in_at_first(void **state)
{
    cpn_context c = { 0 };

    (void)state;
    assert_int_equal(cpn_contexts_get(dir, NULL, NULL, &c, NULL), CPN_NOT_FOUND);
    assert_int_equal(cpn_contexts_forget(dir, NULL, NULL, NULL), CPN_NOT_FOUND);
}

static void
what_is_put_comes_back(void **state)
{
    cpn_context c = { 0 };
    struct stat st;

    (void)state;
    put_one("https://a", "token-a");
    put_one("https://b", "token-b");
    put_one("https://a", "token-a2");
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(stat(dir, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(cpn_contexts_get(dir, NULL, NULL, &c, NULL), CPN_OK);
    assert_string_equal(c.gateway, "https://a");
    assert_true(cpn_view_is(cpn_secret_view(&c.access_token), "token-a2"));
    assert_int_equal(c.expires_s, 12345);
    cpn_context_fini(&c);
    assert_int_equal(cpn_contexts_get(dir, "https://b", NULL, &c, NULL), CPN_OK);
    cpn_context_fini(&c);
    assert_int_equal(cpn_contexts_forget(dir, "https://b", NULL, NULL), CPN_OK);
    assert_int_equal(cpn_contexts_get(dir, "https://b", NULL, &c, NULL), CPN_NOT_FOUND);
}

static void
is_current(const char *gateway, const char *user, const char *token)
{
    cpn_context c = { 0 };

    assert_int_equal(cpn_contexts_get(dir, gateway, user, &c, NULL), CPN_OK);
    if (!cpn_view_is(cpn_secret_view(&c.access_token), token))
        fail_msg("%s %s: not %s", gateway ? gateway : "any", user ? user : "anybody", token);
    cpn_context_fini(&c);
}

static void
accounts_stand_side_by_side(void **state)
{
    cpn_context c = { .gateway = (char[]){ "https://a" }, .user = (char[]){ "eve" } };
    json_t *rows = NULL;
    char *text;

    (void)state;
    assert_int_equal(cpn_contexts_list(dir, &rows, NULL), CPN_OK);
    assert_int_equal(json_array_size(rows), 0);
    json_decref(rows);
    put_of("https://a", "ada", "a-ada");
    put_of("https://b", "ada", "b-ada");
    put_of("https://a", "bob", "a-bob");
    is_current(NULL, NULL, "a-bob");
    is_current("https://a", NULL, "a-bob");
    is_current("https://a", "ADA", "a-ada");
    is_current(NULL, "ada", "b-ada");
    is_current("https://b", NULL, "b-ada");
    assert_int_equal(cpn_contexts_get(dir, "https://b", "bob", &c, NULL), CPN_NOT_FOUND);
    /* Renewing keeps the order, and brings back nobody who has signed out. */
    assert_int_equal(cpn_contexts_put(dir, &c, false, NULL), CPN_NOT_FOUND);
    c.user = (char[]){ "ada" };
    assert_int_equal(cpn_contexts_put(dir, &c, false, NULL), CPN_OK);
    is_current(NULL, NULL, "a-bob");
    assert_int_equal(cpn_contexts_put(dir, &c, true, NULL), CPN_OK);
    is_current(NULL, NULL, "");
    assert_int_equal(cpn_contexts_list(dir, &rows, NULL), CPN_OK);
    assert_int_equal(json_array_size(rows), 3);
    text = json_dumps(rows, 0);
    assert_null(strstr(text, "b-ada"));
    assert_null(strstr(text, "oken"));
    free(text);
    json_decref(rows);
    assert_int_equal(cpn_contexts_forget(dir, "https://a", "ada", NULL), CPN_OK);
    assert_int_equal(cpn_contexts_forget(dir, "https://a", "ada", NULL), CPN_NOT_FOUND);
    is_current(NULL, NULL, "a-bob");
}

static void
files_of_others_are_refused(void **state)
{
    char real[192];

    (void)state;
    snprintf(real, sizeof(real), "%s/real", home);
    put_one("https://a", "token");
    assert_int_equal(chmod(file, 0640), 0);
    refused_now("group may read", "0640");
    assert_int_equal(chmod(file, 0602), 0);
    refused_now("others may write", "0602");
    assert_int_equal(chmod(file, 0600), 0);
    assert_int_equal(chmod(dir, 0755), 0);
    refused_now("open folder", "0755");
    assert_int_equal(chmod(dir, 0700), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(file, 12345, 0), 0);
        refused_now("another owner", "12345");
        assert_int_equal(chown(file, 0, 0), 0);
    }
    assert_int_equal(rename(file, real), 0);
    assert_int_equal(symlink(real, file), 0);
    refused_now("symlink", "link");
    assert_int_equal(unlink(file), 0);
    assert_int_equal(mkfifo(file, 0600), 0);
    refused_now("FIFO", "regular");
    assert_int_equal(unlink(file), 0);
    assert_int_equal(mkdir(file, 0700), 0);
    refused_now("a folder", "regular");
}

static void
a_linked_folder_is_refused(void **state)
{
    char real[192], parent[128];

    (void)state;
    snprintf(real, sizeof(real), "%s/real", home);
    snprintf(parent, sizeof(parent), "%s/a", home);
    assert_int_equal(mkdir(real, 0700), 0);
    assert_int_equal(mkdir(parent, 0700), 0);
    assert_int_equal(symlink(real, dir), 0);
    refused_now("symlink", "link");
}

static void
write_file(const char *text, size_t n)
{
    FILE *f = fopen(file, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    fclose(f);
    assert_int_equal(chmod(file, 0600), 0);
}

static void
other_contents_are_refused(void **state)
{
    static const char *const bad[] = { "",
                                       "null",
                                       "[]",
                                       "{}",
                                       "{\"version\":1}",
                                       "{\"version\":2,\"contexts\":[]}",
                                       "{\"version\":1,\"version\":1,\"contexts\":[]}",
                                       "{\"version\":1,\"contexts\":{}}",
                                       "{\"version\":1,\"contexts\":[{\"gateway\":\"https" };
    char *big = malloc(CPN_CONTEXTS_BYTES + 1);

    (void)state;
    put_one("https://a", "token");
    for (size_t i = 0; i < CPN_COUNT(bad); i++) {
        write_file(bad[i], strlen(bad[i]));
        refused_now(bad[i], "contexts.json");
    }
    memset(big, ' ', CPN_CONTEXTS_BYTES + 1);
    write_file(big, CPN_CONTEXTS_BYTES + 1);
    refused_now("too long", "longer");
    free(big);
    assert_int_equal(truncate(file, (off_t)1 << 30), 0);
    refused_now("1 GiB", "longer");
}

/* ---- which gateway ---- */

static void
gateways_that_are_none_are_refused(void **state)
{
    static const char *const bad[] = { "http://gate",       "gate",
                                       "https://",          "https://u@gate",
                                       "https://gate/path", "https://gate:0" };
    cpn_gateway_file none = { 0 };
    cpn_gateway_file from_file = { .gateway = "https://c" };
    cpn_url url;

    (void)state;
    assert_int_equal(cpn_gateway_choose(NULL, NULL, &none, &url, NULL), CPN_INVALID);
    for (size_t i = 0; i < CPN_COUNT(bad); i++)
        assert_int_equal(cpn_gateway_choose(bad[i], "https://b", &none, &url, NULL), CPN_INVALID);
    assert_int_equal(cpn_gateway_choose("https://a", "https://b", &from_file, &url, NULL), CPN_OK);
    assert_string_equal(url.host, "a");
    assert_int_equal(cpn_gateway_choose(NULL, "https://b", &from_file, &url, NULL), CPN_OK);
    assert_string_equal(url.host, "b");
    assert_int_equal(cpn_gateway_choose(NULL, NULL, &from_file, &url, NULL), CPN_OK);
    assert_string_equal(url.host, "c");
}

/* ---- the command line ---- */

static const cpn_opt opts[] = {
    { .name = "name", .letter = 'n', .arg = "NAME", .def = "web1", .help = "a name" },
    { .name = "number", .arg = "N", .def = "7", .help = "a number" },
    { .name = "yes", .letter = 'y', .help = "a switch" },
    { .name = "password", .letter = 'p', .arg = "VALUE", .refused = "it is read by others" },
    { 0 },
};
static const cpn_cmd cmd = { .name = "test", .opts = opts, .args = "[A]", .max_args = 1 };

static int
words(char *line, char *argv[8])
{
    int n = 0;
    char *save = NULL;

    for (char *w = strtok_r(line, " ", &save); w && n < 8; w = strtok_r(NULL, " ", &save))
        argv[n++] = w;
    return n;
}

static void
command_lines_are_refused(void **state)
{
    static const struct {
        const char *line, *says;
    } bad[] = {
        { "--nmae x", "unknown option --nmae" },
        { "--nam x", "is --name meant" },
        { "-x", "unknown option -x" },
        { "--name", "needs a value" },
        { "-n", "needs a value" },
        { "--name a --name b", "twice" },
        { "--name a -n b", "twice" },
        { "--yes=1", "takes no value" },
        { "a b", "unexpected argument 'b'" },
        { "--password secret", "not accepted" },
        { "-psecret", "not accepted" },
        { "-- --name a", "unexpected" },
    };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(bad); i++) {
        char line[64], *argv[8];
        cpn_err err = { 0 };
        cpn_args a;
        int n;

        snprintf(line, sizeof(line), "%s", bad[i].line);
        n = words(line, argv);
        if (cpn_args_parse(&a, &cmd, n, argv, &err) != CPN_INVALID)
            fail_msg("%s: taken", bad[i].line);
        if (!strstr(err.msg, bad[i].says) || strstr(err.msg, "secret"))
            fail_msg("%s: '%s'", bad[i].line, err.msg);
    }
}

static void
command_lines_are_read(void **state)
{
    static const char *const good[] = { "--name x", "--name=x", "-n x",          "-nx",
                                        "A -n x",   "-n x A",   "--name x -- -A" };
    unsigned number;

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(good); i++) {
        char line[64], *argv[8];
        cpn_err err = { 0 };
        cpn_args a;
        int n;

        snprintf(line, sizeof(line), "%s", good[i]);
        n = words(line, argv);
        if (cpn_args_parse(&a, &cmd, n, argv, &err) != CPN_OK)
            fail_msg("%s: %s", good[i], err.msg);
        assert_string_equal(cpn_args_get(&a, "name"), "x");
        assert_false(cpn_args_has(&a, "yes"));
        assert_int_equal(cpn_args_number(&a, "number", 0, 9, &number, NULL), CPN_OK);
        assert_int_equal(number, 7);
        assert_int_equal(cpn_args_number(&a, "number", 8, 9, &number, NULL), CPN_INVALID);
    }
}

static void
both_spellings_are_one_command(void **state)
{
    static const struct {
        const char *line, *name;
        int words;
    } all[] = {
        { "tunnel", "tunnel", 1 },
        { "network bastion tunnel --port 0", "tunnel", 3 },
        { "network bastion list", "bastion list", 3 },
        { "bastion show door", "bastion show", 2 },
        { "network bastion session list", "session list", 4 },
        { "session list", "session list", 2 },
        { "network tunnel", NULL, 0 },
        { "session", NULL, 0 },
        { "tunne", NULL, 0 },
    };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(all); i++) {
        char line[64], *argv[8];
        const cpn_cmd *c;
        int n, used;

        snprintf(line, sizeof(line), "%s", all[i].line);
        n = words(line, argv);
        c = cpn_cli_find(n, argv, &used);
        if (!c != !all[i].name || (c && strcmp(c->name, all[i].name) != 0) || used != all[i].words)
            fail_msg("%s: %s, %d words", all[i].line, c ? c->name : "none", used);
    }
}

static void
every_command_says_what_it_is(void **state)
{
    const cpn_opt *o[CPN_OPTS_MAX];

    (void)state;
    for (const cpn_cmd *const *c = cpn_cmds; *c; c++) {
        unsigned n = cpn_cmd_options(*c, o);

        assert_non_null((*c)->run);
        assert_non_null((*c)->brief);
        assert_true((*c)->examples && (*c)->examples[0].line);
        assert_true((*c)->max_args == 0 || ((*c)->args && (*c)->args_help));
        for (unsigned i = 0; i < n; i++) {
            assert_true(o[i]->help || o[i]->refused);
            for (unsigned k = 0; k < i; k++) {
                assert_string_not_equal(o[i]->name, o[k]->name);
                assert_true(!o[i]->letter || o[i]->letter != o[k]->letter);
                assert_true(!o[i]->also || o[i]->also != o[k]->letter);
                assert_true(!o[k]->also || o[k]->also != o[i]->letter);
            }
        }
    }
}

/* ---- text on its way to a terminal ---- */

static void
text_cannot_move_the_cursor(void **state)
{
    static const struct {
        const char *in, *out;
    } all[] = {
        { "plain Ædá 日本 🙂", "plain Ædá 日本 🙂" },
        { "\x1b[2J\a\b\r\n\t\x7f", "\\x1b[2J\\x07\\x08\\x0d\\x0a\\x09\\x7f" },
        { "\xc2\x9b"
          "31m",
          "\\u009b31m" },                                   /* C1: CSI */
        { "\x9b", "\\x9b" },                                /* the same, broken */
        { "a\xe2\x80\xaegnp.exe", "a\\u202egnp.exe" },      /* turned around */
        { "\xe2\x81\xa6x\xe2\x81\xa9", "\\u2066x\\u2069" }, /* isolates */
        { "a\xe2\x80\x8b\xef\xbb\xbf", "a\\u200b\\ufeff" }, /* invisible */
        { "\xf3\xa0\x80\xa1", "\\ue0021" },                 /* tag */
        { "\xc0\x80 \xed\xa0\x80 \xf4\x90\x80\x80",
          "\\xc0\\x80 \\xed\\xa0\\x80 \\xf4\\x90\\x80\\x80" },
        { "cut \xe2\x82", "cut \\xe2\\x82" },
    };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(all); i++) {
        cpn_buf b = { .max = 256 };

        assert_int_equal(cpn_printable_put(&b, cpn_view_str(all[i].in)), CPN_OK);
        if (!cpn_view_is(cpn_buf_view(&b), all[i].out))
            fail_msg("'%s' became '%.*s'", all[i].out, CPN_VIEW_ARG(cpn_buf_view(&b)));
        cpn_buf_fini(&b);
    }
}

static void
json_has_no_control_byte(void **state)
{
    json_auto_t *o = json_pack("{s:s}", "k", "\x1b\x7f\xc2\x9b\xe2\x80\xae");
    cpn_buf b = { .max = 256 };

    (void)state;
    assert_int_equal(cpn_out_json(&b, o, false), CPN_OK);
    assert_true(cpn_view_is(cpn_buf_view(&b), "{\"k\":\"\\u001B\\u007f\\u009B\\u202E\"}"));
    cpn_buf_fini(&b);
}

static void
cells_are_one_line(void **state)
{
    json_auto_t *row =
        json_pack("{s:s, s:[s,i], s:{s:b}, s:n}", "s", "a\tb\nc", "l", "x", 7, "o", "in", 1, "n");
    static const struct {
        const char *key, *want;
    } cells[] = { { "s", "a\\x09b\\x0ac" },
                  { "l", "x, 7" },
                  { "o.in", "true" },
                  { "n", "" },
                  { "gone.in", "" } };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(cells); i++) {
        cpn_buf b = { .max = 256 };

        assert_int_equal(cpn_out_cell(&b, row, cells[i].key), CPN_OK);
        assert_true(cpn_view_is(cpn_buf_view(&b), cells[i].want));
        cpn_buf_fini(&b);
    }
}

/* ---- tries ---- */

/* 50 to 250 ms at first, never over 4 s, and not the same for everybody. */
static void
tries_are_spread(void **state)
{
    static const struct {
        unsigned failures;
        uint64_t least, most;
    } waits[] = { { 0, 50, 250 }, { 1, 100, 500 }, { 4, 800, 4000 }, { 1000, 800, 4000 } };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(waits); i++) {
        uint64_t low = UINT64_MAX, high = 0;

        for (unsigned k = 0; k < 1000; k++) {
            uint64_t ms = cpn_tunnel_retry_ms(waits[i].failures);

            low = CPN_MIN(low, ms);
            high = CPN_MAX(high, ms);
        }
        assert_true(low >= waits[i].least && high <= waits[i].most);
        assert_true(low < waits[i].least * 3 / 2 && high > waits[i].most / 10 * 9);
    }
}

#define AT_HOME(test) cmocka_unit_test_setup_teardown(test, make_home, remove_home)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        AT_HOME(nobody_is_signed_in_at_first),
        AT_HOME(what_is_put_comes_back),
        AT_HOME(accounts_stand_side_by_side),
        AT_HOME(files_of_others_are_refused),
        AT_HOME(a_linked_folder_is_refused),
        AT_HOME(other_contents_are_refused),
        cmocka_unit_test(gateways_that_are_none_are_refused),
        cmocka_unit_test(command_lines_are_refused),
        cmocka_unit_test(command_lines_are_read),
        cmocka_unit_test(both_spellings_are_one_command),
        cmocka_unit_test(every_command_says_what_it_is),
        cmocka_unit_test(text_cannot_move_the_cursor),
        cmocka_unit_test(json_has_no_control_byte),
        cmocka_unit_test(cells_are_one_line),
        cmocka_unit_test(tries_are_spread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
