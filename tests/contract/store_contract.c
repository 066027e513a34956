/* The store's contract, for each driver: refusals first. */
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"

#define S 1000 /* ms */

/* ---- tickets ---- */

static cpn_rc
put_ticket(fixture *f, const char *secret, int64_t life_ms)
{
    cpn_batch *b = cpn_batch_new();
    uint8_t key[32];

    key_of(secret, key);
    cpn_batch_ticket(b, key, CPN_VIEW_LIT("{\"for\":1}"), life_ms);
    return commit_now(f, b);
}

static cpn_rc
consume(fixture *f, const char *secret, answer *a)
{
    uint8_t key[32];

    memset(a, 0, sizeof(*a));
    key_of(secret, key);
    assert_int_equal(cpn_store_ticket_consume(f->store, key, on_body, a), CPN_OK);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    return a->rc;
}

static void
tickets_are_refused(void **state)
{
    fixture *f = *state;
    answer a;

    assert_int_equal(consume(f, "unknown", &a), CPN_NOT_FOUND);
    assert_int_equal(put_ticket(f, "late", 10 * S), CPN_OK);
    clock_mono_ms += 10 * S; /* to the very millisecond */
    assert_int_equal(consume(f, "late", &a), CPN_NOT_FOUND);
    assert_int_equal(put_ticket(f, "dead", 0), CPN_OK);
    assert_int_equal(consume(f, "dead", &a), CPN_NOT_FOUND);
    /* A wall clock set back revives nothing. */
    assert_int_equal(put_ticket(f, "back", S), CPN_OK);
    clock_mono_ms += S;
    clock_wall_ms -= 3600 * S;
    assert_int_equal(consume(f, "back", &a), CPN_NOT_FOUND);

    assert_int_equal(put_ticket(f, "good", 10 * S), CPN_OK);
    clock_mono_ms += 10 * S - 1;
    assert_int_equal(consume(f, "gooD", &a), CPN_NOT_FOUND);
    assert_int_equal(consume(f, "good", &a), CPN_OK);
    assert_string_equal(a.body, "{\"for\":1}");
    assert_int_equal(consume(f, "good", &a), CPN_NOT_FOUND);
    assert_string_equal(a.body, "");
}

static void
one_of_a_thousand_consumers_wins(void **state)
{
    fixture *f = *state;
    answer *a = calloc(1000, sizeof(*a));
    cpn_store_counts counts;
    uint8_t key[32];
    unsigned won = 0;

    assert_int_equal(put_ticket(f, "race", 10 * S), CPN_OK);
    if (backend_now->is_sqlite) { /* in memory: no disk waits for a ticket */
        cpn_store_counted(f->store, &counts);
        assert_int_equal(counts.transactions, 0);
    }
    key_of("race", key);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(cpn_store_ticket_consume(f->store, key, on_body, &a[i]), CPN_OK);
        if (i % 100 == 0)
            uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    uv_run(&f->loop, UV_RUN_DEFAULT);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(a[i].calls, 1);
        assert_true(a[i].rc == CPN_OK || a[i].rc == CPN_NOT_FOUND);
        won += a[i].rc == CPN_OK;
    }
    assert_int_equal(won, 1);
    free(a);
}

static void
a_failed_batch_issues_no_ticket(void **state)
{
    fixture *f = *state;
    cpn_batch *b = cpn_batch_new();
    uint8_t key[32];
    answer a;

    key_of("ghost", key);
    cpn_batch_ticket(b, key, CPN_VIEW_LIT("{}"), 10 * S);
    cpn_batch_expect_value(b, "epoch", "7");
    assert_int_equal(commit_now(f, b), CPN_EXISTS);
    assert_int_equal(consume(f, "ghost", &a), CPN_NOT_FOUND);
}

/* ---- batches ---- */

static void
count_row(void *owner, const char *kind, const char *id, cpn_view body)
{
    char *all = owner;
    size_t n = strlen(all);

    snprintf(all + n, 4096 - n, "%s %s %.*s\n", kind, id, CPN_VIEW_ARG(body));
}

static const char *
documents(fixture *f, char out[4096])
{
    out[0] = '\0';
    assert_int_equal(cpn_store_load(f->store, count_row, out, NULL), CPN_OK);
    return out;
}

static cpn_rc
value_now(fixture *f, const char *name, char out[64])
{
    CPN_AUTO(cpn_buf_fini) cpn_buf b = { .max = 63 };
    cpn_rc rc = cpn_store_value(f->store, name, &b, NULL);

    assert_true(cpn_view_copy(cpn_buf_view(&b), out, 64));
    return rc;
}

static void
a_failed_precondition_leaves_nothing(void **state)
{
    fixture *f = *state;
    answer first = { 0 }, second = { 0 }, third = { 0 };
    char all[4096], value[64];
    cpn_batch *b = cpn_batch_new();
    cpn_uuid id;

    uuid_of(1, &id);
    cpn_batch_put(b, "principal", "p1", CPN_VIEW_LIT("{\"n\":1}"));
    cpn_batch_value(b, "epoch", CPN_VIEW_LIT("1"));
    assert_int_equal(cpn_store_commit(f->store, b, on_done, &first), CPN_OK);
    b = cpn_batch_new(); /* in the same transaction: must fall out alone */
    cpn_batch_put(b, "principal", "p2", CPN_VIEW_LIT("{}"));
    cpn_batch_delete(b, "principal", "p1");
    cpn_batch_value(b, "epoch", CPN_VIEW_LIT("2"));
    cpn_batch_session_start(b, &id, CPN_VIEW_LIT("{}"));
    cpn_batch_audit(b, CPN_VIEW_LIT("{\"message\":\"never\"}"));
    cpn_batch_expect_value(b, "epoch", "1x");
    assert_int_equal(cpn_store_commit(f->store, b, on_done, &second), CPN_OK);
    b = cpn_batch_new();
    cpn_batch_expect_value(b, "epoch", "1");
    cpn_batch_expect_value(b, "other", NULL);
    cpn_batch_put(b, "principal", "p3", CPN_VIEW_LIT("{\"n\":3}"));
    cpn_batch_audit(b, CPN_VIEW_LIT("{\"message\":\"always\"}"));
    assert_int_equal(cpn_store_commit(f->store, b, on_done, &third), CPN_OK);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(first.rc, CPN_OK);
    assert_int_equal(second.rc, CPN_EXISTS);
    assert_string_equal(second.msg, "epoch is not what it was");
    assert_int_equal(third.rc, CPN_OK);
    assert_string_equal(documents(f, all), "principal p1 {\"n\":1}\nprincipal p3 {\"n\":3}\n");
    assert_int_equal(value_now(f, "epoch", value), CPN_OK);
    assert_string_equal(value, "1");
    assert_int_equal(value_now(f, "absent", value), CPN_NOT_FOUND);
    all[0] = '\0';
    assert_int_equal(cpn_store_open_sessions(f->store, count_row, all, NULL), CPN_OK);
    assert_string_equal(all, "");
    assert_string_equal(verify_now(f, &first), "{\"records\":1,\"ok\":true}");
}

static void
changes_keep_their_order(void **state)
{
    fixture *f = *state;
    char all[4096];
    cpn_batch *b = cpn_batch_new();

    cpn_batch_put(b, "k", "a", CPN_VIEW_LIT("1"));
    cpn_batch_delete(b, "k", "a");
    cpn_batch_put(b, "k", "b", CPN_VIEW_LIT("1"));
    cpn_batch_put(b, "k", "b", CPN_VIEW_LIT("2"));
    assert_int_equal(commit_now(f, b), CPN_OK);
    assert_string_equal(documents(f, all), "k b 2\n");
}

static void
a_thousand_batches_are_few_transactions(void **state)
{
    fixture *f = *state;
    answer *a = calloc(1000, sizeof(*a));
    cpn_store_counts before, after;

    cpn_store_counted(f->store, &before);
    for (int i = 0; i < 1000; i++) {
        cpn_batch *b = cpn_batch_new();

        cpn_batch_audit(b, CPN_VIEW_LIT("{\"message\":\"m\"}"));
        if (i % 10 == 0) /* these fail */
            cpn_batch_expect_value(b, "no", "such");
        assert_int_equal(cpn_store_commit(f->store, b, on_done, &a[i]), CPN_OK);
    }
    uv_run(&f->loop, UV_RUN_DEFAULT);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(a[i].rc, i % 10 == 0 ? CPN_EXISTS : CPN_OK);
    cpn_store_counted(f->store, &after);
    assert_int_equal(after.transactions - before.transactions, 1);
    assert_int_equal(after.batches - before.batches, 900);
    assert_int_equal(after.refused - before.refused, 100);
    assert_int_equal(after.waiting, 0);
    assert_string_equal(verify_now(f, &a[0]), "{\"records\":900,\"ok\":true}");
    free(a);
}

/* What may wait goes with the next that may not, in its place; alone it goes when its time is over,
 * when somebody reads, and at the end. */
static void
some_batches_wait_for_company(void **state)
{
    fixture *f = *state;
    answer early = { 0 }, late = { 0 }, read = { 0 }, ticket = { 0 };
    cpn_store_counts before, after;
    cpn_batch *b = cpn_batch_new();
    uint8_t key[32];

    cpn_store_counted(f->store, &before);
    cpn_batch_audit(b, CPN_VIEW_LIT("{\"message\":\"early\"}"));
    cpn_batch_may_wait(b);
    assert_int_equal(cpn_store_commit(f->store, b, on_done, &early), CPN_OK);
    key_of("passes by", key);
    assert_int_equal(cpn_store_ticket_consume(f->store, key, on_body, &ticket), CPN_OK);
    assert_int_equal(ticket.calls, 0); /* never from within the question */
    while (ticket.calls == 0)
        uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_int_equal(early.calls, 0);
    b = cpn_batch_new();
    cpn_batch_audit(b, CPN_VIEW_LIT("{\"message\":\"late\"}"));
    assert_int_equal(cpn_store_commit(f->store, b, on_done, &late), CPN_OK);
    while (late.calls == 0)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(early.calls, 1);
    cpn_store_counted(f->store, &after);
    assert_int_equal(after.transactions - before.transactions, 1);
    assert_int_equal(after.batches - before.batches, 2);

    for (int i = 0; i < 3; i++) {
        b = cpn_batch_new();
        cpn_batch_audit(b, CPN_VIEW_LIT("{\"message\":\"alone\"}"));
        cpn_batch_may_wait(b);
        assert_int_equal(cpn_store_commit(f->store, b, on_done, &early), CPN_OK);
        if (i == 0)
            uv_run(&f->loop, UV_RUN_DEFAULT);
        else if (i == 1)
            assert_string_equal(verify_now(f, &read), "{\"records\":4,\"ok\":true}");
        else
            fixture_close(f);
        assert_int_equal(early.calls, i + 2);
        assert_int_equal(early.rc, CPN_OK);
    }
    assert_int_equal(fixture_open(f, NULL), CPN_OK);
    assert_string_equal(verify_now(f, &read), "{\"records\":5,\"ok\":true}");
}

static void
the_queue_has_an_end(void **state)
{
    fixture *f = *state;
    answer a = { 0 };

    for (int i = 0; i < CPN_STORE_WAITING_MAX; i++)
        assert_int_equal(cpn_store_commit(f->store, cpn_batch_new(), on_done, &a), CPN_OK);
    assert_int_equal(cpn_store_commit(f->store, cpn_batch_new(), on_done, &a), CPN_LIMIT);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(a.calls, CPN_STORE_WAITING_MAX);
    assert_int_equal(cpn_store_commit(f->store, cpn_batch_new(), on_done, &a), CPN_OK);
    uv_run(&f->loop, UV_RUN_DEFAULT);
}

/* ---- sessions and secrets ---- */

static void
sessions_start_once_and_end_once(void **state)
{
    fixture *f = *state;
    char all[4096] = "";
    cpn_batch *b = cpn_batch_new();
    cpn_uuid one, two;

    uuid_of(1, &one);
    uuid_of(2, &two);
    cpn_batch_session_start(b, &one, CPN_VIEW_LIT("{\"a\":1}"));
    cpn_batch_session_start(b, &two, CPN_VIEW_LIT("{\"a\":2}"));
    assert_int_equal(commit_now(f, b), CPN_OK);
    b = cpn_batch_new();
    cpn_batch_session_start(b, &one, CPN_VIEW_LIT("{}"));
    assert_int_equal(commit_now(f, b), CPN_EXISTS);
    b = cpn_batch_new();
    cpn_batch_session_end(b, &one, CPN_VIEW_LIT("{}"));
    cpn_batch_session_end(b, &one, CPN_VIEW_LIT("{}")); /* changes nothing */
    assert_int_equal(commit_now(f, b), CPN_OK);
    assert_int_equal(cpn_store_open_sessions(f->store, count_row, all, NULL), CPN_OK);
    assert_non_null(strstr(all, "session 00000000-0000-4000-8000-000002000000 {\"a\":2}\n"));
    assert_null(strstr(all, "{\"a\":1}"));
}

static void
ended_sessions_are_forgotten_in_time(void **state)
{
    fixture *f = *state;
    char all[4096] = "";
    cpn_batch *b = cpn_batch_new();
    cpn_uuid id[3];

    for (unsigned i = 0; i < CPN_COUNT(id); i++) {
        uuid_of((uint8_t)(i + 1), &id[i]);
        cpn_batch_session_start(b, &id[i], CPN_VIEW_LIT("{\"a\":1}"));
    }
    cpn_batch_session_end(b, &id[0], CPN_VIEW_LIT("{}"));
    assert_int_equal(commit_now(f, b), CPN_OK);
    clock_wall_ms += S;
    b = cpn_batch_new();
    cpn_batch_session_end(b, &id[1], CPN_VIEW_LIT("{}"));
    assert_int_equal(commit_now(f, b), CPN_OK);
    b = cpn_batch_new();
    cpn_batch_sessions_prune(b, clock_wall_ms);
    assert_int_equal(commit_now(f, b), CPN_OK);
    /* Gone is the first alone: its id can be had again. */
    for (unsigned i = 0; i < CPN_COUNT(id); i++) {
        b = cpn_batch_new();
        cpn_batch_session_start(b, &id[i], CPN_VIEW_LIT("{}"));
        assert_int_equal(commit_now(f, b), i == 0 ? CPN_OK : CPN_EXISTS);
    }
    assert_int_equal(cpn_store_open_sessions(f->store, count_row, all, NULL), CPN_OK);
    assert_non_null(strstr(all, "{\"a\":1}")); /* the one that never ended */
}

static void
use_now(fixture *f, const char *kind, const uint8_t key[32], int64_t keep_ms, answer *a)
{
    memset(a, 0, sizeof(*a));
    assert_int_equal(cpn_store_secret_use(f->store, kind, key, keep_ms, on_body, a), CPN_OK);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(a->calls, 1);
}

static void
unknown_and_expired_secrets_are_not_there(void **state)
{
    fixture *f = *state;
    cpn_batch *b = cpn_batch_new();
    answer a = { 0 };
    uint8_t key[32], old[32];

    key_of("secret", key);
    key_of("old", old);
    cpn_batch_secret_put(b, "refresh", key, CPN_VIEW_LIT("{\"who\":1}"), clock_wall_ms + 1);
    cpn_batch_secret_put(b, "refresh", old, CPN_VIEW_LIT("{}"), clock_wall_ms);
    assert_int_equal(commit_now(f, b), CPN_OK);
    assert_int_equal(cpn_store_secret_get(f->store, "refresh", old, on_body, &a), CPN_OK);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(a.rc, CPN_NOT_FOUND);
    use_now(f, "other", key, clock_wall_ms + 9, &a);
    assert_int_equal(a.rc, CPN_NOT_FOUND);
    use_now(f, "refresh", old, clock_wall_ms + 9, &a);
    assert_int_equal(a.rc, CPN_NOT_FOUND);
}

static void
uses_of_a_secret_are_counted(void **state)
{
    fixture *f = *state;
    cpn_batch *b = cpn_batch_new();
    answer a = { 0 }, twice = { 0 };
    uint8_t key[32];
    char want[128];
    int64_t first = clock_wall_ms;

    key_of("secret", key);
    cpn_batch_secret_put(b, "refresh", key, CPN_VIEW_LIT("{\"who\":1}"), first + 5);
    assert_int_equal(commit_now(f, b), CPN_OK);
    use_now(f, "refresh", key, 0, &a);
    assert_string_equal(a.body, "{\"uses\":0,\"firstMs\":0,\"body\":{\"who\":1}}");
    /* Asked for in one turn: one of them is the first. */
    assert_int_equal(cpn_store_secret_use(f->store, "refresh", key, first + 100, on_body, &a),
                     CPN_OK);
    assert_int_equal(cpn_store_secret_use(f->store, "refresh", key, first + 1, on_body, &twice),
                     CPN_OK);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    snprintf(want, sizeof(want), "{\"uses\":1,\"firstMs\":%lld,\"body\":{\"who\":1}}",
             (long long)first);
    assert_string_equal(a.body, want);
    assert_non_null(strstr(twice.body, "{\"uses\":2,"));
    /* Past its own end it is still known, by the time of its first use. */
    clock_wall_ms += 50;
    use_now(f, "refresh", key, first + 100, &a);
    snprintf(want, sizeof(want), "{\"uses\":3,\"firstMs\":%lld,", (long long)first);
    assert_non_null(strstr(a.body, want));
    clock_wall_ms += 50;
    use_now(f, "refresh", key, first + 1000, &a);
    assert_int_equal(a.rc, CPN_NOT_FOUND);
}

/* ---- audit ---- */

static void
add_records(fixture *f, int n)
{
    cpn_batch *b = cpn_batch_new();
    char text[96];

    for (int i = 0; i < n; i++) {
        int len = snprintf(text, sizeof(text),
                           "{\"clientPort\":%d,\"userEmail\":\"u%d@example.test\"}", i, i % 3);
        cpn_batch_audit(b, (cpn_view){ (uint8_t *)text, (size_t)len });
    }
    assert_int_equal(commit_now(f, b), CPN_OK);
}

static void
bad_records_fail_their_batch(void **state)
{
    static const char *const refused[] = {
        "",          "[]", "{\"seq\":1}", "{\"hash\":\"\"}", "{\"a\":1.5}", "{\"a\":\"\\u0000\"}",
        "{\"a\":1}x"
    };
    fixture *f = *state;
    answer a;

    for (size_t i = 0; i < CPN_COUNT(refused); i++) {
        cpn_batch *b = cpn_batch_new();

        cpn_batch_audit(b, cpn_view_str(refused[i]));
        assert_int_equal(commit_now(f, b), CPN_E_STORE);
    }
    assert_string_equal(verify_now(f, &a), "{\"records\":0,\"ok\":true}");
}

static const char *
read_now(fixture *f, uint64_t after, unsigned limit, const char *filter, answer *a)
{
    memset(a, 0, sizeof(*a));
    assert_int_equal(cpn_store_audit_read(f->store, after, limit, filter, on_body, a), CPN_OK);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(a->rc, CPN_OK);
    return a->body;
}

static unsigned
count(const char *text, const char *what)
{
    unsigned n = 0;

    for (const char *at = text; (at = strstr(at, what)); at++)
        n++;
    return n;
}

static void
records_are_read_by_page_and_field(void **state)
{
    fixture *f = *state;
    answer a;

    assert_int_equal(cpn_store_audit_read(f->store, 0, 0, NULL, on_body, &a), CPN_INVALID);
    assert_int_equal(cpn_store_audit_read(f->store, 0, 1001, NULL, on_body, &a), CPN_INVALID);
    assert_int_equal(cpn_store_audit_read(f->store, 0, 1, "x", on_body, &a), CPN_INVALID);
    assert_string_equal(read_now(f, 0, 10, NULL, &a), "[]");
    add_records(f, 3000);
    read_now(f, 0, 3, NULL, &a);
    assert_int_equal(count(a.body, "\"hash\":\""), 3);
    assert_non_null(strstr(a.body, "\"seq\":1,"));
    read_now(f, 2999, 10, NULL, &a);
    assert_int_equal(count(a.body, "\"hash\":\""), 1);
    read_now(f, 10, 5, "userEmail=u1@example.test", &a);
    assert_int_equal(count(a.body, "u1@example.test"), 5);
    assert_int_equal(count(a.body, "\"hash\":\""), 5);
    read_now(f, 0, 5, "userEmail=u1@example.test&clientPort=2998", &a); /* three slices away */
    assert_int_equal(count(a.body, "\"hash\":\""), 1);
    assert_string_equal(read_now(f, 0, 5, "clientPort=29980", &a), "[]");
    assert_string_equal(verify_now(f, &a), "{\"records\":3000,\"ok\":true}");
}

static void
tampering_is_named(void **state)
{
    static const struct {
        const char *sql;
        int first_bad;
    } tampers[] = {
        { "UPDATE audit SET record = replace(record, 'u1@', 'u2@') WHERE seq = 5", 5 },
        { "UPDATE audit SET record = record || ' ' WHERE seq = 1", 1 },
        { "UPDATE audit SET hash = zeroblob(32) WHERE seq = 7", 7 },
        { "UPDATE audit SET hash = x'00' WHERE seq = 7", 7 },
        { "DELETE FROM audit WHERE seq = 4", 4 },
        { "DELETE FROM audit WHERE seq = 1", 1 },
        { "DELETE FROM audit WHERE seq > 8", 9 },
        { "DELETE FROM audit", 1 },
        { "UPDATE audit_head SET hash = zeroblob(32)", 10 },
        { "UPDATE audit SET seq = 99 WHERE seq = 3; UPDATE audit SET seq = 3 WHERE seq = 6;"
          "UPDATE audit SET seq = 6 WHERE seq = 99",
          3 },
    };
    fixture *f = *state;
    char want[32];
    answer a;

    if (!backend_now->is_sqlite)
        skip();
    add_records(f, 10);
    for (size_t i = 0; i < CPN_COUNT(tampers); i++) {
        sqlite3 *db;

        fixture_close(f);
        assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db,
                                      "CREATE TABLE keep AS SELECT * FROM audit;"
                                      "CREATE TABLE keep_head AS SELECT * FROM audit_head",
                                      NULL, NULL, NULL),
                         SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, tampers[i].sql, NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
        assert_int_equal(fixture_open(f, NULL), CPN_OK);
        verify_now(f, &a);
        snprintf(want, sizeof(want), "\"firstBad\":%d,", tampers[i].first_bad);
        if (!strstr(a.body, "\"ok\":false") || !strstr(a.body, want))
            fail_msg("%s: %s", tampers[i].sql, a.body);
        fixture_close(f);
        assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db,
                                      "DELETE FROM audit; INSERT INTO audit SELECT * FROM keep;"
                                      "DELETE FROM audit_head;"
                                      "INSERT INTO audit_head SELECT * FROM keep_head;"
                                      "DROP TABLE keep; DROP TABLE keep_head",
                                      NULL, NULL, NULL),
                         SQLITE_OK);
        sqlite3_close(db);
        assert_int_equal(fixture_open(f, NULL), CPN_OK);
        assert_string_equal(verify_now(f, &a), "{\"records\":10,\"ok\":true}");
    }
}

/* ---- opening ---- */

static void
reopening_sees_everything(void **state)
{
    fixture *f = *state;
    char all[4096], value[64];
    cpn_batch *b = cpn_batch_new();
    answer a;

    cpn_batch_put(b, "principal", "p1", CPN_VIEW_LIT("{}"));
    cpn_batch_value(b, "epoch", CPN_VIEW_LIT("42"));
    assert_int_equal(cpn_store_commit_wait(f->store, b, NULL), CPN_OK);
    add_records(f, 3);
    fixture_close(f);
    assert_int_equal(fixture_open(f, NULL), CPN_OK);
    assert_string_equal(documents(f, all), "principal p1 {}\n");
    assert_int_equal(value_now(f, "epoch", value), CPN_OK);
    assert_string_equal(value, "42");
    add_records(f, 2);
    assert_string_equal(verify_now(f, &a), "{\"records\":5,\"ok\":true}");
}

static void
closing_answers_everything(void **state)
{
    fixture *f = *state;
    answer a = { 0 }, walk = { 0 };

    for (int i = 0; i < 100; i++) {
        cpn_batch *b = cpn_batch_new();

        cpn_batch_audit(b, CPN_VIEW_LIT("{}"));
        assert_int_equal(cpn_store_commit(f->store, b, on_done, &a), CPN_OK);
    }
    assert_int_equal(cpn_store_audit_verify(f->store, on_body, &walk), CPN_OK);
    fixture_close(f);
    assert_int_equal(a.calls, 100);
    assert_int_equal(a.rc, CPN_OK);
    assert_int_equal(walk.calls, 1);
    assert_int_equal(fixture_open(f, NULL), CPN_OK);
    assert_string_equal(verify_now(f, &walk), "{\"records\":100,\"ok\":true}");
}

#define ZEROS "00000000000000000000000000000000000000000000000000000000000000"

/* A file of the second schema, where sessions lay by their ids, and used tokens were of a kind of
 * their own. */
static void
older_files_are_brought_up_to_date(void **state)
{
    static const char older[] =
        "DROP TABLE session;"
        "CREATE TABLE session (id TEXT PRIMARY KEY NOT NULL, started TEXT NOT NULL, ended TEXT,"
        " ended_ms INTEGER) STRICT, WITHOUT ROWID;"
        "CREATE INDEX session_open ON session (id) WHERE ended IS NULL;"
        "CREATE INDEX session_end ON session (ended_ms) WHERE ended_ms IS NOT NULL;"
        "INSERT INTO session VALUES ('b', '{\"b\":1}', NULL, NULL), ('a', '{}', '{}', 1000),"
        " ('c', '{}', '{}', NULL);"
        "ALTER TABLE secret DROP COLUMN uses; ALTER TABLE secret DROP COLUMN first_ms;"
        "INSERT INTO secret VALUES ('refresh.used', zeroblob(32),"
        " '{\"family\":\"f\",\"usedMs\":7}', 9223372036854775807),"
        " ('refresh', x'" ZEROS "01', '{\"beganMs\":10}', 9223372036854775807),"
        " ('refresh', x'" ZEROS "02', '{\"beganMs\":11}', 9223372036854775807),"
        " ('refresh.user', zeroblob(32), '{\"sinceMs\":10}', 9223372036854775807);"
        "UPDATE schema_version SET version = 2";
    fixture *f = *state;
    char all[4096] = "";
    cpn_batch *b = cpn_batch_new();
    answer a;
    sqlite3 *db;

    if (!backend_now->is_sqlite)
        skip();
    fixture_close(f);
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, older, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(fixture_open(f, NULL), CPN_OK);
    assert_int_equal(cpn_store_open_sessions(f->store, count_row, all, NULL), CPN_OK);
    assert_string_equal(all, "session b {\"b\":1}\n");
    use_now(f, "refresh", (const uint8_t[32]){ 0 }, 0, &a);
    assert_non_null(strstr(a.body, "{\"uses\":1,\"firstMs\":7,"));
    use_now(f, "refresh", (const uint8_t[32]){ [31] = 1 }, 0, &a); /* before a sign-out */
    assert_int_equal(a.rc, CPN_NOT_FOUND);
    use_now(f, "refresh", (const uint8_t[32]){ [31] = 2 }, 0, &a);
    assert_int_equal(a.rc, CPN_OK);
    cpn_batch_sessions_prune(b, clock_wall_ms); /* an end without a time was long ago */
    assert_int_equal(commit_now(f, b), CPN_OK);
    fixture_close(f);
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "INSERT INTO session (id, started) VALUES ('a', ''), ('c', '')",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(fixture_open(f, NULL), CPN_OK);
}

static void
refuse_open(fixture *f, const char *sentence)
{
    cpn_err err = { 0 };

    assert_int_equal(fixture_open(f, &err), CPN_E_CONF);
    if (!strstr(err.msg, sentence))
        fail_msg("expected \"%s\" in \"%s\"", sentence, err.msg);
}

static void
unsafe_places_are_refused(void **state)
{
    fixture *f = *state;
    char link_path[160];
    struct stat st;

    if (!backend_now->is_sqlite)
        skip();
    snprintf(link_path, sizeof(link_path), "%s-wal", f->path);
    assert_int_equal(stat(link_path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    fixture_close(f);
    assert_int_equal(chmod(f->path, 0640), 0);
    refuse_open(f, "is open to other users (mode 0640): chmod 600");
    assert_int_equal(chmod(f->path, 0600), 0);
    assert_int_equal(chmod(f->dir, 0770), 0);
    refuse_open(f, "can be written by other users");
    assert_int_equal(chmod(f->dir, 0700), 0);
    snprintf(link_path, sizeof(link_path), "%s/link.db", f->dir);
    assert_int_equal(link(f->path, link_path), 0);
    refuse_open(f, "has a second name");
    unlink(link_path);
    assert_int_equal(rename(f->path, link_path), 0);
    assert_int_equal(symlink("link.db", f->path), 0);
    refuse_open(f, "is a symbolic link");
    unlink(f->path);
    assert_int_equal(mkfifo(f->path, 0600), 0);
    refuse_open(f, "is not a regular file");
    unlink(f->path);
    assert_int_equal(rename(link_path, f->path), 0);
    assert_int_equal(fixture_open(f, NULL), CPN_OK);
}

static void
write_file(const char *path, const char *content)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
    close(fd);
}

static void
foreign_and_newer_databases_are_refused(void **state)
{
    fixture *f = *state;
    sqlite3 *db;

    if (!backend_now->is_sqlite)
        skip();
    fixture_close(f);
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "UPDATE schema_version SET version = 999", NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    refuse_open(f, "was written by a newer version of Caponier (schema 999");
    write_file(f->path,
               "this is a text file that is long enough to have a whole header of it, is it "
               "not, so it is refused and not overwritten by anybody");
    refuse_open(f, "is not a SQLite database");
    unlink(f->path);
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE cookies (a)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    chmod(f->path, 0600);
    refuse_open(f, "is not a database of Caponier");
    unlink(f->path);
    assert_int_equal(fixture_open(f, NULL), CPN_OK);
    snprintf(f->dsn, sizeof(f->dsn), "oracle:x");
    fixture_close(f);
    refuse_open(f, "no such kind");
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)

int
main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(tickets_are_refused),
        CASE(one_of_a_thousand_consumers_wins),
        CASE(a_failed_batch_issues_no_ticket),
        CASE(a_failed_precondition_leaves_nothing),
        CASE(bad_records_fail_their_batch),
        CASE(tampering_is_named),
        CASE(unsafe_places_are_refused),
        CASE(foreign_and_newer_databases_are_refused),
        CASE(a_second_process_is_refused),
        CASE(a_full_disk_loses_nothing),
        CASE(a_killed_writer_loses_nothing_acknowledged),
        CASE(changes_keep_their_order),
        CASE(a_thousand_batches_are_few_transactions),
        CASE(some_batches_wait_for_company),
        CASE(the_queue_has_an_end),
        CASE(sessions_start_once_and_end_once),
        CASE(ended_sessions_are_forgotten_in_time),
        CASE(unknown_and_expired_secrets_are_not_there),
        CASE(uses_of_a_secret_are_counted),
        CASE(records_are_read_by_page_and_field),
        CASE(reopening_sees_everything),
        CASE(older_files_are_brought_up_to_date),
        CASE(closing_answers_everything),
    };
    int failed = 0;

    for (size_t i = 0; i < backends_n; i++) {
        backend_now = &backends[i];
        failed += cmocka_run_group_tests_name(backends[i].name, cases, NULL, NULL);
    }
    return failed;
}
