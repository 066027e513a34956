/* What all rows of the ARM subset share: api-version, operations, ETags. Refusals first. */
#include "control_fixture.h"

#include "control/arm.h"

#define OPERATIONS SUB "/providers/Microsoft.Network/locations/local/operations/"
#define V24 "api-version=2024-01-01"

static int
code_of(const char *who, const char *path, const char *query, char code[64])
{
    json_t *answer = NULL;
    int status = ask_as(who, "GET", path, query, NULL, &answer);

    snprintf(code, 64, "%s", cpn_json_string(json_object_get(answer, "error"), "code"));
    json_decref(answer);
    return status;
}

static const struct {
    const char *query;
    const char *code;
} versions[] = {
    { NULL, "MissingApiVersionParameter" },
    { "x=y", "MissingApiVersionParameter" },
    { "api-version=", "MissingApiVersionParameter" },
    { "api-version=1", "InvalidApiVersionParameter" },
    { "api-version=latest", "InvalidApiVersionParameter" },
    { "api-version=2024-01", "InvalidApiVersionParameter" },
    { "api-version=2024-1-1", "InvalidApiVersionParameter" },
    { "api-version=2024-13-01", "InvalidApiVersionParameter" },
    { "api-version=2024-02-30", "InvalidApiVersionParameter" },
    { "api-version=2024-00-10", "InvalidApiVersionParameter" },
    { "api-version=2013-01-01", "InvalidApiVersionParameter" },
    { "api-version=2030-01-01", "InvalidApiVersionParameter" },
    { "api-version=2024/01/01", "InvalidApiVersionParameter" },
    { "api-version=2024-01-01-", "InvalidApiVersionParameter" },
    { "api-version=2024-01-01-gamma", "InvalidApiVersionParameter" },
    { "api-version=2024-01-01x", "InvalidApiVersionParameter" },
    { "api-version=2024-01-01-previewpreview", "InvalidApiVersionParameter" },
    { "api-version=%2B024-01-01", "InvalidApiVersionParameter" },
    /* good ones: the operation is unknown */
    { "api-version=2015-01-01", "OperationNotFound" },
    { "api-version=2019-11-01", "OperationNotFound" },
    { "api-version=2024-02-29", "OperationNotFound" },
    { "api-version=2018-05-01-preview", "OperationNotFound" },
    { "api-version=2018-05-01-PREVIEW", "OperationNotFound" },
};

static void
versions_are_checked(void **state)
{
    char code[64];

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(versions); i++) {
        int status = code_of("$ada", OPERATIONS "x", versions[i].query, code);

        if (strcmp(code, versions[i].code) != 0 || (status != 400 && status != 404))
            fail_msg("%s: %d %s", versions[i].query, status, code);
    }
}

static void
nobody_is_told_to_sign_in(void **state)
{
    char code[64];

    (void)state;
    assert_int_equal(code_of(NULL, OPERATIONS "x", V24, code), 401);
    assert_string_equal(code, "AuthenticationFailed");
}

static void
etags_follow_the_content(void **state)
{
    char a[CPN_ARM_ETAG_SIZE], b[CPN_ARM_ETAG_SIZE], c[CPN_ARM_ETAG_SIZE];
    json_t *one = json_pack("{s:i,s:s}", "x", 1, "y", "z");
    json_t *same = json_pack("{s:s,s:i}", "y", "z", "x", 1);
    json_t *other = json_pack("{s:s,s:i}", "y", "z", "x", 2);

    (void)state;
    cpn_arm_etag(one, a);
    cpn_arm_etag(same, b);
    cpn_arm_etag(other, c);
    assert_string_equal(a, b);
    assert_string_not_equal(a, c);
    assert_int_equal(strlen(a), CPN_ARM_ETAG_SIZE - 4);
    json_decref(one);
    json_decref(same);
    json_decref(other);
}

static const struct {
    const char *match, *none_match;
    bool there;
    bool right;
} conditions[] = {
    { "*", "", false, false },
    { "W/\"0\"", "", true, false },
    { "\"0\", W/\"1\"", "", true, false },
    { "ETAG", "", false, false },
    { "", "*", true, false },
    { "", "ETAG", true, false },
    { "", "", false, true },
    { "", "", true, true },
    { "*", "", true, true },
    { "ETAG", "", true, true },
    { "\"0\" , ETAG", "", true, true },
    { "", "*", false, true },
    { "", "W/\"0\"", true, true },
};

static void
preconditions_hold_or_not(void **state)
{
    json_t *body = json_pack("{s:i}", "x", 1);
    char etag[CPN_ARM_ETAG_SIZE];

    (void)state;
    cpn_arm_etag(body, etag);
    for (size_t i = 0; i < CPN_COUNT(conditions); i++) {
        cpn_call *call = calloc(1, sizeof(*call));
        const char *at = strstr(conditions[i].match, "ETAG");
        const char *none = strstr(conditions[i].none_match, "ETAG");

        snprintf(call->if_match, sizeof(call->if_match), "%.*s%s",
                 at ? (int)(at - conditions[i].match) : 100, conditions[i].match, at ? etag : "");
        snprintf(call->if_none_match, sizeof(call->if_none_match), "%s",
                 none ? etag : conditions[i].none_match);
        if (cpn_arm_precondition(call, conditions[i].there ? body : NULL) != conditions[i].right)
            fail_msg("row %zu", i);
        free(call);
    }
    json_decref(body);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, stage_up, stage_down)
    const struct CMUnitTest tests[] = {
        T(versions_are_checked),
        T(nobody_is_told_to_sign_in),
        cmocka_unit_test(etags_follow_the_content),
        cmocka_unit_test(preconditions_hold_or_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
