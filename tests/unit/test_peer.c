/* client/peer and client/inlet: whose connection it is, and where one may listen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/inlet.h"

#define TRIES 10000
#define NOBODY 65534 /* any second uid */

static cpn_inlet tcp;

static cpn_rc
listen_on(cpn_inlet *in, const char *address, cpn_err *err)
{
    cpn_addr at;

    assert_int_equal(cpn_addr_parse(&at, cpn_view_str(address), NULL), CPN_OK);
    for (unsigned port = 20000 + (unsigned)getpid() % 10000; port < 32768; port++) {
        cpn_rc rc = cpn_inlet_tcp(in, &at, port, err);

        if (rc != CPN_E_SYS || !strstr(err->msg, "in use"))
            return rc;
    }
    return CPN_E_SYS;
}

static int
open_tcp(void **state)
{
    cpn_err err = { 0 };

    (void)state;
    tcp = CPN_INLET_NONE;
    if (listen_on(&tcp, "127.0.0.1", &err) != CPN_OK)
        fail_msg("%s", err.msg);
    return 0;
}

static int
close_tcp(void **state)
{
    (void)state;
    cpn_inlet_close(&tcp);
    return 0;
}

static int
connected(int family)
{
    struct sockaddr_storage to;
    cpn_addr at = tcp.address;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&to;
    socklen_t n = cpn_addr_to_sockaddr(&at, (uint16_t)tcp.port, &to);
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (family == AF_INET6) { /* as programs that know only IPv6 sockets write 127.0.0.1 */
        memset(&to, 0, sizeof(to));
        six->sin6_family = AF_INET6;
        six->sin6_port = htons((uint16_t)tcp.port);
        memcpy(&six->sin6_addr, at.b, sizeof(at.b));
        n = sizeof(*six);
    }
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, n) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Wait for the next connection and judge it. */
static cpn_rc
next_may(const cpn_peer_rule *rule, cpn_err *err)
{
    struct timeval patience = { .tv_sec = 20 };
    fd_set in;
    int fd;
    cpn_rc rc;

    FD_ZERO(&in);
    FD_SET(tcp.fd, &in);
    assert_int_equal(select(tcp.fd + 1, &in, NULL, NULL, &patience), 1);
    fd = accept(tcp.fd, NULL, NULL);
    assert_true(fd >= 0);
    rc = cpn_peer_may(fd, rule, err);
    close(fd);
    return rc;
}

/* Many tries of one user; every second one is over before anybody looks at it. hold: none is. */
static pid_t
try_as(uid_t uid, bool hold)
{
    pid_t pid = fork();
    char byte;

    if (pid != 0)
        return pid;
    if (setgid(uid) < 0 || setuid(uid) < 0)
        _exit(2);
    for (int i = 0; i < TRIES; i++) {
        int fd = connected(AF_INET);

        if (fd < 0)
            _exit(3);
        if (hold || i % 2)
            (void)!read(fd, &byte, 1); /* until it was judged */
        close(fd);
    }
    _exit(0);
}

static void
expect_end(pid_t pid)
{
    int status = 0;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void
another_user_is_never_let_in(void **state)
{
    const cpn_peer_rule rule = { 0 };
    unsigned denied = 0, gone = 0;
    pid_t pid;

    (void)state;
    if (geteuid() != 0)
        skip();
    pid = try_as(NOBODY, false);
    for (int i = 0; i < TRIES; i++) {
        cpn_rc rc = next_may(&rule, NULL);

        denied += rc == CPN_DENIED;
        gone += rc == CPN_NOT_FOUND;
    }
    expect_end(pid);
    assert_int_equal(denied + gone, TRIES);
    assert_true(denied >= TRIES / 2); /* those that waited are told apart from those that left */
}

static void
the_user_itself_always_is(void **state)
{
    const cpn_peer_rule rule = { 0 };
    pid_t pid;

    (void)state;
    pid = try_as(geteuid(), true);
    for (int i = 0; i < TRIES; i++) {
        cpn_err err = { 0 };

        if (next_may(&rule, &err) != CPN_OK)
            fail_msg("try %d: %s", i, err.msg);
    }
    expect_end(pid);
}

static void
a_named_user_is(void **state)
{
    cpn_peer_rule rule = { 0 };
    pid_t pid;

    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(cpn_peer_rule_add(&rule, "12345,65534", NULL), CPN_OK);
    pid = try_as(NOBODY, true);
    for (int i = 0; i < TRIES; i++)
        assert_int_equal(next_may(&rule, NULL), CPN_OK);
    expect_end(pid);
}

static void
the_ways_of_ones_own_programs(void **state)
{
    const cpn_peer_rule rule = { 0 };
    cpn_err err = { 0 };
    int fd;

    (void)state;
    fd = connected(AF_INET6);
    if (fd >= 0) {
        assert_int_equal(next_may(&rule, &err), CPN_OK);
        close(fd);
    }
    fd = connected(AF_INET);
    shutdown(fd, SHUT_WR);
    assert_int_equal(next_may(&rule, &err), CPN_OK);
    close(fd);
    fd = connected(AF_INET);
    close(fd);
    assert_int_equal(next_may(&rule, &err), CPN_NOT_FOUND);
}

static void
rules_that_are_refused(void **state)
{
    static const char *const bad[] = { "",           "x",           "-1", "1,", ",1",
                                       "4294967295", "99999999999", "01", "1 ", "0x1" };
    cpn_peer_rule many = { 0 };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(bad); i++) {
        cpn_peer_rule rule = { 0 };

        if (cpn_peer_rule_add(&rule, bad[i], NULL) != CPN_INVALID)
            fail_msg("'%s' is taken", bad[i]);
    }
    for (int i = 0; i < CPN_PEER_UIDS_MAX; i++)
        assert_int_equal(cpn_peer_rule_add(&many, "7", NULL), CPN_OK);
    assert_int_equal(cpn_peer_rule_add(&many, "7", NULL), CPN_LIMIT);
}

static void
an_open_address_must_be_meant(void **state)
{
    cpn_inlet in = CPN_INLET_NONE;
    cpn_err err = { 0 };

    (void)state;
    assert_int_equal(listen_on(&in, "0.0.0.0", &err), CPN_INVALID);
    assert_int_equal(listen_on(&in, "::", &err), CPN_INVALID);
    in.peers.everybody = true;
    assert_int_equal(listen_on(&in, "127.0.0.1", &err), CPN_INVALID);
    assert_int_equal(listen_on(&in, "0.0.0.0", &err), CPN_OK);
    cpn_inlet_close(&in);
}

static void
a_squatted_port_is_an_error(void **state)
{
    cpn_inlet squatter = CPN_INLET_NONE, in = CPN_INLET_NONE;
    cpn_addr at;
    cpn_err err = { 0 };

    (void)state;
    squatter.peers.everybody = true;
    assert_int_equal(listen_on(&squatter, "0.0.0.0", &err), CPN_OK);
    assert_int_equal(cpn_addr_parse(&at, cpn_view_str("127.0.0.1"), NULL), CPN_OK);
    assert_int_equal(cpn_inlet_tcp(&in, &at, squatter.port, &err), CPN_E_SYS);
    assert_non_null(strstr(err.msg, "in use"));
    cpn_inlet_close(&squatter);
}

static void
unix_sockets_are_the_users_alone(void **state)
{
    char dir[] = "/tmp/cpn-inlet-XXXXXX", path[64], long_path[200];
    cpn_inlet in = CPN_INLET_NONE, second = CPN_INLET_NONE;
    struct stat st;
    cpn_err err = { 0 };

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/s", dir);
    memset(long_path, 'a', sizeof(long_path) - 1);
    long_path[sizeof(long_path) - 1] = '\0';
    assert_int_equal(cpn_inlet_unix(&in, "", &err), CPN_INVALID);
    assert_int_equal(cpn_inlet_unix(&in, long_path, &err), CPN_INVALID);
    assert_int_equal(cpn_inlet_unix(&in, path, &err), CPN_OK);
    assert_int_equal(lstat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(cpn_inlet_unix(&second, path, &err), CPN_E_SYS); /* it is served */
    close(in.fd);
    in.fd = -1;
    assert_int_equal(cpn_inlet_unix(&second, path, &err), CPN_OK); /* left behind */
    in.path[0] = '\0';
    cpn_inlet_close(&second);
    assert_int_not_equal(lstat(path, &st), 0);
    assert_int_equal(symlink("/nonexistent", path), 0);
    assert_int_equal(cpn_inlet_unix(&in, path, &err), CPN_E_SYS);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
}

static void
a_unix_peer_is_known(void **state)
{
    const cpn_peer_rule rule = { 0 };
    uid_t uid = 1;
    int pair[2], file = dup(0);
    cpn_err err = { 0 };

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(cpn_peer_uid(pair[0], &uid, &err), CPN_OK);
    assert_int_equal(uid, geteuid());
    assert_int_equal(cpn_peer_may(pair[0], &rule, &err), CPN_OK);
    assert_int_equal(cpn_peer_may(file, &rule, &err), CPN_E_SYS); /* no socket: no */
    close(pair[0]);
    close(pair[1]);
    close(file);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_that_are_refused),
        cmocka_unit_test(an_open_address_must_be_meant),
        cmocka_unit_test(a_squatted_port_is_an_error),
        cmocka_unit_test(unix_sockets_are_the_users_alone),
        cmocka_unit_test(a_unix_peer_is_known),
        cmocka_unit_test_setup_teardown(the_ways_of_ones_own_programs, open_tcp, close_tcp),
        cmocka_unit_test_setup_teardown(another_user_is_never_let_in, open_tcp, close_tcp),
        cmocka_unit_test_setup_teardown(the_user_itself_always_is, open_tcp, close_tcp),
        cmocka_unit_test_setup_teardown(a_named_user_is, open_tcp, close_tcp),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
