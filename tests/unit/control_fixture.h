/* A control with a store in memory, a scripted keeper and a scripted front on socket pairs. */
#ifndef CPN_TESTS_CONTROL_FIXTURE_H
#define CPN_TESTS_CONTROL_FIXTURE_H

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

/* ---- putting it up ---- */

/* The world's documents, ada Owner of everything, bob Reader of everything, ci nothing. */
static cpn_snapshot *
stage_world(void)
{
    cpn_snapshot_edit *e = cpn_snapshot_edit_new(NULL);

    for (size_t i = 0; i < CPN_COUNT(world); i++)
        put_ok(e, world[i].kind, world[i].id, world[i].body);
    put_ok(e, CPN_KIND_ASSIGNMENT, ASSIGNMENTS GUID_OF("a1"),
           "{'principalId':'$ada','role':'Owner'}");
    put_ok(e, CPN_KIND_ASSIGNMENT, ASSIGNMENTS GUID_OF("a2"),
           "{'principalId':'$bob','role':'Reader'}");
    return seal_ok(e);
}

static void
stage_store(void)
{
    cpn_identity_options o = { .public_url = "https://localhost:8443",
                               .access_token_ttl_s = 3600,
                               .refresh_token_ttl_s = 3600,
                               .state_dir = st.dir };
    cpn_batch *b = cpn_batch_new();
    cpn_err err = { 0 };

    if (cpn_store_open(&st.store, &st.loop, "sqlite::memory:", &err) != CPN_OK ||
        cpn_identity_open(&st.identity, &st.loop, st.store, &o, &err) != CPN_OK)
        fail_msg("%s", err.msg);
    cpn_batch_value(b, CPN_VALUE_EPOCH, CPN_VIEW_LIT("7"));
    assert_int_equal(cpn_store_commit_wait(st.store, b, &err), CPN_OK);
}

static CPN_UNUSED void
stage_front(uint32_t number)
{
    int fds[2], tally = -1;

    assert_int_equal(cpn_channel_pair(fds, NULL), CPN_OK);
    assert_int_equal(cpn_tally_create(&tally, NULL), CPN_OK);
    if (!st.tally)
        assert_int_equal(cpn_tally_map(&st.tally, tally, NULL), CPN_OK);
    assert_int_equal(cpn_channel_new(&st.front.channel, &st.loop, fds[0], CPN_ROLE_FRONT,
                                     CPN_ROLE_CONTROL, &box_handler, &st.front, NULL),
                     CPN_OK);
    say(&st.keeper,
        &(cpn_msg){ .type = CPN_MSG_FRONT_UP, .FRONT_UP = { .front = number, .pid = 1 } }, fds[1]);
    say(&st.keeper, &(cpn_msg){ .type = CPN_MSG_FRONT_TALLY, .FRONT_TALLY = { .front = number } },
        tally);
    (void)expect(&st.front, CPN_MSG_SETUP);
}

static CPN_UNUSED int
stage_up(void **state)
{
    static cpn_config set;
    cpn_err err = { 0 };
    int fds[2];

    (void)state;
    cpn_log_setup("test", false, CPN_LOG_ERROR, 2);
    memset(&st, 0, sizeof(st));
    snprintf(st.dir, sizeof(st.dir), "/tmp/control-test-XXXXXX");
    assert_non_null(mkdtemp(st.dir));
    uv_loop_init(&st.loop);
    cpn_config_defaults(&set);
    stage_store();
    assert_int_equal(cpn_channel_pair(fds, NULL), CPN_OK);
    assert_int_equal(cpn_channel_new(&st.keeper.channel, &st.loop, fds[0], CPN_ROLE_KEEPER,
                                     CPN_ROLE_CONTROL, &box_handler, &st.keeper, NULL),
                     CPN_OK);
    if (cpn_control_new(&st.c, &st.loop, &set, st.store, st.identity, stage_world(), fds[1],
                        &err) != CPN_OK)
        fail_msg("%s", err.msg);
    stage_front(FRONT);
    return 0;
}

static void
stage_close(uv_handle_t *h, void *arg)
{
    (void)arg;
    if (!uv_is_closing(h))
        uv_close(h, NULL);
}

static CPN_UNUSED int
stage_down(void **state)
{
    char path[128];

    (void)state;
    cpn_store_free(st.store);
    cpn_control_free(st.c);
    cpn_identity_free(st.identity);
    cpn_channel_free(st.keeper.channel);
    cpn_channel_free(st.front.channel);
    box_empty(&st.keeper);
    box_empty(&st.front);
    cpn_tally_unmap(st.tally);
    uv_run(&st.loop, UV_RUN_NOWAIT);
    uv_walk(&st.loop, stage_close, NULL);
    uv_run(&st.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&st.loop), 0);
    snprintf(path, sizeof(path), "%s/token-key.pem", st.dir);
    unlink(path);
    rmdir(st.dir);
    return 0;
}

/* ---- speaking as a client ---- */

/* An access token of one of the world's principals; "" for none. */
static CPN_UNUSED const char *
token_of(const char *alias, char out[4096])
{
    char id[4096];
    json_t *j = json_object();
    cpn_err err = { 0 };

    out[0] = '\0';
    if (!alias) {
        json_decref(j);
        return out;
    }
    spell(id, alias);
    if (cpn_identity_issue(st.identity, cpn_snapshot_principal(st.c->snapshot, cpn_view_str(id)),
                           cpn_wall_s(), j, &err) != CPN_OK)
        fail_msg("%s", err.msg);
    snprintf(out, 4096, "%s", json_string_value(json_object_get(j, "access_token")));
    json_decref(j);
    return out;
}

/* One request; the status, and the answer's JSON (NULL: none) in *answer. Bodies are spelt. */
static CPN_UNUSED int
ask_as(const char *who, const char *method, const char *path, const char *query, const char *body,
       json_t **answer)
{
    static char token[4096], text[65536], spelt[4096];
    size_t n;
    cpn_msg m = { .type = CPN_MSG_REQUEST };
    bool form = strncmp(path, "/api/", 5) == 0 || strncmp(path, "/adfs/", 6) == 0;

    m.REQUEST.conn = ++st.conn;
    m.REQUEST.peer = (cpn_addr){ { [10] = 0xff, 0xff, 192, 0, 2, 1 } };
    m.REQUEST.method = cpn_view_str(method);
    m.REQUEST.path = cpn_view_str(path);
    m.REQUEST.query = cpn_view_str(query ? query : "");
    m.REQUEST.bearer = cpn_view_str(token_of(who, token));
    m.REQUEST.last = body == NULL;
    m.REQUEST.content_type =
        cpn_view_str(form ? "application/x-www-form-urlencoded" : "application/json");
    if (body) {
        spell(spelt, body);
        m.REQUEST.length = strlen(spelt);
    }
    say(&st.front, &m, -1);
    if (body)
        say(&st.front,
            &(cpn_msg){ .type = CPN_MSG_BODY,
                        .BODY = { .conn = st.conn, .last = 1, .body = cpn_view_str(spelt) } },
            -1);
    m = expect(&st.front, CPN_MSG_REPLY);
    assert_int_equal(m.REPLY.conn, st.conn);
    n = m.REPLY.body.n;
    assert_true(n < sizeof(text) && m.REPLY.last);
    memcpy(text, m.REPLY.body.p, n);
    text[n] = '\0';
    if (answer)
        *answer = json_loads(text, 0, NULL);
    return m.REPLY.status;
}

/* A carrier of the principal; its connection. */
static CPN_UNUSED uint32_t
carrier_of(const char *who)
{
    char token[4096];
    cpn_msg m = { .type = CPN_MSG_CARRIER, .CARRIER = { .conn = ++st.conn, .peer_port = 4711 } };

    m.CARRIER.peer = (cpn_addr){ { [10] = 0xff, 0xff, 192, 0, 2, 1 } };
    m.CARRIER.bearer = cpn_view_str(token_of(who, token));
    m.CARRIER.user_agent = cpn_view_str("caponier/test");
    say(&st.front, &m, -1);
    assert_int_equal(expect(&st.front, CPN_MSG_CARRIER_OK).CARRIER_OK.conn, st.conn);
    return st.conn;
}

static CPN_UNUSED void
open_on(uint32_t conn, uint32_t stream, const char *target)
{
    char spelt[4096];

    spell(spelt, target);
    say(&st.front,
        &(cpn_msg){ .type = CPN_MSG_OPEN,
                    .OPEN = { .conn = conn, .stream = stream, .target = cpn_view_str(spelt) } },
        -1);
}

/* Keeper's yes to a dial, with a descriptor. */
static CPN_UNUSED void
dialed(const cpn_msg *dial)
{
    int fd = dup(0);

    if (fd < 0)
        fd = open("/dev/null", O_RDWR);
    say(&st.keeper,
        &(cpn_msg){ .type = CPN_MSG_DIALED,
                    .DIALED = { .session = dial->DIAL.session, .stream = dial->DIAL.stream } },
        fd);
}

#define WEB1 "{'bastion':'$front','targetResourceId':'$web1','port':22}"

/* An open session of ada's or bob's to web1; the OPENED message. */
static CPN_UNUSED cpn_msg
open_session(uint32_t conn, uint32_t stream)
{
    cpn_msg dial, opened;

    open_on(conn, stream, WEB1);
    dial = expect(&st.keeper, CPN_MSG_DIAL);
    dialed(&dial);
    opened = expect(&st.front, CPN_MSG_OPENED);
    if (st.front.fd >= 0)
        close(st.front.fd);
    return opened;
}

/* All audit records with this operation. New reference. */
typedef struct cpn_audit_box {
    json_t *all;
    bool done;
} cpn_audit_box;

static void
audit_come(void *owner, cpn_rc rc, cpn_view body, const cpn_err *err)
{
    cpn_audit_box *b = owner;

    (void)err;
    assert_int_equal(rc, CPN_OK);
    b->all = json_loadb((const char *)body.p, body.n, 0, NULL);
    b->done = true;
}

static CPN_UNUSED json_t *
audit_of(const char *operation)
{
    static cpn_audit_box b;
    json_t *some = json_array(), *one;
    size_t i;

    b = (cpn_audit_box){ 0 };
    assert_int_equal(cpn_store_audit_read(st.store, 0, 1000, NULL, audit_come, &b), CPN_OK);
    while (!b.done)
        uv_run(&st.loop, UV_RUN_ONCE);
    json_array_foreach(b.all, i, one)
    {
        if (strcmp(cpn_json_string(one, "operationName"), operation) == 0)
            json_array_append(some, one);
    }
    json_decref(b.all);
    return some;
}

#endif
