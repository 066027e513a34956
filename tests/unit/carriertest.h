/* What the tests of net/carrier share: a carrier with both ends in one process, and a peer that
 * speaks by hand. */
#ifndef CPN_TESTS_CARRIERTEST_H
#define CPN_TESTS_CARRIERTEST_H

#include "nettest.h"

#include "net/carrier.h"

#define STREAMS 64

typedef struct fixture fixture;

/* One stream as the test sees it: two local sockets, one at each end of the carrier. */
typedef struct leg_pair {
    fixture *f;
    cpn_stream *opener;
    cpn_stream *acceptor;
    int app;    /* the program behind the client */
    int target; /* the machine behind the gateway */
    int target_far;
    bool opened;
    bool ended[2];
    cpn_stream_why why[2];
    char text[2][256];
    char first[2][64];
    uint64_t up[2], down[2];
} leg_pair;

struct fixture {
    nettest nt;
    cpn_carrier *c[2]; /* 0: server, 1: client */
    bool ended[2];
    cpn_carrier_why why[2];
    unsigned code[2];
    leg_pair p[STREAMS];
    int n;
    int asked;
    bool refuse;
    bool opens;     /* the client's end, when it last told of a stream's end */
    bool hold_open; /* neither attach nor refuse in on_open */
    cpn_judge judge;
    char first[64];
};

static CPN_UNUSED void
on_open(void *owner, cpn_stream *s, cpn_view target, cpn_view first)
{
    fixture *f = owner;
    leg_pair *p = &f->p[f->asked++];
    int fd[2];

    assert_true(cpn_view_is(target, "{\"t\":1}"));
    snprintf(f->first, sizeof(f->first), "%.*s", (int)CPN_MIN(first.n, 60), (const char *)first.p);
    p->f = f;
    p->acceptor = s;
    cpn_stream_set_user(s, p);
    if (f->hold_open)
        return;
    if (f->refuse) {
        cpn_stream_refuse(s, CPN_VIEW_LIT("{\"code\":\"port_not_allowed\"}"));
        return;
    }
    nettest_sockets(fd);
    p->target = fd[0];
    if (f->judge.up || f->judge.down)
        cpn_stream_hold(s, &f->judge);
    cpn_stream_attach(s, fd[1], CPN_VIEW_LIT("{\"session\":\"x\"}"));
}

static CPN_UNUSED void
on_opened(void *owner, cpn_stream *s, cpn_view json)
{
    (void)owner;
    assert_true(cpn_view_is(json, "{\"session\":\"x\"}"));
    ((leg_pair *)cpn_stream_user(s))->opened = true;
}

static CPN_UNUSED void
stream_end(cpn_stream *s, const cpn_stream_end *end, int side)
{
    leg_pair *p = cpn_stream_user(s);

    assert_false(p->ended[side]);
    p->ended[side] = true;
    p->why[side] = end->why;
    p->up[side] = end->up;
    p->down[side] = end->down;
    snprintf(p->text[side], sizeof(p->text[side]), "%.*s", CPN_VIEW_ARG(end->text));
    snprintf(p->first[side], sizeof(p->first[side]), "%.*s", CPN_VIEW_ARG(end->first));
}

static CPN_UNUSED void
server_stream_end(void *owner, cpn_stream *s, const cpn_stream_end *end)
{
    (void)owner;
    stream_end(s, end, 0);
}

static CPN_UNUSED void
client_stream_end(void *owner, cpn_stream *s, const cpn_stream_end *end)
{
    fixture *f = owner;

    f->opens = cpn_carrier_opens(f->c[1]);
    stream_end(s, end, 1);
}

static CPN_UNUSED void
server_end(void *owner, cpn_carrier_why why, unsigned code, const char *text)
{
    fixture *f = owner;

    (void)text;
    assert_false(f->ended[0]);
    f->ended[0] = true;
    f->why[0] = why;
    f->code[0] = code;
}

static CPN_UNUSED void
client_end(void *owner, cpn_carrier_why why, unsigned code, const char *text)
{
    fixture *f = owner;

    (void)text;
    assert_false(f->ended[1]);
    f->ended[1] = true;
    f->why[1] = why;
    f->code[1] = code;
}

static CPN_UNUSED const cpn_carrier_events server_events = { on_open, NULL, server_stream_end,
                                                             server_end, NULL };
static CPN_UNUSED const cpn_carrier_events client_events = { NULL, on_opened, client_stream_end,
                                                             client_end, NULL };

static CPN_UNUSED void
start(fixture *f, unsigned ping_ms, bool with_client)
{
    cpn_carrier_opts so = { .role = CPN_WS_SERVER, .ping_ms = ping_ms, .events = &server_events };
    cpn_carrier_opts co = { .role = CPN_WS_CLIENT, .events = &client_events };
    cpn_tls *t[2];
    cpn_err err = { 0 };

    memset(f, 0, sizeof(*f));
    nettest_start(&f->nt);
    nettest_tls(&f->nt, &t[0], &t[1], "gate.test");
    so.owner = co.owner = f;
    assert_int_equal(cpn_carrier_new(&f->c[0], f->nt.loop, t[0], &so, &err), CPN_OK);
    if (with_client)
        assert_int_equal(cpn_carrier_new(&f->c[1], f->nt.loop, t[1], &co, &err), CPN_OK);
    else
        f->c[1] = (cpn_carrier *)(void *)t[1];
}

static CPN_UNUSED void
stop(fixture *f)
{
    for (int i = 0; i < STREAMS; i++) {
        if (f->p[i].app > 0)
            close(f->p[i].app);
        if (f->p[i].target > 0)
            close(f->p[i].target);
    }
    cpn_carrier_free(f->c[0]);
    cpn_carrier_free(f->c[1]);
    nettest_stop(&f->nt);
}

static CPN_UNUSED leg_pair *
open_stream(fixture *f, const char *first)
{
    leg_pair *p = &f->p[f->n++];
    cpn_err err = { 0 };
    int fd[2];

    nettest_sockets(fd);
    p->app = fd[0];
    assert_int_equal(write(p->app, first, strlen(first)), strlen(first));
    assert_int_equal(
        cpn_carrier_open(f->c[1], &p->opener,
                         &(cpn_carrier_ask){ .target = CPN_VIEW_LIT("{\"t\":1}"), .user = p },
                         fd[1], &err),
        CPN_OK);
    return p;
}

#endif
