/* Opens, closes and clears away the store under test. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "codec/digest.h"

static const char *
sqlite_dsn(const char *dir, char *out, size_t size)
{
    snprintf(out, size, "sqlite:%s/store.db", dir);
    return out;
}

const backend backends[] = {
    { "sqlite", sqlite_dsn, true },
};
const size_t backends_n = CPN_COUNT(backends);
const backend *backend_now;

_Atomic int64_t clock_wall_ms;
_Atomic uint64_t clock_mono_ms;

static int64_t
still_wall(void)
{
    return clock_wall_ms;
}

static uint64_t
still_mono(void)
{
    return clock_mono_ms;
}

const cpn_store_clock still_clock = { still_wall, still_mono };

cpn_rc
fixture_open(fixture *f, cpn_err *err)
{
    return cpn_store_open_clock(&f->store, &f->loop, f->dsn, &still_clock, err);
}

void
fixture_close(fixture *f)
{
    cpn_store_free(f->store);
    f->store = NULL;
    uv_run(&f->loop, UV_RUN_DEFAULT);
}

int
fixture_setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    cpn_err err = { 0 };

    snprintf(f->dir, sizeof(f->dir), "/tmp/cpn-store-XXXXXX");
    if (!mkdtemp(f->dir) || !backend_now->dsn(f->dir, f->dsn, sizeof(f->dsn)))
        return -1;
    snprintf(f->path, sizeof(f->path), "%s/store.db", f->dir);
    clock_wall_ms = 1700000000000;
    clock_mono_ms = 5000000;
    uv_loop_init(&f->loop);
    if (fixture_open(f, &err) != CPN_OK) {
        print_error("%s\n", err.msg);
        return -1;
    }
    *state = f;
    return 0;
}

int
fixture_teardown(void **state)
{
    static const char *const files[] = { "store.db", "store.db-wal", "store.db-shm", "link.db" };
    fixture *f = *state;
    char path[256];

    fixture_close(f);
    uv_loop_close(&f->loop);
    for (size_t i = 0; i < CPN_COUNT(files); i++) {
        snprintf(path, sizeof(path), "%s/%s", f->dir, files[i]);
        unlink(path);
    }
    rmdir(f->dir);
    free(f);
    return 0;
}

void
on_done(void *owner, cpn_rc rc, const cpn_err *err)
{
    answer *a = owner;

    a->calls++;
    a->rc = rc;
    snprintf(a->msg, sizeof(a->msg), "%s", rc == CPN_OK ? "" : err->msg);
}

void
on_body(void *owner, cpn_rc rc, cpn_view body, const cpn_err *err)
{
    answer *a = owner;

    on_done(owner, rc, err);
    if (!cpn_view_copy(body, a->body, sizeof(a->body)))
        snprintf(a->body, sizeof(a->body), "(%zu bytes)", body.n);
}

cpn_rc
commit_now(fixture *f, cpn_batch *b)
{
    answer a = { 0 };

    assert_int_equal(cpn_store_commit(f->store, b, on_done, &a), CPN_OK);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(a.calls, 1);
    return a.rc;
}

const char *
verify_now(fixture *f, answer *a)
{
    memset(a, 0, sizeof(*a));
    assert_int_equal(cpn_store_audit_verify(f->store, on_body, a), CPN_OK);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(a->calls, 1);
    assert_int_equal(a->rc, CPN_OK);
    return a->body;
}

void
key_of(const char *secret, uint8_t out[32])
{
    cpn_sha256(cpn_view_str(secret), out);
}

void
uuid_of(uint32_t n, cpn_uuid *out)
{
    memset(out, 0, sizeof(*out));
    memcpy(out->b + 12, &n, sizeof(n));
    out->b[6] = 0x40;
    out->b[8] = 0x80;
}
