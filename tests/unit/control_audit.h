/* What the audit of a control under test has. */
#ifndef CPN_TESTS_CONTROL_AUDIT_H
#define CPN_TESTS_CONTROL_AUDIT_H

#include "control_stage.h"

#include "control/trail.h"

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

/* Once the windows of merging are over: for how many calls the records of an event stand, and how
 * many there are. */
static CPN_UNUSED json_int_t
calls_recorded(const char *event, size_t *n)
{
    json_t *records, *one;
    json_int_t calls = 0;
    size_t i;

    cpn_trail_flush(st.c, 0, true);
    (void)came(&st.front, CPN_MSG_NONE);
    records = audit_of(event);
    json_array_foreach(records, i, one)
    {
        const json_t *count = json_object_get(one, "count");

        calls += count ? json_integer_value(count) : 1;
    }
    *n = json_array_size(records);
    json_decref(records);
    return calls;
}

static CPN_UNUSED void
records_are(const char *event, size_t n, json_int_t calls)
{
    size_t records;
    json_int_t stood_for = calls_recorded(event, &records);

    if (records != n || stood_for != calls)
        fail_msg("%s: %zu records of %lld calls", event, records, (long long)stood_for);
}

#endif
