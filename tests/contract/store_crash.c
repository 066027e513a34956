/* The store's contract when processes die, meet, or run out of disk. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "fixture.h"

/* ---- killed in mid-load ---- */

typedef struct writer {
    fixture *f;
    int acks;
    uint32_t next;
} writer;

typedef struct pending {
    writer *w;
    uint32_t n;
} pending;

static void write_one(writer *w);

static void
acknowledged(void *owner, cpn_rc rc, const cpn_err *err)
{
    pending *p = owner;
    writer *w = p->w;

    (void)err;
    if (rc != CPN_OK || write(w->acks, &p->n, sizeof(p->n)) != sizeof(p->n))
        _exit(3);
    free(p);
    write_one(w);
}

static void
write_one(writer *w)
{
    pending *p = calloc(1, sizeof(*p));
    cpn_batch *b = cpn_batch_new();
    cpn_uuid id;

    *p = (pending){ .w = w, .n = w->next++ };
    uuid_of(p->n, &id);
    cpn_batch_session_start(b, &id, CPN_VIEW_LIT("{\"state\":\"open\"}"));
    cpn_batch_audit(b, CPN_VIEW_LIT("{\"operationName\":\"session.start\"}"));
    if (cpn_store_commit(w->f->store, b, acknowledged, p) != CPN_OK)
        _exit(4);
}

/* In the child: 32 batches always under way, each acknowledgement told through the pipe. */
static void
write_until_killed(fixture *f, int acks, uint32_t from)
{
    writer w = { .f = f, .acks = acks, .next = from };

    if (fixture_open(f, NULL) != CPN_OK)
        _exit(2);
    for (int i = 0; i < 32; i++)
        write_one(&w);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    _exit(5);
}

typedef struct seen {
    uint8_t *there; /* by number */
    unsigned rows;
} seen;

static void
see_row(void *owner, const char *kind, const char *id, cpn_view body)
{
    seen *s = owner;
    cpn_uuid u;
    uint32_t n;

    (void)kind;
    (void)body;
    if (cpn_uuid_parse(&u, cpn_view_str(id))) {
        memcpy(&n, u.b + 12, sizeof(n));
        s->there[n % 100000] = 1;
    }
    s->rows++;
}

/* One round; returns how many were acknowledged. Marks them in `acked`. */
static unsigned
kill_in_mid_load(fixture *f, unsigned enough, uint32_t from, uint8_t *acked)
{
    int fds[2], status;
    unsigned n = 0;
    uint32_t one;
    pid_t child;

    assert_int_equal(pipe(fds), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(fds[0]);
        write_until_killed(f, fds[1], from);
    }
    close(fds[1]);
    while (read(fds[0], &one, sizeof(one)) == sizeof(one)) {
        acked[one % 100000] = 1;
        if (++n == enough)
            kill(child, SIGKILL);
    }
    close(fds[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return n;
}

void
a_killed_writer_loses_nothing_acknowledged(void **state)
{
    fixture *f = *state;
    uint8_t *acked = calloc(100000, 1);
    seen s = { .there = calloc(100000, 1) };
    unsigned missing = 0;
    char want[64];
    answer a;

    fixture_close(f);
    for (uint32_t round = 0; round < 3; round++)
        assert_true(kill_in_mid_load(f, 150 + 70 * round, round * 30000, acked) > 100);
    assert_int_equal(fixture_open(f, NULL), CPN_OK);
    assert_int_equal(cpn_store_open_sessions(f->store, see_row, &s, NULL), CPN_OK);
    for (size_t i = 0; i < 100000; i++)
        missing += acked[i] && !s.there[i];
    assert_int_equal(missing, 0);
    /* Session and record came together, or neither did. */
    snprintf(want, sizeof(want), "{\"records\":%u,\"ok\":true}", s.rows);
    assert_string_equal(verify_now(f, &a), want);
    free(acked);
    free(s.there);
}

/* ---- a second process ---- */

void
a_second_process_is_refused(void **state)
{
    fixture *f = *state;
    int go[2], said[2], status;
    char text[512] = "";
    cpn_err err = { 0 };
    pid_t child;

    fixture_close(f);
    assert_int_equal(pipe(go), 0);
    assert_int_equal(pipe(said), 0);
    child = fork(); /* before this process opens it: SQLite's memory must not be shared */
    if (child == 0) {
        close(go[1]);
        if (read(go[0], text, 1) != 1 || fixture_open(f, &err) == CPN_OK)
            _exit(1);
        _exit(write(said[1], err.msg, strlen(err.msg)) > 0 ? 0 : 2);
    }
    assert_int_equal(fixture_open(f, NULL), CPN_OK);
    assert_int_equal(write(go[1], "g", 1), 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_true(read(said[0], text, sizeof(text) - 1) > 0);
    assert_non_null(strstr(text, "is in use by another process"));
    for (int i = 0; i < 2; i++) {
        close(go[i]);
        close(said[i]);
    }
}

/* ---- a full disk ---- */

static cpn_batch *
big_batch(unsigned n)
{
    cpn_batch *b = cpn_batch_new();
    char body[4096];
    char id[32];

    memset(body, ' ', sizeof(body));
    body[0] = '{';
    body[sizeof(body) - 1] = '}';
    snprintf(id, sizeof(id), "d%06u", n);
    cpn_batch_put(b, "k", id, (cpn_view){ (uint8_t *)body, sizeof(body) });
    cpn_batch_audit(b, CPN_VIEW_LIT("{\"operationName\":\"put\"}"));
    return b;
}

static void
count_rows(void *owner, const char *kind, const char *id, cpn_view body)
{
    (void)kind;
    (void)id;
    (void)body;
    ++*(unsigned *)owner;
}

/* Four batches in one transaction: those that did not fit, or -1 for another failure. */
static int
commit_four(fixture *f, unsigned n)
{
    answer a[4];
    int refused = 0;

    memset(a, 0, sizeof(a));
    for (unsigned i = 0; i < 4; i++)
        if (cpn_store_commit(f->store, big_batch(n + i), on_done, &a[i]) != CPN_OK)
            return -1;
    uv_run(&f->loop, UV_RUN_DEFAULT);
    for (unsigned i = 0; i < 4; i++) {
        if (a[i].calls != 1 || (a[i].rc != CPN_OK && a[i].rc != CPN_LIMIT))
            return -1;
        refused += a[i].rc == CPN_LIMIT;
    }
    return refused;
}

/* In a mount namespace of its own, on a file system of 1 MiB. 0: as it must be; 77: cannot here. */
static int
fill_the_disk(fixture *f)
{
    char ballast[160];
    unsigned good = 0, rows = 0, refused = 0;
    int fd;
    answer a;
    char want[64];

    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("full", f->dir, "tmpfs", 0, "size=1m,mode=0700") < 0)
        return 77;
    snprintf(ballast, sizeof(ballast), "%s/ballast", f->dir);
    fd = open(ballast, O_WRONLY | O_CREAT, 0600);
    if (fd < 0 || posix_fallocate(fd, 0, 300000) != 0 || fixture_open(f, NULL) != CPN_OK)
        return 1;
    close(fd);
    for (unsigned i = 0; i < 400 && refused < 12; i += 4) {
        int n = commit_four(f, i);

        if (n < 0)
            return 2;
        good += 4 - (unsigned)n;
        refused += (unsigned)n;
    }
    if (refused < 12)
        return 3;
    snprintf(want, sizeof(want), "{\"records\":%u,\"ok\":true}", good);
    if (strcmp(verify_now(f, &a), want) != 0) /* reading goes on */
        return 4;
    unlink(ballast); /* space returns */
    good++;
    if (commit_now(f, big_batch(999)) != CPN_OK)
        return 5;
    fixture_close(f);
    if (fixture_open(f, NULL) != CPN_OK ||
        cpn_store_load(f->store, count_rows, &rows, NULL) != CPN_OK || rows != good)
        return 6;
    snprintf(want, sizeof(want), "{\"records\":%u,\"ok\":true}", good);
    return strcmp(verify_now(f, &a), want) == 0 ? 0 : 7;
}

void
a_full_disk_loses_nothing(void **state)
{
    fixture *f = *state;
    int status;
    pid_t child;

    fixture_close(f);
    child = fork();
    if (child == 0)
        _exit(fill_the_disk(f));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) {
        print_message("skipped: no right to mount a small file system\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}
