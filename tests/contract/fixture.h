/* A store of the driver under test in a fresh place, with clocks that stand still. */
#ifndef TESTS_CONTRACT_FIXTURE_H
#define TESTS_CONTRACT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/store_driver.h"

/* One line a driver in fixture.c. */
typedef struct backend {
    const char *name;
    /* The dsn of a store in dir; NULL: not available here, skip. */
    const char *(*dsn)(const char *dir, char *out, size_t size);
    bool is_sqlite; /* some cases look at the file */
} backend;

extern const backend backends[];
extern const size_t backends_n;
extern const backend *backend_now; /* the one under test */

typedef struct fixture {
    uv_loop_t loop;
    cpn_store *store;
    char dir[64];
    char dsn[128];
    char path[128]; /* SQLite's file */
} fixture;

extern _Atomic int64_t clock_wall_ms;
extern _Atomic uint64_t clock_mono_ms;
extern const cpn_store_clock still_clock;

int fixture_setup(void **state);
int fixture_teardown(void **state);
/* Open the store again after fixture_close. */
cpn_rc fixture_open(fixture *f, cpn_err *err);
void fixture_close(fixture *f);

/* Answers as they come. */
typedef struct answer {
    unsigned calls;
    cpn_rc rc;
    char msg[512];
    char body[8192];
} answer;

void on_done(void *owner, cpn_rc rc, const cpn_err *err);
void on_body(void *owner, cpn_rc rc, cpn_view body, const cpn_err *err);
/* Commit and run the loop until answered. */
cpn_rc commit_now(fixture *f, cpn_batch *b);
/* The answer of a whole walk of the chain. */
const char *verify_now(fixture *f, answer *a);
void key_of(const char *secret, uint8_t out[32]);
void uuid_of(uint32_t n, cpn_uuid *out);

/* tests/contract/store_crash.c */
void a_killed_writer_loses_nothing_acknowledged(void **state);
void a_second_process_is_refused(void **state);
void a_full_disk_loses_nothing(void **state);

#endif
