/* client/ctlsock and client/rundir: names that are none, folders that are not to be trusted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/ctlsock.h"
#include "client/rundir.h"

static char home[64], runtime[96], folder[128], state[128];

static int
make_home(void **unused)
{
    (void)unused;
    snprintf(home, sizeof(home), "/tmp/cpn-ctlsock-XXXXXX");
    assert_non_null(mkdtemp(home));
    snprintf(runtime, sizeof(runtime), "%s/run", home);
    snprintf(folder, sizeof(folder), "%s/caponier", runtime);
    snprintf(state, sizeof(state), "%s/.local/state/caponier", home);
    assert_int_equal(mkdir(runtime, 0700), 0);
    setenv("HOME", home, 1);
    setenv("XDG_RUNTIME_DIR", runtime, 1);
    unsetenv("XDG_STATE_HOME");
    return 0;
}

static int
remove_home(void **unused)
{
    static const char *const below[] = {
        "run/caponier", "run", ".local/state/caponier", ".local/state", ".local", "real", ""
    };
    char path[160];

    (void)unused;
    for (size_t i = 0; i < CPN_COUNT(below); i++) {
        snprintf(path, sizeof(path), "%s/%s", home, below[i]);
        if (rmdir(path) != 0)
            unlink(path);
    }
    return access(home, F_OK) == 0;
}

static void
names_that_are_none(void **unused)
{
    static const char *const rows[] = {
        "",
        "tunnel-",
        "tunnel-3f9a2",
        "tunnel-3f9a2cc",
        "tunnel-3F9A2C",
        "tunnel-3f9a2g",
        "tunnel-../../",
        "tunnel-3f9a2\n",
        "xtunnel-3f9a2c",
        "tunnel3f9a2c",
        "tunnels.log",
        ".",
    };
    const char *id = NULL;

    (void)unused;
    for (size_t i = 0; i < CPN_COUNT(rows); i++)
        assert_false(cpn_ctlsock_is(rows[i], &id));
    assert_true(cpn_ctlsock_is("tunnel-3f9a2c", &id));
    assert_string_equal(id, "3f9a2c");
}

static void
folders_not_to_be_trusted(void **unused)
{
    char real[160];
    int fd = -1;

    (void)unused;
    assert_int_equal(cpn_rundir_open(CPN_RUNDIR_RUNTIME, false, &fd, NULL), CPN_NOT_FOUND);
    assert_int_equal(mkdir(folder, 0755), 0);
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(cpn_rundir_open(CPN_RUNDIR_RUNTIME, true, &fd, NULL), CPN_E_CONF);
    assert_int_equal(rmdir(folder), 0);
    snprintf(real, sizeof(real), "%s/real", home);
    assert_int_equal(mkdir(real, 0700), 0);
    assert_int_equal(symlink(real, folder), 0);
    assert_int_equal(cpn_rundir_open(CPN_RUNDIR_RUNTIME, true, &fd, NULL), CPN_E_CONF);
    assert_int_equal(fd, -1);
}

static void
an_unfit_runtime_folder_is_none(void **unused)
{
    static const char *const rows[] = { "", "relative", "/", "/nonexistent-folder", "/etc/passwd" };
    int fd = -1;

    (void)unused;
    for (size_t i = 0; i < CPN_COUNT(rows); i++) {
        setenv("XDG_RUNTIME_DIR", rows[i], 1);
        assert_int_equal(cpn_rundir_open(CPN_RUNDIR_RUNTIME, true, &fd, NULL), CPN_NOT_FOUND);
    }
    unsetenv("XDG_RUNTIME_DIR");
    assert_int_equal(cpn_rundir_open(CPN_RUNDIR_RUNTIME, true, &fd, NULL), CPN_NOT_FOUND);
    unsetenv("HOME");
    assert_int_equal(cpn_rundir_open(CPN_RUNDIR_STATE, true, &fd, NULL), CPN_NOT_FOUND);
}

static void
control_sockets_are_the_users_alone_and_go_away(void **unused)
{
    cpn_ctlsock one = CPN_CTLSOCK_NONE, two = CPN_CTLSOCK_NONE;
    char path[256];
    struct stat st;
    cpn_err err = { 0 };

    (void)unused;
    if (cpn_ctlsock_open(&one, &err) != CPN_OK || cpn_ctlsock_open(&two, &err) != CPN_OK)
        fail_msg("%s", err.msg);
    assert_string_not_equal(one.id, two.id);
    snprintf(path, sizeof(path), "%s/" CPN_CTLSOCK_PREFIX "%s", folder, one.id);
    assert_int_equal(lstat(path, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 07777, 0600);
    cpn_ctlsock_close(&one);
    cpn_ctlsock_close(&two);
    assert_int_not_equal(lstat(path, &st), 0);

    unsetenv("XDG_RUNTIME_DIR"); /* the state folder then */
    assert_int_equal(cpn_ctlsock_open(&one, &err), CPN_OK);
    snprintf(path, sizeof(path), "%s/" CPN_CTLSOCK_PREFIX "%s", state, one.id);
    assert_int_equal(lstat(path, &st), 0);
    cpn_ctlsock_close(&one);
    cpn_ctlsock_close(&one); /* and once more */
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_that_are_none),
        cmocka_unit_test_setup_teardown(folders_not_to_be_trusted, make_home, remove_home),
        cmocka_unit_test_setup_teardown(an_unfit_runtime_folder_is_none, make_home, remove_home),
        cmocka_unit_test_setup_teardown(control_sockets_are_the_users_alone_and_go_away, make_home,
                                        remove_home),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
