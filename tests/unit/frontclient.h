/* TLS clients of a front under test, over socketpairs. */
#ifndef CPN_TESTS_FRONTCLIENT_H
#define CPN_TESTS_FRONTCLIENT_H

#include "fronttest.h"

typedef struct client {
    cpn_tls *tls;
    bool ended;
    cpn_tls_end why;
    uint8_t got[65536];
    size_t n;
    bool any;
} client;

static CPN_UNUSED size_t
client_bytes(void *owner, cpn_tls *tls, uint8_t *p, size_t n)
{
    client *c = owner;

    (void)tls;
    assert_true(n < sizeof(c->got) - c->n);
    memcpy(c->got + c->n, p, n);
    c->n += n;
    c->any = true;
    return n;
}

static CPN_UNUSED void
client_end(void *owner, cpn_tls *tls, cpn_tls_end why, const cpn_err *err)
{
    client *c = owner;

    (void)tls;
    (void)err;
    c->why = why;
    c->ended = true;
}

static const cpn_tls_events client_events = { .on_bytes = client_bytes, .on_end = client_end };

static CPN_UNUSED void
client_start(fronttest *t, client *c)
{
    cpn_tls_opts opts = {
        .ctx = t->nt.client, .server_name = "gate.test", .events = &client_events, .owner = c
    };
    cpn_slot_source *slot;
    cpn_addr peer;
    int fd[2];

    memset(c, 0, sizeof(*c));
    nettest_sockets(fd);
    assert_int_equal(cpn_addr_parse(&peer, CPN_VIEW_LIT("192.0.2.7"), NULL), CPN_OK);
    assert_int_equal(cpn_slot_take(&t->f.slots, &peer, &slot), CPN_OK);
    cpn_conn_start(&t->f, fd[0], &peer, 40000, slot, false);
    assert_int_equal(cpn_tls_new(&c->tls, t->nt.loop, fd[1], &opts, NULL), CPN_OK);
}

static CPN_UNUSED void
client_stop(fronttest *t, client *c)
{
    cpn_tls_free(cpn_steal(&c->tls));
    nettest_turns(&t->nt, 4);
}

static CPN_UNUSED void
client_send(fronttest *t, client *c, const char *text)
{
    uint64_t deadline = cpn_mono_ms() + 20000;

    while (cpn_tls_write(c->tls, (const uint8_t *)text, strlen(text)) != CPN_OK) {
        assert_true(cpn_mono_ms() < deadline);
        uv_run(&t->nt.uv, UV_RUN_ONCE);
    }
}

/* Turn until the text stands in what the client got. */
static CPN_UNUSED void
client_sees(fronttest *t, client *c, const char *text)
{
    uint64_t deadline = cpn_mono_ms() + 20000;

    while (!memmem(c->got, c->n, text, strlen(text))) {
        if (c->ended || cpn_mono_ms() > deadline)
            fail_msg("'%s' does not stand in: %.*s", text, (int)c->n, (const char *)c->got);
        uv_run(&t->nt.uv, UV_RUN_ONCE);
    }
}

static CPN_UNUSED void
client_is_closed(fronttest *t, client *c)
{
    nettest_until(&t->nt, &c->ended);
    assert_int_equal(c->why, CPN_TLS_END_CLOSED);
}

#endif
