/* keeper as a whole: this program is also the control and the front that keeper starts, which play
 * their parts and say on stderr what is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/ipc.h"
#include "ipc/tally.h"
#include "keeper/keeper.h"
#include "keeper/listen.h"
#include "model/reason.h"

#define RUDE "rude:" /* then the note that it leaves */
#define ME 3         /* the descriptor of a role's channel */

#define EXPECT(cond)                                                                               \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            dprintf(2, "FAIL %s:%d: %s\n", __func__, __LINE__, #cond);                             \
            kill(getppid(), SIGTERM);                                                              \
            kill(getppid(), SIGTERM); /* at once, instead of a restart */                          \
            _exit(3);                                                                              \
        }                                                                                          \
    } while (0)

/* ---- blocking ends of a channel -------------------------------------------------------------- */

static uint8_t packet[CPN_IPC_PACKET_MAX];

static bool
next_message(int sock, cpn_msg *m, int *fd)
{
    union {
        char b[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = { 0 };
    struct iovec iov = { packet, sizeof(packet) };
    struct msghdr h = { .msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = control.b,
                        .msg_controllen = sizeof(control.b) };
    ssize_t n;

    fcntl(sock, F_SETFL, fcntl(sock, F_GETFL) & ~O_NONBLOCK);
    n = recvmsg(sock, &h, MSG_CMSG_CLOEXEC);
    *fd = -1;
    if (n <= 0)
        return false;
    if (CMSG_FIRSTHDR(&h))
        memcpy(fd, CMSG_DATA(CMSG_FIRSTHDR(&h)), sizeof(int));
    EXPECT(cpn_msg_decode(m, (cpn_view){ packet, (size_t)n }, NULL) == CPN_OK);
    return true;
}

static void
tell(int sock, const cpn_msg *m)
{
    EXPECT(cpn_channel_post(sock, m, -1, NULL) == CPN_OK);
}

/* The next message, which must be of this type. */
static cpn_msg
want(cpn_msg_type type, int *fd)
{
    cpn_msg m;

    EXPECT(next_message(ME, &m, fd));
    if (m.type != type)
        dprintf(2, "got %s, wanted %s\n", cpn_msg_name(m.type), cpn_msg_name(type));
    EXPECT(m.type == type);
    return m;
}

/* ---- the front --------------------------------------------------------------------------------
 */

/* That it lives, and, as a number of connections, the port that keeper bound for it. */
static void
say_ready(int sock)
{
    cpn_msg ready = { .type = CPN_MSG_READY }, port = { .type = CPN_MSG_COUNTERS };
    cpn_addr addr;
    uint16_t n = 0;

    EXPECT(cpn_listen_address(6, &addr, &n, NULL) == CPN_OK);
    port.COUNTERS.connections = n;
    tell(sock, &ready);
    tell(sock, &port);
}

static int
front_main(void)
{
    cpn_tally *tally = NULL;
    cpn_msg m;
    int fd;

    EXPECT(cpn_tally_map(&tally, 5, NULL) == CPN_OK);
    cpn_tally_set(&tally->heartbeat_ms, (uint64_t)getpid());
    EXPECT(write(4, "x", 1) < 0 && errno == EPIPE); /* keeper never reads from a front */
    say_ready(ME);
    while (next_message(4, &m, &fd)) {
        EXPECT(m.type == CPN_MSG_NEW_CHANNEL && fd >= 0);
        say_ready(fd);
    }
    return 0;
}

/* ---- the control ------------------------------------------------------------------------------
 */

static void
send_config(const char *listen, bool allow_loopback)
{
    cpn_msg m = { .type = CPN_MSG_CONFIG,
                  .CONFIG = { .fronts = 2,
                              .fence_allow_loopback = allow_loopback,
                              .dial_timeout_ms = 5000,
                              .drain_ms = 5000,
                              .dials_max = 8,
                              .listen = cpn_view_str(listen),
                              .admin_listen = cpn_view_str("127.0.0.1:0\n"),
                              .fence_deny = cpn_view_str("127.0.0.9/32\n") } };

    tell(ME, &m);
}

typedef struct offered {
    uint32_t pid[3];
    int channel[3];
    uint32_t port;
} offered;

static void
take_front(offered *o)
{
    const cpn_tally *tally = NULL;
    cpn_msg up, m, said;
    int fd, none;

    up = want(CPN_MSG_FRONT_UP, &fd);
    EXPECT(up.FRONT_UP.front >= 1 && up.FRONT_UP.front <= 2 && fd >= 0);
    o->pid[up.FRONT_UP.front] = up.FRONT_UP.pid;
    o->channel[up.FRONT_UP.front] = fd;
    m = want(CPN_MSG_FRONT_TALLY, &fd);
    EXPECT(m.FRONT_TALLY.front == up.FRONT_UP.front);
    EXPECT(cpn_tally_map_readonly(&tally, fd, NULL) == CPN_OK);
    EXPECT(next_message(o->channel[up.FRONT_UP.front], &said, &none));
    EXPECT(said.type == CPN_MSG_READY);
    EXPECT(next_message(o->channel[up.FRONT_UP.front], &said, &none));
    EXPECT(said.type == CPN_MSG_COUNTERS);
    o->port = said.COUNTERS.connections;
    EXPECT(cpn_tally_get(&tally->heartbeat_ms) == up.FRONT_UP.pid);
    cpn_tally_unmap(tally);
    close(fd);
}

static cpn_reason
dial(const char *to, uint64_t stream, int *fd)
{
    cpn_msg m = { .type = CPN_MSG_DIAL, .DIAL = { .stream = stream, .deadline_ms = 5000 } };
    cpn_msg end;

    m.DIAL.session = (cpn_uuid){ { 1, 2, 3 } };
    EXPECT(cpn_addr_port_parse(&m.DIAL.addr, &m.DIAL.port, cpn_view_str(to), NULL) == CPN_OK);
    tell(ME, &m);
    end = want(CPN_MSG_DIALED, fd);
    EXPECT(end.DIALED.stream == stream && end.DIALED.session.b[0] == 1);
    EXPECT((end.DIALED.why == CPN_WHY_NONE) == (*fd >= 0));
    return (cpn_reason)end.DIALED.why;
}

static int
open_target(char text[CPN_ADDR_TEXT])
{
    struct sockaddr_storage sa;
    socklen_t n = sizeof(sa);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cpn_addr a;
    uint16_t port;

    EXPECT(cpn_addr_parse(&a, cpn_view_str("127.0.0.1"), NULL) == CPN_OK);
    n = cpn_addr_to_sockaddr(&a, 0, &sa);
    EXPECT(bind(fd, (struct sockaddr *)&sa, n) == 0 && listen(fd, 4) == 0);
    EXPECT(getsockname(fd, (struct sockaddr *)&sa, &n) == 0);
    EXPECT(cpn_addr_from_sockaddr(&a, &port, (struct sockaddr *)&sa));
    cpn_addr_port_text(&a, port, text);
    return fd;
}

static size_t
count_alive(void)
{
    cpn_msg m = { .type = CPN_MSG_LIST };
    size_t n = 0;
    int fd;

    tell(ME, &m);
    for (;; n++) {
        EXPECT(next_message(ME, &m, &fd));
        if (m.type == CPN_MSG_ALIVE_END)
            return n;
        EXPECT(m.type == CPN_MSG_ALIVE);
    }
}

static void
refused_dials(const char *own_listener)
{
    static const char *const fenced[] = { "127.0.0.9:22",        "169.254.169.254:80",
                                          "0.0.0.0:22",          "[::ffff:169.254.169.254]:80",
                                          "[fe80::1]:22",        "224.0.0.1:22",
                                          "[64:ff9b::a00:1]:22", "127.0.0.1:0" };
    char closed[CPN_ADDR_TEXT];
    int fd;

    for (size_t i = 0; i < CPN_COUNT(fenced); i++)
        EXPECT(dial(fenced[i], 100, &fd) == CPN_WHY_FENCE);
    EXPECT(dial(own_listener, 101, &fd) == CPN_WHY_FENCE);
    close(open_target(closed));
    EXPECT(dial(closed, 102, &fd) == CPN_WHY_DIAL_REFUSED);
    EXPECT(count_alive() == 0);
}

static void
one_session(void)
{
    cpn_msg shut = { .type = CPN_MSG_SHUT, .SHUT = { .session = { { 1, 2, 3 } } } };
    cpn_msg release = { .type = CPN_MSG_RELEASE, .RELEASE = { .session = { { 1, 2, 3 } } } };
    char target[CPN_ADDR_TEXT], byte;
    int listener = open_target(target), fd = -1, accepted, user_timeout = -1;
    socklen_t n = sizeof(user_timeout);

    EXPECT(dial(target, 7, &fd) == CPN_WHY_NONE);
    /* It bounds an unanswered connect, too: a dial has its deadline and no other. */
    EXPECT(getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout, &n) == 0);
    EXPECT(user_timeout == 0);
    accepted = accept(listener, NULL, NULL);
    EXPECT(accepted >= 0 && write(fd, "y", 1) == 1 && read(accepted, &byte, 1) == 1);
    EXPECT(count_alive() == 1);
    EXPECT(dial(target, 7, &accepted) == CPN_WHY_BUSY); /* a stream has one socket */
    accepted = accept(listener, NULL, NULL);
    tell(ME, &shut); /* our own copy stays open: the cut does not depend on whoever holds it */
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    EXPECT(read(fd, &byte, 1) == 0);
    release.RELEASE.stream = 7;
    tell(ME, &release);
    EXPECT(count_alive() == 0);
    close(listener);
}

/* Of what was on its way when the session was cut, nothing more goes out. */
static void
cut_is_reset(void)
{
    cpn_msg shut = { .type = CPN_MSG_SHUT, .SHUT = { .session = { { 1, 2, 3 } } } };
    cpn_msg release = { .type = CPN_MSG_RELEASE,
                        .RELEASE = { .session = { { 1, 2, 3 } }, .stream = 10 } };
    char target[CPN_ADDR_TEXT], bytes[4096] = { 0 };
    int listener = open_target(target), fd = -1, accepted;
    ssize_t n;

    EXPECT(dial(target, 10, &fd) == CPN_WHY_NONE);
    accepted = accept(listener, NULL, NULL);
    while (send(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        continue;
    tell(ME, &shut);
    tell(ME, &release);
    EXPECT(count_alive() == 0);
    close(fd);
    while ((n = read(accepted, bytes, sizeof(bytes))) > 0)
        continue;
    EXPECT(n < 0 && errno == ECONNRESET);
    close(accepted);
    close(listener);
}

/* A front that says ENDED and keeps its copy: RELEASE alone makes the copy worthless, and what was
 * on its way either way still arrives. */
static void
released_is_shut(void)
{
    cpn_msg release = { .type = CPN_MSG_RELEASE,
                        .RELEASE = { .session = { { 1, 2, 3 } }, .stream = 9 } };
    char target[CPN_ADDR_TEXT], byte;
    int listener = open_target(target), fd = -1, accepted;

    EXPECT(dial(target, 9, &fd) == CPN_WHY_NONE);
    accepted = accept(listener, NULL, NULL);
    EXPECT(accepted >= 0 && write(fd, "u", 1) == 1 && write(accepted, "d", 1) == 1);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    EXPECT(recv(fd, &byte, 1, MSG_PEEK) == 1);
    tell(ME, &release);
    EXPECT(count_alive() == 0);
    EXPECT(write(fd, "x", 1) < 0 && errno == EPIPE);
    EXPECT(read(fd, &byte, 1) == 1 && byte == 'd' && read(fd, &byte, 1) == 0);
    EXPECT(read(accepted, &byte, 1) == 1 && byte == 'u' && read(accepted, &byte, 1) == 0);
    close(fd);
    close(accepted);
    close(listener);
}

/* Its first life: everything, then a sudden end. */
static int
control_first(const char *note)
{
    cpn_msg kill_front = { .type = CPN_MSG_KILL_FRONT, .KILL_FRONT = { .front = 1 } };
    cpn_msg started = { .type = CPN_MSG_STARTED }, down;
    offered o = { 0 };
    char own[CPN_ADDR_TEXT], target[CPN_ADDR_TEXT];
    uint32_t before;
    int fd;

    send_config("127.0.0.1:0\n", true);
    take_front(&o);
    take_front(&o);
    snprintf(own, sizeof(own), "127.0.0.1:%u", o.port);
    tell(ME, &started);
    refused_dials(own);
    one_session();
    cut_is_reset();
    released_is_shut();
    before = o.pid[1];
    tell(ME, &kill_front);
    down = want(CPN_MSG_FRONT_DOWN, &fd);
    EXPECT(down.FRONT_DOWN.front == 1 && WIFSIGNALED((int)down.FRONT_DOWN.status));
    take_front(&o);
    EXPECT(o.pid[1] != before);
    EXPECT(open_target(target) >= 0 && dial(target, 8, &fd) == CPN_WHY_NONE);
    fd = open(note, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    EXPECT(write(fd, o.pid, sizeof(o.pid)) == sizeof(o.pid));
    raise(SIGKILL);
    return 0;
}

/* Its second life: the same fronts and streams, then told to stop. */
static int
control_second(int note)
{
    uint32_t pids[3];
    offered o = { 0 };
    cpn_msg m;
    int fd;

    EXPECT(read(note, pids, sizeof(pids)) == sizeof(pids));
    send_config("127.0.0.1:1\n", true); /* another address: logged, not bound */
    take_front(&o);
    take_front(&o);
    EXPECT(o.port != 1);
    EXPECT(memcmp(o.pid, pids, sizeof(pids)) == 0);
    EXPECT(count_alive() == 1);
    EXPECT(kill(getppid(), SIGHUP) == 0);
    m = want(CPN_MSG_SIGNAL, &fd);
    EXPECT(m.SIGNAL.signal == SIGHUP);
    EXPECT(kill(getppid(), SIGTERM) == 0);
    m = want(CPN_MSG_SIGNAL, &fd);
    EXPECT(m.SIGNAL.signal == SIGTERM);
    dprintf(2, "the play is over\n");
    return 0;
}

static int
control_main(const char *play)
{
    int note;

    if (strcmp(play, "gives up") == 0)
        return 2;
    if (strcmp(play, "open listener") == 0) {
        send_config("127.0.0.1:0\n0.0.0.0:0\n", true);
        pause();
    }
    if (strncmp(play, RUDE, strlen(RUDE)) == 0) {
        cpn_msg list = { .type = CPN_MSG_LIST };
        int seen = open(play + strlen(RUDE), O_WRONLY | O_CREAT | O_EXCL, 0600);
        if (seen < 0)
            return 4; /* it was killed and started again */
        close(seen);
        tell(ME, &list);
        pause();
    }
    note = open(play, O_RDONLY);
    return note < 0 ? control_first(play) : control_second(note);
}

/* ---- the tests --------------------------------------------------------------------------------
 */

static char said[65536], ready[1024];

static size_t
read_all(int fd, char *out, size_t size)
{
    size_t n = 0;
    ssize_t got;

    while (n < size - 1 && (got = read(fd, out + n, size - 1 - n)) > 0)
        n += (size_t)got;
    out[n] = '\0';
    close(fd);
    return n;
}

/* Keeper with a control that plays this part; its exit status. */
static int
run_keeper(const char *play)
{
    int err[2], rdy[2], status;
    pid_t pid;

    assert_int_equal(pipe2(err, O_CLOEXEC), 0);
    assert_int_equal(pipe2(rdy, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        cpn_role_args args = { .role = CPN_ROLE_KEEPER, .config_path = play, .ready = rdy[1] };
        dup2(err[1], 2);
        close(err[1]);
        close(rdy[0]);
        signal(SIGPIPE, SIG_IGN);
        _exit(cpn_keeper_main(&args));
    }
    close(err[1]);
    close(rdy[1]);
    read_all(rdy[0], ready, sizeof(ready));
    read_all(err[0], said, sizeof(said));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || strstr(said, "FAIL"))
        fail_msg("keeper ended with %x: %s", status,
                 strstr(said, "FAIL") ? strstr(said, "FAIL") : said);
    return WEXITSTATUS(status);
}

static void
a_control_that_gives_up_ends_the_gateway(void **state)
{
    (void)state;
    assert_int_equal(run_keeper("gives up"), 2);
    assert_string_equal(ready, "");
}

static void
loopback_is_not_dialled_from_an_open_listener(void **state)
{
    (void)state;
    assert_int_equal(run_keeper("open listener"), 2);
    assert_non_null(strstr(said, "fence_allow_loopback"));
}

static void
a_control_that_breaks_the_rules_is_killed(void **state)
{
    (void)state;
    char play[] = RUDE "/tmp/cpn-keeper-XXXXXX";
    char *note = play + strlen(RUDE);
    int fd = mkstemp(note);

    assert_true(fd >= 0);
    close(fd);
    unlink(note);
    assert_int_equal(run_keeper(play), 4);
    assert_non_null(strstr(said, "a message before CONFIG"));
    unlink(note);
}

static void
the_whole_play(void **state)
{
    char note[] = "/tmp/cpn-keeper-XXXXXX";
    int fd = mkstemp(note), status;

    (void)state;
    close(fd);
    unlink(note);
    status = run_keeper(note);
    unlink(note);
    if (status != 0 || !strstr(said, "the play is over"))
        fail_msg("keeper ended with %d:\n%s", status, said);
    assert_true(strncmp(ready, "READY=1\nLISTEN=127.0.0.1:", 25) == 0);
    assert_non_null(strstr(ready, "\nADMIN=127.0.0.1:"));
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_control_that_gives_up_ends_the_gateway),
        cmocka_unit_test(loopback_is_not_dialled_from_an_open_listener),
        cmocka_unit_test(a_control_that_breaks_the_rules_is_killed),
        cmocka_unit_test(the_whole_play),
    };

    if (argc > 1 && strcmp(argv[1], "--role=front") == 0)
        _exit(front_main());
    if (argc > 4 && strcmp(argv[1], "--role=control") == 0)
        _exit(control_main(argv[4]));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
