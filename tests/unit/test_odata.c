/* The $filter of list calls. Refusals first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "codec/odata.h"

static const char *const refused[] = {
    " ",
    "name",
    "name eq",
    "name eq Reader",
    "name eq 'Reader",
    "name eq 'Reader' ",
    "name eq 'Reader' or name eq 'Owner'",
    "name eq 'a'and name eq 'b'",
    "name eq 'a' and ",
    "name ne 'a'",
    "name  eq 'a'",
    "na me eq 'a'",
    "'name' eq 'a'",
    "atScope(",
    "atScope())",
    "(atScope())",
    "assignedTo(x)",
    "assignedTo('x'",
    "startswith('x')",
    "startswith(a 'x')",
    "names/any(a:b eq 'x')",
    "names/any(a:a eq 'x'",
    "names/all(a:a eq 'x')",
    "f() and f() and f() and f() and f()",
};

static void
what_is_not_understood_is_refused(void **state)
{
    cpn_odata got;
    cpn_err err;

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++) {
        if (cpn_odata_parse(cpn_view_str(refused[i]), &got, &err) != CPN_INVALID || got.n)
            fail_msg("%s is taken", refused[i]);
    }
    assert_int_equal(cpn_odata_parse((cpn_view){ (const uint8_t *)"a eq '\0'", 8 }, &got, &err),
                     CPN_INVALID);
}

static void
long_texts_are_refused(void **state)
{
    char text[CPN_ODATA_TEXT_SIZE + 16];
    cpn_odata got;

    (void)state;
    memset(text, 'x', sizeof(text));
    memcpy(text, "a eq '", 6);
    text[6 + CPN_ODATA_TEXT_SIZE - 1] = '\'';
    text[6 + CPN_ODATA_TEXT_SIZE] = '\0';
    assert_int_equal(cpn_odata_parse(cpn_view_str(text), &got, NULL), CPN_OK);
    text[6 + CPN_ODATA_TEXT_SIZE - 1] = 'x';
    text[6 + CPN_ODATA_TEXT_SIZE] = '\'';
    text[6 + CPN_ODATA_TEXT_SIZE + 1] = '\0';
    assert_int_equal(cpn_odata_parse(cpn_view_str(text), &got, NULL), CPN_INVALID);
}

static const struct {
    const char *in;
    cpn_odata_op op;
    const char *name, *text;
} taken[] = {
    { "roleName eq 'Virtual Machine User Login'", CPN_ODATA_EQ, "roleName",
      "Virtual Machine User Login" },
    { "name eq ''", CPN_ODATA_EQ, "name", "" },
    { "name eq 'o''clock'''", CPN_ODATA_EQ, "name", "o'clock'" },
    { "name eq ' and '", CPN_ODATA_EQ, "name", " and " },
    { "atScope()", CPN_ODATA_CALL, "atScope", "" },
    { "assignedTo('x')", CPN_ODATA_OF, "assignedTo", "x" },
    { "startswith(displayName,'we')", CPN_ODATA_STARTS, "displayName", "we" },
    { "startswith(displayName, 'we')", CPN_ODATA_STARTS, "displayName", "we" },
    { "servicePrincipalNames/any(c:c eq 'x')", CPN_ODATA_ANY, "servicePrincipalNames", "x" },
};

static void
each_form_is_read(void **state)
{
    cpn_odata got;

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(taken); i++) {
        assert_int_equal(cpn_odata_parse(cpn_view_str(taken[i].in), &got, NULL), CPN_OK);
        assert_int_equal(got.n, 1);
        assert_int_equal(got.clause[0].op, taken[i].op);
        assert_true(cpn_view_is(got.clause[0].name, taken[i].name));
        assert_string_equal(got.clause[0].text, taken[i].text);
    }
}

static void
clauses_are_joined_by_and(void **state)
{
    cpn_odata got;

    (void)state;
    assert_int_equal(cpn_odata_parse(CPN_VIEW_LIT(""), &got, NULL), CPN_OK);
    assert_int_equal(got.n, 0);
    assert_int_equal(
        cpn_odata_parse(CPN_VIEW_LIT("atScope() and assignedTo('x') and a eq 'b'"), &got, NULL),
        CPN_OK);
    assert_int_equal(got.n, 3);
    assert_int_equal(got.clause[2].op, CPN_ODATA_EQ);
    assert_string_equal(got.clause[1].text, "x");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_understood_is_refused),
        cmocka_unit_test(long_texts_are_refused),
        cmocka_unit_test(each_form_is_read),
        cmocka_unit_test(clauses_are_joined_by_and),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
