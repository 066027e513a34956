/* client/tunnel_*.c in parts: the renewer that cannot be started. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>

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

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_renewer_that_cannot_start_is_closed_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
