/* config: every refused setting with its sentence, rules between settings, reload, printing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

#include "codec/units.h"
#include "config/config.h"
#include "config/key.h"

static const struct {
    const char *text;
    const char *says;
} refused[] = {
    { "", "the file is empty" },
    { "[1]\n", "not a map" },
    { "listne: [\"127.0.0.1:1\"]\n", "c:1:9: listne: there is no such setting" },
    { "listen: []\n", "c:1:9: listen: 0 entries (expected 1 to 16)" },
    { "listen: localhost:8443\n", "not a plain numeric address" },
    { "listen: [127.0.0.1]\n", "listen[0]: expected ADDRESS:PORT" },
    { "listen: [\"127.0.0.1:1\", \"127.0.0.1:1\"]\n", "listen[1]: '127.0.0.1:1' stands twice" },
    { "listen: [\"0177.0.0.1:1\"]\n", "not a plain numeric address" },
    { "admin_listen: 10.0.0.1:9\n", "admin_listen: serves without TLS" },
    { "admin_listen: \"[::]:9\"\n", "serves without TLS" },
    { "fence_allow_loopback: true\nlisten: [\"127.0.0.1:1\", \"0.0.0.0:1\"]\n",
      "c:1:23: fence_allow_loopback: for tests" },
    { "fence_allow_loopback: flase\n", "'flase' (expected true or false" },
    { "fence_allow_loopback:\n", "expected true or false" },
    { "fence_deny: [10.0.0.1/24]\n", "fence_deny[0]: '10.0.0.1/24' has bits set" },
    { "az_clients: off\n", "expected true or false" },
    { "az_clients: \"true\"\n", "unquoted" },
    { "tls_min: 1.1\n", "'1.1' (expected 1.2|1.3)" },
    { "tls_min:\n", "no value" },
    { "tls_cert: /etc/cert.pem\n", "tls_cert and tls_key go together" },
    { "tls_key: /etc/key.pem\n", "tls_cert and tls_key go together" },
    { "tls_cert: cert.pem\ntls_key: key.pem\n", "not a path" },
    { "state_dir: \"\"\n", "state_dir: empty (expected a value" },
    { "tls_cert: \"\"\n", "tls_cert: empty" },
    { "user: ''\n", "user: empty" },
    { "state_dir: relative\n", "not a path" },
    { "store: mysql://x\n", "expected sqlite:/PATH" },
    { "store: sqlite:relative.db\n", "expected sqlite:/PATH" },
    { "public_url: http://localhost\n", "expected https://NAME" },
    { "public_url: https://localhost/\n", "expected https://NAME" },
    { "public_url: https://Local\n", "expected https://NAME" },
    { "public_url: https://a:0\n", "expected https://NAME" },
    { "public_url: https://a:65536\n", "expected https://NAME" },
    { "public_url: https://me@host\n", "expected https://NAME" },
    { "public_url: \"https://a\\r\\nb\"\n", "control characters" },
    { "fronts: 65\n", "expected a decimal number from 0 to 64" },
    { "fronts: 02\n", "expected a decimal number" },
    { "fronts: -1\n", "expected a decimal number" },
    { "drain: 30\n", "'30' (expected a time from 0s to 1h)" },
    { "drain: 2h\n", "expected a time from 0s to 1h" },
    { "drain: 30 s\n", "expected a time" },
    { "drain: 1.5s\n", "expected a time" },
    { "ticket_ttl: 31s\n", "expected a time from 1s to 30s" },
    { "ticket_ttl: 0s\n", "expected a time" },
    { "relay_memory: 256MB\n", "expected a size" },
    { "relay_memory: 256\n", "expected a size" },
    { "relay_memory: 1MiB\n", "expected a size from 16MiB to 64GiB" },
    { "preauth_max: 10\n", "preauth_source_max: more than preauth_max" },
    { "penalty_threshold: 1h\n", "more than penalty_max" },
    { "streams_per_session: 257\n", "from 1 to 256" },
    { "log_level: loud\n", "expected error|warn|info|debug" },
    { "drain: 1s\ndrain: 2s\n", "stands twice" },
};

static cpn_rc
parse(cpn_config *c, const char *text, char report[4096], cpn_err *err)
{
    FILE *f = fmemopen(report, 4096, "w");
    cpn_rc rc = cpn_config_parse(c, cpn_view_str(text), "c", f, err);

    fclose(f);
    return rc;
}

static void
settings_are_refused(void **state)
{
    cpn_config *c = calloc(1, sizeof(*c)), *untouched = calloc(1, sizeof(*c));

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++) {
        char report[4096] = "";
        cpn_err err = { 0 };
        if (parse(c, refused[i].text, report, &err) != CPN_E_CONF)
            fail_msg("taken: %s", refused[i].text);
        if (!strstr(report, refused[i].says))
            fail_msg("%s: said '%s', expected '%s'", refused[i].text, report, refused[i].says);
        assert_memory_equal(c, untouched, sizeof(*c));
    }
    free(c);
    free(untouched);
}

static void
all_errors_are_told_at_once(void **state)
{
    cpn_config *c = calloc(1, sizeof(*c));
    char report[4096] = "";
    cpn_err err = { 0 };

    (void)state;
    assert_int_equal(parse(c, "drain: 30\nfronts: x\nnonsense: 1\n", report, &err), CPN_E_CONF);
    assert_non_null(strstr(report, "c:1:8: drain: "));
    assert_non_null(strstr(report, "c:2:9: fronts: "));
    assert_non_null(strstr(report, "c:3:11: nonsense: "));
    assert_non_null(strstr(err.msg, "3 errors"));
    free(c);
}

static void
units_are_strict(void **state)
{
    static const char *const bad[] = {
        "",     "s",    "1",    "-1s",  "+1s", "01s", "1 s",
        "1S",   "1sec", "1.5h", "1e3s", "s1",  "1s ", "18446744073709551615d",
        "1h30m"
    };
    char text[CPN_UNITS_TEXT];
    uint64_t v = 0;

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(bad); i++)
        assert_false(cpn_units_time(cpn_view_str(bad[i]), &v));
    assert_false(cpn_units_size(CPN_VIEW_LIT("1k"), &v));
    assert_false(cpn_units_size(CPN_VIEW_LIT("1kib"), &v));
    assert_true(cpn_units_time(CPN_VIEW_LIT("8h"), &v) && v == 28800000);
    assert_string_equal(cpn_units_time_text(v, text), "8h");
    assert_string_equal(cpn_units_time_text(90000, text), "90s");
    assert_string_equal(cpn_units_time_text(0, text), "0s");
    assert_true(cpn_units_size(CPN_VIEW_LIT("256MiB"), &v) && v == 268435456);
    assert_string_equal(cpn_units_size_text(v, text), "256MiB");
}

static void
defaults_are_good_settings(void **state)
{
    cpn_config *def = calloc(1, sizeof(*def)), *c = calloc(1, sizeof(*c));
    char *text = NULL, report[4096] = "";
    size_t n;
    FILE *f = open_memstream(&text, &n);
    cpn_err err = { 0 };

    (void)state;
    cpn_config_print_defaults(f);
    fclose(f);
    if (parse(c, text, report, &err) != CPN_OK)
        fail_msg("%s", report);
    cpn_config_defaults(def);
    assert_int_equal(cpn_config_reload(def, c, NULL, NULL), 0);
    assert_string_equal(def->store, "sqlite:/var/lib/caponier/caponier.db");
    assert_true(def->fronts >= 1);
    assert_false(def->fence_allow_loopback);
    assert_int_equal(def->ticket_ttl, 10000);
    free(text);
    free(def);
    free(c);
}

static void
json_and_single_addresses_are_taken(void **state)
{
    cpn_config *c = calloc(1, sizeof(*c));
    char report[4096] = "";
    cpn_err err = { 0 };
    cpn_buf value = { .max = 1000 };

    (void)state;
    if (parse(c,
              "{\"listen\": [\"127.0.0.1:4443\", \"[::1]:4443\"], \"admin_listen\": "
              "\"127.0.0.1:0\", \"fronts\": 2, \"drain\": \"2s\", \"az_clients\": false, "
              "\"fence_allow_loopback\": true, \"public_url\": \"https://localhost:4443\"}",
              report, &err) != CPN_OK)
        fail_msg("%s", report);
    assert_int_equal(c->listen.n, 2);
    assert_string_equal(c->listen.item[1], "[::1]:4443");
    assert_string_equal(c->admin_listen.item[0], "127.0.0.1:0");
    assert_int_equal(c->drain, 2000);
    assert_false(c->az_clients);
    assert_int_equal(cpn_config_value(c, "listen", &value), CPN_OK);
    assert_true(cpn_view_is(cpn_buf_view(&value), "[\"127.0.0.1:4443\", \"[::1]:4443\"]"));
    assert_int_equal(cpn_config_value(c, "nonsense", &value), CPN_NOT_FOUND);
    cpn_buf_fini(&value);
    free(c);
}

typedef struct changes {
    int reload;
    int restart;
} changes;

static void
on_changed(void *arg, const char *key, bool reload)
{
    changes *c = arg;

    assert_non_null(key);
    *(reload ? &c->reload : &c->restart) += 1;
}

static void
a_reload_changes_only_what_it_may(void **state)
{
    cpn_config *now = calloc(1, sizeof(*now)), *next = calloc(1, sizeof(*next));
    char report[4096] = "";
    cpn_err err = { 0 };
    changes seen = { 0 };

    (void)state;
    cpn_config_defaults(now);
    assert_int_equal(parse(next, "ticket_ttl: 5s\nlisten: 127.0.0.1:1\n", report, &err), CPN_OK);
    assert_int_equal(cpn_config_reload(now, next, on_changed, &seen), 2);
    assert_int_equal(seen.reload, 1);
    assert_int_equal(seen.restart, 1);
    assert_int_equal(now->ticket_ttl, 5000);
    assert_string_equal(now->listen.item[0], "127.0.0.1:8443");
    free(now);
    free(next);
}

static void
files_that_others_may_write_are_refused(void **state)
{
    char path[] = "/tmp/cpn-config-XXXXXX";
    int fd = mkstemp(path);
    cpn_config *c = calloc(1, sizeof(*c));
    cpn_err err = { 0 };

    (void)state;
    assert_int_equal(write(fd, "drain: 1s\n", 10), 10);
    assert_int_equal(cpn_config_load(c, path, NULL, &err), CPN_OK);
    assert_int_equal(c->drain, 1000);
    assert_int_equal(fchmod(fd, 0666), 0);
    assert_int_equal(cpn_config_load(c, path, NULL, &err), CPN_E_CONF);
    assert_int_equal(cpn_config_load(c, "/nonexistent", NULL, &err), CPN_E_CONF);
    assert_int_equal(cpn_config_load(c, "/dev/zero", NULL, &err), CPN_E_CONF);
    assert_int_equal(cpn_config_load(c, "/tmp", NULL, &err), CPN_E_CONF);
    close(fd);
    unlink(path);
    free(c);
}

static void
every_setting_is_documented(void **state)
{
    (void)state;
    for (size_t i = 0; i < cpn_keys_n; i++) {
        size_t n = strlen(cpn_keys[i].doc);
        assert_true(n > 10 && cpn_keys[i].doc[n - 1] == '.');
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_are_refused),
        cmocka_unit_test(all_errors_are_told_at_once),
        cmocka_unit_test(units_are_strict),
        cmocka_unit_test(defaults_are_good_settings),
        cmocka_unit_test(json_and_single_addresses_are_taken),
        cmocka_unit_test(a_reload_changes_only_what_it_may),
        cmocka_unit_test(files_that_others_may_write_are_refused),
        cmocka_unit_test(every_setting_is_documented),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
