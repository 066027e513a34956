/* client/tunnel_*.c in parts: the renewer that cannot be started, what is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/tunnel_impl.h"

static cpn_cli cli;
static cpn_api api;
static cpn_tunnel tunnel;

/* A process without a descriptor left starts no other. */
static int
try_to_renew(void)
{
    struct rlimit before, none;
    int renews;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = (struct rlimit){ 0, before.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    renews = cpn_tunnel_renews(&tunnel);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    return renews;
}

static void
a_renewer_that_cannot_start_is_closed_first(void **unused)
{
    const cpn_cmd tunnels = { .flags = CPN_CMD_CALLS };

    (void)unused;
    assert_int_equal(cpn_args_parse(&cli.args, &tunnels, 0, NULL, NULL), CPN_OK);
    api.cli = &cli;
    api.ctx.gateway = api.ctx.user = (char[]){ "x" };
    api.ctx.refresh_token.n = 1;
    tunnel.api = &api;
    assert_int_equal(uv_loop_init(&tunnel.uv), 0);
    assert_true(try_to_renew());
    assert_true(try_to_renew()); /* in the same turn, with the same handle */
    tunnel.stopping = true;      /* nothing is to come of it */
    assert_int_equal(uv_run(&tunnel.uv, UV_RUN_DEFAULT), 0);
    assert_false(tunnel.renewing);
    assert_true(tunnel.renewal_over);
    assert_false(cpn_tunnel_renews(&tunnel)); /* the caller renews by itself then */
    assert_int_equal(uv_loop_close(&tunnel.uv), 0);
}

static void
missing_roles_are_a_list(void **unused)
{
    static const struct {
        const char *json, *sentence;
    } rows[] = {
        { "", "the gateway refused it" },
        { "{\"message\":\"no\",\"missing\":[]}", "no" },
        { "{\"message\":\"no\",\"missing\":[{\"scope\":\"/a\"}]}", "no" },
        { "{\"message\":\"no\",\"missing\":[{\"role\":\"R\",\"scope\":\"/a\"},"
          "{\"role\":\"S\",\"scope\":\"/b\"}]}",
          "no; missing: R on /a, S on /b" },
        { "{\"message\":\"no\",\"missing\":[{\"scope\":\"/a\"},{\"role\":\"S\",\"scope\":\"/b\"}]}",
          "no; missing: S on /b" },
    };
    char sentence[CPN_LAST_WORDS];

    (void)unused;
    for (size_t i = 0; i < CPN_COUNT(rows); i++) {
        cpn_reason_sentence_of(cpn_view_str(rows[i].json), sentence);
        assert_string_equal(sentence, rows[i].sentence);
    }
}

/* How many lines on stderr it costs that this target is refused. */
static int
lines_told(const cpn_target *target)
{
    const cpn_tunnel_plan plan = { 0 };
    int before = dup(2), made[2], lines = 0;
    char text[512];
    ssize_t n;

    tunnel.plan = &plan;
    assert_int_equal(pipe(made), 0);
    dup2(made[1], 2);
    close(made[1]);
    cpn_tunnel_say_refused(&tunnel, target, CPN_VIEW_LIT("{\"code\":\"x\",\"message\":\"no\"}"));
    dup2(before, 2);
    close(before);
    n = read(made[0], text, sizeof(text));
    close(made[0]);
    for (ssize_t i = 0; i < n; i++)
        lines += text[i] == '\n';
    return lines;
}

static void
each_target_is_told_of_once(void **unused)
{
    const cpn_target web = { .label = "web1", .port = 22 }, db = { .label = "db1", .port = 22 };

    (void)unused;
    assert_int_equal(lines_told(&web), 1);
    assert_int_equal(lines_told(&web), 0);
    assert_int_equal(lines_told(&db), 1);
    assert_int_equal(lines_told(&db), 0);
    while (tunnel.said_n > 0)
        free(tunnel.said[--tunnel.said_n]);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_renewer_that_cannot_start_is_closed_first),
        cmocka_unit_test(missing_roles_are_a_list),
        cmocka_unit_test(each_target_is_told_of_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
