/* What the tests of both doors share: control's yes, and what stands at the ends of a relay. */
#ifndef CPN_TESTS_FRONTRELAY_H
#define CPN_TESTS_FRONTRELAY_H

#include "frontclient.h"

#include "front/relay.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: " FRONT_HOST "\r\n"
#define UP                                                                                         \
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"                   \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define SSH_HELLO "SSH-2.0-test\r\n"

static const CPN_UNUSED cpn_uuid session = { { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
                                               16 } };

/* Control says yes; returns the far end of the target's socket. */
static CPN_UNUSED int
say_yes(fronttest *t, uint32_t conn, uint32_t stream, uint64_t id, bool first_bytes)
{
    cpn_msg m = { .type = CPN_MSG_OPENED,
                  .OPENED = { .conn = conn,
                              .stream = stream,
                              .session = session,
                              .id = id,
                              .tally = 3,
                              .first_bytes = first_bytes,
                              .up = CPN_NO_LIMIT,
                              .down = CPN_NO_LIMIT,
                              .answer = CPN_VIEW_LIT("{}") } };
    int fd[2];

    nettest_sockets(fd);
    tell(t, &m, fd[0]);
    return fd[1];
}

static CPN_UNUSED void
reads(fronttest *t, int fd, const char *text)
{
    char got[256] = "";
    size_t n = 0;
    uint64_t deadline = cpn_mono_ms() + 20000;

    while (n < strlen(text)) {
        ssize_t k = read(fd, got + n, strlen(text) - n);

        if (k == 0 || cpn_mono_ms() > deadline)
            fail_msg("'%s' instead of '%s'", got, text);
        n += (size_t)CPN_MAX(k, 0);
        uv_run(&t->nt.uv, UV_RUN_NOWAIT);
    }
    assert_string_equal(got, text);
}

static CPN_UNUSED void
reads_nothing(fronttest *t, int fd)
{
    char b;

    nettest_turns(&t->nt, 8);
    assert_true(read(fd, &b, 1) <= 0);
}

static CPN_UNUSED void
ended(fronttest *t, uint64_t id, cpn_reason why, uint64_t up, uint64_t down)
{
    const cpn_msg_ENDED *m = &heard(t, CPN_MSG_ENDED)->m.ENDED;

    assert_int_equal(m->id, id);
    if (m->why != why)
        fail_msg("%s instead of %s", cpn_reason_word((cpn_reason)m->why), cpn_reason_word(why));
    assert_int_equal(m->up, up);
    assert_int_equal(m->down, down);
}

#endif
