/* What the tests of the front share: a front on a loop, its control played by the test over a real
 * channel. Its clients are in frontclient.h. */
#ifndef CPN_TESTS_FRONTTEST_H
#define CPN_TESTS_FRONTTEST_H

#include "nettest.h"

#include "codec/wsupgrade.h"
#include "front/conn.h"

#define FRONT_HOST "gate.test:8443"
#define FRONT_MSGS 512

/* A message of the front, with copies of what it borrowed. */
typedef struct said {
    cpn_msg m;
    char text[5][4096]; /* method, path, query, bearer, headers; or ticket, node; or target */
    size_t body_n;
} said;

typedef struct fronttest {
    nettest nt;
    cpn_front f;
    cpn_tally tally;
    cpn_channel *control;
    bool broken;
    size_t ready; /* READYs heard */
    said got[FRONT_MSGS];
    size_t got_n;
    size_t read_n;
} fronttest;

static CPN_UNUSED void
copy(char *to, cpn_view v)
{
    assert_true(cpn_view_copy(v, to, 4096));
}

static CPN_UNUSED void
control_heard(void *owner, const cpn_msg *m, int fd)
{
    fronttest *t = owner;
    said *s;

    assert_int_equal(fd, -1);
    t->ready += m->type == CPN_MSG_READY;
    if (m->type == CPN_MSG_READY || m->type == CPN_MSG_COUNTERS)
        return;
    assert_true(t->got_n < FRONT_MSGS);
    s = &t->got[t->got_n++];
    memset(s, 0, sizeof(*s));
    s->m = *m;
    if (m->type == CPN_MSG_REQUEST) {
        copy(s->text[0], m->REQUEST.method);
        copy(s->text[1], m->REQUEST.path);
        copy(s->text[2], m->REQUEST.query);
        copy(s->text[3], m->REQUEST.bearer);
        copy(s->text[4], m->REQUEST.headers);
    } else if (m->type == CPN_MSG_BODY) {
        s->body_n = m->BODY.body.n;
    } else if (m->type == CPN_MSG_CARRIER) {
        copy(s->text[0], m->CARRIER.bearer);
    } else if (m->type == CPN_MSG_UPGRADE) {
        copy(s->text[0], m->UPGRADE.ticket);
        copy(s->text[1], m->UPGRADE.node);
    } else if (m->type == CPN_MSG_OPEN) {
        copy(s->text[0], m->OPEN.target);
    }
}

static CPN_UNUSED void
control_broken(void *owner, const cpn_err *err)
{
    fronttest *t = owner;

    assert_null(err);
    t->broken = true;
}

static const cpn_channel_handler control_handler = { control_heard, control_broken };

/* A new control, as after a restart: the front's old channel is lost. */
static CPN_UNUSED void
control_start(fronttest *t)
{
    cpn_err err = { 0 };
    int fd[2];

    cpn_channel_free(t->control);
    assert_int_equal(cpn_channel_pair(fd, &err), CPN_OK);
    assert_int_equal(cpn_channel_new(&t->control, &t->nt.uv, fd[0], CPN_ROLE_CONTROL,
                                     CPN_ROLE_FRONT, &control_handler, t, &err),
                     CPN_OK);
    cpn_link_adopt(&t->f, fd[1]);
}

static CPN_UNUSED void
tell(fronttest *t, const cpn_msg *m, int fd)
{
    assert_int_equal(cpn_channel_send(t->control, m, fd), CPN_OK);
}

static CPN_UNUSED cpn_msg
setup_msg(const fronttest *t)
{
    return (cpn_msg){ .type = CPN_MSG_SETUP,
                      .SETUP = { .az_clients = 1,
                                 .tls_ms = 5000,
                                 .head_ms = 5000,
                                 .body_ms = 10000,
                                 .preauth_max = 16,
                                 .preauth_source_max = 16,
                                 .first_bytes_ms = 30000,
                                 .stall_ms = 30000,
                                 .dial_ms = 120000,
                                 .denied_max = 256,
                                 .body_max = 65536,
                                 .relay_memory = 64u << 20,
                                 .host = cpn_view_str(FRONT_HOST),
                                 .cert_pem = cpn_view_str(t->nt.cert),
                                 .key_pem = cpn_view_str(t->nt.key) } };
}

static CPN_UNUSED void
control_setup(fronttest *t)
{
    cpn_msg m = setup_msg(t);

    tell(t, &m, -1);
    nettest_until(&t->nt, &t->f.link.setup);
}

static CPN_UNUSED fronttest *
front_start(void)
{
    fronttest *t = cpn_xcalloc(1, sizeof(*t));
    cpn_err err = { 0 };

    nettest_start(&t->nt);
    assert_int_equal(cpn_front_init(&t->f, &t->nt.uv, &t->tally, &err), CPN_OK);
    control_start(t);
    control_setup(t);
    return t;
}

static CPN_UNUSED void
front_stop(fronttest *t)
{
    cpn_front_fini(&t->f);
    assert_int_equal(t->f.answers.used, 0);
    assert_int_equal(t->f.denied.used, 0);
    assert_int_equal(t->f.slots.used, 0);
    assert_int_equal(t->f.live, 0);
    cpn_channel_free(t->control);
    nettest_stop(&t->nt);
    free(t);
}

/* The next message of the front, which must be of that type. */
static CPN_UNUSED said *
heard(fronttest *t, cpn_msg_type type)
{
    uint64_t deadline = cpn_mono_ms() + 20000;

    while (t->read_n == t->got_n) {
        if (cpn_mono_ms() > deadline)
            fail_msg("no %s for 20 s", cpn_msg_name(type));
        uv_run(&t->nt.uv, UV_RUN_ONCE);
    }
    if (t->got[t->read_n].m.type != type)
        fail_msg("%s instead of %s", cpn_msg_name(t->got[t->read_n].m.type), cpn_msg_name(type));
    return &t->got[t->read_n++];
}

#endif
