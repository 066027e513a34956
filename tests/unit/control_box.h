/* What scripted roles have received from a control under test, message by message. */
#ifndef CPN_TESTS_CONTROL_BOX_H
#define CPN_TESTS_CONTROL_BOX_H

#include "policy_fixture.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/fronts.h"
#include "control/sessions.h"
#include "ipc/tally.h"

#define PATIENCE_MS 10000
#define WORLD_EPOCH 7
#define FRONT 3 /* keeper's number of the scripted front */

/* What a scripted role has received and not yet looked at. */
typedef struct cpn_box {
    struct {
        uint8_t *packet;
        size_t n;
        int fd;
    } got[256];
    unsigned n;
    cpn_channel *channel;
    bool broken;
    uint8_t shown[CPN_IPC_PACKET_MAX]; /* of the last expect() */
    int fd;                            /* that came with it */
} cpn_box;

typedef struct cpn_stage {
    uv_loop_t loop;
    char dir[64];
    cpn_store *store;
    cpn_identity *identity;
    cpn_control *c;
    cpn_box keeper, front;
    cpn_tally *tally;
    uint32_t conn; /* the last one used */
} cpn_stage;

static cpn_stage st;

static CPN_UNUSED void
box_message(void *owner, const cpn_msg *msg, int fd)
{
    cpn_box *b = owner;
    uint8_t packet[CPN_IPC_PACKET_MAX];
    size_t n = 0;

    assert_true(b->n < CPN_COUNT(b->got));
    assert_int_equal(cpn_msg_encode(msg, packet, sizeof(packet), &n, NULL), CPN_OK);
    b->got[b->n].packet = malloc(n);
    memcpy(b->got[b->n].packet, packet, n);
    b->got[b->n].n = n;
    b->got[b->n].fd = fd;
    b->n++;
}

static void
box_broken(void *owner, const cpn_err *err)
{
    cpn_box *b = owner;

    (void)err;
    b->broken = true;
}

static const cpn_channel_handler box_handler = { box_message, box_broken };

/* The first message of a type that is there; moves it out of the box. */
static bool
box_take(cpn_box *b, cpn_msg_type type, cpn_msg *out)
{
    for (unsigned i = 0; i < b->n; i++) {
        assert_int_equal(cpn_msg_decode(out, (cpn_view){ b->got[i].packet, b->got[i].n }, NULL),
                         CPN_OK);
        if (out->type != type)
            continue;
        memcpy(b->shown, b->got[i].packet, b->got[i].n);
        assert_int_equal(cpn_msg_decode(out, (cpn_view){ b->shown, b->got[i].n }, NULL), CPN_OK);
        b->fd = b->got[i].fd;
        free(b->got[i].packet);
        memmove(b->got + i, b->got + i + 1, sizeof(b->got[0]) * (b->n - i - 1));
        b->n--;
        return true;
    }
    return false;
}

/* Turn the loop until a message of this type has come. */
static CPN_UNUSED cpn_msg
expect(cpn_box *b, cpn_msg_type type)
{
    uint64_t until = cpn_mono_ms() + PATIENCE_MS;
    cpn_msg m;

    while (!box_take(b, type, &m)) {
        if (cpn_mono_ms() > until)
            fail_msg("no %s came", cpn_msg_name(type));
        if (st.tally) /* however long it takes here, the scripted front is alive */
            st.tally->heartbeat_ms = cpn_mono_ms();
        uv_run(&st.loop, UV_RUN_ONCE);
    }
    return m;
}

/* Everything that is under way arrives; then: is there such a message? */
static CPN_UNUSED bool
came(cpn_box *b, cpn_msg_type type)
{
    cpn_store_counts n = { .waiting = 1 };

    for (unsigned quiet = 0; quiet < 20; quiet++) {
        cpn_store_counted(st.store, &n);
        if (n.waiting) {
            quiet = 0;
            uv_run(&st.loop, UV_RUN_ONCE);
        }
        uv_run(&st.loop, UV_RUN_NOWAIT);
    }
    for (unsigned i = 0; i < b->n; i++) {
        cpn_msg m;

        assert_int_equal(cpn_msg_decode(&m, (cpn_view){ b->got[i].packet, b->got[i].n }, NULL),
                         CPN_OK);
        if (m.type == type)
            return true;
    }
    return false;
}

static CPN_UNUSED void
say(cpn_box *b, const cpn_msg *m, int fd)
{
    assert_int_equal(cpn_channel_send(b->channel, m, fd), CPN_OK);
}

static CPN_UNUSED void
box_empty(cpn_box *b)
{
    for (unsigned i = 0; i < b->n; i++) {
        free(b->got[i].packet);
        if (b->got[i].fd >= 0)
            close(b->got[i].fd);
    }
    b->n = 0;
}

#endif
