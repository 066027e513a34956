/* Audit records that a peer cannot spoil, and refusals that come in a loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "audit/merge.h"
#include "audit/record.h"
#include "codec/chain.h"
#include "codec/json.h"

static const char *
text_of(const cpn_record *r)
{
    static char text[CPN_RECORD_MAX];
    CPN_AUTO(cpn_buf_fini) cpn_buf b = { .max = sizeof(text) - 1 };

    assert_int_equal(cpn_record_text(r, &b), CPN_OK);
    assert_true(cpn_view_copy(cpn_buf_view(&b), text, sizeof(text)));
    return text;
}

static void
peers_cannot_spoil_a_record(void **state)
{
    static char huge[200000];
    cpn_record r = { .operation = CPN_AUDIT_SESSION_REFUSED };
    CPN_AUTO(cpn_buf_fini) cpn_buf linked = { .max = 2 * CPN_RECORD_MAX };
    CPN_AUTO(cpn_json_auto) json_t *j = NULL;
    cpn_chain_head head = { 0 };

    (void)state;
    r.user_agent = "a\nb\x7f\xff\xc0\xaf\xe2\x82\xac\xed\xa0\x80\"\\";
    assert_non_null(strstr(text_of(&r), "\"userAgent\":\"a?b????\xe2\x82\xac???\\\"\\\\\""));
    memset(huge, 'x', sizeof(huge) - 1);
    memcpy(huge + CPN_RECORD_TEXT_MAX - 1, "\xe2\x82\xac", 3); /* cut before, not inside */
    r.user_agent = r.user_name = r.user_email = r.target_id = r.message = r.object_id = huge;
    r.resource_id = r.decision_id = r.node = huge;
    j = cpn_record_json(&r);
    assert_int_equal(json_string_length(json_object_get(j, "userAgent")), CPN_RECORD_TEXT_MAX - 1);
    memset(huge, '"', sizeof(huge) - 1); /* each costs two bytes */
    r.client_ip = r.target_ip = r.protocol = r.door = r.reason = r.binding = r.session_id = huge;
    r.operation = huge;
    assert_int_equal(cpn_chain_link(&head, cpn_view_str(text_of(&r)), &linked, NULL), CPN_OK);
}

static void
records_have_azures_names(void **state)
{
    cpn_record r = {
        .operation = CPN_AUDIT_SESSION_END,
        .wall_ms = 1700000000123,
        .node = "gw1",
        .policy_epoch = 7,
        .user_email = "ada@example.test",
        .client_ip = "192.0.2.1",
        .client_port = 50000,
        .target_id = "/subscriptions/s/…/virtualMachineScaleSets/p/virtualMachines/0",
        .target_ip = "10.0.0.4",
        .port = 22,
        .protocol = "ssh",
        .session_id = "0a",
        .start_wall_ms = 1699999999000,
        .end_wall_ms = 1700000000123,
        .duration_ms = 1123,
        .bytes_down = 5,
        .reason = "closed",
    };

    (void)state;
    assert_string_equal(
        text_of(&r),
        "{\"bytesDown\":5,\"bytesUp\":0,\"category\":\"BastionAuditLogs\","
        "\"clientIpAddress\":\"192.0.2.1\",\"clientPort\":50000,\"duration\":1123,"
        "\"level\":\"Informational\",\"node\":\"gw1\",\"operationName\":\"session.end\","
        "\"policyEpoch\":7,\"port\":22,\"protocol\":\"ssh\",\"reason\":\"closed\","
        "\"resourceType\":\"VMSS\",\"sessionEndTime\":\"2023-11-14T22:13:20.123Z\","
        "\"sessionStartTime\":\"2023-11-14T22:13:19.000Z\","
        "\"targetResourceId\":\"/subscriptions/s/…/virtualMachineScaleSets/p/virtualMachines/0\","
        "\"targetVMIPAddress\":\"10.0.0.4\",\"time\":\"2023-11-14T22:13:20.123Z\","
        "\"tunnelId\":\"0a\",\"userEmail\":\"ada@example.test\"}");
    r = (cpn_record){ .operation = CPN_AUDIT_GATEWAY_START };
    assert_string_equal(text_of(&r),
                        "{\"category\":\"BastionAuditLogs\",\"level\":\"Informational\","
                        "\"operationName\":\"gateway.start\",\"policyEpoch\":0}");
}

static int64_t
count_of(json_t *record)
{
    int64_t n = record ? json_integer_value(json_object_get(record, "count")) : -1;

    json_decref(record);
    return n;
}

static void
refusals_in_a_loop_are_one_record(void **state)
{
    cpn_merge *m = cpn_merge_new();
    json_t *r = json_pack("{s:s}", "reason", "role_missing");
    cpn_view a = CPN_VIEW_LIT("ada web1 role"), b = CPN_VIEW_LIT("bob web1 role");

    (void)state;
    assert_int_equal(cpn_merge_due_ms(m), 0);
    assert_null(cpn_merge_next(m, 0, true));
    assert_true(cpn_merge_add(m, a, r, 1000));
    assert_int_equal(cpn_merge_due_ms(m), 6000);
    assert_true(cpn_merge_add(m, b, r, 1001));
    for (int i = 0; i < 100; i++)
        assert_false(cpn_merge_add(m, a, r, 1000 + 40 * (unsigned)i));
    assert_null(cpn_merge_next(m, 5999, false));
    assert_int_equal(count_of(cpn_merge_next(m, 6001, false)), 100);
    assert_null(cpn_merge_next(m, 6001, false)); /* bob's came once: nothing to add */
    assert_int_equal(cpn_merge_due_ms(m), 0);
    assert_true(cpn_merge_add(m, a, r, 6002));  /* a new window */
    assert_true(cpn_merge_add(m, a, r, 11002)); /* and another, nobody fetched in between */
    assert_false(cpn_merge_add(m, a, r, 11003));
    assert_false(cpn_merge_add(m, a, r, 20000)); /* over, but its count is not lost */
    assert_int_equal(count_of(cpn_merge_next(m, 20000, false)), 2);
    assert_true(cpn_merge_add(m, b, r, 20000));
    assert_false(cpn_merge_add(m, b, r, 20001));
    assert_int_equal(count_of(cpn_merge_next(m, 20002, true)), 1);
    assert_null(json_object_get(r, "count")); /* the caller's record is untouched */
    cpn_merge_free(m);
    json_decref(r);
}

static void
a_full_table_merges_nothing(void **state)
{
    cpn_merge *m = cpn_merge_new();
    json_t *r = json_object();
    char key[16];

    (void)state;
    for (int i = 0; i < CPN_MERGE_MAX; i++) {
        snprintf(key, sizeof(key), "%d", i);
        assert_true(cpn_merge_add(m, cpn_view_str(key), r, 1000));
    }
    assert_true(cpn_merge_add(m, CPN_VIEW_LIT("x"), r, 1000));
    assert_true(cpn_merge_add(m, CPN_VIEW_LIT("x"), r, 1000));
    assert_false(cpn_merge_add(m, CPN_VIEW_LIT("7"), r, 1000));
    assert_true(cpn_merge_add(m, CPN_VIEW_LIT("x"), r, 6000)); /* windows ended: room again */
    assert_false(cpn_merge_add(m, CPN_VIEW_LIT("x"), r, 6000));
    cpn_merge_free(m);
    json_decref(r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(peers_cannot_spoil_a_record),
        cmocka_unit_test(a_full_table_merges_nothing),
        cmocka_unit_test(refusals_in_a_loop_are_one_record),
        cmocka_unit_test(records_have_azures_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
