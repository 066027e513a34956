/* People, services and groups whom a provider elsewhere names: what is refused; who is found; which
 * groups count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "config/config.h"
#include "control/accounts.h"
#include "policy/decide.h"

#define ISS "https://id.example.test"
#define ADA "00000000-0000-4000-8000-000000000001"
#define BOB "00000000-0000-4000-8000-000000000002"
#define OPS "00000000-0000-4000-8000-000000000003"
#define DEV "00000000-0000-4000-8000-000000000004"
#define ASSIGNMENT "/providers/Microsoft.Authorization/roleAssignments/00000000-0000-4000-8000-"
#define ASSIGNED ASSIGNMENT "000000000009"
#define SUBSCRIPTION "/subscriptions/00000000-0000-4000-8000-00000000000a"

static cpn_rc
put(cpn_snapshot_edit *e, const char *kind, const char *id, const char *text)
{
    CPN_AUTO(cpn_json_auto) json_t *body = json_loads(text, 0, NULL);

    if (!body)
        fail_msg("not JSON: %s", text);
    return cpn_snapshot_put(e, kind, id, body, NULL);
}

#define USER(name, external)                                                                       \
    "{\"type\":\"User\",\"name\":\"" name "\",\"enabled\":true,\"external\":" external "}"
#define GROUP(name, external)                                                                      \
    "{\"type\":\"Group\",\"name\":\"" name "\",\"members\":[],\"external\":" external "}"

static void
odd_bodies_are_refused(void **state)
{
    static const char *const refused[] = {
        USER("a", "null"),
        USER("a", "\"x\""),
        USER("a", "{}"),
        USER("a", "{\"issuer\":\"" ISS "\"}"),
        USER("a", "{\"issuer\":\"\",\"subject\":\"1\"}"),
        USER("a", "{\"issuer\":\"" ISS "\",\"subject\":\"\"}"),
        USER("a", "{\"issuer\":\"" ISS "\",\"subject\":7}"),
        USER("a", "{\"issuer\":\"" ISS "\",\"subject\":\"a\\nb\"}"),
        USER("a", "{\"issuer\":\"" ISS "\\nx\",\"subject\":\"b\"}"),
        USER("a", "{\"issuer\":\"" ISS "\",\"subject\":\"1\",\"email\":\"a@b\"}"),
        USER("a", "{\"issuer\":\"" ISS "\",\"subject\":\"1\",\"groups\":\"ops\"}"),
        USER("a", "{\"issuer\":\"" ISS "\",\"subject\":\"1\",\"groups\":[7]}"),
        GROUP("g", "{\"issuer\":\"" ISS "\",\"subject\":\"1\"}"),
        GROUP("g", "\"\""),
        GROUP("g", "7"),
    };
    cpn_snapshot_edit *e = cpn_snapshot_edit_new(NULL);

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++)
        if (put(e, CPN_KIND_PRINCIPAL, ADA, refused[i]) != CPN_INVALID)
            fail_msg("accepted: %s", refused[i]);
    cpn_snapshot_edit_free(e);
}

static void
refused_together(const char *one, const char *two)
{
    cpn_snapshot_edit *e = cpn_snapshot_edit_new(NULL);
    cpn_snapshot *s = NULL;

    assert_int_equal(put(e, CPN_KIND_PRINCIPAL, ADA, one), CPN_OK);
    assert_int_equal(put(e, CPN_KIND_PRINCIPAL, BOB, two), CPN_OK);
    if (cpn_snapshot_seal(&s, e, 1, NULL, NULL) != CPN_INVALID)
        fail_msg("accepted: %s and %s", one, two);
    cpn_snapshot_edit_free(e);
}

static void
one_name_elsewhere_is_one_principal(void **state)
{
    (void)state;
    refused_together(USER("a", "{\"issuer\":\"" ISS "\",\"subject\":\"1\"}"),
                     USER("b", "{\"issuer\":\"" ISS "\",\"subject\":\"1\"}"));
    refused_together(GROUP("a", "\"ops\""), GROUP("b", "\"ops\""));
}

static cpn_snapshot *
world(void)
{
    cpn_snapshot_edit *e = cpn_snapshot_edit_new(NULL);
    cpn_snapshot *s = NULL;

    assert_int_equal(put(e, CPN_KIND_PRINCIPAL, ADA,
                         USER("ada", "{\"issuer\":\"" ISS "\",\"subject\":\"Sub-1\","
                                     "\"groups\":[\"ops\",\"unknown\",\"ops\"]}")),
                     CPN_OK);
    assert_int_equal(put(e, CPN_KIND_PRINCIPAL, BOB,
                         USER("bob", "{\"issuer\":\"" ISS "\",\"subject\":\"sub-1\","
                                     "\"groups\":[\"OPS\"],\"provisioned\":true}")),
                     CPN_OK);
    assert_int_equal(put(e, CPN_KIND_PRINCIPAL, OPS, GROUP("operators", "\"ops\"")), CPN_OK);
    assert_int_equal(put(e, CPN_KIND_PRINCIPAL, DEV,
                         "{\"type\":\"Group\",\"name\":\"ops\",\"members\":[\"" BOB "\"]}"),
                     CPN_OK);
    assert_int_equal(put(e, CPN_KIND_ASSIGNMENT, ASSIGNED,
                         "{\"principalId\":\"" OPS "\",\"role\":\"Reader\",\"effect\":\"Allow\"}"),
                     CPN_OK);
    assert_int_equal(cpn_snapshot_seal(&s, e, 1, NULL, NULL), CPN_OK);
    return s;
}

static void
people_are_found_byte_by_byte(void **state)
{
    cpn_snapshot *s = world();
    const cpn_principal *ada = cpn_snapshot_principal_by_external(s, ISS, "Sub-1");

    (void)state;
    assert_non_null(ada);
    assert_string_equal(ada->object_id, ADA);
    assert_true(ada->external);
    assert_string_equal(cpn_snapshot_principal_by_external(s, ISS, "sub-1")->object_id, BOB);
    assert_null(cpn_snapshot_principal_by_external(s, ISS "/", "Sub-1"));
    assert_null(cpn_snapshot_principal_by_external(s, ISS, "SUB-1"));
    assert_null(cpn_snapshot_principal_by_external(s, ISS, ""));
    assert_null(cpn_snapshot_principal_by_external(s, "", "ops"));
    cpn_snapshot_unref(s);
}

static void
groups_of_the_claim_count(void **state)
{
    cpn_snapshot *s = world();
    cpn_view root = CPN_VIEW_LIT("/");

    (void)state;
    assert_true(cpn_may(s, cpn_snapshot_principal(s, cpn_view_str(ADA)),
                        "Microsoft.Compute/virtualMachines/read", root));
    assert_false(cpn_may(s, cpn_snapshot_principal(s, cpn_view_str(BOB)),
                         "Microsoft.Compute/virtualMachines/read", root));
    cpn_snapshot_unref(s);
}

static void
an_inventory_keeps_what_sign_ins_brought(void **state)
{
    json_t *now = json_loads(USER("a", "{\"issuer\":\"" ISS "\",\"subject\":\"1\","
                                       "\"groups\":[\"ops\"],\"provisioned\":true}"),
                             0, NULL);
    json_t *same = json_loads(USER("a", "{\"issuer\":\"" ISS "\",\"subject\":\"1\"}"), 0, NULL);
    json_t *other = json_loads(USER("a", "{\"issuer\":\"" ISS "\",\"subject\":\"2\"}"), 0, NULL);
    json_t *local = json_loads("{\"type\":\"User\",\"name\":\"a\",\"enabled\":true}", 0, NULL);
    json_t *got;

    (void)state;
    assert_true(cpn_account_provisioned(now));
    assert_false(cpn_account_provisioned(same));
    got = cpn_account_external_kept(now, same);
    assert_int_equal(json_array_size(json_object_get(json_object_get(got, "external"), "groups")),
                     1);
    json_decref(got);
    got = cpn_account_external_kept(now, other);
    assert_true(json_equal(got, other));
    json_decref(got);
    got = cpn_account_external_kept(now, local);
    assert_true(json_equal(got, local));
    json_decref(got);
    got = cpn_account_external_kept(NULL, same);
    assert_true(json_equal(got, same));
    json_decref(got);
    json_decref(now);
    json_decref(same);
    json_decref(other);
    json_decref(local);
}

/* One more document to the world; is there an administrator then? */
static bool
owned_with(const char *kind, const char *id, const char *body)
{
    cpn_snapshot *s = world(), *next = NULL;
    cpn_snapshot_edit *e = cpn_snapshot_edit_new(s);
    bool owned;

    assert_int_equal(put(e, CPN_KIND_SUBSCRIPTION, SUBSCRIPTION, "{}"), CPN_OK);
    assert_int_equal(put(e, kind, id, body), CPN_OK);
    assert_int_equal(cpn_snapshot_seal(&next, e, 2, NULL, NULL), CPN_OK);
    owned = cpn_accounts_owned(next);
    cpn_snapshot_unref(next);
    cpn_snapshot_unref(s);
    return owned;
}

#define ROLE(who, role, effect)                                                                    \
    "{\"principalId\":\"" who "\",\"role\":\"" role "\",\"effect\":\"" effect "\"}"

/* A person whom a sign-in at the provider made before the administrator came must not keep them
 * out. */
static void
whom_a_provider_brings_is_no_administrator(void **state)
{
    (void)state;
    assert_false(owned_with(CPN_KIND_PRINCIPAL, BOB,
                            USER("x", "{\"issuer\":\"" ISS "\","
                                      "\"subject\":\"3\"}")));
    assert_false(
        owned_with(CPN_KIND_ASSIGNMENT, ASSIGNMENT "00000000000b", ROLE(BOB, "Reader", "Allow")));
    assert_false(
        owned_with(CPN_KIND_ASSIGNMENT, ASSIGNMENT "00000000000b", ROLE(BOB, "Owner", "Deny")));
    assert_false(owned_with(CPN_KIND_ASSIGNMENT, SUBSCRIPTION ASSIGNMENT "00000000000b",
                            ROLE(BOB, "Owner", "Allow")));
    assert_true(
        owned_with(CPN_KIND_ASSIGNMENT, ASSIGNMENT "00000000000b", ROLE(BOB, "Owner", "Allow")));
    assert_true(
        owned_with(CPN_KIND_ASSIGNMENT, ASSIGNMENT "00000000000b", ROLE(OPS, "owner", "Allow")));
}

static void
half_a_provider_does_not_start(void **state)
{
    static const char *const refused[] = {
        "oidc_issuer: https://id.example.test\n",
        "oidc_client_id: caponier\n",
        "oidc_client_secret_file: /etc/x\n",
        "oidc_local_passwords: false\n",
        "oidc_issuer: http://id.example.test\noidc_client_id: caponier\n",
        "oidc_issuer: https://id.example.test?x=1\noidc_client_id: caponier\n",
        "oidc_issuer: https://a@id.example.test\noidc_client_id: caponier\n",
        "oidc_issuer: id.example.test\noidc_client_id: caponier\n",
        "oidc_issuer: https://id.example.test\noidc_client_id: caponier\noidc_scopes: profile\n",
        "oidc_issuer: https://id.example.test\noidc_client_id: caponier\noidc_provision: merge\n",
    };
    cpn_config *c = cpn_xcalloc(1, sizeof(*c));

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++)
        if (cpn_config_parse(c, cpn_view_str(refused[i]), "x", NULL, NULL) != CPN_E_CONF)
            fail_msg("accepted: %s", refused[i]);
    assert_int_equal(cpn_config_parse(c,
                                      CPN_VIEW_LIT("oidc_issuer: https://id.example.test/realm\n"
                                                   "oidc_client_id: caponier\n"
                                                   "oidc_local_passwords: false\n"),
                                      "x", NULL, NULL),
                     CPN_OK);
    free(c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(odd_bodies_are_refused),
        cmocka_unit_test(one_name_elsewhere_is_one_principal),
        cmocka_unit_test(people_are_found_byte_by_byte),
        cmocka_unit_test(groups_of_the_claim_count),
        cmocka_unit_test(an_inventory_keeps_what_sign_ins_brought),
        cmocka_unit_test(whom_a_provider_brings_is_no_administrator),
        cmocka_unit_test(half_a_provider_does_not_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
