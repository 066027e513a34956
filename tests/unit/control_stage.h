/* A control with a store in memory, a scripted keeper and a scripted front on socket pairs. */
#ifndef CPN_TESTS_CONTROL_STAGE_H
#define CPN_TESTS_CONTROL_STAGE_H

#include "control_box.h"

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
                               .state_dir = st.dir,
                               .password_memory_kib = 19456 };
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

#endif
