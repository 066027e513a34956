/* Every route of the table by every kind of caller: each cell's answer is the one that
 * control_matrix.h says, and no route is without a row there. */
#include "control_audit.h"
#include "control_matrix.h"

#include "control/api.h"
#include "control/penalties.h"

static void
person(cpn_snapshot_edit *e, const char *id, const char *role, const char *scope, const char *guid)
{
    char body[256], name[128];

    snprintf(body, sizeof(body), "{'type':'User','name':'%s@example.test','enabled':true}", id);
    put_ok(e, CPN_KIND_PRINCIPAL, id, body);
    snprintf(body, sizeof(body), "{'principalId':'%s','role':'%s'}", id, role);
    snprintf(name, sizeof(name), "%s" ASSIGNMENTS "%s", scope, guid);
    put_ok(e, CPN_KIND_ASSIGNMENT, name, body);
}

/* The world with people whose roles reach less far than everything. */
static int
matrix_up(void **state)
{
    cpn_snapshot_edit *e;

    (void)stage_up(state);
    more_headers = "caponier-client: 1\r\n"; /* refused by status, not by a session that says no */
    e = cpn_snapshot_edit_new(st.c->snapshot);
    person(e, MACHINE_READER, "Reader", "$web1", GUID_OF("c1"));
    person(e, BASTION_READER, "Reader", "$front", GUID_OF("c2"));
    person(e, BASTION_CONTRIBUTOR, "Contributor", "$front", GUID_OF("c3"));
    person(e, CONTRIBUTOR, "Contributor", "", GUID_OF("c4"));
    cpn_snapshot_unref(st.c->snapshot);
    st.c->snapshot = seal_ok(e);
    return 0;
}

static const cpn_route *
route_of(size_t cell)
{
    const cpn_route *found = NULL;
    cpn_params params;
    char allow[64] = "";

    if (cpn_api_match(cpn_view_str(cells[cell].method), cpn_view_str(cells[cell].path), &found,
                      &params, allow) != CPN_OK)
        fail_msg("%s %s is no route", cells[cell].method, cells[cell].path);
    return found;
}

static void
no_route_is_without_a_row(void **state)
{
    unsigned n = 0;

    (void)state;
    for (const cpn_route *const *t = cpn_route_tables; *t; t++) {
        for (const cpn_route *row = *t; row->path; row++) {
            bool there = false;

            for (size_t i = 0; i < CPN_COUNT(cells) && !there; i++)
                there = route_of(i) == row;
            if (!there)
                print_error("%s %s has no row in control_matrix.h\n", row->method, row->path);
            n += !there;
        }
    }
    if (n)
        fail_msg("%u routes have no row in control_matrix.h", n);
}

/* The cell's body, with the caller's token where it wants it. */
static const char *
body_by(const char *body, const char *who)
{
    static char out[4096], token[4096];
    const char *at = body ? strstr(body, TOKEN) : NULL;

    if (!at)
        return body;
    snprintf(out, sizeof(out), "%.*s%s%s", (int)(at - body), body, token_of(who, token),
             at + strlen(TOKEN));
    return out;
}

/* The letter of a status; '?': none that an answer here may have. */
static char
letter(int status)
{
    switch (status) {
    case 401:
        return 'u';
    case 403:
        return 'd';
    case 404:
        return 'n';
    default:
        return status == 405 || status == 429 || status >= 500 ? '?' : '+';
    }
}

/* A row with an event whose call was let in leaves a record of it, whatever came of the call; but
 * for a revocation of what is nobody's token, by which strangers could fill the audit. */
static bool
leaves_its_record(size_t cell, json_int_t before, int status, const char *by)
{
    const cpn_route *r = route_of(cell);

    size_t records;
    json_int_t more = r->audit ? calls_recorded(r->audit, &records) - before : 0;

    if (!r->audit || letter(status) != '+' || more == (strcmp(r->audit, "logout") != 0))
        return true;
    print_error("%s %s by %s: %d, and %lld records of %s\n", cells[cell].method, cells[cell].path,
                by, status, (long long)more, r->audit);
    return false;
}

static void
every_cell_is_as_the_table_says(void **state)
{
    unsigned n = 0;

    for (size_t i = 0; i < CPN_COUNT(cells); i++) {
        assert_int_equal(strlen(cells[i].want), CPN_COUNT(callers));
        for (size_t w = 0; w < CPN_COUNT(callers); w++) {
            const char *event = route_of(i)->audit;
            size_t records;
            json_int_t before = event ? calls_recorded(event, &records) : 0;
            int got;

            /* What the cells before cost their common source is no matter of who may what. */
            cpn_penalties_free(st.c->penalties);
            st.c->penalties = cpn_penalties_new(&st.c->set);
            got = ask_with(callers[w].who, cells[i].method, cells[i].path, cells[i].query,
                           route_of(i)->body == CPN_BODY_FORM,
                           body_by(cells[i].body, callers[w].who), NULL);

            if (letter(got) != cells[i].want[w]) {
                print_error("%s %s by %s: %d, not %c\n", cells[i].method, cells[i].path,
                            callers[w].word, got, cells[i].want[w]);
                n++;
            }
            n += !leaves_its_record(i, before, got, callers[w].word);
            if (cpn_snapshot_epoch(st.c->snapshot) != WORLD_EPOCH) {
                (void)stage_down(state);
                (void)matrix_up(state);
            }
        }
        (void)stage_down(state); /* nobody pays for the wrong tokens of another row */
        (void)matrix_up(state);
    }
    if (n)
        fail_msg("%u cells are wrong", n);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_route_is_without_a_row),
        cmocka_unit_test_setup_teardown(every_cell_is_as_the_table_says, matrix_up, stage_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
