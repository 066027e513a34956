/* control/pattern.h: which path fits which row, and what its parameters and its scope are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "control/pattern.h"

#define BASTIONS                                                                                   \
    "/subscriptions/{s}/resourceGroups/{g}/providers/Microsoft.Network/bastionHosts/{name}"
#define ASSIGNMENTS "/{+scope}/providers/Microsoft.Authorization/roleAssignments"

static bool
fits(const char *pattern, const char *path, bool nocase, cpn_params *p)
{
    return cpn_pattern_fits(pattern, cpn_view_str(path), nocase, p);
}

static const struct {
    const char *pattern, *path;
    bool nocase;
} misfits[] = {
    { "/v1/version", "/v1/Version", false },
    { "/v1/version", "/v1/version/", false },
    { "/v1/version", "/v1", false },
    { "/v1/version", "v1/version", false },
    { "/v1/version", "", false },
    { "/api/tokens/{t}", "/api/tokens", false },
    { "/api/tokens/{t}", "/api/tokens/", false },
    { "/api/tokens/{t}", "/api/tokens/a/b", false },
    { "/api/tokens/{t}", "/api/tokens/%zz", false },
    { "/api/tokens/{t}", "/api/tokens/%00", false },
    { BASTIONS, "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/bastionHosts",
      true },
    { BASTIONS, "/subscriptions/s/resourcegroups/g/providers/microsoft.network/bastionhosts/b",
      false },
    { ASSIGNMENTS, "/providers/Microsoft.Authorization/roleAssignments", true },
    { ASSIGNMENTS, "/subscriptions/s/providers/Microsoft.Authorization/roleAssignments/x", true },
};

static void
what_does_not_fit(void **state)
{
    cpn_params p = { 0 };

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(misfits); i++) {
        if (fits(misfits[i].pattern, misfits[i].path, misfits[i].nocase, &p))
            fail_msg("%s fits %s", misfits[i].path, misfits[i].pattern);
        assert_int_equal(p.n, 0);
    }
}

static void
a_parameter_is_bounded(void **state)
{
    char path[CPN_ID_MAX + 64];
    cpn_params p;

    (void)state;
    memset(path, 'a', sizeof(path));
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    assert_false(fits("/{x}", path, false, &p));
    path[CPN_ID_MAX] = '\0'; /* the slash and CPN_ID_MAX - 1 letters */
    assert_true(fits("/{x}", path, false, &p));
    assert_int_equal(strlen(p.scope), CPN_ID_MAX);
    assert_false(fits("/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}", "/1/2/3/4/5/6/7/8/9", false, &p));
    assert_true(fits("/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}", "/1/2/3/4/5/6/7/8", false, &p));
}

static const struct {
    const char *pattern, *path, *name, *value, *scope;
} good[] = {
    { "/v1/version", "/v1/version", "t", "", "/" },
    { "/api/tokens/{t}", "/api/tokens/a%20b", "t", "a b", "/api/tokens/a b" },
    { BASTIONS, "/SUBSCRIPTIONS/s/resourcegroups/G/providers/microsoft.network/BASTIONHOSTS/b",
      "name", "b", "/SUBSCRIPTIONS/s/resourcegroups/G/providers/microsoft.network/BASTIONHOSTS/b" },
    { BASTIONS "/getActiveSessions",
      "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/bastionHosts/b/"
      "getactivesessions",
      "g", "g", "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/bastionHosts/b" },
    { ASSIGNMENTS "/{id}",
      "/subscriptions/s/resourceGroups/g/providers/Microsoft.Authorization/roleAssignments/1", "id",
      "1", "/subscriptions/s/resourceGroups/g" },
    { ASSIGNMENTS, "/subscriptions/s/providers/microsoft.authorization/roleassignments", "scope",
      "/subscriptions/s", "/subscriptions/s" },
};

static void
what_fits(void **state)
{
    (void)state;
    for (size_t i = 0; i < CPN_COUNT(good); i++) {
        cpn_params p;

        if (!fits(good[i].pattern, good[i].path, true, &p))
            fail_msg("%s does not fit %s", good[i].path, good[i].pattern);
        assert_string_equal(cpn_param(&p, good[i].name), good[i].value);
        assert_string_equal(p.scope, good[i].scope);
        assert_string_equal(cpn_param(&p, "other"), "");
    }
}

static void
literal_text_goes_first(void **state)
{
    (void)state;
    assert_true(cpn_pattern_before("/adfs/{x}", "/{tenant}/{x}"));
    assert_false(cpn_pattern_before("/{tenant}/{x}", "/adfs/{x}"));
    assert_true(cpn_pattern_before("/{tenant}/x", "/{+scope}/x"));
    assert_true(cpn_pattern_before("/subscriptions/{s}/x", ASSIGNMENTS));
    assert_false(cpn_pattern_before("/a/b", "/a/b"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_does_not_fit),
        cmocka_unit_test(a_parameter_is_bounded),
        cmocka_unit_test(what_fits),
        cmocka_unit_test(literal_text_goes_first),
    };

    return cmocka_run_group_tests_name("pattern", tests, NULL, NULL);
}
