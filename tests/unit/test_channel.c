/* ipc: a hostile peer on the other end of a channel, then order, parking and descriptors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/ipc.h"
#include "ipc/tally.h"

typedef struct side {
    uv_loop_t loop;
    cpn_channel *c;
    int peer; /* the bare other end */
    int messages;
    int closed;
    int broken;
    int fds;
    int drained;
    uint32_t last;
    bool free_on_message;
} side;

static void
on_message(void *owner, const cpn_msg *msg, int fd)
{
    side *s = owner;

    s->messages++;
    if (msg->type == CPN_MSG_BODY) {
        assert_int_equal(msg->BODY.conn, s->last);
        s->last++;
    }
    if (fd >= 0) {
        s->fds++;
        close(fd);
    }
    if (s->free_on_message) {
        cpn_channel_free(s->c);
        s->c = NULL;
    }
}

static void
on_broken(void *owner, const cpn_err *err)
{
    side *s = owner;

    *(err ? &s->broken : &s->closed) += 1;
    cpn_channel_free(s->c);
    s->c = NULL;
}

static void
on_drained(void *owner)
{
    ((side *)owner)->drained++;
}

static const cpn_channel_handler handler = { on_message, on_broken };

static void
open_side(side *s, cpn_role self, cpn_role peer)
{
    int fds[2];

    *s = (side){ 0 };
    assert_int_equal(uv_loop_init(&s->loop), 0);
    assert_int_equal(cpn_channel_pair(fds, NULL), CPN_OK);
    assert_int_equal(cpn_channel_new(&s->c, &s->loop, fds[0], self, peer, &handler, s, NULL),
                     CPN_OK);
    s->peer = fds[1];
}

static void
close_side(side *s)
{
    cpn_channel_free(s->c);
    close(s->peer);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&s->loop), 0);
}

static void
send_raw(int sock, const void *p, size_t n, size_t fds_n)
{
    union {
        char b[CMSG_SPACE(sizeof(int) * 8)];
        struct cmsghdr align;
    } control = { 0 };
    struct iovec iov = { (void *)(uintptr_t)p, n };
    struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

    if (fds_n) {
        int fds[8] = { 0, 0, 0, 0, 0, 0, 0, 0 };
        m.msg_control = control.b;
        m.msg_controllen = CMSG_SPACE(sizeof(int) * fds_n);
        control.align.cmsg_level = SOL_SOCKET;
        control.align.cmsg_type = SCM_RIGHTS;
        control.align.cmsg_len = CMSG_LEN(sizeof(int) * fds_n);
        memcpy(CMSG_DATA(&control.align), fds, sizeof(int) * fds_n);
    }
    assert_int_equal(sendmsg(sock, &m, MSG_NOSIGNAL), n);
}

static int
open_fds(void)
{
    int n = 0;

    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void
hostile_packets_break_the_channel(void **state)
{
    static uint8_t huge[CPN_IPC_PACKET_MAX + 1];
    const struct {
        const char *why;
        cpn_view packet;
        size_t fds;
    } refused[] = {
        { "a byte", CPN_VIEW_LIT("x"), 0 },
        { "garbage", CPN_VIEW_LIT("garbage garbage"), 0 },
        { "too long for any message", { huge, sizeof(huge) }, 0 },
        { "a message of control", CPN_VIEW_LIT("\x2f\x00\x01\0\0\0"), 0 },
        { "a message of keeper with its descriptor", CPN_VIEW_LIT("\x16\x00\x01\0\0\0"), 1 },
        { "GONE, one byte short", CPN_VIEW_LIT("\x44\x00\x01\0\0"), 0 },
        { "GONE, one byte long", CPN_VIEW_LIT("\x44\x00\x01\0\0\0\0"), 0 },
        { "GONE with a descriptor", CPN_VIEW_LIT("\x44\x00\x01\0\0\0"), 1 },
        { "GONE with eight descriptors", CPN_VIEW_LIT("\x44\x00\x01\0\0\0"), 8 },
        { "garbage with descriptors", CPN_VIEW_LIT("\xff\xff\xff\xff"), 3 },
    };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++) {
        side s;
        int before;
        open_side(&s, CPN_ROLE_CONTROL, CPN_ROLE_FRONT);
        before = open_fds();
        send_raw(s.peer, refused[i].packet.p, refused[i].packet.n, refused[i].fds);
        uv_run(&s.loop, UV_RUN_NOWAIT);
        if (s.broken != 1 || s.messages || s.fds || s.closed)
            fail_msg("%s: broken %d, messages %d", refused[i].why, s.broken, s.messages);
        assert_int_equal(open_fds(), before - 1);
        close_side(&s);
    }
}

static void
missing_descriptors_break_the_channel(void **state)
{
    side s;

    (void)state;
    open_side(&s, CPN_ROLE_CONTROL, CPN_ROLE_KEEPER);
    send_raw(s.peer, "\x16\x00\x01\0\0\0", 6, 0);
    uv_run(&s.loop, UV_RUN_NOWAIT);
    assert_int_equal(s.broken, 1);
    close_side(&s);
    open_side(&s, CPN_ROLE_CONTROL, CPN_ROLE_KEEPER);
    send_raw(s.peer, "\x16\x00\x01\0\0\0", 6, 1);
    uv_run(&s.loop, UV_RUN_NOWAIT);
    assert_int_equal(s.messages, 1);
    assert_int_equal(s.fds, 1);
    close_side(&s);
}

static void
a_closed_peer_is_told_once(void **state)
{
    cpn_msg m = { .type = CPN_MSG_DRAIN };
    side s;

    (void)state;
    open_side(&s, CPN_ROLE_CONTROL, CPN_ROLE_FRONT);
    shutdown(s.peer, SHUT_RDWR);
    assert_int_equal(cpn_channel_send(s.c, &m, -1), CPN_EOF);
    uv_run(&s.loop, UV_RUN_NOWAIT);
    assert_int_equal(s.closed, 1);
    assert_int_equal(s.broken, 0);
    close_side(&s);
}

/* A process that died: the kernel says so before it hands out what was sent, and says it at once.
 */
static void
what_a_dead_peer_sent_arrives(void **state)
{
    cpn_msg m = { .type = CPN_MSG_DRAIN };
    side s;

    (void)state;
    open_side(&s, CPN_ROLE_CONTROL, CPN_ROLE_FRONT);
    assert_int_equal(cpn_channel_send(s.c, &m, -1), CPN_OK);
    for (int i = 0; i < 100; i++)
        send_raw(s.peer, "\x44\x00\x01\0\0\0", 6, 0);
    close(s.peer);
    s.peer = -1;
    while (!s.closed)
        uv_run(&s.loop, UV_RUN_ONCE);
    assert_int_equal(s.messages, 100);
    assert_int_equal(s.broken, 0);
    close_side(&s);
}

static void
a_handler_may_free_its_channel(void **state)
{
    side s;

    (void)state;
    open_side(&s, CPN_ROLE_CONTROL, CPN_ROLE_FRONT);
    s.free_on_message = true;
    send_raw(s.peer, "\x44\x00\x01\0\0\0", 6, 0);
    send_raw(s.peer, "\x44\x00\x01\0\0\0", 6, 0);
    uv_run(&s.loop, UV_RUN_NOWAIT);
    assert_int_equal(s.messages, 1);
    close_side(&s);
}

/* A front that floods control: what does not fit parks, keeps its order, and ends at the bound. */
static void
full_channels_park_in_order(void **state)
{
    static uint8_t body[32768];
    cpn_msg m = { .type = CPN_MSG_BODY, .BODY = { .body = { body, sizeof(body) } } };
    side front, control;
    uint32_t sent = 0;

    (void)state;
    open_side(&front, CPN_ROLE_FRONT, CPN_ROLE_CONTROL);
    cpn_channel_on_drain(front.c, on_drained);
    while ((m.BODY.conn = sent, cpn_channel_send(front.c, &m, -1)) == CPN_OK)
        sent++;
    assert_true(sent > 2000 && sent < 5000);
    assert_true(cpn_channel_parked(front.c) <= CPN_IPC_QUEUE_BYTES);

    control = (side){ .peer = -1 };
    assert_int_equal(uv_loop_init(&control.loop), 0);
    assert_int_equal(cpn_channel_new(&control.c, &control.loop, front.peer, CPN_ROLE_CONTROL,
                                     CPN_ROLE_FRONT, &handler, &control, NULL),
                     CPN_OK);
    front.peer = -1;
    while (control.messages < (int)sent) {
        uv_run(&front.loop, UV_RUN_NOWAIT);
        uv_run(&control.loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(control.broken, 0);
    assert_int_equal(front.drained, 1);
    assert_int_equal(cpn_channel_parked(front.c), 0);
    close_side(&front);
    close_side(&control);
}

/* A full queue costs the peer its life: what every stream of a gateway needs said must fit. */
static void
news_of_every_stream_parks(void **state)
{
    cpn_msg m = { .type = CPN_MSG_ALIVE };
    side s;

    (void)state;
    open_side(&s, CPN_ROLE_KEEPER, CPN_ROLE_CONTROL);
    for (unsigned i = 0; i < 262144; i++)
        assert_int_equal(cpn_channel_send(s.c, &m, -1), CPN_OK);
    close_side(&s);
}

static void
fields_over_their_bound_are_not_sent(void **state)
{
    static uint8_t target[2049];
    cpn_msg m = { .type = CPN_MSG_OPEN, .OPEN = { .target = { target, sizeof(target) } } };
    side s;

    (void)state;
    open_side(&s, CPN_ROLE_FRONT, CPN_ROLE_CONTROL);
    assert_int_equal(cpn_channel_send(s.c, &m, -1), CPN_E_PROTO);
    m.OPEN.target.n--;
    assert_int_equal(cpn_channel_send(s.c, &m, -1), CPN_OK);
    close_side(&s);
}

static void
parked_descriptors_are_closed_with_the_channel(void **state)
{
    static uint8_t body[32768];
    cpn_msg m = { .type = CPN_MSG_DIALED, .DIALED = { .detail = { body, 256 } } };
    side s;
    int before = open_fds();

    (void)state;
    open_side(&s, CPN_ROLE_KEEPER, CPN_ROLE_CONTROL);
    while (cpn_channel_parked(s.c) < 3 * 256)
        assert_int_equal(cpn_channel_send(s.c, &m, dup(0)), CPN_OK);
    assert_true(open_fds() > before + 2);
    close_side(&s);
    assert_int_equal(open_fds(), before);
}

static void
a_tally_cannot_be_forged(void **state)
{
    int plain = memfd_create("plain", MFD_CLOEXEC), fd = -1;
    const cpn_tally *seen = NULL;
    cpn_tally *own = NULL;
    cpn_err err = { 0 };

    (void)state;
    assert_int_equal(cpn_tally_map_readonly(&seen, plain, NULL), CPN_E_PROTO);
    assert_int_equal(ftruncate(plain, sizeof(cpn_tally)), 0);
    assert_int_equal(cpn_tally_map_readonly(&seen, plain, NULL), CPN_E_PROTO);
    close(plain);
    assert_int_equal(cpn_tally_create(&fd, &err), CPN_OK);
    assert_int_equal(ftruncate(fd, 4096), -1);
    assert_int_equal(cpn_tally_map(&own, fd, &err), CPN_OK);
    assert_int_equal(cpn_tally_map_readonly(&seen, fd, &err), CPN_OK);
    cpn_tally_set(&own->slots[CPN_TALLY_SLOTS - 1].up, 42);
    assert_int_equal(cpn_tally_read(seen, CPN_TALLY_SLOTS - 1).up, 42);
    assert_int_equal(cpn_tally_read(seen, CPN_TALLY_SLOTS).up, 0);
    cpn_tally_unmap(own);
    cpn_tally_unmap(seen);
    close(fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_packets_break_the_channel),
        cmocka_unit_test(missing_descriptors_break_the_channel),
        cmocka_unit_test(a_closed_peer_is_told_once),
        cmocka_unit_test(what_a_dead_peer_sent_arrives),
        cmocka_unit_test(a_handler_may_free_its_channel),
        cmocka_unit_test(full_channels_park_in_order),
        cmocka_unit_test(news_of_every_stream_parks),
        cmocka_unit_test(fields_over_their_bound_are_not_sent),
        cmocka_unit_test(parked_descriptors_are_closed_with_the_channel),
        cmocka_unit_test(a_tally_cannot_be_forged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
